"""Betweenness of ties: how many of the shortest ways through a network go along each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.envs.compiled import compiled
from contagium.envs.edges import Network
from contagium.envs.rng import Streams

INTERPRETED = 300_000
"""Edges times roots up to which the compiler is not worth the second that it takes to start."""


MOST = 10**8
"""Edges times roots where nobody says how many roots: 20 s at a million agents, 2 s at ten thousand."""


def edge_betweenness(network: Network, streams: Streams, roots: int | None = None) -> NDArray[np.float64]:
    """For each edge the sum, over pairs of agents, of the share of their shortest ways that go along it, (E,).

    A way leads from who speaks to who hears, and each edge is as long as any other. Where there are more than `roots` agents
    (None: as many as `MOST` allows), pairs count only where the one who hears is one of so many, drawn at random, scaled up to
    all: an unbiased estimate. Sources: Brandes 2001; Brandes & Pich 2007 (sampling).
    """
    size, edges = network.size, len(network.source)
    roots = max(1, MOST // max(1, edges)) if roots is None else roots
    ends = np.arange(size) if size <= roots else streams.generator("betweenness").permutation(size)[:roots]
    found = np.zeros(edges)
    accumulate = compiled(_accumulate) if edges * len(ends) > INTERPRETED else _accumulate
    accumulate(network.indptr, network.source, ends, found)
    return found * (size / len(ends))


def _accumulate(
    indptr: NDArray[np.int64], source: NDArray[np.int32], ends: NDArray[np.int64], found: NDArray[np.float64]
) -> None:
    """Add to `found` (E,), for each of `ends`, the shares of the shortest ways that lead to it."""
    size = len(indptr) - 1
    away = np.empty(size, dtype=np.int32)
    ways, share = np.empty(size), np.empty(size)
    queue = np.empty(size, dtype=np.int64)
    for end in ends:
        away[:] = -1
        ways[:] = 0
        share[:] = 0
        away[end], ways[end], queue[0], last = 0, 1, end, 1
        at = 0
        while at < last:
            agent = queue[at]
            at += 1
            for edge in range(indptr[agent], indptr[agent + 1]):
                heard = source[edge]
                if away[heard] < 0:
                    away[heard] = away[agent] + 1
                    queue[last] = heard
                    last += 1
                if away[heard] == away[agent] + 1:
                    ways[heard] += ways[agent]
        # From the farthest back: what goes through an agent is known before what goes through those nearer to the end.
        for at in range(last - 1, -1, -1):
            agent = queue[at]
            for edge in range(indptr[agent], indptr[agent + 1]):
                heard = source[edge]
                if away[heard] == away[agent] + 1:
                    carried = ways[agent] / ways[heard] * (1 + share[heard])
                    found[edge] += carried
                    share[agent] += carried
