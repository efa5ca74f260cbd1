"""Agreement between raters: the usual coefficients on arrays, with intervals by resampling whole clusters of units.

Every coefficient takes `weights`, how often each of the n units counts: (n,) gives one number, (B, n) gives B of them, which is
what a bootstrap needs. A coefficient that is not defined (a rater who always says the same) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Weights (B, n) → a number for each, (B,)."""

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Form = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]

LEVEL = 0.95
RESAMPLES = 999
MINIMUM_UNITS = 10
"""Fewer units rated by all give no number."""

MINIMUM_CLUSTERS = 5
"""Fewer clusters to resample give no number: an interval from them would be far too narrow."""

AT_ONCE = 2_000_000
"""Weights held in memory at one time."""


@dataclass(frozen=True)
class Measured:
    """A number with its 95% interval.

    n: units it rests on. clusters: independent groups of units (agents, replicates). error: standard error, None where the
    interval does not come from one. reason: why there is no number (then all four are None), or why it has no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    error: float | None = None
    reason: str | None = None


def unmeasured(reason: str, n: int = 0, clusters: int = 0) -> Measured:
    return Measured(None, None, None, n, clusters, None, reason)


def measure(
    statistic: Statistic, clusters: NDArray[np.integer], streams: Streams, name: str, least: int = MINIMUM_UNITS
) -> Measured:
    """A statistic of units with its interval by resampling clusters of them (whole agents: their messages are not independent).

    clusters: (n,) the cluster of each unit. name: of the random stream. least: fewer units give no number. Interval: percentiles
    of the bootstrap, widened for few clusters as Student's t widens a normal interval (Hesterberg 2015, "expanded percentile").
    """
    from scipy.special import ndtr, stdtrit

    ids, cluster = np.unique(clusters, return_inverse=True)
    n, groups = len(cluster), len(ids)
    if n < least or groups < MINIMUM_CLUSTERS:
        return unmeasured(f"too few to say: {n} units of {groups} agents", n, groups)
    value = float(statistic(np.ones((1, n)))[0])
    if np.isnan(value):
        return unmeasured("not defined: one side never varies", n, groups)
    drawn = streams.generator(f"bootstrap {name}").multinomial(groups, np.full(groups, 1 / groups), RESAMPLES)
    part = max(1, AT_ONCE // n)
    values = np.concatenate([statistic(drawn[b : b + part, cluster].astype(float)) for b in range(0, RESAMPLES, part)])
    values = values[~np.isnan(values)]
    if len(values) < 0.9 * RESAMPLES:
        return unmeasured("too few to say: in many resamples one side never varies", n, groups)
    if values.min() == values.max():
        return Measured(value, None, None, n, groups, None, "the same whichever agents are drawn")
    tail = float(ndtr(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, (1 - LEVEL) / 2)))
    low, high = np.quantile(values, (tail, 1 - tail))
    return Measured(value, float(low), float(high), n, groups, float(values.std(ddof=1)))


def share(count: int, of: int) -> Measured:
    """`count` out of `of` with Wilson's interval (1927), which takes them as independent."""
    from scipy.special import ndtri

    if not of:
        return unmeasured("nothing to count")
    # The closed form: the library's takes half a second to import, and every run's report needs it.
    value, z2 = count / of, float(ndtri((1 + LEVEL) / 2)) ** 2
    middle, reach = value + z2 / (2 * of), (z2 * (value * (1 - value) + z2 / (4 * of)) / of) ** 0.5
    low, high = ((middle + side * reach) / (1 + z2 / of) for side in (-1, 1))
    return Measured(value, low if count else 0.0, high if count < of else 1.0, of, of)


def _weights(units: int, weights: Floats | None) -> Floats:
    return np.ones(units) if weights is None else weights


def _ratio(above: Floats, below: Floats, least: float = 1e-12) -> Floats:
    """above / below, NaN where below is 0 but for rounding."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > least)


def midranks(values: Floats, weights: Floats | None = None) -> Floats:
    """Ranks of values (n,), ties sharing their middle, where each counts `weights` (..., n) times. Shape of weights."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.flatnonzero(np.diff(place[order], prepend=-1))
    count = np.add.reduceat(_weights(len(values), weights)[..., order], first, axis=-1)
    return (np.cumsum(count, axis=-1) - count / 2)[..., place]


