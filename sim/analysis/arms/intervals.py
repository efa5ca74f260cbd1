"""Means of replicates and their differences, with 95% intervals that hold for few, skewed and bimodal ones.

From `BOOTSTRAPPED` replicates on, intervals are percentiles of a bootstrap over replicates, expanded for small samples:
deviations from the mean are drawn enlarged by √(n / (n − 1)), and Student's t says how far out in the tails the percentiles lie
(Hesterberg 2015). With fewer, whose resamples are too alike, they are Student's, of a difference Welch's (1947).
docs/comparing.md says how often either holds the truth, and why not BCa.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.estimate import Estimate, unknown

Floats = NDArray[np.float64]

FEWEST, BOOTSTRAPPED = 3, 8
RESAMPLES = 4999

STUDENT, BOOTSTRAP = "Student's t", "bootstrap"
WELCH = "Welch's t"
ALIKE = "all runs alike: no interval"
NOUGHT = 1e-12
"""A standard error under this is rounding."""


def mean(values: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of replicates (n,)."""
    return _interval([values], rng, STUDENT, BOOTSTRAP)


def difference(values: Floats, baseline: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of replicates (n,) less that of others (m,), independent of them."""
    return _interval([values, baseline], rng, WELCH, BOOTSTRAP)


def paired_difference(values: Floats, baseline: Floats, rng: np.random.Generator) -> Estimate:
    """The mean of values less baseline, pair by pair, both (n,)."""
    return _interval([values - baseline], rng, f"{STUDENT} of pairs", f"{BOOTSTRAP} of pairs")


def _interval(groups: list[Floats], rng: np.random.Generator, few: str, many: str) -> Estimate:
    """The first group's mean less that of the second, where there is one."""
    from scipy.special import ndtr, stdtrit

    sizes, sign = [len(group) for group in groups], (1, -1)
    least, n = min(sizes), sum(sizes)
    if not least:
        return unknown("no run has it", n)
    value = sum(s * float(group.mean()) for s, group in zip(sign, groups, strict=False))
    if least < FEWEST:
        return Estimate(value, None, None, few, n, f"no interval from {least} run{'s' if least > 1 else ''}")
    squares = np.array([group.var(ddof=1) / len(group) for group in groups])
    error = float(np.sqrt(squares.sum()))
    if error < NOUGHT * max(1.0, abs(value)):
        return Estimate(value, None, None, few, n, ALIKE)
    freedom = squares.sum() ** 2 / (squares**2 / (np.array(sizes) - 1)).sum()
    reach = stdtrit(freedom, 0.975)
    if least < BOOTSTRAPPED:
        return Estimate(value, value - reach * error, value + reach * error, few, n)
    drawn = sum(s * (group.mean() + resampled(group, rng).mean(axis=1)) for s, group in zip(sign, groups, strict=False))
    low, high = np.quantile(drawn, (ndtr(-reach), ndtr(reach)))
    return Estimate(value, float(low), float(high), many, n)


def resampled(values: Floats, rng: np.random.Generator) -> Floats:
    """Resamples of the deviations of values (n,) from their mean, (RESAMPLES, n).

    Deviations are enlarged, so that the variance of the resamples' means is the unbiased one of the mean.
    """
    n = len(values)
    away: Floats = (values - values.mean()) * np.sqrt(n / (n - 1))
    return away[rng.integers(n, size=(RESAMPLES, n))]
