"""How many replicates it takes to see an outcome halved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np

from contagium.sim.analysis.arms.intervals import NOUGHT, Floats, resampled
from contagium.sim.observer.agreement import share

POWER, LEVEL = 0.8, 0.05
FEWEST_FREEDOM = 4
"""Degrees of freedom of the spread between replicates, under which nothing is advised."""

LEAST, LEAST_PAIRS = 4, 6
"""Runs an arm, and pairs, with which a permutation test can reach the level at all."""

MOST = 100_000


@dataclass(frozen=True)
class Advice:
    """Runs an arm, of pairs the pairs, for 80% power at the 5% level. value: the mean that is to be halved.

    low, high: what the 95% interval of the spread, of an event that of its share, makes of n. high: None above MOST. n, low: None
    where nothing can be advised, and `reason` says why.
    """

    outcome: str
    value: float | None
    n: int | None
    low: int | None
    high: int | None
    paired: bool = False
    reason: str | None = None


def halving(outcome: str, base: Floats, groups: Sequence[Floats], rng: np.random.Generator, paired: bool = False) -> Advice:
    """To see the mean of the baseline's runs (n,) halved, if runs go on varying as much as now.

    groups: those within which spread is taken, the runs of each arm, or for pairs the differences of each arm to the baseline.
    Two-sided t test; range: bootstrap of spread / mean over runs, expanded as for means (`intervals`).
    """
    mean, freedom = float(base.mean()), sum(len(group) - 1 for group in groups)
    # Differences to one baseline are not independent of each other: they tell no more than one arm's worth.
    if (max(len(group) - 1 for group in groups) if paired else freedom) < FEWEST_FREEDOM or len(base) < 2:
        return Advice(outcome, mean, None, None, None, paired, "too few runs to know how much they vary")
    if mean == 0:
        return Advice(outcome, mean, None, None, None, paired, "the mean is 0: there is nothing to halve")
    sd = sqrt(sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom)
    if sd < NOUGHT * abs(mean):
        return Advice(outcome, mean, None, None, None, paired, "all runs alike: their spread is not known")
    means = mean + resampled(base, rng).mean(axis=1)
    squares = sum(resampled(group, rng).var(axis=1) * len(group) for group in groups if len(group) > 1)
    effects = np.abs(means) / 2 / np.sqrt(np.maximum(squares / freedom, (NOUGHT * mean) ** 2))
    small, large = np.quantile(effects, (0.025, 0.975))
    n, low, high = (replicates(effect, paired) for effect in (abs(mean) / 2 / sd, float(large), float(small)))
    return Advice(outcome, mean, n, low, high, paired, None if n else f"more than {MOST:,}")


def replicates(effect: float, paired: bool) -> int | None:
    """The smallest n whose t test has the power, None above MOST. effect: in standard deviations."""
    low, high = LEAST_PAIRS if paired else LEAST, MOST
    if _power(effect, high, paired) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, middle, paired) >= POWER else (middle + 1, high)
    return low


def _power(effect: float, n: int, paired: bool) -> float:
    """Of the t test by the noncentral t distribution; the far tail adds nothing worth counting."""
    from scipy.special import nctdtr, stdtrit

    freedom, shift = (n - 1, effect * sqrt(n)) if paired else (2 * n - 2, effect * sqrt(n / 2))
    if shift > 35:
        return 1.0
    return float(1 - nctdtr(freedom, shift, stdtrit(freedom, 1 - LEVEL / 2)))


def halving_share(outcome: str, happened: int, of: int) -> Advice:
    """To see the share of runs in which something happens halved, by Fisher's exact test (Fleiss, Levin & Paik 2003)."""
    seen = share(happened, of)
    if of < FEWEST_FREEDOM + 1 or seen.value is None:
        return Advice(outcome, seen.value, None, None, None, reason="too few runs to know how often it happens")
    if not happened:
        most = f"it happened in 0 of {of} runs: there is nothing to halve"
        return Advice(outcome, 0.0, None, None, None, reason=most)
    n, low, high = (_events(p) for p in (seen.value, float(seen.high or 1), float(seen.low or 0)))
    return Advice(outcome, seen.value, n, low, high, reason=None if n else f"more than {MOST:,}")


def _events(p: float) -> int | None:
    from scipy.special import ndtri

    if p <= 0:
        return None
    q, middle = p / 2, 0.75 * p
    alpha, beta = float(ndtri(1 - LEVEL / 2)), float(ndtri(POWER))
    plain = (alpha * sqrt(2 * middle * (1 - middle)) + beta * sqrt(p * (1 - p) + q * (1 - q))) ** 2 / (p - q) ** 2
    n = plain / 4 * (1 + sqrt(1 + 4 / (plain * (p - q)))) ** 2 if plain > 0 else inf
    return max(ceil(n), LEAST) if n <= MOST else None
