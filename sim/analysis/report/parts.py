"""What the report of a run says, part by part: HTML in which everything that models, files or users wrote is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from contagium.sim.analysis.arms.feelings import OPEN
from contagium.sim.analysis.blind.detection import blind, blind_section, oracle
from contagium.sim.analysis.emotion.choices import choice_slopes
from contagium.sim.analysis.findings import Findings, Spread
from contagium.sim.analysis.report.cases import readings_of, thresholds_of
from contagium.sim.analysis.spread.adoption import COPIED_FROM
from contagium.sim.analysis.tables import counted
from contagium.sim.analysis.text import clip, html_said, html_text
from contagium.sim.log import Run
from contagium.sim.observer.observer import STATED

TOP = 15
"""Messages in the table of those that show the persona most."""

FIRST = 5
"""Of them those that are not folded."""

SEARCHED, ENCODED, PERMUTATIONS = 20_000, 1_000, 199
"""Of the blind search in the report: most messages, most different texts whose meaning is looked at, permutations."""

SPAN = 1_000_000
"""Steps times agents up to which the report searches blindly, for more take minutes and gigabytes."""


def numbers(found: Findings, summary: dict[str, Any]) -> str:
    of, r0 = found.spread, summary["r0"]
    rows = [
        ("Attack rate", attack(of)),
        ("Final size", f"{percent(of.size.value)} of all {of.size.of} agents, index cases included"),
        ("Peak prevalence", _peak(of)),
        (
            "Reproduction number",
            r0["reason"]
            if "reason" in r0
            else f"{r0['estimate']:.2f} (95% interval {r0['low']:.2f} to {r0['high']:.2f}; {r0['n']} cases; {r0['method']})",
        ),
        *_distressed(summary["distressed"]),
        ("Index cases", summary["index_cases"]),
        ("Cases without a known source", summary["spontaneous_cases"]),
        ("Causes that candidate sources explain", percent(found.explained)),
        ("Messages and exposures", f"{summary['messages']:,} and {summary['exposures']:,}"),
        (
            "Calls of a language model",
            f"{summary['calls']:,} ({summary['prompt_tokens']:,} tokens read, {summary['completion_tokens']:,} written)",
        ),
        *([] if summary["cost"] is None else [("Cost at the stated prices", f"{summary['cost']:.4g}")]),
        ("Wall time", "not known" if summary["wall_seconds"] is None else f"{summary['wall_seconds']:.1f} s"),
    ]
    note = (
        '<p class="soft">Attack rate and peak are counts of this one run, not estimates: its agents influence each other, so '
        "only repeats with other seeds show how much they vary. The reproduction number sinks as susceptible agents run "
        "out, which in a small population is soon.</p>"
    )
    return html_rows(rows) + note + _low_number(found)


def _distressed(of: dict[str, Any]) -> list[tuple[str, str]]:
    """The share of distressed messages, where distress is measured."""
    if of.get("estimate") is None:
        return []
    told = f" (95% interval {of['low']:.0%} to {of['high']:.0%})" if of.get("low") is not None else ""
    return [(f"Messages with distress of {OPEN:g} or more", f"{of['estimate']:.0%}{told}")]


def _low_number(found: Findings) -> str:
    """Why a reproduction number below 1 can stand beside a high attack rate."""
    r0, attack, size = found.spread.r0, found.spread.attack, found.spread.size
    if r0.value is None or r0.value >= 1 or attack.value is None or attack.value < 0.5:
        return ""
    words = (
        "Why it lies below 1 although most took it up: each case but the index cases is counted once as somebody's, so over a "
        f"whole outbreak the mean is cases without index cases over all cases, here {attack.count} of {size.count}, however fast "
        "it spread. In a small population the early generations are soon the whole outbreak."
    )
    return f'<p class="soft">{html_text(words)}</p>'


def followed(run: Run, found: Findings) -> str:
    """A row for each strain and each emotional state of a run with several."""
    rules = run.meta.get("detection", {})
    named = ("strain or state", "index cases", "attack rate", "peak prevalence", "reproduction number")
    head = "".join(f"<th>{name}</th>" for name in named)
    cells = [(_rule(name, rules), of.index, attack(of), _peak(of), _r(of)) for name, of in found.strains.items()]
    rows = ["<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>" for row in cells]
    note = f'<p class="soft">All else on this page is about the first, {html_text(found.strain)}.</p>'
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{note}"


def _rule(name: str, rules: Mapping[str, Any]) -> str:
    """A strain's name, or a state's and when a message shows it."""
    rule = rules.get(name, {})
    if "axis" not in rule:
        return name
    sign, until = ("≤", "up") if rule["enter"] < 0 else ("≥", "down")
    return f"{name}: {rule['axis']} {sign} {rule['enter']:g}, held {until} to {rule['stay']:g}"


def attack(of: Spread) -> str:
    return f"{percent(of.attack.value)} ({of.attack.count} of {of.attack.of} susceptible agents)"


def _peak(of: Spread) -> str:
    return f"{percent(of.peak.share)} {when(of.peak.step)}" if of.peak else "no compartments were recorded"


def _r(of: Spread) -> str:
    r0 = of.r0
    return r0.reason or f"{r0.value:.2f} (95% interval {r0.low:.2f} to {r0.high:.2f}; {r0.n} cases)"


def when(step: int) -> str:
    return "after seeding" if step < 0 else f"after step {step}"


def percent(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1%}"


def adoption(found: Findings, summary: dict[str, Any]) -> str:
    how, known = summary["adoption"], f" Words are known of {found.sample}." if found.sample else ""
    rows = [
        ("In own words", how["own_words"]),
        (f"Copied: at least {COPIED_FROM:.0%} of its four-word sequences had been heard before", how["copied"]),
        ("No words said or logged (mechanistic agents, agents not logged in detail)", how["no_text"]),
    ]
    how_judged = f"<p>The message with which each new case began, compared with all the agent had heard before.{known}</p>"
    return how_judged + html_rows(rows)


def blindly(run: Run, found: Findings) -> str:
    """What the blind search finds, where it is quick; else how to start it."""
    texts = run.messages["text"].dropna()
    if len(texts) > SEARCHED or found.steps * run.messages["sender"].nunique() > SPAN:
        words = f"Not looked for here, among {len(texts):,} messages; python -m contagium.sim.analysis.blind RUN_DIR does."
        return f"<p>{html_text(words)}</p>"
    blindly = blind(run, permutations=PERMUTATIONS, meaning=texts.nunique() <= ENCODED)
    return blind_section(blindly, oracle(run, blindly, found.strain), found.names)


def choices(run: Run, found: Findings) -> str:
    """Shares of each choice, of everybody, and how valence bore on them, of those whose choices are logged."""
    counts = run.table("chosen").fillna({"choice": "no valid choice"}).groupby("choice", sort=False)["agents"].sum()
    rows = [(str(name), f"{count / counts.sum():.1%} of {counts.sum():,} turns") for name, count in counts.items()]
    note = "Of all turns, also those in which a choice was not open; outcomes of acts, below, are of those who could."
    if not run.meta.get("choices_ordered"):
        return html_rows(rows) + f'<p class="soft">{html_text(note)}</p>'
    slopes = choice_slopes(run, window=math.ceil(found.steps / 3))
    note += (
        " What a unit of shown valence adds to the log-odds of each choice against the one before it, in three parts of the run"
        f"{', in ' * bool(found.sample)}{found.sample}:"
    )
    return html_rows(rows) + f'<p class="soft">{html_text(note)}</p>' + html_rows(map(_slope, slopes.to_dict("records")))


def _slope(of: Mapping[str, Any]) -> tuple[str, str]:
    told = "cannot be told from" if math.isnan(of["slope"]) else f"{of['slope']:+.2f} (standard error {of['error']:.2f}) from"
    return f"Steps {of['first']} to {of['last']}", f"{told} {of['choices']} choices"


def most_shown(run: Run, found: Findings) -> str:
    """The texts that show it most, each once, of agents that were not seeded: index cases were made to say theirs."""
    cases, texts = found.chains.cases, run.messages[["id", "text"]].dropna()
    read = readings_of(run, found, found.strain)
    if not len(texts) or not len(read):
        return "<p>No agent said anything in words that has a score.</p>"
    shows = ", or ".join(
        f"{name} {'≤' if value < 0 else '≥'} {value:g}" for name, value in thresholds_of(run, found, found.strain).items()
    )
    read = read[read["reached"] & ~read["agent"].isin(cases.loc[cases["index"], "agent"])].merge(texts, on="id")
    if read.empty:
        return f"<p>No message of any agent but the index cases reached the threshold ({html_text(shows)}).</p>"
    best = read.iloc[(-read["value"].abs()).argsort(kind="stable")].drop_duplicates("text")
    rows = [
        f'<tr><td class="number">{row["step"]}</td><td><bdi>{html_text(found.names[row["agent"]])}</bdi></td>'
        f'<td class="number">{row["value"]:.2f}</td><td>{html_said(clip(row["text"], 600))}</td></tr>'
        for row in best.head(TOP).to_dict("records")
    ]
    much = (
        f"{counted(len(read), 'message')}, {len(best):,} different, reached the threshold ({shows}); "
        + ("this one" if len(rows) == 1 else f"the {len(rows)} that did so most")
        + ":"
    )
    known = f" Messages of {found.sample}." if found.sample else ""
    head = "<tr><th>step</th><th>agent</th><th>score</th><th>message</th></tr>"
    first, others = (f'<div class="wide"><table>{head}{"".join(part)}</table></div>' for part in (rows[:FIRST], rows[FIRST:]))
    more = f'<details class="more"><summary>{len(rows) - FIRST} more</summary>{others}</details>' if rows[FIRST:] else ""
    return f'<p class="soft">{html_text(much + known)}</p>{first}{more}'


def failed(run: Run, found: Findings, summary: dict[str, Any]) -> str:
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
    return html_rows(rows)


def _reasons(counts: dict[str, int]) -> str:
    """How many in all, and of what."""
    listed = ", ".join(f"{count} × {clip(name, 100)}" for name, count in list(counts.items())[:12])
    return f"{sum(counts.values())} ({listed})" if counts else "0"


def reproduce(run: Run, summary: dict[str, Any]) -> str:
    rows = [
        ("Command", run.meta["command"]),
        ("Seed", summary["seed"]),
        ("Started", run.meta["started"]),
        ("Log schema", summary["schema_version"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in summary["versions"].items())),
    ]
    return html_rows(rows)


def html_rows(rows: Iterable[tuple[str, object]]) -> str:
    return (
        '<table class="keys">' + "".join(f"<tr><th>{html_text(k)}</th><td>{html_text(v)}</td></tr>" for k, v in rows) + "</table>"
    )
