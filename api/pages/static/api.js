// Calls of the API.

const TIMEOUT = 10_000; // milliseconds

// An error response of the API; status 0: there was no response.
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

// Reloads the page, which then asks for a token, unless a dialog is open: its input would be lost. Returns a Problem.
export function handleSignedOut() {
  if (!document.querySelector("dialog[open]")) location.reload();
  return new Problem(401, { detail: "Signed out. Sign in in another tab, then save." });
}

// Returns a signal that aborts after the timeout, or with another one; AbortSignal.any is newer than browsers in use.
export function withTimeout(signal) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT);
  signal?.addEventListener("abort", () => (clearTimeout(timer), controller.abort()));
  return controller.signal;
}

// Returns the response body and its ETag; throws a Problem.
export async function call(method, path, { body, headers, signal } = {}) {
  let response, value;
  try {
    response = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
      signal: withTimeout(signal),
    });
    value = response.status === 204 ? null : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: "The API does not answer; try again in a moment." });
  }
  if (response.status === 401) throw handleSignedOut();
  if (!response.ok) throw new Problem(response.status, value);
  return { value, etag: response.headers.get("ETag") };
}
