"""Affect of mechanistic agents: it relaxes to a baseline, is pulled by what is heard, and is pushed by pressure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Affect:
    """How affect (valence, arousal, dominance) moves from one act of an agent to the next.

    relaxation: share of the distance to the baseline covered each step that passes, acted in or not. contagion: share of the
    distance to the mean of what was heard, times susceptibility, covered too, however long it waited. 0 switches either off;
    together at most 1, and an agent is pulled by what relaxation leaves at most, so that affect never oversteps what it moves
    towards. Pulling towards the mean of neighbours is DeGroot's averaging; with a baseline that holds on, Friedkin and Johnsen's.
    Source: Friedkin & Johnsen 1990.
    """

    relaxation: float = 0.2
    contagion: float = 0.3

    def __post_init__(self) -> None:
        for name in ("relaxation", "contagion"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share in [0, 1], got {getattr(self, name)}")
        if self.relaxation + self.contagion > 1:
            raise ValueError(f"relaxation and contagion must add up to at most 1, got {self.relaxation} and {self.contagion}")

    def step(
        self,
        affect: NDArray[np.float64],
        baseline: NDArray[np.float64],
        heard: NDArray[np.float64],
        susceptibility: NDArray[np.float64],
        push: NDArray[np.float64],
        elapsed: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Affect now, all (n, 3) in [-1, 1]; susceptibility, elapsed (n,). heard is NaN for who heard nothing.

        elapsed: steps since the agent last acted, 0 or more: affect relaxes by 1 − (1 − relaxation)^elapsed of its distance.
        """
        toward_heard = np.where(np.isnan(heard), 0.0, heard - affect)
        left = (1.0 - self.relaxation) ** elapsed
        relaxed, pull = (1.0 - left)[:, None], np.minimum(self.contagion * susceptibility, left)[:, None]
        return np.clip(affect + relaxed * (baseline - affect) + pull * toward_heard + push, -1.0, 1.0)


def mean_heard(
    reader: NDArray[np.int64], affect: NDArray[np.float64], weight: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Weighted mean of the affect (m, 3) that each of `size` readers heard; readings that are NaN do not count. (size, 3)"""
    total = np.zeros((size, affect.shape[1]))
    weights = np.zeros_like(total)
    for axis in range(affect.shape[1]):
        known = ~np.isnan(affect[:, axis])
        share = weight[known]
        total[:, axis] = np.bincount(reader[known], share * affect[known, axis], minlength=size)
        weights[:, axis] = np.bincount(reader[known], share, minlength=size)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, total / weights, np.nan)
