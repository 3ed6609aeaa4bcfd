"use strict";
/* From stored layers to pieces of picture: each is decoded when it is first seen, and the latest are kept. */

const root = document.documentElement;
const DATA = JSON.parse(document.getElementById("data").textContent);
const VIEWS = [
  { key: "photo", name: "Photograph", letter: "p" },
  { key: "alpha", name: "Alpha", letter: "a" },
  { key: "foreground", name: "Foreground", letter: "f" },
  { key: "composite", name: "Composite", letter: "c" },
  { key: "active", name: "Active pixels", letter: "r" },
  { key: "difference", name: "Difference", letter: "d" },
  { key: "truth", name: "Truth", letter: "t" },
];
const SHARED = ["photo", "truth"]; // the same for all sides
const KEPT = 160;
const scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const kept = new Map();

/* Whether a view can be shown of a side of an exhibit. */
function possible(exhibit, side, view) {
  if (SHARED.includes(view)) return Boolean(exhibit[view]);
  if (view === "active") return exhibit.sides[side].active;
  if (view === "difference") return Boolean(exhibit.truth) || exhibit.sides.length > 1;
  if (view === "foreground") return Boolean(exhibit.sides[side].colour || exhibit.photo);
  return true;
}

/* The whole picture from the small copy, and the tiles that touch a rectangle of the picture. */
function wholePiece(exhibit) {
  const [width, height] = exhibit.small;
  return { key: "small", x: 0, y: 0, w: exhibit.width, h: exhibit.height, pixels: [width, height] };
}

function tilePieces(exhibit, x0, y0, x1, y1) {
  const size = exhibit.tile, pieces = [];
  for (let j = Math.max(0, Math.floor(y0 / size)); j * size < Math.min(y1, exhibit.height); j++) {
    for (let i = Math.max(0, Math.floor(x0 / size)); i * size < Math.min(x1, exhibit.width); i++) {
      const w = Math.min(size, exhibit.width - i * size), h = Math.min(size, exhibit.height - j * size);
      pieces.push({ key: `${i},${j}`, x: i * size, y: j * size, w, h, pixels: [w, h] });
    }
  }
  return pieces;
}

function entry(layer, piece) {
  if (!layer) return undefined;
  return piece.key === "small" ? layer.small : layer.tiles[piece.key];
}

/* A canvas with a view of a piece if it is ready; else undefined, and `then` is called when it is. null: not stored. */
function rendered(number, side, view, piece, then) {
  const exhibit = DATA.exhibits[number], name = `${number} ${SHARED.includes(view) ? 0 : side} ${view} ${piece.key}`;
  if (kept.has(name)) {
    const canvas = kept.get(name);
    kept.delete(name);
    kept.set(name, canvas);
    return canvas;
  }
  if (entry(exhibit.sides[side].data, piece) === undefined) return null;
  kept.set(name, undefined);
  render(exhibit, side, view, piece).then((canvas) => {
    kept.set(name, canvas);
    while (kept.size > KEPT) kept.delete(kept.keys().next().value);
    then();
  });
  return undefined;
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/* RGBA bytes of a stored picture; a number means that all are that value. */
async function bytes(stored, [w, h]) {
  if (typeof stored === "number") return new Uint8ClampedArray(4 * w * h).fill(stored);
  const image = await decoded(stored);
  scratch.canvas.width = w;
  scratch.canvas.height = h;
  scratch.drawImage(image, 0, 0);
  return scratch.getImageData(0, 0, w, h).data;
}

async function render(exhibit, number, view, piece) {
  const side = exhibit.sides[number], photo = entry(exhibit.photo, piece), data = entry(side.data, piece);
  const size = piece.pixels, canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  if (view === "photo") {
    canvas.getContext("2d").drawImage(await decoded(photo), 0, 0);
    return canvas;
  }
  const out = new ImageData(size[0], size[1]), to = out.data;
  if (view === "difference") {
    const other = exhibit.truth || exhibit.sides[1 - number].data;
    const [a, b] = [await bytes(data, size), await bytes(entry(other, piece), size)];
    const swap = !exhibit.truth && number === 1; // A minus B on both sides
    paintDifference(to, swap ? b : a, swap ? a : b);
  } else if (view === "alpha" || view === "truth") {
    paintAlpha(to, await bytes(view === "truth" ? entry(exhibit.truth, piece) : data, size));
  } else if (view === "active") {
    paintActive(to, await bytes(photo ?? 128, size), await bytes(data, size));
  } else {
    const colours = entry(side.colour, piece) ?? photo ?? 255;
    paintCut(to, await bytes(colours, size), await bytes(data, size), view === "foreground");
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
  return canvas;
}

function paintAlpha(to, data) {
  for (let i = 0; i < to.length; i += 4) {
    to[i] = to[i + 1] = to[i + 2] = data[i];
    to[i + 3] = 255;
  }
}

/* Straight colours with alpha; whole: opaque wherever anything is seen. */
function paintCut(to, colours, data, whole) {
  for (let i = 0; i < to.length; i += 4) {
    to[i] = colours[i];
    to[i + 1] = colours[i + 1];
    to[i + 2] = colours[i + 2];
    to[i + 3] = whole && data[i] > 0 ? 255 : data[i];
  }
}

function paintActive(to, photo, data) {
  for (let i = 0; i < to.length; i += 4) {
    const share = (data[i + 1] / 255) * 0.7, rest = 1 - share;
    to[i] = photo[i] * rest + 255 * share;
    to[i + 1] = photo[i + 1] * rest + 26 * share;
    to[i + 2] = photo[i + 2] * rest + 26 * share;
    to[i + 3] = 255;
  }
}

/* Orange where a is more opaque than b, blue where less; by the root, so that small differences are seen. */
function paintDifference(to, a, b) {
  for (let i = 0; i < to.length; i += 4) {
    const difference = a[i] - b[i], light = Math.sqrt(Math.abs(difference) / 255);
    to[i] = light * (difference > 0 ? 255 : 60);
    to[i + 1] = light * (difference > 0 ? 150 : 140);
    to[i + 2] = light * (difference > 0 ? 40 : 255);
    to[i + 3] = 255;
  }
}
