"""How far the comparison of arms can be trusted: coverage of its intervals, false alarms of its tests, power of its advice.

    python benchmarks/arms.py            # the tables of docs/comparing.md, some minutes
    python benchmarks/arms.py --sets 200 # rougher

Attack rates have two humps: most outbreaks die out at once, the others reach about the same share. R of few cases is skewed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis import shares
from contagium.sim.analysis.arms import advice, chance, dose, intervals
from contagium.sim.analysis.arms.intervals import Floats
from contagium.sim.analysis.estimate import Estimate

Law = Callable[[np.random.Generator, int], Floats]


def outbreaks(share: float, size: float) -> Law:
    """Attack rates: `size` ± 0.05 in a `share` of runs, some 2% in the others."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        large = np.clip(rng.normal(size, 0.05, n), 0, 1)
        return np.where(rng.random(n) < share, large, rng.beta(1, 40, n))

    return draw


def secondary(mean: float, k: float, cases: int) -> Law:
    """R of a run: the mean of `cases` negative-binomial numbers of secondary cases."""
    return lambda rng, n: rng.negative_binomial(k, k / (k + mean), (n, cases)).mean(axis=1)


def happens(share: float) -> Law:
    return lambda rng, n: (rng.random(n) < share).astype(np.float64)


def lognormal(rng: np.random.Generator, n: int) -> Floats:
    return np.exp(rng.normal(0, 1, n))


PAIRS: dict[str, tuple[Law, Law, float]] = {
    "attack rate, 70% of 0.6, both arms": (outbreaks(0.7, 0.6), outbreaks(0.7, 0.6), 0.0),
    "attack rate, 80% of 0.6 less 50% of 0.5": (outbreaks(0.8, 0.6), outbreaks(0.5, 0.5), 0.48 - 0.25 + (0.2 - 0.5) / 41),
    "attack rate, 90% of 0.6 less 40% of 0.3": (outbreaks(0.9, 0.6), outbreaks(0.4, 0.3), 0.54 - 0.12 + (0.1 - 0.6) / 41),
    "attack rate, 100% of 0.6 less 30% of 0.4": (outbreaks(1.0, 0.6), outbreaks(0.3, 0.4), 0.6 - 0.12 - 0.7 / 41),
    "R 1.5 less 0.8, k = 0.3, 10 cases": (secondary(1.5, 0.3, 10), secondary(0.8, 0.3, 10), 0.7),
    "normal": (lambda rng, n: rng.normal(0.5, 1, n), lambda rng, n: rng.normal(0, 1, n), 0.5),
    "lognormal, σ = 1, both arms": (lognormal, lognormal, 0.0),
}


