"""What a change does to the probability of a case: shares, paired differences and which of many of them stand."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, t

from contagium.sim.analysis.estimate import Estimate, unknown

LEVEL = 0.95
FEWEST = 10
"""Replies, or pairs of them, below which no interval is given."""

Signs = NDArray[np.float64]
"""For each sample 1 where the reply shows the sign of a case, 0 where it does not, NaN where there is no reply or no reading."""


def share(signs: Signs, of: str = "replies") -> Estimate:
    """The share of 1 among what is known, with the interval of Wilson 1927. of: what they are, for why there is none."""
    known = signs[~np.isnan(signs)]
    n = len(known)
    if n < FEWEST:
        return unknown(f"{n} {of}: too few, {FEWEST} are needed", n, "Wilson")
    count = int(known.sum())
    low, high = _wilson(count, n)
    return Estimate(count / n, low, high, "Wilson", n)


def difference(first: Signs, second: Signs) -> tuple[Estimate, float | None]:
    """P(sign) of `first` (k,) less that of `second` (k,), sampled in pairs: estimate, and p of no difference.

    Interval: the score interval for paired shares with its continuity-corrected correlation (method 10 of Newcombe 1998,
    Statistics in Medicine 17, 2635). p: exact, of the pairs that differ (McNemar 1947). Pairs without both readings are left out.
    """
    known = ~np.isnan(first) & ~np.isnan(second)
    n = int(known.sum())
    if n < FEWEST:
        return unknown(f"{n} pairs of replies: too few, {FEWEST} are needed", n, "Newcombe, paired"), None
    one, other = first[known] > 0, second[known] > 0
    both, only, lost, none = ((one & other).sum(), (one & ~other).sum(), (~one & other).sum(), (~one & ~other).sum())
    low, high = _newcombe(int(both), int(only), int(lost), int(none))
    p = binomtest(int(only), int(only + lost)).pvalue if only + lost else 1.0
    return Estimate(float(only - lost) / n, low, high, "Newcombe, paired", n), float(p)


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false rejection among them stays below the level (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    rising = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1)) if len(p) else np.empty(0)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(rising, 1.0)
    return [float(one) for one in adjusted]


def mean_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of first − second over replicates in pairs, with Student's interval."""
    apart = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n, method = len(apart), "paired t over replicates"
    if n < 2:
        return unknown(f"{n} replicate{'' if n == 1 else 's'}: no interval, 2 are needed", n, method)
    mean, error = float(apart.mean()), float(apart.std(ddof=1)) / sqrt(n)
    if np.ptp(apart) < 1e-12:
        return Estimate(mean, None, None, method, n, f"the same in all {n} replicates")
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, method, n)


def _wilson(count: int, n: int) -> tuple[float, float]:
    interval = binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def _newcombe(both: int, only: int, lost: int, none: int) -> tuple[float, float]:
    """The interval of a difference between paired shares; pairs in which both, only the first, only the second, none is 1."""
    n = both + only + lost + none
    p1, p2 = (both + only) / n, (both + lost) / n
    (l1, u1), (l2, u2) = _wilson(both + only, n), _wilson(both + lost, n)
    margins = (both + only) * (lost + none) * (both + lost) * (only + none)
    cross = both * none - only * lost
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / sqrt(margins) if margins else 0.0
    down = (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2
    up = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    # Rounding can bring a sum of squares that is 0 just below it.
    return p1 - p2 - sqrt(max(down, 0.0)), p1 - p2 + sqrt(max(up, 0.0))
