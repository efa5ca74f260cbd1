"""Effective R over the steps of a run, by three estimators, each with an interval and with what it cannot say.

Index cases are left out, for they are often made to shed steadily. What they caused comes from outside, as spontaneous cases do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.spread.growth import MINIMUM_LINKS, student
from contagium.sim.analysis.spread.infectivity import Cases, Infectivity
from contagium.sim.analysis.spread.renewal import (
    cohort_reproduction,
    infectiousness,
    instantaneous_reproduction,
    sliding_windows,
)
from contagium.sim.analysis.tables import Reason, Table, counted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINIMUM_WINDOW = 5
"""Windows in which fewer cases are expected at R = 1 (or fewer are followed) give no value."""

FOLLOWED = 0.95
"""A cohort counts when this part of its serial intervals lies before the end of the run."""

SHOWN = 8
"""Rows in the table, evenly over the run."""


@dataclass(frozen=True)
class OverTime:
    """R in windows of steps first to last, both included, all (m,). value, low, high: NaN where there is too little to say.

    cases: cases it rests on. followed: the part of their serial intervals that lies before the end of the run.
    """

    first: Ints
    last: Ints
    value: Floats
    low: Floats
    high: Floats
    cases: Floats
    followed: Floats


@dataclass(frozen=True)
class Effective:
    """instantaneous: what cases would cause if the window's conditions lasted. cohort, tree: what cases of the window did cause.

    cohort: from new cases and intervals alone; tree: from the links. width: of the windows, in steps. mean: of the intervals, in
    steps. scatter: of new cases, in Poisson variances. reason: why there is nothing; then all others are None.
    """

    instantaneous: OverTime | None
    cohort: OverTime | None
    tree: OverTime | None
    width: int | None
    mean: float | None
    scatter: float | None
    reason: str | None = None


def effective(cases: Cases, weights: Floats | None = None, width: int | None = None) -> Effective:
    """R over time. weights: (K,), chance of a serial interval of k steps, w[0] = 0; default those of the cases' own life table.

    These are intervals as if nobody ran out of susceptible contacts, as the renewal equation needs them: those that are seen
    in an epidemic that saturates are shorter. width: of the windows, default the mean interval, rounded up, but 3 steps at the
    least and half of all at the most.
    """
    steps = cases.last + 1
    if steps < 4 or cases.caused.sum() < MINIMUM_LINKS:
        count = counted(round(cases.caused.sum()), "case")
        few = f"{count} that others than index cases caused, in {counted(steps, 'step')}: too few to say"
        return Effective(None, None, None, None, None, None, few)
    if weights is None:
        own = Infectivity(cases, cases.last)
        weights = own.value / own.total
    mean = float(weights @ np.arange(len(weights))) / float(weights.sum())
    width = min(max(3, math.ceil(mean)), steps // 2) if width is None else width
    windows = sliding_windows(steps, width)
    reach = np.cumsum(weights) / weights.sum()
    scatter = _scatter(cases, weights, cases.last - int(np.searchsorted(reach, FOLLOWED)))
    before = np.minimum(cases.last - windows[:, 1], len(reach) - 1)
    followed = np.asarray(reach[before], dtype=np.float64)
    parts = (
        _instantaneous(cases, weights, windows, scatter),
        _cohort(cases, weights, windows, followed, scatter),
        _tree(cases, windows, followed),
    )
    return Effective(*parts, width, mean, scatter)


def _scatter(cases: Cases, weights: Floats, followed: int) -> float:
    """Variance of new cases in Poisson variances, 1 or more: as counts scatter around their neighbours, or as sources differ.

    followed: the last step whose cases could be followed. Sources that cause many make the cases of several steps rise together,
    which neighbouring counts do not show; unsure links hide how sources differ. So the larger of the two counts.
    """
    expected, caused = (np.convolve(x, np.ones(3), mode="same") for x in (infectiousness(cases.new, weights), cases.caused))
    due = infectiousness(cases.new, weights)
    part = np.divide(due, expected, out=np.zeros_like(due), where=expected > 0)
    fit = part * caused
    told = (fit >= 1) & (part < 0.9)
    residual = (cases.caused - fit)[told] ** 2 / (fit * (1 - part))[told]
    counts = float(residual.mean()) if len(residual) >= MINIMUM_WINDOW else 1.0
    sources = [_moments(cases, column)[: followed + 1].sum() for column in range(3)]
    many, first, second = sources
    between = (second / many - (first / many) ** 2) / (first / many) if many >= MINIMUM_WINDOW and first else 1.0
    return max(1.0, counts, float(between))


def _moments(cases: Cases, which: int) -> Floats:
    """By step of onset, index cases left out, (T,): cases; what they caused; its square, with the variance of unsure links."""
    n, p, new = len(cases.onset), cases.probability, ~cases.index
    caused = np.bincount(cases.source, p, minlength=n)
    columns = (np.ones(n), caused, caused**2 + np.bincount(cases.source, p * (1 - p), minlength=n))
    return np.bincount(cases.onset[new], columns[which][new], minlength=cases.last + 1).astype(np.float64)


def _instantaneous(cases: Cases, weights: Floats, windows: Ints, scatter: float) -> OverTime:
    found = instantaneous_reproduction(cases.new, weights, windows, local=cases.caused, scatter=scatter)
    enough = found.expected >= MINIMUM_WINDOW
    value, low, high = (np.where(enough, part, np.nan) for part in (found.mean, found.low, found.high))
    return OverTime(found.first, found.last, value, low, high, found.cases, np.ones(len(windows)))


def _cohort(cases: Cases, weights: Floats, windows: Ints, followed: Floats, scatter: float) -> OverTime:
    """Likely sources share each case (Wallinga & Teunis 2004); interval: of a Poisson count as large as theirs, scattered."""
    from scipy.special import gammaincinv

    found = cohort_reproduction(cases.new, weights, local=cases.caused)
    new, secondary = cases.new.astype(np.float64), np.nan_to_num(found.value) * cases.new
    many, caused = (_summed(column, windows) for column in (new, secondary))
    enough = (many >= MINIMUM_WINDOW) & (followed >= FOLLOWED)
    least = np.maximum(many, 1)
    value, low, high = (
        np.where(enough, part / least, np.nan)
        for part in (
            caused,
            scatter * gammaincinv(caused / scatter + 0.5, 0.025),
            scatter * gammaincinv(caused / scatter + 0.5, 0.975),
        )
    )
    return OverTime(windows[:, 0], windows[:, 1], value, low, high, many, followed)


def _tree(cases: Cases, windows: Ints, followed: Floats) -> OverTime:
    """Link probabilities of each case as a source, averaged; interval: Student's t of log R over cases, unsure links included."""
    many, first, second = (_summed(_moments(cases, which), windows) for which in range(3))
    least = np.maximum(many, 2)
    mean = first / least
    variance = np.maximum(second / least - mean**2, mean / least) / (least - 1)
    enough = (many >= MINIMUM_WINDOW) & (followed >= FOLLOWED)
    half = np.array([student(n - 1, n - 1) for n in least]) * np.sqrt(variance)
    grown = np.exp(np.divide(half, mean, out=np.zeros_like(mean), where=mean > 0))
    # No secondary case at all: up to where as many cases would have had none once in forty times (Poisson).
    high = np.where(mean > 0, mean * grown, -math.log(0.025) / least)
    value, low, high = (np.where(enough, part, np.nan) for part in (mean, mean / grown, high))
    return OverTime(windows[:, 0], windows[:, 1], value, low, high, many, followed)


