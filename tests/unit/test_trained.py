"""Policies trained elsewhere: they are shown what the environments for trainers show, and do what they say."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Question, Setting, Wipe, name_of
from contagium.agents.trained import Trained
from contagium.envs.arrays import ArrayEnv
from contagium.envs.commons import Commons
from contagium.envs.foreign.code import ForeignError
from contagium.envs.message import Axes
from contagium.envs.network import complete
from contagium.envs.parallel import SingleAgentEnv, WorldParallelEnv
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Act, World

SIZE, AXES = 6, Axes(("spiral",))
Rows = NDArray[np.float32]


def make_world(streams: Streams) -> World:
    return Commons(complete(SIZE, streams), AXES)


def begun(policy: Trained, agents: list[int] | None = None, choices: tuple[str, ...] = Commons.choices) -> Trained:
    mine = np.arange(SIZE) if agents is None else np.array(agents)
    population = Population(np.zeros(SIZE, dtype=np.int64), np.full(SIZE, -1), np.ones(SIZE), np.ones(SIZE))
    spiral, plain = Persona(name="spiral"), Persona(name="plain")
    policy.begin(Setting(mine, population, AXES, (spiral,), plain, name_of, (), 0, None, choices))
    return policy


def rule(rows: Rows) -> Rows:
    """A flat action of 9 numbers that depends on all of a row, whatever its width."""
    mix = np.sin(np.outer(rows.sum(axis=1), np.arange(1, 10))).astype(np.float32)
    mix[:, 3] = np.abs(mix[:, 3])
    return mix


def in_a_run(policy: Trained, steps: int = 5) -> list[list[Any]]:
    """Rewards and what was shown, step by step, of a world whose agents all follow the policy."""
    begun(policy)
    streams = Streams(4)
    now, told = make_world(streams), []
    now.reset(streams)
    for _ in range(steps):
        seen = now.observe(now.active(now.step), Pressure.pushing(None, np.zeros((SIZE, 3))))
        act = asyncio.run(policy.act(seen, streams))
        now.deliver(now.send(act), act)
        told.append([now.settled.reward.tolist(), act.says.tolist(), act.expression.tolist(), act.choice.tolist()])
    return told


def test_a_function_plays_in_a_run_as_in_the_environment_of_many_players() -> None:
    env = WorldParallelEnv(make_world, text=False, seed=4)
    seen, _ = env.reset(seed=4)
    for told in in_a_run(Trained(rule)):
        actions = rule(np.stack([seen[agent] for agent in env.agents]))
        assert np.array_equal(np.array(told[2], dtype=np.float32), actions[:, :4])
        assert told[3] == actions[:, 5:].argmax(axis=1).tolist()
        seen, rewards, *_ = env.step(dict(zip(env.agents, actions, strict=True)))
        assert list(rewards.values()) == told[0]


def test_and_by_columns_as_in_the_environment_of_arrays() -> None:
    env = ArrayEnv(make_world, flat=True, seed=4)
    seen, _ = env.reset(seed=4)
    for told in in_a_run(Trained(rule, view="columns")):
        actions = rule(seen)
        assert np.array_equal(np.array(told[2], dtype=np.float32), actions[:, :4])
        seen, rewards, *_ = env.step(actions)
        assert rewards.tolist() == told[0]


def test_a_function_of_words_reads_and_speaks() -> None:
    heard: list[tuple[str, ...]] = []

    def echo(seen: dict[str, Any]) -> dict[str, Any]:
        heard.append(seen["messages"])
        assert "You share a pasture" in seen["situation"]
        last = [text for text in seen["messages"] if text]
        return {"text": last[-1] if last else "Moo.", "expression": np.zeros(4), "says": int(seen["sender"][0] != 3), "choice": 2}

    policy = Trained(echo, view="words")
    assert policy.speaks
    assert not Trained(rule).speaks
    told = in_a_run(policy, steps=2)
    assert told[1][3] == [2] * SIZE
    assert heard[0] == ("", "", "", "")
    assert heard[-1] == ("Moo.",) * 4


def test_it_acts_for_those_observed_alike_whoever_else_is() -> None:
    streams, now = Streams(4), make_world(Streams(4))
    now.reset(streams)
    act = Act.idle(np.arange(SIZE), len(AXES))
    act.says[:], act.expression[:] = True, np.linspace(0, 1, SIZE)[:, None]
    now.deliver(now.send(act), act)
    policy = begun(Trained(rule))
    whole = asyncio.run(policy.act(now.observe(np.arange(SIZE)), streams))
    part = asyncio.run(policy.act(now.observe(np.array([1, 4])), streams))
    assert np.array_equal(part.expression, whole.expression[[1, 4]])
    assert np.array_equal(part.choice, whole.choice[[1, 4]])
    assert asyncio.run(policy.ask(np.arange(2), Question("How are you?"), 0, streams)) == {}
    with pytest.raises(TypeError, match="agents of Trained cannot undergo Wipe"):
        policy.undergo(Wipe(np.arange(2)))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda rows: rows[:, :2], "the action of agent 0 is not in Box("),
        (lambda rows: np.full((len(rows), 9), 1.5), "the action of agent 0 is not in Box("),
        (lambda rows: np.full((len(rows), 9), np.nan), "the action of agent 0 is not in Box("),
        (lambda rows: "no", "raised ValueError"),
        (lambda rows: 1 / 0, "raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_fails_is_said_in_one_line(function: Callable[[Rows], Any], line: str) -> None:
    with pytest.raises(ForeignError, match=re.escape(line)) as raised:
        in_a_run(Trained(function))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("policy ")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "give either function or model"),
        ({"function": "json.loads", "model": "m.zip"}, "give either function or model"),
        ({"function": "json.nothing"}, "cannot import json.nothing"),
        ({"model": "m.zip"}, "trust=true says you know where it is from"),
        ({"model": "m.zip", "trust": True, "view": "words"}, "plays by rows of numbers, so slots or columns, got words"),
        ({"model": "nowhere.zip", "trust": True}, "no file at nowhere.zip"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        Trained(**settings)


def test_without_a_trainer_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    (tmp_path / "m.zip").touch()
    with pytest.raises(ValueError, match=re.escape('pip install "contagium[train]"')):
        Trained(model=str(tmp_path / "m.zip"), trust=True)


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_stable_baselines3_plays_as_it_was_trained(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import A2C

    env = SingleAgentEnv(make_world, text=False)
    trained = A2C("MlpPolicy", env, n_steps=16, device="cpu").learn(64)
    trained.save(tmp_path / "m.zip")
    told = in_a_run(Trained(model=str(tmp_path / "m.zip"), algorithm="A2C", trust=True))
    players = WorldParallelEnv(make_world, text=False)
    seen, _ = players.reset(seed=4)
    for step in told:
        actions = {agent: trained.predict(seen[agent], deterministic=True)[0] for agent in players.agents}
        assert np.array_equal(np.array(step[2], dtype=np.float32), np.stack(list(actions.values()))[:, :4])
        seen, rewards, *_ = players.step(actions)
        assert list(rewards.values()) == step[0]
    with pytest.raises(ValueError, match=r"trained on observations of shape \(44,\), and here they have \(54,\)"):
        begun(Trained(model=str(tmp_path / "m.zip"), algorithm="A2C", trust=True, slots=5))
    with pytest.raises(ValueError, match="no PPO model"):
        Trained(model=__file__, trust=True)
