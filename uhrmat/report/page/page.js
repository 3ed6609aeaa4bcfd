/* The controls around the stage, and the keys. */

const byId = (id) => document.getElementById(id);
const BACKGROUNDS = ["checker", "black", "white", "green", "colour", "picture"];

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function button(text, title, press) {
  const made = element("button", text, { type: "button", title });
  made.addEventListener("click", press);
  return made;
}

/* A view for the right pane; where two mattes are compared, for both. */
function show(view) {
  const exhibit = current();
  if (!possible(exhibit, 0, view) && !possible(exhibit, exhibit.sides.length - 1, view)) return;
  stage.panes[1].view = view;
  if (exhibit.sides.length > 1) stage.panes[0] = { side: 0, view: view === "truth" ? "alpha" : view };
  repair();
  redraw();
}

/* Panes that show something which this exhibit does not have show something else. */
function repair() {
  const exhibit = current(), last = exhibit.sides.length - 1;
  stage.panes.forEach((pane) => {
    pane.side = Math.min(pane.side, last);
    if (!possible(exhibit, pane.side, pane.view)) pane.view = pane.view === "photo" ? "alpha" : "composite";
  });
}

function fillPicker(select, index) {
  const exhibit = current(), pane = stage.panes[index];
  if (select.dataset.of !== String(stage.exhibit)) { // not while somebody has it open
    select.dataset.of = String(stage.exhibit);
    select.replaceChildren();
    for (const view of VIEWS) {
      exhibit.sides.forEach((side, number) => {
        if (!possible(exhibit, number, view.key) || (SHARED.includes(view.key) && number)) return;
        const name = paneName({ side: number, view: view.key });
        select.append(element("option", name, { value: `${number} ${view.key}` }));
      });
    }
  }
  select.value = `${SHARED.includes(pane.view) ? 0 : pane.side} ${pane.view}`;
}

function choose(number) {
  const before = current(), keep = !stage.fitted;
  stage.exhibit = Math.min(DATA.exhibits.length - 1, Math.max(0, number));
  const now = current();
  repair();
  fillPlaces();
  fillTable();
  byId("exhibit").value = String(stage.exhibit);
  followFrame();
  if (keep && before.width === now.width && before.height === now.height) redraw();
  else fit();
}

function fillPlaces() {
  byId("places").replaceChildren(...current().places.map((place, index) =>
    button(`Hair ${index + 1}`, `The hairiest place, number ${index + 1}, at 1:1 (h)`, () => visit(index))));
}

let visited = -1;
function visit(index) {
  if (!current().places.length) return;
  visited = index % current().places.length;
  const [x, y, w, h] = current().places[visited];
  stage.zoom = 1;
  stage.fitted = false;
  moveTo(x + w / 2, y + h / 2);
}

function fillTable() {
  const [head, ...rows] = current().table, table = byId("table");
  table.replaceChildren();
  if (!head) return;
  const top = element("thead"), line = element("tr"), body = element("tbody");
  head.forEach((text) => line.append(element("th", text, { scope: "col" })));
  if (head.length > 2) top.append(line); // of one column only, "value" says nothing
  for (const [name, ...cells] of rows) {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), ...cells.map((text) => element("td", text)));
    body.append(row);
  }
  table.append(top, body);
}

function setBackground(name) {
  if (name === "picture" && !stage.picture) {
    byId("file").click();
    return;
  }
  stage.background = name;
  stage.panes[1].view = "composite"; // a background is only seen behind something
  if (current().sides.length > 1) stage.panes[0].view = "composite";
  redraw();
}

async function takePicture(file) {
  if (!file) return;
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
  } catch {
    byId("hint").textContent = `${file.name} cannot be shown as a picture by this browser.`;
    return;
  }
  stage.picture = image;
  setBackground("picture");
}

/* What the controls say follows what the stage is. */
function reflect() {
  const exhibit = current(), compared = exhibit.sides.length > 1;
  for (const made of byId("views").children) {
    const view = made.dataset.view;
    made.setAttribute("aria-pressed", String(stage.panes[1].view === view));
    made.disabled = !exhibit.sides.some((_, side) => possible(exhibit, side, view));
  }
  for (const made of byId("backgrounds").querySelectorAll("button")) {
    made.setAttribute("aria-pressed", String(stage.background === made.dataset.background));
  }
  byId("layout").setAttribute("aria-pressed", String(stage.beside));
  byId("split").disabled = stage.beside;
  byId("split").value = String(Math.round(stage.split * 1000));
  byId("zoom").textContent = `${(stage.zoom * 100).toFixed(stage.zoom < 0.1 ? 1 : 0)} %`;
  fillPicker(byId("left"), 0);
  fillPicker(byId("right"), 1);
  const own = stage.panes.some((p) => ["composite", "foreground"].includes(p.view) && !exhibit.sides[p.side].colour);
  byId("hint").textContent = own && exhibit.photo
    ? "Foreground colours are not known: the photograph's own are shown, with its background in them." : "";
  root.dataset.zoom = String(stage.zoom);
  root.dataset.compared = String(compared);
  reflectClip();
}

