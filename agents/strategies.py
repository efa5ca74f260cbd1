"""What agents learn by: rules that change a strategy, and what a strategy says of how affect bears on behaviour.

Source: Sutton & Barto 2018, chapter 2 (values of actions); Szabó & Tőke 1998, Traulsen et al. 2006 (imitation by comparison of
pairs); Agresti 2010 (log-odds of adjacent categories).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Draws = Callable[[str], Floats]
"""From the name of a draw to one draw in [0, 1) for each of n agents, (n,)."""


@dataclass(frozen=True)
class Lesson:
    """What n agents learn from, once their last choice has paid.

    signals: (n, K) in [−1, 1], what they felt as they chose. choice, reward: (n,). expected: (n,) running mean of their rewards
    before this one, NaN before the first. starved: (n,), whose energy is used up. For rules that imitate, model: strategy of one
    agent whom each has heard, (n, …); model_expected: (n,) its running mean, NaN where there is no such agent.
    """

    signals: Floats
    choice: Ints
    reward: Floats
    expected: Floats
    starved: Bools
    model: Floats
    model_expected: Floats


@dataclass(frozen=True)
class Bandit:
    """Each agent values each choice in each state it can be in, and chooses by softmax. A strategy is (states, C) values.

    A state is a bin of valence (and one of energy, where there is a budget), of `bins` equal ones. rate: share of the surprise by
    which the value of what was chosen moves. temperature: in units of reward; the lower, the greedier. initial: first values.
    """

    imitates: ClassVar[bool] = False
    rate: float = 0.1
    temperature: float = 0.5
    bins: int = 3
    initial: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be a share in (0, 1], got {self.rate}")
        _positive("temperature", self.temperature)
        _finite("initial", self.initial)
        if self.bins < 2:
            raise ValueError(f"bins must be at least 2, or no state differs from another, got {self.bins}")

    def start(self, size: int, signals: int, choices: int) -> Floats:
        return np.full((size, self.bins**signals, choices), self.initial)

    def vary(self, strategy: Floats, draws: Draws) -> Floats:
        """All begin alike."""
        return strategy

    def scores(self, strategy: Floats, signals: Floats, choices: int) -> Floats:
        """Log-odds of the choices up to a constant, (n, C)."""
        return strategy[np.arange(len(strategy)), self._state(signals)] / self.temperature

    def learn(self, strategy: Floats, lesson: Lesson, draws: Draws) -> Floats:
        learnt = strategy.copy()
        at = np.arange(len(strategy)), self._state(lesson.signals), lesson.choice
        learnt[at] += self.rate * (lesson.reward - learnt[at])
        return learnt

    def slopes(self, strategy: Floats) -> Floats:
        """Least-squares slope over the bins of the mean log-odds between neighbouring choices, (n, K)."""
        steps = (strategy[..., -1] - strategy[..., 0]) / (self.temperature * (strategy.shape[-1] - 1))
        signals = round(np.log(steps.shape[1]) / np.log(self.bins))
        grid = steps.reshape(len(steps), *[self.bins] * signals)
        centre = (2 * np.arange(self.bins) + 1) / self.bins - 1
        means = [grid.mean(axis=tuple(a for a in range(1, signals + 1) if a != 1 + k)) for k in range(signals)]
        return np.stack([mean @ centre / (centre @ centre) for mean in means], axis=1)

    def _state(self, signals: Floats) -> Ints:
        bins = np.minimum(((signals + 1) / 2 * self.bins).astype(np.int64), self.bins - 1)
        return bins @ self.bins ** np.arange(bins.shape[1])[::-1]


@dataclass(frozen=True)
class Imitation:
    """Agents keep to a strategy, copy that of others who fare better, and now and then try a new one.

    A strategy is (1 + K): the log-odds of each choice against the one before it are preference + slope · signal, for valence (and
    energy, where there is a budget). preference, slope: at first; spread: standard deviation around them from agent to agent.
    revision: chance in each step to look at another: the sender of one of the messages read, each as likely, of one's own group,
    for strategies do not show in messages. It is copied with probability 1 / (1 + exp(−strength × (its mean reward − one's
    own))), and in any case by who starved. mutation: chance of each number in each step to change; step: standard deviation of a
    change.
    """

    imitates: ClassVar[bool] = True
    revision: float = 0.1
    strength: float = 5.0
    mutation: float = 0.01
    step: float = 0.5
    preference: float = 0.0
    slope: float = 0.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        for name in ("revision", "mutation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a probability in [0, 1], got {getattr(self, name)}")
        _finite("preference", self.preference)
        _finite("slope", self.slope)
        for name in ("strength", "step", "spread"):
            if not (getattr(self, name) >= 0 and np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")

    def start(self, size: int, signals: int, choices: int) -> Floats:
        return np.tile(np.r_[self.preference, self.slope, np.zeros(signals - 1)], (size, 1))

    def vary(self, strategy: Floats, draws: Draws) -> Floats:
        """How agents differ at first."""
        return strategy + self.spread * np.stack([_normal(draws(f"vary {g}")) for g in range(strategy.shape[1])], axis=1)

    def scores(self, strategy: Floats, signals: Floats, choices: int) -> Floats:
        step = strategy[:, 0] + np.einsum("nk,nk->n", strategy[:, 1:], signals)
        return step[:, None] * np.arange(choices)

    def learn(self, strategy: Floats, lesson: Lesson, draws: Draws) -> Floats:
        better = expit(self.strength * (lesson.model_expected - lesson.expected))  # NaN, and so False, without a model
        copies = (draws("revise") < self.revision) & (draws("copy") < better)
        copies |= lesson.starved & ~np.isnan(lesson.model_expected)
        learnt = np.where(copies[:, None], lesson.model, strategy)
        for gene in range(learnt.shape[1] if self.mutation else 0):
            draw = draws(f"mutate {gene}")
            changed = draw < self.mutation
            learnt[changed, gene] += self.step * _normal(draw[changed] / self.mutation)
        return learnt

    def slopes(self, strategy: Floats) -> Floats:
        return strategy[:, 1:].copy()


@dataclass(frozen=True)
class Energy:
    """A budget that each agent lives on: rewards fill it up to `capacity`, each step takes `cost`, and half full is the start.

    Strategies may heed it as they heed valence, by a slope of its own that starts at 0.
    """

    capacity: float = 10.0
    cost: float = 1.0

    def __post_init__(self) -> None:
        _positive("capacity", self.capacity)
        if not (self.cost >= 0 and np.isfinite(self.cost)):
            raise ValueError(f"cost must be at least 0 and finite, got {self.cost}")

    def after(self, energy: Floats, reward: Floats, elapsed: Floats) -> Floats:
        return np.clip(energy + reward - self.cost * elapsed, 0.0, self.capacity)


def fitted_slope(choice: Ints, valence: Floats) -> tuple[float, float]:
    """Slope and its standard error, from m choices (0, 1, …) by agents who felt `valence`, by maximum likelihood.

    The log-odds of each choice against the one before it are preference + slope · valence. Of agents that differ it is the slope
    of the crowd, flatter than the mean of theirs (Neuhaus et al. 1991). NaN where no maximum exists: all chose alike, none
    differs in valence, or valence parts the choices. Source: Agresti 2010 (adjacent categories).
    """
    nothing = (float("nan"), float("nan"))
    if len(choice) < 3 or np.ptp(choice) == 0 or np.ptp(valence) == 0:
        return nothing
    design, rank = np.stack([np.ones(len(choice)), valence]), np.arange(choice.max() + 1)
    told, found = design @ choice, np.zeros(2)
    for _ in range(50):
        odds = (found @ design)[:, None] * rank
        chance = np.exp(odds - odds.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        mean = chance @ rank
        information = (design * (chance @ rank**2 - mean**2)) @ design.T
        if np.linalg.det(information) < 1e-9 * len(choice):
            return nothing
        move = np.linalg.solve(information, told - design @ mean)
        found += np.clip(move, -2, 2)
        if np.abs(move).max() < 1e-9:
            return float(found[1]), float(np.sqrt(np.linalg.inv(information)[1, 1]))
    return nothing


def _normal(draw: Floats) -> Floats:
    """Standard normal deviates from draws in [0, 1)."""
    normal: Floats = ndtri(np.maximum(draw, 2.0**-54))
    return normal


def _finite(name: str, value: float) -> None:
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def _positive(name: str, value: float) -> None:
    if not (value > 0 and np.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, got {value}")
