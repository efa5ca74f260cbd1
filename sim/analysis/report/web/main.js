// The viewer: a slider through the steps, and everything that follows it.
function viewer(root) {
  const play = make("button", { type: "button", "aria-label": "Play" }, "\u25b6 Play");
  const slider = make("input", { type: "range", id: "step", min: "-1", max: String(Math.max(0, data.steps - 1)), step: "1", "aria-label": "Step" });
  const now = make("output", { for: "step", class: "now" }), counts = make("ul", { class: "counts", "aria-label": "Agents in each compartment" });
  const news = make("p", { class: "news soft" }), spoken = make("p", { class: "hidden", "aria-live": "polite" });
  const filter = make("select", { "aria-label": "Show" }, ...[["all", "everybody"], ["cases", "cases so far"], ["ties", "ties of the selected agent"]].map(([value, name]) => make("option", { value }, name)));
  const picked = make("select", { id: "agents", "aria-label": "Agent" }), search = make("input", { type: "search", placeholder: "find an agent", "aria-label": "Find an agent by name" });
  const strains = make("select", { "aria-label": "Strain" }, ...data.strains.map((of, k) => make("option", { value: String(k) }, of.name)));
  const panel = agentPanel(), net = network(filter), branches = tree(), curves = make("div", { class: "charts" });
  const rows = [...data.agents.id.keys()];
  const part = make("span");
  let drawn = [], timer = null;

  function list() {
    const of = strain(), wanted = search.value.toLowerCase(), found = rows.filter((row) => data.agents.name[row].toLowerCase().includes(wanted));
    const onset = (row) => caseOf(of, row)?.onset ?? Infinity;
    found.sort((a, b) => (onset(a) === onset(b) ? a - b : onset(a) - onset(b)));
    const about = (row) => { const mine = caseOf(of, row); return mine ? (mine.index ? ", index case" : `, case from step ${mine.onset}`) : ""; };
    picked.replaceChildren(make("option", { value: "" }, found.length ? `${found.length} agents` : "no such agent"),
      ...found.map((row) => make("option", { value: String(row) }, `${data.agents.name[row]}${about(row)}`)));
    picked.value = state.agent === null ? "" : String(state.agent);
  }

  function stop() { clearInterval(timer); timer = null; play.textContent = "\u25b6 Play"; play.setAttribute("aria-label", "Play"); }
  function start() {
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (state.step >= data.steps - 1) update({ step: -1 });
    play.textContent = "\u275a\u275a Pause"; play.setAttribute("aria-label", "Pause");
    timer = setInterval(() => { update({ step: state.step + 1 }); if (state.step >= data.steps - 1) stop(); }, calm ? 1500 : Math.max(80, Math.min(600, 12000 / data.steps)));
  }

  function tally() {
    const of = strain(), k = of.counts.step.indexOf(state.step);
    counts.replaceChildren(...Object.entries(of.counts.of).map(([code, line]) => {
      const kind = data.compartments.find((one) => one.code === code);
      return make("li", { "data-compartment": code }, sign(kind.shape, kind.colour), ` ${kind.name} `, make("b", {}, k < 0 ? "?" : String(line[k])));
    }), make("li", {}, sign("o", "#fff", "#000"), " black rim: index case"));
    const begun = of.onsets[state.step], events = data.pressure.filter(([step]) => step === state.step).map(([, words]) => words);
    news.replaceChildren(make("bdi", {}, [state.step < 0 ? "" : `${begun || "no"} first sign${begun === 1 ? "" : "s"} in this step`, ...events].filter(Boolean).join("; ")));
  }

  function charts() {
    const of = strain(), lines = Object.entries(of.counts.of).map(([code, y]) => {
      const kind = data.compartments.find((one) => one.code === code);
      return { name: kind.name, colour: kind.colour, dash: kind.dash, y };
    });
    drawn = [...(lines.length ? [{ title: `Compartments: ${of.name}`, unit: "agents", x: of.counts.step, lines }] : []), ...data.charts].map((spec) => chart(spec));
    curves.replaceChildren(...drawn.map((one) => one.element));
  }

  function follow(change) {
    if ("strain" in change) { charts(); list(); part.textContent = strain().note; }
    slider.value = String(state.step);
    slider.setAttribute("aria-valuetext", at(state.step));
    now.textContent = state.step < 0 ? "after seeding" : `after step ${state.step} (last: ${data.steps - 1})`;
    tally(); net.redraw(); branches.redraw(); panel.show(change);
    for (const one of drawn) one.show();
    if ("agent" in change) picked.value = state.agent === null ? "" : String(state.agent);
    if ("agent" in change && state.agent !== null) spoken.textContent = `${data.agents.name[state.agent]}, ${kindOf(compartments(strain(), state.step)[state.agent]).name}`;
  }

  const note = make("div", {}, ...data.notes.map((text) => make("p", { class: "soft" }, make("bdi", {}, text))));
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  slider.addEventListener("input", () => { stop(); update({ step: Number(slider.value) }); });
  search.addEventListener("input", list);
  search.addEventListener("keydown", (event) => { if (event.key === "Enter" && picked.options.length > 1) update({ agent: Number(picked.options[1].value) }); });
  picked.addEventListener("change", () => update({ agent: picked.value === "" ? null : Number(picked.value) }));
  strains.addEventListener("change", () => update({ strain: Number(strains.value) }));

  const choices = make("div", { class: "choices" }, ...(data.strains.length > 1 ? [make("label", {}, "Strain ", strains)] : []),
    make("label", {}, "Show ", filter), make("label", {}, "Agent ", search, picked));
  root.replaceChildren(make("div", { class: "controls" }, play, slider, now), counts, news, choices, spoken,
    make("div", { class: "stage" }, make("div", { class: "world" }, make("div", {}, net.canvas), note), panel.element),
    make("h3", {}, "Transmission tree"), make("p", { class: "soft" }, "Each line leads from the likeliest source; of a selected case dotted lines lead from all candidates. Squares: index cases; diamonds: no known source. Faint: still to come. ", part),
    make("div", { class: "scroll" }, make("div", {}, branches.canvas)), curves);
  watchers.push(follow);
  follow({ strain: 0, agent: null });
}

// Curves of other parts of the page, where their places are.
function inserted() {
  for (const place of document.querySelectorAll("[data-curve]")) {
    const one = chart(data.curves[Number(place.dataset.curve)]);
    place.replaceChildren(one.element);
    watchers.push(one.show);
  }
}

function unfold(id) {
  const part = id && document.getElementById(id)?.closest("details");
  if (part) part.open = true;
}

async function main() {
  const root = document.getElementById("viewer");
  for (const entry of document.querySelectorAll("nav a")) entry.addEventListener("click", () => unfold(entry.hash.slice(1)));
  window.addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
  unfold(location.hash.slice(1));
  begin(await unpack(document.getElementById("data")));
  viewer(root);
  inserted();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

main().catch((error) => {
  document.getElementById("viewer").replaceChildren(make("p", { class: "warn" }, `This part of the page could not be shown (${error.message}). The figures below show the run without it.`));
  throw error;
});
