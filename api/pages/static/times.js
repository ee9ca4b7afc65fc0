// Relative times by the clock of PostgreSQL; each response has its time, from which the offset of the local one follows.

const UNITS = [["s", 1], ["min", 60], ["h", 3600], ["days", 86400]];
const TICK_INTERVAL = 1000; // milliseconds
let offset = 0; // milliseconds

export function syncClock(headers) {
  const now = headers.get("X-Schedule-Now");
  if (now) offset = Date.parse(now) - Date.now();
}

export function renderRelativeTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = formatRelative(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

export function startTicking() {
  renderRelativeTimes();
  setInterval(() => document.hidden || renderRelativeTimes(), TICK_INTERVAL);
}

function formatRelative(timestamp) {
  const seconds = (timestamp - Date.now() - offset) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 1) return "now";
  const [unit, size] = UNITS.findLast(([, size]) => distance >= 1.5 * size) ?? UNITS[0];
  const count = Math.round(distance / size);
  return seconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}
