"""What the continuous-time kernels read and write: ties of a network, rows of a forest, counts on a grid of times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.engine.forest import Forest
from contagium.envs.network import Network

DONE, MORE, FULL = range(3)
"""Why a kernel came back: nothing is left to happen, its share of work is done, or the rows are full."""


class Ties(NamedTuple):
    """Ties in compressed rows: those of agent i are indptr[i] to indptr[i + 1] − 1.

    other (E,): the agent at the other end. weight (E,), or (0,) where all are 1. layer (E,), or (0,) where there are none.
    """

    indptr: NDArray[np.int64]
    other: NDArray[np.int32]
    weight: NDArray[np.float64]
    layer: NDArray[np.int8]


def heard(network: Network) -> Ties:
    """Whom each agent hears."""
    weight = np.empty(0) if network.unweighted else np.ascontiguousarray(network.weight)
    layer = np.empty(0, dtype=np.int8) if network.layer is None else network.layer
    return Ties(network.indptr, network.source, weight, layer)


def hearers(network: Network) -> Ties:
    """Who hears each agent."""
    ties = heard(network)
    if network.symmetric:
        return ties
    indptr, other, edge = network.hearers
    assert edge is not None
    weight, layer = ties.weight, ties.layer
    return Ties(indptr, other, weight[edge] if len(weight) else weight, layer[edge] if len(layer) else layer)


class Rows(NamedTuple):
    """The columns of a forest, filled up to row used[0] − 1. Memory that is not filled yet is not taken."""

    agent: NDArray[np.int32]
    time: NDArray[np.float64]
    cause: NDArray[np.int32]
    layer: NDArray[np.int8]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]
    used: NDArray[np.int64]

    @classmethod
    def blank(cls, room: int) -> Rows:
        i4, i1 = (lambda: np.empty(room, dtype=np.int32)), (lambda: np.empty(room, dtype=np.int8))
        return cls(i4(), np.empty(room), i4(), i1(), i1(), i1(), np.zeros(1, dtype=np.int64))

    def lengthen(self) -> None:
        """Half as much room again. The memory is mapped anew, not copied; nothing else may hold on to a column."""
        for column in self[:-1]:
            column.resize(len(column) * 3 // 2 + 1024, refcheck=False)

    def forest(self) -> Forest:
        made = slice(self.used[0])
        columns = (self.cause[made], self.layer[made], self.origin[made], self.target[made])
        return Forest(self.agent[made], self.time[made], *columns)


class Grid(NamedTuple):
    """times (T,) ascending; counts (T + 1, C); passed (1,): how many of the times have been reached."""

    times: NDArray[np.float64]
    counts: NDArray[np.int64]
    passed: NDArray[np.int64]
