"""The basic reproduction number by three ways that rest on different parts of the record, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.growth import Growth, student
from contagium.sim.analysis.spread.infectivity import Cases, Infectivity
from contagium.sim.analysis.tables import Table, counted, number

MINIMUM_FINAL = 20
"""Fewer cases give no R0 from the final size: its error law is that of large outbreaks."""

FROM_SIZE = "final size, mass action"


@dataclass(frozen=True)
class Basic:
    """R0 from the tree's early generations, from the growth rate with the distribution of intervals, from the final size."""

    tree: Estimate
    growth: Estimate
    size: Estimate


def from_growth(cases: Cases, growth: Growth) -> Estimate:
    """R0 = 1 / Σ w(a) exp(−r a): growth rate r, w the distribution of intervals from cases to those they cause.

    w is that of the life table up to the last step: corrected for the end of the run, and for susceptible agents that run out as
    if contacts were mixed at random. The interval holds the uncertainty of r and of w. Source: Wallinga & Lipsitch 2007.
    """
    rate = growth.rate
    if rate.value is None or rate.low is None or rate.high is None or growth.infectivity is None:
        return unknown(str(rate.reason), rate.n, rate.method)
    method = f"growth rate over steps 0 to {growth.until}, intervals over steps 0 to {cases.last}"
    whole = Infectivity(cases, cases.last)
    age = np.arange(len(whole.value))
    left = np.exp(-rate.value * age)
    mean = float(whole.value @ left) / whole.total
    # The mean interval of cases looked at from their targets: what a change of r does to log R0.
    backward = float(age @ (whole.value * left)) / (mean * whole.total)
    variance, freedom = whole.variance((left / mean - 1) / whole.total)
    half = math.hypot(backward * (rate.high - rate.low) / 2, student(freedom, whole.links) * math.sqrt(variance))
    return Estimate(1 / mean, math.exp(-half) / mean, math.exp(half) / mean, method, rate.n)


def from_final_size(new: int, index: int, size: int, still: int, spread: float = 1.0) -> Estimate:
    """R0 = −ln(1 − z)/Z: z is the share of those once susceptible that became a case, Z that of all agents, index cases included.

    new: cases, index cases left out. index: index cases. size: agents. still: agents that were cases at the end.
    spread: coefficient of variation of the time a case is infectious, 1 for an exponential law.
    Interval: asymptotic, of log R0. Sources: Becker & Britton 1999; Andersson & Britton 2000.
    """
    method, exposed, total = FROM_SIZE, size - index, new + index
    if still:
        return unknown(
            f"not over: {counted(still, 'agent')} {'was a case' if still == 1 else 'were cases'} after the last step",
            total,
            method,
        )
    if new < MINIMUM_FINAL:
        return unknown(f"{counted(new, 'case')}: too few, {MINIMUM_FINAL} are needed", total, method)
    if new >= exposed:
        return unknown("every agent became a case: R0 has no upper end", total, method)
    escaped = 1 - new / exposed
    value = -math.log(escaped) / (total / size)
    error = math.sqrt((1 + spread**2 * escaped * value**2) / (exposed * escaped * (total / size))) / value
    half = student(math.inf, total - 1) * error
    return Estimate(value, value * math.exp(-half), value * math.exp(half), method, total)


def tables(found: Basic) -> Iterator[Table]:
    """The three side by side, with what each takes for granted."""
    says = (
        "Cases that one case causes while all others are susceptible, estimated in three ways. Where they disagree, what one of "
        "them takes for granted does not hold: read the last column before choosing one."
    )
    rows = (
        (
            "early generations of the tree",
            number(found.tree),
            str(found.tree.n),
            "the sources named are the true ones, few are cases yet",
        ),
        (
            "growth rate and intervals",
            number(found.growth),
            str(found.growth.n),
            "all cases alike, contacts mixed so that early growth is exponential",
        ),
        (
            "final size",
            number(found.size),
            str(found.size.n),
            "everybody may infect everybody, nobody twice; too low on clustered or uneven networks",
        ),
    )
    yield Table("Basic reproduction number R0", says, ("from", "R0 (95%)", "cases", "takes for granted"), rows)