const KEYS = {
  "+": () => step(1.25), "=": () => step(1.25), "-": () => step(0.8), 0: fit, 1: () => step(1 / stage.zoom),
  ArrowLeft: () => nudge(-1, 0), ArrowRight: () => nudge(1, 0), ArrowUp: () => nudge(0, -1), ArrowDown: () => nudge(0, 1),
  "[": () => divideAt(stage.split - 0.05), "]": () => divideAt(stage.split + 0.05), h: () => visit(visited + 1), s: () => byId("layout").click(),
  b: () => setBackground(nextBackground()), n: () => choose(stage.exhibit - 1), m: () => choose(stage.exhibit + 1),
  ",": () => walk(-1), ".": () => walk(1),
};
for (const view of VIEWS) KEYS[view.letter] = () => show(view.key);

function nextBackground() {
  const usable = BACKGROUNDS.filter((name) => name !== "picture" || stage.picture);
  return usable[(usable.indexOf(stage.background) + 1) % usable.length];
}
function step(factor) {
  const { cx, cy } = panes()[0]; // the middle of a pane, which stays where it is
  zoomTo(stage.zoom * factor, cx, cy);
}
function nudge(x, y) {
  const far = 0.1 * Math.min(canvas.width, canvas.height) / stage.zoom;
  stage.fitted = false;
  moveTo(stage.x + x * far, stage.y + y * far);
}
/* Shares in per cent, other figures with three digits. */
function formatFigure(title, value) {
  return title.includes("share") ? `${(100 * value).toFixed(1)} %` : value.toPrecision(3);
}

function plot(title, values) {
  const { numbers, cuts, doubtful, lost, best } = DATA.clip;
  const most = Math.max(...values, 1e-12), width = values.length;
  const svgElement = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const svg = svgElement("svg", { viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", title);
  const columns = (some) => some.map((n) => numbers.indexOf(n)).map((i) => `M${i} 100V0H${i + 1}V100Z`).join("");
  svg.append(svgElement("path", { d: columns(doubtful), class: "doubtful" }), svgElement("path", { d: columns(lost), class: "lost" }));
  const bars = values.map((v, i) => `M${i} 100V${100 - (96 * v) / most}H${i + 0.9}V100Z`).join("");
  svg.append(svgElement("path", { d: bars, class: "bars" }));
  const line = (x, kind) => svgElement("line", { x1: x, x2: x, y1: 0, y2: 100, class: kind, "vector-effect": "non-scaling-stroke" });
  for (const cut of cuts) svg.append(line(numbers.indexOf(cut), "cut"));
  if (best !== null) svg.append(line(numbers.indexOf(best) + 0.45, "best"));
  svg.append(line(0.5, "now"));
  const to = (event) => {
    const box = svg.getBoundingClientRect();
    scrub(Math.floor(((event.clientX - box.left) / box.width) * width));
  };
  svg.addEventListener("pointerdown", to);
  svg.addEventListener("pointermove", (event) => { if (event.buttons) to(event); });
  const head = element("p", `${title}: `), now = element("output");
  now.dataset.series = title;
  head.append(now, `, most: ${formatFigure(title, most)}`);
  return [head, svg];
}

function scrub(index) {
  const { numbers } = DATA.clip, at = Math.min(numbers.length - 1, Math.max(0, index));
  const far = (exhibit) => Math.abs(exhibit.frame - numbers[at]);
  let best = 0;
  DATA.exhibits.forEach((exhibit, i) => { if (far(exhibit) < far(DATA.exhibits[best])) best = i; });
  byId("scrub").value = String(at);
  choose(best);
}

/* Another frame was chosen than the scrubber's: the scrubber goes there. */
function followFrame() {
  if (!DATA.clip) return;
  const { numbers } = DATA.clip, far = (exhibit) => Math.abs(exhibit.frame - numbers[byId("scrub").value]);
  if (DATA.exhibits.some((exhibit) => far(exhibit) < far(current()))) {
    byId("scrub").value = String(numbers.indexOf(current().frame));
  }
}

/* The small frame that is nearest to the scrubber is marked, and moved into view. */
function reflectStrip(number) {
  const strip = byId("strip"), made = [...strip.children];
  if (!made.length) return;
  const far = (one) => Math.abs(Number(one.dataset.frame) - number);
  const near = made.reduce((a, b) => (far(b) < far(a) ? b : a));
  for (const one of made) one.setAttribute("aria-selected", String(one === near));
  strip.scrollLeft = near.offsetLeft - strip.offsetLeft - (strip.clientWidth - near.offsetWidth) / 2;
}

/* By frames from where the scrubber is; the keys of the strip, and comma and full stop on the picture. */
function walk(frames) {
  if (DATA.clip) scrub(Number(byId("scrub").value) + frames);
}

function fillStrip() {
  const { thumbnails, numbers, doubtful, lost } = DATA.clip, strip = byId("strip");
  for (const [number, address] of Object.entries(thumbnails)) {
    const frame = Number(number), kind = lost.includes(frame) ? "lost" : doubtful.includes(frame) ? "doubtful" : "";
    const name = `Frame ${number}${kind && `, ${kind}`}`;
    const made = element("div", "", { role: "option", class: kind, title: name, "data-frame": number });
    made.append(element("img", "", { src: address, alt: name, loading: "lazy" }), element("span", number));
    made.addEventListener("click", () => scrub(numbers.indexOf(frame)));
    strip.append(made);
  }
  strip.hidden = !strip.children.length;
  strip.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    walk(Math.max(-numbers.length, Math.min(numbers.length, steps[event.key])));
  });
}

