"""The loops one would write: SIR in steps by a sparse matrix product (`scipy`), or along edges (`numpy`, who infected whom too).

Arguments: the graph, the number of runs, which of the two. JSON as output.
"""

from __future__ import annotations

import sys

import numpy as np
from outbreak import B, G, graph, measure
from scipy.sparse import csr_array

size, indptr, source, seeds = graph()
target = np.repeat(np.arange(size, dtype=np.int32), np.diff(indptr))
heard = csr_array((np.ones(len(source), dtype=np.float32), source, indptr.astype(np.int32)), shape=(size, size))


def product(rng: np.random.Generator, state: np.ndarray) -> np.ndarray:
    """Who is infected in this step, by the number of infectious contacts."""
    count = heard @ (state == 1).astype(np.float32)
    return np.flatnonzero((state == 0) & (rng.random(size, dtype=np.float32) < 1 - (1 - B) ** count))


def edges(rng: np.random.Generator, state: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """Who is infected in this step, and by whom: the last in random order of those that transmit."""
    can = np.flatnonzero((state[source] == 1) & (state[target] == 0))
    does = rng.permutation(can[rng.random(len(can), dtype=np.float32) < B])
    cause[target[does]] = source[does]
    return target[does]


def run(rng: np.random.Generator) -> float:
    state, cause = np.zeros(size, dtype=np.int8), np.full(size, -1, dtype=np.int32)
    state[seeds] = 1
    while len(infectious := np.flatnonzero(state == 1)):
        caught = product(rng, state) if sys.argv[3] == "scipy" else edges(rng, state, cause)
        state[infectious[rng.random(len(infectious)) < G]] = 2
        state[caught] = 1
    return float(np.count_nonzero(state))


measure(np.random.default_rng, run, size)