@np.errstate(invalid="ignore")
def pearson(x: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """Correlation of x and y, each (n,) or of the shape of weights (..., n)."""
    w = _weights(x.shape[-1], weights)
    total = w.sum(axis=-1, keepdims=True)
    x = x - (w * x).sum(axis=-1, keepdims=True) / total
    y = y - (w * y).sum(axis=-1, keepdims=True) / total
    scale = np.sqrt((w * x * x).sum(axis=-1) * (w * y * y).sum(axis=-1))
    return _ratio((w * x * y).sum(axis=-1), scale)


def spearman(x: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """Rank correlation of x and y (n,): whether they put the units in one order, whatever their scales (Spearman 1904)."""
    return pearson(midranks(x, weights), midranks(y, weights), weights)


@np.errstate(divide="ignore", invalid="ignore")
def krippendorff_alpha(ratings: Floats, level: Level, weights: Floats | None = None) -> Floats:
    """Krippendorff's alpha of ratings (n, raters), NaN where a rater left a unit out: 1 − observed / expected disagreement.

    Units with fewer than two ratings do not count. Ordinal disagreement is that of mid-ranks, which is Krippendorff's
    difference function written shorter. Nominal and ratio take time in the square of how many different values there are.
    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """
    pairable = (~np.isnan(ratings)).sum(axis=1) >= 2
    ratings, w = ratings[pairable], _weights(len(ratings), weights)[..., pairable]
    if not len(ratings):
        return np.full(w.shape[:-1], np.nan)
    there = ~np.isnan(ratings)
    raters = there.sum(axis=1)
    total = (w * raters).sum(axis=-1)
    if level in ("nominal", "ratio"):
        inner, outer = _categorical(ratings, w, level)
    else:
        values = np.where(there, ratings, 0.0) - np.where(there, np.nanmean(ratings), 0.0)
        if level == "ordinal":
            values = np.zeros((*w.shape, ratings.shape[1]))
            values[..., there] = midranks(ratings[there], np.repeat(w, raters, axis=-1))
        once, twice = values.sum(axis=-1), (values**2).sum(axis=-1)
        inner = 2 * (raters * twice - once**2)
        outer = 2 * (total * (w * twice).sum(axis=-1) - (w * once).sum(axis=-1) ** 2)
    observed = (w * inner / (raters - 1)).sum(axis=-1) / total
    return 1 - _ratio(observed, outer / (total * (total - 1)))


def _categorical(ratings: Floats, weights: Floats, level: Level) -> tuple[Floats, Floats]:
    """Differences summed over pairs of ratings: within each unit, (n,), and of all with all, (...)."""
    values, place = np.unique(ratings[~np.isnan(ratings)], return_inverse=True)
    counts = np.zeros((len(ratings), len(values)))
    np.add.at(counts, (np.nonzero(~np.isnan(ratings))[0], place), 1)
    sums = np.add.outer(values, values)
    ratio = np.divide(np.subtract.outer(values, values), sums, out=np.zeros_like(sums), where=sums != 0) ** 2
    difference = ratio if level == "ratio" else 1.0 - np.eye(len(values))
    marginal = weights @ counts
    return ((counts @ difference) * counts).sum(axis=1), ((marginal @ difference) * marginal).sum(axis=-1)


def weighted_kappa(
    one: NDArray[np.integer],
    other: NDArray[np.integer],
    categories: int,
    kind: Literal["linear", "quadratic"] | None = "quadratic",
    weights: Floats | None = None,
) -> Floats:
    """Cohen's kappa of two raters' categories 0 … categories − 1, each (n,); kind None: plain, of two or more unordered ones.

    In closed form, for all resamples at once, a thousand times as fast as a library's for one table. Sources: Cohen 1960, 1968;
    Fleiss & Cohen 1973.
    """
    w, apart = _weights(len(one), weights), np.subtract.outer(np.arange(categories), np.arange(categories))
    cost = {"linear": np.abs(apart), "quadratic": apart**2, None: apart != 0}[kind].astype(np.float64)
    rows, columns = (w @ np.eye(categories)[ratings] for ratings in (one, other))
    seen, expected = w @ cost[one, other], ((rows @ cost) * columns).sum(axis=-1) / w.sum(axis=-1)
    return 1 - np.divide(seen, expected, out=np.full(seen.shape, np.nan), where=expected > 0)


def mean_squares(ratings: Floats, weights: Floats | None = None) -> tuple[Floats, Floats, Floats, Floats]:
    """Of ratings (n, k) without gaps: mean squares between units, within units, between raters, and of what is left."""
    n, k = _weights(len(ratings), weights).sum(axis=-1), ratings.shape[1]
    w, x = _weights(len(ratings), weights), ratings - ratings.mean()
    unit = x.mean(axis=1)
    grand = w @ unit / n
    within = w @ ((x - unit[:, None]) ** 2).sum(axis=1)
    raters = n * (((w @ x) / n[..., None] - grand[..., None]) ** 2).sum(axis=-1)
    between = k * (w @ unit**2 - n * grand**2) / (n - 1)
    return between, within / (n * (k - 1)), raters / (k - 1), (within - raters) / ((n - 1) * (k - 1))


def icc(ratings: Floats, form: Form = "2,1", weights: Floats | None = None) -> Floats:
    """Intraclass correlation of ratings (n, k), k ≥ 2, without gaps.

    form: "1" raters differ from unit to unit; "2" the same raters, drawn from many, who must agree in level; "3" these raters,
    whose level does not count; ",1" of one rating, ",k" of the mean of k. Source: Shrout & Fleiss 1979.
    """
    n, k = _weights(len(ratings), weights).sum(axis=-1), ratings.shape[1]
    between, within, raters, left = mean_squares(ratings, weights)
    one = form.endswith("1")
    match form[0]:
        case "1":
            return _ratio(between - within, between + (k - 1) * within * one)
        case "2":
            return _ratio(between - left, between + (k - 1) * left * one + (k if one else 1) * (raters - left) / n)
        case _:
            return _ratio(between - left, between + (k - 1) * left * one)


def icc_interval(ratings: Floats, form: Form = "2,1") -> Measured:
    """The intraclass correlation with its interval from F distributions, which takes units as independent and normal.

    Sources: Shrout & Fleiss 1979; McGraw & Wong 1996 (for "2", by Satterthwaite's approximation).
    """
    from scipy.stats import f

    n, k = ratings.shape
    value = float(icc(ratings, form))
    if n < 3 or np.isnan(value):
        return unmeasured(f"too few to say: {n} units" if n < 3 else "not defined: nothing varies", n, n)
    between, within, raters, left = (float(m) for m in mean_squares(ratings))
    q, last = (1 + LEVEL) / 2, n * (k - 1) if form[0] == "1" else (n - 1) * (k - 1)
    if form[0] == "2":
        rho, observed = float(icc(ratings, "2,1")), raters / left if left > 0 else np.inf
        a, b = k * rho * observed, n * (1 + (k - 1) * rho) - k * rho
        v = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2) if np.isfinite(a) else k - 1.0
        rest = k * raters + (k * n - k - n) * left
        over, under = f.ppf(q, n - 1, v), f.ppf(q, v, n - 1)
        low = n * (between - over * left) / (over * rest + n * between)
        high = n * (under * between - left) / (rest + n * under * between)
    else:
        noise = within if form[0] == "1" else left
        observed = between / noise if noise > 0 else np.inf
        bounds = observed / f.ppf(q, n - 1, last), observed * f.ppf(q, last, n - 1)
        low, high = ((r - 1) / (r + k - 1) if np.isfinite(r) else 1.0 for r in bounds)
    if form.endswith("k"):
        low, high = (k * r / (1 + (k - 1) * r) for r in (low, high))
    return Measured(value, float(low), float(high), n, n)


def effective_judges(scores: Floats, weights: Floats | None = None) -> Floats:
    """How many independent judges k judges are worth: k / (1 + (k − 1) φ), φ the mean correlation of pairs, at least 0.

    scores: (n, k), NaN where a judge failed. Of raw scores it is a lower bound, for what judges share may be the truth; of
    their errors (scores less the truth) it is the number itself. NaN where a judge never varies. Source: Kish 1965.
    """
    k, w = scores.shape[1], _weights(len(scores), weights)
    pairs = []
    for i, j in combinations(range(k), 2):
        both = ~np.isnan(scores[:, i]) & ~np.isnan(scores[:, j])
        pairs.append(pearson(scores[both, i], scores[both, j], w[..., both]))
    return k / (1 + (k - 1) * np.maximum(np.mean(pairs, axis=0), 0))


def effective_number(scores: Floats, clusters: NDArray[np.integer], streams: Streams, name: str = "judges") -> Measured:
    """`effective_judges` with its interval; clusters: (n,) whose text each row is."""
    return measure(lambda w: effective_judges(scores, w), clusters, streams, f"effective {name}")


def slope(x: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """What a unit of x (n,) adds to y (n,), by least squares."""
    w = _weights(len(x), weights)
    total = w.sum(axis=-1)
    dx = x - (w @ x / total)[..., None]
    dy = y - (w @ y / total)[..., None]
    return _ratio((w * dx * dy).sum(axis=-1), (w * dx * dx).sum(axis=-1))


def mean(values: Floats, weights: Floats | None = None) -> Floats:
    """The mean of values (n,)."""
    w = _weights(len(values), weights)
    return w @ values / w.sum(axis=-1)
