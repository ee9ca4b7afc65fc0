// Actions of the buttons of a schedule.

import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { refresh } from "./live.js";
import { isMisclick } from "./misclicks.js";
import { showToast } from "./toasts.js";

const busyButtons = new WeakSet(); // not disabled, which would remove the focus

const ACTIONS = {
  async run({ path, name }) {
    await call("POST", `${path}/run`);
    showToast(`${name}: run requested.`);
  },
  async pause({ path, name }) {
    await call("PATCH", path, { body: { enabled: false } });
    showToast(`${name} is paused.`);
  },
  async resume({ path, name }) {
    await call("PATCH", path, { body: { enabled: true } });
    showToast(`${name} runs again as scheduled.`);
  },
  async delete({ modelId, path, name }) {
    const { value, etag } = await call("GET", path);
    await call("DELETE", path, { headers: { "If-Match": etag } });
    const { cron_expression, timezone, enabled } = value;
    const body = { name: value.name, cron_expression, timezone, enabled };
    const toast = showToast(`${name} has no schedule any more; its results stay.`, {
      async undo() {
        await runAndRefresh(() => call("PUT", path, { body, headers: { "If-None-Match": "*" } }));
        document.querySelector(`[data-model="${modelId}"] [data-action="delete"]`)?.focus();
      },
    });
    toast.querySelector("button").focus(); // the focused button was removed
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
    if (!button || busyButtons.has(button) || isMisclick(event, button)) return;
    const { model, name } = button.closest("[data-model]")?.dataset ?? {};
    busyButtons.add(button);
    button.setAttribute("aria-busy", "true");
    await runAndRefresh(() => ACTIONS[button.dataset.action]({ modelId: model, path: `/schedule/${model}`, name }));
    button.removeAttribute("aria-busy");
    busyButtons.delete(button);
  });
}

async function runAndRefresh(action) {
  try {
    await action();
  } catch (problem) {
    showToast(problem.message, { isError: true });
  }
  await refresh(true);
}
