"""The reliability report as people read it: tables with a sentence each, in the run's report and on the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path

from contagium.sim.analysis.tables import Table, html_table, number, show
from contagium.sim.analysis.text import clip, html_text
from contagium.sim.log import LogError, Run, open_run
from contagium.sim.observer.agreement import Measured, share
from contagium.sim.observer.reactivity import Reactivity, reactivity
from contagium.sim.observer.reliability import Reliability, reliability, smallest_seen

LONG = 10
"""Rows of a table from which the report folds it."""


def percentage(of: Measured) -> str:
    return number(of, "z.1%")


def drift(of: Measured) -> str:
    """A slope per step: what was seen, or how small a slope could have been seen."""
    least = smallest_seen(of)
    if of.value is None or of.low is None or of.high is None or least is None:
        return number(of, "+z.4f")
    if of.low > 0 or of.high < 0:
        return f"{of.value:+z.4f} a step ({of.low:+z.4f} to {of.high:+z.4f})"
    return f"none seen; {least:.2g} a step would have been"


def tables(found: Reliability) -> Iterator[Table]:
    """The tables of a reliability report that have a row."""
    every = (_pairs(found), _panels(found), _reread(found), _twice(found), _failed(found))
    yield from (table for table in every if table.rows)


def _pairs(found: Reliability) -> Table:
    says = (
        "Two instruments on the same messages. Rank correlation: do they put messages in one order? Alpha: do they give the same "
        "number? Kappa: do they call the same? 1 is full agreement, 0 what chance gives."
    )
    rows = [
        (
            p.axis,
            " and ".join(p.raters),
            str(p.rank.n),
            number(p.rank),
            number(p.alpha),
            _called(p.kappa, p.called),
            drift(p.drift),
        )
        for p in found.pairs
    ]
    head = ("axis", "instruments", "n", "rank correlation", "alpha", "kappa", "drift apart")
    return Table("Agreement between instruments", says, head, tuple(rows))


def _called(kappa: Measured, called: str) -> str:
    return f"{number(kappa)} [{called}]" if called and kappa.reason is None else number(kappa)


def _panels(found: Reliability) -> Table:
    says = "Several judgements of the same texts. Worth: how many independent judges they amount to at the least."
    rows = [
        (p.axis, ", ".join(p.judges), str(p.alpha.n), *map(number, (p.alpha, p.kappa, p.single, p.mean, p.effective)))
        for p in found.panels
    ]
    head = ("axis", "judges", "n", "alpha", "weighted kappa", "ICC(2,1)", "ICC(2,k)", "worth")
    return Table("Agreement between judges", says, head, tuple(rows))


def _reread(found: Reliability) -> Table:
    says = "Messages that were judged again in a later step. Change: later less first reading."
    rows = [(r.instrument, r.axis, str(r.icc.n), number(r.icc), number(r.change), drift(r.drift)) for r in found.reread]
    return Table("Read again", says, ("instrument", "axis", "n", "ICC(2,1)", "change", "drift"), tuple(rows))


def _twice(found: Reliability) -> Table:
    says = (
        "Texts that were said before word by word: the share that was read exactly as the first time. The instrument surprise "
        "also looks at what the agent said before, so it may differ."
    )
    rows = [(t.instrument, str(t.same.n), percentage(t.same)) for t in found.twice]
    return Table("The same words twice", says, ("instrument", "n", "read alike"), tuple(rows))


def _failed(found: Reliability) -> Table:
    says = "Readings that failed count nowhere else: not as 0, not as calm."
    rows = [
        (
            f.instrument,
            f.channel,
            str(f.share.n),
            percentage(f.share),
            ", ".join(f"{n} × {clip(why, 60)}" for why, n in f.reasons[:4]),
        )
        for f in found.failed
        if f.share.value
    ]
    if whole := sum(f.share.n for f in found.failed if not f.share.value):
        rows.append(("all others" if rows else "all", "", str(whole), percentage(share(0, whole)), ""))
    return Table("Failed readings", says, ("instrument", "channel", "n", "failed", "why"), tuple(rows))


def twin_table(found: Reactivity) -> Table:
    """What asking changed."""
    steps = ", ".join("never" if step is None else str(step) for step in found.first)
    says = "Everybody said the same in all steps: asking changed nothing that was said."
    if found.reactive:
        says = f"Words first differ in step {steps}."
    elif found.differing.value is None:
        says = "Nobody said enough to tell."
    rows = [("turns whose words differ", percentage(found.differing)), *((k, number(v)) for k, v in found.effects.items())]
    of = "agents" if found.pairs == 1 else f"{found.pairs} pairs of runs"
    title = f"Does asking change what follows? Asked less not asked, over {of}; they differ in {', '.join(found.differs)}"
    return Table(title, says, ("of", "difference"), tuple(rows))


def reliability_section(run: Run) -> str:
    """HTML for the run's report: what the log tells of how far its readings can be trusted."""
    found = reliability(run)
    told = "".join(_folded(table) for table in tables(found))
    note = "In brackets 95% intervals, by resampling agents; of failed readings and same words, Wilson's."
    notes = [*found.notes, *([note] if told else [])]
    return told + "".join(f'<p class="soft">{html_text(note)}</p>' for note in notes)


def _folded(table: Table) -> str:
    """A table; a long one is shut at first."""
    if len(table.rows) <= LONG:
        return html_table(table)
    return f"<details><summary>{html_text(table.title)}: {len(table.rows)} rows</summary>{html_table(table)}</details>"


def main(arguments: list[str] | None = None) -> int:
    """The command; status 2 if a run cannot be read, or a twin is none."""
    parser = argparse.ArgumentParser(
        prog="python -m contagium.sim.observer.reliability",
        description="How far the readings of runs can be trusted: agreement, test-retest, failures, drift and reactivity.",
        epilog="Twins are runs of one configuration and seed that differ in the asking alone: observer.report_every, "
        "observer.interviews, or whether agents think first. With several, name them in the same order.",
    )
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN_DIR", help="directory of a run")
    parser.add_argument("--twin", nargs="+", type=Path, default=[], metavar="RUN_DIR", help="the same run, agents not asked")
    parser.add_argument("--parts", action="store_true", help="also facets and other parts of a measure")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    given = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            runs, twins = ([stack.enter_context(closing(open_run(path))) for path in of] for of in (given.run, given.twin))
            found = {str(path): reliability(run, given.parts) for path, run in zip(given.run, runs, strict=True)}
            asking = reactivity(runs, twins) if twins else None
    except (LogError, OSError) as error:
        print(f"contagium: {error}", file=sys.stderr)
        return 2
    if given.json:
        told = {"runs": {path: asdict(one) for path, one in found.items()}, "reactivity": asdict(asking) if asking else None}
        print(json.dumps(told, indent=2, allow_nan=False))
        return 0
    for path, one in found.items():
        show(tables(one), one.notes, path)
    if asking:
        show([twin_table(asking)], (), "Reactivity")
    return 0
