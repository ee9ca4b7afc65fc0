import * as actions from "./actions.js";
import { call } from "./api.js";
import { Chart } from "./chart.js";
import * as dialog from "./dialog.js";
import { keepUpToDate, onChange } from "./live.js";

const place = document.querySelector("#chart");
const chart = new Chart(place);
let drawn = null; // the newest run in the chart

async function draw() {
  const latest = document.querySelector("#chart-latest").textContent;
  if (latest === drawn) return;
  try {
    const { value } = await call("GET", place.dataset.source);
    chart.show(value);
    drawn = latest;
  } catch (problem) {
    chart.say(problem.message);
  }
}

actions.listen();
dialog.listen();
onChange(draw);
draw();
keepUpToDate();
