"""Where the nodes of a network stand in the plane: what lies near in the network lies near on paper, and nobody on anybody else.

First distances, then forces: multidimensional scaling of shortest paths to a few pivots (Brandes & Pich 2007) unfolds the whole,
then springs and near repulsion (Fruchterman & Reingold 1991) straighten the detail. 2,000 nodes take well under a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams

PIVOTS = 50
ROUNDS = 60
TIES = 20_000
"""Of more ties that many, taken evenly, pull: a network so dense has no shape that all of them would show."""

SPREAD = 0.1
"""Random shift of each node before forces act, against an extent of about 1: nodes with the same distances would coincide."""


def place(count: int, ties: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Positions (count, 2) of nodes joined by `ties` (m, 2), each pair once and no loops; centred, with a typical extent of 1."""
    if count < 3:
        return np.column_stack([np.arange(count) - (count - 1) / 2, np.zeros(count)])
    if len(ties) > TIES:
        ties = ties[np.linspace(0, len(ties) - 1, TIES).astype(np.int64)]
    start = _by_distance(count, ties)
    start = start / max(float(start.std()), 1e-9) / 2
    shift = Streams(seed).generator("layout").normal(0, SPREAD, start.shape)
    return _by_force(start + shift, ties)


def _by_distance(count: int, ties: NDArray[np.int64]) -> NDArray[np.float64]:
    """Classical scaling of squared distances to pivots, each as far from those before it as can be."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    graph = coo_array((np.ones(len(ties)), (ties[:, 0], ties[:, 1])), shape=(count, count)).tocsr()
    distance = np.empty((count, min(PIVOTS, count)))
    nearest, pivot = np.full(count, np.inf), 0
    for column in distance.T:
        column[:] = dijkstra(graph, directed=False, unweighted=True, indices=pivot)
        nearest = np.minimum(nearest, column)
        pivot = int(np.argmax(nearest))
    apart = np.isinf(distance)
    distance[apart] = 1 + 1.3 * distance[~apart].max()
    squared = distance**2
    centred = (squared.mean(axis=0) + squared.mean(axis=1, keepdims=True) - squared - squared.mean()) / 2
    vectors = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]  # the longest extent across
    # Which way an axis points is open: fixed here, so that a figure repeats.
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return np.asarray(centred @ vectors)


def _by_force(position: NDArray[np.float64], ties: NDArray[np.int64]) -> NDArray[np.float64]:
    """Springs along ties, repulsion within three times the room that each node has, for `ROUNDS` ever smaller moves."""
    from scipy.spatial import cKDTree

    count = len(position)
    room = np.sqrt(4 / count)
    for round_ in range(ROUNDS):
        near = cKDTree(position).query_pairs(3 * room, output_type="ndarray")
        away, pull = position[near[:, 0]] - position[near[:, 1]], position[ties[:, 0]] - position[ties[:, 1]]
        square = np.maximum((away**2).sum(axis=1, keepdims=True), 1e-12)
        length = np.sqrt((pull**2).sum(axis=1, keepdims=True))
        force = _sum(near, away * room**2 / square, count) - _sum(ties, pull * length / room, count)
        size = np.maximum(np.sqrt((force**2).sum(axis=1, keepdims=True)), 1e-12)
        position = position + force / size * np.minimum(size, max(0.1 * (1 - round_ / ROUNDS), 0.002))
    return position - position.mean(axis=0)


def _sum(pairs: NDArray[np.int64], force: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The forces (m, 2) that pull the first of each pair and push the second, by node, (count, 2)."""
    first, second = pairs.T
    return np.column_stack([np.bincount(first, f, count) - np.bincount(second, f, count) for f in force.T])
