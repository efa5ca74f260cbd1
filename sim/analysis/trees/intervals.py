"""Steps from a case to the cases it causes: generation intervals (infection to infection), serial intervals (onset to onset).

Both are fitted forwards, from source to target. A target that would have come after the last step cannot be seen, and a growing
epidemic has most sources near its end, so that plain means are short; here each interval counts against the chance of one no
longer than could be seen from its source. That corrects for the end of the run and for growth, not for susceptible agents running
out, which makes intervals shorter. Sources: Cowling et al. 2009 (truncated fit), Park et al. 2021 (forward, backward intervals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.trees.forest import Sampled, sample
from contagium.sim.analysis.trees.tree import Chains

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINIMUM_INTERVALS = 10
MINIMUM_SOURCES = 5
"""Fewer intervals, or intervals from fewer sources, give no estimate."""

ENOUGH = 200
FOLLOWED = 0.99
"""Only intervals whose sources could be followed long enough to see `FOLLOWED` of all are fitted, but the `ENOUGH` best followed
in any case: what the law looks like beyond what was seen is then hardly ever taken on trust."""

LONGEST = 10_000
"""Steps after which a law that has fled to infinity is cut off."""

VAGUE = 3.0
"""An interval that reaches from 1/e³ to e³ times its value is no estimate."""

METHOD = "right-truncated gamma in whole steps, errors by source over sampled trees"


@dataclass(frozen=True)
class Intervals:
    """Intervals between linked cases. mean, sd: of the law, in steps. observed: the plain mean of those seen, biased short.

    shape, scale: of the gamma law whose time, rounded up to whole steps, an interval is; None where it could not be fitted.
    seen: (D,), share of those seen that took d steps. weights: (K,), chance of d steps by the fitted law; None without.
    """

    mean: Estimate
    sd: Estimate
    observed: float | None
    shape: float | None
    scale: float | None
    seen: Floats
    weights: Floats | None


def intervals(found: Chains, last: int, sampled: Sampled | None = None) -> Intervals:
    """The law of the intervals between sources and targets, with 95% intervals. last: the last step done."""
    steps, room, source = _spans(found, last)
    share = found.links["probability"].to_numpy(np.float64)
    return fit(steps, room, source, share, (sampled or sample(found)).link)


def interval_weights(found: Intervals) -> Floats:
    """Weights (K,) for `spread.renewal`: w[0] is 0, w[d] the chance of d steps; the longest 0.01% are left out.

    Where all intervals that were seen took equally long, so do these. ValueError: too few intervals for any law.
    """
    if found.weights is None:
        raise ValueError(f"no law of intervals: {found.mean.reason}")
    return found.weights


def _spans(found: Chains, last: int) -> tuple[Integers, Integers, Integers]:
    """Of every link: its steps, the most that could be seen, and its source's place.

    Index cases are seeded at the end of step −1 and speak first in step 0, from which their intervals count like those of others,
    unless one of them caused a case in step 0.
    """
    onset = found.cases["onset"].to_numpy(np.int64)
    source, target = found.ends
    begun = np.where(found.cases["index"], min(0, int(onset[target].min(initial=1)) - 1), onset)
    return onset[target] - begun[source], last - begun[source], source


def fit(steps: Integers, room: Integers, source: Integers, share: Floats, drawn: NDArray[np.integer]) -> Intervals:
    """Fit of intervals `steps` (m,) ≥ 1, of which no more than `room` (m,) could be seen.

    source: (m,), who caused them, for intervals of one source are alike. share: (m,), the probability of each. drawn: (S, n),
    those of the m that are in each sampled tree, −1 for none.
    """
    n, sources = float(share.sum()), len(np.unique(source))
    seen = np.bincount(steps, share) / n if n else np.zeros(1)
    observed = float(steps @ share) / n if n else None
    if n < MINIMUM_INTERVALS or sources < MINIMUM_SOURCES:
        why = f"{n:.3g} intervals from {sources} sources: too few, {MINIMUM_INTERVALS} from {MINIMUM_SOURCES} are needed"
        nothing = unknown(why, round(n), METHOD)
        return Intervals(nothing, nothing, observed, None, None, seen, None)
    if np.count_nonzero(seen) == 1:
        nothing = unknown(f"all {n:.3g} intervals took {np.argmax(seen)}: they do not vary", round(n), METHOD)
        return Intervals(nothing, nothing, observed, None, None, seen, seen)
    theta, kept = _staged(steps, room, share)
    drawn = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)[drawn]
    steps, room, source, share = steps[kept], room[kept], source[kept], share[kept]
    covariance, clusters = _covariance(theta, steps, room, source, share, drawn)
    n = float(share.sum())
    mean, sd = (_estimate(theta, covariance, clusters, which, round(n)) for which in (0, 1))
    shape, scale = _gamma(theta)
    return Intervals(mean, sd, observed, shape, scale, seen, _weights(shape, scale))


def _staged(steps: Integers, room: Integers, share: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The fit, and the intervals (m,) it rests on: first those followed best, then all followed long enough by that law."""
    longest = np.argsort(-room, kind="stable")
    held = np.searchsorted(share[longest].cumsum(), ENOUGH)
    kept = room >= room[longest[min(int(held), len(room) - 1)]]
    theta = _likeliest(steps[kept], room[kept], share[kept])
    wider = kept | (room >= _quantile(*_gamma(theta), FOLLOWED))
    if wider.sum() > kept.sum():
        theta = _likeliest(steps[wider], room[wider], share[wider], theta)
    return theta, wider


