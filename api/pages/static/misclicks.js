// Detection of misclicks: the layout changes under the pointer, and a click hits another button than intended.

const REACTION_TIME = 600; // milliseconds; also longer than between the clicks of a double click
let snapshots = []; // of the buttons and links, as they were before recent changes of the page

// Takes a snapshot; call it before buttons move, appear, or disappear.
export function beforeChange() {
  const targets = [...document.querySelectorAll("a, button")];
  const boxes = targets.map((target) => [target, target.getBoundingClientRect()]);
  snapshots = [...snapshots.filter(isRecent), { takenAt: performance.now(), boxes }];
}

// Returns true if another button or link was recently at the position of a click.
export function isMisclick(event, button) {
  if (!event.detail) return false; // by keyboard: the focus does not change with the layout
  return snapshots
    .filter(isRecent)
    .some(({ boxes }) => boxes.some(([target, box]) => target !== button && contains(box, event)));
}

function isRecent({ takenAt }) {
  return performance.now() - takenAt < REACTION_TIME;
}

function contains({ left, right, top, bottom }, { clientX, clientY }) {
  return left <= clientX && clientX < right && top <= clientY && clientY < bottom;
}
