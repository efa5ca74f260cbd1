"""How often 95% intervals of growth, R0 and R over time hold the truth: simulated epidemics whose truth is known.

    python benchmarks/coverage_curves.py --epidemics 1000

Branching processes (negative-binomial offspring, nobody runs out, intervals of mean 3 steps) stopped at so many cases; SIR in
steps (b = 0.1 along each contact, g = 0.2) on random networks of mean degree 8, whose truth is exp(r) = (1 − b)(1 − g) + 8 b and
R0 = 8 b/(b + g − b g); SIR among everybody, for the final size. Prints Markdown tables. Epidemics without an estimate are
left out of a row's shares and counted in its last column.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.engine.simulate import simulate
from contagium.agents.mechanistic.models import sir
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.spread.basic import from_final_size, from_growth
from contagium.sim.analysis.spread.effective import effective
from contagium.sim.analysis.spread.growth import early_growth
from contagium.sim.analysis.spread.infectivity import Cases
from contagium.sim.analysis.spread.renewal import discretised_gamma

ENDLESS = 10**9
INTERVAL = discretised_gamma(3.0, 1.5, 15) / discretised_gamma(3.0, 1.5, 15).sum()
TAUGHT, RECOVERED, DEGREE = 0.1, 0.2, 8.0
RATE = math.log((1 - TAUGHT) * (1 - RECOVERED) + DEGREE * TAUGHT)
R0 = DEGREE * TAUGHT / (TAUGHT + RECOVERED - TAUGHT * RECOVERED)


def branching(rng: np.random.Generator, mean: float, k: float, index: int, until: int, steps: int = 40) -> Cases:
    """Every case infects a negative-binomial number, each after an interval; up to the step in which `until` are cases."""
    onset, parent, fresh = np.full(index, -1), np.full(index, -1), np.arange(index)
    while len(fresh) and len(onset) < 20 * until:
        n = len(fresh)
        secondary = rng.poisson(mean, n) if math.isinf(k) else rng.negative_binomial(k, k / (k + mean), n)
        source = np.repeat(fresh, secondary)
        begun = onset[source] + rng.choice(len(INTERVAL), len(source), p=INTERVAL)
        kept = begun < steps
        fresh = np.arange(len(onset), len(onset) + int(kept.sum()))
        onset, parent = np.r_[onset, begun[kept]], np.r_[parent, source[kept]]
    reached = np.searchsorted(np.cumsum(np.bincount(onset[index:], minlength=steps)), until)
    return cases(onset, parent, ENDLESS, min(int(reached), steps - 1))


def cases(onset: NDArray[np.int64], parent: NDArray[np.int64], size: int, last: int) -> Cases:
    """Cases up to step `last`. onset: −1 for index cases. parent: place, −1 for none."""
    seen = np.flatnonzero(onset <= last)
    place = np.full(len(onset) + 1, -1)
    place[seen] = np.arange(len(seen))
    onset, parent = onset[seen], place[parent[seen]]
    target = np.flatnonzero(parent >= 0)
    nobody = np.zeros(len(onset), dtype=bool)
    return Cases(onset, onset < 0, nobody, parent[target], target, np.ones(len(target)), size, last)


def outbreak(size: int, index: int, k: int, steps: int = 40) -> Cases:
    """A simulated SIR in steps on a random network."""
    streams = Streams(10_000 + k)
    seeded = streams.generator("seeded").choice(size, index, replace=False)
    rates = (-math.log(1 - TAUGHT), -math.log(1 - RECOVERED))
    forest = simulate(sir(*rates), network(size), seeded, float(steps), streams, dt=1.0).forest
    place = np.full(size, -1)
    agents = np.r_[seeded, forest.agent]
    place[agents] = np.arange(len(agents))
    onset = np.r_[np.full(index, -1), forest.time.round().astype(np.int64) - 1]
    return cases(onset, np.r_[np.full(index, -1), place[forest.cause]], size, steps - 1)


@cache
def network(size: int) -> Network:
    """A random network of this size, made once."""
    return erdos_renyi(size, Streams(5), DEGREE)


def rate_of(mean: float) -> float:
    """The growth rate of branching processes: mean Σ w exp(−r s) = 1."""
    from scipy.optimize import brentq

    return float(brentq(lambda r: mean * INTERVAL @ np.exp(-r * np.arange(len(INTERVAL))) - 1, -2, 3))


def row(name: str, found: list[Estimate], truth: float, form: str = ".3f") -> str:
    """A line of the table: truth, bias, spread, width, coverage, misses on either side, epidemics without an estimate."""
    known = [(e.value, e.low, e.high) for e in found if e.value is not None]
    value, low, high = np.array(known, dtype=np.float64).T
    held = float(((low <= truth) & (truth <= high)).mean())
    sides = f"{(high < truth).mean():.1%} / {(low > truth).mean():.1%}"
    numbers = f"{truth:{form}} | {value.mean() - truth:+{form}} | {value.std():{form}} | {np.median(high - low):{form}}"
    return f"| {name} | {numbers} | **{held:.1%}** | {sides} | {len(found) - len(known)} |"


HEAD = """| epidemic | truth | bias | standard deviation | median width | held | truth above / below | none |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""

