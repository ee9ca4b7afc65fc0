// Geometry of the chart: sizes, scales, and the visible range of time.

export const HEIGHT = 280; // pixels, as in style.css
export const MARGIN = { left: 52, right: 14, top: 10, bottom: 22 };
export const SAMPLES_HEIGHT = 36; // pixels, of the bars below the line
export const BASELINE = HEIGHT - MARGIN.bottom;
export const PLOT_BOTTOM = BASELINE - SAMPLES_HEIGHT;
const MIN_RANGE = 120_000; // milliseconds that are visible at the closest zoom

// Linear scales: x and y map values to pixels, timeAt maps back.
export function createScales([from, to], axis, width) {
  const plotWidth = width - MARGIN.left - MARGIN.right;
  return {
    plotWidth,
    x: (at) => MARGIN.left + ((at - from) / (to - from)) * plotWidth,
    y: (value) => PLOT_BOTTOM - ((value - axis.low) / (axis.high - axis.low)) * (PLOT_BOTTOM - MARGIN.top),
    timeAt: (pixel) => from + ((pixel - MARGIN.left) / plotWidth) * (to - from),
  };
}

// Returns the range of all runs, with padding.
export function fullRange(runs) {
  const first = runs[0].at;
  const last = runs.at(-1).at;
  const padding = Math.max((last - first) * 0.02, MIN_RANGE / 4);
  return [first - padding, last + padding];
}

// Returns a range within that of all runs, and of the minimum size at least; null if it includes all runs.
export function clampRange([from, to], [first, last]) {
  const size = Math.max(to - from, MIN_RANGE);
  const start = Math.min(Math.max(from, first), Math.max(first, last - size));
  return size >= last - first ? null : [start, start + size];
}

// Returns the index of the run that is nearest to a time.
export function nearestIndex(runs, at) {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle].at < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - runs[low - 1].at < runs[low].at - at ? low - 1 : low;
}