function fillDoubts() {
  const { numbers, doubtful, lost, best } = DATA.clip, parts = [];
  if (lost.length) parts.push(`The subject is lost in ${lost.length} of ${numbers.length} frames (red).`);
  if (doubtful.length) parts.push(`${doubtful.length} of ${numbers.length} frames are doubtful (amber).`);
  byId("doubts").hidden = !parts.length;
  byId("doubts").firstElementChild.textContent = parts.join(" ");
  byId("best").hidden = best === null;
  byId("best").textContent = `A hint on frame ${best} would help most`;
  byId("best").addEventListener("click", () => scrub(numbers.indexOf(best)));
}

function reflectClip() {
  if (!DATA.clip) return;
  const at = Number(byId("scrub").value), number = DATA.clip.numbers[at], shown = current().frame;
  byId("frame").textContent = number === shown ? `${number}` : `${number} (shown: ${shown})`;
  for (const made of document.querySelectorAll("#plots output")) {
    made.textContent = formatFigure(made.dataset.series, DATA.clip.series[made.dataset.series][at]);
  }
  reflectStrip(number);
  for (const line of document.querySelectorAll("#plots .now")) {
    line.setAttribute("x1", at + 0.45);
    line.setAttribute("x2", at + 0.45);
  }
}

function begin() {
  byId("title").textContent = DATA.title;
  byId("made").textContent = `Made by ${DATA.made}. Everything is in this file; nothing is fetched.`;
  byId("views").append(...VIEWS.map((view) => {
    const made = button(view.name, `${view.name} (${view.letter})`, () => show(view.key));
    made.dataset.view = view.key;
    made.hidden = !DATA.exhibits.some((exhibit) => exhibit.sides.some((_, side) => possible(exhibit, side, view.key)));
    return made;
  }));
  byId("backgrounds").prepend(...BACKGROUNDS.map((name) => {
    const made = button(name[0].toUpperCase() + name.slice(1), `Background: ${name} (b)`, () => setBackground(name));
    made.dataset.background = name;
    return made;
  }));
  DATA.exhibits.forEach((exhibit, i) => byId("exhibit").append(element("option", exhibit.title, { value: String(i) })));
  byId("picker").hidden = DATA.exhibits.length < 2 || Boolean(DATA.clip);
  if (DATA.exhibits[0].sides.length > 1) stage.panes = [{ side: 0, view: "composite" }, { side: 1, view: "composite" }];
  byId("exhibit").addEventListener("change", (event) => choose(Number(event.target.value)));
  ["left", "right"].forEach((id, index) => byId(id).addEventListener("change", (event) => {
    const [side, view] = event.target.value.split(" ");
    stage.panes[index] = { side: Number(side), view };
    redraw();
  }));
  byId("split").addEventListener("input", (event) => divideAt(event.target.value / 1000));
  byId("colour").addEventListener("input", (event) => { stage.colour = event.target.value; setBackground("colour"); });
  byId("file").addEventListener("change", (event) => takePicture(event.target.files[0]));
  const press = { fit, one: KEYS[1], in: KEYS["+"], out: KEYS["-"] };
  for (const [id, act] of Object.entries(press)) byId(id).addEventListener("click", act);
  byId("layout").addEventListener("click", () => { stage.beside = !stage.beside; stage.fitted ? fit() : redraw(); });
  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  canvas.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  if (DATA.clip) beginClip();
  stage.onchange = reflect;
  new ResizeObserver(resize).observe(canvas);
  choose(0);
}

function beginClip() {
  const { numbers, series } = DATA.clip;
  byId("clip").hidden = false;
  byId("scrub").max = String(numbers.length - 1);
  byId("scrub").addEventListener("input", (event) => scrub(Number(event.target.value)));
  for (const [title, values] of Object.entries(series)) byId("plots").append(...plot(title, values));
  fillStrip();
  fillDoubts();
}

begin();
