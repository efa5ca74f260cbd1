"""The reproduction number and its interval against branching processes whose truth is known, and a published fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import contagium
from contagium.envs.rng import Streams
from contagium.sim.analysis import reproduction_number
from contagium.sim.analysis.trees.offspring import Counts, surface
from contagium.sim.analysis.trees.reproduction import MINIMUM_CASES, interval, secondary_cases
from contagium.sim.analysis.trees.tree import chains
from contagium.sim.log import EventLog, Run

# Secondary cases of 152 cases of Ebola in Guinea, 2014: those that caused any; 109 caused none. Source: Althaus 2015.
EBOLA = (
    [1, 2, 2, 5, 14, 1, 4, 4, 1, 3, 3, 8, 2, 1, 1, 4, 9, 9, 1, 1, 17, 2, 1, 1, 1, 4, 3, 3, 4, 2, 5, 1, 2, 2, 1, 9, 1, 3, 1]
    + [2, 1, 1, 2]
    + [0] * 109
)


def offspring(rng: np.random.Generator, mean: float, k: float, size: int) -> NDArray[np.int64]:
    """Negative-binomial counts with this mean and dispersion."""
    return rng.negative_binomial(k, k / (k + mean), size)


def branching(path: Path, mean: float, k: float, index: int, steps: int, rng: np.random.Generator, lag: int = 3) -> Run:
    """A log of a branching process: each case infects `offspring` many, each 1 to `lag` steps later; nobody ever runs out."""
    cases = [(-1, -1)] * index
    for k_th, (onset, _) in enumerate(cases):
        for delay in rng.integers(1, lag + 1, int(offspring(rng, mean, k, 1)[0])):
            if onset + delay < steps:
                cases.append((onset + int(delay), k_th))
    log = EventLog(path)
    log.meta({"strains": ["s"], "seed": 1})
    log.add("agent", [(i, str(i), "g", "s" if source < 0 else None, 1.0, 1.0, 0) for i, (_, source) in enumerate(cases)])
    log.add("transition", [(i, onset, onset, i, "s", "case", "S", "I") for i, (onset, _) in enumerate(cases)])
    log.add("cause", [(i, 0, source, onset - 1, 1.0, 1.0) for i, (onset, source) in enumerate(cases) if source >= 0])
    log.add("step", [(step, 0, 0, 0, 0, 0.0) for step in range(steps)])
    log.commit()
    log.close()
    return contagium.open_run(path)


def test_published_fit_of_the_dispersion() -> None:
    counts = np.array(EBOLA, dtype=np.float64)
    assert (len(counts), counts.sum()) == (152, 145)
    held, k = Counts.of(counts), surface(Counts.of(counts)).likeliest
    assert held.mean == pytest.approx(0.953947, abs=1e-6)
    assert k == pytest.approx(0.18151, abs=1e-4)
    assert held.log_likelihood(np.array([held.mean]), np.array([k])).item() == pytest.approx(-177.1966, abs=1e-4)


@pytest.mark.parametrize(("mean", "k"), [(0.6, 0.3), (1.5, 1e4), (2.0, 0.5)])
def test_estimate_lies_within_its_standard_error_of_the_truth(tmp_path: Path, mean: float, k: float) -> None:
    run = branching(tmp_path / "run.db", mean, k, index=300, steps=12, rng=Streams(11).generator("branching", int(10 * mean)))
    found = reproduction_number(run)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.n > 300
    error = math.sqrt(mean * (1 + mean / k) / found.n)
    assert abs(found.value - mean) < 3 * error
    assert found.low < mean < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_the_end_of_the_run_does_not_bias(tmp_path: Path) -> None:
    """The run ends in mid-epidemic: cases that could not be followed are left out, or the estimate would sink far below 2."""
    run = branching(tmp_path / "run.db", 2.0, 2.0, index=400, steps=5, rng=Streams(5).generator("cut"), lag=3)
    found = reproduction_number(run)
    assert found.value is not None
    assert abs(found.value - 2.0) < 3 * math.sqrt(2.0 * (1 + 2.0 / 2.0) / found.n)
    everybody = np.bincount(run.causes["source"], minlength=len(run.agents)).mean()
    assert everybody < 1.5


@pytest.mark.parametrize(("mean", "k", "n"), [(0.5, 0.5, 8), (1.5, 2.0, 12), (3.0, 0.5, 20)])
def test_interval_covers_the_truth_as_often_as_it_says(mean: float, k: float, n: int) -> None:
    rng, repeats = Streams(3).generator("coverage", n), 100
    drawn = [interval(offspring(rng, mean, k, n)) for _ in range(repeats)]
    covered = sum(low <= mean <= high for low, high in drawn)
    # 95% less three binomial standard errors; conservative is allowed.
    assert covered >= 95 - 3 * math.sqrt(100 * 0.95 * 0.05)
    assert all(low < high for low, high in drawn)


def test_interval_of_nothing_but_zeros_is_bounded_in_closed_form() -> None:
    """With k at its least, n zeros weigh 2 n k ln(1 + R / k) against Student's quantile for 9 degrees of freedom, 2.262157²."""
    low, high = interval(np.zeros(10))
    assert low == 0
    assert high == pytest.approx(0.1 * math.expm1(2.262157**2 / (2 * 10 * 0.1)), rel=2e-3)


def test_uncertain_sources_share_a_case(tmp_path: Path) -> None:
    run = two_sources(tmp_path / "run.db")
    counts = secondary_cases(chains(run), 9, 5)
    # The seventh case was followed for the whole window of five steps, and caused nobody.
    assert (len(counts), counts.mean()) == (7, pytest.approx(0.9 / 7))
    found = reproduction_number(run)
    assert (found.value, found.n) == (None, 7)
    assert str(found.reason) == "7 cases do not bound it: 0.13 seen, at least 0"


def two_sources(path: Path) -> Run:
    """Six index cases; one more case, which agent 0 caused with probability 0.7 and agent 1 with 0.2."""
    log = EventLog(path)
    log.meta({"strains": ["s"], "seed": 1})
    log.add("agent", [(i, str(i), "g", "s" if i < 6 else None, 1.0, 1.0, 0) for i in range(7)])
    log.add("transition", [(i, *(2 * [-1 if i < 6 else 4]), i, "s", "case", "S", "I") for i in range(7)])
    log.add("cause", [(6, 0, 0, 0, 1.0, 0.4), (6, 1, 0, 1, 1.0, 0.3), (6, 2, 1, 1, 1.0, 0.2)])
    log.add("step", [(step, 0, 0, 0, 0, 0.0) for step in range(10)])
    log.commit()
    log.close()
    return contagium.open_run(path)


@pytest.mark.parametrize(
    ("index", "steps", "reason"),
    [
        (0, 10, "no index cases"),
        (8, 0, "no step was done"),
        (MINIMUM_CASES - 1, 10, f"too few cases to say: {MINIMUM_CASES - 1}, all of them index cases"),
    ],
)
def test_what_cannot_be_said_is_not_said(tmp_path: Path, index: int, steps: int, reason: str) -> None:
    found: Any = reproduction_number(branching(tmp_path / "run.db", 0.0, 1.0, index, steps, Streams(1).generator("none")))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert reason in found.reason
    assert json.dumps(found.n)


def test_seeding_without_any_spread_is_a_zero_with_an_upper_limit(tmp_path: Path) -> None:
    found = reproduction_number(branching(tmp_path / "run.db", 0.0, 1.0, 20, 10, Streams(1).generator("none")))
    assert (found.value, found.low, found.n) == (0.0, 0.0, 20)
    assert found.high is not None
    assert 0 < found.high < 0.3
