/* The picture on the canvas: tiles of each layer at the level that the zoom needs, with what is being painted over them. */

export const VIEWS = ["photo", "alpha", "composite"];
export const BACKGROUNDS = ["checker", "black", "white", "green"];
export const TINTS = { keep: "rgba(40,120,255,0.45)", remove: "rgba(255,120,0,0.45)", unknown: "rgba(150,150,150,0.5)",
  eraser: "rgba(255,255,255,0.35)" };
const TILE = 512, MOST = 40, KEPT = 240;

export class View {
  constructor(canvas, link) {
    Object.assign(this, { canvas, link, pen: canvas.getContext("2d"), width: 0, height: 0, levels: 1, zoom: 1, x: 0, y: 0 });
    Object.assign(this, { view: "composite", background: "checker", strokes: true, fitted: true, pending: [], points: [],
      cursor: null });
    this.versions = { photo: 0, strokes: 0, alpha: 0 };
    this.tiles = new Map();
    this.onchange = () => {};
    this.onerror = () => {};
    this.waiting = false;
    this.loading = 0;
    this.settled = [];
    this.turned = 0;
  }

  get dense() { return window.devicePixelRatio || 1; }

  open(width, height, levels) {
    Object.assign(this, { width, height, levels });
    this.resize();
  }

