/* The page: buttons, keys, messages, and what the server tells. */

import { Gone, Link, Refused } from "./link.js";
import { Tools } from "./tools.js";
import { BACKGROUNDS, VIEWS, View } from "./view.js";

const root = document.documentElement;
const $ = (id) => document.getElementById(id);
const link = new Link(), view = new View($("canvas"), link);
const tools = new Tools(view, send, click);
const VIEW_KEYS = { p: "photo", a: "alpha", c: "composite" };
const BUSY = { points: "searching …", prior: "solving …", refine: "refining …" };
let state = null, opened = false, reported = 0, shownSave = "";
/* For scripts that add to the page: what it is made of, and who is told every new state. */
export const page = { link, view, tools, complain, commit, followers: [], reload: report };

function send(stroke) {
  const { tool, shape, radius, points } = stroke;
  const rounded = points.map(([x, y]) => [Math.round(x * 64) / 64, Math.round(y * 64) / 64]);
  root.dataset.sent = JSON.stringify({ tool, shape, radius, points: rounded });
  commit(link.change("stroke", { tool, shape, radius, points: rounded }), stroke);
}

/* A point of the subject, or of the background; what it marks comes with a later state. */
function click(x, y, foreground) {
  root.dataset.clicked = JSON.stringify({ x, y, foreground });
  link.change("point", { x, y, foreground }).catch(complain);
}

/* Shows a change as soon as the server has made it; a stroke that is pending stays until then. */
async function commit(change, stroke = null) {
  const { frame } = link;
  try {
    const { revision, alpha } = await change;
    if (frame !== link.frame) return; // the page has turned to another frame of the clip
    view.update({ strokes: revision, alpha });
    await view.whenCurrent();
  } catch (error) {
    complain(error);
  }
  if (stroke) {
    view.pending = view.pending.filter((other) => other !== stroke);
    view.redraw();
  }
}

function complain(error) {
  const gone = error instanceof Gone || error instanceof Refused;
  $("problem").textContent = error ? error.message + (gone ? " What was painted and not saved is lost." : "") : "";
  $("problem").hidden = !error;
  root.dataset.gone = String(error instanceof Gone);
}

function follow(next) {
  state = next;
  if (!opened) {
    opened = true;
    document.title = `${state.title} · uhrmat paint`;
    $("title").textContent = state.title;
    tools.setRadius(Math.max(2, Math.round(Math.min(state.width, state.height) * 0.012)));
    view.open(state.width, state.height, state.levels);
    $("save").textContent = state.saves ? "Save" : "Done";
  }
  view.points = state.points;
  view.update({ strokes: state.revision, alpha: state.alpha });
  $("undo").disabled = !state.undo && state.busy !== "points";
  $("redo").disabled = !state.redo;
  $("busy").textContent = state.save.state === "saving" ? "saving …" : BUSY[state.busy] || "";
  $("busy").classList.toggle("on", Boolean(state.busy) || state.save.state === "saving");
  $("notes").textContent = state.error || state.notes.join(" · ");
  Object.assign(root.dataset, { revision: state.revision, solved: state.solved, busy: state.busy, save: state.save.state,
    points: view.points.length });
  for (const tell of page.followers) tell(state);
  const text = JSON.stringify(state.save);
  if (text !== shownSave) {
    shownSave = text;
    showSave(state.save);
  }
}

/* ------------------------------------------------------------------------------------------------------------ saving */
function save(replace = false) {
  if (state.saves) link.change("save", { replace }).catch(complain);
  else link.change("done").then(() => { $("problem").textContent = "Done. This page can be closed."; $("problem").hidden = false; }, complain);
}

function showSave(now) {
  const dialog = $("saved");
  if (!["saved", "exists", "failed"].includes(now.state)) return;
  $("saved-title").textContent = { saved: "Saved", exists: "Files exist", failed: "Not saved" }[now.state];
  const names = now.state === "saved" ? Object.entries(now.files).map(([name, path]) => `${name}: ${path}`) : now.files || [];
  $("saved-files").replaceChildren(...names.map((name) => Object.assign(document.createElement("li"), { textContent: name })));
  $("saved-text").textContent = now.error || (now.notes || []).join("\n");
  $("saved-command").textContent = now.command || "";
  $("saved-how").hidden = $("copy").hidden = !now.command;
  $("replace").hidden = now.state !== "exists";
  if (!dialog.open) dialog.showModal();
}

