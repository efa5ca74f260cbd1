"""The general kernel: any contagion model in continuous time, exact, event by event.

Whenever an agent comes to a compartment it draws a resistance, a standard exponential amount, and the dwell times of the
progressions that lead away. Its hazard, the sum over transmissions of rate × response(dose), then wears the resistance down; the
agent moves when that is gone, or when the shortest dwell time is over (Sellke 1983). A change of dose changes the speed of wear
and asks for no new draw. Which transmission it was, and which source, is drawn when the agent moves, in proportion to hazard and
to weight. That is the law of the race of independent clocks.

Doses are sums that are kept up to date. On a weighted network one that falls far below what was just taken off it is added up
anew, for what is left of it may be what rounding has left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import Tables
from contagium.agents.mechanistic.engine.agenda import Agenda, enter, make_room, ready, take
from contagium.agents.mechanistic.engine.buffers import DONE, FULL, MORE, Grid, Rows, Ties
from contagium.agents.mechanistic.engine.forward import leave
from contagium.agents.mechanistic.engine.race import factor
from contagium.agents.mechanistic.kernels import Word, compiled, exponential, inlined, threefry, unit

CLOCK = np.dtype(
    [
        ("leaves", "f8"),
        ("resistance", "f8"),
        ("since", "f8"),
        ("hazard", "f8"),
        ("stint", "u4"),
        ("compartment", "i1"),
        ("goes", "i1"),
    ],
    align=True,
)
"""An agent: when it leaves by itself and where it then goes; what was left of its resistance at the time `since`, and the hazard
since then; how many compartments it came to; where it is."""


CANCELS = 1e-3
"""Share of what is taken off a sum from which on three of its sixteen digits are gone."""


class Doses(NamedTuple):
    """Doses (N, D): the summed weight an agent hears from compartment source[d], in layer[d] (−1: in all).

    total (N, D): that from all compartments, or (0, 0) where no response asks for a share. of (T,): d of each transmission.
    """

    dose: NDArray[np.float64]
    total: NDArray[np.float64]
    source: NDArray[np.int8]
    layer: NDArray[np.int8]
    of: NDArray[np.int64]


def doses(tables: Tables, size: int) -> Doses:
    """No doses yet. Transmissions with the same source and layer share theirs."""
    pairs = list(zip(tables.source.tolist(), tables.layer.tolist(), strict=True))
    kinds = sorted(set(pairs))
    shape = (size, len(kinds))
    return Doses(
        np.zeros(shape),
        np.zeros(shape if tables.share.any() else (0, 0)),
        np.array([source for source, _ in kinds], dtype=np.int8),
        np.array([layer for _, layer in kinds], dtype=np.int8),
        np.array([kinds.index(pair) for pair in pairs], dtype=np.int64),
    )


@compiled
def begin(
    clocks: NDArray[np.void],
    doses: Doses,
    heard: Ties,
    tables: Tables,
    due: NDArray[np.float64],
    key: Word,
    until: float,
) -> None:
    """Add up all doses, and let everybody come to its compartment at time 0."""
    for v in range(len(clocks)):
        for i in range(heard.indptr[v], heard.indptr[v + 1]):
            weight = heard.weight[i] if len(heard.weight) else 1.0
            for d in range(len(doses.source)):
                if doses.layer[d] < 0 or doses.layer[d] == heard.layer[i]:
                    if clocks[heard.other[i]].compartment == doses.source[d]:
                        doses.dose[v, d] += weight
                    if len(doses.total):
                        doses.total[v, d] += weight
        _settle(v, 0.0, clocks, doses, tables, key)
        comes = _comes(clocks, v)
        due[v] = comes if comes <= until else np.inf


@compiled
def run(
    a: Agenda,
    clocks: NDArray[np.void],
    doses: Doses,
    heard: Ties,
    hearers: Ties,
    tables: Tables,
    key: Word,
    grid: Grid,
    counts: NDArray[np.int64],
    rows: Rows,
    progressions: bool,
    until: float,
    work: int,
) -> int:
    """Go on with an outbreak until it is over, rows are full, or about `work` contacts were looked at.

    counts (C,): in each compartment now. progressions: whether moves by progression get a row too.
    """
    while rows.used[0] < len(rows.agent):
        if not ready(a):
            return DONE
        v, now = take(a)
        comes = _comes(clocks, v)
        if comes > now:  # its hazard has fallen since it was entered
            a.due[v] = np.inf
            if comes <= until:
                make_room(a, 1)
                enter(a, v, comes)
            continue
        while grid.passed[0] < len(grid.times) and grid.times[grid.passed[0]] < now:
            for c in range(len(counts)):
                grid.counts[grid.passed[0], c] = counts[c]
            grid.passed[0] += 1
        origin = clocks[v].compartment
        target, tie = clocks[v].goes, -1
        if clocks[v].leaves > now:
            target, tie = _cause(v, clocks, doses, heard, tables, key)
        if tie >= 0 or progressions:
            _record(rows, v, now, heard, tie, origin, target)
        counts[origin] -= 1
        counts[target] += 1
        work -= 1 + _move(a, v, now, origin, target, clocks, doses, heard, hearers, tables, key, until)
        if work < 0:
            return MORE
    return FULL


@inlined
def _record(rows: Rows, v: int, now: float, heard: Ties, tie: int, origin: int, target: int) -> None:
    at = rows.used[0]
    rows.agent[at], rows.time[at], rows.origin[at], rows.target[at] = v, now, origin, target
    rows.cause[at] = heard.other[tie] if tie >= 0 else -1
    rows.layer[at] = heard.layer[tie] if tie >= 0 and len(heard.layer) else -1
    rows.used[0] = at + 1


@inlined
def _hazard(v: int, k: int, doses: Doses, tables: Tables) -> float:
    """Hazard of v by transmission k."""
    d = doses.of[k]
    dose = doses.dose[v, d]
    if dose <= 0.0:
        return 0.0
    if tables.share[k]:
        dose /= doses.total[v, d]
    return tables.rate[k] * factor(tables.response[k], tables.a[k], tables.b[k], dose)


@inlined
def _hazards(v: int, compartment: int, doses: Doses, tables: Tables) -> float:
    """Hazard of v by all transmissions that lead away from this compartment."""
    hazard = 0.0
    for k in range(len(tables.rate)):
        if tables.origin[k] == compartment:
            hazard += _hazard(v, k, doses, tables)
    return hazard


@inlined
def _comes(clocks: NDArray[np.void], v: int) -> float:
    """When v moves if nothing changes."""
    clock = clocks[v]
    if clock.hazard <= 0.0:
        return clock.leaves
    return min(clock.leaves, clock.since + clock.resistance / clock.hazard)


@inlined
def _settle(v: int, now: float, clocks: NDArray[np.void], doses: Doses, tables: Tables, key: Word) -> None:
    """Draw resistance and dwell times of v, which has just come to its compartment."""
    clock = clocks[v]
    resists, state = threefry(key, np.uint64(clock.stint), np.uint64(v), np.uint64(0))
    left, goes, state = leave(tables, clock.compartment, state)
    clock.resistance, clock.since = exponential(resists), now
    clock.leaves, clock.goes = now + left, goes
    clock.hazard = _hazards(v, clock.compartment, doses, tables)


@inlined
def _cause(v: int, clocks: NDArray[np.void], doses: Doses, heard: Ties, tables: Tables, key: Word) -> tuple[int, int]:
    """The transmission that moves v, in proportion to hazard, and the tie, in proportion to weight: target and tie."""
    clock = clocks[v]
    one, two = threefry(key, np.uint64(clock.stint), np.uint64(v), np.uint64(1))
    left, chosen = unit(one) * clock.hazard, -1
    for k in range(len(tables.rate)):
        if tables.origin[k] == clock.compartment and left >= 0.0:
            hazard = _hazard(v, k, doses, tables)
            if hazard > 0.0:
                chosen = k
                left -= hazard
    d = doses.of[chosen]
    left, tie = unit(two) * doses.dose[v, d], -1
    for i in range(heard.indptr[v], heard.indptr[v + 1]):
        if clocks[heard.other[i]].compartment == doses.source[d] and (doses.layer[d] < 0 or heard.layer[i] == doses.layer[d]):
            tie = i
            left -= heard.weight[i] if len(heard.weight) else 1.0
            if left < 0.0:
                break
    return tables.target[chosen], tie


@inlined
def _move(
    a: Agenda,
    v: int,
    now: float,
    origin: int,
    target: int,
    clocks: NDArray[np.void],
    doses: Doses,
    heard: Ties,
    hearers: Ties,
    tables: Tables,
    key: Word,
    until: float,
) -> int:
    """Let v come to `target`, and change the doses of who hears it; how many contacts that took."""
    clocks[v].compartment = target
    clocks[v].stint += 1
    _settle(v, now, clocks, doses, tables, key)
    comes = _comes(clocks, v)
    first, last = hearers.indptr[v], hearers.indptr[v + 1]
    make_room(a, len(doses.source) * (last - first) + 1)
    a.due[v] = np.inf
    if comes <= until:
        enter(a, v, comes)
    looked = 0
    for d in range(len(doses.source)):
        change = int(doses.source[d] == target) - int(doses.source[d] == origin)
        if change != 0:
            looked += last - first
            for i in range(first, last):
                if doses.layer[d] < 0 or doses.layer[d] == hearers.layer[i]:
                    weight = hearers.weight[i] if len(hearers.weight) else 1.0
                    _feel(a, hearers.other[i], d, change * weight, now, clocks, doses, heard, tables, until)
    return looked


@inlined
def _feel(
    a: Agenda,
    h: int,
    d: int,
    change: float,
    now: float,
    clocks: NDArray[np.void],
    doses: Doses,
    heard: Ties,
    tables: Tables,
    until: float,
) -> None:
    """Change dose d of h."""
    dose = doses.dose[h, d] + change
    if len(heard.weight) and dose < -CANCELS * change:
        dose = 0.0
        for i in range(heard.indptr[h], heard.indptr[h + 1]):
            counts = doses.layer[d] < 0 or doses.layer[d] == heard.layer[i]
            if counts and clocks[heard.other[i]].compartment == doses.source[d]:
                dose += heard.weight[i]
    doses.dose[h, d] = dose
    clock = clocks[h]
    hazard = _hazards(h, clock.compartment, doses, tables)
    if hazard == clock.hazard:
        return
    clock.resistance = max(0.0, clock.resistance - (now - clock.since) * clock.hazard)
    clock.since, clock.hazard = now, hazard
    comes = _comes(clocks, h)
    if comes <= until and comes < a.due[h]:
        enter(a, h, comes)
