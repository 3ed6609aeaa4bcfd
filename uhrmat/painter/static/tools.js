/* Mouse, pen, touch and keys on the picture: strokes, points, moving, zooming. */

export const TOOLS = { k: "keep", x: "remove", u: "unknown", e: "eraser" };
const LEAST = 0.5, MOST = 2000, STEP = 1.25, CLICK = 4;

export class Tools {
  /* send: takes a stroke; click: takes a point and whether the subject is there. */
  constructor(view, send, click) {
    Object.assign(this, { view, send, click, tool: "keep", shape: "brush", radius: 0, stroke: null, panning: null, pointing: null,
      space: false });
    this.pointers = new Map();
    this.onchange = () => {};
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancelPointer(event));
    canvas.addEventListener("pointerleave", () => { if (!this.stroke) this.hideCursor(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => { if (this.drawn()) this.closeFill(); });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keyup", (event) => { if (event.key === " ") this.space = false; });
    canvas.addEventListener("blur", () => { this.space = false; });
  }

  /* Points are of the subject or of the background: there are none of the other tools. */
  setTool(tool) {
    this.tool = tool;
    if (this.shape === "point" && tool !== "keep" && tool !== "remove") this.shape = "brush";
    this.onchange();
  }

  setShape(shape) {
    this.cancel();
    this.shape = shape;
    if (shape === "point" && this.tool !== "remove") this.tool = "keep";
    this.onchange();
  }

  /* Whether the shape is one that is closed: a lasso or an outline. */
  drawn() { return this.shape === "fill" || this.shape === "outline"; }

  /* A point of the tool's side; of the other one with `other`. */
  place({ x, y }, other) {
    if (x < 0 || y < 0 || x >= this.view.width || y >= this.view.height) return;
    this.click(x, y, (this.tool === "keep") !== other);
  }

  setRadius(radius) {
    this.radius = Math.min(MOST, Math.max(LEAST, radius));
    if (this.view.cursor) this.view.cursor.radius = this.radius;
    this.view.redraw();
    this.onchange();
  }

  point(event) {
    const box = this.view.canvas.getBoundingClientRect(), { dense } = this.view;
    return { x: (event.clientX - box.left) * dense, y: (event.clientY - box.top) * dense };
  }

  hideCursor() { this.view.cursor = null; this.view.redraw(); }

  setCursor(x, y, keys = false) {
    this.view.cursor = { x, y, radius: this.radius, shape: this.shape, keys };
    this.view.redraw();
  }

  /* ------------------------------------------------------------------------------------------- mouse, pen and touch */
  down(event) {
    event.preventDefault();
    this.view.canvas.focus({ preventScroll: true });
    this.view.canvas.setPointerCapture(event.pointerId);
    const at = this.point(event), { x, y } = this.view.toPicture(at.x, at.y);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) { // two fingers move and zoom; what the first has begun was no stroke
      this.cancelStroke();
      this.pointing = null;
      return;
    }
    if (event.button === 1 || event.button === 2 || this.space) {
      this.panning = event.pointerId;
      return;
    }
    this.setCursor(x, y);
    this.corner = at;
    if (this.shape === "point") {
      this.pointing = event.pointerId;
      return;
    }
    const tool = event.buttons & 32 ? "eraser" : this.tool; // a pen's other end
    if (this.drawn() && this.stroke) { // one more corner
      this.add(x, y, true);
      return;
    }
    this.begin(x, y, tool);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId), at = this.point(event);
    const { x, y } = this.view.toPicture(at.x, at.y);
    if (event.pointerType !== "touch") this.setCursor(x, y);
    if (!before) return;
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, at);
    else if (this.panning === event.pointerId) this.view.panBy(at.x - before.x, at.y - before.y);
    else if (this.stroke) {
      for (const step of event.getCoalescedEvents?.() || [event]) {
        const fine = this.point(step), place = this.view.toPicture(fine.x, fine.y);
        this.add(place.x, place.y);
      }
    }
    this.pointers.set(event.pointerId, at);
  }

  up(event) {
    const at = this.point(event), alone = this.pointers.size === 1;
    this.pointers.delete(event.pointerId);
    if (this.panning === event.pointerId) { this.panning = null; return; }
    const far = Math.hypot(at.x - this.corner?.x, at.y - this.corner?.y) > CLICK * this.view.dense;
    if (this.pointing === event.pointerId) {
      this.pointing = null;
      if (!far) this.place(this.view.toPicture(at.x, at.y), event.shiftKey || event.altKey || event.ctrlKey);
      return;
    }
    if (!this.stroke || !alone) return;
    if (this.shape === "brush") { this.finish(); return; }
    if (this.stroke.free && (far || this.stroke.points.length > 8)) this.closeFill(); // a lasso; else one more corner
    else if (this.nearFirst()) this.closeFill();
  }

  cancelPointer(event) {
    this.pointers.delete(event.pointerId);
    this.panning = this.pointing = null;
    this.cancelStroke();
  }

  pinch(id, before, at) {
    const [, other] = [...this.pointers].find(([key]) => key !== id);
    const far = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
    this.view.zoomTo((this.view.zoom * far(at)) / far(before), (at.x + other.x) / 2, (at.y + other.y) / 2);
    this.view.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  wheel(event) {
    event.preventDefault();
    const at = this.point(event), turn = Math.exp(-event.deltaY * 0.0015);
    if (event.ctrlKey || event.altKey || event.shiftKey) this.setRadius(this.radius * (turn > 1 ? STEP : 1 / STEP));
    else this.view.zoomTo(this.view.zoom * turn, at.x, at.y);
  }

  /* -------------------------------------------------------------------------------------------------------- strokes */
  begin(x, y, tool = this.tool) {
    this.stroke = { tool, shape: this.shape, radius: this.radius, points: [[x, y]], free: false };
    this.view.pending.push(this.stroke);
    this.view.redraw();
  }

  /* One more point, unless it is nearer to the last than would show. corner: of an outline that is clicked. */
  add(x, y, corner = false) {
    const { points } = this.stroke, [lastX, lastY] = points[points.length - 1];
    const least = Math.max(0.5 / this.view.zoom, this.shape === "brush" ? this.radius / 8 : 0);
    if (!corner && Math.hypot(x - lastX, y - lastY) < least) return;
    if (this.shape !== "brush" && !corner) this.stroke.free = true;
    points.push([x, y]);
    this.view.redraw();
  }

  nearFirst() {
    const { points } = this.stroke, [[x0, y0]] = points, [x1, y1] = points[points.length - 1];
    return points.length > 3 && Math.hypot(x1 - x0, y1 - y0) * this.view.zoom < 10 * this.view.dense;
  }

  finish() {
    const { stroke } = this;
    this.stroke = null;
    this.send(stroke);
  }

  closeFill() {
    if (!this.stroke) return;
    if (this.stroke.points.length < 3) this.cancelStroke();
    else this.finish();
  }

  cancelStroke() {
    if (!this.stroke) return;
    this.view.pending = this.view.pending.filter((other) => other !== this.stroke);
    this.stroke = null;
    this.view.redraw();
  }

  cancel() { this.cancelStroke(); }

  /* ----------------------------------------------------------------------------------------------------------- keys */
  /* Whether a key was one of the picture's. */
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (steps && (event.ctrlKey || event.metaKey)) {
      const far = 80 * this.view.dense;
      this.view.panBy(-steps[0] * far, -steps[1] * far);
    } else if (steps) this.step(steps, event.shiftKey);
    else if (event.key === "Enter") this.pen(event.shiftKey);
    else if (event.key === "Escape") this.cancel();
    else if (event.key === " ") this.space = true;
    else if (event.key === "[") this.setRadius(this.radius / STEP);
    else if (event.key === "]") this.setRadius(this.radius * STEP);
    else if (event.key in TOOLS && !event.ctrlKey && !event.metaKey) this.setTool(TOOLS[event.key]);
    else if (event.key === "b") this.setShape("brush");
    else if (event.key === "l") this.setShape("fill");
    else if (event.key === "d") this.setShape("outline");
    else if (event.key === "m") this.setShape("point");
    else return false;
    return true;
  }

  step([dx, dy], single) {
    const { view } = this, far = single ? 1 : Math.max(1, this.radius / 2, 8 / view.zoom);
    const from = view.cursor || { x: Math.floor(view.x) + 0.5, y: Math.floor(view.y) + 0.5 };
    const x = Math.min(view.width, Math.max(0, from.x + dx * far)), y = Math.min(view.height, Math.max(0, from.y + dy * far));
    this.setCursor(x, y, true);
    if (this.stroke && this.shape === "brush") this.add(x, y, true);
    const at = view.toCanvas(x, y), edge = 30 * view.dense;
    if (at.x < edge || at.y < edge || at.x > view.canvas.width - edge || at.y > view.canvas.height - edge) view.moveTo(x, y);
  }

  /* Pen down and up; of an outline: one more corner, and the same corner twice closes it; a point, with `other` of the other side. */
  pen(other) {
    const { view } = this;
    if (!view.cursor) this.setCursor(Math.floor(view.x) + 0.5, Math.floor(view.y) + 0.5, true);
    const { x, y } = view.cursor;
    if (this.shape === "point") this.place(view.cursor, other);
    else if (!this.stroke) this.begin(x, y);
    else if (this.shape === "brush") this.finish();
    else {
      const [lastX, lastY] = this.stroke.points[this.stroke.points.length - 1];
      if (lastX === x && lastY === y) this.closeFill();
      else this.add(x, y, true);
    }
  }
}
