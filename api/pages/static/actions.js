// What the buttons of a schedule do.

import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { refresh } from "./live.js";
import { isMisclick } from "./misclicks.js";
import { toast } from "./toasts.js";

const busy = new WeakSet(); // buttons; to disable them would cost the focus

const ACTIONS = {
  async run({ path, name }) {
    await call("POST", `${path}/run`);
    toast(`${name}: run requested.`);
  },
  async pause({ path, name }) {
    await call("PATCH", path, { body: { enabled: false } });
    toast(`${name} is paused.`);
  },
  async resume({ path, name }) {
    await call("PATCH", path, { body: { enabled: true } });
    toast(`${name} runs again as scheduled.`);
  },
  async delete({ modelId, path, name }) {
    const { value, etag } = await call("GET", path);
    await call("DELETE", path, { headers: { "If-Match": etag } });
    const { cron_expression, timezone, enabled } = value;
    const body = { name: value.name, cron_expression, timezone, enabled };
    const shown = toast(`${name} has no schedule any more; its results stay.`, {
      async undo() {
        await attempt(() => call("PUT", path, { body, headers: { "If-None-Match": "*" } }));
        document.querySelector(`[data-model="${modelId}"] [data-action="delete"]`)?.focus();
      },
    });
    shown.querySelector("button").focus(); // the button that had it is gone
  },
  async edit({ path }) {
    const { value, etag } = await call("GET", path);
    openDialog({ schedule: value, etag });
  },
  async add({ modelId }) {
    openDialog({ modelId });
  },
};

export function listen() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button || busy.has(button) || isMisclick(event, button)) return;
    const { model, name } = button.closest("[data-model]")?.dataset ?? {};
    busy.add(button);
    button.setAttribute("aria-busy", "true");
    await attempt(() => ACTIONS[button.dataset.action]({ modelId: model, path: `/schedule/${model}`, name }));
    button.removeAttribute("aria-busy");
    busy.delete(button);
  });
}

// Does something and shows what came of it, at once.
async function attempt(action) {
  try {
    await action();
  } catch (problem) {
    toast(problem.message, { bad: true });
  }
  await refresh(true);
}
