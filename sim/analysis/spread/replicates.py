"""Replicates of one condition: what single runs only count gets intervals here, by the spread between runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.basic import from_growth
from contagium.sim.analysis.spread.curves import Curve, curve
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step
from contagium.sim.analysis.spread.growth import early_growth, student
from contagium.sim.analysis.spread.infectivity import cases_of
from contagium.sim.analysis.tables import Table, number
from contagium.sim.analysis.trees.reproduction import MINIMUM_CASES, half, interval, secondary_cases
from contagium.sim.analysis.trees.tree import chains
from contagium.sim.log import LogError, Run
from contagium.sim.observer.agreement import LEVEL, RESAMPLES, Measured, share

Floats = NDArray[np.float64]

MINIMUM_RUNS = 3
"""Fewer replicates give no interval."""

OUTBREAK = 0.1
"""The attack rate from which a run counts as an outbreak."""

OWN = ("seed", "name")
"""What may differ between the scenarios of replicates."""


@dataclass(frozen=True)
class Band:
    """A mean over replicates by step, with a 95% band for the mean at each step; all (T,)."""

    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Replicates:
    """Runs of one condition. steps: (T,), those that all runs did. incidence, prevalence: agents, None where not known.

    curves: of each run. attack, growth, basic: mean over runs. outbreak: share of runs with an attack rate of OUTBREAK or more.
    reproduction: R0 of the early generations of all runs together. unfinished: runs that did not do all steps that were planned.
    """

    strain: str
    curves: tuple[Curve, ...]
    steps: NDArray[np.int64]
    incidence: Band | None
    prevalence: Band | None
    attack: Estimate
    outbreak: Measured
    reproduction: Estimate
    growth: Estimate
    basic: Estimate
    unfinished: int


def replicates(runs: Sequence[Run], strain: str | None = None, kind: str = "case") -> Replicates:
    """Statistics over runs that differ in their seed alone. LogError: they differ in more, or one of them is there twice."""
    strain = alike(runs, strain)
    found, counts, rates, basics, n = [], [], [], [], 0
    for run in runs:
        tree, last = chains(run, strain, kind), last_step(run)
        cases = cases_of(tree, run.size, last)
        growth = early_growth(cases)
        found.append(curve(run, strain, kind, tree.cases))
        rates.append(growth.rate.value)
        basics.append(from_growth(cases, growth).value)
        if last >= 0:
            counts.append(secondary_cases(tree, last, half(last)))
            n += len(counts[-1])
    done = min(len(one.steps) for one in found)
    attack = [one.attack.value for one in found]
    every = [one.prevalence for one in found if one.prevalence is not None]
    known = [value for value in attack if value is not None]
    return Replicates(
        strain,
        tuple(found),
        np.arange(done),
        band(np.array([one.new[:done] for one in found], dtype=np.float64), "incidence"),
        band(np.array([one[:done] for one in every], dtype=np.float64), "prevalence") if len(every) == len(found) else None,
        mean(attack, "attack rate, mean over runs, Student's t", 0, 1),
        share(sum(value >= OUTBREAK for value in known), len(known)),
        pooled(counts),
        mean(rates, "growth rate, mean over runs, Student's t"),
        mean(basics, "R0 from growth, geometric mean over runs, Student's t", scale="log"),
        sum(len(one.steps) < int(run.meta["steps"]) for one, run in zip(found, runs, strict=True)),
    )


def alike(runs: Sequence[Run], strain: str | None = None) -> str:
    """The strain of runs that are replicates of each other. LogError says which are not, and why."""
    if not runs:
        raise LogError("no runs: name the replicates of a condition")
    chosen = chosen_strain(runs[0], strain)
    seen: dict[int, Run] = {}
    for run in runs:
        chosen_strain(run, chosen)
        if run.meta["strains"] != runs[0].meta["strains"]:
            raise LogError(
                f"no replicates: {run.path} has the strains {run.meta['strains']}, {runs[0].path} {runs[0].meta['strains']}"
            )
        if key := _first_difference(runs[0].meta["scenario"], run.meta["scenario"]):
            raise LogError(f"no replicates: {runs[0].path} and {run.path} differ in {key}")
        if (twin := seen.setdefault(int(run.meta["seed"]), run)) is not run:
            raise LogError(f"no replicates: {twin.path} and {run.path} have the same seed, {run.meta['seed']}")
    return chosen


def _first_difference(one: dict[str, Any], other: dict[str, Any], path: str = "") -> str | None:
    """The first key in which two scenarios differ, dotted; what is each run's own aside."""
    for key in sorted(one.keys() | other.keys()):
        if not path and key in OWN:
            continue
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if below := _first_difference(a, b, f"{path}{key}."):
                return below
        elif json.dumps(a) != json.dumps(b):
            return f"{path}{key}"
    return None


