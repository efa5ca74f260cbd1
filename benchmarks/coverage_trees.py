"""How often the 95% intervals of tree statistics hold the truth, and how far estimates are off, on simulated epidemics.

    python benchmarks/coverage_trees.py [EPIDEMICS]

Branching processes whose offspring are negative-binomial and whose intervals have a known law, with sources certain or unsure,
and outbreaks on a large sparse network. Prints the table of docs/trees.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.mechanistic.engine.simulate import simulate
from contagium.agents.mechanistic.models import sir
from contagium.agents.mechanistic.theory.outcomes import discrete_transmissibility
from contagium.envs.network import Network, erdos_renyi
from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.spread.renewal import discretised_gamma
from contagium.sim.analysis.trees.forest import sample
from contagium.sim.analysis.trees.intervals import intervals
from contagium.sim.analysis.trees.offspring import extinction, normal_limit, offspring, responsible, surface
from contagium.sim.analysis.trees.reproduction import counts_of, estimate, first_generations, half, trees
from contagium.sim.analysis.trees.tree import Chains, grown

Generator = np.random.Generator

LAW = discretised_gamma(3.0, 1.9, 40)
"""Chances of an interval of 0, 1, … steps in branching processes: a gamma law in whole steps, but not the one that is fitted."""

NEAR = 16
SIZE, DEGREE, CATCH, RECOVER = 20_000, 4.0, 0.1, 0.2
"""Agents, mean degree, and the chances a step that a contact catches it and that a case recovers."""


@dataclass(frozen=True)
class Truth:
    """Of one kind of epidemic. k: None where the offspring are not negative-binomial."""

    mean: float
    k: float | None
    interval: float
    sd: float


def branching(rng: Generator, mean: float, k: float, index: int, last: int, unsure: bool = False) -> Chains:
    """A branching process from `index` cases, seen up to the step `last`. unsure: most cases have a second candidate."""
    onset, parent = np.zeros(index, dtype=np.int64), np.full(index, -1)
    begin = 0
    while begin < len(onset):
        now = np.arange(begin, len(onset))
        begin = len(onset)
        source = np.repeat(now, rng.poisson(rng.gamma(k, mean / k, len(now)) if math.isfinite(k) else mean, len(now)))
        when = onset[source] + rng.choice(len(LAW), p=LAW / LAW.sum(), size=len(source))
        onset, parent = np.r_[onset, when[when <= last]], np.r_[parent, source[when <= last]]
    return linked(onset, parent, rng if unsure else None)


def linked(onset: NDArray[np.int64], parent: NDArray[np.int64], unsure: Generator | None = None) -> Chains:
    """Chains of cases whose sources (−1: index cases) are known or, drawn by `unsure`, one of two candidates each.

    The second candidate is any case of the last `NEAR` steps; their probabilities are those of their intervals by LAW.
    """
    index = parent < 0
    agent = np.arange(len(onset))
    cases = pd.DataFrame({"agent": agent, "onset": np.where(index, -1, onset), "confirmed": onset, "index": index})
    target = np.flatnonzero(~index)
    links = pd.DataFrame({"source": parent[target], "target": target, "probability": 1.0})
    if unsure is not None:
        order = np.argsort(onset, kind="stable")
        first, end = (np.searchsorted(onset[order], onset[target] - back) for back in (NEAR, 0))
        other = order[first + (unsure.random(len(target)) * (end - first)).astype(np.int64)]
        rival = other != parent[target]
        true, false = (LAW[np.minimum(onset[target] - onset[source], len(LAW) - 1)] for source in (parent[target], other))
        links["probability"] = np.where(rival, true / (true + false), 1.0)
        more = pd.DataFrame({"source": other, "target": target, "probability": false / (true + false)})[rival]
        links = pd.concat([links, more], ignore_index=True)
    return grown(cases.sort_values(["onset", "agent"], kind="stable", ignore_index=True), links)


def outbreak(network: Network, streams: Streams, index: int, last: int) -> Chains:
    """A discrete-time SIR outbreak on a network; index cases act first in step 1, so that steps count like `linked`'s."""
    seeded = streams.generator("seeded").choice(network.size, index, replace=False)
    forest = simulate(sir(-math.log1p(-CATCH), -math.log1p(-RECOVER)), network, np.sort(seeded), last, streams, dt=1.0).forest
    agent = np.r_[np.sort(seeded), forest.agent].astype(np.int64)
    place = np.full(network.size, -1)
    place[agent] = np.arange(len(agent))
    return linked(np.r_[np.zeros(index), forest.time].astype(np.int64), np.r_[np.full(index, -1), place[forest.cause]])


