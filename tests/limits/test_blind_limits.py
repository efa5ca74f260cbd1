"""Blind detection on made logs in which it is known what spreads, and that nothing does."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scipy.stats import binom

from contagium.envs.rng import Streams
from contagium.sim.analysis.blind.features import features
from contagium.sim.analysis.blind.search import LEVEL, WINDOW, search
from contagium.sim.analysis.blind.uptake import contacts, uptake


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """The benchmark, which makes the logs."""
    spec = importlib.util.spec_from_file_location("blind_benchmark", Path(__file__).parents[2] / "benchmarks" / "blind.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_word_that_spreads_is_found_first(made: ModuleType) -> None:
    """The word spreads by SI among some 200 others: foremost and p < 0.05 in at least 90% of 20 logs."""
    world, found = made.World(agents=32, beta=0.1), 0
    for seed in range(20):
        messages, exposures = world.made(seed)
        best = search(messages, exposures, permutations=99).traces[0]
        if best.name == made.TOKEN and best.p < LEVEL:
            found += 1
            assert best.ratio > best.low > 1
            told = messages[messages["text"].str.contains(made.TOKEN)]
            assert best.first_step == told["step"].min()
            assert set(best.first) == set(told.loc[told["step"] == best.first_step, "sender"])
    assert found >= 18


def test_nothing_is_found_where_nothing_spreads(made: ModuleType) -> None:
    """240 logs without contagion, in half of which everybody says one word ever more often: named in 5% of them.

    12 are expected. The tolerance holds 98% of what a true rate of 5% gives: 5 to 21.
    """
    small = replace(made.NOTHING, agents=12, steps=10, words=8, vocabulary=60)
    named = sum(foremost(small if seed % 2 else replace(small, trend=0.6), seed) < LEVEL for seed in range(240))
    assert binom.ppf(0.01, 240, LEVEL) <= named <= binom.ppf(0.99, 240, LEVEL)
    assert named <= 0.06 * 240, "and for these seeds no more than 6%"


def foremost(world: object, seed: int) -> float:
    """The least p-value of any feature."""
    messages, exposures = world.made(seed)  # type: ignore[attr-defined]
    who = contacts(messages, exposures, WINDOW)
    shown = features(messages["text"].tolist(), who.sender, who.step, "not needed")
    found = uptake(who, shown.used, 199, Streams(seed).generator("test"))
    return float(min(found.p[found.p == found.p], default=1.0))
