/* The frames of a clip under the picture: small pictures, marks, and a slider over them. */

const HEIGHT = 48, LANE = 14;
const COLOURS = { key: "rgb(40, 120, 255)", doubtful: "rgb(230, 160, 0)", lost: "rgb(220, 50, 40)", known: "rgb(60, 160, 90)",
  range: "rgba(40, 120, 255, 0.25)" };

export class Timeline {
  constructor(link, onchange) {
    Object.assign(this, { link, onchange, count: 1, frame: 0, marks: { keys: [], doubtful: [], lost: [], known: [], best: null } });
    Object.assign(this, { range: null, pictures: [], wanted: [], loading: false });
    this.box = document.createElement("div");
    this.box.className = "strip";
    this.canvas = document.createElement("canvas");
    this.slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 0, step: 1, value: 0, id: "scrub" });
    this.slider.setAttribute("aria-label", "Frame");
    this.box.append(this.canvas, this.slider);
    this.slider.addEventListener("input", () => this.onchange(Number(this.slider.value)));
    new ResizeObserver(() => this.lay()).observe(this.box);
  }

  open(count) {
    this.count = count;
    this.slider.max = count - 1;
    this.lay();
  }

  show(frame) {
    this.frame = frame;
    this.slider.value = frame;
    this.draw();
  }

  update(marks) {
    this.marks = marks;
    this.draw();
  }

  get width() { return this.box.clientWidth; }

  x(frame) { return this.count < 2 ? this.width / 2 : 1 + (frame / (this.count - 1)) * (this.width - 2); }

  /* Chooses the frames of the small pictures and loads them one after the other. */
  lay() {
    const dense = window.devicePixelRatio || 1;
    if (this.width < 2) return;
    this.canvas.width = Math.round(this.width * dense);
    this.canvas.height = Math.round((HEIGHT + LANE) * dense);
    const places = Math.max(1, Math.min(this.count, Math.floor(this.width / (HEIGHT * 1.9))));
    const step = this.width / places;
    this.pictures = Array.from({ length: places }, (_, at) => {
      const frame = Math.min(this.count - 1, Math.floor(((at + 0.5) / places) * this.count));
      const same = this.pictures.find((picture) => picture.frame === frame);
      return { frame, left: at * step, width: step, bitmap: same?.bitmap };
    });
    this.draw();
    this.load();
  }

  async load() {
    if (this.loading || this.count < 2) return;
    this.loading = true;
    for (;;) {
      const next = this.pictures.find((picture) => picture.bitmap === undefined);
      if (!next) break;
      next.bitmap = null;
      try {
        const reply = await this.link.fetch(`/api/thumbnail/${next.frame}`);
        next.bitmap = await createImageBitmap(await reply.blob());
      } catch { /* a frame that cannot be decoded has no picture */ }
      document.documentElement.dataset.thumbnails = this.pictures.filter((picture) => picture.bitmap).length;
      this.draw();
    }
    this.loading = false;
  }

  draw() {
    const pen = this.canvas.getContext("2d"), dense = window.devicePixelRatio || 1;
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, this.width, HEIGHT + LANE);
    for (const { bitmap, left, width } of this.pictures) {
      if (!bitmap) continue;
      const shown = Math.min(bitmap.width, (width / HEIGHT) * bitmap.height);
      pen.drawImage(bitmap, (bitmap.width - shown) / 2, 0, shown, bitmap.height, left, 0, width, HEIGHT);
    }
    const wide = Math.max(2, this.width / this.count);
    const bar = (runs, colour, top, height) => {
      pen.fillStyle = colour;
      for (const [first, last] of runs) pen.fillRect(this.x(first) - wide / 2, top, this.x(last) - this.x(first) + wide, height);
    };
    if (this.range) bar([this.range], COLOURS.range, 0, HEIGHT);
    bar(this.marks.known, COLOURS.known, HEIGHT + 2, 3);
    bar(this.marks.doubtful, COLOURS.doubtful, HEIGHT, 7);
    bar(this.marks.lost, COLOURS.lost, HEIGHT, 7);
    for (const key of this.marks.keys) this.diamond(pen, this.x(key), COLOURS.key, true);
    if (this.marks.best !== null) this.diamond(pen, this.x(this.marks.best), COLOURS.key, false);
    const at = this.x(this.frame);
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      pen.fillStyle = colour;
      pen.fillRect(at - width / 2, 0, width, HEIGHT + LANE);
    }
  }

  diamond(pen, x, colour, filled) {
    const y = HEIGHT + LANE - 6, far = 5;
    pen.beginPath();
    pen.moveTo(x, y - far);
    pen.lineTo(x + far, y);
    pen.lineTo(x, y + far);
    pen.lineTo(x - far, y);
    pen.closePath();
    pen.fillStyle = filled ? colour : "#fff";
    pen.strokeStyle = filled ? "#fff" : colour;
    pen.lineWidth = 2;
    pen.fill();
    pen.stroke();
  }
}