def _quantile(shape: float, scale: float, p: float) -> int:
    from scipy.special import gammaincinv

    return min(math.ceil(float(gammaincinv(shape, p)) * scale), LONGEST)


def _weights(shape: float, scale: float) -> Floats:
    weights = np.diff(_below(shape, scale, _quantile(shape, scale, 0.9999)), prepend=0.0)
    return np.asarray(weights / weights.sum())


def _below(shape: float, scale: float, length: int) -> Floats:
    """P(at most d steps) for d = 0 to `length`."""
    from scipy.special import gammainc

    return np.asarray(gammainc(shape, np.arange(length + 1) / scale))


def _gamma(theta: Floats) -> tuple[float, float]:
    """Shape and scale from the logarithms of mean and of variation (sd / mean) of the gamma time."""
    mean, variation = math.exp(theta[0]), math.exp(theta[1])
    return variation**-2, mean * variation**2


def _tables(theta: Floats, longest: int) -> tuple[Floats, Floats]:
    """log P(d steps) and log P(at most d steps) for d = 0 to `longest`; at d = 0, which never occurs, they mean nothing."""
    below = _below(*_gamma(theta), longest)
    exact = np.diff(below, prepend=0.0)
    return np.log(np.maximum(exact, 1e-300)), np.log(np.maximum(below, 1e-300))


def _likeliest(steps: Integers, room: Integers, share: Floats, start: Floats | None = None) -> Floats:
    """Logarithms of mean and variation of the gamma time that make the intervals likeliest, within wide bounds."""
    from scipy.optimize import minimize

    longest = int(room.max())
    took, could = (np.bincount(column, share, longest + 1) for column in (steps, room))

    def surprise(theta: Floats) -> float:
        exact, below = _tables(theta, longest)
        return float(could[1:] @ below[1:] - took[1:] @ exact[1:]) / len(steps)

    mean = float(took @ np.arange(longest + 1)) / float(share.sum())
    # Variation above 3, or a mean of many times what could be seen, is what a law without a bound would flee to.
    bounds = ((math.log(0.05), math.log(10 * longest)), (math.log(0.02), math.log(3.0)))
    first = [math.log(max(mean - 0.5, 0.3)), math.log(0.7)] if start is None else start
    return np.asarray(minimize(surprise, first, method="Nelder-Mead", bounds=bounds).x)


def _covariance(
    theta: Floats, steps: Integers, room: Integers, source: Integers, share: Floats, drawn: NDArray[np.integer]
) -> tuple[Floats, int]:
    """Of the fitted logarithms, (2, 2), and how many sources it rests on, by the sandwich rule with sources as clusters.

    Within a sampled tree the scores of a source are summed; the mean over trees is that of an estimate from one tree, and
    somewhat too wide for this one, which rests on all candidates by their probabilities.
    """
    longest, small = int(room.max()), 1e-3

    def scores(at: Floats) -> Floats:
        """How log P(steps | room) of each interval moves with both parameters, by central differences: (2, m)."""
        rows = []
        for axis in small * np.eye(2):
            (exact, below), (exact_down, below_down) = _tables(at + axis, longest), _tables(at - axis, longest)
            rows.append((exact - exact_down)[steps] - (below - below_down)[room])
        return np.array(rows) / (2 * small)

    slope = scores(theta)
    bread = np.array([(scores(theta + axis) - scores(theta - axis)) @ share for axis in small * np.eye(2)]) / (2 * small)
    inverse = np.linalg.pinv(-(bread + bread.T) / 2)
    within, clusters = np.zeros((2, 2)), []
    ids, cluster = np.unique(source, return_inverse=True)
    for tree in (one[one >= 0] for one in drawn):
        summed = np.array([np.bincount(cluster[tree], row[tree], len(ids)) for row in slope])
        many = np.count_nonzero(np.bincount(cluster[tree], minlength=len(ids)))
        clusters.append(many)
        within += summed @ summed.T * many / max(many - 1, 1) / len(drawn)
    return np.asarray(inverse @ within @ inverse), round(float(np.mean(clusters)))


def _estimate(theta: Floats, covariance: Floats, clusters: int, which: int, n: int) -> Estimate:
    """Mean or standard deviation of the interval in steps, its interval symmetric in logarithms (delta method)."""
    from scipy.special import stdtrit

    def of(at: Floats) -> float:
        return math.log(_moments(*_gamma(at))[which])

    slope = np.array([of(theta + axis) - of(theta - axis) for axis in 1e-3 * np.eye(2)]) / 2e-3
    half = float(stdtrit(max(clusters - 1, 1), 0.975)) * math.sqrt(max(float(slope @ covariance @ slope), 0.0))
    value = of(theta)
    if half > VAGUE:
        return unknown(f"{n} intervals do not bound it: they may well take longer than the run", n, METHOD)
    return Estimate(math.exp(value), math.exp(value - half), math.exp(value + half), METHOD, n)


def _moments(shape: float, scale: float) -> tuple[float, float]:
    """Mean and standard deviation of the gamma time rounded up to whole steps."""
    from scipy.special import gammaincc

    d = np.arange(_quantile(shape, scale, 1 - 1e-10) + 1)
    over = gammaincc(shape, d / scale)  # P(more than d steps)
    mean = float(over.sum())
    return mean, math.sqrt(max(float(((2 * d + 1) * over).sum()) - mean**2, 1e-12))
