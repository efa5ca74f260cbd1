"""Growth, R0 and R over time on simulated epidemics whose truth is known: 95% intervals hold it as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from contagium.agents.mechanistic.engine.simulate import simulate
from contagium.agents.mechanistic.models import sir
from contagium.agents.mechanistic.theory.outcomes import final_size
from contagium.envs.network import erdos_renyi
from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.basic import from_final_size, from_growth
from contagium.sim.analysis.spread.effective import Effective, effective
from contagium.sim.analysis.spread.growth import early_growth
from contagium.sim.analysis.spread.infectivity import Cases
from contagium.sim.analysis.spread.renewal import discretised_gamma

INTERVAL = discretised_gamma(3.0, 1.5, 15) / discretised_gamma(3.0, 1.5, 15).sum()
AGE = np.arange(len(INTERVAL))


def held(low: list[float], high: list[float], truth: float) -> None:
    """Between 92% and 98% of the intervals hold the truth, but for what three standard errors of so many allow."""
    n = len(low)
    share = float(np.mean((np.array(low) <= truth) & (truth <= np.array(high))))
    assert 0.92 - 3 * math.sqrt(0.92 * 0.08 / n) <= share <= min(0.98 + 3 * math.sqrt(0.98 * 0.02 / n), 0.999)


def cases(onset: NDArray[np.int64], parent: NDArray[np.int64], size: int, last: int) -> Cases:
    """Those up to step `last`. parent: place, −1 for none."""
    seen = np.flatnonzero(onset <= last)
    place = np.full(len(onset) + 1, -1)
    place[seen] = np.arange(len(seen))
    onset, parent = onset[seen], place[parent[seen]]
    target = np.flatnonzero(parent >= 0)
    nobody = np.zeros(len(onset), dtype=bool)
    return Cases(onset, onset < 0, nobody, parent[target], target, np.ones(len(target)), size, last)


def branching(rng: np.random.Generator, mean: float, k: float, index: int, steps: int) -> Cases:
    onset, parent, fresh = np.full(index, -1), np.full(index, -1), np.arange(index)
    while len(fresh):
        source = np.repeat(fresh, rng.negative_binomial(k, k / (k + mean), len(fresh)))
        begun = onset[source] + rng.choice(len(INTERVAL), len(source), p=INTERVAL)
        kept = begun < steps
        fresh = np.arange(len(onset), len(onset) + int(kept.sum()))
        onset, parent = np.r_[onset, begun[kept]], np.r_[parent, source[kept]]
    return cases(onset, parent, 10**9, steps - 1)


def test_growth_and_r0_of_branching_processes_are_held_and_hardly_biased() -> None:
    """R 2 and dispersion 1: as uneven as exponential infectious periods make it. The truth of r solves 2 Σ w exp(−r s) = 1."""
    rng = Streams(21).generator("branching")
    drawn = [branching(rng, 2.0, 1.0, 6, 14) for _ in range(300)]
    found = [early_growth(one) for one in drawn]
    known = [(one, grown) for one, grown in zip(drawn, found, strict=True) if grown.rate.value is not None]
    assert len(known) > 280
    truth = 0.25314
    assert 2 * INTERVAL @ np.exp(-truth * AGE) == pytest.approx(1, abs=1e-4)
    held([g.rate.low for _, g in known], [g.rate.high for _, g in known], truth)
    basic = [from_growth(one, grown) for one, grown in known]
    held([b.low for b in basic], [b.high for b in basic], 2.0)
    values = np.array([g.rate.value for _, g in known])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(len(values)) + 0.01


def test_growth_and_r0_of_a_simulated_epidemic_on_a_network_are_held() -> None:
    """SIR in steps, b = 0.1 a contact, g = 0.2, 8 contacts: exp(r) = (1 − b)(1 − g) + 8 b, R0 = 8 b / (b + g − b g)."""
    size, rate, basic = 3_000, 0.41871, 8 * 0.357143
    network = erdos_renyi(size, Streams(5), 8.0)
    rates, basics = [], []
    for k in range(200):
        streams = Streams(100 + k)
        seeded = streams.generator("seeded").choice(size, 10, replace=False)
        forest = simulate(sir(-math.log(0.9), -math.log(0.8)), network, seeded, 12.0, streams, dt=1.0).forest
        agents = np.r_[seeded, forest.agent]
        place = np.full(size, -1)
        place[agents] = np.arange(len(agents))
        onset = np.r_[np.full(10, -1), forest.time.round().astype(np.int64) - 1]
        one = cases(onset, np.r_[np.full(10, -1), place[forest.cause]], size, 11)
        grown = early_growth(one)
        rates.append(grown.rate)
        basics.append(from_growth(one, grown))
    held([r.low for r in rates], [r.high for r in rates], rate)
    held([b.low for b in basics], [b.high for b in basics], basic)
    assert np.mean([r.value for r in rates]) == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("r0", [1.5, 3.0])
def test_r0_of_the_mass_action_final_size_is_its_inverse(r0: float) -> None:
    """The limit of few index cases among a million, and, with many index cases and little spread, 1 − index/all."""
    size = 1_000_000
    found = from_final_size(round(final_size(r0) * size), 1, size, 0)
    assert found.value == pytest.approx(r0, abs=1e-4)
    below = from_final_size(100, 100, size, 0)
    assert below.value == pytest.approx(0.5, abs=1e-3)


def test_interval_of_r0_from_the_final_size_holds_the_truth() -> None:
    """Outbreaks among 500 drawn by the thresholds of Sellke 1983, exponential infectious periods, R0 = 2."""
    rng, size, index, found = Streams(23).generator("sellke"), 500, 10, []
    for _ in range(400):
        resistance = np.sort(rng.exponential(size=size - index))
        pressure = 2.0 * np.cumsum(rng.exponential(size=size)) / size
        new = int(np.argmax(np.r_[resistance, np.inf] > pressure[index - 1 :][: size - index + 1]))
        found.append(from_final_size(new, index, size, 0))
    known = [one for one in found if one.value is not None]
    assert len(known) > 390
    held([one.low for one in known], [one.high for one in known], 2.0)


@pytest.fixture(scope="module")
def over_time() -> list[Effective]:
    rng = Streams(25).generator("over time")
    return [effective(branching(rng, 1.3, 1.0, 40, 28), width=6) for _ in range(200)]


@pytest.mark.parametrize("which", ["instantaneous", "cohort", "tree"])
def test_r_over_time_holds_the_truth_of_branching_processes(which: str, over_time: list[Effective]) -> None:
    found = [getattr(one, which) for one in over_time]
    # Windows of steps 8 to 13: those infectious in them, and those that begin in them.
    at = [int(np.flatnonzero(part.first == 8)[0]) for part in found]
    value = np.array([part.value[k] for part, k in zip(found, at, strict=True)])
    assert not np.isnan(value).any()
    held([part.low[k] for part, k in zip(found, at, strict=True)], [part.high[k] for part, k in zip(found, at, strict=True)], 1.3)
    assert abs(value.mean() - 1.3) < 4 * value.std() / math.sqrt(len(value)) + 0.02
