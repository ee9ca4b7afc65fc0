// Keeps a page up to date: asks for it again and again, and changes what has changed.

import { patient, signedOut } from "./api.js";
import { beforeChange } from "./misclicks.js";
import { keepTelling, learn, tell } from "./times.js";

const EVERY = 1000; // milliseconds from an answer to the next question
const LONGEST = 15_000; // while there is no answer

let etag = null;
let failures = 0;
let timer;
let question = new AbortController();
const listeners = [];

// Calls back after each answer, whether or not it changed the page.
export function onAnswer(listener) {
  listeners.push(listener);
}

export function keepUpToDate() {
  keepTelling();
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : refresh()));
  // At once, for the time; without a tag, since nobody knows that of the page itself.
  if (!document.hidden) refresh();
}

// Asks now; anew: something was changed just now, so that what the server has at hand will not do.
export async function refresh(anew = false) {
  stop();
  question = new AbortController();
  const { signal } = question;
  try {
    await ask(anew, signal);
    failures = 0;
    banner("");
    listeners.forEach((listener) => listener());
  } catch (error) {
    if (signal.aborted) return; // in favour of another one
    failures = error.status === 401 ? 0 : failures + 1; // signing in shows soon
    banner(`${error.message} What you see may be out of date.`);
  }
  if (!document.hidden) timer = setTimeout(refresh, Math.min(EVERY * 2 ** failures, LONGEST));
}

function stop() {
  clearTimeout(timer);
  question.abort();
}

async function ask(anew, signal) {
  const headers = { Accept: "text/html", "X-Requested-With": "live" };
  if (etag) headers["If-None-Match"] = etag;
  if (anew) headers["Cache-Control"] = "no-cache";
  const request = { headers, cache: "no-store", signal: patient(signal) };
  const answer = await fetch(location.href, request).catch(noAnswer);
  if (answer.status === 401) throw signedOut();
  learn(answer.headers);
  if (answer.status === 304) return;
  const page = new DOMParser().parseFromString(await answer.text().catch(noAnswer), "text/html");
  if (!answer.ok) throw new Error(page.querySelector(".problem p")?.textContent ?? `The server says ${answer.status}.`);
  etag = answer.headers.get("ETag");
  document.title = page.title;
  const focused = document.activeElement;
  beforeChange();
  update(document.querySelector("main"), page.querySelector("main"));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true }); // it was moved
  tell();
}

function noAnswer() {
  throw new Error("The server does not answer.");
}

// Shows a text at the top of the page and in the dialog, which makes the rest of the page inert.
function banner(text) {
  for (const shown of document.querySelectorAll(".banner[role=status]")) {
    if (shown.textContent !== text) shown.textContent = text;
    shown.hidden = !text;
  }
}

// Makes one element equal to another, and touches only what differs: focus, selection and hover stay where they are.
function update(mine, other) {
  if (mine.isEqualNode(other) || "keep" in mine.dataset) return;
  for (const name of mine.getAttributeNames()) if (!other.hasAttribute(name)) mine.removeAttribute(name);
  for (const name of other.getAttributeNames())
    if (mine.getAttribute(name) !== other.getAttribute(name)) mine.setAttribute(name, other.getAttribute(name));
  if ("relative" in mine.dataset) return; // its text is told by the clock
  updateChildren(mine, other);
}

function updateChildren(mine, other) {
  const byId = new Map([...mine.children].filter((child) => child.id).map((child) => [child.id, child]));
  const ids = new Set([...other.children].map((child) => child.id));
  for (const [id, child] of byId) if (!ids.has(id)) without(child);
  let place = mine.firstChild;
  for (const wanted of [...other.childNodes]) {
    const found = wanted.id ? byId.get(wanted.id) : isAlike(place, wanted) ? place : null;
    if (!found) {
      mine.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    // What is found stays: an open dialog that is moved closes. What has no id makes way.
    while (place && place !== found && !place.id) place = without(place);
    if (found === place) place = place.nextSibling;
    else mine.insertBefore(found, place);
    if (found.nodeType !== Node.ELEMENT_NODE) {
      if (found.data !== wanted.data) changed(found, wanted.data);
    } else update(found, wanted);
  }
  while (place) place = without(place);
}

// Removes a node, unless it is an open dialog (its text would be lost); returns the one after it.
function without(node) {
  const next = node.nextSibling;
  if (!node.open) node.remove();
  return next;
}

function isAlike(node, wanted) {
  return node && !node.id && node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName;
}

function changed(text, data) {
  text.data = data;
  const cell = text.parentElement.closest("td");
  if (!cell) return;
  cell.classList.remove("changed");
  requestAnimationFrame(() => cell.classList.add("changed"));
}
