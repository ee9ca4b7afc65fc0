// A chart of accuracy over time, in SVG: gaps where a run failed or was missed, samples below, zoom, values by pointer
// and by keyboard.

import { axisOfFractions, axisOfTime, day, instant, time } from "./axes.js";

const HEIGHT = 280; // pixels, as in the style
const MARGIN = { left: 52, right: 14, top: 10, bottom: 22 };
const SAMPLES = 36; // pixels, of the strip below the line
const FEWEST_MS = 120_000; // the closest look there is
const MOST_DOTS = 150;
const CLICK = 6; // pixels; a shorter drag is none
const RANGES = [["1 h", 3_600_000], ["24 h", 86_400_000], ["7 days", 604_800_000], ["30 days", 2_592_000_000]];
const KEYS = "Arrow keys go from run to run, plus and minus zoom, Escape shows all.";

function svg(name, attributes = {}, parent = null, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

function html(name, attributes, parent) {
  const made = Object.assign(document.createElement(name), attributes);
  parent.append(made);
  return made;
}

export class Chart {
  #runs = []; // { at, accuracy, samples, missed, error }, the oldest first
  #view = null; // [from, to] in epoch ms; null shows all
  #chosen = null; // the index of a run
  #place; #tools; #output; #svg; #overlay; #legend; #x; #y;

  constructor(place) {
    this.#place = place;
    this.#tools = html("div", { className: "chart-tools" }, place);
    this.#output = html("output", {}, this.#tools);
    this.#svg = svg("svg", { tabindex: 0, role: "application", "aria-roledescription": "chart" });
    this.#legend = html("p", { className: "legend" }, place);
    place.insertBefore(this.#svg, this.#legend);
    this.#listen();
    new ResizeObserver(() => this.#draw()).observe(place);
  }

  say(text) {
    this.#legend.textContent = text;
  }

  show(rows) {
    const chosen = this.#runs[this.#chosen]?.at;
    const before = this.#runs.at(-1)?.at;
    this.#runs = rows.map(([at, accuracy, samples, , missed, error]) => ({ at, accuracy, samples, missed, error }));
    this.#chosen = chosen === undefined ? null : this.#nearest(chosen);
    const passed = this.#runs.at(-1)?.at - before;
    // Who looks at the last hour goes on to do so.
    if (passed && this.#view?.[1] >= before) this.#view = this.#view.map((at) => at + passed);
    this.#offerRanges();
    this.#draw();
  }

  get #all() {
    const first = this.#runs[0].at;
    const last = this.#runs.at(-1).at;
    const room = Math.max((last - first) * 0.02, FEWEST_MS / 4);
    return [first - room, last + room];
  }

  #zoom(view) {
    if (!this.#runs.length) return;
    const [first, last] = this.#all;
    if (view) {
      const width = Math.max(view[1] - view[0], FEWEST_MS);
      const from = Math.min(Math.max(view[0], first), Math.max(first, last - width));
      view = width >= last - first ? null : [from, from + width];
    }
    this.#view = view;
    this.#offerRanges();
    this.#draw();
  }

  #zoomBy(factor, around) {
    const [from, to] = this.#view ?? this.#all;
    this.#zoom([around - (around - from) * factor, around + (to - around) * factor]);
  }

  #offerRanges() {
    const focused = this.#tools.contains(document.activeElement) && document.activeElement.textContent;
    this.#tools.querySelectorAll("button").forEach((button) => button.remove());
    if (!this.#runs.length) return;
    const [first, last] = this.#all;
    const ranges = RANGES.filter(([, width]) => width < last - first);
    const newest = this.#runs.at(-1).at;
    const offer = (text, pressed, action) => {
      const button = html("button", { type: "button", className: "chip", textContent: text }, this.#tools);
      button.setAttribute("aria-pressed", pressed);
      button.addEventListener("click", action);
      this.#output.before(button);
      if (text === focused) button.focus();
    };
    const width = this.#view && this.#view[1] - this.#view[0];
    offer("All", !this.#view, () => this.#zoom(null));
    for (const [text, size] of ranges) {
      offer(text, Math.abs(width - size) < 1000, () => this.#zoom([newest - 0.98 * size, newest + 0.02 * size]));
    }
  }

  #draw() {
    const width = this.#svg.clientWidth;
    this.#svg.replaceChildren();
    if (!width) return;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    if (!this.#runs.length) {
      this.#svg.setAttribute("aria-label", "Accuracy over time: there is no run yet.");
      svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, this.#svg, "There is no run yet.");
      return;
    }
    const [from, to] = this.#view ?? this.#all;
    const inner = width - MARGIN.left - MARGIN.right;
    const x = (at) => MARGIN.left + ((at - from) / (to - from)) * inner;
    this.#x = { of: x, at: (pixel) => from + ((pixel - MARGIN.left) / inner) * (to - from) };
    const seen = this.#runs.filter((run) => run.at >= from && run.at <= to);
    const bottom = HEIGHT - MARGIN.bottom - SAMPLES;
    const known = seen.filter((run) => run.accuracy !== null).map((run) => run.accuracy);
    const axis = axisOfFractions(known);
    const y = (value) => bottom - ((value - axis.low) / (axis.high - axis.low)) * (bottom - MARGIN.top);

    for (const { value, text } of axis.ticks) {
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }, this.#svg);
      svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, this.#svg, text);
    }
    for (const { at, text } of axisOfTime(from, to, inner)) {
      svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, this.#svg, text);
    }
    const id = "plot-area";
    svg("rect", { x: MARGIN.left, y: 0, width: inner, height: HEIGHT }, svg("clipPath", { id }, this.#svg));
    const plot = svg("g", { "clip-path": `url(#${id})` }, this.#svg);
    this.#drawSamples(plot, seen, x, inner);
    this.#drawLine(plot, x, y, bottom, seen.length <= MOST_DOTS);
    this.#overlay = svg("g", {}, plot);
    this.#y = y;
    this.#describe(seen, known);
    this.#mark();
  }

  #drawSamples(plot, seen, x, inner) {
    const base = HEIGHT - MARGIN.bottom;
    const most = Math.max(1, ...seen.map((run) => run.samples));
    const wide = Math.max(1, Math.min(14, (inner / seen.length) * 0.7));
    for (const run of seen) {
      const high = (run.samples / most) * (SAMPLES - 8);
      svg("rect", { class: "samples", x: x(run.at) - wide / 2, y: base - high, width: wide, height: high }, plot);
    }
    svg("line", { class: "grid", x1: 0, x2: 1e5, y1: base, y2: base }, plot);
  }

  #drawLine(plot, x, y, bottom, dots) {
    let path = "";
    let before = null;
    for (const run of this.#runs) {
      if (run.missed && before) {
        const [left, right] = [x(before.at), x(run.at)];
        svg("rect", { class: "missed", x: left, y: MARGIN.top, width: right - left, height: bottom - MARGIN.top }, plot);
      }
      if (run.accuracy === null) {
        const [cx, cy] = [x(run.at), bottom - 6];
        svg("path", { class: "failed", d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8` }, plot);
      } else {
        const goesOn = before && before.accuracy !== null && !run.missed;
        path += `${goesOn ? "L" : "M"}${x(run.at).toFixed(1)} ${y(run.accuracy).toFixed(1)}`;
        if (dots || !goesOn) svg("circle", { class: "dot", cx: x(run.at), cy: y(run.accuracy), r: 2.2 }, plot);
      }
      before = run;
    }
    svg("path", { class: "line", d: path }, plot);
  }

  #describe(seen, known) {
    const percent = (value) => `${(100 * value).toFixed(1)} %`;
    const failed = seen.length - known.length;
    const missed = seen.reduce((sum, run) => sum + run.missed, 0);
    const words = [`${seen.length} ${seen.length === 1 ? "run" : "runs"}`];
    if (known.length) words.push(`accuracy from ${percent(Math.min(...known))} to ${percent(Math.max(...known))}`);
    if (failed) words.push(`✕ ${failed} without a figure`);
    if (missed) words.push(`shaded: ${missed} ${missed === 1 ? "moment" : "moments"} missed`);
    if (seen.length) words.push(`bars: up to ${Math.max(...seen.map((run) => run.samples))} samples`);
    this.#legend.textContent = "";
    for (const word of [...words, "times are in UTC", "drag to zoom"]) html("span", { textContent: word }, this.#legend);
    this.#svg.setAttribute("aria-label", `Accuracy over time: ${words.join(", ")}. ${KEYS}`);
  }

  // The run that is looked at, or all that are seen.
  #mark() {
    this.#overlay?.replaceChildren();
    const run = this.#runs[this.#chosen];
    if (!run || !this.#x) {
      const ends = this.#view?.map((at) => `${day(at)} ${time(at)}`);
      this.#output.textContent = ends ? `${ends.join(" to ")}, UTC` : "";
      return;
    }
    const at = this.#x.of(run.at);
    svg("line", { class: "cursor", x1: at, x2: at, y1: 0, y2: HEIGHT - MARGIN.bottom }, this.#overlay);
    if (run.accuracy !== null) svg("circle", { class: "chosen", cx: at, cy: this.#y(run.accuracy), r: 4 }, this.#overlay);
    const value = run.accuracy === null ? run.error ?? "no figure" : `${(100 * run.accuracy).toFixed(2)} %`;
    const missed = run.missed ? `, ${run.missed} missed before` : "";
    this.#output.textContent = `${instant(run.at)}: ${value}, ${run.samples} samples${missed}`;
  }

  #choose(index) {
    this.#chosen = index === null ? null : Math.min(Math.max(index, 0), this.#runs.length - 1);
    this.#mark();
  }

  #nearest(at) {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#runs[middle].at < at) low = middle + 1;
      else high = middle;
    }
    return low > 0 && at - this.#runs[low - 1].at < this.#runs[low].at - at ? low - 1 : low;
  }

  #listen() {
    let began = null; // the pixel at which a drag began
    const pixel = (event) => event.clientX - this.#svg.getBoundingClientRect().left;
    this.#svg.addEventListener("pointerdown", (event) => {
      if (!this.#runs.length || event.button) return;
      began = pixel(event);
      this.#svg.setPointerCapture(event.pointerId);
      this.#choose(this.#nearest(this.#x.at(began))); // a finger comes without moving
    });
    this.#svg.addEventListener("pointermove", (event) => {
      if (!this.#runs.length) return;
      const here = pixel(event);
      this.#choose(this.#nearest(this.#x.at(here)));
      if (began === null || Math.abs(here - began) < CLICK) return;
      const [left, right] = [Math.min(began, here), Math.max(began, here)];
      svg("rect", { class: "brush", x: left, y: 0, width: right - left, height: HEIGHT - MARGIN.bottom }, this.#overlay);
    });
    this.#svg.addEventListener("pointerup", (event) => {
      const here = pixel(event);
      const dragged = began !== null && Math.abs(here - began) >= CLICK;
      if (dragged) this.#zoom([began, here].map((each) => this.#x.at(each)).sort((one, other) => one - other));
      began = null;
    });
    this.#svg.addEventListener("pointercancel", () => {
      began = null;
      this.#mark();
    });
    this.#svg.addEventListener("pointerleave", (event) => {
      if (began === null && event.pointerType === "mouse") this.#choose(null); // a finger leaves, and one reads
    });
    this.#svg.addEventListener("dblclick", () => this.#zoom(null));
    this.#svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey || !this.#runs.length) return; // alone, it scrolls the page
      event.preventDefault();
      this.#zoomBy(event.deltaY > 0 ? 1.25 : 0.8, this.#x.at(pixel(event)));
    }, { passive: false });
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (!this.#runs.length || event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.#runs.length - 1;
    const chosen = this.#chosen ?? last + 1;
    const go = (index) => {
      this.#choose(index);
      const { at } = this.#runs[this.#chosen];
      if (!this.#view || (at >= this.#view[0] && at <= this.#view[1])) return;
      const half = (this.#view[1] - this.#view[0]) / 2;
      this.#zoom([at - half, at + half]);
    };
    const around = () => this.#runs[this.#chosen ?? last].at;
    const actions = {
      ArrowLeft: () => go(chosen - (event.shiftKey ? 10 : 1)),
      ArrowRight: () => go(chosen + (event.shiftKey ? 10 : 1)),
      Home: () => go(0),
      End: () => go(last),
      "+": () => this.#zoomBy(0.5, around()),
      "-": () => this.#zoomBy(2, around()),
      Escape: () => this.#zoom(null),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}
