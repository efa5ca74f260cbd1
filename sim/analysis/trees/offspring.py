"""How many cases a case causes: the negative-binomial distribution of secondary cases, by likelihood, and what follows from it.

Sources of cases are uncertain, so every count comes from sampled trees; likelihoods are averaged over them, each tree scaled to
its own best. Source of the distribution and its meaning: Lloyd-Smith et al. 2005.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.sim.analysis.estimate import Estimate, unknown

Floats = NDArray[np.float64]

MINIMUM_COUNTS = 20
"""Fewer followed cases than this give no dispersion k: simulated counts of 10 cases bound it in neither direction."""

MEANS = (1e-6, 1e4)
DISPERSIONS = (0.01, 1e4)
"""The mean and the dispersion k are sought in these ranges; from 10,000 on, nothing is told from a Poisson distribution."""

TOLD = 0.8
METHOD = "negative-binomial likelihood"


@dataclass(frozen=True)
class Counts:
    """Secondary cases of n cases in S trees. value: (U,), the counts there are, ascending. cases: (S, U), how many had each."""

    value: Floats
    cases: Floats

    @classmethod
    def of(cls, counts: ArrayLike) -> Counts:
        """From the secondary cases of each case: (n,) or, of S trees, (S, n). ValueError: negative, or none at all."""
        table = np.atleast_2d(np.asarray(counts, dtype=np.float64))
        if not table.size or not np.all(table >= 0):
            raise ValueError("secondary cases must be one or more non-negative counts")
        value, code = np.unique(table, return_inverse=True)
        trees, offset = len(table), np.arange(len(table))[:, None] * len(value)
        cases = np.bincount((code.reshape(table.shape) + offset).ravel(), minlength=trees * len(value))
        return cls(value, cases.reshape(trees, len(value)).astype(np.float64))

    @property
    def n(self) -> int:
        return int(self.cases[0].sum())

    @property
    def mean(self) -> float:
        return float((self.cases @ self.value).mean()) / self.n

    def log_likelihood(self, mean: Floats, k: Floats) -> Floats:
        """Of each tree at each mean (A,) and dispersion (B,), (S, A, B)."""
        from scipy.special import gammaln

        total, spread = self.cases @ self.value, mean[:, None] / k
        constant = gammaln(self.value[:, None] + k) - gammaln(k) - gammaln(self.value + 1)[:, None]
        # log(R / (k + R)) as −log(1 + k/R) keeps its digits for large k.
        rare = -np.log1p(1 / spread)
        shared = (self.cases @ constant)[:, None, :] - self.n * k * np.log1p(spread)
        return np.asarray(shared + total[:, None, None] * rare)


@dataclass(frozen=True)
class Surface:
    """How well means (A,) and dispersions k (B,) agree with counts. deviance: (A, B), twice the log-likelihood below its top."""

    mean: Floats
    k: Floats
    deviance: Floats

    @property
    def likeliest(self) -> float:
        """The likeliest k: where a parabola through the best three of the grid is lowest."""
        profile, at = self.deviance.min(axis=0), np.log(self.k)
        b = int(profile.argmin())
        if not 0 < b < len(at) - 1:
            return float(self.k[b])
        before, here, after = profile[b - 1 : b + 2]
        return math.exp(at[b] + (at[b + 1] - at[b]) * (before - after) / (2 * (before - 2 * here + after)))

    def means(self, limit: float) -> tuple[float, float]:
        """The interval of the mean whose profile deviance is at most `limit`; 0 and infinity where that end is open."""
        return _crossings(self.mean, self.deviance.min(axis=1), limit)

    def dispersions(self, limit: float) -> tuple[float, float]:
        return _crossings(self.k, self.deviance.min(axis=0), limit)

    def spans(self, values: Floats, limit: float) -> tuple[float, float]:
        """The least and the greatest of what follows from mean and k, values (A, B), over all that agree with the counts."""
        held = values[self.deviance <= limit]
        return float(held.min()), float(held.max())


def surface(counts: Counts, dispersions: tuple[float, float] = DISPERSIONS, points: int = 61, drop: float = 6.0) -> Surface:
    """The part of the likelihood within `drop` log units of its top, on a grid of `points` × `points`, drawn ever closer."""
    ends = np.log([MEANS, dispersions])
    for grid in (*[31] * 6, points):
        mean, k = (np.exp(np.linspace(low, high, grid)) for low, high in ends)
        each = counts.log_likelihood(mean, k)
        together = np.log(np.mean(np.exp(each - each.max(axis=(1, 2), keepdims=True)), axis=0) + 1e-300)
        below = together.max() - together
        kept = [np.flatnonzero((below <= drop).any(axis=axis)) for axis in (1, 0)]
        closer = np.array(
            [np.log(values[[max(at[0] - 1, 0), min(at[-1] + 1, grid - 1)]]) for values, at in zip((mean, k), kept, strict=True)]
        )
        if grid == points:
            break
        ends = closer
    return Surface(mean, k, 2 * below)


def _crossings(grid: Floats, deviance: Floats, limit: float) -> tuple[float, float]:
    """Where the square root of a profile, which is nearly straight, crosses that of the limit; 0 or infinity where not."""
    at, root, z = np.log(grid), np.sqrt(deviance), math.sqrt(limit)
    held = np.flatnonzero(deviance <= limit)
    low, high = int(held[0]), int(held[-1])

    def between(inside: int, outside: int) -> float:
        part = (z - root[inside]) / (root[outside] - root[inside])
        return math.exp(at[inside] + part * (at[outside] - at[inside]))

    return between(low, low - 1) if low else 0.0, between(high, high + 1) if high + 1 < len(grid) else math.inf


def student_limit(n: int, level: float = 0.95) -> float:
    """The deviance that bounds an interval from n counts: Student's t, squared, as the normal quantile is too short for few."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2)) ** 2