$("replace").addEventListener("click", () => { $("saved").close(); save(true); });
$("copy").addEventListener("click", () => navigator.clipboard?.writeText($("saved-command").textContent));
for (const button of document.querySelectorAll("dialog .close")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/* ----------------------------------------------------------------------------------------------------------- buttons */
const actions = {
  undo: () => !$("undo").disabled && commit(link.change("undo")), redo: () => state?.redo && commit(link.change("redo")),
  fit: () => view.fit(), one: () => view.zoomTo(1), in: () => view.zoomTo(view.zoom * 1.5), out: () => view.zoomTo(view.zoom / 1.5),
  strokes: () => { view.strokes = !view.strokes; refresh(); }, help: () => $("keys").showModal(), save: () => save(),
  theme: () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  },
  smaller: () => tools.setRadius(tools.radius / 1.25), larger: () => tools.setRadius(tools.radius * 1.25),
};
for (const [id, act] of Object.entries(actions)) $(id).addEventListener("click", act);
for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => tools.setTool(button.dataset.tool));
}
for (const button of document.querySelectorAll("[data-shape]")) {
  button.addEventListener("click", () => tools.setShape(button.dataset.shape));
}
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => show(button.dataset.view));
}
$("background").addEventListener("change", (event) => { view.background = event.target.value; refresh(); });

function show(name) { view.view = name; refresh(); }

function refresh() {
  for (const button of document.querySelectorAll("[data-tool]")) press(button, button.dataset.tool === tools.tool);
  for (const button of document.querySelectorAll("[data-shape]")) press(button, button.dataset.shape === tools.shape);
  for (const button of document.querySelectorAll("[data-view]")) press(button, button.dataset.view === view.view);
  press($("strokes"), view.strokes);
  $("background").value = view.background;
  $("size").textContent = `${tools.radius < 10 ? tools.radius.toFixed(1) : Math.round(tools.radius)} px`;
  $("zoom").textContent = `${(view.zoom / view.dense * 100).toFixed(view.zoom < 0.1 ? 1 : 0)} %`;
  Object.assign(root.dataset, { tool: tools.tool, shape: tools.shape, radius: tools.radius, view: view.view,
    zoom: view.zoom, x: view.x, y: view.y });
  view.redraw();
}

function press(button, on) { button.setAttribute("aria-pressed", String(on)); }

/* Tells the server, not at every frame of a movement, what is seen. */
function report() {
  refresh();
  clearTimeout(reported);
  reported = setTimeout(() => {
    link.request("view", link.placed({ page: link.page, box: view.box(), zoom: view.zoom })).catch(() => {});
  }, 120);
}

view.onchange = report;
view.onerror = (error) => { if (!(error instanceof Gone)) complain(error); };
tools.onchange = refresh;
new ResizeObserver(() => { view.resize(); if (opened) report(); }).observe($("canvas"));

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.target.matches("select")) return;
  const command = event.ctrlKey || event.metaKey, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const button = event.target.matches("button");
  if (button && (key === "Enter" || key === " ")) return; // it presses the button
  let act = null;
  if (command && key === "z") act = event.shiftKey ? actions.redo : actions.undo;
  else if (command && key === "y") act = actions.redo;
  else if (command && key === "s") act = actions.save;
  else if (!command && !event.altKey) {
    const plain = { z: actions.undo, y: actions.redo, s: actions.save, o: actions.strokes, "?": actions.help, "+": actions.in,
      "=": actions.in, "-": actions.out, 0: actions.fit, 1: actions.one, t: actions.theme,
      g: () => { view.background = BACKGROUNDS[(BACKGROUNDS.indexOf(view.background) + 1) % BACKGROUNDS.length]; refresh(); } };
    act = plain[key] || (VIEW_KEYS[key] && (() => show(VIEW_KEYS[key])));
  }
  if (act) act();
  else if (!tools.key(event)) return;
  event.preventDefault();
});

for (const name of BACKGROUNDS) $("background").append(new Option(name, name));
console.assert(VIEWS.length === Object.keys(VIEW_KEYS).length);
refresh();
link.enter().then(() => link.follow(follow, complain), complain);
