// Who infected whom, by step of onset: a time tree whose lines are the likeliest sources.
function tree() {
  let of = null, gap = 0;
  const box = { left: 16, right: 40, top: 14, bottom: 26 };
  const named = () => of.tree.length <= 60;
  const tall = () => { prepare(); return box.top + box.bottom + gap * Math.max(1, of.height); };

  function prepare() {
    if (of === strain()) return;
    of = strain();
    of.byAgent ||= new Map(of.cases.map((one) => [one.agent, one]));
    of.span = 1 + Math.max(0, ...of.tree.map((one) => of.byAgent.get(one.agent).onset));
    of.height = Math.max(0, ...of.tree.map((one) => one.place));
    of.shown ||= new Map(of.tree.map((one) => [one.agent, one]));
    gap = Math.max(4, Math.min(22, 7000 / Math.max(1, of.height), of.height > 150 ? 7 : 22));
  }

  const across = (step, width) => box.left + ((Math.min(step, of.span) + 1) / (of.span + 1)) * (width - box.left - box.right - (named() ? 70 : 0));
  const spot = (one, width) => [across(of.byAgent.get(one.agent).onset, width), box.top + one.place * gap];

  function draw(c, width, height) {
    prepare();
    c.font = "11px system-ui, sans-serif";
    for (const one of of.tree) branch(c, one, width);
    if (state.agent !== null) candidates(c, width);
    for (const one of of.tree) node(c, one, width);
    axis(c, width, height);
  }

  function branch(c, one, width) {
    const known = of.byAgent.get(one.agent), parent = of.shown.get(known.parent);
    if (!parent) return;
    const [ax, ay] = spot(parent, width), [bx, by] = spot(one, width);
    c.globalAlpha = known.onset > state.step ? 0.15 : 0.35 + 0.65 * known.probability;
    c.strokeStyle = SOFT; c.lineWidth = 0.8 + 1.4 * known.probability;
    c.beginPath(); c.moveTo(ax, ay); c.bezierCurveTo((ax + bx) / 2, ay, (ax + bx) / 2, by, bx, by); c.stroke();
    c.globalAlpha = 1;
  }

  // All candidate sources of the selected case, dotted.
  function candidates(c, width) {
    const id = data.agents.id[state.agent], mine = of.shown.get(id);
    if (!mine) return;
    const [bx, by] = spot(mine, width);
    c.strokeStyle = INK; c.lineWidth = 1.4; c.setLineDash([2, 3]);
    for (const source of new Set(of.byAgent.get(id).causes.map((cause) => cause[0]))) {
      const from = of.shown.get(source);
      if (!from) continue;
      c.beginPath(); c.moveTo(...spot(from, width)); c.lineTo(bx, by); c.stroke();
    }
    c.setLineDash([]);
  }

  function node(c, one, width) {
    const known = of.byAgent.get(one.agent), [px, py] = spot(one, width), r = gap < 9 ? 3 : 5;
    const shape = known.index ? "s" : known.spontaneous ? "D" : "o";
    c.globalAlpha = known.onset > state.step ? 0.25 : 1;
    c.save(); c.translate(px, py); c.scale(r, r);
    c.fillStyle = known.index ? INK : known.spontaneous ? "#fff" : "#D55E00"; c.strokeStyle = INK; c.lineWidth = 1 / r;
    const path = new Path2D(SIGNS[shape]);
    c.fill(path); c.stroke(path); c.restore();
    if (named()) {
      c.textAlign = "left"; c.textBaseline = "bottom"; c.lineWidth = 3; c.strokeStyle = "#fff"; c.fillStyle = INK;
      c.strokeText(nameOf(one.agent).slice(0, 16), px + 7, py + 1); c.fillText(nameOf(one.agent).slice(0, 16), px + 7, py + 1);
    }
    c.globalAlpha = 1;
    if (rowOf.get(one.agent) === state.agent) {
      for (const [colour, wide] of [[INK, 5], [PICK, 3]]) { c.strokeStyle = colour; c.lineWidth = wide; c.beginPath(); c.arc(px, py, r + 4, 0, 7); c.stroke(); }
    }
  }

  function axis(c, width, height) {
    const x = (step) => across(step, width);
    c.strokeStyle = INK; c.globalAlpha = 0.4; c.lineWidth = 1;
    c.beginPath(); c.moveTo(x(state.step), 2); c.lineTo(x(state.step), height - 20); c.stroke(); c.globalAlpha = 1;
    c.fillStyle = SOFT; c.textAlign = "center"; c.textBaseline = "top";
    for (const tick of ticks(0, of.span, 8).filter(Number.isInteger)) c.fillText(String(tick), x(tick), height - 16);
    c.textAlign = "right"; c.fillText("onset, step", width - 2, height - 16);
  }

  const about = "Transmission tree. Up and down move between cases, left goes to the likeliest source, right to the first case it led to, Enter reads about it.";
  const { canvas, redraw } = sheet({ tabindex: "0", role: "application", "aria-label": about, id: "tree" }, tall, draw);
  canvas.addEventListener("click", (event) => {
    let best = null, least = 20;
    for (const one of of.tree) {
      const [px, py] = spot(one, canvas.clientWidth), far = Math.hypot(px - event.offsetX, py - event.offsetY);
      if (far < least) { least = far; best = one; }
    }
    if (best) update({ agent: rowOf.get(best.agent) });
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") document.getElementById("agent").focus();
    if (!event.key.startsWith("Arrow") || !of.tree.length) return;
    event.preventDefault();
    const id = state.agent === null ? null : data.agents.id[state.agent], mine = of.shown.get(id);
    const byPlace = of.sorted ||= [...of.tree].sort((a, b) => a.place - b.place), k = byPlace.indexOf(mine);
    const next = {
      ArrowUp: () => byPlace[Math.max(0, k - 1)],
      ArrowDown: () => byPlace[Math.min(byPlace.length - 1, k + 1)],
      ArrowLeft: () => of.shown.get(of.byAgent.get(id)?.parent),
      ArrowRight: () => of.tree.find((one) => of.byAgent.get(one.agent).parent === id),
    }[event.key]();
    if (next) update({ agent: rowOf.get(next.agent) });
  });
  return { canvas, redraw };
}
