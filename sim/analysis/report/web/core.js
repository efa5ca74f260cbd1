// What all parts of the viewer share: the data, what is selected, and elements made of text alone.
const SVG = "http://www.w3.org/2000/svg";
const SIGNS = {
  o: "M1,0A1,1 0 1,1 -1,0A1,1 0 1,1 1,0Z",
  s: "M-.9,-.9H.9V.9H-.9Z",
  "^": "M0,-1.15L1.1,.85H-1.1Z",
  v: "M0,1.15L1.1,-.85H-1.1Z",
  D: "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
  P: "M-.4,-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
  X: "M-1,-.55L-.55,-1L0,-.45L.55,-1L1,-.55L.45,0L1,.55L.55,1L0,.45L-.55,1L-1,.55L-.45,0Z",
};
const INK = "#1b1f24", SOFT = "#59636e", LINE = "#d9dee3", PICK = "#f0b400";
const NONE = -999;

// An element. Attributes that begin with "on" are listeners; children are elements or text, never markup.
function make(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const said = (text) => make("bdi", { class: "said" }, text);

// A button that reads like a link and moves the selection.
const link = (text, change) => make("button", { class: "link", type: "button", onclick: () => update(change()) }, make("bdi", {}, text));

function sign(shape, colour, rim = "none") {
  const drawing = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  for (const [name, value] of [["viewBox", "-1.6 -1.6 3.2 3.2"], ["class", "sign"], ["aria-hidden", "true"]]) drawing.setAttribute(name, value);
  for (const [name, value] of [["d", SIGNS[shape]], ["fill", colour], ["stroke", rim], ["stroke-width", ".35"]]) path.setAttribute(name, value);
  drawing.append(path);
  return drawing;
}

async function unpack(element) {
  const packed = atob(element.textContent), bytes = new Uint8Array(packed.length);
  for (let k = 0; k < packed.length; k++) bytes[k] = packed.charCodeAt(k);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

let data, state, rowOf;
const watchers = [];

// What is selected: strain and step always, agent (its row) or null. Everything on the page follows.
function update(change) {
  state = { ...state, ...change };
  state.step = Math.max(-1, Math.min(data.steps - 1, state.step));
  for (const watcher of watchers) watcher(change);
}

function begin(read) {
  data = read;
  rowOf = new Map(data.agents.id.map((id, row) => [id, row]));
  state = { strain: 0, step: -1, agent: null };
  const { counts, cases } = strain(), ill = data.compartments.filter((kind) => kind.ill).map((kind) => counts.of[kind.code] || []);
  const sick = counts.step.map((_, k) => ill.reduce((sum, line) => sum + (line[k] || 0), 0));
  const first = cases.find((one) => !one.index) || cases[0];
  // Where there is most to see: the peak, and the first who caught it.
  update({ step: counts.step[sick.indexOf(Math.max(...sick))] ?? -1, agent: first ? rowOf.get(first.agent) : null });
}

const strain = () => data.strains[state.strain];
const nameOf = (id) => (rowOf.has(id) ? data.agents.name[rowOf.get(id)] : data.others[id] || `agent ${id}`);
const kindOf = (code) => data.compartments[code];
const at = (step) => (step < 0 ? "after seeding" : `step ${step}`);
const decimal = (value) => (value === null || value === undefined ? "none" : Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3)));
const percent = (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)}%`;

// The compartment of every agent of the page after a step, as codes. Kept for every step once a strain is looked at.
function compartments(of, step) {
  if (!of.kept) {
    const rows = data.agents.id.length, now = new Uint8Array(rows).fill(of.susceptible);
    for (const row of of.index) now[row] = of.infectious;
    of.kept = [];
    let next = 0;
    for (let s = -1; s < data.steps; s++) {
      for (; next < of.moves.step.length && of.moves.step[next] <= s; next++) now[of.moves.agent[next]] = of.moves.target[next];
      of.kept.push(now.slice());
    }
  }
  return of.kept[step + 1];
}

// The case of an agent (its row), if it became one.
function caseOf(of, row) {
  of.byRow ||= new Map(of.cases.map((one) => [rowOf.get(one.agent), one]));
  return of.byRow.get(row);
}

// A canvas as wide as its parent, sharp on every screen. draw(context, width, height) is called again when the width changes.
function sheet(given, height, draw) {
  const canvas = make("canvas", given), context = canvas.getContext("2d");
  const redraw = () => {
    const width = canvas.parentElement ? canvas.parentElement.clientWidth : 0, tall = height(width), dense = window.devicePixelRatio || 1;
    if (!width) return;
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(tall * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(tall * dense);
      canvas.style.height = `${tall}px`;
    }
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, width, tall);
    draw(context, width, tall);
  };
  let before = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width !== before) { before = width; redraw(); }
  }).observe(canvas);
  return { canvas, redraw };
}
