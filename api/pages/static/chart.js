// A chart of accuracy over time, in SVG: gaps at failed and missed runs, samples below, zoom, values by pointer and
// by keyboard.

import { percentAxis } from "./axes.js";
import {
  createPlot, drawAxes, drawBrush, drawLine, drawMessage, drawSamples, drawSelection,
} from "./chart_drawing.js";
import { clampRange, createScales, fullRange, HEIGHT, nearestIndex } from "./chart_geometry.js";
import { listenForKeys, listenForPointer } from "./chart_input.js";
import { accuraciesOf, describeRange, describeRun, KEYBOARD_HINT, LEGEND_HINTS, summarize } from "./chart_text.js";
import { createHtml, createSvg } from "./elements.js";

const RANGES = [["1 h", 3_600_000], ["24 h", 86_400_000], ["7 days", 604_800_000], ["30 days", 2_592_000_000]];

export class Chart {
  #runs = []; // { at, accuracy, samples, missed, error }, the oldest first
  #range = null; // visible range as [from, to] in epoch ms; null shows all
  #selected = null; // index of a run
  #scales = null; // of the last drawing with runs
  #tools; #output; #svg; #overlay; #legend;

  constructor(container) {
    this.#tools = createHtml("div", { className: "chart-tools" }, container);
    this.#output = createHtml("output", {}, this.#tools);
    this.#svg = createSvg("svg", { tabindex: 0, role: "application", "aria-roledescription": "chart" }, container);
    this.#legend = createHtml("p", { className: "legend" }, container);
    listenForPointer(this.#svg, this);
    listenForKeys(this.#svg, this);
    new ResizeObserver(() => this.#draw()).observe(container);
  }

  showMessage(text) {
    this.#legend.textContent = text;
  }

  // Shows runs, as rows of GET /models/<id>/chart.
  showRuns(rows) {
    const selectedAt = this.#runs[this.#selected]?.at;
    const previousNewest = this.#runs.at(-1)?.at;
    this.#runs = rows.map(([at, accuracy, samples, , missed, error]) => ({ at, accuracy, samples, missed, error }));
    this.#selected = selectedAt === undefined ? null : nearestIndex(this.#runs, selectedAt);
    const elapsed = this.#runs.at(-1)?.at - previousNewest;
    // A range that ends at the newest run moves with it.
    if (elapsed && this.#range?.[1] >= previousNewest) this.#range = this.#range.map((at) => at + elapsed);
    this.#updateButtons();
    this.#draw();
  }

  isEmpty() {
    return !this.#runs.length;
  }

  selectAt(pixel) {
    this.#select(nearestIndex(this.#runs, this.#scales.timeAt(pixel)));
  }

  deselect() {
    this.#select(null);
  }

  brush(left, right) {
    drawBrush(this.#overlay, left, right);
  }

  clearBrush() {
    this.#drawOverlay();
  }

  showAll() {
    this.#setRange(null);
  }

  zoomToPixels(left, right) {
    this.#setRange([this.#scales.timeAt(left), this.#scales.timeAt(right)]);
  }

  zoomAround(pixel, factor) {
    this.#zoom(this.#scales.timeAt(pixel), factor);
  }

  zoomAroundSelection(factor) {
    this.#zoom((this.#runs[this.#selected] ?? this.#runs.at(-1)).at, factor);
  }

  // Selects another run, and centers it if it is not visible.
  moveSelection(offset) {
    this.#select((this.#selected ?? this.#runs.length) + offset);
    const { at } = this.#runs[this.#selected];
    if (!this.#range || (at >= this.#range[0] && at <= this.#range[1])) return;
    const half = (this.#range[1] - this.#range[0]) / 2;
    this.#setRange([at - half, at + half]);
  }

  #select(index) {
    this.#selected = index === null ? null : Math.min(Math.max(index, 0), this.#runs.length - 1);
    this.#drawOverlay();
  }

  #zoom(center, factor) {
    const [from, to] = this.#range ?? fullRange(this.#runs);
    this.#setRange([center - (center - from) * factor, center + (to - center) * factor]);
  }

  #setRange(range) {
    if (this.isEmpty()) return;
    this.#range = range && clampRange(range, fullRange(this.#runs));
    this.#updateButtons();
    this.#draw();
  }

  #updateButtons() {
    const focused = this.#tools.contains(document.activeElement) && document.activeElement.textContent;
    this.#tools.querySelectorAll("button").forEach((button) => button.remove());
    if (this.isEmpty()) return;
    const [first, last] = fullRange(this.#runs);
    const newest = this.#runs.at(-1).at;
    const addButton = (text, isPressed, action) => {
      const button = createHtml("button", { type: "button", className: "chip", textContent: text }, this.#tools);
      button.setAttribute("aria-pressed", isPressed);
      button.addEventListener("click", action);
      this.#output.before(button);
      if (text === focused) button.focus();
    };
    const visible = this.#range && this.#range[1] - this.#range[0];
    addButton("All", !this.#range, () => this.showAll());
    for (const [text, size] of RANGES.filter(([, size]) => size < last - first)) {
      const isPressed = Math.abs(visible - size) < 1000;
      addButton(text, isPressed, () => this.#setRange([newest - 0.98 * size, newest + 0.02 * size]));
    }
  }

  #draw() {
    const width = this.#svg.clientWidth;
    this.#svg.replaceChildren();
    if (!width) return;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    if (this.isEmpty()) {
      this.#svg.setAttribute("aria-label", "Accuracy over time: there is no run yet.");
      drawMessage(this.#svg, width, "There is no run yet.");
      return;
    }
    const range = this.#range ?? fullRange(this.#runs);
    const visibleRuns = this.#runs.filter((run) => run.at >= range[0] && run.at <= range[1]);
    const axis = percentAxis(accuraciesOf(visibleRuns));
    this.#scales = createScales(range, axis, width);
    drawAxes(this.#svg, axis, range, this.#scales);
    const plot = createPlot(this.#svg, this.#scales);
    drawSamples(plot, visibleRuns, this.#scales);
    drawLine(plot, this.#runs, visibleRuns.length, this.#scales);
    this.#overlay = createSvg("g", {}, plot);
    this.#describe(visibleRuns);
    this.#drawOverlay();
  }

  #describe(visibleRuns) {
    const summary = summarize(visibleRuns);
    this.#legend.textContent = "";
    for (const phrase of [...summary, ...LEGEND_HINTS]) createHtml("span", { textContent: phrase }, this.#legend);
    this.#svg.setAttribute("aria-label", `Accuracy over time: ${summary.join(", ")}. ${KEYBOARD_HINT}`);
  }

  // Shows the selected run, or the visible range if none is selected.
  #drawOverlay() {
    this.#overlay?.replaceChildren();
    const run = this.#runs[this.#selected];
    if (!run || !this.#scales) {
      this.#output.textContent = this.#range ? describeRange(this.#range) : "";
      return;
    }
    drawSelection(this.#overlay, run, this.#scales);
    this.#output.textContent = describeRun(run);
  }
}
