// Calls of the API.

const PATIENCE = 10_000; // milliseconds

// What the API says went wrong; status 0: it did not answer.
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

// Returns the Problem of a 401. The page reloads and asks for a token, unless something is typed in an open dialog.
export function signedOut() {
  if (!document.querySelector("dialog[open]")) location.reload();
  return new Problem(401, { detail: "Signed out. Sign in in another tab, then save." });
}

// Returns a signal that comes after a while, or with another one; AbortSignal.any is younger than browsers in use.
export function patient(signal) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), PATIENCE);
  signal?.addEventListener("abort", () => (clearTimeout(timer), limit.abort()));
  return limit.signal;
}

// Returns the body of the answer and its ETag; throws a Problem.
export async function call(method, path, { body, headers, signal } = {}) {
  let answer, value;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
      signal: patient(signal),
    });
    value = answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: "The API does not answer; try again in a moment." });
  }
  if (answer.status === 401) throw signedOut();
  if (!answer.ok) throw new Problem(answer.status, value);
  return { value, etag: answer.headers.get("ETag") };
}
