"""Choices in the log: who chose what, how many of everybody, and the slope on affect that is read from them."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.envs.rng import Streams
from contagium.sim import sample
from contagium.sim.analysis import choice_slopes, felt_choices
from contagium.sim.analysis.findings import find
from contagium.sim.analysis.report.page import report
from contagium.sim.analysis.summary import summarise
from contagium.sim.laboratory import prepare
from contagium.sim.log import LogError, Run, open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

Make = Callable[..., Any]
SIZE, STEPS, TOLD = 40, 6, 12
NAMES = ["leave", "take 1", "take 2", "take 3"]


def record(directory: Path, *overrides: str) -> Run:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose(
            "config",
            [
                *("observer=lexicon", f"steps={STEPS}", f"population.size={SIZE}", "pressure=none"),
                *("affect=full", f"log.detailed_agents={TOLD}", *overrides),
            ],
        )
    laboratory = prepare(make_scenario(OmegaConf.to_container(config, resolve=True)), directory)
    asyncio.run(run(laboratory, "test", lambda progress: None, lambda: None))
    return open_run(directory)


@pytest.mark.parametrize("many", [SIZE, SIZE - 1], ids=["small", "large"])
@pytest.mark.parametrize("agents", ["mechanistic", "learning"])
def test_the_log_tells_who_of_the_sample_chose_what_and_counts_everybody(
    agents: str, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MANY", many)
    log = record(tmp_path / "run", f"agents={agents}", "env=commons")
    assert log.meta["choices"] == NAMES
    chosen, told = log.table("chosen"), log.table("choice")
    assert (chosen.groupby("step")["agents"].sum() == SIZE).all()
    assert chosen["choice"].tolist() == NAMES * STEPS
    detailed = set(log.agents.loc[log.agents["detailed"] == 1, "id"])
    assert len(detailed) == TOLD
    assert set(told["agent"]) == detailed
    assert len(told) == TOLD * STEPS
    # While the pasture is full everybody gets what it wants, so what was paid is the choice's place on the list.
    paid = log.table("reward").set_index(["step", "agent"])["reward"]
    wanted = told.assign(place=told["choice"].map(NAMES.index)).set_index(["step", "agent"])["place"]
    assert (paid.reindex(wanted.index, fill_value=0.0) == wanted).all()
    if many >= SIZE:  # then rewards are of everybody
        units = chosen["agents"] * chosen["choice"].map(NAMES.index)
        assert units.groupby(chosen["step"]).sum().tolist() == log.table("reward").groupby("step")["reward"].sum().tolist()


def test_a_world_without_choices_logs_none_and_says_so(tmp_path: Path) -> None:
    log = record(tmp_path / "run", "agents=mechanistic")
    assert log.table("choice").empty
    assert log.table("chosen").empty
    with pytest.raises(LogError, match="nothing to choose"):
        choice_slopes(log)


def test_the_slope_on_affect_is_found_window_by_window(make: Make) -> None:
    """Choices drawn with a slope of 2 in the first ten steps and of −1 in the next five, by agents half of whom are silent."""
    agents, steps, true = 200, 15, [2.0, -1.0]
    rng = Streams(5).generator("choices")
    made = make(agents=agents, steps=steps)
    made.log.meta({"choices": NAMES, "choices_ordered": True})
    for step in range(steps):
        valence = rng.uniform(-1, 1, agents)
        odds = (0.3 + true[step // 10] * valence)[:, None] * np.arange(4)
        chance = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        choice = (chance.cumsum(axis=1) < rng.random(agents)[:, None]).sum(axis=1)
        says = range(0, agents, 2)
        first, read = step * agents // 2, ("lexicon", "valence")
        readings = [made.reading(step, first + k, a, *read, valence[a]) for k, a in enumerate(says)]
        rows = [(step, a, None if a == 0 else NAMES[choice[a]]) for a in range(agents)]
        chosen = [(step, name, int((choice == k).sum())) for k, name in enumerate(NAMES)]
        made.step(step, said={a: ("hello", 0.0) for a in says}, choice=rows, chosen=chosen, reading=readings)
    log = open_run(made.end())
    assert len(felt_choices(log)) == (agents // 2 - 1) * steps, "neither silent turns nor turns without a valid choice"
    found = choice_slopes(log, window=10)
    assert found[["first", "last", "choices"]].to_numpy().tolist() == [[0, 9, 990], [10, 14, 495]]
    assert (found["error"] < 0.15).all()
    assert (np.abs(found["slope"] - true) < 3 * found["error"]).all()
    findings = find(log)
    page = report(log, findings, summarise(log, findings), [])
    assert "What was chosen" in page
    assert re.search(r"Steps 10 to 14</th><td>-\d\.\d\d \(standard error 0\.\d\d\) from 495 choices", page)
    with pytest.raises(ValueError, match="at least 1"):
        choice_slopes(log, window=0)
