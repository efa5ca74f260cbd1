"""report.html: one page that says in plain words what spread, shows it, and stands alone without a network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contagium.sim.analysis.blind.detection import blind, blind_section, oracle
from contagium.sim.analysis.emotion.choices import choice_slopes
from contagium.sim.analysis.emotion.gaps import gap_rows
from contagium.sim.analysis.figures.run import Picture
from contagium.sim.analysis.findings import Findings, Spread
from contagium.sim.analysis.report.reliability import reliability_section
from contagium.sim.analysis.spread.adoption import COPIED_FROM
from contagium.sim.analysis.text import clip, html_said, html_text
from contagium.sim.log import Run
from contagium.sim.observer.observer import STATED

TOP = 15
"""Messages in the table of those that show the persona most."""

SEARCHED, ENCODED, PERMUTATIONS = 20_000, 1_000, 199
"""Of the blind search in the report: most messages, most different texts whose meaning is looked at, permutations."""

SPAN = 1_000_000
"""Steps times agents up to which the report searches blindly, for more take minutes and gigabytes."""

WELL_EXPLAINED = 0.9
"""Share of causes that candidate sources explain, under which the page says that the reproduction number is biased low."""

CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

GAPS = (
    '<p class="soft">What an agent showed on one channel less what it showed on another in the same step, on average. '
    "Suppressed: weaker on the first than on the second; play-acted: stronger. What two rulers read can only be compared "
    "between runs.</p>"
)

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --fill: #f6f8fa }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 60rem; margin: 2.5rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line) }
.lead { font-size: 1.2rem; margin: .8rem 0 } .soft, figcaption, caption { color: var(--soft); font-size: .9rem; text-align: left }
.warn { background: #fff4e5; border-left: 4px solid #e69f00; padding: .5rem .8rem }
figure { margin: 1.4rem 0 } img { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0 }
tr { border-bottom: 1px solid var(--line) } td.number { text-align: right; font-variant-numeric: tabular-nums }
.said, code, pre { overflow-wrap: anywhere; white-space: pre-wrap } .said { display: block; max-height: 12em; overflow: auto }
pre, code { background: var(--fill); font-size: .85rem } pre { padding: .8rem; max-height: 40rem; overflow: auto }
@media print { body { margin: 0; max-width: none } figure { break-inside: avoid } }
"""


def report(run: Run, found: Findings, summary: dict[str, Any], figures: Sequence[Picture]) -> str:
    """The page as HTML. All that models, files or users wrote is escaped; the page may load nothing and run nothing."""
    title = html_text(f"{run.meta['name']}: {found.strain}")
    sections = [
        _headline(run, found, summary),
        _numbers(found, summary),
        *([_section("Everything that was followed", _strains(run, found))] if len(found.strains) > 1 else []),
        *([_section("What was chosen", _choices(run, found))] if run.meta.get("choices") and found.steps else []),
        _section("How it was taken up", _adoption(found, summary)),
        _section("Figures", "".join(_figure(picture) for picture in figures)),
        _section("What showed the persona most, index cases aside", _messages(run, found)),
        _section("What spread, looked for without knowing it", _blind(run, found)),
        *([_section("Said, felt and done", GAPS + _table(gaps))] if (gaps := gap_rows(run)) else []),
        _section("How far the readings can be trusted", reliability_section(run)),
        _section("What failed", _failures(run, found, summary)),
        _section("How to repeat it", _reproduce(run, summary)),
        _details("Configuration", run.meta["scenario"]),
    ]
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html_text(CONTENT_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
    )
    return head + f"<body>\n<h1>{title}</h1>\n" + "\n".join(sections) + "\n</body></html>\n"


def headline(found: Findings, status: str) -> str:
    """One sentence: what spread."""
    attack, size, strain = found.spread.attack, found.spread.size, found.strain
    count, of = attack.count, attack.of
    steps = f"{found.steps} step{'' if found.steps == 1 else 's'}"
    if not size.of:
        return f"The run ended ({status}) before its population was recorded."
    if not of:  # never so of a state, which nobody is seeded with
        return f"Every one of the {size.of} agents was an index case, so nobody was left to take up the {strain} persona."
    who = {0: f"None of {of}", of: f"All {of}"}.get(count, f"{count} of {of}")
    agents = "susceptible agent" if of == 1 else "susceptible agents"
    index = found.spread.index
    after = "" if index else "; nobody was seeded with it"
    took_up = f"took up the {strain} persona" if found.state_of is None else f"came to show the state {strain}"
    return f"{who} {agents} {took_up} in {steps}{after}."


def _headline(run: Run, found: Findings, summary: dict[str, Any]) -> str:
    meta, warning = run.meta, ""
    if meta["status"] != "finished":
        why = f": {meta['reason']}" if meta.get("reason") else ""
        words = f"This run is {meta['status']} after {found.steps} of {meta['steps']} planned steps{why}."
        warning = f'<p class="warn">{html_text(words)} All numbers are of those steps.</p>'
    r0 = summary["r0"]
    pace = (
        f"No reproduction number: {r0['reason']}."
        if "reason" in r0
        else f"An early case led to {r0['estimate']:.2f} more on average (95% interval {r0['low']:.2f} to {r0['high']:.2f})."
        + _bias(found)
    )
    return f'<p class="lead">{html_text(headline(found, meta["status"]))} {html_text(pace)}</p>{warning}'


