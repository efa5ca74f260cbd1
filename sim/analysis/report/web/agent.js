// All about one agent: what it was, why it was called a case, what it said, heard and felt.
const WINDOW = 4, MOST = 60;

function agentPanel() {
  const panel = make("section", { id: "agent", class: "agent", tabindex: "-1", "aria-label": "Selected agent" });
  let steps = WINDOW, fixed = null, talk = null, course = null;

  function show(change) {
    if (state.agent === null) return panel.replaceChildren(hint());
    if (!fixed || "agent" in change || "strain" in change) {
      steps = WINDOW;
      course = curves(state.agent);
      talk = make("div", { class: "talk" });
      fixed = [head(state.agent), ...why(state.agent), ...(course ? [course.element] : []), make("h4", {}, "Said and heard"), talk];
      panel.replaceChildren(...fixed);
    }
    course?.show();
    talk.replaceChildren(...spoken(state.agent));
  }

  const hint = () => make("p", { class: "soft" }, data.agents.id.length
    ? "Choose an agent, in the network, in the tree or from the list, to read what it heard and said and why it was called a case."
    : "No agents were recorded.");

  function head(row) {
    const seen = [], of = strain();
    let before = null;
    for (let s = -1; s < data.steps; s++) {
      const code = compartments(of, s)[row];
      if (code !== before) seen.push(`${kindOf(code).name} ${s < 0 ? "after seeding" : `from step ${s}`}`);
      before = code;
    }
    const words = seen.length > 12 ? [...seen.slice(0, 11), `\u2026 and ${seen.length - 11} changes more`] : seen;
    return make("div", {}, make("h3", {}, make("bdi", {}, data.agents.name[row])),
      make("p", { class: "soft" }, make("bdi", {}, `Agent ${data.agents.id[row]}, group ${data.groups[data.agents.group[row]]}. `), `${words.join("; ")}.`));
  }

  function why(row) {
    const of = strain(), mine = caseOf(of, row), title = make("h4", {}, "Why it was called a case");
    if (!mine) return [make("p", {}, `Never a case of ${of.name}, by the case definition.`)];
    if (mine.index) return [title, make("p", {}, `An index case: it carried ${of.name} from the start.`)];
    const when = mine.confirmed > mine.onset ? `, confirmed in step ${mine.confirmed}` : "";
    const signs = mine.readings.map(([step, value, ruler, reached, text]) => make("li", {}, link(at(step), () => ({ step })),
      `: ${ruler} read ${decimal(value)}${reached ? ", a sign" : ", no sign"}. `, ...words(text)));
    const left = mine.more ? make("p", { class: "soft" }, `${mine.more} less probable candidates are not listed.`) : "";
    const rest = 1 - mine.explained;
    return [title,
      make("p", {}, `First sign in step ${mine.onset}${when}. ${of.rule}`),
      signs.length ? make("ul", {}, ...signs) : make("p", { class: "soft" }, "The readings that counted are not in the log."),
      make("h4", {}, "Candidate causes"),
      mine.causes.length ? make("ol", { class: "causes" }, ...mine.causes.map(cause)) : make("p", {}, "None is known: nothing it heard in the steps before showed it, or these exposures are not logged."),
      mine.causes.length && rest > 0.005 ? make("p", { class: "soft" }, `${percent(rest)} of the cause is not accounted for by sources that were cases before it.`) : "", left];
  }

  function cause([source, step, probability, dose, text, confirmed]) {
    return make("li", {}, make("b", {}, percent(probability)), " ",
      rowOf.has(source) ? link(nameOf(source), () => ({ agent: rowOf.get(source) })) : make("bdi", {}, nameOf(source)), ", ",
      link(at(step), () => ({ step })), `, dose ${decimal(dose)}. `,
      confirmed ? make("b", { class: "confirmed" }, `${confirmed} `) : "", ...words(text));
  }

  function curves(row) {
    const { start, step, values } = data.messages, from = start[row], to = start[row + 1];
    if (to - from < 2) return null;
    const lines = data.measures.map((measure, k) => {
      const by = new Map();
      for (let m = from; m < to; m++) if (values[k][m] !== NONE) by.set(step[m], Math.max(values[k][m] / 100, by.get(step[m]) ?? -Infinity));
      return { ...measure, by };
    }).filter((line) => line.by.size && (line.mine === undefined || line.mine === state.strain));
    if (!lines.length) return null;
    const x = [...new Set(step.slice(from, to))];
    return chart({
      title: "What its messages showed", unit: "readings", x, lines: lines.map((line) => ({ ...line, y: x.map((s) => line.by.get(s) ?? null) })),
      marks: strain().thresholds.map(([name, value]) => ({ name: `threshold, ${name}`, value })),
    }, 150);
  }

  function spoken(row) {
    const blocks = [], remarks = data.remarks[row] || [], { start, step } = data.messages;
    let shown = 0, s = state.step;
    for (; s >= 0 && shown < steps && blocks.length < MOST; s--) {
      const lines = remarks.filter((one) => one[0] === s).map(([, kind, text]) => make("div", {}, make("span", { class: "tag" }, kind), " ", said(text)));
      for (let m = start[row]; m < start[row + 1]; m++) if (step[m] === s) lines.push(line("said", m));
      const heard = heardAt(row, s);
      for (const k of heard.slice(0, MOST)) lines.push(data.heard.what[k] >= 0 ? line("heard", data.heard.what[k], true) : unseen(data.heard.what[k]));
      if (heard.length > MOST) lines.push(make("div", { class: "soft" }, `and ${heard.length - MOST} more`));
      if (!lines.length) continue;
      const kind = kindOf(compartments(strain(), s)[row]);
      blocks.push(make("div", { class: "step" }, make("h5", {}, `Step ${s} `, sign(kind.shape, kind.colour), ` ${kind.name}`), ...lines));
      shown++;
    }
    const left = [data.left.said.includes(row) ? "What it said is left out of this page, for its size" : "", data.left.heard.includes(row) ? "What it heard is left out of this page, for its size" : ""].filter(Boolean);
    for (const text of left) blocks.push(make("p", { class: "soft" }, `${text}: SELECT * FROM ${text.includes("said") ? "message WHERE sender" : "exposure WHERE agent"} = ${data.agents.id[row]} in run.db.`));
    if (!blocks.length) blocks.push(make("p", { class: "soft" }, data.agents.detailed[row] ? "Nothing up to this step." : "This agent is not logged in detail."));
    if (s >= 0 && shown >= steps) blocks.push(make("button", { type: "button", onclick: () => { steps += 4 * WINDOW; talk.replaceChildren(...spoken(row)); } }, "Earlier steps"));
    return blocks;
  }

  function line(verb, m, from = false) {
    const { sender, text, values, withheld } = data.messages, row = sender[m];
    const read = data.measures.map((measure, k) => [measure, values[k][m]]).filter(([, value]) => value !== NONE);
    const told = read.map(([measure, value]) => `${measure.name} ${decimal(value / 100)}`).join(" \u00b7 ");
    return make("div", {}, make("span", { class: `tag ${verb}` }, verb), " ",
      from ? link(data.agents.name[row], () => ({ agent: row })) : "", from ? ": " : "", ...words(text[m], data.messages.id[m]),
      withheld.includes(m) ? make("i", {}, " withheld") : "", told ? make("span", { class: "soft" }, ` (${told})`) : "");
  }

  const unseen = (what) => make("div", {}, make("span", { class: "tag heard" }, "heard"), " ",
    rowOf.has(-what - 1) ? link(nameOf(-what - 1), () => ({ agent: rowOf.get(-what - 1) })) : make("bdi", {}, nameOf(-what - 1)),
    make("span", { class: "soft" }, " a message that is not on this page"));

  // A text by its number; -1: there are no words, -2: it is left out.
  function words(text, id) {
    if (text >= 0) return [said(data.texts[text])];
    if (text === -2) return [make("span", { class: "soft" }, `its words are left out of this page, for its size${id === undefined ? "" : `: SELECT text FROM message WHERE id = ${id} in run.db`}`)];
    return [make("span", { class: "soft" }, "no words")];
  }

  return { element: panel, show };
}