def mean(
    values: Sequence[float | None], method: str, low: float = -math.inf, high: float = math.inf, scale: str = ""
) -> Estimate:
    """The mean of those values that are known, with Student's interval, cut at `low` and `high`. scale "log": of logarithms."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    n = len(known)
    if n < MINIMUM_RUNS:
        return unknown(f"known of {n} of {len(values)} runs: too few, {MINIMUM_RUNS} are needed", n, method)
    x = np.log(known) if scale == "log" else known
    half_width = student(n - 1, n - 1) * float(x.std(ddof=1)) / math.sqrt(n)
    ends = (float(x.mean()), float(x.mean()) - half_width, float(x.mean()) + half_width)
    value, least, most = (math.exp(end) for end in ends) if scale == "log" else ends
    return Estimate(value, max(least, low), min(most, high), method, n)


def band(values: Floats, name: str) -> Band | None:
    """Mean over runs (n, T) at each step, with its 95% interval by resampling runs; None under MINIMUM_RUNS.

    Percentiles widened for few runs as Student's t widens a normal interval (Hesterberg 2015). Each step for itself: a whole
    curve lies in the band less often.
    """
    from scipy.special import ndtr, stdtrit

    n = len(values)
    if n < MINIMUM_RUNS or not values.size:
        return None
    drawn = Streams(0).generator(f"replicates {name}").multinomial(n, np.full(n, 1 / n), RESAMPLES)
    means = drawn @ values / n
    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - LEVEL) / 2)))
    low, high = np.quantile(means, (tail, 1 - tail), axis=0)
    return Band(values.mean(axis=0), low, high)


def pooled(counts: Sequence[Floats]) -> Estimate:
    """R0 of the secondary cases of all runs. The larger of two intervals: of the counts, and of the runs that hold them."""
    method = "early generations of all runs, profile likelihood or spread between runs, whichever says less"
    every = np.concatenate(counts) if counts else np.empty(0)
    if len(every) < MINIMUM_CASES or len(counts) < MINIMUM_RUNS:
        return unknown(f"{len(every)} cases of {len(counts)} runs: too few to say", len(every), method)
    value = float(every.mean())
    low, high = interval(every)
    sums = np.array([part.sum() - value * len(part) for part in counts])
    spread = student(len(counts) - 1, len(counts) - 1) * math.sqrt(float(sums @ sums) * len(sums) / (len(sums) - 1)) / len(every)
    return Estimate(value, min(low, max(value - spread, 0.0)), max(high, value + spread), method, len(every))


def tables(found: Replicates) -> Iterator[Table]:
    """What the runs say together."""
    runs = len(found.curves)
    says = (
        f"{runs} runs that differ in their seed alone, strain {found.strain}. Intervals come from how much runs differ, so they "
        f"hold for other seeds of this condition. An outbreak: an attack rate of {OUTBREAK:.0%} or more. Runs whose growth is "
        "not known are left out of its mean: those in which little spread, so that it is too high for all runs together."
    )
    if found.unfinished:
        says += f" {found.unfinished} of the runs did not do all their steps; attack rates are of what was done."
    rows = (
        ("attack rate", number(found.attack, "z.1%"), str(found.attack.n)),
        ("share of runs with an outbreak", number(found.outbreak, "z.1%"), str(found.outbreak.n)),
        ("R0, early generations", number(found.reproduction), f"{found.reproduction.n} cases"),
        ("R0, growth and intervals", number(found.basic), str(found.basic.n)),
        ("growth rate a step", number(found.growth, "z.3f"), str(found.growth.n)),
    )
    yield Table(f"{runs} replicates", says, ("of", "mean (95%)", "runs"), rows)
