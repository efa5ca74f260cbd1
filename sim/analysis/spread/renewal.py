"""R over time from counts of new cases alone, by the renewal equation: for transcripts whose links are not known.

A serial interval is given as weights w (K,): w[s] is the chance that a case shows s steps after the case it came from; w[0] must
be 0, for the renewal equation cannot order cases of one step. Steps are counted from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


def discretised_gamma(mean: float, sd: float, length: int) -> NDArray[np.float64]:
    """Weights (length,) of a serial interval of 1 step plus a gamma time, both cases being seen in whole steps.

    mean > 1, sd > 0, in steps. The chance of s steps is the gamma law against a triangle around s: the second difference of
    ∫ F, F the gamma distribution function. Not normalised: what lies beyond `length` is missing. Source: Cori et al. 2013.
    """
    from scipy.special import gammainc

    if not (1 < mean < math.inf and 0 < sd < math.inf and length >= 2):
        raise ValueError(f"mean > 1, sd > 0 and length ≥ 2 are needed, got {mean}, {sd} and {length}")
    shape, scale = ((mean - 1) / sd) ** 2, sd**2 / (mean - 1)
    x = np.maximum(np.arange(-2.0, length), 0)
    integral = x * gammainc(shape, x / scale) - shape * scale * gammainc(shape + 1, x / scale)
    return np.maximum(np.diff(integral, 2), 0.0)


def infectiousness(incidence: ArrayLike, interval: ArrayLike) -> NDArray[np.float64]:
    """Expected new cases at each step if R were 1: Λ_t = Σ_s w_s I_(t−s). incidence: (T,), interval: (K,). Shape (T,)."""
    cases, weights = _checked(incidence, interval)
    return np.convolve(cases, weights)[: len(cases)]


@dataclass(frozen=True)
class Instantaneous:
    """Posterior of R in each window, all shape (m,). expected: new cases had R been 1; where it is small, the prior speaks.

    mean, sd, low and high are NaN in a window with new cases that no earlier case can explain (expected 0 at their step).
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    cases: NDArray[np.float64]
    expected: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def sliding_windows(steps: int, width: int = 7) -> NDArray[np.int64]:
    """All windows of `width` steps after step 0, as (first, last), both included. Shape (m, 2)."""
    if not 1 <= width < steps:
        raise ValueError(f"windows must be 1 to {steps - 1} steps wide, got {width}")
    first = np.arange(1, steps - width + 1)
    return np.c_[first, first + width - 1]


def instantaneous_reproduction(
    incidence: ArrayLike,
    interval: ArrayLike,
    windows: ArrayLike,
    prior_mean: float = 5.0,
    prior_sd: float = 5.0,
    local: ArrayLike | None = None,
    scatter: float = 1.0,
) -> Instantaneous:
    """R over each window: its gamma posterior, given the new cases. windows: (m, 2) first and last step, from 1 on.

    What each case would cause if conditions stayed as they are in the window. Gaps right after the first cases leave too little
    expected for a sound estimate: look at `expected`. local: (T,), those of the new cases that earlier ones of `incidence` can
    have caused, default all. scatter: variance of new cases in Poisson variances; the more, the less each case tells.
    Sources: Cori et al. 2013; Thompson et al. 2019 (local and imported cases).
    """
    from scipy.special import gammaincinv

    cases, _ = _checked(incidence, interval)
    expected = infectiousness(incidence, interval)
    if local is not None:
        cases = _local(local, cases)
    first, last = np.asarray(windows, dtype=np.int64).reshape(-1, 2).T
    if not np.all((first >= 1) & (first <= last) & (last < len(cases))):
        raise ValueError(f"windows must lie within steps 1 to {len(cases) - 1}, first before last")
    if not scatter >= 1:
        raise ValueError(f"scatter must be at least 1, got {scatter}")
    if not (prior_mean > 0 and prior_sd > 0):
        raise ValueError(f"the prior needs a positive mean and sd, got {prior_mean} and {prior_sd}")
    seen, due, orphaned = (
        np.add.reduceat(np.r_[column, 0.0], np.c_[first, last + 1].ravel())[::2]
        for column in (cases, expected, (cases > 0) & (expected == 0))
    )
    shape = (prior_mean / prior_sd) ** 2 + seen / scatter
    scale = np.where(orphaned > 0, np.nan, 1 / (prior_mean / prior_sd**2 + due / scatter))
    low, high = (gammaincinv(shape, p) * scale for p in (0.025, 0.975))
    return Instantaneous(first, last, seen, due, shape * scale, np.sqrt(shape) * scale, low, high)


@dataclass(frozen=True)
class Cohort:
    """Secondary cases of those who fell ill at each step. value: (T,), NaN at steps without cases.

    followed: (T,), the part of the serial interval that lies before the end: where it is below 1, the value is biased low.
    unexplained: cases no earlier case can explain, index cases among them.
    """

    value: NDArray[np.float64]
    followed: NDArray[np.float64]
    unexplained: float


def cohort_reproduction(incidence: ArrayLike, interval: ArrayLike, local: ArrayLike | None = None) -> Cohort:
    """Mean secondary cases of the cases of each step, likely sources sharing each case. incidence: (T,), interval: (K,).

    A case at t came from one at s with a chance in proportion to w_(t−s). local: (T,), those of the cases that others of
    `incidence` can have caused, default all. Source: Wallinga & Teunis 2004.
    """
    cases, weights = _checked(incidence, interval)
    due = infectiousness(incidence, interval)
    caused_here = cases if local is None else _local(local, cases)
    share = np.divide(caused_here, due, out=np.zeros_like(due), where=due > 0)
    caused = np.convolve(share[::-1], weights)[: len(cases)][::-1]
    reach = np.cumsum(np.r_[weights, np.zeros(len(cases))])[: len(cases)]
    return Cohort(np.where(cases > 0, caused, np.nan), reach[::-1] / weights.sum(), float(caused_here[due == 0].sum()))


def _checked(incidence: ArrayLike, interval: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cases, weights = np.asarray(incidence, dtype=np.float64), np.asarray(interval, dtype=np.float64)
    if cases.ndim != 1 or len(cases) < 2 or not np.all((cases >= 0) & np.isfinite(cases)):
        raise ValueError("incidence must be two or more non-negative counts")
    if weights.ndim != 1 or not np.all(weights >= 0) or not 0 < weights.sum() < 1 + 1e-9 or weights[0] != 0:
        raise ValueError(f"interval must be non-negative, sum to at most 1 and begin with 0, got a sum of {weights.sum()}")
    return cases, weights


def _local(local: ArrayLike, cases: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.asarray(local, dtype=np.float64)
    if found.shape != cases.shape or not np.all((found >= 0) & (found <= cases + 1e-9)):
        raise ValueError(f"local cases must be 0 to the cases of each of {len(cases)} steps")
    return found
