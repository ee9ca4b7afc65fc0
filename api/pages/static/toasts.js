// Toasts: messages in the corner of the page about completed actions, with a button to undo them.

import { beforeChange } from "./misclicks.js";

const DURATION = 6_000; // milliseconds
const LONG_DURATION = 30_000; // of errors, and of actions that can be undone
const RECHECK_INTERVAL = 2_000; // while the pointer or the focus is on the toast

export function showToast(text, { isError = false, undo } = {}) {
  const toast = document.createElement("div");
  toast.className = isError ? "toast bad" : "toast";
  const message = document.createElement("span");
  message.textContent = text;
  toast.append(message);
  if (undo) toast.append(createButton("Undo", () => (remove(toast), undo())));
  toast.append(createButton("Close", () => remove(toast)));
  document.querySelector("#toasts").append(toast);
  const expire = () => (toast.matches(":hover, :focus-within") ? setTimeout(expire, RECHECK_INTERVAL) : remove(toast));
  setTimeout(expire, undo || isError ? LONG_DURATION : DURATION);
  return toast;
}

function remove(toast) {
  beforeChange(); // a click must not hit what is below it
  toast.remove();
}

function createButton(text, action) {
  const button = document.createElement("button");
  button.textContent = text;
  button.addEventListener("click", action);
  return button;
}