  resize() {
    if (this.canvas.clientWidth < 2 || this.canvas.clientHeight < 2) return;
    this.canvas.width = Math.round(this.canvas.clientWidth * this.dense);
    this.canvas.height = Math.round(this.canvas.clientHeight * this.dense);
    if (!this.width) return; // not opened yet
    if (this.fitted) this.fit();
    this.draw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  /* ------------------------------------------------------------------------------------------------- position, zoom */
  fitZoom() { return Math.min(this.canvas.width / this.width, this.canvas.height / this.height); }

  fit() {
    this.zoom = this.fitZoom();
    this.fitted = true;
    this.moveTo(this.width / 2, this.height / 2);
  }

  moveTo(x, y) {
    this.x = Math.min(this.width, Math.max(0, x));
    this.y = Math.min(this.height, Math.max(0, y));
    this.redraw();
    this.onchange();
  }

  /* Zoom so that the picture's point under (px, py), in device pixels, stays where it is. */
  zoomTo(zoom, px = this.canvas.width / 2, py = this.canvas.height / 2) {
    const at = this.toPicture(px, py);
    this.zoom = Math.min(MOST, Math.max(Math.min(1, this.fitZoom()) * 0.5, zoom));
    this.fitted = false;
    this.moveTo(at.x - (px - this.canvas.width / 2) / this.zoom, at.y - (py - this.canvas.height / 2) / this.zoom);
  }

  panBy(dx, dy) {
    this.fitted = false;
    this.moveTo(this.x - dx / this.zoom, this.y - dy / this.zoom);
  }

  toPicture(px, py) {
    return { x: this.x + (px - this.canvas.width / 2) / this.zoom, y: this.y + (py - this.canvas.height / 2) / this.zoom };
  }

  toCanvas(x, y) {
    return { x: (x - this.x) * this.zoom + this.canvas.width / 2, y: (y - this.y) * this.zoom + this.canvas.height / 2 };
  }

  /* The visible box in pixels of the picture. */
  box() {
    const a = this.toPicture(0, 0), b = this.toPicture(this.canvas.width, this.canvas.height);
    const within = (value, most) => Math.min(most, Math.max(0, value));
    return [within(Math.floor(a.x), this.width), within(Math.floor(a.y), this.height),
      within(Math.ceil(b.x), this.width), within(Math.ceil(b.y), this.height)];
  }

  /* ---------------------------------------------------------------------------------------------------------- tiles */
  level() { return Math.min(this.levels - 1, Math.max(0, Math.floor(Math.log2(1 / this.zoom) + 0.01))); }

  sizeOf(level) {
    let [w, h] = [this.width, this.height];
    for (let i = 0; i < level; i++) [w, h] = [Math.ceil(w / 2), Math.ceil(h / 2)];
    return [w, h];
  }

  visible() {
    const level = this.level(), side = TILE * 2 ** level, [x0, y0, x1, y1] = this.box(), places = [];
    for (let y = Math.floor(y0 / side); y * side < y1; y++) {
      for (let x = Math.floor(x0 / side); x * side < x1; x++) places.push({ level, x, y });
    }
    return places;
  }

  layers() {
    const shown = this.view === "alpha" ? ["alpha"] : this.view === "photo" ? ["photo"] : ["photo", "alpha"];
    return this.strokes ? [...shown, "strokes"] : shown;
  }

  /* A tile's bitmap, perhaps of an older version while the present one is fetched; undefined before the first. */
  tile(layer, { level, x, y }) {
    const name = `${layer}/${level}/${x}/${y}`, wanted = this.versions[layer];
    let tile = this.tiles.get(name);
    if (tile) this.tiles.delete(name); // to the end: the least recently used come first
    else tile = { version: -1, loading: false, bitmap: undefined };
    this.tiles.set(name, tile);
    if (tile.version < wanted && !tile.loading) {
      const { turned } = this;
      tile.loading = true;
      this.loading++;
      this.link.tile(layer, level, x, y).then((bitmap) => {
        if (turned !== this.turned) { bitmap.close(); return; } // of a frame that is no longer shown
        tile.bitmap?.close();
        Object.assign(tile, { bitmap, version: wanted, made: undefined });
      }, (error) => {
        if (turned !== this.turned) return;
        tile.version = wanted;
        this.onerror(error);
      }).finally(() => {
        if (turned === this.turned) tile.loading = false;
        this.loading--;
        this.redraw();
      });
    }
    return tile.bitmap;
  }

  trim() {
    for (const [name, tile] of this.tiles) {
      if (this.tiles.size <= KEPT) break;
      if (tile.loading) continue;
      tile.bitmap?.close();
      this.tiles.delete(name);
    }
  }

  /* Sets what is current; bitmaps of older versions are shown until the new ones are there. */
  update(versions) {
    document.documentElement.dataset.current = "false";
    for (const [layer, version] of Object.entries(versions)) this.versions[layer] = Math.max(this.versions[layer], version);
    this.redraw();
  }

  /* Shows another frame of the clip, of the same size: the tiles of the last one stay until its own are there. */
  turn() {
    this.turned++;
    this.pending = [];
    this.versions = { photo: 0, strokes: 0, alpha: 0 };
    for (const tile of this.tiles.values()) Object.assign(tile, { version: -1, loading: false });
    document.documentElement.dataset.current = "false";
    this.redraw();
  }

  /* When every visible tile shows the present versions. */
  whenCurrent() {
    return new Promise((resolve) => { this.settled.push(resolve); this.redraw(); });
  }

  /* -------------------------------------------------------------------------------------------------------- drawing */
  draw() {
    if (!this.width) return;
    const { pen, canvas } = this;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = this.zoom < 2;
    const top = { level: this.levels - 1, x: 0, y: 0 };
    const places = this.visible();
    for (const place of places) this.drawPlace(place, top);
    const current = places.every((place) => this.layers().every((layer) =>
      this.tiles.get(`${layer}/${place.level}/${place.x}/${place.y}`)?.version >= this.versions[layer]));
    if (current) this.settled.splice(0).forEach((resolve) => resolve());
    for (const stroke of this.pending) this.drawStroke(stroke);
    if (this.strokes) this.drawPoints();
    this.drawCursor();
    this.trim();
    document.documentElement.dataset.current = String(current);
  }

  drawPlace(place, top) {
    const side = TILE * 2 ** place.level, { pen } = this;
    const right = Math.min((place.x + 1) * side, this.width), bottom = Math.min((place.y + 1) * side, this.height);
    const a = this.toCanvas(place.x * side, place.y * side), b = this.toCanvas(right, bottom);
    const at = [Math.round(a.x), Math.round(a.y), Math.round(b.x) - Math.round(a.x), Math.round(b.y) - Math.round(a.y)];
    if (at[2] < 1 || at[3] < 1) return;
    const part = { x: place.x * side, y: place.y * side, w: right - place.x * side, h: bottom - place.y * side };
    if (this.view === "composite") this.drawBackground(at);
    else if (this.view === "alpha") { pen.fillStyle = "#000"; pen.fillRect(...at); }
    if (this.view === "composite") this.drawCut(place, top, part, at);
    else this.drawLayer(this.view, place, top, part, at);
    if (this.strokes) this.drawLayer("strokes", place, top, part, at);
  }

  /* The tile's own bitmap, or its part of the coarsest one. */
  source(layer, place, top, part) {
    const bitmap = this.tile(layer, place);
    if (bitmap) return [bitmap, 0, 0, bitmap.width, bitmap.height];
    const small = this.tile(layer, top);
    if (!small) return null;
    const sx = small.width / this.width, sy = small.height / this.height;
    return [small, part.x * sx, part.y * sy, part.w * sx, part.h * sy];
  }

  drawLayer(layer, place, top, part, at) {
    const source = this.source(layer, place, top, part);
    if (source) this.pen.drawImage(...source, ...at);
  }

  /* The photograph where alpha is seen. */
  drawCut(place, top, part, at) {
    const photo = this.source("photo", place, top, part), alpha = this.source("alpha", place, top, part);
    if (!photo) return;
    if (!alpha) { this.pen.drawImage(...photo, ...at); return; }
    const [w, h] = [Math.max(1, at[2]), Math.max(1, at[3])];
    this.scratch ||= document.createElement("canvas").getContext("2d");
    const { scratch } = this, drawn = [Math.min(w, 2048), Math.min(h, 2048)];
    scratch.canvas.width = drawn[0];
    scratch.canvas.height = drawn[1];
    scratch.imageSmoothingEnabled = this.pen.imageSmoothingEnabled;
    scratch.drawImage(...photo, 0, 0, ...drawn);
    scratch.globalCompositeOperation = "destination-in";
    scratch.drawImage(...alpha, 0, 0, ...drawn);
    scratch.globalCompositeOperation = "source-over";
    this.pen.drawImage(scratch.canvas, ...at);
  }

  drawBackground([x, y, w, h]) {
    const plain = { black: "#000", white: "#fff", green: "#1fa83c" };
    this.pen.fillStyle = plain[this.background] || this.checks();
    this.pen.fillRect(x, y, w, h);
  }

  checks() {
    if (!this.pattern) {
      const square = Math.round(12 * this.dense), tile = document.createElement("canvas"), pen = tile.getContext("2d");
      tile.width = tile.height = 2 * square;
      pen.fillStyle = "#999";
      pen.fillRect(0, 0, 2 * square, 2 * square);
      pen.fillStyle = "#d9d9d9";
      pen.fillRect(0, 0, square, square);
      pen.fillRect(square, square, square, square);
      this.pattern = this.pen.createPattern(tile, "repeat");
    }
    return this.pattern;
  }

  drawStroke(stroke) {
    const { pen } = this, points = stroke.points.map(([x, y]) => this.toCanvas(x, y));
    pen.beginPath();
    points.forEach((p, index) => (index ? pen.lineTo(p.x, p.y) : pen.moveTo(p.x, p.y)));
    pen.strokeStyle = pen.fillStyle = TINTS[stroke.tool];
    pen.lineCap = pen.lineJoin = "round";
    if (stroke.shape === "fill") {
      pen.fill("evenodd");
      pen.lineWidth = 2 * this.dense;
    } else {
      pen.lineWidth = 2 * stroke.radius * this.zoom;
      if (stroke.shape === "outline") pen.strokeStyle = TINTS.unknown;
      if (points.length === 1) pen.lineTo(points[0].x + 0.01, points[0].y);
    }
    pen.stroke();
  }

  /* A plus where the subject is, a minus where the background is. */
  drawPoints() {
    const { pen, dense } = this, arm = 5 * dense;
    for (const [x, y, foreground] of this.points) {
      const at = this.toCanvas(x, y);
      pen.beginPath();
      pen.arc(at.x, at.y, 9 * dense, 0, 7);
      pen.fillStyle = foreground ? "rgb(40,120,255)" : "rgb(255,120,0)";
      pen.fill();
      pen.strokeStyle = "#fff";
      pen.lineWidth = 2 * dense;
      pen.moveTo(at.x - arm, at.y);
      pen.lineTo(at.x + arm, at.y);
      if (foreground) { pen.moveTo(at.x, at.y - arm); pen.lineTo(at.x, at.y + arm); }
      pen.stroke();
    }
  }

  drawCursor() {
    const { pen, cursor } = this;
    if (!cursor) return;
    const at = this.toCanvas(cursor.x, cursor.y), radius = Math.max(3 * this.dense, cursor.radius * this.zoom);
    for (const [colour, width] of [["#000", 3], ["#fff", 1.25]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * this.dense;
      pen.beginPath();
      pen.arc(at.x, at.y, cursor.shape === "fill" || cursor.shape === "point" ? 4 * this.dense : radius, 0, 7);
      if (cursor.keys) { // moved by keys: a cross, since no mouse shows where it is
        pen.moveTo(at.x - radius - 8 * this.dense, at.y);
        pen.lineTo(at.x + radius + 8 * this.dense, at.y);
        pen.moveTo(at.x, at.y - radius - 8 * this.dense);
        pen.lineTo(at.x, at.y + radius + 8 * this.dense);
      }
      pen.stroke();
    }
  }
}
