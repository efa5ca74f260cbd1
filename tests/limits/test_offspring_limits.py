"""Offspring, intervals and R of trees against closed forms, published fits and epidemics whose truth is known."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import nbinom

from contagium.envs.network import erdos_renyi
from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.growth import extinction_probability
from contagium.sim.analysis.trees.forest import sample
from contagium.sim.analysis.trees.intervals import interval_weights, intervals
from contagium.sim.analysis.trees.offspring import Counts, extinction, normal_limit, offspring, responsible, surface
from contagium.sim.analysis.trees.reproduction import counts_of, estimate, first_generations, half, trees

BENCHMARK = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "coverage_trees.py"))
EPIDEMICS, LAST = 200, 18
LAW = BENCHMARK["LAW"]


def least(repeats: int) -> float:
    """The least share of 95% intervals that may hold the truth: three standard errors below 95%."""
    return 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


@pytest.fixture(scope="module")
def certain() -> list[Any]:
    """Branching processes with R = 1.5 and k = 0.5, all sources known."""
    return [BENCHMARK["branching"](Streams(21).generator("certain", each), 1.5, 0.5, 20, LAST) for each in range(EPIDEMICS)]


def test_intervals_of_r_and_k_hold_the_truth_as_often_as_they_say(certain: list[Any]) -> None:
    window, r, k = half(LAST), [], []
    for found in certain:
        drawn = sample(found)
        one = estimate(found, LAST, sampled=drawn)
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        r.append((one.value, one.low <= 1.5 <= one.high))
        told = surface(counts_of(found, drawn, first_generations(found, LAST, window), LAST, window))
        low, high = told.dispersions(normal_limit())
        k.append((math.log(told.likeliest / 0.5), low <= 0.5 <= high))
    for values, truth in ((r, 1.5), (k, 0.0)):
        value, held = np.array(values).T
        assert least(EPIDEMICS) <= held.mean()
        # A mean over generations of few index cases is somewhat low, as its docstring says.
        assert abs(np.median(value) - truth) < 0.12


def test_the_mean_interval_is_not_cut_short_by_the_end_of_a_growing_epidemic(certain: list[Any]) -> None:
    truth = float(LAW @ np.arange(len(LAW)))
    found = [intervals(one, LAST, sample(one)) for one in certain]
    known = [one.mean for one in found if one.mean.value is not None]
    assert len(known) > 0.97 * EPIDEMICS
    held = np.mean([one.low <= truth <= one.high for one in known if one.low is not None and one.high is not None])
    assert least(EPIDEMICS) <= held <= 0.99
    middle = float(np.median([one.value for one in known if one.value is not None]))
    assert middle == pytest.approx(truth, rel=0.03)
    plain = float(np.median([one.observed for one in found if one.observed is not None]))
    assert plain < truth - 0.2
    weights = interval_weights(max(found, key=lambda one: one.mean.n))
    assert weights[0] == 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights @ np.arange(len(weights)) == pytest.approx(truth, rel=0.15)


def test_unsure_sources_hide_how_uneven_transmission_is_unless_drawn_with_k() -> None:
    """Most cases have a second candidate: drawn one by one, they look like Poisson offspring; drawn together, k is found."""
    window, alone, together, held = half(LAST), [], [], []
    for each in range(12):
        found = BENCHMARK["branching"](Streams(22).generator("unsure", each), 1.5, 0.5, 30, LAST, True)
        cohort = first_generations(found, LAST, window)
        alone.append(surface(counts_of(found, sample(found), cohort, LAST, window)).likeliest)
        told = surface(counts_of(found, trees(found, LAST, window), cohort, LAST, window))
        together.append(told.likeliest)
        low, high = told.dispersions(normal_limit())
        held.append(low <= 0.5 <= high)
    assert np.median(alone) > 1.2
    assert np.median(together) == pytest.approx(0.5, rel=0.35)
    assert sum(held) >= 9


def test_early_r_and_intervals_of_outbreaks_on_a_network() -> None:
    """R0 = mean degree × transmissibility, intervals geometric, on an Erdős–Rényi network. Source: Newman 2002."""
    network = erdos_renyi(5000, Streams(2), 4.0)
    escape, last = (1 - 0.1) * (1 - 0.2), 24
    truth, step = 4 * 0.1 / (1 - escape), 1 / (1 - escape)
    r, d = [], []
    for each in range(40):
        found = BENCHMARK["outbreak"](network, Streams(each), 15, last)
        r.append(estimate(found, last))
        d.append(intervals(found, last).mean)
    for told, right in ((r, truth), (d, step)):
        inside = [one.low <= right <= one.high for one in told if one.low is not None and one.high is not None]
        assert len(inside) > 37
        assert np.mean(inside) > least(len(inside))
        middle = float(np.median([one.value for one in told if one.value is not None]))
        assert middle == pytest.approx(right, rel=0.08)


@pytest.mark.parametrize("k", [0.1, 0.5, 2.0, 1e4])
def test_extinction_and_the_few_agree_with_scalar_theory_and_with_a_large_sample(k: float) -> None:
    mean = np.array([0.7, 1.5, 2.5])
    found = extinction(mean, np.array(k))
    assert found == pytest.approx([extinction_probability(r, k) for r in mean], abs=1e-9)
    counts = np.sort(nbinom.rvs(k, k / (k + 2.5), size=400_000, random_state=Streams(4).generator("few")))[::-1]
    needed = int(np.searchsorted(counts.cumsum(), 0.8 * counts.sum())) / len(counts)
    assert float(responsible(np.array([2.5]), np.array([k]))[0]) == pytest.approx(needed, abs=0.004)


def test_the_few_of_a_published_epidemic() -> None:
    """With R = 2.5 and k = 0.1 about a tenth of cases cause 80% of others. Source: Endo et al. 2020."""
    assert float(responsible(np.array([2.5]), np.array([0.1]))[0]) == pytest.approx(0.1, abs=0.01)


def test_an_open_end_of_k_is_said_in_words() -> None:
    even = offspring(Counts.of([2] * 40))
    assert even.k.value is None
    assert even.k.reason is not None
    assert even.k.reason.startswith("k > ")
    assert even.k.reason.endswith("not told from Poisson by 40 cases")
    assert even.mean.value == 2
    assert even.seen == {2: 1.0}
    uneven = offspring(Counts.of([0] * 50 + [25, 30]))
    assert uneven.k.high is not None
    assert uneven.k.high < 0.2
    assert uneven.extinction.high is not None
    assert uneven.extinction.high > uneven.extinction.low  # type: ignore[operator]


def test_trees_that_disagree_widen_the_interval() -> None:
    """Forty cases with one secondary case in all trees, against trees in which all or none of these were theirs."""
    sure = surface(Counts.of([1] * 40)).means(4)
    unsure = surface(Counts.of([[1] * 40, [2] * 40, [0] * 39 + [1]])).means(4)
    assert unsure[0] < sure[0] < 1 < sure[1] < unsure[1]


@pytest.mark.parametrize("wrong", [[], [1, -1], [[]]])
def test_counts_must_be_counts(wrong: list[Any]) -> None:
    with pytest.raises(ValueError, match="secondary cases must be one or more non-negative counts"):
        Counts.of(wrong)
