import * as actions from "./actions.js";
import { call } from "./api.js";
import { Chart } from "./chart.js";
import * as dialog from "./dialog.js";
import { keepUpToDate, onChange } from "./live.js";

const PAUSE = 2000; // milliseconds, after which a chart that could not be had is asked for again
const place = document.querySelector("#chart");
const chart = new Chart(place);
let drawn = null; // the newest run in the chart
let timer;

async function draw() {
  clearTimeout(timer);
  const latest = document.querySelector("#chart-latest").textContent;
  if (latest === drawn) return;
  try {
    const { value } = await call("GET", place.dataset.source);
    chart.show(value);
    drawn = latest;
  } catch (problem) {
    chart.say(problem.message);
    timer = setTimeout(draw, PAUSE); // the page may not change before the next run
  }
}

actions.listen();
dialog.listen();
onChange(draw);
draw();
keepUpToDate();
