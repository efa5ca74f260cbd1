"""Contagion in steps: every model, along a network or along whatever contacts there were, one move an agent and step at most."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel, Tables
from contagium.agents.mechanistic.engine import race
from contagium.agents.mechanistic.engine.buffers import heard
from contagium.agents.mechanistic.engine.forest import Forest
from contagium.agents.mechanistic.engine.outbreak import Outbreak
from contagium.envs.network import Network
from contagium.envs.rng import Streams

NO_PLACE, NO_TALLY = np.empty(0, dtype=np.int8), np.empty((0, 0), dtype=np.int32)


@dataclass(frozen=True)
class Contacts:
    """Who hears what during a step, as CSR over n agents.

    indptr: (n + 1,); contacts of agent i are rows indptr[i]:indptr[i + 1]. who: (m,) int32, the source of each contact, an
    index into `state`. state: (k,) int8, compartment of each source, −1 for one that counts as none. weight: (m,), or (0,)
    where all are 1. layer: (m,) int8, or (0,) where there are none. tally: where it is kept, how many contacts each agent has in
    each compartment.
    """

    indptr: NDArray[np.int64]
    who: NDArray[np.int32]
    state: NDArray[np.int8]
    weight: NDArray[np.float64]
    layer: NDArray[np.int8]
    tally: Tally | None = None

    @classmethod
    def along(cls, network: Network, compartment: NDArray[np.int8], tally: Tally | None = None) -> Contacts:
        """Every edge is a contact; compartment: (N,)."""
        ties = heard(network)
        return cls(ties.indptr, ties.other, compartment, ties.weight, ties.layer, tally)


@dataclass(frozen=True)
class Tally:
    """How many contacts of each of N agents are in each of k source compartments, kept up to date as agents move.

    For networks without weights and layers, where these are whole numbers. place: (compartments + 1,) row of `counts`, −1 for
    what is no source, such as the last, which stands for nowhere. counts: (k, N).
    """

    network: Network
    place: NDArray[np.int8]
    counts: NDArray[np.int32]

    @classmethod
    def of(cls, model: ContagionModel, network: Network, compartment: NDArray[np.int8]) -> Tally | None:
        """The tally at the start; None for a network that has weights, or layers."""
        if not network.unweighted or network.layer is not None:
            return None
        sheds = np.append(model.shedding, False)
        place = np.where(sheds, np.cumsum(sheds) - 1, -1).astype(np.int8)
        tally = cls(network, place, np.zeros((int(sheds.sum()), network.size), dtype=np.int32))
        sources = np.flatnonzero(sheds[compartment])
        tally.follow(sources, np.full(len(sources), len(place) - 1, dtype=np.int8), compartment[sources])
        return tally

    def follow(self, rows: NDArray[np.int64], before: NDArray[np.int8], after: NDArray[np.int8]) -> None:
        """The agents at `rows` (m,) came from the compartments `before` (m,) to `after` (m,)."""
        indptr, hearer, _ = self.network.hearers
        race.tell(rows, before, after, indptr, hearer, self.place, self.counts)


@dataclass(frozen=True)
class Course:
    """Where n agents are in a model. compartment: (n,) int8. due: (n,) when each moves on by itself, to `then` (n,) int8."""

    compartment: NDArray[np.int8]
    due: NDArray[np.float64]
    then: NDArray[np.int8]

    def take(self, rows: NDArray[np.int64]) -> Course:
        return Course(self.compartment[rows], self.due[rows], self.then[rows])

    def put(self, rows: NDArray[np.int64], part: Course) -> Course:
        """This course with the agents at `rows` as in `part`."""
        whole = Course(self.compartment.copy(), self.due.copy(), self.then.copy())
        whole.compartment[rows], whole.due[rows], whole.then[rows] = part.compartment, part.due, part.then
        return whole


@dataclass(frozen=True)
class Moves:
    """Who moved: rows (k,) of the course, ascending, from origin (k,) to target (k,).

    contact: (k,), the row of the contacts that caused it, −1: none did.
    """

    rows: NDArray[np.int64]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]
    contact: NDArray[np.int64]


@dataclass(frozen=True)
class Keys:
    """Keys of the draws: which transition an agent makes and when (`race`), and how long it stays after it (`dwell`)."""

    race: int
    dwell: int

    @classmethod
    def of(cls, streams: Streams, name: str) -> Keys:
        return cls(streams.key(f"{name}:race"), streams.key(f"{name}:dwell"))


def begin(tables: Tables, compartment: NDArray[np.int8], ids: NDArray[np.int64], keys: Keys) -> Course:
    """The course of agents `ids` (n,) that come into their compartments (n,) at time 0."""
    course = Course(compartment.astype(np.int8), np.full(len(ids), np.inf), np.full(len(ids), -1, dtype=np.int8))
    race.enter(tables, np.arange(len(ids)), course.compartment, 0.0, ids, np.uint64(keys.dwell), 0, course.due, course.then)
    return course


def advance(
    tables: Tables,
    contacts: Contacts,
    course: Course,
    now: float,
    elapsed: NDArray[np.float64],
    scale: NDArray[np.float64],
    ids: NDArray[np.int64],
    keys: Keys,
    step: int,
    threads: int = 1,
) -> tuple[Course, Moves]:
    """The course at time `now`, `elapsed` (n,) after the last look at each agent, and the moves; the input is left as it is.

    scale: multiplies the hazards of an agent, (n,) all of them or (n, K) those of transmissions of each strain. ids: (n,), name
    the agents' draws, with `step`. All transitions an agent could make race: each transmission comes after an exponential
    waiting time of its hazard, a progression when its dwell time is over, and the earliest wins if it comes within `elapsed`.
    The winner among transmissions is one of them in proportion to its hazard, and its cause one of the contacts in proportion
    to its part of the dose, so that infection and its unbiased cause come from one draw. At most one move an agent and step,
    which takes effect at its end. What becomes of an agent depends, to the last bit, on nothing but its own options and draws.
    Source: Gillespie 1976.
    """
    n = len(ids)
    target, contact = np.empty(n, dtype=np.int8), np.empty(n, dtype=np.int64)
    tally = (NO_PLACE, NO_TALLY) if contacts.tally is None else (contacts.tally.place, contacts.tally.counts)
    columns = (contacts.indptr, contacts.who, contacts.state, contacts.weight, contacts.layer, *tally)
    scale = np.ascontiguousarray(scale if scale.ndim == 2 else scale[:, None])
    state = (course.compartment, course.due, course.then, now - elapsed, elapsed, scale, ids)

    def part(first: int, last: int) -> None:
        race.race(first, last, tables, *columns, *state, np.uint64(keys.race), step, target, contact)

    _split(part, n, threads)
    rows = np.flatnonzero(target >= 0)
    compartment, due, then = course.compartment.copy(), course.due.copy(), course.then.copy()
    compartment[rows] = target[rows]
    race.enter(tables, rows, compartment, now, ids, np.uint64(keys.dwell), step + 1, due, then)
    return Course(compartment, due, then), Moves(rows, course.compartment[rows], target[rows], contact[rows])


def discrete(
    model: ContagionModel,
    network: Network,
    compartment: NDArray[np.int8],
    until: float,
    dt: float,
    streams: Streams,
    threads: int = 1,
    watch: Callable[[float, NDArray[np.int64]], None] | None = None,
) -> Outbreak:
    """Run a model along a network in steps of `dt` up to the time `until`, from compartments (N,), and count at every step.

    Where `until` is no multiple of dt, the nearest one is the end. Contacts are taken as they were when the step began: the
    error against continuous time falls linearly with dt, see `step_error`. threads: how many work at once; the result is the
    same. watch: told the time and the counts after every step. ValueError: a dt that is not positive, or longer than `until`,
    and compartments that do not fit.
    """
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"dt must be positive and finite, got {dt}")
    if not dt <= until < math.inf:
        raise ValueError(f"until must be finite and at least dt ({dt}), got {until}")
    steps, size = max(1, round(until / dt)), network.size
    tables, keys, ids = model.tables(network.layers), Keys.of(streams, "outbreak"), np.arange(size)
    compartment = model.checked(size, compartment)
    course, elapsed, scale = begin(tables, compartment, ids, keys), np.full(size, dt), np.ones(size)
    counts = np.zeros((steps + 1, len(model.compartments)), dtype=np.int64)
    counts[0] = np.bincount(course.compartment, minlength=len(model.compartments))
    caught, tally = [], Tally.of(model, network, course.compartment)
    for step in range(1, steps + 1):
        contacts = Contacts.along(network, course.compartment, tally)
        course, moves = advance(tables, contacts, course, step * dt, elapsed, scale, ids, keys, step, threads)
        counts[step] = counts[step - 1] + np.bincount(moves.target, minlength=counts.shape[1])
        counts[step] -= np.bincount(moves.origin, minlength=counts.shape[1])
        caught.append(_caught(moves, contacts, step * dt))
        if tally is not None:
            tally.follow(moves.rows, moves.origin, moves.target)
        if watch is not None:
            watch(step * dt, counts[step])
        if not counts[step, model.shedding].any() and np.isinf(course.due).all():
            counts[step:] = counts[step]  # nobody can catch anything any more, and nobody moves on by itself
            break
    return Outbreak(np.arange(steps + 1, dtype=np.float64) * dt, counts, Forest.join(caught), course.compartment)


def step_error(model: ContagionModel, dt: float) -> float:
    """The share of a contact's hazard in one step that counts too much as a source leaves, contacts being taken as it began.

    A source that leaves its compartment at the rate r counts in full for a step in which it is there for (1 − exp(−r·dt)) /
    (r·dt) of the time on average; r is taken from the model's shortest mean dwell time. First order in dt, so half the step
    makes half the error. It is not all of the error, and 0 does not mean none: a source that comes within a step counts from
    its end on, half a step late on average, so that a curve lags behind by about that much at each link of a chain. What both
    do to a curve or a final size, running the model with dt and dt/2 tells.
    """
    means = [p.waits.mean for p in model.progressions if any(t.source == p.origin for t in model.transmissions)]
    shortest = min(means, default=math.inf)
    return 0.0 if math.isinf(shortest) else 1.0 + math.expm1(-dt / shortest) * shortest / dt


def _caught(moves: Moves, contacts: Contacts, time: float) -> Forest:
    """The moves that were transmissions."""
    by = np.flatnonzero(moves.contact >= 0)
    contact = moves.contact[by]
    return Forest(
        agent=moves.rows[by].astype(np.int32),
        time=np.full(len(by), time),
        cause=contacts.who[contact],
        layer=contacts.layer[contact] if len(contacts.layer) else np.full(len(by), -1, dtype=np.int8),
        origin=moves.origin[by],
        target=moves.target[by],
    )


def _split(part: Callable[[int, int], None], n: int, threads: int) -> None:
    """Call `part` with the bounds of `threads` equal parts of n rows, at the same time."""
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if threads == 1:
        return part(0, n)
    bounds = [n * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, bounds[:-1], bounds[1:]))
    return None