def _bias(found: Findings) -> str:
    """Whether the reproduction number misses much, as it does where a latent period outlasts the memory for causes."""
    if found.explained is None or found.explained >= WELL_EXPLAINED:
        return ""
    return f" It is biased low, for candidate sources explain only {found.explained:.0%} of what caused cases."


def _numbers(found: Findings, summary: dict[str, Any]) -> str:
    of, r0 = found.spread, summary["r0"]
    rows = [
        ("Attack rate", _attack(of)),
        ("Final size", f"{_share(of.size.value)} of all {of.size.of} agents, index cases included"),
        ("Peak prevalence", _peak(of)),
        (
            "Reproduction number",
            r0["reason"]
            if "reason" in r0
            else f"{r0['estimate']:.2f} (95% interval {r0['low']:.2f} to {r0['high']:.2f}; {r0['n']} cases; {r0['method']})",
        ),
        ("Index cases", summary["index_cases"]),
        ("Cases without a known source", summary["spontaneous_cases"]),
        ("Causes that candidate sources explain", _share(found.explained)),
        ("Messages, exposures", f"{summary['messages']}, {summary['exposures']}"),
        (
            "Calls of a language model",
            f"{summary['calls']} ({summary['prompt_tokens']} tokens read, {summary['completion_tokens']} written)",
        ),
        *([] if summary["cost"] is None else [("Cost at the stated prices", f"{summary['cost']:.4g}")]),
        ("Wall time", "not known" if summary["wall_seconds"] is None else f"{summary['wall_seconds']:.1f} s"),
    ]
    note = (
        '<p class="soft">Attack rate and peak are counts of this one run, not estimates: its agents influence each other, so '
        "only repeats with other seeds show how much they vary. The reproduction number sinks as susceptible agents run "
        "out, which in a small population is soon.</p>"
    )
    return _section("Key numbers", _table(rows) + note)


def _strains(run: Run, found: Findings) -> str:
    """A row for each strain and each emotional state of a run with several."""
    rules = run.meta.get("detection", {})
    named = ("strain or state", "index cases", "attack rate", "peak prevalence", "reproduction number")
    head = "".join(f"<th>{name}</th>" for name in named)
    cells = [(_followed(name, rules), of.index, _attack(of), _peak(of), _r(of)) for name, of in found.strains.items()]
    rows = ["<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>" for row in cells]
    note = f'<p class="soft">All else on this page is about the first, {html_text(found.strain)}.</p>'
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{note}"


def _followed(name: str, rules: Mapping[str, Any]) -> str:
    """A strain's name, or a state's and when a message shows it."""
    rule = rules.get(name, {})
    if "axis" not in rule:
        return name
    sign, until = ("≤", "up") if rule["enter"] < 0 else ("≥", "down")
    return f"{name}: {rule['axis']} {sign} {rule['enter']:g}, held {until} to {rule['stay']:g}"


def _attack(of: Spread) -> str:
    return f"{_share(of.attack.value)} ({of.attack.count} of {of.attack.of} susceptible agents)"


def _peak(of: Spread) -> str:
    return f"{_share(of.peak.share)} {_when(of.peak.step)}" if of.peak else "no compartments were recorded"


def _r(of: Spread) -> str:
    r0 = of.r0
    return r0.reason or f"{r0.value:.2f} (95% interval {r0.low:.2f} to {r0.high:.2f}; {r0.n} cases)"


def _when(step: int) -> str:
    return "after seeding" if step < 0 else f"after step {step}"


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1%}"


def _adoption(found: Findings, summary: dict[str, Any]) -> str:
    how, known = summary["adoption"], f" Words are known of {found.sample}." if found.sample else ""
    rows = [
        ("In own words", how["own_words"]),
        (f"Copied: at least {COPIED_FROM:.0%} of its four-word sequences had been heard before", how["copied"]),
        ("No words said or logged (mechanistic agents, agents not logged in detail)", how["no_text"]),
    ]
    how_judged = f"<p>The message with which each new case began, compared with all the agent had heard before.{known}</p>"
    return how_judged + _table(rows)


def _blind(run: Run, found: Findings) -> str:
    """What the blind search finds, where it is quick; else how to start it."""
    texts = run.messages["text"].dropna()
    if len(texts) > SEARCHED or found.steps * run.messages["sender"].nunique() > SPAN:
        words = f"Not looked for here, among {len(texts):,} messages; python -m contagium.sim.analysis.blind RUN_DIR does."
        return f"<p>{html_text(words)}</p>"
    blindly = blind(run, permutations=PERMUTATIONS, meaning=texts.nunique() <= ENCODED)
    return blind_section(blindly, oracle(run, blindly, found.strain), found.names)


