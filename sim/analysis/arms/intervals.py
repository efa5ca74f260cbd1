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
from contagium.sim.observer.agreement import share

Floats = NDArray[np.float64]

FEWEST, BOOTSTRAPPED = 3, 8
RESAMPLES = 4999

STUDENT, BOOTSTRAP = "Student's t", "bootstrap"
WELCH, NEWCOMBE = "Welch's t", "Newcombe"
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


def proportion(happened: Floats) -> Estimate:
    """The share of replicates (n,) of 0 and 1 in which something happened; Wilson's interval (1927)."""
    found = share(int(happened.sum()), len(happened))
    return Estimate(found.value, found.low, found.high, "Wilson", found.n, None if found.n else "no run has it")


def proportion_difference(happened: Floats, baseline: Floats) -> Estimate:
    """Of shares of replicates (n,) and (m,) of 0 and 1. Interval: Newcombe 1998, his method 10, from Wilson's of both."""
    n = len(happened) + len(baseline)
    if not len(happened) or not len(baseline):
        return unknown("no run has it", n)
    return _square_and_add(happened, baseline, 0.0, n, NEWCOMBE)


def paired_proportion_difference(happened: Floats, baseline: Floats) -> Estimate:
    """As above, pair by pair, both (n,). Interval: Newcombe 1998 ("paired data"), his method 10."""
    n = len(happened)
    if not n:
        return unknown("no run has it", n)
    both, neither = float((happened * baseline).sum()), float(((1 - happened) * (1 - baseline)).sum())
    first, second = float((happened * (1 - baseline)).sum()), float(((1 - happened) * baseline).sum())
    cross = both * neither - first * second
    below = (both + first) * (second + neither) * (both + second) * (first + neither)
    # A positive correlation is taken as a little smaller than seen: continuity correction of the source.
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / np.sqrt(below) if below else 0.0
    return _square_and_add(happened, baseline, float(phi), n, f"{NEWCOMBE} of pairs")


def _square_and_add(first: Floats, second: Floats, phi: float, n: int, method: str) -> Estimate:
    a, b = share(int(first.sum()), len(first)), share(int(second.sum()), len(second))
    # Both have a number: neither is empty.
    p, q = float(a.value or 0), float(b.value or 0)
    down, up = (p - float(a.low or 0), float(b.high or 0) - q), (q - float(b.low or 0), float(a.high or 0) - p)
    reach = [float(np.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))) for x, y in (down, up)]
    return Estimate(p - q, p - q - reach[0], p - q + reach[1], method, n)
