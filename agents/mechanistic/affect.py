"""Affect of mechanistic agents: it relaxes to a baseline, is pulled by what is heard, is pushed by pressure, and shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARES = ("relaxation", "contagion", "appraisal", "regulation", "activity", "colouring")
RANGES = {"loss_aversion": (0, 100), "effort": (0, 100), "activation": (-100, 100), "spillover": (-100, 100)}


@dataclass(frozen=True, slots=True)
class Feeling:
    """What n agents feel. affect: (n, 3) valence, arousal, dominance in [-1, 1]. pending: (n, 3) push not yet appraised.

    effort: (n,) in [0, 1], how hard each works at reappraisal.
    """

    affect: NDArray[np.float64]
    pending: NDArray[np.float64]
    effort: NDArray[np.float64]

    @classmethod
    def at(cls, affect: NDArray[np.float64]) -> Feeling:
        """Agents with this affect (n, 3), on whose mind is nothing else."""
        return cls(affect, np.zeros_like(affect), np.zeros(len(affect)))

    def take(self, rows: NDArray[np.int64]) -> Feeling:
        return Feeling(self.affect[rows], self.pending[rows], self.effort[rows])

    def put(self, rows: NDArray[np.int64], now: Feeling) -> None:
        """Write what some agents feel now into these arrays."""
        self.affect[rows], self.pending[rows], self.effort[rows] = now.affect, now.pending, now.effort


class Held:
    """What the affect of some of `size` agents is held at, whatever would move it: do(affect). Source: Pearl 2009."""

    def __init__(self, size: int) -> None:
        self._at = np.full((size, 3), np.nan)
        self._any = False

    def hold(self, rows: NDArray[np.int64], affect: Sequence[float]) -> None:
        """Hold these rows at `affect` (3,), on the axes where it is not NaN; the others move freely."""
        self._at[rows], self._any = affect, True

    def release(self, rows: NDArray[np.int64]) -> None:
        self._at[rows] = np.nan
        self._any = not np.isnan(self._at).all()

    def apply(self, rows: NDArray[np.int64], affect: NDArray[np.float64]) -> NDArray[np.float64]:
        """The affect (n, 3) of these rows (n,), as it is with what is held."""
        if not self._any:
            return affect
        at = self._at[rows]
        return np.where(np.isnan(at), affect, at)


def permitted(chance: NDArray[np.float64], allowed: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Chances (n, C) of choices of which only those `allowed` (n, C) can be taken, the others' shared out in proportion."""
    if allowed is None:
        return chance
    kept = np.where(allowed, chance, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    evenly = allowed / allowed.sum(axis=1, keepdims=True)
    return np.divide(kept, total, out=evenly, where=total > 0)


@dataclass(frozen=True)
class Affect:
    """How affect (valence, arousal, dominance) moves from one act of an agent to the next, and what it does to acts.

    relaxation: share of the distance to the baseline covered each step that passes, acted in or not. contagion: share of the
    distance to the mean of what was heard, times susceptibility, covered too, however long it waited. 0 switches either off;
    together at most 1, and an agent is pulled by what relaxation leaves at most, so that affect never oversteps what it moves
    towards. Pulling towards the mean of neighbours is DeGroot's averaging; with a baseline that holds on, Friedkin and Johnsen's.
    Source: Friedkin & Johnsen 1990.

    The rest is off by default:
    loss_aversion: by how much a push that lowers valence weighs more than an equal one that raises it; 1 is off, about 2.25 was
      measured with money. Source: Kahneman & Tversky 1979; Tversky & Kahneman 1992.
    appraisal: share of what still waits to be appraised that is taken in at each step, the step of the push included; 1 (off)
      takes all in at once, a smaller share makes a later and lower peak. A two-clock form of Scherer 2001, our own choice.
    regulation, effort: reappraisal. Effort, in [0, 1], covers the share `regulation` of its way to what the distance from the
      baseline calls for (the largest of the three axes, at most 1) each step, and relaxation goes 1 + effort × it times as fast.
      Either at 0 is off. Source: Gross 1998; the form is our own choice.
    activity, activation: the chance to speak in a step is `activity` at the baseline's arousal; its log-odds change by
      `activation` for each unit of arousal above it. Activity 1 (off): everybody always speaks. Source: Russell 1980.
    colouring: at own valence v, valence heard is perceived as (1 − colouring·|v|) × heard + colouring × v: who feels bad takes
      the same words to be worse. Source: Bower 1981; the form is our own choice.
    spillover: what a unit of own valence adds to the log-odds of a choice of slant 1, whatever the feeling came from.
      Source: Lerner & Keltner 2000.
    """

    relaxation: float = 0.2
    contagion: float = 0.3
    loss_aversion: float = 1.0
    appraisal: float = 1.0
    regulation: float = 0.0
    effort: float = 0.0
    activity: float = 1.0
    activation: float = 0.0
    colouring: float = 0.0
    spillover: float = 0.0

    def __post_init__(self) -> None:
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share in [0, 1], got {getattr(self, name)}")
        if self.relaxation + self.contagion > 1:
            raise ValueError(f"relaxation and contagion must add up to at most 1, got {self.relaxation} and {self.contagion}")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {getattr(self, name)}")

    def step(
        self,
        feeling: Feeling,
        baseline: NDArray[np.float64],
        heard: NDArray[np.float64],
        susceptibility: NDArray[np.float64],
        push: NDArray[np.float64],
        elapsed: NDArray[np.float64],
    ) -> Feeling:
        """What n agents feel now. baseline, heard, push: (n, 3), heard NaN for who heard nothing; susceptibility, elapsed: (n,).

        elapsed: steps since the agent last acted, 0 or more: affect relaxes by 1 − (1 − relaxation)^elapsed of its distance, and
        what waits is appraised, at once or in parts. What was heard and the push come at the end of that time.
        """
        affect, (left, taken, waiting, effort) = feeling.affect, self._pass(feeling, baseline, elapsed)
        heard = self.perceived(heard, affect[:, 0])
        toward_heard = np.nan_to_num(heard - affect)
        relaxed, pull = (1.0 - left)[:, None], np.minimum(self.contagion * susceptibility, left)[:, None]
        news = self._weighed(push)
        after = affect + relaxed * (baseline - affect) + pull * toward_heard + self.appraisal * news + taken
        return Feeling(np.clip(after, -1.0, 1.0, out=after), waiting + (1.0 - self.appraisal) * news, effort)

    def perceived(self, heard: NDArray[np.float64], valence: NDArray[np.float64]) -> NDArray[np.float64]:
        """What agents of this valence (n,) take the affect they hear (n, 3) to be; of a mean or of each message is the same."""
        if self.colouring == 0:
            return heard
        seen = heard.copy()
        seen[:, 0] += self.colouring * (valence - np.abs(valence) * heard[:, 0])
        return seen

    def speaks(self, affect: NDArray[np.float64], baseline: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance of each agent to speak in a step, from its arousal and its baseline's; affect, baseline: (n, 3). Shape (n,)."""
        if self.activity in (0, 1):
            return np.full(len(affect), self.activity)
        odds = math.log(self.activity / (1 - self.activity)) + self.activation * (affect[:, 1] - baseline[:, 1])
        chance: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * odds))  # the logistic function, free of overflow
        return chance

    def chooses(
        self, preference: NDArray[np.float64], slant: NDArray[np.float64], valence: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Chance of each of C choices, shape (n, C): softmax of preference (n, C) + spillover × valence (n,) × slant (C,).

        slant: how much good feeling speaks for a choice, such as 1 for trusting, −1 for being on one's guard.
        """
        odds = preference + self.spillover * valence[:, None] * slant
        chance = np.exp(odds - odds.max(axis=1, keepdims=True))
        return chance / chance.sum(axis=1, keepdims=True)

    def half_life(self, exerted: float = 0.0) -> float:
        """Steps in which half the distance to the baseline goes, at an effort `exerted` in [0, 1]; infinite if none relaxes."""
        if not 0 <= exerted <= 1:
            raise ValueError(f"effort exerted must be a share in [0, 1], got {exerted}")
        return half_life(self.relaxation) / (1.0 + self.effort * exerted)

    def _weighed(self, push: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.loss_aversion == 1:
            return push
        felt = push.copy()
        felt[:, 0] = np.where(push[:, 0] < 0, self.loss_aversion * push[:, 0], push[:, 0])
        return felt

    def _pass(
        self, feeling: Feeling, baseline: NDArray[np.float64], elapsed: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | float, NDArray[np.float64], NDArray[np.float64]]:
        """Time passes: what is left of the distance (n,), push taken in (n, 3), push that still waits (n, 3), effort (n,)."""
        regulates = self.regulation > 0 and self.effort > 0
        if not regulates and self.appraisal == 1:
            return (1.0 - self.relaxation) ** elapsed, 0.0, feeling.pending, feeling.effort
        if np.any(elapsed % 1):
            raise ValueError(
                f"elapsed must be whole steps where appraisal or reappraisal takes time, got {elapsed[elapsed % 1 > 0][0]}"
            )
        start = feeling.affect - baseline
        away, waiting, effort, left = start.copy(), feeling.pending.copy(), feeling.effort.copy(), np.ones(len(start))
        for k in range(int(elapsed.max(initial=0))):
            rows = np.flatnonzero(elapsed > k)
            stays = (1.0 - self.relaxation) ** (1.0 + self.effort * effort[rows])
            if regulates:
                called = np.minimum(np.abs(away[rows]).max(axis=1), 1.0)
                effort[rows] += self.regulation * (called - effort[rows])
            away[rows] = stays[:, None] * away[rows] + self.appraisal * waiting[rows]
            waiting[rows] *= 1.0 - self.appraisal
            left[rows] *= stays
        return left, away - left[:, None] * start, waiting, effort


def half_life(share: float) -> float:
    """Steps in which half of what is left goes, when the share `share` of it, in [0, 1], goes each step."""
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    if share in (0, 1):
        return 0.0 if share else math.inf
    return -math.log(2.0) / math.log1p(-share)


def mean_heard(
    reader: NDArray[np.int64], affect: NDArray[np.float64], weight: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Weighted mean of the affect (m, 3) that each of `size` readers heard; readings that are NaN do not count. (size, 3)"""
    mean = np.empty((size, affect.shape[1]))
    unknown = np.isnan(affect)
    everything = None if unknown.any() else np.bincount(reader, weight, minlength=size)
    with np.errstate(invalid="ignore"):
        for axis in range(affect.shape[1]):
            known = slice(None) if everything is not None else ~unknown[:, axis]
            share, who = weight[known], reader[known]
            weights = np.bincount(who, share, minlength=size) if everything is None else everything
            mean[:, axis] = np.bincount(who, share * affect[known, axis], minlength=size) / weights
    return mean
