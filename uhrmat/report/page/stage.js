/* The stage: two panes with one position and one zoom, divided by a movable line or side by side. */

const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d");
const stage = {
  exhibit: 0, zoom: 1, x: 0, y: 0, split: 0.5, beside: false, background: "checker", colour: "#c03070", picture: null,
  panes: [{ side: 0, view: "photo" }, { side: 0, view: "composite" }], fitted: true, divided: false, onchange: () => {},
};
const MOST = 32, GRIP = 14;
let waiting = false;

const current = () => DATA.exhibits[stage.exhibit];
const dense = () => window.devicePixelRatio || 1;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
    stage.onchange();
  });
}

/* Rectangles of the panes on the canvas, in device pixels, with the middle that both positions refer to. */
function panes() {
  const { width, height } = canvas;
  if (!stage.beside) {
    const line = Math.round(stage.split * width), middle = { cx: width / 2, cy: height / 2 };
    return [{ x: 0, y: 0, w: line, h: height, ...middle }, { x: line, y: 0, w: width - line, h: height, ...middle }];
  }
  const tall = height > width, half = Math.round((tall ? height : width) / 2);
  const boxes = tall
    ? [[0, 0, width, half - 1], [0, half + 1, width, height - half - 1]]
    : [[0, 0, half - 1, height], [half + 1, 0, width - half - 1, height]];
  return boxes.map(([x, y, w, h]) => ({ x, y, w, h, cx: x + w / 2, cy: y + h / 2 }));
}

