// Creation of DOM elements.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

export function createSvg(name, attributes = {}, parent = null, text = "") {
  const element = document.createElementNS(SVG_NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent?.append(element);
  return element;
}

export function createHtml(name, properties, parent) {
  const element = Object.assign(document.createElement(name), properties);
  parent.append(element);
  return element;
}
