"""What a change does to the probability of a case: shares, paired differences and which of many of them stand."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.shares import paired_proportion_difference, proportion

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
    return proportion(known)


def difference(first: Signs, second: Signs) -> tuple[Estimate, float | None]:
    """P(sign) of `first` (k,) less that of `second` (k,), sampled in pairs: estimate, and p of no difference.

    Interval: the score interval for paired shares with its continuity-corrected correlation (method 10 of Newcombe 1998,
    Statistics in Medicine 17, 2635). p: exact, of the pairs that differ (McNemar 1947). Pairs without both readings are left out.
    """
    known = ~np.isnan(first) & ~np.isnan(second)
    n = int(known.sum())
    if n < FEWEST:
        return unknown(f"{n} pairs of replies: too few, {FEWEST} are needed", n, "Newcombe, paired"), None
    from scipy.stats import binomtest  # half a second to import, and a report without replays needs none of it

    one, other = first[known], second[known]
    only, lost = int((one > other).sum()), int((one < other).sum())
    p = float(binomtest(only, only + lost).pvalue) if only + lost else 1.0
    return paired_proportion_difference(one, other), p


def mean_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of first − second over replicates in pairs, with Student's interval."""
    apart = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n, method = len(apart), "paired t over replicates"
    if n < 2:
        return unknown(f"{n} replicate{'' if n == 1 else 's'}: no interval, 2 are needed", n, method)
    mean, error = float(apart.mean()), float(apart.std(ddof=1)) / sqrt(n)
    if np.ptp(apart) < 1e-12:
        return Estimate(mean, None, None, method, n, f"the same in all {n} replicates")
    reach = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return Estimate(mean, mean - reach, mean + reach, method, n)