def _choices(run: Run, found: Findings) -> str:
    """Shares of each choice, of everybody, and how valence bore on them, of those whose choices are logged."""
    counts = run.table("chosen").fillna({"choice": "no valid choice"}).groupby("choice", sort=False)["agents"].sum()
    rows = [(str(name), f"{count / counts.sum():.1%} of {counts.sum()} turns") for name, count in counts.items()]
    slopes = choice_slopes(run, window=math.ceil(found.steps / 3))
    note = (
        "What a unit of shown valence adds to the log-odds of each choice against the one before it, in three parts of the run"
        f"{', in ' * bool(found.sample)}{found.sample}:"
    )
    return _table(rows) + f'<p class="soft">{html_text(note)}</p>' + _table(map(_slope, slopes.to_dict("records")))


def _slope(of: Mapping[str, Any]) -> tuple[str, str]:
    told = "cannot be told from" if math.isnan(of["slope"]) else f"{of['slope']:+.2f} (standard error {of['error']:.2f}) from"
    return f"Steps {of['first']} to {of['last']}", f"{told} {of['choices']} choices"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.svg).decode()
    caption = html_text(picture.caption)
    return f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}"><figcaption>{caption}</figcaption></figure>'


def _messages(run: Run, found: Findings) -> str:
    """The highest-scoring texts, each once, of agents that were not seeded: index cases were made to say theirs."""
    messages, cases = run.messages, found.chains.cases
    index = cases.loc[cases["index"], "agent"]
    said = messages[messages["text"].notna() & ~messages["sender"].isin(index)]
    if found.strain not in said or said[found.strain].isna().all():
        return "<p>No agent but the index cases said anything in words that has a persona score.</p>"
    ranked = said.dropna(subset=[found.strain]).sort_values(found.strain, ascending=False, kind="stable")
    best = ranked.drop_duplicates("text").head(TOP)
    head = "<tr><th>step</th><th>agent</th><th>score</th><th>message</th></tr>"
    rows = [
        f'<tr><td class="number">{row["step"]}</td><td><bdi>{html_text(found.names[row["sender"]])}</bdi></td>'
        f'<td class="number">{row[found.strain]:.2f}</td>'
        f"<td>{html_said(clip(row['text'], 600))}</td></tr>"
        for row in best.to_dict("records")
    ]
    known = f'<p class="soft">Messages of {found.sample}.</p>' if found.sample else ""
    return f"{known}<table>{head}{''.join(rows)}</table>"


def _failures(run: Run, found: Findings, summary: dict[str, Any]) -> str:
    failed, readings, of = summary["failed_readings"], summary["readings"], found.failures
    rate = f" ({failed / readings:.1%})" if readings else ""
    rows: list[tuple[str, object]] = [
        ("Turns asked of a model", of.asked),
        ("Missing turns", _reasons(of.missing)),
        ("Refused turns: answered, but not in character", _reasons(of.refused)),
        ("Failed calls", f"{_reasons(of.failed)} of {of.calls}"),
        ("Tries that failed, whether or not a later one succeeded", f"{_reasons(of.faults)} in {of.attempts} tries"),
        ("Replies cut at their greatest length", of.truncated),
        ("Refusals and filtered replies", of.refusals),
        ("Self-reports and interview answers that could not be read", of.unread),
        (f"Failed readings, {found.sample or 'agents logged in detail'}", f"{failed} of {readings}{rate}"),
        ("Failed readings, all agents", summary["failed_readings_all_agents"]),
    ]
    for model, names in of.models.items():
        if names != [model]:
            rows.append((f"{clip(model, 100)} answered as", ", ".join(clip(name, 100) for name in names)))
    if STATED in found.thresholds:
        rows.append(("Case threshold of what a message states outright", f"{found.thresholds[STATED]:g}"))
    rule = run.meta.get("detection", {}).get(found.strain)
    if rule and rule["instrument"] in found.thresholds:
        false = rule.get("false_positive_rate")
        known = "not measured" if false is None else f"{false:.1%} of messages without the persona"
        if source := rule.get("calibration"):
            known += f": {source}"
        rows.append(("Case threshold of words", f"{rule['instrument']} ≥ {rule['enter']:g}, held down to {rule['stay']:g}"))
        rows.append(("False positives at that threshold", known))
    return _table(rows)


def _reasons(counts: dict[str, int]) -> str:
    """How many in all, and of what."""
    listed = ", ".join(f"{count} × {clip(name, 100)}" for name, count in list(counts.items())[:12])
    return f"{sum(counts.values())} ({listed})" if counts else "0"


def _reproduce(run: Run, summary: dict[str, Any]) -> str:
    rows = [
        ("Command", run.meta["command"]),
        ("Seed", summary["seed"]),
        ("Started", run.meta["started"]),
        ("Log schema", summary["schema_version"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in summary["versions"].items())),
    ]
    return _table(rows)


def _table(rows: Iterable[tuple[str, object]]) -> str:
    return "<table>" + "".join(f"<tr><th>{html_text(k)}</th><td>{html_text(v)}</td></tr>" for k, v in rows) + "</table>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{html_text(title)}</h2>{content}</section>"


def _details(title: str, content: object) -> str:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    return f"<details><summary>{html_text(title)}</summary><pre>{html_text(text)}</pre></details>"
