"""The views over a world that rewards and ends, and with pressure."""

import numpy as np
import pytest

from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import complete
from contagium.envs.parallel import SingleAgentEnv, WorldParallelEnv, silent
from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.who import Place
from contagium.envs.world import Act, Consequence, Observation, World

SIZE = 4
WAIT = {"text": "", "expression": np.zeros(3, np.float32), "says": 0, "choice": 0}


class Countdown(Forum):
    """Agent k earns k for choosing `take`, and is out after k + 1 steps; agent 3 stays."""

    choices = ("leave", "take")

    def consequence(self, act: Act) -> Consequence:
        reward = np.zeros(SIZE)
        reward[act.agents] = act.choice * act.agents
        return Consequence(reward, np.arange(SIZE) == (self.step if self.step < 3 else -1))


def countdown(streams: Streams) -> World:
    return Countdown(complete(SIZE, streams), Axes())


def gloom(size: int, streams: Streams) -> PressureSchedule:
    event = PressureEvent(at=(1,), targets=(1, 2), duration=2, text="It rains.", effect=Effect(valence=-0.5))
    return PressureSchedule({"rain": event}, Place(size, np.array([0])), streams)


def test_who_is_out_leaves_and_the_others_play_on() -> None:
    env = WorldParallelEnv(countdown, max_steps=6)
    env.reset(seed=0)
    left = []
    while env.agents:
        playing = list(env.agents)
        seen, rewards, terminations, truncations, _ = env.step({a: WAIT | {"choice": 1, "says": 1} for a in playing})
        assert set(seen) == set(rewards) == set(terminations) == set(truncations) == set(playing)
        assert rewards == {agent: float(agent[6:]) for agent in playing}
        left.append([a for a in playing if terminations[a]])
        assert env.agents == [a for a in playing if not terminations[a] and not truncations[a]]
    assert left == [["agent_0"], ["agent_1"], ["agent_2"], [], [], []]
    assert truncations == {"agent_3": True}


def test_who_is_out_no_longer_speaks() -> None:
    env = WorldParallelEnv(countdown, max_steps=6)
    env.reset(seed=0)
    for _ in range(3):
        env.step({agent: WAIT | {"says": 1} for agent in env.possible_agents})
    seen, *_ = env.step({agent: WAIT | {"says": 1} for agent in env.possible_agents})
    assert not seen["agent_3"]["mask"].any()


@pytest.mark.parametrize(("agent", "steps"), [(0, 1), (2, 3), (3, 6)])
def test_the_player_ends_when_it_is_out_or_time_is_up(agent: int, steps: int) -> None:
    env = SingleAgentEnv(countdown, agent=agent, max_steps=6)
    env.reset(seed=0)
    for step in range(steps):
        _, reward, terminated, truncated, _ = env.step(WAIT | {"choice": 1})
        assert reward == agent
        assert (terminated, truncated) == (agent < 3 and step == agent, step == 5)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(WAIT)


def test_the_background_acts_for_all_others_who_play() -> None:
    asked = []

    def background(observation: Observation, streams: Streams) -> Act:
        asked.append(observation.agents.tolist())
        return silent(observation, streams)

    env = SingleAgentEnv(countdown, agent=3, background=background, max_steps=4)
    env.reset(seed=0)
    for _ in range(4):
        env.step(WAIT)
    assert asked == [[0, 1, 2], [1, 2], [2], []]


def test_a_background_may_not_act_for_the_player() -> None:
    env = SingleAgentEnv(countdown, agent=3, background=lambda seen, streams: Act.idle(np.arange(SIZE), 3))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="the background acts for the player, agent 3"):
        env.step(WAIT)


def test_pressure_is_felt_and_told() -> None:
    env = WorldParallelEnv(lambda streams: Forum(complete(SIZE, streams), Axes()), gloom)
    seen, _ = env.reset(seed=0)
    felt, told = [], []
    for _ in range(4):
        felt.append([float(seen[agent]["pressure"][0]) for agent in env.agents])
        told.append(["It rains." in seen[agent]["situation"].split("\n") for agent in env.agents])
        seen, *_ = env.step(dict.fromkeys(env.agents, WAIT))
    rain = [0, -0.5, -0.5, 0]
    assert felt == [[0] * 4, rain, rain, [0] * 4]
    assert told == [[False] * 4, [False, True, True, False], [False] * 4, [False] * 4]


@pytest.mark.parametrize("other", [(5, Axes()), (4, Axes(("spiral",)))])
def test_worlds_of_another_shape_are_refused(other: tuple[int, Axes]) -> None:
    shapes = iter([(4, Axes()), (4, Axes()), other])

    def make(streams: Streams) -> World:
        size, axes = next(shapes)
        return Forum(complete(size, streams), axes)

    env = WorldParallelEnv(make)
    env.reset()
    with pytest.raises(ValueError, match="one size and with the same axes"):
        env.reset()
