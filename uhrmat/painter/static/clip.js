/* A clip: the photograph's page, with frames to choose from below the picture. */

import { page } from "./main.js";
import { Timeline } from "./timeline.js";

const root = document.documentElement;
const { link, view, tools } = page;
const timeline = new Timeline(link, go);
let clip = null, wanted = 0, turning = false;

link.frame = 0;

function make(name, properties = {}, ...inside) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...inside);
  return node;
}

function button(id, text, title, act) {
  const node = make("button", { type: "button", id, textContent: text, title });
  node.addEventListener("click", act);
  return node;
}

function group(label, ...inside) {
  const node = make("div", { className: "group" }, ...inside);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", label);
  return node;
}

const number = make("input", { type: "number", id: "frame", min: 0, value: 0, title: "Frame, counted from 0" });
number.setAttribute("aria-label", "Frame number");
const total = make("span", { id: "total" }), place = make("p", { id: "place" });
const moves = group("Frame", button("previous", "◀", "Frame before (,)", () => go(wanted - 1)), number, total,
  button("next", "▶", "Next frame (.)", () => go(wanted + 1)));
const jumps = group("Jump", button("key-before", "◀ Key", "Key frame before (<)", () => jump(clip.keys, -1)),
  button("key-after", "Key ▶", "Next key frame (>)", () => jump(clip.keys, 1)));
const edits = group("Frame's paint", button("clear", "Clear", "Remove what is painted on this frame (Delete)", clear));
const section = make("section", { id: "timeline" }, timeline.box, make("div", { className: "row" }, moves, jumps, edits, place));
section.setAttribute("aria-label", "Frames of the clip");
document.getElementById("stage").after(section);
number.addEventListener("change", () => go(Number(number.value)));

/* Shows a frame. Of frames that are asked for while one is loading, only the last is shown. */
async function go(frame) {
  if (!clip || !Number.isFinite(frame)) return;
  wanted = Math.min(clip.count - 1, Math.max(0, Math.round(frame)));
  timeline.show(wanted);
  number.value = wanted;
  if (turning) return;
  turning = true;
  while (link.frame !== wanted) {
    tools.cancel();
    link.turn(wanted);
    view.turn();
    page.reload();
    await Promise.race([view.whenCurrent(), new Promise((resolve) => setTimeout(resolve, 5000))]);
  }
  turning = false;
}

/* To the nearest of some frames before (-1) or after (1) the one in view. */
function jump(frames, direction) {
  const able = frames.filter((frame) => (frame - wanted) * direction > 0);
  if (able.length) go(direction > 0 ? Math.min(...able) : Math.max(...able));
}

function clear() { page.commit(link.change("clear")); }

function follow(state) {
  if (!clip) {
    timeline.open(state.clip.count);
    number.max = state.clip.count - 1;
    total.textContent = `of ${state.clip.count}`;
  }
  clip = state.clip;
  timeline.update({ keys: clip.keys, doubtful: [], lost: [], known: [], best: null });
  const said = [clip.number === state.frame ? "" : `file ${clip.number}`, clip.keys.includes(state.frame) ? "key frame" : ""];
  place.textContent = clip.problem || said.filter(Boolean).join(" · ");
  document.getElementById("clear").disabled = !clip.keys.includes(state.frame);
  Object.assign(root.dataset, { frame: state.frame, keys: clip.keys.join(" ") });
}

const KEYS = { ",": () => go(wanted - 1), ".": () => go(wanted + 1), Home: () => go(0), End: () => go(clip.count - 1),
  "<": () => jump(clip.keys, -1), ">": () => jump(clip.keys, 1), Delete: clear };

/* What an input takes itself goes no further: a number's digits, the slider's arrows. */
section.addEventListener("keydown", (event) => {
  const own = /^(Arrow|Home|End|Page)/.test(event.key);
  if (event.target.type === "number" || (event.target === timeline.slider && own)) event.stopPropagation();
});
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || !clip || document.querySelector("dialog[open]") || event.target.matches("select")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});

const rows = [[", .", "frame before, next frame; also the arrows on the timeline"], ["Home End", "first and last frame"],
  ["< >", "key frame before, next key frame"], ["Delete", "remove what is painted on this frame"]];
for (const [keys, text] of rows) {
  const caps = keys.split(" ").map((key) => make("kbd", { textContent: key }));
  document.querySelector("#keys table").append(make("tr", {}, make("td", {}, ...caps), make("td", { textContent: text })));
}
page.followers.push(follow);
