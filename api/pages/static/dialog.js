// The dialog in which a schedule is created or edited, with a preview of its cron expression.

import { call } from "./api.js";
import { refresh } from "./live.js";
import { beforeChange } from "./misclicks.js";
import { showToast } from "./toasts.js";

const DEBOUNCE_DELAY = 150; // milliseconds without input, before the preview is requested
const PREVIEW_COUNT = 5;
const FIELDS = ["model_id", "name", "cron_expression", "timezone", "enabled"];

const dialog = document.querySelector("#dialog");
const form = dialog?.querySelector("form");
let session = {}; // of the dialog since it was opened: the edited schedule and its ETag, if any, and whether it is busy
let timer;
let controller = new AbortController();

export function openDialog({ modelId = "", schedule, etag }) {
  if (dialog.open) return; // its input would be lost
  session = { schedule, etag };
  setBusy(session, false);
  dialog.querySelector("h2").textContent = schedule ? "Edit schedule" : "New schedule";
  const { model_id, name, cron_expression, timezone, enabled } = form.elements;
  model_id.value = schedule?.model_id ?? modelId;
  model_id.readOnly = Boolean(schedule);
  name.value = schedule?.name ?? "";
  cron_expression.value = schedule?.cron_expression ?? "";
  timezone.value = schedule?.timezone ?? "UTC";
  enabled.checked = schedule?.enabled ?? true;
  for (const field of FIELDS) showFieldError(field, "");
  document.querySelector("#dialog-error").textContent = "";
  dialog.showModal();
  (model_id.value ? cron_expression : model_id).focus();
  updatePreview();
}

export function listen() {
  listTimeZones();
  if (!dialog) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  form.elements.cron_expression.addEventListener("input", schedulePreview);
  form.elements.timezone.addEventListener("input", schedulePreview);
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) closeDialog();
    const example = event.target.closest("[data-cron]");
    if (example) {
      form.elements.cron_expression.value = example.dataset.cron;
      updatePreview();
    }
  });
}

function closeDialog() {
  beforeChange(); // a click must not hit what is behind it
  dialog.close();
}

// Fills the suggestions of the dialog and of the filters.
function listTimeZones() {
  const names = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((name) => name.includes("/"))];
  document.querySelector("#zones").append(...names.map((name) => new Option(name, name)));
}

function schedulePreview() {
  clearTimeout(timer);
  timer = setTimeout(updatePreview, DEBOUNCE_DELAY);
}

async function updatePreview() {
  controller.abort();
  controller = new AbortController();
  const { signal } = controller;
  const expression = form.elements.cron_expression.value.trim();
  if (!expression) return showPreview({ description: "Type an expression to see when it fires." });
  const timezone = form.elements.timezone.value.trim();
  const query = new URLSearchParams({ expression, timezone, count: PREVIEW_COUNT });
  try {
    showPreview((await call("GET", `/cron?${query}`, { signal })).value);
  } catch (problem) {
    if (!signal.aborted) showPreview({ description: problem.message });
  }
}

function showPreview({ errors = [], next_fires = [], description }) {
  for (const field of ["cron_expression", "timezone"]) {
    const error = errors.find((candidate) => candidate.field === field);
    showFieldError(field, error ? errorText(error) : "");
  }
  const preview = document.querySelector("#preview");
  const text = description ?? (errors.length ? "It cannot be scheduled like this." : "");
  preview.querySelector(".description").textContent = text;
  const table = preview.querySelector("table");
  table.hidden = !next_fires.length;
  table.querySelector(".local-time").textContent = `On the clock of ${form.elements.timezone.value.trim()}`;
  table.querySelector("tbody").replaceChildren(...next_fires.map(previewRow));
}

function previewRow({ at, local, daylight_saving, stands_for }) {
  const row = document.createElement("tr");
  row.insertCell().textContent = toMinute(at);
  row.insertCell().textContent = `${toMinute(local)} ${local.slice(19)}`;
  const times = stands_for.map((time) => time.slice(11, 16) + time.slice(19)).join(", ");
  const note = { moved: `moved from ${times}`, merged: `one run for ${times}` }[daylight_saving];
  if (note) row.cells[1].append(Object.assign(document.createElement("small"), { textContent: `clock change: ${note}` }));
  return row;
}

function toMinute(timestamp) {
  return timestamp.slice(0, 16).replace("T", " ");
}

function errorText({ detail, hint }) {
  return [detail, hint].filter(Boolean).join(". ");
}

function showFieldError(field, text) {
  const input = form.elements[field];
  const element = document.querySelector(`#${field}-error`);
  if (element && element.textContent !== text) element.textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

async function save() {
  const saved = session;
  if (saved.isBusy) return;
  setBusy(saved, true);
  const isOpen = () => dialog.open && session === saved; // it may be closed meanwhile, and opened for another schedule
  try {
    await sendSchedule();
    if (isOpen()) closeDialog();
    showToast(saved.schedule ? "The schedule is changed." : "The schedule is made.");
    refresh(true);
  } catch (problem) {
    if (isOpen()) showErrors(problem);
    else showToast(`The schedule is not saved: ${problem.message}`, { isError: true });
  }
  setBusy(saved, false);
}

function setBusy(target, isBusy) {
  target.isBusy = isBusy;
  form.querySelector("button.primary").setAttribute("aria-busy", session.isBusy);
}

function sendSchedule() {
  const { model_id, name, cron_expression, timezone, enabled } = form.elements;
  const body = {
    name: name.value.trim() || null,
    cron_expression: cron_expression.value,
    timezone: timezone.value.trim(),
    enabled: enabled.checked,
  };
  if (session.schedule) {
    const headers = { "If-Match": session.etag };
    return call("PATCH", `/schedule/${session.schedule.model_id}`, { body, headers });
  }
  body.model_id = model_id.value.trim();
  return call("POST", "/schedule", { body, headers: { "If-None-Match": "*" } });
}

// Shows each error at its field, and the others at the end of the dialog.
function showErrors(problem) {
  // The API may stop at the first error; those of cron expression and time zone are kept from the preview.
  for (const field of ["model_id", "name"]) showFieldError(field, "");
  const others = [];
  for (const error of problem.errors) {
    const field = error.pointer?.slice(2);
    if (FIELDS.includes(field)) showFieldError(field, errorText(error));
    else others.push(errorText(error));
  }
  if (!problem.errors.length) others.push(problem.status === 412 ? conflictText() : problem.message);
  document.querySelector("#dialog-error").textContent = others.join(" ");
  form.querySelector("[aria-invalid]")?.focus();
}

function conflictText() {
  return session.schedule
    ? "Somebody changed or deleted this schedule meanwhile. Close the dialog, and edit what is there now."
    : "This model has a schedule already: edit that one.";
}