function draw() {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const boxes = panes(), whole = boxes.map((box, index) => drawPane(box, stage.panes[index]));
  if (whole.every(Boolean) && !root.dataset.shown) {
    requestAnimationFrame(() => { root.dataset.shown ||= performance.now().toFixed(0); }); // ms from the start to here
  }
  boxes.forEach((box, index) => drawLabel(box, index));
  if (!stage.beside) {
    pen.fillStyle = "#fff";
    pen.fillRect(boxes[1].x - dense(), 0, 2 * dense(), canvas.height);
    pen.beginPath();
    pen.arc(boxes[1].x, canvas.height / 2, GRIP * dense(), 0, 7);
    pen.fill();
    pen.fillStyle = "#222";
    pen.font = `${15 * dense()}px sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText("↔", boxes[1].x, canvas.height / 2);
  }
}

/* Draws what is ready of a pane; whether that is anything of the picture. */
function drawPane(box, pane) {
  const exhibit = current(), { zoom } = stage;
  const left = box.cx - stage.x * zoom, top = box.cy - stage.y * zoom;
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.w, box.h);
  pen.clip();
  pen.imageSmoothingEnabled = zoom < 2;
  pen.imageSmoothingQuality = "high";
  const place = (p) => {
    const x = Math.round(left + p.x * zoom), y = Math.round(top + p.y * zoom);
    return [x, y, Math.round(left + (p.x + p.w) * zoom) - x, Math.round(top + (p.y + p.h) * zoom) - y];
  };
  const whole = wholePiece(exhibit), small = rendered(stage.exhibit, pane.side, pane.view, whole, redraw);
  if (pane.view === "composite") drawBackground(place(whole));
  const scale = whole.pixels[0] / exhibit.width;
  if (zoom <= scale * 1.02 || scale === 1) {
    if (small) pen.drawImage(small, ...place(whole));
  } else {
    const x0 = (box.x - left) / zoom, y0 = (box.y - top) / zoom;
    for (const piece of tilePieces(exhibit, x0, y0, x0 + box.w / zoom, y0 + box.h / zoom)) {
      const tile = rendered(stage.exhibit, pane.side, pane.view, piece, redraw);
      const from = [piece.x * scale, piece.y * scale, piece.w * scale, piece.h * scale];
      if (tile) pen.drawImage(tile, ...place(piece));
      else if (small) pen.drawImage(small, ...from, ...place(piece));
    }
  }
  pen.restore();
  return Boolean(small);
}

function drawBackground([x, y, w, h]) {
  const { background } = stage;
  if (background === "picture" && stage.picture) {
    const scale = Math.max(w / stage.picture.width, h / stage.picture.height);
    const [pw, ph] = [w / scale, h / scale];
    pen.drawImage(stage.picture, (stage.picture.width - pw) / 2, (stage.picture.height - ph) / 2, pw, ph, x, y, w, h);
    return;
  }
  const plain = { black: "#000", white: "#fff", green: "#1fa83c", colour: stage.colour };
  pen.fillStyle = plain[background] || checks();
  pen.fillRect(x, y, w, h);
}

function checks() {
  const square = Math.round(12 * dense()), tile = document.createElement("canvas");
  tile.width = tile.height = 2 * square;
  const inside = tile.getContext("2d");
  inside.fillStyle = "#999";
  inside.fillRect(0, 0, 2 * square, 2 * square);
  inside.fillStyle = "#d9d9d9";
  inside.fillRect(0, 0, square, square);
  inside.fillRect(square, square, square, square);
  return pen.createPattern(tile, "repeat");
}

function paneName(pane) {
  const exhibit = current(), view = VIEWS.find((v) => v.key === pane.view).name;
  return SHARED.includes(pane.view) || exhibit.sides.length === 1 ? view : `${exhibit.sides[pane.side].name} · ${view}`;
}

function drawLabel(box, index) {
  const size = dense(), text = paneName(stage.panes[index]);
  pen.font = `${13 * size}px sans-serif`;
  pen.textBaseline = "top";
  pen.textAlign = "left";
  const width = Math.min(pen.measureText(text).width + 14 * size, box.w - 12 * size);
  if (width < 40 * size) return;
  const right = index === 1 && !stage.beside;
  const x = right ? box.x + box.w - width - 6 * size : box.x + 6 * size;
  pen.save();
  pen.beginPath();
  pen.rect(x, box.y + 6 * size, width, 22 * size);
  pen.clip();
  pen.fillStyle = "rgba(0,0,0,0.62)";
  pen.fillRect(x, box.y + 6 * size, width, 22 * size);
  pen.fillStyle = "#fff";
  pen.fillText(text, x + 7 * size, box.y + 10 * size);
  pen.restore();
}

/* Zoom so that the point under (px, py), in device pixels, stays where it is. */
function zoomTo(zoom, px, py) {
  const box = paneAt(px, py), before = stage.zoom;
  const least = Math.min(1, fitZoom()) * 0.5;
  stage.zoom = Math.min(MOST, Math.max(least, zoom));
  stage.fitted = false;
  moveTo(stage.x + (px - box.cx) * (1 / before - 1 / stage.zoom), stage.y + (py - box.cy) * (1 / before - 1 / stage.zoom));
}

function moveTo(x, y) {
  stage.x = Math.min(current().width, Math.max(0, x));
  stage.y = Math.min(current().height, Math.max(0, y));
  redraw();
}

function paneAt(px, py) {
  const boxes = panes();
  return boxes.find((b) => px >= b.x && px < b.x + b.w && py >= b.y && py < b.y + b.h) || boxes[0];
}

function fitZoom() {
  const box = stage.beside ? panes()[0] : { w: canvas.width, h: canvas.height };
  return Math.min(box.w / current().width, box.h / current().height);
}

/* The whole picture; the divider, until somebody moves it, through the middle of the subject. */
function fit() {
  stage.zoom = fitZoom();
  stage.fitted = true;
  if (!stage.divided) {
    const line = 0.5 + ((current().focus - 0.5) * current().width * stage.zoom) / canvas.width;
    stage.split = Math.min(0.9, Math.max(0.1, line));
  }
  moveTo(current().width / 2, current().height / 2);
}

function divideAt(share) {
  stage.split = Math.min(1, Math.max(0, share));
  stage.divided = true;
  redraw();
}

function resize() {
  if (canvas.clientWidth < 2 || canvas.clientHeight < 2) return; // not laid out, or not seen
  canvas.width = Math.round(canvas.clientWidth * dense());
  canvas.height = Math.round(canvas.clientHeight * dense());
  if (stage.fitted) fit();
  draw(); // at once: a canvas whose size was set is empty
  redraw();
}

const fingers = new Map();
let dividing = false;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  const at = point(event);
  dividing = !stage.beside && !fingers.size && Math.abs(at.x - stage.split * canvas.width) < GRIP * dense();
  fingers.set(event.pointerId, at);
});
canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId), at = point(event);
  if (!before) return;
  if (dividing) {
    divideAt(at.x / canvas.width);
  } else if (fingers.size === 1) {
    stage.fitted = false;
    moveTo(stage.x - (at.x - before.x) / stage.zoom, stage.y - (at.y - before.y) / stage.zoom);
  } else {
    pinch(event.pointerId, before, at);
  }
  fingers.set(event.pointerId, at);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = point(event);
  zoomTo(stage.zoom * Math.exp(-event.deltaY * 0.0015), at.x, at.y);
}, { passive: false });
canvas.addEventListener("dblclick", (event) => {
  const at = point(event);
  zoomTo(stage.zoom === 1 ? fitZoom() : 1, at.x, at.y);
});

function point(event) {
  const box = canvas.getBoundingClientRect();
  return { x: (event.clientX - box.left) * dense(), y: (event.clientY - box.top) * dense() };
}

function pinch(id, before, at) {
  const [, other] = [...fingers].find(([key]) => key !== id);
  const far = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
  zoomTo((stage.zoom * far(at)) / far(before), (at.x + other.x) / 2, (at.y + other.y) / 2);
  moveTo(stage.x - (at.x - before.x) / 2 / stage.zoom, stage.y - (at.y - before.y) / 2 / stage.zoom);
}
