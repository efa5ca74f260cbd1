"""Turns of agents as rows of a regression: what was shown, what had been shown and heard before, and what else moved them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel, distinct

MOST_TURNS = 250_000
"""Of more usable turns, those of a random sample of agents: the interval is then no wider than 0.01 or so."""


@dataclass(frozen=True)
class Rows:
    """Turns that can be used: y (m,) what was shown, x (m, K) regressors, agent, step (m,) codes over all panels.

    past: (m, 2) what the agent showed in the step before, and what it heard then. asked: so many regressors are asked about, the
    others are only allowed for.
    """

    y: Floats
    x: Floats
    agent: Ints
    step: Ints
    past: Floats
    asked: int

    @property
    def agents(self) -> int:
        return len(distinct(self.agent))

    @property
    def steps(self) -> int:
        return len(distinct(self.step))


def stack(panels: Sequence[Panel]) -> tuple[Rows, int]:
    """Usable turns of all panels: regressors own, heard and, where it differs between agents, what else moved
    them; and how many are not."""
    parts, agent0, step0, unused = [], 0, 0, 0
    names = sorted({name for panel in panels for name, of in panel.moved.items() if of.size and np.ptp(of, axis=0).any()})
    for panel in panels:
        size, steps = panel.shape
        y, own, heard = panel.own[:, 1:], panel.own[:, :-1], panel.heard[:, :-1]
        i, t = np.nonzero(np.isfinite(y) & np.isfinite(own) & np.isfinite(heard))
        more = [panel.moved[name][i, t + 1] if name in panel.moved else np.zeros(len(i)) for name in names]
        x = np.stack([own[i, t], heard[i, t], *more], axis=1)
        parts.append((y[i, t], x, i + agent0, t + 1 + step0))
        unused += int(np.isfinite(y).sum()) - len(i)
        agent0, step0 = agent0 + size, step0 + steps
    y, x, agent, step = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Rows(y, x, agent, step, x[:, :2], 2), unused


def sampled(rows: Rows) -> Rows:
    """Of too many turns, those of some agents."""
    turns = np.bincount(rows.agent)
    if len(rows.y) <= MOST_TURNS:
        return rows
    order = Streams(0).generator("turns").permutation(len(turns))
    taken = np.zeros(len(turns), dtype=bool)
    taken[order[np.cumsum(turns[order]) <= MOST_TURNS]] = True
    kept = taken[rows.agent]
    return Rows(rows.y[kept], rows.x[kept], rows.agent[kept], rows.step[kept], rows.past[kept], rows.asked)


def split(rows: Rows) -> Rows:
    """The same with heard − own in two parts, below and above 0."""
    away = rows.x[:, 1] - rows.x[:, 0]
    x = np.c_[rows.x[:, 0], np.minimum(away, 0), np.maximum(away, 0), rows.x[:, 2:]]
    return Rows(rows.y, x, rows.agent, rows.step, rows.past, 3)
