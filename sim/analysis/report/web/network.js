// The network after a step: who is in which compartment, who infected whom in it, whom the selected agent heard.
function network(filter) {
  const { x, y } = data.agents, drawn = data.drawn, ties = data.edges;
  const size = drawn <= 40 ? 9 : drawn <= 120 ? 7 : drawn <= 400 ? 5 : 3.2;
  const paths = Object.fromEntries(Object.entries(SIGNS).map(([name, path]) => [name, new Path2D(path)]));
  const back = document.createElement("canvas");
  let fit = null, painted = "";

  const tall = (width) => Math.max(260, Math.min(560, width * 0.85));
  const spot = (row) => [fit.x + x[row] * fit.scale, fit.y + y[row] * fit.scale];

  function place(width, height) {
    const edge = size + (drawn <= 40 ? 26 : 10), [w, h] = data.extent;
    const scale = Math.min((width - 2 * edge) / Math.max(w, 1), (height - 2 * edge) / Math.max(h, 1));
    fit = { scale, x: (width - w * scale) / 2, y: (height - h * scale) / 2 };
  }

  // Which agents stand out; the others are faint.
  function chosen(now) {
    if (filter.value === "cases") return (row) => kindOf(now[row]).ill || caseOf(strain(), row)?.onset <= state.step;
    if (filter.value !== "ties" || state.agent === null) return () => true;
    const near = new Set([state.agent]);
    for (let k = 0; k < ties.length; k += 2) {
      if (ties[k] === state.agent) near.add(ties[k + 1]);
      if (ties[k + 1] === state.agent) near.add(ties[k]);
    }
    return (row) => near.has(row);
  }

  function background(width, height, shown) {
    const key = `${width} ${height} ${filter.value} ${filter.value === "all" ? "" : `${state.step} ${state.agent} ${state.strain}`}`;
    if (key === painted) return;
    painted = key;
    const dense = window.devicePixelRatio || 1, c = back.getContext("2d");
    back.width = Math.round(width * dense); back.height = Math.round(height * dense);
    c.scale(dense, dense);
    c.strokeStyle = ties.length > 4000 ? "rgba(110,120,130,.38)" : "#cdd3d9";
    c.lineWidth = drawn <= 120 ? 1 : 0.6;
    c.beginPath();
    for (let k = 0; k < ties.length; k += 2) {
      if (!shown(ties[k]) || !shown(ties[k + 1])) continue;
      c.moveTo(...spot(ties[k])); c.lineTo(...spot(ties[k + 1]));
    }
    c.stroke();
  }

  function draw(c, width, height) {
    place(width, height);
    const of = strain(), now = compartments(of, state.step), shown = chosen(now), index = new Set(of.index), dense = window.devicePixelRatio || 1;
    background(width, height, shown);
    c.drawImage(back, 0, 0, width, height);
    heardNow(c);
    for (const one of of.cases) if (one.onset === state.step && one.onset >= 0 && one.parent >= 0) arrow(c, rowOf.get(one.parent), rowOf.get(one.agent));
    for (let row = 0; row < drawn; row++) {
      const kind = kindOf(now[row]), seeded = index.has(row), [px, py] = spot(row), r = seeded ? size * 1.15 : size, out = !shown(row);
      c.setTransform(dense * r, 0, 0, dense * r, dense * px, dense * py);
      c.globalAlpha = out ? 0.18 : 1;
      c.fillStyle = kind.colour; c.fill(paths[kind.shape]);
      c.strokeStyle = seeded ? "#000" : "#fff"; c.lineWidth = (seeded ? 2 : 0.8) / r; c.stroke(paths[kind.shape]);
    }
    c.setTransform(dense, 0, 0, dense, 0, 0); c.globalAlpha = 1;
    if (drawn <= 40) for (let row = 0; row < drawn; row++) title(c, row);
    ring(c);
  }

  function title(c, row) {
    const [px, py] = spot(row), name = data.agents.name[row];
    c.font = "12px system-ui, sans-serif"; c.textAlign = "center"; c.textBaseline = "top";
    c.lineWidth = 3; c.strokeStyle = "rgba(255,255,255,.9)"; c.fillStyle = INK;
    const short = name.length > 16 ? `${name.slice(0, 15)}\u2026` : name;
    c.strokeText(short, px, py + size + 3); c.fillText(short, px, py + size + 3);
  }

  // Lines along which messages came: to the selected agent, or to everybody where these are few.
  function heardNow(c) {
    const heard = data.heard;
    c.strokeStyle = "#6b7680"; c.lineWidth = 1.6; c.globalAlpha = state.agent === null ? 0.5 : 1;
    c.beginPath();
    const rows = state.agent !== null ? [state.agent] : drawn <= 40 ? data.agents.id.keys() : [];
    for (const row of rows) for (const k of heardAt(row, state.step)) {
      const from = senderOf(heard.what[k]);
      if (from === undefined || from >= drawn || row >= drawn) continue;
      c.moveTo(...spot(from)); c.lineTo(...spot(row));
    }
    c.stroke(); c.globalAlpha = 1;
  }

  function arrow(c, from, to) {
    if (from === undefined || to === undefined || from >= drawn || to >= drawn) return;
    const [ax, ay] = spot(from), [bx, by] = spot(to), angle = Math.atan2(by - ay, bx - ax), head = Math.max(6, size * 1.1);
    const ex = bx - Math.cos(angle) * size, ey = by - Math.sin(angle) * size;
    c.strokeStyle = c.fillStyle = "#a63f00"; c.lineWidth = 2.4;
    c.beginPath(); c.moveTo(ax, ay); c.lineTo(ex, ey); c.stroke();
    c.beginPath(); c.moveTo(ex, ey);
    for (const turn of [-0.45, 0.45]) c.lineTo(ex - head * Math.cos(angle + turn), ey - head * Math.sin(angle + turn));
    c.fill();
  }

  function ring(c) {
    if (state.agent === null || state.agent >= drawn) return;
    const [px, py] = spot(state.agent);
    for (const [colour, wide] of [[INK, 5], [PICK, 3]]) {
      c.strokeStyle = colour; c.lineWidth = wide;
      c.beginPath(); c.arc(px, py, size + 5, 0, 7); c.stroke();
    }
  }

  function nearest(px, py, allowed, cost) {
    let best = null, least = Infinity;
    for (let row = 0; row < drawn; row++) {
      const [qx, qy] = spot(row), c = cost(qx - px, qy - py);
      if (allowed(row) && c < least) { least = c; best = row; }
    }
    return [best, least];
  }

  const about = "Network of agents. Arrow keys move the selection to the next agent in that direction, Enter reads about it.";
  const { canvas, redraw } = sheet({ tabindex: "0", role: "application", "aria-label": about, id: "network" }, tall, draw);
  canvas.addEventListener("click", (event) => {
    const [row, far] = nearest(event.offsetX, event.offsetY, () => true, (dx, dy) => Math.hypot(dx, dy));
    if (row !== null) update({ agent: far <= size + 12 ? row : null });
  });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter") document.getElementById("agent").focus();
    if (event.key === "Escape") update({ agent: null });
    if (!way || !drawn) return;
    event.preventDefault();
    if (state.agent === null || state.agent >= drawn) return update({ agent: Math.min(strain().index[0] ?? 0, drawn - 1) });
    const ahead = (dx, dy) => {
      const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      return along > 1 ? along + 2.5 * aside : Infinity;
    };
    const [row] = nearest(...spot(state.agent), (r) => r !== state.agent, ahead);
    if (row !== null) update({ agent: row });
  });
  filter.addEventListener("change", redraw);
  return { canvas, redraw };
}

// Places in data.heard of what an agent (its row) received in a step.
function heardAt(row, step) {
  const { start, step: when } = data.heard, found = [];
  for (let k = start[row]; k < start[row + 1] && when[k] <= step; k++) if (when[k] === step) found.push(k);
  return found;
}

// The row of who sent what was heard: a message of the page, or below 0 the number of a sender whose message is not on it.
const senderOf = (what) => (what >= 0 ? data.messages.sender[what] : rowOf.get(-what - 1));
