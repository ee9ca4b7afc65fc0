// Script of the model page.

import * as actions from "./actions.js";
import { call } from "./api.js";
import { Chart } from "./chart.js";
import * as dialog from "./dialog.js";
import { onRefresh, startRefreshing } from "./live.js";

const container = document.querySelector("#chart");
const chart = new Chart(container);
let loadedRun = null; // due time of the newest run that is in the chart, or being loaded

async function updateChart() {
  const latestRun = document.querySelector("#chart-latest").textContent;
  if (latestRun === loadedRun) return;
  loadedRun = latestRun;
  try {
    const { value } = await call("GET", container.dataset.source);
    if (loadedRun === latestRun) chart.showRuns(value); // responses may arrive out of order
  } catch (problem) {
    if (loadedRun !== latestRun) return;
    loadedRun = null; // retried at the next refresh
    chart.showMessage(problem.message);
  }
}

actions.listen();
dialog.listen();
onRefresh(updateChart);
updateChart();
startRefreshing();
