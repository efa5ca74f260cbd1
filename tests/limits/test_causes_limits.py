"""The contagion tests on made worlds: how often they call contagion where there is none, and where there is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy.stats import binom

from contagium.envs.rng import Streams
from contagium.sim.analysis.causes.contagion import LEVEL
from contagium.sim.analysis.causes.permutation import heard_more
from contagium.sim.analysis.causes.timing import closer_in_time

WORLDS = 16


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """The benchmark, which makes the worlds."""
    path = Path(__file__).parents[2] / "benchmarks" / "contagion_tests.py"
    spec = importlib.util.spec_from_file_location("contagion_tests_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_contagion_is_not_called_where_there_is_none(made: ModuleType) -> None:
    """16 worlds of each kind without contagion: the verdict calls it in at most 5%, as far as so many can tell.

    The tolerance is the 99.9% quantile of what a true rate of 5% gives, by kind and for all kinds together.
    """
    counts = {name: made.called(world, WORLDS, 99) for name, world in made.NOTHING.items()}
    assert max(counts.values()) <= binom.ppf(0.999, WORLDS, LEVEL), counts
    assert sum(counts.values()) <= binom.ppf(0.999, WORLDS * len(counts), LEVEL), counts


def test_likeness_deceives_the_one_test_and_not_the_other(made: ModuleType) -> None:
    """What the verdict rests on: that those at risk who had heard more are next is no sign of contagion by itself."""
    world = made.NOTHING["likeness: one stretch of the ring, 20 times"]
    found = [made.replace(world, agents=96).made(seed) for seed in range(WORLDS)]
    heard = made.rejected([heard_more(of, 99, Streams(0).generator("heard")) for of in found])
    close = made.rejected([closer_in_time(of, 99, Streams(0).generator("close")) for of in found])
    assert heard > WORLDS / 2
    assert close <= binom.ppf(0.999, WORLDS, LEVEL)


def test_planted_contagion_is_called(made: ModuleType) -> None:
    """48 agents, one message in six passes it on: called in 89% of 100 worlds; at least in 70% of 16."""
    world = made.replace(made.PLANTED, passes=0.16)
    assert made.called(world, WORLDS, 99) >= 0.7 * WORLDS
