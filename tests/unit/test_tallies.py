"""What came of acts and what interventions did, counted from the log."""

import asyncio
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.tables import html_table
from contagium.sim.analysis.tallies import interventions, outcomes, ratio, tables, told
from contagium.sim.laboratory import prepare
from contagium.sim.log import open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario


def test_the_ratio_of_clusters_is_that_of_the_textbook() -> None:
    # Four clusters by hand: 10 of 20; residuals 1, -0.5, -1, 0.5 about half; 2.5 of squares.
    found = ratio(np.array([3.0, 2.0, 1.0, 4.0]), np.array([4.0, 5.0, 4.0, 7.0]))
    assert found.value == pytest.approx(0.5)
    assert found.low is not None
    error = np.sqrt(4 / 3 * 2.5) / 20
    assert found.low == pytest.approx(0.5 - 3.182446 * error, abs=1e-5)


def test_what_never_happened_has_an_upper_bound_and_two_agents_have_none() -> None:
    never = ratio(np.zeros(10), np.full(10, 3.0))
    assert (never.value, never.low) == (0.0, 0.0)
    assert never.high == pytest.approx(0.2775, abs=1e-4), "Wilson, none of ten"
    assert ratio(np.ones(2), np.ones(2)) == Estimate(None, None, None, "ratio, by agents", 2, "fewer than 3 agents")


def test_intervals_of_shares_stay_within_0_and_1_and_hold_the_truth_where_it_is_rare() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        found = ratio(rng.binomial(8, rng.beta(1, 9, size=12)).astype(float), np.full(12, 8.0), shares=True)
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low < found.high <= 1
        held += found.low <= 0.1 <= found.high
    assert held / 400 >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 400)
    alike = ratio(np.full(5, 2.0), np.full(5, 4.0), shares=True)
    assert (alike.low, alike.high) == pytest.approx((0.2363, 0.7637), abs=1e-4), "no more turns than there are: 10 of 20, t of 4"


def test_intervals_hold_the_truth_where_agents_differ() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        own = rng.beta(2, 4, size=40)
        found = ratio(rng.binomial(6, own).astype(float), np.full(40, 6.0))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1 / 3 <= found.high
    assert held / 400 == pytest.approx(0.95, abs=3.5 * np.sqrt(0.95 * 0.05 / 400))


def test_a_run_tells_what_its_world_and_interventions_did(tmp_path: Path) -> None:
    arms = ["agents=mechanistic", "observer=lexicon", "env=commons", "intervention=quarantine", "population.size=12", "steps=4"]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", arms), resolve=True)
    asyncio.run(run(prepare(make_scenario(composed), tmp_path), "test", lambda progress: None, lambda: None))
    with closing(open_run(tmp_path)) as log:
        took, did = outcomes(log).set_index("name").loc["took"], interventions(log)
        reward = log.table("reward")["reward"].sum()
        withheld = int(log.table("message")["withheld"].sum())
        page, said = " ".join(map(html_table, tables(log))), told(log)
    assert took["turns"] == 48
    assert took["mean"] * 48 == pytest.approx(reward)
    assert did[["name", "action"]].to_numpy().tolist() == [["quarantine", "withheld"]]
    assert did["times"].sum() == withheld > 0
    assert said["interventions"] == {"quarantine": {"withheld": withheld}}
    assert "What came of acts" in page
    assert "What interventions did" in page
