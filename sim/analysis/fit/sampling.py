"""What the data leave open of a fitted form: parameters drawn in proportion to their likelihood."""

from __future__ import annotations

import numpy as np

from contagium.sim.analysis.fit.likelihood import Values
from contagium.sim.analysis.fit.search import Searched, curvature

WARM, THIN = 400, 25
"""Moves of the walk before the first draw, and from one draw to the next."""

AIMED = 0.3
"""Share of moves that a random walk should accept; between 0.2 and 0.45 it mixes well (Roberts & Rosenthal 2001)."""


def sample(objective: Searched, best: Values, count: int, rng: np.random.Generator) -> list[Values]:
    """`count` parameters (p,) drawn by a random walk over the likelihood (Metropolis et al. 1953), from its maximum `best` on.

    Flat prior on the logarithms of rates and shapes and on modifiers; on the spontaneous rate itself, which may be next to 0.
    """
    low, high = np.array(objective.bounds).reshape(-1, 2).T
    flat = np.array([name == "spontaneous" for name in objective.names], dtype=float)

    def level(at: Values) -> float:
        return float(-objective(at)[0] + flat @ at) if np.all((at >= low) & (at <= high)) else -np.inf

    # A rate that is 0 at best has no slope there: begin where the prior holds it up.
    now = np.maximum(best, np.where(flat > 0, low + 6, low))
    width, value, factor = _spread(objective, now), level(now), 1.0
    drawn = []
    for move in range(WARM + THIN * count):
        step = width @ rng.standard_normal(len(now)) * factor
        there = level(now + step)
        accepted = np.log(rng.random()) < there - value
        if accepted:
            now, value = now + step, there
        if move < WARM:
            factor *= np.exp((accepted - AIMED) / np.sqrt(1 + move / 10))
        elif (move - WARM) % THIN == THIN - 1:
            drawn.append(now.copy())
    return drawn


def _spread(objective: Searched, at: Values) -> Values:
    """A square root of the inverse of the information at `at`, bounded, as the shape of a step, (p, p)."""
    values, vectors = np.linalg.eigh(curvature(objective, at, objective(at)[1], np.arange(len(at))))
    return np.asarray(vectors * np.minimum(1 / np.sqrt(np.maximum(values, 1e-6)), 1.0))
