// Words at the edge of the page: what was done, and how to undo it.

import { beforeChange } from "./misclicks.js";

const SHOWN = 6_000; // milliseconds
const SHOWN_TO_UNDO = 30_000;

export function toast(text, { bad = false, undo } = {}) {
  const shown = document.createElement("div");
  shown.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.textContent = text;
  shown.append(words);
  if (undo) shown.append(button("Undo", () => (remove(shown), undo())));
  shown.append(button("Close", () => remove(shown)));
  document.querySelector("#toasts").append(shown);
  // Not while somebody is about to use it.
  const end = () => (shown.matches(":hover, :focus-within") ? setTimeout(end, 2000) : remove(shown));
  setTimeout(end, undo || bad ? SHOWN_TO_UNDO : SHOWN);
  return shown;
}

function remove(shown) {
  beforeChange(); // of what is below it
  shown.remove();
}

function button(text, action) {
  const made = document.createElement("button");
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}
