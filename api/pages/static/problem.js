// A server was away when the page was asked for: it shows itself once that is back.

const EVERY = 3000; // milliseconds

async function look() {
  const answer = await fetch(location.href, { method: "HEAD", headers: { Accept: "text/html" } }).catch(() => null);
  if (answer && answer.status !== 503) location.reload();
}

if (document.body.dataset.problem === "503") setInterval(look, EVERY);
