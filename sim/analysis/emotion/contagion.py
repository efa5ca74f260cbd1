"""Emotional contagion in runs: does what agents hear move what they feel, by how much, for how long, and what comes of it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from contagium.sim.analysis.emotion.convergence import Convergence, convergence
from contagium.sim.analysis.emotion.modifier import Modifier, exposed, modifier
from contagium.sim.analysis.emotion.panel import Panel, panels
from contagium.sim.analysis.emotion.regression import Lagged, lagged
from contagium.sim.analysis.emotion.response import AFTER, REACH, Response, responses
from contagium.sim.analysis.emotion.transfer import LEVEL, SURROGATES, WINDOW, Flow, Transfer, transfer
from contagium.sim.analysis.tables import Table, number, p_value
from contagium.sim.log import Run

NAMED = 5
"""Pairs that stand out and are named."""


@dataclass(frozen=True)
class OfAxis:
    """All of one measure. panels: what it rests on, of each run. modifier: None where no strain was asked for or is there."""

    axis: str
    panels: tuple[Panel, ...]
    lagged: Lagged
    convergence: Convergence
    transfer: Transfer
    responses: tuple[Response, ...]
    modifier: Modifier | None


@dataclass(frozen=True)
class Emotional:
    """What runs show of emotional contagion, by measure. notes: what was left out, and what cannot be said."""

    of: tuple[OfAxis, ...]
    notes: tuple[str, ...]


def emotional_contagion(
    runs: Run | Sequence[Run],
    axes: Sequence[str] | None = None,
    strain: str | None = None,
    kind: str = "case",
) -> Emotional:
    """axes: measures of the observer, by default those of valence, arousal and distress that the first run has. strain, kind: of
    the cases whose hazard affect may modify, by default the first strain.

    Several runs, replicates of one arm, count together: agents of each are clusters of their own, with step effects of their own.
    LogError: a log that cannot be read. ValueError: no run.
    """
    several = [runs] if isinstance(runs, Run) else list(runs)
    if not several:
        raise ValueError("emotional contagion needs at least 1 run, got 0")
    read = [panels(run, axes) for run in several]
    measures = list(axes) if axes is not None else list(read[0])
    asked = bool(measures) and (strain is not None or all(run.meta.get("strains") for run in several))
    turns = [exposed(run, strain, kind) for run in several] if asked else []
    found, notes = [], []
    for axis in measures:
        having = [k for k, one in enumerate(read) if axis in one and one[axis].messages > one[axis].unread]
        if having:
            parts = tuple(read[k][axis] for k in having)
            found.append(_axis(axis, parts, [turns[k][0] for k in having] if asked else []))
            notes.append(_missing(parts))
        else:
            notes.append(f"No message has a reading of {axis}.")
    if not measures:
        notes.append("The observer reads no measure of affect in these runs.")
    return Emotional(tuple(found), (*notes, *_left(turns)))


def _axis(axis: str, parts: tuple[Panel, ...], risks: Sequence[pd.DataFrame]) -> OfAxis:
    changed = modifier(parts, risks) if risks else None
    return OfAxis(axis, parts, lagged(parts), convergence(parts), transfer(parts), tuple(responses(parts)), changed)


def _missing(parts: Sequence[Panel]) -> str:
    names = ("messages", "unread", "received", "lost", "listened", "partly")
    said, unread, received, lost, listened, partly = (sum(getattr(p, n) for p in parts) for n in names)
    told = f"{parts[0].axis}: {unread:,} of {said:,} messages said have no good reading"
    told += f" and are left out; for {lost:,} of {received:,} received stands what their sources usually show."
    if partly:
        told += (
            f" In {partly:,} of {listened:,} agent-steps messages were heard that are not in the log, as only a sample of agents "
            "is logged in detail: they are left out of what is heard, and with them the slopes' turns that follow."
        )
    return told


def _left(turns: Sequence[tuple[pd.DataFrame, int]]) -> tuple[str, ...]:
    """What `exposed` left out, if anything."""
    left, kept = sum(left for _, left in turns), sum(len(table) for table, _ in turns)
    told = (
        f"Affect and uptake: {left:,} of {left + kept:,} turns after the persona was or may have been heard are left out: "
        "something heard has no good reading in the log, or the agent may have taken it up in a silent turn before."
    )
    return (told,) if left else ()


def tables(found: Emotional) -> Iterator[Table]:
    """What was found as people read it; a table for each question that there is anything to be asked of."""
    every = (_lagged(found), _alike(found), _flows(found), _responses(found), _modifiers(found))
    yield from (table for table in every if table.rows)


def _lagged(found: Emotional) -> Table:
    says = (
        "What a unit heard adds to what an agent shows next, its own last message, pressure, a persona taken up, lasting "
        "differences of agents and what moves all at a step allowed for. Below and above: where what was heard was worse or "
        "better than what it had shown. Placebo: likeness of those tied in the same step, before they could hear each other; "
        "where it differs from 0, something other than hearing makes them alike, and contagion is not to be read off. What "
        "moves only some neighbours alike cannot be told apart for sure."
    )
    head = ("measure", "turns", "agents", "contagion", "carried on", "below", "above", "below − above", "placebo")
    return Table("Does what is heard move what is shown?", says, head, tuple(_lagged_row(one.lagged) for one in found.of))


def _lagged_row(of: Lagged) -> tuple[str, ...]:
    agents = f"{of.agents:,}" + (f", a sample of {of.of:,}" if of.of > of.agents else "")
    warning = f", but {of.contagion.reason}" if of.contagion.value is not None and of.contagion.reason else ""
    first = (of.axis, f"{of.contagion.n:,}", agents, f"{number(of.contagion)}{warning}")
    if of.contagion.value is None:
        return (*first, "", "", "", "", "")
    return (*first, *map(number, (of.inertia, of.below, of.above, of.asymmetry, of.placebo)))


def _alike(found: Emotional) -> Table:
    says = (
        "Change of the distance between two agents from the first to the last third of the run, in pairs that hear each other "
        "less in pairs that do not: below 0, hearing goes with growing alike. Pairs alike from the start do not count."
    )
    rows = [(c.axis, f"{c.pairs:,}", number(c.change, "+z.3f"), p_value(c.p)) for c in (one.convergence for one in found.of)]
    return Table("Do those who hear each other grow alike?", says, ("measure", "pairs", "change", "p"), tuple(rows))


def _flows(found: Emotional) -> Table:
    says = (
        f"Mean over pairs of source and hearer, beside its mean over {SURROGATES} surrogates, in which agents have changed "
        "places. Transfer entropy: how much the source's message tells of the hearer's next, its last known. Correlation in "
        f"windows of {WINDOW} steps: of what is new in the two, the hearer a step later. Stand out: pairs at a false discovery "
        f"rate of {LEVEL:.0%}."
    )
    rows = []
    for of in (one.transfer for one in found.of):
        named = ", ".join(f"{source} → {hearer}" for source, hearer in of.found[:NAMED])
        more = f" and {len(of.found) - NAMED} more" if len(of.found) > NAMED else ""
        counted = f"{of.pairs:,}" + (f", a sample of {of.of:,}" if of.of > of.pairs else "")
        if of.reason:
            rows.append((of.axis, counted, of.reason, "", "", "", ""))
        else:
            flows = (*_flow(of.entropy, ".4f"), *_flow(of.correlation, "+z.3f"))
            rows.append((of.axis, counted, *flows, f"{named}{more}" or "none"))
    head = ("measure", "pairs", "transfer entropy, nats", "p", "correlation", "p", "stand out")
    return Table("Does affect flow from source to hearer?", says, head, tuple(rows))


def _flow(of: Flow, form: str) -> tuple[str, str]:
    if of.value is None or of.chance is None:
        return "too few steps", ""
    return f"{of.value:{form}} (by chance {of.chance:{form}})", p_value(of.p)


def _responses(found: Emotional) -> Table:
    says = (
        "Change of those pressed against the steps before, less that of agents who were not and heard nobody who was, where "
        f"there are such; followed for {AFTER} steps or to the next event. Delay and half-life in steps. Spill-over: mean "
        f"change in {REACH} steps of those who were not pressed and soon heard one who was, less that of the others. As the "
        "peak is the largest of several, it is a little too large."
    )
    rows = [
        (
            r.event,
            r.axis,
            str(r.beginnings),
            " / ".join(map(str, r.agents)),
            number(r.peak, "+z.2f") + ("" if r.compared or r.peak.value is None else ", with no one to compare"),
            number(r.delay, ".0f"),
            number(r.half_life, ".1f"),
            number(r.spill_over, "+z.3f"),
        )
        for one in found.of
        for r in one.responses
    ]
    head = ("event", "measure", "times", "pressed / hearers / others", "peak", "delay", "half-life", "spill-over")
    return Table("What does pressure do?", says, head, tuple(rows))


def _modifiers(found: Emotional) -> Table:
    says = (
        "Hazard ratio of becoming a case in a turn after the persona was heard: of an e-fold of the dose heard since the turn "
        "before, of a standard deviation of own affect the step before (at the mean dose), of what that multiplies the dose's "
        "ratio by, and of one of affect heard then. 1: no effect. Agents who feel bad may differ in other ways: this is no proof "
        "of cause."
    )
    rows = []
    for of in (one.modifier for one in found.of if one.modifier is not None):
        cells = [number(one) for one in (of.dose, of.own, of.both, of.heard)]
        cells = [cells[0], "", "", ""] if len(set(cells)) == 1 else cells
        rows.append((of.axis, str(of.cases), f"{of.turns:,}", *cells))
    head = ("measure", "cases", "turns", "dose", "own affect", "dose × own affect", "affect heard")
    return Table("Does affect change how a persona is taken up?", says, head, tuple(rows))
