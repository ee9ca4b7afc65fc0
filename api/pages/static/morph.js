// In-place update of the DOM: only what differs is changed, so focus, selection and hover stay.

// Makes an element equal to another one; elements with data-keep are left alone.
export function morph(element, target) {
  if (element.isEqualNode(target) || "keep" in element.dataset) return;
  for (const name of element.getAttributeNames()) if (!target.hasAttribute(name)) element.removeAttribute(name);
  for (const name of target.getAttributeNames()) {
    if (element.getAttribute(name) !== target.getAttribute(name)) element.setAttribute(name, target.getAttribute(name));
  }
  if ("relative" in element.dataset) return; // times.js sets its text
  morphChildren(element, target);
}

function morphChildren(element, target) {
  const byId = new Map([...element.children].filter((child) => child.id).map((child) => [child.id, child]));
  const targetIds = new Set([...target.children].map((child) => child.id));
  for (const [id, child] of byId) if (!targetIds.has(id)) removeAndAdvance(child);
  let position = element.firstChild;
  for (const targetChild of [...target.childNodes]) {
    const match = targetChild.id ? byId.get(targetChild.id) : isSameKind(position, targetChild) ? position : null;
    if (!match) {
      element.insertBefore(document.importNode(targetChild, true), position);
      continue;
    }
    // Nodes without an id are removed rather than the match moved: an open dialog closes when it is moved.
    while (position && position !== match && !position.id) position = removeAndAdvance(position);
    if (match === position) position = position.nextSibling;
    else element.insertBefore(match, position);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, targetChild);
    else if (match.data !== targetChild.data) replaceText(match, targetChild.data);
  }
  while (position) position = removeAndAdvance(position);
}

// Removes a node, unless it is an open dialog, whose input would be lost. Returns the next sibling.
function removeAndAdvance(node) {
  const next = node.nextSibling;
  if (!node.open) node.remove();
  return next;
}

function isSameKind(node, other) {
  return node && !node.id && node.nodeType === other.nodeType && node.nodeName === other.nodeName;
}

function replaceText(node, data) {
  node.data = data;
  const cell = node.parentElement.closest("td");
  if (!cell) return;
  cell.classList.remove("changed");
  requestAnimationFrame(() => cell.classList.add("changed"));
}
