"""How affect, beliefs and personas act on each other in mechanistic agents. Every coupling is a number, off by default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.belief import within

SHARPEST = 10.0
"""Largest change of a log-multiplier per unit of affect: with three axes in [-1, 1] a multiplier stays below e³⁰."""
MOST = 1e6
"""Largest fatigue and waning: far beyond what leaves nothing, and far from what numbers cannot hold."""


@dataclass(frozen=True, slots=True)
class History:
    """What n agents went through with K strains. heard: (n, K) messages heard so far that showed it, whole numbers.

    immunity: (n, K) in [0, 1], share of susceptibility that an episode of it has left them without.
    """

    heard: NDArray[np.int64]
    immunity: NDArray[np.float64]

    @classmethod
    def blank(cls, size: int, strains: int) -> History:
        return cls(np.zeros((size, strains), dtype=np.int64), np.zeros((size, strains)))

    def take(self, rows: NDArray[np.int64]) -> History:
        return History(self.heard[rows], self.immunity[rows])

    def put(self, rows: NDArray[np.int64], now: History) -> None:
        """Write what some agents went through up to now into these arrays."""
        self.heard[rows], self.immunity[rows] = now.heard, now.immunity


@dataclass(frozen=True)
class Coupling:
    """Couplings between affect, beliefs and personas. Where no form is cited, it is our own choice.

    susceptibility: change of the log-hazard of catching a persona per unit of valence, arousal and dominance, a multiplier
      exp(k·affect), as in proportional hazards. That mood moves credulity: Forgas & East 2008; the form: Cox 1972.
    shedding, most: change per unit of affect of the logarithm of how strongly a persona is shown, and the cap of that
      multiplier, at least 1. That arousal makes people pass things on: Berger 2011.
    possession: in [0, 1], how much of the baseline of an agent that shows a persona is the persona's affect; 0: none of it. The
      default of 1 makes who shows a persona feel like it.
    bound: who is more than this from the opinion that a message states does not take it in; None: everybody takes all in.
      Bounded confidence: Deffuant et al. 2000; Hegselmann & Krause 2002.
    fatigue: after n messages of a strain a further one has 1 / (1 + fatigue × n) of the hazard. That repetition wears out:
      Cacioppo & Petty 1979.
    immunity, waning: in [0, 1], the share of susceptibility to a strain lost when an episode of it ends, and the rate per
      step at which that share decays, exp(−waning × steps). Resistance after exposure, and its
      decay: McGuire 1964; Banas & Rains 2010.
    """

    susceptibility: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shedding: tuple[float, float, float] = (0.0, 0.0, 0.0)
    most: float = 2.0
    possession: float = 1.0
    bound: float | None = None
    fatigue: float = 0.0
    immunity: float = 0.0
    waning: float = 0.0

    def __post_init__(self) -> None:
        for name in ("susceptibility", "shedding"):
            given: Sequence[float] = tuple(getattr(self, name))
            if len(given) != 3:
                raise ValueError(f"{name} must be 3 numbers (valence, arousal, dominance), got {len(given)}")
            for k in given:
                if not abs(k) <= SHARPEST:
                    raise ValueError(f"{name} must be in [-{SHARPEST:g}, {SHARPEST:g}] on each axis, got {k}")
            object.__setattr__(self, name, given)
        if not 1 <= self.most < math.inf:
            raise ValueError(f"most must be at least 1 and finite, got {self.most}")
        for name in ("possession", "immunity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share in [0, 1], got {getattr(self, name)}")
        for name in ("fatigue", "waning"):
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} must be in [0, {MOST:g}], got {getattr(self, name)}")
        if self.bound is not None and not 0 <= self.bound < math.inf:
            raise ValueError(f"bound must be non-negative and finite, got {self.bound}")

    def hazard(self, affect: NDArray[np.float64], history: History) -> NDArray[np.float64]:
        """By what the hazard of catching each strain is multiplied, from affect (n, 3) and history before this step. (n, K)"""
        worn = (1.0 - history.immunity) / (1.0 + self.fatigue * history.heard)
        return worn * _multiplier(self.susceptibility, affect)[:, None]

    def shown(self, affect: NDArray[np.float64]) -> NDArray[np.float64]:
        """By what the strength at which agents of this affect (n, 3) show a persona is multiplied, at most `most`. Shape (n,)."""
        return np.minimum(_multiplier(self.shedding, affect), self.most)

    def baseline(self, own: NDArray[np.float64], persona: NDArray[np.float64], shows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What affect relaxes to, (n, 3): own (n, 3), drawn to the mean of the personas (K, 3) that each agent shows (n, K)."""
        number = shows.sum(axis=1)
        rows = np.flatnonzero(number)
        after = own.copy()
        felt = sum(shows[rows, k, None] * persona[k] for k in range(len(persona))) / number[rows, None]
        after[rows] = (1.0 - self.possession) * own[rows] + self.possession * felt
        return after

    def admits(self, own: NDArray[np.float64], stated: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which messages are taken in, from the hearer's own opinion (m,) and the stated one (m,), NaN where none is. (m,)"""
        return within(own, stated, math.inf if self.bound is None else self.bound)

    def lived(
        self,
        history: History,
        messages: NDArray[np.int64],
        ended: NDArray[np.bool_],
        elapsed: NDArray[np.float64],
    ) -> History:
        """History after a step: messages (n, K) that showed each strain were heard, and some episodes (n, K) ended just now.

        elapsed: (n,) steps since the last time; immunity wanes over them, and a fresh episode restores it in full.
        """
        left = history.immunity * np.exp(-self.waning * elapsed)[:, None] if self.immunity else history.immunity
        return History(history.heard + messages, np.where(ended, self.immunity, left))


def _multiplier(slope: tuple[float, float, float], affect: NDArray[np.float64]) -> NDArray[np.float64]:
    # Summed axis by axis: a matrix product may round differently with the number of rows.
    return np.exp(slope[0] * affect[:, 0] + slope[1] * affect[:, 1] + slope[2] * affect[:, 2])