def _summed(column: Floats, windows: Ints) -> Floats:
    total = np.r_[0.0, np.cumsum(column)]
    return np.asarray(total[windows[:, 1] + 1] - total[windows[:, 0]])


def tables(found: Effective) -> Iterator[Table]:
    """R over time, at some steps."""
    says = (
        "R by steps. Instantaneous: what cases would cause if conditions stayed as in the window. Cohort and tree: what the "
        "cases that began in the window went on to cause, from counts alone and from likely sources. Windows whose cases could "
        "not be followed to the end of their serial intervals are left out: they would look as if the epidemic ended. Index "
        "cases do not count."
    )
    head = ("steps", "instantaneous", "cohort", "tree", "new cases")
    if found.instantaneous is None or found.cohort is None or found.tree is None:
        yield Table("Effective R over time", says, ("of", "value"), (("R over time", Reason(found.reason)),))
        return
    parts = (found.instantaneous, found.cohort, found.tree)
    told = np.flatnonzero(~np.all([np.isnan(part.value) for part in parts], axis=0))
    shown = told[np.unique(np.linspace(0, len(told) - 1, SHOWN).round().astype(int))] if len(told) else told
    rows = [
        (f"{parts[0].first[k]} to {parts[0].last[k]}", *(_cell(part, k) for part in parts), f"{parts[1].cases[k]:.0f}")
        for k in shown
    ]
    rows = rows or [("every window", "too few", "too few", "too few", f"at most {parts[1].cases.max():.0f}")]
    says += (
        f" Windows of {found.width} steps; mean interval while all are susceptible {found.mean:.1f} steps. The serial interval "
        "beside the tree is of cases as they came: it is shorter where susceptible agents run out before late infections. New "
        f"cases scatter {found.scatter:.1f} times as much as Poisson counts."
    )
    yield Table("Effective R over time", says, head, tuple(rows))


def _cell(part: OverTime, k: np.int64) -> str:
    if np.isnan(part.value[k]):
        return "not yet followed" if part.followed[k] < FOLLOWED else "too few"
    return f"{part.value[k]:.2f} ({part.low[k]:.2f} to {part.high[k]:.2f})"
