"""Fitted rates against what epidemics were made with: coverage, false alarms, whole runs, held-out runs."""

from __future__ import annotations

import asyncio
import json
import runpy
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contagium.envs.rng import Streams
from contagium.sim.analysis.fit.command import main, told
from contagium.sim.analysis.fit.compose import Rates
from contagium.sim.analysis.fit.course import I, S
from contagium.sim.analysis.fit.hazard import hazard
from contagium.sim.analysis.fit.likelihood import Form
from contagium.sim.analysis.fit.model import Fitted, fit
from contagium.sim.analysis.fit.predict import check, failures, observed, predict
from contagium.sim.analysis.fit.search import maximise
from contagium.sim.analysis.fit.world import stage
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

BENCHMARK = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "coverage_fit.py"))
TRUE = {"spontaneous": 0.01, "transmission": 0.3, "recovery": 0.25}


def scenario(seed: int, size: int = 70, steps: int = 14) -> dict[str, Any]:
    """SISa by forum posts, three read a step, one of them from anywhere."""
    rates = {"onset_rate": 0.01, "transmission_rate": 0.3, "recovery_rate": 0.25}
    model = {"_target_": "contagium.agents.mechanistic.models.sisa"} | rates
    policy = {"_target_": "contagium.agents.mechanistic.policy.Mechanistic", "model": model}
    return {
        "name": "fitted",
        "seed": seed,
        "steps": steps,
        "env": {"_target_": "contagium.envs.forum.Forum", "reads": 3, "board_reads": 1, "window": 1},
        "network": {"_target_": "contagium.envs.network.small_world", "neighbours": 4},
        "population": {"size": size},
        "agents": {"groups": {"mechanistic": {"policy": policy, "share": 1}}},
        "backend": {"_target_": "contagium.agents.backends.parrot.Parrot"},
        "persona": {"name": "spiral", "detection": {"expression": {"enter": 0.5, "stay": 0.5}}},
        "background": {"name": "plain"},
        "seeding": {"count": 6},
        "pressure": {},
        "intervention": {},
        "observer": {
            "instruments": {"expression": {"_target_": "contagium.sim.observer.instruments.expression.Expression"}},
            "axes": {"valence": ["expression"], "arousal": ["expression"], "dominance": ["expression"]},
            "case": {"instrument": "expression"},
        },
        "log": {"detailed_agents": size},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Run]]:
    place, found = tmp_path_factory.mktemp("fit"), []
    for seed in range(3):
        laboratory = prepare(make_scenario(scenario(seed)), place / str(seed))
        asyncio.run(run(laboratory, "", lambda progress: None, lambda: None))
        found.append(open_run(place / str(seed)))
    yield found
    for one in found:
        one.close()


@pytest.fixture(scope="module")
def fitted(runs: list[Run]) -> Fitted:
    return fit(runs[:2], kind="latent")


@pytest.mark.parametrize(("name", "epidemics"), [("simple", 50), ("relapse", 40)])
def test_intervals_hold_the_truth(name: str, epidemics: int) -> None:
    """At a true coverage of 95%, fewer than 85% of 40 to 50 are held once in two hundred times at most."""
    for rate, (truth, estimates) in BENCHMARK["study"](name, epidemics, seed=3).items():
        held = np.mean([BENCHMARK["holds"](truth, estimate) for estimate in estimates])
        assert held >= 0.85, rate
        values = np.array([estimate.value for estimate in estimates])
        assert abs(values.mean() - truth) < 4.5 * values.std(ddof=1) / epidemics**0.5, rate


def test_simple_is_seldom_called_complex() -> None:
    said = BENCHMARK["verdicts"]("simple", 6, seed=3)
    assert sum(said.values()) == 6
    assert said.get("complex", 0) <= 1  # at 5% more than this happens once in thirty times


def test_rates_of_whole_runs_are_found_in_their_logs(fitted: Fitted) -> None:
    for name, truth in TRUE.items():
        found = fitted.estimates[name]
        assert found.low is not None
        assert found.high is not None
        # 99.9% of the time within twice the 95% interval's reach.
        reach = (found.high - found.low) / 2
        assert abs((found.low + found.high) / 2 - truth) < 1.7 * reach, name
    assert fitted.model.compartments == ("S", "I")
    assert fitted.estimates["shedding"].value == 1
    assert "hesitation" not in fitted.estimates
    assert any("Hesitation: none" in note for note in fitted.notes)


def test_what_the_observer_sees_has_other_words_for_the_same_epidemic(runs: list[Run], fitted: Fitted) -> None:
    """Outright expressions are observed without error: a second onset is a relapse there, and the first is the same hazard."""
    seen = fit(runs[:1], kind="case")
    for name in ("transmission", "recovery"):
        mine, theirs = seen.estimates[name], fitted.estimates[name]
        assert mine.value is not None
        assert theirs.value is not None
        assert mine.value == pytest.approx(theirs.value, rel=0.35)
    again = seen.estimates["reinfection"]
    assert again.low is not None
    assert again.high is not None
    assert again.low < 1 < again.high
    assert any("false alarms" in note for note in seen.notes)


def test_onsets_that_are_missed_lower_the_rate_as_the_notes_say() -> None:
    """A third of the onsets go unseen while doses are known: the rate is lower by about as much."""
    first = BENCHMARK["epidemic"](BENCHMARK["TRUTHS"]["simple"], Streams(9).generator("misread"))[S, I]
    rng = Streams(9).generator("missed")
    missed = first.event & (rng.random(len(first)) < 1 / 3)
    seen = replace(first, event=first.event & ~missed)
    true, biased = (maximise(part, Form("linear")).of("transmission") for part in (first, seen))
    assert 0.5 * true < biased < 0.85 * true


