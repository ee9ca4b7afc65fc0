// Pointer, wheel and keyboard input of the chart, as calls of a controller.

const MIN_DRAG = 6; // pixels; less is a click
const ZOOM_OUT = 1.25; // per step of the wheel
const ZOOM_IN = 0.8;

export function listenForPointer(svg, controller) {
  let dragStart = null; // pixel
  const pixelOf = (event) => event.clientX - svg.getBoundingClientRect().left;
  const isDrag = (pixel) => dragStart !== null && Math.abs(pixel - dragStart) >= MIN_DRAG;
  const sorted = (pixel) => [Math.min(dragStart, pixel), Math.max(dragStart, pixel)];
  svg.addEventListener("pointerdown", (event) => {
    if (controller.isEmpty() || event.button) return;
    dragStart = pixelOf(event);
    svg.setPointerCapture(event.pointerId);
    controller.selectAt(dragStart); // touch sends no pointermove before it
  });
  svg.addEventListener("pointermove", (event) => {
    if (controller.isEmpty()) return;
    const pixel = pixelOf(event);
    controller.selectAt(pixel);
    if (isDrag(pixel)) controller.brush(...sorted(pixel));
  });
  svg.addEventListener("pointerup", (event) => {
    const pixel = pixelOf(event);
    if (isDrag(pixel)) controller.zoomToPixels(...sorted(pixel));
    dragStart = null;
  });
  svg.addEventListener("pointercancel", () => {
    dragStart = null;
    controller.clearBrush();
  });
  svg.addEventListener("pointerleave", (event) => {
    if (dragStart === null && event.pointerType === "mouse") controller.deselect(); // after touch, the values stay
  });
  svg.addEventListener("dblclick", () => controller.showAll());
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || controller.isEmpty()) return; // without Ctrl, it scrolls the page
    event.preventDefault();
    controller.zoomAround(pixelOf(event), event.deltaY > 0 ? ZOOM_OUT : ZOOM_IN);
  }, { passive: false });
}

export function listenForKeys(svg, controller) {
  const actions = {
    ArrowLeft: (event) => controller.moveSelection(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => controller.moveSelection(event.shiftKey ? 10 : 1),
    Home: () => controller.moveSelection(-Infinity),
    End: () => controller.moveSelection(Infinity),
    "+": () => controller.zoomAroundSelection(0.5),
    "-": () => controller.zoomAroundSelection(2),
    Escape: () => controller.showAll(),
  };
  svg.addEventListener("keydown", (event) => {
    if (controller.isEmpty() || event.altKey || event.ctrlKey || event.metaKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key](event);
  });
}
