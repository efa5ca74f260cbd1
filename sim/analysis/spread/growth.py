"""Early growth: its rate from the cases of a run or from bare counts, what it says of R, and how often chains die out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from contagium.agents.mechanistic.theory.outcomes import smallest_fixed_point
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.infectivity import Cases, Infectivity
from contagium.sim.analysis.tables import counted
from contagium.sim.analysis.trees.reproduction import MINIMUM_CASES

METHOD = "log-linear Poisson regression, errors scaled by overdispersion"

EARLY, FEW, MOST = 0.1, 30, 0.5
"""Growth is early up to the step in which this share of the susceptible has been a case, or FEW cases, at most the share MOST."""

MINIMUM_LINKS = 10
"""Fewer cases that other than index cases caused say nothing of growth."""


@dataclass(frozen=True)
class Growth:
    """Growth while few have been a case. until: the last step looked at; new: cases up to then, index cases left out.

    rate: per step, among all susceptible. doubling: steps in which cases double. scatter: how many times the variance of Poisson
    counts new cases scatter with around what was expected, 1 at the least. infectivity: None where there is no estimate.
    """

    rate: Estimate
    doubling: Estimate
    until: int
    new: int
    scatter: float | None
    infectivity: Infectivity | None


def early_growth(cases: Cases) -> Growth:
    """Exponential growth rate of the cases of a run, with its 95% interval.

    The rate at which cases that cause others as these do grow in the long run. That is no regression on counts, which would take
    the luck of the first cases, with which all later counts move together, for growth.
    Interval: Student's t, the larger of the variance between sources and that of scattered counts. Source: see `Infectivity`.
    """
    until = _early_until(cases)
    found, new = Infectivity(cases, until), int(cases.new[: until + 1].sum())
    method = f"life table of cases by the steps since their onset, steps 0 to {until}"
    links = round(found.links)
    if found.links < MINIMUM_LINKS or not found.total:
        few = f"{counted(links, 'case')} that others than index cases caused, up to step {until}"
        why = f"{few}: too few, {MINIMUM_LINKS} are needed"
        nothing = unknown(why, links, method)
        return Growth(nothing, nothing, until, new, None, None)
    age = np.arange(len(found.value))
    left = np.exp(-found.rate * age)
    effect = left / float(age @ (found.value * left))
    variance, freedom = found.variance(effect)
    scatter = found.scatter(cases.caused, cases.new)
    poisson = float(found.value @ np.divide(effect**2, found.due, out=np.zeros_like(effect), where=found.due > 0))
    half = student(freedom, found.links) * math.sqrt(max(variance, (scatter or 1.0) * poisson))
    rate = Estimate(found.rate, found.rate - half, found.rate + half, method, links)
    return Growth(rate, doubling(rate), until, new, scatter, found)


def _early_until(cases: Cases) -> int:
    enough = min(max(EARLY * cases.exposed, FEW), MOST * cases.exposed)
    return min(int(np.searchsorted(np.cumsum(cases.new), enough)), cases.last)


def student(freedom: float, n: float) -> float:
    """Half the width of a 95% interval in standard errors. n: observations, which bound the degrees of freedom (2 at least)."""
    from scipy.special import stdtrit

    return float(stdtrit(min(max(freedom, 2.0), max(n, 2.0)), 0.975))


def doubling(rate: Estimate) -> Estimate:
    """The doubling time of a growth rate, with its interval; in words where cases may not grow at all."""
    if rate.value is None or rate.low is None or rate.high is None:
        return rate
    if rate.low <= 0 <= rate.high:
        return unknown(f"not told from no growth: rate {rate.low:z.3f} to {rate.high:z.3f} a step", rate.n, rate.method)
    value, one, other = (doubling_time(r) for r in (rate.value, rate.high, rate.low))
    if rate.high < 0:
        return unknown(f"cases halve in {-value:.1f} steps ({-other:.1f} to {-one:.1f})", rate.n, rate.method)
    return Estimate(value, one, other, rate.method, rate.n)


def growth_rate(times: ArrayLike, counts: ArrayLike) -> Estimate:
    """Exponential growth rate per unit of time of new cases `counts` (n,) at `times` (n,), with its 95% interval.

    Poisson regression, whose errors are widened where counts scatter more than Poisson ones. Choose times early enough: once
    susceptible agents run out, growth slows and the rate is biased low. Source: McCullagh & Nelder 1989.
    """
    from scipy.special import stdtrit

    t, y = np.asarray(times, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if t.shape != y.shape or not np.all(y >= 0):
        raise ValueError(f"counts must be non-negative and one for each time, got {len(y)} counts and {len(t)} times")
    cases = int(y.sum())
    if cases < MINIMUM_CASES or np.count_nonzero(y) < 2 or len(y) < 3:
        return Estimate(None, None, None, METHOD, cases, f"too little to say: {cases} cases at {np.count_nonzero(y)} times")
    design = np.c_[np.ones(len(t)), t - t.mean()]
    mean = y + 0.5
    for _ in range(100):
        # Fisher scoring: weighted least squares of the working response.
        information = design.T @ (mean[:, None] * design)
        found = np.linalg.solve(information, design.T @ (mean * np.log(mean) + y - mean))
        mean, before = np.exp(design @ found), mean
        if np.allclose(mean, before, rtol=1e-12, atol=0):
            break
    else:
        return Estimate(None, None, None, METHOD, cases, "the regression did not settle")
    overdispersion = max(1.0, float(((y - mean) ** 2 / mean).sum() / (len(y) - 2)))
    half = stdtrit(len(y) - 2, 0.975) * math.sqrt(overdispersion * np.linalg.inv(information)[1, 1])
    return Estimate(float(found[1]), float(found[1] - half), float(found[1] + half), METHOD, cases)


def reproduction_from_growth(rate: float, *stage_rates: float) -> float:
    """R of an epidemic growing at `rate`, whose cases pass through exponential stages at these rates: Π (1 + r / stage rate).

    SIR: the recovery rate; SEIR: onset and recovery rate. Well mixed: on a network of few contacts the same growth means
    less R. Source: Wallinga & Lipsitch 2007.
    """
    if not stage_rates or min(stage_rates) <= max(0.0, -rate):
        raise ValueError(f"stage rates must be positive and above the rate of decline, got {stage_rates} at growth {rate}")
    return math.prod(1 + rate / stage for stage in stage_rates)


def doubling_time(rate: float) -> float:
    """ln 2 / r: time in which cases double; infinite at rate 0, negative (time to halve) where cases decline."""
    return math.log(2) / rate if rate else math.inf


def extinction_probability(mean: float, dispersion: float = math.inf, index_cases: int = 1) -> float:
    """Chance that all chains from the index cases die out; secondary cases are negative-binomial with mean R and dispersion k.

    The smallest q with q = (1 + R (1 − q)/k)^−k, to the power of index cases; k infinite: Poisson. Lloyd-Smith et al. 2005.
    """
    if not (0 <= mean < math.inf and dispersion > 0 and index_cases >= 1):
        raise ValueError(f"mean ≥ 0, dispersion > 0 and index cases ≥ 1 are needed, got {mean}, {dispersion} and {index_cases}")
    k = dispersion

    def generating(q: float) -> float:
        return math.exp(mean * (q - 1) if math.isinf(k) else -k * math.log1p(mean * (1 - q) / k))

    def slope(q: float) -> float:
        return mean * generating(q) / (1 if math.isinf(k) else 1 + mean * (1 - q) / k)

    return smallest_fixed_point(generating, slope) ** index_cases
