"""transcript.md: what happened, step by step, for reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.spread.epidemic import CASES, moves
from contagium.sim.analysis.tables import counted
from contagium.sim.analysis.text import clip, markdown_text
from contagium.sim.log import Run

MESSAGES = 2000
"""About how many messages a transcript holds; of a longer run it shows the first of each step and says what is left out."""

CHARACTERS = 2000
"""Longer messages are cut here, with a note."""

CHANGES = 20
"""Compartment changes, missing turns and the like listed a step and kind; of more the number is given."""

Lines = dict[int, list[str]]


def transcript(run: Run, found: Findings, messages: int = MESSAGES) -> str:
    """The run as Markdown. What agents said is escaped: it shows as it is and formats nothing."""
    parts = [
        _pressure(run),
        _missing(run, found),
        _said(run, found, max(1, messages // max(1, found.steps))),
        _interventions(run),
        _moved(run, found),
    ]
    blocks = ["\n".join(_head(run, found))]
    for step in range(found.steps):
        lines = [line for part in parts for line in part.get(step, ())]
        blocks.append("\n".join([f"## Step {step}", "", *(lines or ["Nothing happened."])]))
    return "\n\n".join(blocks) + "\n"


def _head(run: Run, found: Findings) -> list[str]:
    meta = run.meta
    cases = found.chains.cases
    index = cases.loc[cases["index"], "agent"].tolist()
    why = f" ({markdown_text(meta['reason'])})" if meta.get("reason") else ""
    return [
        f"# {markdown_text(meta['name'])}",
        "",
        f"Seed {meta['seed']}; {found.steps} of {meta['steps']} steps; {markdown_text(meta['status'])}{why}; "
        f"{found.spread.size.of} agents; persona {markdown_text(found.strain)}; "
        f"index cases: {_listed([_name(found, agent) for agent in index])}.",
        *(["", f"Messages, exposures and readings are of {found.sample}; all else is of everybody."] if found.sample else []),
        "",
        "▶ marks an index case, ● an agent that is a case as it speaks. Characters that would be invisible are shown as marks.",
    ]


def _name(found: Findings, agent: int) -> str:
    return f"**{markdown_text(found.names[agent])}**"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - CHANGES} more" if len(names) > CHANGES else ""
    return (", ".join(names[:CHANGES]) or "none") + more


def _by_step(table: pd.DataFrame, line: Callable[[Any], str]) -> Lines:
    lines: Lines = defaultdict(list)
    for row in table.itertuples():
        lines[row.step].append(line(row))
    return lines


def _limited(table: pd.DataFrame, line: Callable[[Any], str], most: int, what: str) -> Lines:
    """At most `most` lines a step, and how many more there are."""
    lines = _by_step(table[table.groupby("step").cumcount() < most], line)
    for step, count in table["step"].value_counts().items():
        if count > most:
            lines[step].append(f"- … and {count - most} more {what}, in run.db")
    return lines


def _pressure(run: Run) -> Lines:
    table = run.table("pressure")

    def line(row: Any) -> str:
        return (
            f"- ⚡ pressure event {markdown_text(row.event)} on {row.pressed} agents, intensity {row.intensity:.2g}"
            f"{f'; begins for {row.begins}' if row.begins else ''}"
        )

    return _by_step(table, line)


def _missing(run: Run, found: Findings) -> Lines:
    def line(row: Any) -> str:
        reason = f": {markdown_text(row.reason)}" if row.reason else ""
        did = "would not play its turn" if row.status == "refused" else "missed the turn"
        return f"- ✗ {_name(found, row.agent)} {did}{reason}"

    return _limited(run.table("turn"), line, CHANGES, "missing turns")


def _interventions(run: Run) -> Lines:
    table = run.table("intervention")
    table = table.assign(what=table["message"].isna().map({True: "agent", False: "message"}))
    sizes = table.groupby(["step", "name", "action", "what"], as_index=False).size()
    return _by_step(
        sizes, lambda row: f"- ⛨ {markdown_text(row.name)}: {markdown_text(row.action)} {counted(row.size, row.what)}"
    )


def _moved(run: Run, found: Findings) -> Lines:
    def line(row: Any) -> str:
        return f"- ➜ {_name(found, row.agent)} moved from {markdown_text(row.origin)} to {markdown_text(row.target)}"

    return _limited(moves(run, found.strain), line, CHANGES, "changes of compartment")


def _said(run: Run, found: Findings, most: int) -> Lines:
    """The first `most` messages of each step, and how many are left out."""
    feelings = run.table("report").set_index(["step", "agent"])["feeling"].to_dict()
    marks = _marks(run, found)
    messages = run.messages
    score = messages[found.strain] if found.strain in messages else float("nan")

    def line(row: Any) -> str:
        feeling = feelings.get((row.step, row.sender))  # no text where it could not be read
        felt = f" (feels {markdown_text(feeling)})" if isinstance(feeling, str) else ""
        withheld = " (withheld)" if row.withheld else ""
        words = markdown_text(clip(row.text, CHARACTERS)) if isinstance(row.text, str) else _no_words(row.score)
        return f"- {marks(row.sender, row.step)}{_name(found, row.sender)}{felt}{withheld}: {words}"

    return _limited(messages.assign(score=score), line, most, "messages")


def _no_words(score: float) -> str:
    return "*no words*" if pd.isna(score) else f"*no words; score {score:.2f}*"


def _marks(run: Run, found: Findings) -> Callable[[int, int], str]:
    """The mark of an agent as it speaks in a step: whether it was seeded, whether it is a case by then."""
    cases = found.chains.cases
    index = set(cases.loc[cases["index"], "agent"].tolist())
    history: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for agent in index:
        history[agent].append((-1, True))
    table = moves(run, found.strain)
    table = table[table["agent"].isin(run.messages["sender"])]
    rows: Iterable[tuple[int, int, str]] = zip(*(table[c].tolist() for c in ("agent", "step", "target")), strict=True)
    for agent, step, target in rows:
        history[agent].append((step, target in CASES))

    def mark(agent: int, step: int) -> str:
        before = [ill for at, ill in history.get(agent, ()) if at < step]
        return f"{'▶ ' if agent in index else ''}{'● ' if before and before[-1] else ''}"

    return mark
