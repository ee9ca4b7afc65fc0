// The dialog in which a schedule is made or edited; what an expression means is told while it is typed.

import { call } from "./api.js";
import { refresh } from "./live.js";
import { beforeChange } from "./misclicks.js";
import { toast } from "./toasts.js";

const PAUSE = 150; // milliseconds without a key, before the API is asked
const FIELDS = ["model_id", "name", "cron_expression", "timezone", "enabled"];

const dialog = document.querySelector("#dialog");
const form = dialog?.querySelector("form");
let shown = {}; // the schedule that is edited and its ETag, if one is; another object each time the dialog opens
let timer;
let question = new AbortController();

export function openDialog({ modelId = "", schedule, etag }) {
  if (dialog.open) return; // somebody is typing
  shown = { schedule, etag };
  busy(shown, false);
  dialog.querySelector("h2").textContent = schedule ? "Edit schedule" : "New schedule";
  const { model_id, name, cron_expression, timezone, enabled } = form.elements;
  model_id.value = schedule?.model_id ?? modelId;
  model_id.readOnly = Boolean(schedule);
  name.value = schedule?.name ?? "";
  cron_expression.value = schedule?.cron_expression ?? "";
  timezone.value = schedule?.timezone ?? "UTC";
  enabled.checked = schedule?.enabled ?? true;
  for (const field of FIELDS) fault(field, "");
  document.querySelector("#dialog-error").textContent = "";
  dialog.showModal();
  (model_id.value ? cron_expression : model_id).focus();
  preview();
}

function close() {
  beforeChange(); // of what is behind it
  dialog.close();
}

function offerZones() {
  const names = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((name) => name.includes("/"))];
  document.querySelector("#zones").append(...names.map((name) => new Option(name, name)));
}

export function listen() {
  offerZones(); // to filters too
  if (!dialog) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  form.elements.cron_expression.addEventListener("input", later);
  form.elements.timezone.addEventListener("input", later);
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) close();
    const example = event.target.closest("[data-cron]");
    if (example) {
      form.elements.cron_expression.value = example.dataset.cron;
      preview();
    }
  });
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(preview, PAUSE);
}

async function preview() {
  question.abort();
  question = new AbortController();
  const { signal } = question;
  const expression = form.elements.cron_expression.value.trim();
  if (!expression) return show({ errors: [], next_fires: [], description: "Type an expression to see when it fires." });
  const query = new URLSearchParams({ expression, timezone: form.elements.timezone.value.trim(), count: 5 });
  try {
    show((await call("GET", `/cron?${query}`, { signal })).value);
  } catch (problem) {
    if (!signal.aborted) show({ errors: [], next_fires: [], description: problem.message });
  }
}

function show({ errors, next_fires, description }) {
  for (const field of ["cron_expression", "timezone"]) {
    const error = errors.find((each) => each.field === field);
    fault(field, error ? words(error) : "");
  }
  const place = document.querySelector("#preview");
  place.querySelector(".meaning").textContent = description ?? (errors.length ? "It cannot be scheduled like this." : "");
  const table = place.querySelector("table");
  table.hidden = !next_fires.length;
  table.querySelector(".local").textContent = `On the clock of ${form.elements.timezone.value.trim()}`;
  table.querySelector("tbody").replaceChildren(...next_fires.map(row));
}

function row({ at, local, daylight_saving, stands_for }) {
  const made = document.createElement("tr");
  made.insertCell().textContent = minute(at);
  made.insertCell().textContent = `${minute(local)} ${local.slice(19)}`;
  const times = stands_for.map((time) => time.slice(11, 16) + time.slice(19)).join(", ");
  const mark = { moved: `moved from ${times}`, merged: `one run for ${times}` }[daylight_saving];
  if (mark) made.cells[1].append(Object.assign(document.createElement("small"), { textContent: `clock change: ${mark}` }));
  return made;
}

function minute(instant) {
  return instant.slice(0, 16).replace("T", " ");
}

// What is wrong, and what would be right.
function words({ detail, hint }) {
  return [detail, hint].filter(Boolean).join(". ");
}

function fault(field, text) {
  const input = form.elements[field];
  const place = document.querySelector(`#${field}-error`);
  if (place && place.textContent !== text) place.textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

async function save() {
  const saved = shown;
  if (saved.busy) return;
  busy(saved, true);
  const isShown = () => dialog.open && shown === saved; // it may be closed meanwhile, and opened for another one
  try {
    await send();
    if (isShown()) close();
    toast(saved.schedule ? "The schedule is changed." : "The schedule is made.");
    refresh(true);
  } catch (problem) {
    if (isShown()) explain(problem);
    else toast(`The schedule is not saved: ${problem.message}`, { bad: true });
  }
  busy(saved, false);
}

function busy(saved, is) {
  saved.busy = is;
  form.querySelector("button.primary").setAttribute("aria-busy", shown.busy);
}

function send() {
  const { model_id, name, cron_expression, timezone, enabled } = form.elements;
  const body = {
    name: name.value.trim() || null,
    cron_expression: cron_expression.value,
    timezone: timezone.value.trim(),
    enabled: enabled.checked,
  };
  if (shown.schedule) {
    return call("PATCH", `/schedule/${shown.schedule.model_id}`, { body, headers: { "If-Match": shown.etag } });
  }
  body.model_id = model_id.value.trim();
  return call("POST", "/schedule", { body, headers: { "If-None-Match": "*" } });
}

// Puts each of the API's words where it belongs.
function explain(problem) {
  // The API may have looked no further than the first fault; those of cron and zone are told while they are typed.
  for (const field of ["model_id", "name"]) fault(field, "");
  const rest = [];
  for (const error of problem.errors) {
    const field = error.pointer?.slice(2);
    if (FIELDS.includes(field)) fault(field, words(error));
    else rest.push(words(error));
  }
  if (!problem.errors.length) rest.push(problem.status === 412 ? changedMeanwhile() : problem.message);
  document.querySelector("#dialog-error").textContent = rest.join(" ");
  form.querySelector("[aria-invalid]")?.focus();
}

function changedMeanwhile() {
  return shown.schedule
    ? "Somebody changed or deleted this schedule meanwhile. Close the dialog, and edit what is there now."
    : "This model has a schedule already: edit that one.";
}