def normal_limit(level: float = 0.95) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2)) ** 2


@dataclass(frozen=True)
class Offspring:
    """The distribution of secondary cases, and what follows. mean, k: of the negative binomial.

    extinction: chance that the chains from one case die out. few: the share of cases that cause 80% of all secondary cases.
    seen: secondary cases → share of cases that caused so many, mean over trees. fitted: the same by the likeliest mean and k.
    """

    mean: Estimate
    k: Estimate
    extinction: Estimate
    few: Estimate
    seen: dict[int, float]
    fitted: dict[int, float]


def offspring(counts: Counts) -> Offspring:
    """The offspring distribution of followed cases, with 95% intervals. Few counts, or none that caused a case, say so.

    Means and k run together through the intervals of extinction and of the few: their least and greatest over all pairs that
    agree with the counts.
    """
    n, caused = counts.n, float((counts.cases @ counts.value).mean())
    seen = {int(v): float(c) for v, c in zip(counts.value, counts.cases.mean(axis=0) / n, strict=True)}
    if n < MINIMUM_COUNTS or caused < 1:
        why = (
            f"{n} {'case' if n == 1 else 'cases'}: too few for k, {MINIMUM_COUNTS} are needed"
            if n < MINIMUM_COUNTS
            else f"none of {n} cases caused another"
        )
        nothing = unknown(why, n, METHOD)
        return Offspring(nothing, nothing, nothing, nothing, seen, {})
    found, student = surface(counts), student_limit(n)
    r, k = counts.mean, found.likeliest

    def follows(of: Callable[[Floats, Floats], Floats]) -> Estimate:
        low, high = found.spans(of(found.mean[:, None], found.k), student)
        value = float(of(np.array([[r]]), np.array([k]))[0, 0])
        return Estimate(value, min(low, value), max(high, value), METHOD, n)

    fitted = np.diff(_at_most(np.arange(counts.value[-1] + 1), np.array(r), np.array(k)), prepend=0.0)
    low, high = found.means(student)
    unbounded = unknown(f"{n} cases do not bound it: {r:.2g} seen, at least {low:.2g}", n, METHOD)
    return Offspring(
        Estimate(r, low, high, METHOD, n) if math.isfinite(high) else unbounded,
        dispersion(found, n),
        follows(extinction),
        follows(responsible),
        seen,
        dict(enumerate(fitted.tolist())),
    )


def dispersion(found: Surface, n: int) -> Estimate:
    """k with its interval; where that is open upwards, a statement of what k is not."""
    low, high = found.dispersions(normal_limit())
    if math.isinf(high):
        least = f"k > {low:.2g}: " if low else ""
        return unknown(f"{least}not told from Poisson by {n} cases", n, METHOD)
    return Estimate(found.likeliest, low, high, METHOD, n)


def extinction(mean: Floats, k: Floats) -> Floats:
    """Chance that all chains from one case die out, for arrays that broadcast: the smallest q with q = (1 + R (1 − q)/k)^−k."""
    mean, k = np.broadcast_arrays(mean, k)
    q: Floats = np.zeros(mean.shape)
    # Newton's method from 0 never overshoots, see `theory.outcomes.smallest_fixed_point`; near R = 1 it is slowest.
    for _ in range(60):
        g = np.exp(-k * np.log1p(mean * (1 - q) / k))
        margin = 1 - mean * g / (1 + mean * (1 - q) / k)
        q = np.minimum(q + np.where(margin > 1e-12, (g - q) / np.maximum(margin, 1e-12), 0.0), 1.0)
    return np.asarray(np.where(mean <= 1, 1.0, q))


def responsible(mean: Floats, k: Floats, share: float = TOLD) -> Floats:
    """Share of cases that cause `share` of all secondary cases, most infectious first. Source: Endo et al. 2020.

    Cases that cause x or fewer hold P(X ≤ x − 1) of all secondary cases, X negative-binomial with k + 1 and the same odds.
    """
    x = _least(1 - share, mean, k) + 1
    above, upto = _at_most(x - 2, mean, k, 1), _at_most(x - 1, mean, k, 1)
    rest = (upto - (1 - share)) / (upto - above)
    return np.asarray(1 - _at_most(x, mean, k) + rest * (_at_most(x, mean, k) - _at_most(x - 1, mean, k)))


def _at_most(x: Floats, mean: Floats, k: Floats, more: int = 0) -> Floats:
    """P(X ≤ x), X negative-binomial with dispersion k + `more` and the odds of mean and k; 0 below 0."""
    from scipy.special import betainc

    return np.where(x < 0, 0.0, betainc(k + more, np.maximum(x, 0) + 1, k / (k + mean)))


def _least(p: float, mean: Floats, k: Floats) -> Floats:
    """The smallest x ≥ 0 with P(X ≤ x) ≥ p, X of dispersion k + 1, by halving."""
    mean, k = np.broadcast_arrays(mean, k)
    low: Floats = np.full(mean.shape, -1.0)
    high: Floats = np.full(mean.shape, 1.0)
    while np.any(short := _at_most(high, mean, k, 1) < p):
        high = np.where(short, 2 * high + 1, high)
    for _ in range(math.ceil(math.log2(float(high.max()) + 2))):
        middle = np.floor((low + high) / 2)
        enough = (_at_most(middle, mean, k, 1) >= p) & (middle > low)
        low, high = np.where(enough | (middle <= low), low, middle), np.where(enough, middle, high)
    return high
