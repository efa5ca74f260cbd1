"""The reproduction number from early generations, with an interval fit for few and uneven counts and for unsure sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.epidemic import last_step
from contagium.sim.analysis.trees.forest import Sampled
from contagium.sim.analysis.trees.joint import jointly
from contagium.sim.analysis.trees.offspring import MINIMUM_COUNTS, Counts, student_limit, surface
from contagium.sim.analysis.trees.tree import Chains, chains
from contagium.sim.log import Run

MINIMUM_CASES = 5
"""Fewer followed cases than this give no estimate: the interval would say nothing but that it is wide."""

DISPERSION = (0.1, 1e4)
"""The dispersion k is sought in this range: below the most uneven transmission seen in epidemics (SARS, 0.16, Lloyd-Smith et al.
2005), up to what cannot be told from a Poisson distribution. Without a lower end, counts that are all 0 would bound nothing."""

UNBOUNDED = 10.0
"""An upper end beyond so many times the value, or beyond this number, says nothing: then there is no estimate."""

ENOUGH = 5 * MINIMUM_COUNTS
"""Whole generations are taken up to this many followed cases for the distribution of secondary cases."""

METHOD = "early generations, negative-binomial profile likelihood"


def reproduction_number(run: Run, strain: str | None = None, kind: str = "case", window: int | None = None) -> Estimate:
    """Mean number of expected secondary cases of the index cases and of the cases they are the likeliest source of.

    Secondary cases of a case are the probabilities of its candidate links, summed. Only cases that could be followed for `window`
    steps after their onset count, and only what they caused within that window, so that no case is cut short by the end of the
    run (right-censoring). window: default half of the steps done, rounded up.

    Bias: low, where candidate sources explain only part of the causes (`explained` in the summary), where agents shed for longer
    than the window, where susceptible agents run out (soon, among a dozen), where first signs near the end of the run are not
    confirmed before it, and, for few index cases, because large families weigh by their size in a mean over generations (Harris
    1948). Reinfections are not counted.
    Interval: 95% profile likelihood of the mean under a negative-binomial distribution of secondary cases, bounded by Student's t
    for few cases, and averaged over trees sampled from the candidates (`joint`). Its coverage: docs/trees.md.
    """
    return estimate(chains(run, strain, kind), last_step(run), window)


def estimate(found: Chains, last: int, window: int | None = None, sampled: Sampled | None = None) -> Estimate:
    """`reproduction_number` of chains that are already at hand; last: the last step done. sampled: `trees`, if drawn already."""
    seeded = int(found.cases["index"].sum())
    if not seeded:
        return unknown("no index cases: there is no first generation to follow", 0, METHOD)
    if last < 0:
        return unknown("no step was done", 0, METHOD)
    window = half(last) if window is None else window
    counts = secondary_cases(found, last, window)
    if len(counts) < MINIMUM_CASES:
        only = "" if len(found.cases) > seeded else ", all of them index cases"
        return unknown(f"too few cases to say: {len(counts)}{only}", len(counts), METHOD)
    drawn = counts_of(found, sampled or trees(found, last, window), _early(found), last, window)
    low, high = _interval(drawn)
    value = float(counts.mean())
    if high > UNBOUNDED * max(value, 1.0):
        return unknown(f"{len(counts)} cases do not bound it: {value:.2g} seen, at least {low:.2g}", len(counts), METHOD)
    return Estimate(value, min(low, value), max(high, value), METHOD, len(counts))


def trees(found: Chains, last: int, window: int) -> Sampled:
    """Sampled trees from which secondary cases are counted."""
    return jointly(found, last, window, first_generations(found, last, window))


def half(last: int) -> int:
    """The steps for which a case is followed: half of those done, rounded up."""
    return math.ceil((last + 1) / 2)


def secondary_cases(found: Chains, last: int, window: int) -> NDArray[np.float64]:
    """Expected secondary cases within `window` steps of each early case with that much follow-up, shape (n,)."""
    followed = _followed(found, last, window)
    cases, links = found.cases, found.links
    agent, onset = cases["agent"].to_numpy(np.int64), cases["onset"].to_numpy(np.int64)
    source, target = found.ends
    within = onset[target] - onset[source] <= window
    caused = np.bincount(source[within], links["probability"].to_numpy(np.float64)[within], minlength=len(agent))
    return np.asarray(caused[_early(found) & followed], dtype=np.float64)


def counts_of(found: Chains, sampled: Sampled, cohort: NDArray[np.bool_], last: int, window: int) -> Counts:
    """Secondary cases within `window` steps, in each sampled tree, of the cases of a cohort (n,) with that much follow-up."""
    followed = cohort & _followed(found, last, window)
    trees, n = sampled.parent.shape
    parent, onset = sampled.parent, sampled.onset
    within = (parent >= 0) & (onset - onset[parent] <= window)
    caused = np.bincount((parent + np.arange(trees)[:, None] * n)[within], minlength=trees * n).reshape(trees, n)
    return Counts.of(caused[:, followed])


def first_generations(found: Chains, last: int, window: int, enough: int = ENOUGH) -> NDArray[np.bool_]:
    """Cases (n,) of as many whole generations, from the first, as hold `enough` that could be followed for `window` steps.

    Whole ones, so that whether a case counts does not depend on how many it caused. Later ones meet fewer who are susceptible.
    """
    generation = found.cases["generation"].to_numpy(np.int64)
    reached = np.cumsum(np.bincount(generation[_followed(found, last, window)], minlength=1))
    return np.asarray(generation <= int(np.searchsorted(reached, min(enough, reached[-1]))))


def _early(found: Chains) -> NDArray[np.bool_]:
    cases = found.cases
    return (cases["index"] | cases["parent"].isin(cases.loc[cases["index"], "agent"])).to_numpy(bool)


def _followed(found: Chains, last: int, window: int) -> NDArray[np.bool_]:
    if window < 1:
        raise ValueError(f"window must be at least 1 step, got {window}")
    return (found.cases["onset"] + window <= last).to_numpy(bool)


def interval(counts: ArrayLike | Sequence[float]) -> tuple[float, float]:
    """95% profile-likelihood interval of the mean of at least 2 counts, not all of which need be whole numbers."""
    return _interval(Counts.of(counts))


def _interval(counts: Counts) -> tuple[float, float]:
    return surface(counts, DISPERSION).means(student_limit(counts.n))
