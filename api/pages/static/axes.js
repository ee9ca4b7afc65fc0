// Where the axes of a chart have their marks, and what is written there.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440, 365 * 1440,
].map((minutes) => minutes * MINUTE);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const CLOSEST = 90; // pixels between two marks of the time
const NARROWEST = 0.02; // of the scale: noise of a tenth of a percent is no mountain

// A scale for fractions from 0 to 1, as percentages.
export function axisOfFractions(values) {
  const low = values.length ? Math.min(...values) : 0;
  const high = values.length ? Math.max(...values) : 1;
  const room = Math.max((high - low) * 0.1, (NARROWEST - (high - low)) / 2, 0.002);
  const [from, to] = [Math.max(0, low - room), Math.min(1, high + room)];
  const rough = (to - from) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step * 100) + 1e-9));
  const ticks = [];
  for (let value = Math.ceil(from / step) * step; value <= to + 1e-9; value += step) {
    ticks.push({ value, text: `${(100 * value).toFixed(digits)} %` });
  }
  return { low: from, high: to, ticks };
}

// Marks in UTC at round times; where a day begins, the day is written; where none does, before the first time.
export function axisOfTime(from, to, pixels) {
  const most = Math.max(2, pixels / CLOSEST);
  const step = STEPS.find((each) => (to - from) / each <= most) ?? STEPS.at(-1);
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    marks.push({ at, text: step >= DAY || at % DAY === 0 ? day(at) : time(at) });
  }
  if (marks.length && !marks.some(({ at }) => at % DAY === 0)) marks[0].text = `${day(marks[0].at)}, ${marks[0].text}`;
  return marks;
}

export function day(at) {
  const date = new Date(at);
  const year = date.getUTCFullYear() === new Date().getUTCFullYear() ? "" : ` ${date.getUTCFullYear()}`;
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}${year}`;
}

export function time(at) {
  return new Date(at).toISOString().slice(11, 16);
}

export function instant(at) {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
