// Drawing of the chart's parts in SVG.

import { timeTicks } from "./axes.js";
import { BASELINE, HEIGHT, MARGIN, PLOT_BOTTOM, SAMPLES_HEIGHT } from "./chart_geometry.js";
import { createSvg } from "./elements.js";

const MAX_DOTS = 150;
const PLOT_AREA = "plot-area"; // id of the clip path

export function drawMessage(svg, width, text) {
  createSvg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, svg, text);
}

export function drawAxes(svg, axis, [from, to], { x, y, plotWidth }) {
  const [left, right] = [MARGIN.left, MARGIN.left + plotWidth];
  for (const { value, text } of axis.ticks) {
    createSvg("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }, svg);
    createSvg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, svg, text);
  }
  for (const { at, text } of timeTicks(from, to, plotWidth)) {
    createSvg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, svg, text);
  }
}

// Returns the group of everything that is clipped at the axes.
export function createPlot(svg, { plotWidth }) {
  const clipPath = createSvg("clipPath", { id: PLOT_AREA }, svg);
  createSvg("rect", { x: MARGIN.left, y: 0, width: plotWidth, height: HEIGHT }, clipPath);
  return createSvg("g", { "clip-path": `url(#${PLOT_AREA})` }, svg);
}

export function drawSamples(plot, visibleRuns, { x, plotWidth }) {
  const maxSamples = Math.max(1, ...visibleRuns.map((run) => run.samples));
  const width = Math.max(1, Math.min(14, (plotWidth / visibleRuns.length) * 0.7));
  for (const run of visibleRuns) {
    const height = (run.samples / maxSamples) * (SAMPLES_HEIGHT - 8);
    createSvg("rect", { class: "samples", x: x(run.at) - width / 2, y: BASELINE - height, width, height }, plot);
  }
  createSvg("line", { class: "grid", x1: 0, x2: 1e5, y1: BASELINE, y2: BASELINE }, plot);
}

// Draws the accuracy, with gaps at failed runs (a cross) and missed due times (shaded).
export function drawLine(plot, runs, visibleCount, { x, y }) {
  let path = "";
  let previous = null;
  for (const run of runs) {
    if (run.missed && previous) drawMissed(plot, x(previous.at), x(run.at));
    if (run.accuracy === null) {
      createSvg("path", { class: "failed", d: `M${x(run.at) - 4} ${PLOT_BOTTOM - 10}l8 8m0 -8l-8 8` }, plot);
    } else {
      const isConnected = previous && previous.accuracy !== null && !run.missed;
      path += `${isConnected ? "L" : "M"}${x(run.at).toFixed(1)} ${y(run.accuracy).toFixed(1)}`;
      if (visibleCount <= MAX_DOTS || !isConnected) {
        createSvg("circle", { class: "dot", cx: x(run.at), cy: y(run.accuracy), r: 2.2 }, plot);
      }
    }
    previous = run;
  }
  createSvg("path", { class: "line", d: path }, plot);
}

function drawMissed(plot, left, right) {
  const area = { x: left, y: MARGIN.top, width: right - left, height: PLOT_BOTTOM - MARGIN.top };
  createSvg("rect", { class: "missed", ...area }, plot);
}

export function drawSelection(overlay, run, { x, y }) {
  const at = x(run.at);
  createSvg("line", { class: "crosshair", x1: at, x2: at, y1: 0, y2: BASELINE }, overlay);
  if (run.accuracy !== null) createSvg("circle", { class: "selected", cx: at, cy: y(run.accuracy), r: 4 }, overlay);
}

// Draws the range that a drag selects.
export function drawBrush(overlay, left, right) {
  createSvg("rect", { class: "brush", x: left, y: 0, width: right - left, height: BASELINE }, overlay);
}