Found = tuple[float, float, float, float]
Held = tuple[float, bool]
"""An estimate's value (NaN where there is none) and whether its interval holds the truth."""


def judged(found: Chains, last: int, truth: Truth) -> Iterator[tuple[str, float, Held]]:
    """Of each statistic its name, the truth, and what was found."""
    window = half(last)
    sampled = trees(found, last, window)
    yield "R0", truth.mean, _held(estimate(found, last, sampled=sampled), truth.mean)
    law = intervals(found, last, sample(found))
    yield "interval, mean", truth.interval, _held(law.mean, truth.interval)
    yield "interval, sd", truth.sd, _held(law.sd, truth.sd)
    if truth.k is None:
        return
    counts = counts_of(found, sampled, first_generations(found, last, window), last, window)
    told = offspring(counts)
    low, high = surface(counts).dispersions(normal_limit())
    yield "k", truth.k, (told.k.value or math.nan, low <= truth.k <= high)
    pair = np.array([truth.mean]), np.array([min(truth.k, 1e9)])
    for name, one, of in (("extinction", told.extinction, extinction), ("few", told.few, responsible)):
        right = float(of(*pair)[0])
        yield name, right, _held(one, right)


def _held(one: Estimate, truth: float) -> Held:
    if one.value is None or one.low is None or one.high is None:
        return math.nan, False
    return one.value, one.low - 1e-9 <= truth <= one.high + 1e-9


def coverage(
    make: Callable[[int], Chains], last: int, truth: Truth, epidemics: int
) -> dict[str, tuple[float, float, float, float]]:
    """Statistic → truth, median of the estimates, share of intervals that hold the truth, share of epidemics without a value.

    Of epidemics without a value, only what is said of k counts.
    """
    rows: dict[str, list[Held]] = {}
    truths: dict[str, float] = {}
    for each in range(epidemics):
        for name, right, held in judged(make(each), last, truth):
            rows.setdefault(name, []).append(held)
            truths[name] = right
    told = {}
    for name, found in rows.items():
        value, inside = (np.array(column) for column in zip(*found, strict=True))
        known = ~np.isnan(value)
        told[name] = (
            truths[name],
            float(np.nanmedian(value)),
            float(inside[known | (name == "k")].mean()),
            float(1 - known.mean()),
        )
    return told


def kinds() -> Iterator[tuple[str, int, Truth, Callable[[int], Chains]]]:
    """Name, last step, truth and maker of each kind of epidemic."""
    d = np.arange(len(LAW))
    mean = float(LAW @ d)
    sd = math.sqrt(float(LAW @ d**2) - mean**2)
    last = 24

    def made(r: float, k: float, index: int, unsure: bool) -> Callable[[int], Chains]:
        name = f"{r} {k} {index} {unsure}"
        return lambda each: branching(Streams(1).generator(name, each), r, k, index, last, unsure)

    for r, k, index, unsure in (
        (1.5, 0.5, 20, False),
        (1.5, 2.0, 20, False),
        (0.8, 0.3, 40, False),
        (2.0, math.inf, 10, False),
        (1.5, 0.5, 5, False),
        (1.5, 0.5, 20, True),
    ):
        name = f"branching, R = {r}, k = {k}, {index} index cases" + (", unsure sources" if unsure else "")
        yield name, last, Truth(r, k, mean, sd), made(r, k, index, unsure)
    network = erdos_renyi(SIZE, Streams(2), DEGREE)
    escape = 1 - (1 - CATCH) * (1 - RECOVER)
    truth = Truth(DEGREE * discrete_transmissibility(CATCH, RECOVER), None, 1 / escape, math.sqrt(1 - escape) / escape)
    yield f"SIR on {SIZE:,} agents", 30, truth, lambda each: outbreak(network, Streams(each), 20, 30)


def main() -> None:
    epidemics = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(
        "| epidemics | statistic | truth | median estimate | intervals holding the truth | no estimate |\n" + "| --- " * 6 + "|"
    )
    for name, last, truth, make in kinds():
        for of, (right, middle, inside, none) in coverage(make, last, truth, epidemics).items():
            print(f"| {name} | {of} | {right:.3g} | {middle:.3g} | {inside:.1%} | {none:.0%} |", flush=True)


if __name__ == "__main__":
    main()
