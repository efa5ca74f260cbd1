"""When ties carry: networks whose ties come and go, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams

Mask = NDArray[np.bool_]


class Times(Protocol):
    """Which of the E edges of a network carry what is said at a step, (E,) bool; the same whenever it is asked."""

    def tied(self, step: int) -> Mask: ...


@dataclass(frozen=True)
class Contacts:
    """Listed contacts. edges: E. indptr: (T + 1,); at step t the edges place[indptr[t]:indptr[t + 1]] carry.

    repeat: step T is like step 0, and so on; otherwise nothing carries from step T on.
    """

    edges: int
    indptr: NDArray[np.int64]
    place: NDArray[np.int64]
    repeat: bool = False

    def tied(self, step: int) -> Mask:
        found = np.zeros(self.edges, dtype=bool)
        last = len(self.indptr) - 1
        if step < last or (self.repeat and last):
            step %= last
            found[self.place[self.indptr[step] : self.indptr[step + 1]]] = True
        return found


@dataclass(frozen=True)
class Intermittent:
    """Each tie carries with probability `activity` in a step, whatever it did before; both its directions at once.

    pair: (E,) the number of the tie, from 0, to which each edge belongs.
    """

    streams: Streams
    activity: float
    pair: NDArray[np.integer]
    within: Times | None = None
    ties: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ties", int(self.pair.max(initial=-1)) + 1)

    def tied(self, step: int) -> Mask:
        draw = self.streams.generator("tied", step).random(self.ties, dtype=np.float32)
        found: Mask = (draw < self.activity)[self.pair]
        return found if self.within is None else found & self.within.tied(step)


@dataclass(frozen=True)
class Merged:
    """Edges of several layers as one: it carries where any of them does. first: (E',) where each run of edges begins."""

    times: Times
    first: NDArray[np.int64]

    def tied(self, step: int) -> Mask:
        carries = self.times.tied(step)
        return np.logical_or.reduceat(carries, self.first) if len(self.first) else carries


@dataclass(frozen=True)
class Laid:
    """Edges of several networks as one. parts: the number of edges and the times of each, None: always. order: (E,) where each
    edge stood when they were written one after the other."""

    parts: tuple[tuple[int, Times | None], ...]
    order: NDArray[np.int64]

    def tied(self, step: int) -> Mask:
        carries = [np.ones(edges, dtype=bool) if times is None else times.tied(step) for edges, times in self.parts]
        return np.concatenate(carries)[self.order]


@dataclass(frozen=True)
class Chosen:
    """Some of the edges of a network, at the places (E',) `place`."""

    times: Times
    place: NDArray[np.int64]

    def tied(self, step: int) -> Mask:
        return self.times.tied(step)[self.place]
