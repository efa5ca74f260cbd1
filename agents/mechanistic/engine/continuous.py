"""Contagion in continuous time: exact in law for every model, with or without memory, on every network.

Two kernels do the work, and the model alone decides which: `forward` for models in which nobody is caught twice and all responses
are linear, `clocks` for the rest. Times are double precision: they resolve one part in 10¹⁵. The result depends on the model, the
network, the start and the seed, and on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel, Tables
from contagium.agents.mechanistic.engine import buffers, clocks, forward
from contagium.agents.mechanistic.engine.agenda import agenda
from contagium.agents.mechanistic.engine.buffers import Grid, Rows
from contagium.agents.mechanistic.engine.forest import Forest
from contagium.agents.mechanistic.engine.outbreak import Outbreak
from contagium.envs.network import Network
from contagium.envs.rng import Streams

Watch = Callable[[float, NDArray[np.int64]], None]

WORK = 2_000_000
"""Contacts that a kernel looks at in one go, about a tenth of a second: between two goes an interrupt is heard."""


def continuous(
    model: ContagionModel,
    network: Network,
    compartment: NDArray[np.int8],
    until: float,
    streams: Streams,
    times: NDArray[np.float64] | None = None,
    *,
    moves: bool = False,
    watch: Watch | None = None,
) -> Outbreak:
    """Run `model` on `network` from compartments (N,) at time 0 up to the time `until`.

    times: (T,) ascending in [0, until], when agents are counted, after what happens at that very time; by default 101 equal
    steps. moves: keep every move with its time, also those by progression. watch: told now and then how far it is, the last of
    `times` that has passed, and the counts (C,) then. ValueError names what does not fit.
    """
    if not 0 < until < math.inf:
        raise ValueError(f"until must be positive and finite, got {until}")
    times = np.linspace(0.0, until, 101) if times is None else np.ascontiguousarray(times, dtype=np.float64)
    if times.ndim != 1:
        raise ValueError(f"times must be a list of numbers, got shape {times.shape}")
    if len(times) and not (times[0] >= 0 and times[-1] <= until and np.all(np.diff(times) >= 0)):
        raise ValueError(f"times must ascend from 0 or later to until ({until}) or earlier")
    start = model.checked(network.size, compartment)
    grid = Grid(times, np.zeros((len(times) + 1, len(model.compartments)), dtype=np.int64), np.zeros(1, dtype=np.int64))
    task = Task(model.tables(network.layers), network, start, until, np.uint64(streams.key("continuous")), grid, moves, watch)
    return _forward(task) if forward.goes_forward(task.tables) else _general(task)


@dataclass(frozen=True)
class Task:
    """What `continuous` is asked for, checked."""

    tables: Tables
    network: Network
    start: NDArray[np.int8]
    until: float
    key: np.uint64
    grid: Grid
    moves: bool
    watch: Watch | None

    def tell(self, counts: NDArray[np.int64]) -> None:
        if self.watch is not None and self.grid.passed[0]:
            self.watch(float(self.grid.times[self.grid.passed[0] - 1]), counts)

    def outbreak(self, counts: NDArray[np.int64], forest: Forest, end: NDArray[np.int8], moves: Forest | None) -> Outbreak:
        return Outbreak(self.grid.times, counts[:-1], forest, end.copy(), moves)


def _forward(task: Task) -> Outbreak:
    """By the fast kernel, which writes changes of counts on the grid."""
    tables, start, grid = task.tables, task.start, task.grid
    ties = buffers.hearers(task.network)
    most = int(np.diff(ties.indptr).max())
    prone = np.isin(start, tables.origin)
    people = np.zeros(len(start), dtype=forward.PERSON)
    people["rule"], people["compartment"] = -1, start
    grid.counts[0] = np.bincount(start, minlength=grid.counts.shape[1])
    rows = Rows.blank(int(prone.sum()))
    scratch = forward.Scratch(np.empty(most + 1, np.int64), np.empty(most + 1, np.uint64), np.empty(most + 1))
    a = agenda(np.where(prone, np.inf, 0.0), most)
    while forward.run(a, people, ties, tables, task.key, grid, rows, scratch, task.until, WORK) != buffers.DONE:
        task.tell(grid.counts[: grid.passed[0]].sum(axis=0))
    forest = rows.forest()
    moves = _every_move(task, forest) if task.moves else None
    return task.outbreak(np.cumsum(grid.counts, axis=0), forest, people["compartment"], moves)


def _every_move(task: Task, forest: Forest) -> Forest:
    """The moves by transmission and, drawn again, those by progression that followed."""
    moving = np.flatnonzero(~np.isin(task.start, task.tables.origin)).astype(np.int32)
    who = np.concatenate([moving, forest.agent])
    since = np.concatenate([np.zeros(len(moving)), forest.time])
    where = np.concatenate([task.start[moving], forest.target])
    draw = partial(forward.progressions, task.tables, task.key, who, since, where, task.until)
    rows = Rows.blank(draw(False, Rows.blank(0)))
    draw(True, rows)
    every = Forest.join([forest, rows.forest()])
    return every.take(np.argsort(every.time, kind="stable"))


def _general(task: Task) -> Outbreak:
    """By the general kernel, which writes counts on the grid."""
    tables, grid, size = task.tables, task.grid, task.network.size
    heard, hearers = buffers.heard(task.network), buffers.hearers(task.network)
    people = np.zeros(size, dtype=clocks.CLOCK)
    people["compartment"] = task.start
    doses, due = clocks.doses(tables, size), np.empty(size)
    clocks.begin(people, doses, heard, tables, due, task.key, task.until)
    counts, rows = np.bincount(task.start, minlength=grid.counts.shape[1]), Rows.blank(size + 1024)
    a = agenda(due, 1 + len(doses.source) * int(np.diff(hearers.indptr).max()))
    go = partial(clocks.run, a, people, doses, heard, hearers, tables, task.key, grid, counts, rows, task.moves, task.until)
    while (state := go(WORK)) != buffers.DONE:
        task.tell(grid.counts[grid.passed[0] - 1])
        if state == buffers.FULL:
            rows.lengthen()
    grid.counts[grid.passed[0] :] = counts
    every = rows.forest()
    forest = every.take(every.cause >= 0) if task.moves else every
    return task.outbreak(grid.counts, forest, people["compartment"], every if task.moves else None)
