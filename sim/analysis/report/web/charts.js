// Curves over steps: lines with their intervals, values under the pointer, the step of the slider as a line.
const DASHES = { "-": [], "--": [6, 3], "-.": [6, 2, 1, 2], ":": [1.5, 2.5] };

function range(chart) {
  const every = chart.lines.flatMap((line) => [...line.y, ...(line.low || []), ...(line.high || [])]).filter((v) => v !== null);
  let low = Math.min(0, ...every), high = Math.max(0, ...every, ...(chart.marks || []).map((mark) => mark.value));
  if (high === low) high = low + 1;
  return [low, high];
}

function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const gap = power * [1, 2, 5, 10].find((f) => f * power >= rough), found = [];
  for (let v = Math.ceil(low / gap) * gap; v <= high + gap / 1e6; v += gap) found.push(+v.toPrecision(6));
  return found;
}

// chart: title, says, unit, x (steps), lines of {name, colour, dash, y, low, high}, marks of {name, value}.
function chart(spec, tall = 190) {
  const [low, high] = range(spec), first = spec.x[0], last = Math.max(first + 1, spec.x[spec.x.length - 1]);
  const place = new Map(spec.x.map((step, k) => [step, k]));
  const readout = make("p", { class: "readout" });
  let over = null;
  const box = { left: 44, right: 12, top: 8, bottom: 30 };
  const across = (width) => (step) => box.left + ((step - first) / (last - first)) * (width - box.left - box.right);

  function draw(c, width, height) {
    const x = across(width), y = (v) => height - box.bottom - ((v - low) / (high - low)) * (height - box.top - box.bottom);
    c.font = "11px system-ui, sans-serif";
    c.lineWidth = 1;
    for (const tick of ticks(low, high, 6)) {
      c.strokeStyle = tick === 0 ? "#b4bcc4" : "#eceff1";
      c.beginPath(); c.moveTo(box.left, y(tick)); c.lineTo(width - box.right, y(tick)); c.stroke();
      c.fillStyle = SOFT; c.textAlign = "right"; c.textBaseline = "middle";
      c.fillText(String(tick), box.left - 6, y(tick));
    }
    c.textBaseline = "top"; c.textAlign = "center";
    for (const tick of ticks(first, last, Math.max(2, width / 80)).filter(Number.isInteger)) c.fillText(String(tick), x(tick), height - box.bottom + 5);
    c.textAlign = "right";
    c.fillText("step", width - box.right, height - 13);
    for (const line of spec.lines) if (line.low) band(c, line, x, y);
    for (const line of spec.lines) trace(c, line, x, y);
    for (const mark of spec.marks || []) rule(c, mark, y, width);
    cursor(c, x(Math.max(first, over === null ? state.step : over)), height);
  }

  function band(c, line, x, y) {
    const known = spec.x.map((_, k) => k).filter((k) => line.low[k] !== null && line.high[k] !== null);
    c.fillStyle = line.colour; c.globalAlpha = 0.16;
    c.beginPath();
    known.forEach((k) => c.lineTo(x(spec.x[k]), y(line.high[k])));
    known.reverse().forEach((k) => c.lineTo(x(spec.x[k]), y(line.low[k])));
    c.fill(); c.globalAlpha = 1;
  }

  function trace(c, line, x, y) {
    c.strokeStyle = line.colour; c.lineWidth = 1.8; c.setLineDash(DASHES[line.dash] || []);
    c.beginPath();
    let pen = false;
    line.y.forEach((v, k) => {
      if (v === null) pen = false;
      else { if (pen) c.lineTo(x(spec.x[k]), y(v)); else c.moveTo(x(spec.x[k]), y(v)); pen = true; }
    });
    c.stroke(); c.setLineDash([]);
    c.fillStyle = line.colour;
    if (spec.x.length <= 60) line.y.forEach((v, k) => { if (v !== null) { c.beginPath(); c.arc(x(spec.x[k]), y(v), 2.2, 0, 7); c.fill(); } });
  }

  function rule(c, mark, y, width) {
    c.strokeStyle = INK; c.setLineDash([2, 3]); c.lineWidth = 1.2;
    c.beginPath(); c.moveTo(box.left, y(mark.value)); c.lineTo(width - box.right, y(mark.value)); c.stroke(); c.setLineDash([]);
  }

  function cursor(c, x, height) {
    c.strokeStyle = INK; c.globalAlpha = 0.55; c.lineWidth = 1;
    c.beginPath(); c.moveTo(x, box.top); c.lineTo(x, height - box.bottom); c.stroke(); c.globalAlpha = 1;
  }

  function tell() {
    const step = over === null ? state.step : over, k = place.get(step);
    readout.replaceChildren(make("b", {}, `${at(step)}: `), ...spec.lines.map((line) => {
      const value = k === undefined ? null : line.y[k];
      const about = line.low && k !== undefined && line.low[k] !== null ? ` (${decimal(line.low[k])} to ${decimal(line.high[k])})` : "";
      return make("span", {}, swatch(line), ` ${line.name} ${decimal(value)}${about} `);
    }), ...(spec.marks || []).map((mark) => make("span", {}, swatch({ colour: INK, dash: ":" }), ` ${mark.name} ${decimal(mark.value)} `)));
  }

  const swatch = (line) => make("span", { class: `swatch ${line.dash === "-" ? "" : "dashed"}`, style: `border-color:${line.colour}`, "aria-hidden": "true" });
  const given = { tabindex: "0", role: "img", "aria-label": `${spec.title}; arrow keys move through the steps`, class: "chart" };
  const { canvas, redraw } = sheet(given, () => tall, draw);
  const show = () => { redraw(); tell(); };
  canvas.addEventListener("pointermove", (event) => {
    const width = canvas.clientWidth, share = (event.offsetX - box.left) / (width - box.left - box.right);
    over = Math.max(first, Math.min(spec.x[spec.x.length - 1], Math.round(first + share * (last - first))));
    show();
  });
  canvas.addEventListener("pointerleave", () => { over = null; show(); });
  canvas.addEventListener("click", () => { if (over !== null) update({ step: over }); });
  canvas.addEventListener("keydown", stepByKey);
  const element = make("figure", { class: "curve" }, make("figcaption", {}, make("b", {}, spec.title), spec.unit ? `, ${spec.unit}` : "", spec.says ? `. ${spec.says}` : ""), canvas, readout);
  tell();
  return { element, show };
}

function stepByKey(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  update({ step: by === Infinity ? data.steps - 1 : by === -Infinity ? -1 : state.step + by });
}
