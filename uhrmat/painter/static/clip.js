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
  button("key-after", "Key ▶", "Next key frame (>)", () => jump(clip.keys, 1)),
  button("doubtful", "Doubtful ▶", "Next doubtful frame (n)", () => KEYS.n()),
  button("best", "Best hint", "The frame on which a hint would help most (h)", () => KEYS.h()));
const edits = group("Frame's paint", button("adopt", "Use mask", "Paint the propagated mask, to go on from it (v)", adopt),
  button("clear", "Clear", "Remove what is painted on this frame (Delete)", clear));
const first = make("input", { type: "number", id: "first", min: 0, value: 0 }), last = make("input", { type: "number", id: "last", min: 0, value: 0 });
first.setAttribute("aria-label", "First frame of the range");
last.setAttribute("aria-label", "Last frame of the range");
const range = group("Range of frames", button("from-here", "From", "The range begins here (i)", () => setRange("first")), first,
  button("to-here", "to", "The range ends here (j)", () => setRange("last")), last,
  button("rerun", "Matte range again", "Matte these frames again inside the result", rerun),
  button("cancel", "Cancel", "Stop matting; what is done is kept", () => link.request("cancel").catch(page.complain)));
const section = make("section", { id: "timeline" }, timeline.box, make("div", { className: "row" }, moves, jumps, edits, range, place));
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

function setRange(end) {
  (end === "first" ? first : last).value = wanted;
  showRange();
}

function showRange() {
  const [a, b] = [Number(first.value), Number(last.value)];
  timeline.range = a < b ? [a, b] : null;
  timeline.draw();
}
first.addEventListener("input", showRange);
last.addEventListener("input", showRange);

function rerun() {
  link.change("rerun", { first: Number(first.value), last: Number(last.value) }).then(() => page.complain(null), page.complain);
}

function adopt() { page.commit(link.change("adopt")); }

function clear() { page.commit(link.change("clear")); }

function follow(state) {
  if (!clip) {
    timeline.open(state.clip.count);
    number.max = state.clip.count - 1;
    total.textContent = `of ${state.clip.count}`;
    first.max = last.max = last.value = state.clip.count - 1;
    if (state.saves) Object.assign(document.getElementById("save"), { textContent: "Matte clip", title: "Matte the whole clip (s)" });
    range.hidden = !state.saves;
  }
  clip = state.clip;
  timeline.update({ ...clip, known: clip.masked });
  const within = (runs) => runs.some(([a, b]) => a <= state.frame && state.frame <= b);
  const said = [clip.number === state.frame ? "" : `file ${clip.number}`, clip.keys.includes(state.frame) ? "key frame" : ""];
  if (!clip.keys.includes(state.frame)) said.push(within(clip.lost) ? "subject lost" : within(clip.doubtful) ? "doubtful" : "");
  if (clip.finished) said.push("finished matte");
  if (clip.best !== null) said.push(`a hint on frame ${clip.best} would help most`);
  const running = state.save.state === "saving", { done, total: all } = state.save;
  if (running) document.getElementById("busy").textContent = done ? `${done} of ${all} frames …` : "preparing …";
  if (state.save.state === "cancelled") said.push("cancelled: what was matted is kept, and the next run goes on from there");
  const masked = within(clip.masked), busy = document.getElementById("busy");
  if (!running && !state.busy && clip.busy) busy.textContent = `${clip.busy} …`;
  busy.classList.toggle("on", running || Boolean(state.busy || clip.busy));
  document.getElementById("adopt").disabled = !masked || clip.keys.includes(state.frame);
  document.getElementById("doubtful").disabled = !clip.doubtful.length && !clip.lost.length;
  document.getElementById("best").disabled = clip.best === null;
  document.getElementById("cancel").disabled = !running;
  document.getElementById("rerun").disabled = document.getElementById("save").disabled = running;
  place.textContent = clip.problem || clip.ahead_error || said.filter(Boolean).join(" · ");
  document.getElementById("clear").disabled = !clip.keys.includes(state.frame);
  Object.assign(root.dataset, { frame: state.frame, keys: clip.keys.join(" "), doubtful: JSON.stringify(clip.doubtful),
    lost: JSON.stringify(clip.lost), best: String(clip.best), done: done || 0,
    masked: JSON.stringify(clip.masked), ahead: clip.busy, finished: clip.finished });
}

const KEYS = { ",": () => go(wanted - 1), ".": () => go(wanted + 1), Home: () => go(0), End: () => go(clip.count - 1),
  "<": () => jump(clip.keys, -1), ">": () => jump(clip.keys, 1), Delete: clear,
  v: adopt, i: () => setRange("first"), j: () => setRange("last"), h: () => clip.best !== null && go(clip.best),
  n: () => jump(spread([...clip.doubtful, ...clip.lost]), 1), N: () => jump(spread([...clip.doubtful, ...clip.lost]), -1) };

/* The frames of some runs. */
function spread(runs) { return runs.flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, at) => a + at)); }

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
  ["< >", "key frame before, next key frame"], ["n N", "next doubtful frame, the one before"],
  ["h", "the frame on which a hint would help most"], ["i j", "the range to matte again begins, ends here"], ["Delete", "remove what is painted on this frame"]];
for (const [keys, text] of rows) {
  const caps = keys.split(" ").map((key) => make("kbd", { textContent: key }));
  document.querySelector("#keys table").append(make("tr", {}, make("td", {}, ...caps), make("td", { textContent: text })));
}
page.followers.push(follow);