def test_a_held_out_run_is_predicted_and_another_world_is_not(runs: list[Run], fitted: Fitted) -> None:
    found = asyncio.run(check(fitted, runs[2], 30))
    assert failures([found]) == []
    assert set(found.p) == {"attack", "peak", "peak_step", "curve"}
    assert min(found.p.values()) > 0
    assert np.all(found.low <= found.high)
    tame = Fitted(**{**vars(fitted), "objective": Slower(fitted)})
    assert failures([asyncio.run(check(tame, runs[2], 90))])


class Slower:
    """A likelihood whose best transmission is a fifth of what was measured."""

    def __init__(self, fitted: Fitted) -> None:
        self.names, self.bounds = fitted.objective.names, fitted.objective.bounds
        self._best = fitted.at - np.log(5) * (np.array(self.names) == "transmission")

    def __call__(self, at: np.ndarray) -> tuple[float, np.ndarray]:
        off = np.clip(at, *np.array(self.bounds).T) - self._best
        return float(200 * (off**2).sum()), 400 * off


def test_larger_populations_are_predicted_with_the_same_share_of_index_cases(runs: list[Run], fitted: Fitted) -> None:
    found = asyncio.run(predict(fitted, runs[0], agents=500, draws=5))
    assert (found.agents, found.index, found.draws) == (500, 43, 5)
    assert found.predicted["peak"].method == "median and range of 5 draws of predicted epidemics"
    assert np.all(found.low <= found.middle)
    alone = asyncio.run(predict(fitted, runs[0], agents=60, draws=1)).predicted["peak"]
    assert (alone.low, alone.high) == (None, None)
    small, large = observed(runs[0], kind="latent"), found.predicted["peak"]
    assert large.low is not None
    assert large.high is not None
    assert large.low - 0.1 < small.peak < large.high + 0.1
    assert len(found.middle) == 14


def test_a_log_from_elsewhere_runs_nothing(runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign = tmp_path / "sign"
    for name, env, line in (
        ("system", {"_target_": "os.system", "command": f"touch {sign}"}, "env._target_: 'os.system' is no part of Contagium"),
        ("other", {"_target_": "contagium.agents.memory.NoMemory"}, "its scenario is not as a run writes it"),
    ):
        shutil.copytree(runs[0].path.parent, tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name / "run.db")) as log, log:
            scenario = {**runs[0].meta["scenario"], "env": env}
            log.execute("UPDATE meta SET value = ? WHERE key = 'scenario'", (json.dumps(scenario),))
        shutil.copytree(tmp_path / name, tmp_path / f"{name} again")
        with closing(sqlite3.connect(tmp_path / f"{name} again" / "run.db")) as log, log:
            log.execute("UPDATE meta SET value = '99' WHERE key = 'seed'")
        for more in (["--agents", "90", "--draws", "1"], ["--held-out", str(tmp_path / f"{name} again")]):
            assert main([str(tmp_path / name), *more]) == 2
            said = capsys.readouterr().err
            assert line in said
            assert said.count("\n") == 1
    assert not sign.exists()


def test_agents_that_are_not_logged_in_detail_are_no_silence(tmp_path: Path) -> None:
    """Nobody falls ill by itself: that an agent caught it from one whose messages are not in the log is no sign that it did."""
    world = scenario(1, size=120, steps=14)
    world["agents"]["groups"]["mechanistic"]["policy"]["model"]["onset_rate"] = 0.0
    world["log"] = {"detailed_agents": 90}
    asyncio.run(run(prepare(make_scenario(world), tmp_path), "", lambda progress: None, lambda: None))
    with closing(open_run(tmp_path)) as log:
        found = hazard([log], kind="latent")
    assert found.bins[0].dose == 0
    assert found.bins[0].turns > 30
    assert found.bins[0].onsets == 0
    assert found.left_out > 100
    assert f"Left out are {found.left_out:,} of" in found.words


def test_agents_without_affect_have_the_same_epidemic(runs: list[Run]) -> None:
    world = stage(runs[0].meta["scenario"])
    rates = Rates(0.3, 0.01, recovery=0.25, lasting=False)
    plain = asyncio.run(world.play(rates, Streams(4), 10))
    # A modifier too small to change a draw takes the way of agents that have an affect.
    felt = asyncio.run(world.play(Rates(**{**vars(rates), "modifiers": (1e-12, 0.0, 0.0)}), Streams(4), 10))
    assert np.array_equal(plain.prevalence, felt.prevalence)
    assert plain.ever[-1] > 10


def test_all_that_was_found_is_json(fitted: Fitted, runs: list[Run]) -> None:
    found = told(fitted, [asyncio.run(check(fitted, runs[2], 10))], asyncio.run(predict(fitted, runs[0], 120, 2, steps=3)))
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["estimates"]["transmission"]["value"] == pytest.approx(0.3, rel=0.3)
    assert len(again["predicted"]["prevalence"]["middle"]) == 3


def test_the_same_run_counts_once_and_only_the_first_strain_is_played(
    runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, copied = runs[0].path.parent, tmp_path / "copied"
    shutil.copytree(one, copied)
    assert main([str(one), str(copied)]) == 2
    assert "have the same seed" in capsys.readouterr().err
    assert main([str(one), "--held-out", str(one)]) == 2
    assert "have the same seed" in capsys.readouterr().err
    assert main([str(one), "--kind", "latent", "--agents", "1", "--draws", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
