// Texts of the chart: legend, label for screen readers, values of a run.

import { formatDay, formatTime, formatTimestamp } from "./axes.js";

export const LEGEND_HINTS = ["times are in UTC", "drag to zoom"];
export const KEYBOARD_HINT = "Arrow keys go from run to run, plus and minus zoom, Escape shows all.";

// Returns phrases about the visible runs and their accuracies.
export function summarize(runs) {
  const accuracies = accuraciesOf(runs);
  const failed = runs.length - accuracies.length;
  const missed = runs.reduce((sum, run) => sum + run.missed, 0);
  const phrases = [`${runs.length} ${runs.length === 1 ? "run" : "runs"}`];
  if (accuracies.length) {
    phrases.push(`accuracy from ${percent(Math.min(...accuracies), 1)} to ${percent(Math.max(...accuracies), 1)}`);
  }
  if (failed) phrases.push(`✕ ${failed} without a figure`);
  if (missed) phrases.push(`shaded: ${missed} ${missed === 1 ? "moment" : "moments"} missed`);
  if (runs.length) phrases.push(`bars: up to ${Math.max(...runs.map((run) => run.samples))} samples`);
  return phrases;
}

export function accuraciesOf(runs) {
  return runs.filter((run) => run.accuracy !== null).map((run) => run.accuracy);
}

export function describeRun({ at, accuracy, samples, missed, error }) {
  const value = accuracy === null ? error ?? "no figure" : percent(accuracy, 2);
  const missedBefore = missed ? `, ${missed} missed before` : "";
  return `${formatTimestamp(at)}: ${value}, ${samples} samples${missedBefore}`;
}

export function describeRange([from, to]) {
  return `${formatDay(from)} ${formatTime(from)} to ${formatDay(to)} ${formatTime(to)}, UTC`;
}

function percent(fraction, digits) {
  return `${(100 * fraction).toFixed(digits)} %`;
}
