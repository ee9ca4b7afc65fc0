import * as actions from "./actions.js";
import { call } from "./api.js";
import { Chart } from "./chart.js";
import * as dialog from "./dialog.js";
import { keepUpToDate, onAnswer } from "./live.js";

const place = document.querySelector("#chart");
const chart = new Chart(place);
let drawn = null; // the newest run in the chart, or on its way there

async function draw() {
  const latest = document.querySelector("#chart-latest").textContent;
  if (latest === drawn) return;
  drawn = latest;
  try {
    const { value } = await call("GET", place.dataset.source);
    if (drawn === latest) chart.show(value); // a later answer may come first
  } catch (problem) {
    if (drawn !== latest) return;
    drawn = null; // again after the next answer
    chart.say(problem.message);
  }
}

actions.listen();
dialog.listen();
onAnswer(draw);
draw();
keepUpToDate();
