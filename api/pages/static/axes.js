// Ticks of chart axes and their labels.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440, 365 * 1440,
].map((minutes) => minutes * MINUTE);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MIN_TICK_DISTANCE = 90; // pixels, on the time axis
const MIN_SPAN = 0.02; // of the scale: noise of a tenth of a percent must not fill the height

// Returns the scale of fractions from 0 to 1, with ticks as percentages.
export function percentAxis(values) {
  const min = values.length ? Math.min(...values) : 0;
  const max = values.length ? Math.max(...values) : 1;
  const padding = Math.max((max - min) * 0.1, (MIN_SPAN - (max - min)) / 2, 0.002);
  const [low, high] = [Math.max(0, min - padding), Math.min(1, max + padding)];
  const minStep = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(minStep));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= minStep);
  const digits = Math.max(0, -Math.floor(Math.log10(step * 100) + 1e-9));
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) {
    ticks.push({ value, text: `${(100 * value).toFixed(digits)} %` });
  }
  return { low, high, ticks };
}

// Returns ticks in UTC at round times. Midnights are labeled with their day; without any, the first tick has it too.
export function timeTicks(from, to, pixels) {
  const maxTicks = Math.max(2, pixels / MIN_TICK_DISTANCE);
  const step = STEPS.find((candidate) => (to - from) / candidate <= maxTicks) ?? STEPS.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    ticks.push({ at, text: step >= DAY || at % DAY === 0 ? formatDay(at) : formatTime(at) });
  }
  if (ticks.length && !ticks.some(({ at }) => at % DAY === 0)) {
    ticks[0].text = `${formatDay(ticks[0].at)}, ${ticks[0].text}`;
  }
  return ticks;
}

export function formatDay(at) {
  const date = new Date(at);
  const year = date.getUTCFullYear() === new Date().getUTCFullYear() ? "" : ` ${date.getUTCFullYear()}`;
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}${year}`;
}

export function formatTime(at) {
  return new Date(at).toISOString().slice(11, 16);
}

export function formatTimestamp(at) {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