def holds(found: Estimate, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def bca(x: Floats, y: Floats, rng: np.random.Generator) -> Estimate:
    """The interval that is not used, for comparison."""
    from scipy.stats import bootstrap

    def gap(x: Floats, y: Floats, axis: int = -1) -> Floats:
        return x.mean(axis=axis) - y.mean(axis=axis)

    if np.ptp(x) + np.ptp(y) < 1e-9:
        return Estimate(0.0, None, None, "BCa", len(x))
    found = bootstrap((x, y), gap, n_resamples=999, method="BCa", rng=rng).confidence_interval
    return Estimate(0.0, float(found.low), float(found.high), "BCa", len(x))


def coverage(sets: int) -> None:
    print("| difference | n = 4 | 6 | 8 | 12 | 20 | BCa, n = 8 | 20 |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (law, other, truth) in PAIRS.items():
        row = [covered(law, other, truth, n, sets, intervals.difference) for n in (4, 6, 8, 12, 20)]
        row += [covered(law, other, truth, n, sets // 2, bca) for n in (8, 20)]
        print(f"| {name} | {' | '.join(f'{value:.1%}' for value in row)} |")


def covered(law: Law, other: Law, truth: float, n: int, sets: int, of: Callable[..., Estimate]) -> float:
    rng = Streams(1).generator("coverage", n)
    return float(np.mean([holds(of(law(rng, n), other(rng, n), rng), truth) for _ in range(sets)]))


def events(sets: int) -> None:
    print("\n| shares | n = 8 | 20 | 50 | of pairs, n = 20 |\n| --- | --- | --- | --- | --- |")
    for p, q in ((0.5, 0.5), (0.8, 0.4), (0.1, 0.1), (0.1, 0.02)):
        row = []
        for n in (8, 20, 50):
            rng = Streams(1).generator("events", n)
            drawn = [(happens(p)(rng, n), happens(q)(rng, n)) for _ in range(sets)]
            row.append(np.mean([holds(shares.proportion_difference(x, y), p - q) for x, y in drawn]))
        rng = Streams(1).generator("pairs")
        # Half of the pairs share their luck, where luck is the same.
        luck = [(rng.random(20), rng.random(20), rng.random(20) < 0.5) for _ in range(sets)]
        pairs = [((a < p).astype(float), (np.where(same, a, b) < q).astype(float)) for a, b, same in luck]
        row.append(np.mean([holds(shares.paired_proportion_difference(x, y), p - q) for x, y in pairs]))
        print(f"| {p} less {q} | {' | '.join(f'{value:.1%}' for value in row)} |")


def alarms(sets: int) -> None:
    print("\n| no effect; rejected at 5% | n = 4 | 8 | 12 | 20 |\n| --- | --- | --- | --- | --- |")
    wide, narrow = (lambda rng, n: rng.normal(0, 3, n)), (lambda rng, n: rng.normal(0, 1, n))
    laws: dict[str, tuple[Law, Law]] = {
        "attack rate, 70% of 0.6": (outbreaks(0.7, 0.6), outbreaks(0.7, 0.6)),
        "R 1.5, k = 0.3, 10 cases": (secondary(1.5, 0.3, 10), secondary(1.5, 0.3, 10)),
        "normal, SD 3 and 1": (wide, narrow),
    }
    for name, (law, other) in laws.items():
        row = []
        for n in (4, 8, 12, 20):
            rng = Streams(1).generator("alarms", n)
            row.append(
                np.mean([chance.unpaired(law(rng, n), other(rng, n), rng).p <= 0.05 for _ in range(sets // (4 if n > 7 else 1))])
            )
        print(f"| {name} | {' | '.join(f'{value:.1%}' for value in row)} |")
    rng = Streams(1).generator("trend")
    doses = np.repeat(np.arange(5.0), 4)
    trend = np.mean([chance.trend(doses, outbreaks(0.7, 0.6)(rng, 20), rng).p <= 0.05 for _ in range(sets // 2)])
    signs = np.mean(
        [chance.paired(outbreaks(0.7, 0.6)(rng, 8) - outbreaks(0.7, 0.6)(rng, 8), rng).p <= 0.05 for _ in range(sets)]
    )
    print(f"\nTrend over 5 doses × 4 runs: {trend:.1%}. Of 8 pairs: {signs:.1%}.")


def doses(sets: int) -> None:
    print("\n| dose and response, truth | slope | half dose held | half dose given |\n| --- | --- | --- | --- |")
    rng, grid = Streams(1).generator("doses"), np.repeat(np.arange(6.0), 8)
    hill, odds = grid**3 / (2.0**3 + grid**3), 1 / (1 + np.exp(-1.5 * (grid - 2.5)))
    spread = 0.05 + 0.05 * grid
    made: dict[str, tuple[Callable[[], Floats], float | None, float | None, bool]] = {
        "line of slope 0.3, spread grows with the dose": (lambda: 0.3 * grid + rng.normal(0, spread), 0.3, None, False),
        "Hill curve, half dose 2, h = 3, SD 0.1": (lambda: hill + rng.normal(0, 0.1, len(grid)), None, 2.0, False),
        "events, slope 1.5, half dose 2.5": (lambda: (rng.random(len(grid)) < odds).astype(float), 1.5, 2.5, True),
    }
    for name, (draw, slope, half, event) in made.items():
        found = [dose.dose_response("y", "x", "", grid, draw(), event, rng) for _ in range(sets // 4)]
        told = [one for one in found if one is not None]
        held = "" if slope is None else f"{np.mean([holds(one.slope, slope) for one in told if one.slope.value is not None]):.1%}"
        given = [one.half for one in told if one.half.value is not None]
        halves = "" if half is None else f"{np.mean([holds(one, half) for one in given]):.1%} | {len(given) / len(told):.0%}"
        print(f"| {name} | {held} | {halves or ' | '} |")


def power(sets: int) -> None:
    """The advice from the true spread, the power it gives when an arm is halved, and how often a pilot's range holds it."""
    print("\n| halved | advised | power | held by the range of a pilot |\n| --- | --- | --- | --- |")
    rng = Streams(1).generator("power")
    pairs: dict[str, tuple[Law, Law]] = {
        "R 1.5, k = 0.3, 10 cases": (secondary(1.5, 0.3, 10), secondary(0.75, 0.3, 10)),
        "attack rate, 70% of 0.6 → 0.3": (outbreaks(0.7, 0.6), outbreaks(0.7, 0.3)),
        "attack rate, 70% → 35% of 0.6": (outbreaks(0.7, 0.6), outbreaks(0.35, 0.6)),
        "normal, 2 ± 1 → 1 ± 1": (lambda rng, n: rng.normal(2, 1, n), lambda rng, n: rng.normal(1, 1, n)),
    }
    for name, (law, halved) in pairs.items():
        many = law(rng, 200_000)
        n = advice.replicates(float(many.mean() / 2 / many.std()), paired=False)
        assert n is not None
        seen = np.mean([chance.unpaired(halved(rng, n), law(rng, n), rng).p <= 0.05 for _ in range(sets // 4)])
        pilots = [(law(rng, 8), law(rng, 8)) for _ in range(sets // 2)]
        inside = np.mean([_inside(advice.halving("y", x, [x, y], rng), n) for x, y in pilots])
        print(f"| {name} | {n} | {seen:.1%} | {inside:.0%} (2 × 8 runs) |")
    for p in (0.8, 0.5, 0.2):
        n = advice.halving_share("y", int(10**6 * p), 10**6).n
        assert n is not None
        seen = np.mean([chance.events(happens(p / 2)(rng, n), happens(p)(rng, n)).p <= 0.05 for _ in range(sets)])
        inside = np.mean([_inside(advice.halving_share("y", int(happens(p)(rng, 20).sum()), 20), n) for _ in range(sets)])
        print(f"| happens in {p:.0%} of runs | {n} | {seen:.1%} | {inside:.0%} (20 runs) |")


def _inside(of: advice.Advice, n: int) -> bool:
    return of.low is not None and of.low <= n <= (of.high or advice.MOST)


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage, false alarms and power of the comparison of arms.")
    parser.add_argument("--sets", type=int, default=2000, help="simulated data sets for a cell")
    sets = parser.parse_args().sets
    for part in (coverage, events, alarms, doses, power):
        part(sets)


if __name__ == "__main__":
    main()
