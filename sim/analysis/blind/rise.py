"""Features that are commoner late than early, whatever the cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from contagium.sim.analysis.blind.uptake import Contacts, Floats, Ints, step_down

EDGE = 8
"""A rise is looked for where at least one in so many turns lies on either side of it."""

CELLS = 2_000_000
"""Steps times features times permutations worked on at once, which bounds memory."""


@dataclass(frozen=True)
class Rise:
    """How F features rise in time, all (F,).

    score: the greatest standardised rise, NaN where there can be none. p: the probability of so high a score for any feature.
    step: from which the feature is commoner.
    """

    score: Floats
    p: Floats
    step: Ints


def rise(made: Contacts, used: csc_matrix, permutations: int, rng: np.random.Generator) -> Rise:
    """The greatest standardised difference between the shares of turns that show a feature before and from a step (Hinkley 1970).

    Null: each agent takes its turns in any order. A rise says nothing of contagion, for a common cause makes one too.
    """
    turns = np.flatnonzero(made.acted.T.ravel())  # by agent, then step
    agent, step = np.divmod(turns, made.steps)
    said = made.turns(used).tocsr()[step * len(made.agents) + agent].astype(np.int32)
    score, best = (found[0] for found in _greatest(said, step[None], made))
    null = np.empty((permutations, used.shape[1]), dtype=np.float32)
    batch = max(1, CELLS // max(1, made.steps * used.shape[1]))
    for start in range(0, permutations, batch):
        part = null[start : start + batch]
        part[:] = _greatest(said, step[np.argsort(agent + rng.random((len(part), len(agent))), axis=1)], made)[0]
    return Rise(score, step_down(score, null), best + made.first)


def _greatest(said: csr_matrix, step: Ints, made: Contacts) -> tuple[Floats, Ints]:
    """Score (R, F) and the step after the best split, when turn i (n,) is taken at step[r, i].

    NaN for a feature of all turns or of none.
    """
    rounds, n = step.shape
    rows = (step + made.steps * np.arange(rounds)[:, None]).ravel()
    into = csr_matrix((np.ones(rounds * n, dtype=np.int32), (rows, np.tile(np.arange(n), rounds))), (rounds * made.steps, n))
    shown = np.cumsum((into @ said).toarray().reshape(rounds, made.steps, -1), axis=1)
    taken = np.cumsum(made.acted.sum(axis=1))
    splits = np.flatnonzero((taken * EDGE >= n) & ((n - taken) * EDGE >= n))
    total = shown[:, -1:]
    if not len(splits):
        return np.full(total[:, 0].shape, np.nan), np.zeros(total[:, 0].shape, dtype=np.int64)
    before, early = shown[:, splits], taken[splits][:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(total / n * (1 - total / n) * (1 / early + 1 / (n - early)))
        gain = ((total - before) / (n - early) - before / early) / spread
    gain[:, :, (total[0, 0] == 0) | (total[0, 0] == n)] = np.nan
    return gain.max(axis=1), splits[gain.argmax(axis=1)] + 1
