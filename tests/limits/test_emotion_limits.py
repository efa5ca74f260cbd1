"""The slopes of emotional contagion on made panels in which the truth is known; docs/emotion.md has the larger study."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binom

from contagium.sim.analysis.emotion import convergence as alike
from contagium.sim.analysis.emotion.regression import Lagged, lagged
from contagium.sim.analysis.emotion.transfer import transfer
from contagium.sim.analysis.estimate import Estimate

PANELS = 200


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """The benchmark, which makes the panels."""
    spec = importlib.util.spec_from_file_location("emotion_benchmark", Path(__file__).parents[2] / "benchmarks" / "emotion.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def holds(estimates: list[Estimate], truth: float) -> int:
    """How many intervals hold the truth."""
    return sum(e.low is not None and e.high is not None and e.low <= truth <= e.high for e in estimates)


def within(found: list[Lagged], name: str, truth: float) -> None:
    """The intervals hold the truth in 92% to 98%, but for what chance does to PANELS; the mean is within 3 errors of it."""
    told = [getattr(one, name) for one in found]
    assert binom.ppf(0.001, PANELS, 0.92) <= holds(told, truth) <= binom.ppf(0.999, PANELS, 0.98)
    values = np.array([one.value for one in told])
    assert values.mean() == pytest.approx(truth, abs=3 * values.std() / PANELS**0.5 + 0.01)


def test_slopes_are_recovered_with_their_stated_certainty(made: ModuleType) -> None:
    """Neighbours alike, a shock that lasts, readings missing: β = 0.3 and φ = 0.4 all the same, and no likeness left over."""
    world = made.World(agents=20, steps=16, inertia=0.4, contagion=0.3, alike=True, shock=0.1, missing=0.05)
    found = [lagged([world.made(seed)]) for seed in range(PANELS)]
    within(found, "contagion", 0.3)
    within(found, "inertia", 0.4)
    within(found, "asymmetry", 0.0)
    within(found, "placebo", 0.0)


def test_the_rules_of_mechanistic_agents_are_recovered(made: ModuleType) -> None:
    """Their `contagion` is β; what neither it nor `relaxation` covers is carried on."""
    found = lagged([made.World(agents=150, steps=60, inertia=0.4, contagion=0.3, law="mechanistic").made(1)])
    for told, truth in ((found.contagion, 0.3), (found.inertia, 0.4)):
        assert told.value is not None
        assert told.high is not None
        assert told.value == pytest.approx(truth, abs=3 * (told.high - told.value) / 1.96)
        assert told.high - told.value < 0.05


def test_no_false_alarm_without_contagion(made: ModuleType) -> None:
    """Neighbours alike and a shock felt unequally: at most 6% say contagion, but for what chance does to PANELS."""
    world = made.World(agents=20, steps=16, alike=True, shock=0.1, loads=0.5)
    found = [lagged([world.made(seed)]) for seed in range(PANELS)]
    assert PANELS - holds([one.contagion for one in found], 0.0) <= binom.ppf(0.999, PANELS, 0.06)
    assert PANELS - holds([one.placebo for one in found], 0.0) <= binom.ppf(0.999, PANELS, 0.06)


def test_the_placebo_tells_shocks_that_neighbours_share(made: ModuleType) -> None:
    world = made.World(agents=24, steps=24, local=0.24)
    found = [lagged([world.made(seed)]).placebo for seed in range(20)]
    assert sum(e.low is not None and e.low > 0 for e in found) >= 18


def test_flow_and_convergence_alarm_no_more_than_they_may(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same world, fewer panels and relabellings: three in a thousand runs of this test would reject more often by chance."""
    monkeypatch.setattr(alike, "RELABELLINGS", 99)
    monkeypatch.setattr("contagium.sim.analysis.emotion.transfer.SURROGATES", 39)
    world, panels = made.World(agents=16, steps=18, alike=True, shock=0.1, loads=0.5), 60
    p = []
    for seed in range(panels):
        panel = world.made(seed)
        flows = transfer([panel])
        p.append((alike.convergence([panel]).p, flows.entropy.p, flows.correlation.p))
    rejected = (np.array(p, dtype=np.float64) <= 0.05).sum(axis=0)
    assert rejected.max() <= binom.ppf(0.999, panels, 0.06)


@pytest.mark.parametrize("own", [0.0, -1.0])
def test_what_affect_does_to_uptake_is_told_with_its_stated_certainty(made: ModuleType, own: float) -> None:
    """Affect that follows what is heard, a persona that feels strongly and spreads by dose: no effect is found but that of own
    affect where it has one."""
    held = np.sum([made.kept_up(seed, own) for seed in range(60)], axis=0)
    assert held.min() >= binom.ppf(0.001, 60, 0.94)


@pytest.mark.parametrize("law", ["linear", "sisa", "threshold"])
def test_contagion_is_found_where_there_is_some(made: ModuleType, law: str) -> None:
    """Also where affect is a mood one is in or out of, that spreads by contact or past a threshold."""
    panel = made.World(agents=100, steps=50, contagion=0.4, inertia=0.4, law=law).made(2)
    slope = lagged([panel]).contagion
    assert slope.low is not None
    assert slope.low > 0


def test_flow_is_found_where_there_is_some(made: ModuleType) -> None:
    found = transfer([made.World(agents=60, steps=40, contagion=0.4, inertia=0.4).made(2)])
    assert found.entropy.p == 1 / 200
    assert found.correlation.p == 1 / 200


def test_growing_alike_is_found_where_it_happens(made: ModuleType) -> None:
    """Scattered at the start, those who hear each other settle together faster than they come near others."""
    world = made.World(agents=100, steps=12, contagion=0.1, inertia=0.9, scattered=True)
    found = alike.convergence([world.made(seed) for seed in range(3)])
    assert found.change.high is not None
    assert found.change.high < 0
    assert found.p is not None
    assert found.p <= 0.01
