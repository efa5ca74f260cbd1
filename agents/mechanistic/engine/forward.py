"""The fast kernel: models in which an agent that was caught is never caught again, such as SI, SIR and SEIR.

What becomes of an agent once it was caught is then its own affair and is drawn at once: how long it stays in each compartment,
and when it would pass each contact on. Only infections are events: the earliest clock set for an agent wins, and whoever set it
is the cause. An agent's draws depend on nothing but its id. Event-driven algorithm of Kiss, Miller & Simon 2017, appendix A.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import Tables
from contagium.agents.mechanistic.engine.agenda import HEAPED, OPEN, Agenda, enter, make_room, ready, take
from contagium.agents.mechanistic.engine.buffers import DONE, MORE, Grid, Rows, Ties
from contagium.agents.mechanistic.kernels import GOLDEN, Word, compiled, exponential, inlined, mix, threefry, unit, wait
from contagium.agents.mechanistic.response import LINEAR

PERSON = np.dtype([("cause", "i4"), ("rule", "i2"), ("layer", "i1"), ("compartment", "i1")], align=True)
"""Who would catch this agent first, by which transmission (−1: it is on its way since the start) and contact; where it is."""


class Scratch(NamedTuple):
    """Room for the contacts of one agent: tie, random word, time."""

    tie: NDArray[np.int64]
    word: NDArray[np.uint64]
    time: NDArray[np.float64]


def goes_forward(tables: Tables) -> bool:
    """Whether this kernel can run the model.

    All responses are linear; who can be caught was so from the start, passes nothing on yet, and leaves by being caught alone.
    """
    prone = {*tables.origin.tolist()}
    others = {*tables.source.tolist(), *tables.target.tolist(), *tables.begins.tolist(), *tables.leads.tolist()}
    return bool(np.all(tables.response == LINEAR)) and not prone & others


@compiled
def run(
    a: Agenda,
    people: NDArray[np.void],
    ties: Ties,
    tables: Tables,
    key: Word,
    grid: Grid,
    rows: Rows,
    scratch: Scratch,
    until: float,
    work: int,
) -> int:
    """Go on with an outbreak until it is over, or about `work` contacts were looked at. Counts become changes on the grid."""
    opened = np.int64(-1)
    while ready(a):
        if a.mark[OPEN] != opened:
            opened = a.mark[OPEN]
            scratch.tie[0] = _fetch(a, people, ties)
        v, now = take(a)
        c = people[v].compartment
        if people[v].rule >= 0:
            c = _caught(v, now, people, tables, grid, rows)
        work -= ties.indptr[v + 1] - ties.indptr[v] + 1
        people[v].compartment = _course(a, v, c, now, people, ties, tables, key, grid, scratch, until)
        if work < 0:
            return MORE
    return DONE


@inlined
def _fetch(a: Agenda, people: NDArray[np.void], ties: Ties) -> np.int64:
    """Read what the agents of the open bucket will need, so that the memory is fetched for all of them side by side."""
    touched = np.int64(0)
    for i in range(a.mark[HEAPED]):
        v = a.near[i].agent
        touched += ties.indptr[v] + people[v].cause
    for i in range(a.mark[HEAPED]):
        at = ties.indptr[a.near[i].agent]
        if at < len(ties.other):
            touched += ties.other[at]
    return touched


@inlined
def _caught(v: int, now: float, people: NDArray[np.void], tables: Tables, grid: Grid, rows: Rows) -> int:
    """Record that v was caught; the compartment it comes to."""
    person, at = people[v], rows.used[0]
    c = tables.target[person.rule]
    rows.agent[at], rows.time[at], rows.cause[at], rows.layer[at] = v, now, person.cause, person.layer
    rows.origin[at], rows.target[at] = person.compartment, c
    rows.used[0] = at + 1
    while grid.passed[0] < len(grid.times) and grid.times[grid.passed[0]] < now:
        grid.passed[0] += 1
    grid.counts[grid.passed[0], person.compartment] -= 1
    grid.counts[grid.passed[0], c] += 1
    return c


@inlined
def leave(tables: Tables, c: int, state: Word) -> tuple[float, int, Word]:
    """How long an agent stays in compartment c, where it then goes (−1: nowhere), and the state to go on from."""
    left, goes = np.inf, -1
    for p in range(len(tables.begins)):
        if tables.begins[p] == c:
            drawn, state = wait(tables.dwell[p], tables.c[p], tables.d[p], state)
            if drawn < left:
                left, goes = drawn, tables.leads[p]
    return left, goes, state


@inlined
def _place(times: NDArray[np.float64], time: float) -> int:
    """The first place in ascending `times` that is not before `time`: a guess, at once right where they are equally far apart."""
    last = len(times) - 1
    if last < 0 or time > times[last]:
        return last + 1
    ahead = (time - times[0]) * last / max(times[last] - times[0], 1e-300)
    at = int(min(max(ahead, 0.0), np.float64(last)))
    while at > 0 and times[at - 1] >= time:
        at -= 1
    while times[at] < time:
        at += 1
    return at


@inlined
def _course(
    a: Agenda,
    v: int,
    c: int,
    time: float,
    people: NDArray[np.void],
    ties: Ties,
    tables: Tables,
    key: Word,
    grid: Grid,
    scratch: Scratch,
    until: float,
) -> int:
    """All that becomes of v, which comes to compartment c at `time`; where it is at the end."""
    own, passing = threefry(key, np.uint64(0), np.uint64(v), np.uint64(0))
    while True:
        left, goes, own = leave(tables, c, own)
        for k in range(len(tables.rate)):
            if tables.source[k] == c and tables.rate[k] > 0.0:
                make_room(a, ties.indptr[v + 1] - ties.indptr[v])
                passing = _pass_on(a, v, k, time, left, people, ties, tables, passing, scratch, until)
        if goes < 0 or time + left > until:
            return c
        time += left
        at = _place(grid.times, time)
        grid.counts[at, c] -= 1
        grid.counts[at, goes] += 1
        c = goes


@inlined
def _pass_on(
    a: Agenda,
    v: int,
    k: int,
    begin: float,
    left: float,
    people: NDArray[np.void],
    ties: Ties,
    tables: Tables,
    state: Word,
    scratch: Scratch,
    until: float,
) -> Word:
    """Set the clocks of v's hearers by transmission k, while it stays for a time `left` from `begin` on."""
    origin, on, rate = tables.origin[k], tables.layer[k], tables.rate[k]
    weighted, layered = len(ties.weight) > 0, len(ties.layer) > 0
    n, p, seen = 0, -math.expm1(-rate * left), 0.0
    for i in range(ties.indptr[v], ties.indptr[v + 1]):
        state = np.uint64(state + GOLDEN)
        scratch.tie[n], scratch.word[n] = i, mix(state)
        if weighted:
            p = -math.expm1(-rate * ties.weight[i] * left)
        n += (unit(scratch.word[n]) < p) & (on < 0 or ties.layer[i] == on)
    for j in range(n):
        seen += a.due[ties.other[scratch.tie[j]]]
    for j in range(n):
        i = scratch.tie[j]
        scratch.time[j] = begin + exponential(scratch.word[j]) / (rate * ties.weight[i] if weighted else rate)
    scratch.time[n] = seen  # written, so that the reading ahead is not taken for idle
    for j in range(n):
        i, time = scratch.tie[j], scratch.time[j]
        h = ties.other[i]
        if time < a.due[h] and time <= until and people[h].compartment == origin:
            people[h].cause, people[h].rule = v, k
            people[h].layer = ties.layer[i] if layered else -1
            enter(a, h, time)
    return state


@compiled
def progressions(
    tables: Tables,
    key: Word,
    agents: NDArray[np.int32],
    since: NDArray[np.float64],
    compartment: NDArray[np.int8],
    until: float,
    write: bool,
    rows: Rows,
) -> int:
    """Draw again the progressions of agents (n,) that came to compartments (n,) at times (n,): how many, and to `write` them."""
    count = 0
    for i in range(len(agents)):
        time, c = since[i], compartment[i]
        own = threefry(key, np.uint64(0), np.uint64(agents[i]), np.uint64(0))[0]
        while True:
            left, goes, own = leave(tables, c, own)
            if goes < 0 or time + left > until:
                break
            time += left
            if write:
                rows.agent[count], rows.time[count], rows.cause[count], rows.layer[count] = agents[i], time, -1, -1
                rows.origin[count], rows.target[count] = c, goes
            c = goes
            count += 1
    rows.used[0] = count
    return count
