"""Early growth: its rate from counts, what it says of R, and how often a chain of cases dies out by itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from contagium.agents.mechanistic.theory.outcomes import smallest_fixed_point
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.spread.reproduction import MINIMUM_CASES

METHOD = "log-linear Poisson regression, errors scaled by overdispersion"


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