BRANCHES = ((1.5, math.inf, 5, 100), (2.0, math.inf, 5, 200), (2.0, 1.0, 5, 200), (2.0, 0.5, 5, 200), (2.0, 0.3, 5, 200))
BRANCHES += ((1.2, 0.5, 20, 200), (0.8, 1.0, 60, 500), (1.5, 1.0, 5, 30))
NETS = ((20_000, 10), (5_000, 10), (1_000, 10), (300, 5), (100, 3), (40, 2))
EVERYBODY = ((300, 5, 1.5), (300, 5, 2.0), (1_000, 20, 0.7), (1_000, 5, 1.5))


def growth(epidemics: int) -> Iterator[str]:
    rates, basics = [], []
    every: list[tuple[str, float, float, Callable[[int], Cases]]] = []
    for mean, k, index, until in BRANCHES:
        name = f"branching, R {mean:g}, k {k:g}, {index} index cases, {until} cases"
        rng = Streams(1).generator("branching", int(10 * mean), int(10 * min(k, 100)))
        every.append((name, rate_of(mean), mean, lambda _, given=(rng, mean, k, index, until): branching(*given)))
    for size, index in NETS:
        every.append((f"SIR, {size:,} agents, {index} index cases", RATE, R0, partial(outbreak, size, index)))
    for name, rate, mean, make in every:
        drawn = [make(k) for k in range(epidemics)]
        found = [early_growth(one) for one in drawn]
        rates.append(row(name, [one.rate for one in found], rate))
        basics.append(row(name, [from_growth(one, grown) for one, grown in zip(drawn, found, strict=True)], mean, ".2f"))
    yield from ("Growth rate:", "", HEAD, *rates, "", "R0 from growth and intervals:", "", HEAD, *basics)


def final(epidemics: int) -> Iterator[str]:
    yield from ("", "R0 from the final size:", "", HEAD)
    for size, index, truth in EVERYBODY:
        everybody, found = complete(size, Streams(0)), []
        for k in range(epidemics):
            streams = Streams(20_000 + k)
            out = simulate(sir(truth / size, 1.0), everybody, np.arange(index), 200.0, streams)
            found.append(from_final_size(len(out.forest), index, size, 0))
        yield row(f"SIR among everybody, {size:,} agents, {index} index cases", found, truth, ".2f")


def over_time(epidemics: int) -> Iterator[str]:
    yield from (
        "",
        "R over time, windows of 6 steps ending at step 13 (instantaneous) or beginning at step 8 (cohort, tree):",
        "",
        HEAD,
    )
    for mean, k in ((1.5, math.inf), (1.5, 1.0), (1.5, 0.5), (0.9, 1.0)):
        rng, parts = Streams(3).generator("over time", int(10 * mean), int(10 * min(k, 100))), ([], [], [])
        for _ in range(epidemics):
            one = branching(rng, mean, k, 40, ENDLESS // 100, 26)
            found = effective(one, width=6)
            for part, kept, first in zip((found.instantaneous, found.cohort, found.tree), parts, (8, 8, 8), strict=True):
                if part is not None:
                    at = int(np.flatnonzero(part.first == first)[0])
                    value = part.value[at]
                    known = None if math.isnan(value) else float(value)
                    kept.append(Estimate(known, float(part.low[at]), float(part.high[at]), "", 0))
        for name, kept in zip(("instantaneous", "cohort", "tree"), parts, strict=True):
            yield row(f"{name}, branching, R {mean:g}, k {k:g}", kept, mean, ".2f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epidemics", type=int, default=1000)
    chosen = parser.parse_args()
    for part in (growth, final, over_time):
        for line in part(chosen.epidemics):
            print(line, flush=True)


if __name__ == "__main__":
    main()
