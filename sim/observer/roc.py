"""How well a reading tells what it is meant to find from what it is not, and where to draw the line.

All on arrays; readings that failed are NaN. docs/validation.md explains what these numbers say of the instruments.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from contagium.sim.observer.agreement import LEVEL, Measured, share

Floats = NDArray[np.float64]
Readings = NDArray[np.floating]

STEP = 1000
"""Thresholds are given in steps of 1/1000: finer than any set here can tell, and short to write down."""


class CalibrationError(ValueError):
    """A set that nothing can be calibrated on; one line that says why."""


@dataclass(frozen=True)
class Curve:
    """How many are found and how many falsely called at each threshold, from the highest down, all shape (k,).

    threshold: begins at infinity, where nothing is called. found: share of positives that reach it; called: of negatives.
    """

    threshold: Floats
    found: Floats
    called: Floats


@dataclass(frozen=True)
class Threshold:
    """The lowest threshold that at most a share `wanted` of negatives reaches, and the share that does."""

    value: float
    wanted: float
    count: int
    reached: Measured


@dataclass(frozen=True)
class Marks:
    """What a threshold does on labelled readings, with Wilson's intervals. false_positive: share of negatives called."""

    precision: Measured
    recall: Measured
    false_positive: Measured


def roc(scores: Readings, labels: NDArray[np.bool_]) -> Curve:
    """The receiver operating characteristic of readings (n,), NaN left out. labels: (n,), where what is sought is present."""
    good = np.isfinite(scores)
    scores, labels = _both(scores[good], labels[good])
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]  # equal readings are called together
    hits = np.cumsum(labels[order])[last]
    threshold = np.r_[np.inf, scores[order][last]]
    return Curve(threshold, np.r_[0.0, hits / labels.sum()], np.r_[0.0, (last + 1 - hits) / (~labels).sum()])


def area(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """The chance that a positive score lies above a negative one, a tie counting half; NaN where there are none of a kind.

    Source: Mann & Whitney 1947; Hanley & McNeil 1982.
    """
    m, n = len(positive), len(negative)
    if not m or not n:
        return float("nan")
    above = _ranks(np.concatenate([positive, negative]))[:m].sum() - m * (m + 1) / 2
    return float(above / (m * n))


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    import pandas as pd  # loaded by then; the library's own takes half a second to import

    return pd.Series(values).rank().to_numpy()


def auc(scores: Readings, labels: NDArray[np.bool_]) -> Measured:
    """The chance that a positive reads above a negative, ties half, NaN left out, with a 95% interval.

    Interval: variance of DeLong et al. (1988), by midranks, normal on the logit (so it stays between 0 and 1). Where the two
    overlap nowhere that variance is 0; then the score interval of Newcombe (2006, method 5).
    """
    good = np.isfinite(scores)
    scores, labels = _both(scores[good], labels[good])
    positive, negative = scores[labels], scores[~labels]
    m, n = len(positive), len(negative)
    ranks = _ranks(scores)
    above = (ranks[labels] - _ranks(positive)) / n  # share of negatives below each positive
    below = 1 - (ranks[~labels] - _ranks(negative)) / m
    value = float(above.mean())
    z = float(ndtri((1 + LEVEL) / 2))
    error = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)) if min(m, n) > 1 else float("nan")
    if not 0 < value < 1:
        return Measured(value, *_separated(value, m, n, z), m + n, m + n)
    if not error > 0:
        return Measured(value, None, None, m + n, m + n, None, "too few for an interval")
    middle, reach = log(value / (1 - value)), z * error / (value * (1 - value))
    return Measured(value, float(expit(middle - reach)), float(expit(middle + reach)), m + n, m + n, error)


def threshold_at(negatives: Readings, rate: float) -> Threshold:
    """Where at most a share `rate` of readings (n,) of what is absent lies, in steps of 0.001 and above 0."""
    if not 0 < rate < 1:
        raise CalibrationError(f"a rate of false positives must be above 0 and below 1, got {rate:g}")
    known = np.sort(negatives[np.isfinite(negatives)])[::-1]
    if not len(known):
        raise CalibrationError("a threshold needs readings of what is absent, got none")
    highest = float(known[floor(rate * len(known) + 1e-9)])  # the first that must stay below
    value = max((floor(highest * STEP + 1e-3) + 1) / STEP, 1 / STEP)
    count = int((known >= value).sum())
    return Threshold(value, rate, count, share(count, len(known)))


def marks(scores: Readings, labels: NDArray[np.bool_], enter: float) -> Marks:
    """Precision, recall and false positives at a threshold, with failed readings left out."""
    good = np.isfinite(scores)
    labels, called = labels[good], scores[good] >= enter
    hits = int((called & labels).sum())
    return Marks(
        share(hits, int(called.sum())), share(hits, int(labels.sum())), share(int((called & ~labels).sum()), int((~labels).sum()))
    )


def _both(scores: Readings, labels: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """The same, if both kinds are there."""
    if labels.all() or not labels.any():
        raise CalibrationError(f"needs readings of both kinds, got {int(labels.sum())} with and {int((~labels).sum())} without")
    return scores.astype(np.float64), labels.astype(bool)


def _separated(value: float, m: int, n: int, z: float) -> tuple[float, float]:
    """The score interval of an area of 0 or 1: all areas that are not refused, with Hanley and McNeil's variance (1982)."""
    more = (m + n) / 2 - 1

    def refused(area: float) -> float:
        spread = area * (1 - area) / (m * n) * (1 + more * ((1 - area) / (2 - area) + area / (1 + area)))
        return (value - area) ** 2 - z * z * spread

    end: float = brentq(refused, 1e-12, 1 - 1e-9) if value else brentq(refused, 1e-9, 1 - 1e-12)
    return (end, 1.0) if value else (0.0, end)
