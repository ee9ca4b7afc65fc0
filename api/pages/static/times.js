// Times as distances from now, by the clock of PostgreSQL; how far this machine's is off is known from each answer.

const UNITS = [["s", 1], ["min", 60], ["h", 3600], ["days", 86400]];
let offset = 0; // milliseconds

// Learns the time from an answer to a page's request.
export function learn(headers) {
  const now = headers.get("X-Schedule-Now");
  if (now) offset = Date.parse(now) - Date.now();
}

function relative(instant) {
  const seconds = (instant - Date.now() - offset) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 1) return "now";
  const [unit, size] = UNITS.findLast(([, size]) => distance >= 1.5 * size) ?? UNITS[0];
  const count = Math.round(distance / size);
  return seconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

export function tell() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = relative(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

export function keepTelling() {
  tell();
  setInterval(() => document.hidden || tell(), 1000);
}
