// Reloads the error page of an unavailable backend as soon as the backend is available again.

const RETRY_INTERVAL = 3000; // milliseconds

async function reloadIfAvailable() {
  const response = await fetch(location.href, { method: "HEAD", headers: { Accept: "text/html" } }).catch(() => null);
  if (response && response.status !== 503) location.reload();
}

if (document.body.dataset.problem === "503") setInterval(reloadIfAvailable, RETRY_INTERVAL);
