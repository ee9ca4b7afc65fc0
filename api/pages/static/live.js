// Live updates: requests the page again and again, and changes in place what has changed.

import { handleSignedOut, withTimeout } from "./api.js";
import { beforeChange } from "./misclicks.js";
import { morph } from "./morph.js";
import { renderRelativeTimes, startTicking, syncClock } from "./times.js";

const REFRESH_INTERVAL = 1000; // milliseconds from a response to the next request
const MAX_RETRY_DELAY = 15_000;

let etag = null;
let failures = 0;
let timer;
let controller = new AbortController();
const listeners = [];

// Calls back after each successful response, even if it did not change the page.
export function onRefresh(listener) {
  listeners.push(listener);
}

export function startRefreshing() {
  startTicking();
  document.addEventListener("visibilitychange", () => (document.hidden ? cancel() : refresh()));
  // At once, to synchronize the clock; without an ETag, since that of the page itself is unknown.
  if (!document.hidden) refresh();
}

// Requests the page now. force: not from the server's cache, since a change was made just now.
export async function refresh(force = false) {
  cancel();
  controller = new AbortController();
  const { signal } = controller;
  try {
    await updatePage(force, signal);
    failures = 0;
    showBanner("");
    listeners.forEach((listener) => listener());
  } catch (error) {
    if (signal.aborted) return; // a later refresh replaces it
    failures = error.status === 401 ? 0 : failures + 1; // no backoff: after a sign-in, the page updates soon
    showBanner(`${error.message} What you see may be out of date.`);
  }
  if (!document.hidden) timer = setTimeout(refresh, Math.min(REFRESH_INTERVAL * 2 ** failures, MAX_RETRY_DELAY));
}

function cancel() {
  clearTimeout(timer);
  controller.abort();
}

async function updatePage(force, signal) {
  const headers = { Accept: "text/html", "X-Requested-With": "live" };
  if (etag) headers["If-None-Match"] = etag;
  if (force) headers["Cache-Control"] = "no-cache";
  const request = { headers, cache: "no-store", signal: withTimeout(signal) };
  const response = await fetch(location.href, request).catch(throwUnreachable);
  if (response.status === 401) throw handleSignedOut();
  syncClock(response.headers);
  if (response.status === 304) return;
  const page = new DOMParser().parseFromString(await response.text().catch(throwUnreachable), "text/html");
  if (!response.ok) {
    throw new Error(page.querySelector(".problem p")?.textContent ?? `The server says ${response.status}.`);
  }
  etag = response.headers.get("ETag");
  document.title = page.title;
  const focused = document.activeElement;
  beforeChange();
  morph(document.querySelector("main"), page.querySelector("main"));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true }); // it was moved
  renderRelativeTimes();
}

function throwUnreachable() {
  throw new Error("The server does not answer.");
}

// Shows a text at the top of the page, and in the dialog: an open one makes the rest of the page inert.
function showBanner(text) {
  for (const banner of document.querySelectorAll(".banner[role=status]")) {
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = !text;
  }
}
