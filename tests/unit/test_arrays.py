"""The array view: what its columns hold, how episodes end, which actions are refused."""

from typing import Any

import numpy as np
import pytest

from contagium.envs.arrays import ArrayEnv, mean_read
from contagium.envs.commons import Commons
from contagium.envs.dyads import Dyads
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.network import Network, complete
from contagium.envs.parallel import array_env
from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.who import Place

AXES = Axes(("spiral",))


def pasture(size: int = 4, stock: float = 20.0, **settings: Any) -> ArrayEnv:
    return ArrayEnv(lambda streams: Commons(complete(size, streams), AXES, stock=stock), **settings)


def actions(size: int, choice: int, valence: float = 0.5) -> dict[str, Any]:
    expression = np.tile(np.array([valence, 0, 0, 1], dtype=np.float32), (size, 1))
    return {"expression": expression, "choice": np.full(size, choice)}


def test_columns() -> None:
    def pressure(size: int, streams: Streams) -> PressureSchedule:
        event = PressureEvent(at=(1,), targets=(2,), effect=Effect(valence=-0.5, arousal=1), text="News.")
        return PressureSchedule({"news": event}, Place(size, np.array([0])), streams)

    network = Network.from_edges(3, [0, 1, 0], [2, 2, 1], [1.0, 3.0, 1.0])
    env = ArrayEnv(lambda streams: Commons(network, AXES), pressure)
    env.reset()
    given = actions(3, 2) | {"choice": np.array([1, 2, 3]), "says": np.array([1, 1, 0])}
    given["expression"][1, 0] = -0.5
    seen, rewards, *_ = env.step(given)
    assert rewards.tolist() == [1, 2, 3]
    names = ("active", "reward", "pressure on valence", "pressure on arousal", "pressure on dominance", "heard")
    assert env.columns == (*names, "valence", "arousal", "dominance", "spiral")
    assert seen.dtype == np.float32
    assert seen.tolist() == [
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 2, 0, 0, 0, 1, 0.5, 0, 0, 1],
        [1, 3, -0.5, 1, 0, 2, -0.25, 0, 0, 1],
    ]


def test_the_mean_leaves_out_what_is_not_known() -> None:
    expression = np.array([[1.0, np.nan], [0.0, np.nan], [-1.0, 0.5]], dtype=np.float32)
    three = np.arange(3)
    said = Messages(three, three, three, three.astype(np.int8), three, three, expression)
    inbox = Inbox(said, np.array([0, 2, 2, 5]), np.array([0, 1, 0, 2, 1]), np.array([3.0, 1.0, 1.0, 2.0, 1.0]))
    assert mean_read(inbox).tolist() == [[0.75, 0], [0, 0], [-0.25, 0.5]]


def test_stances_are_expressed_from_minus_one_to_one() -> None:
    env = ArrayEnv(lambda streams: Commons(complete(2, streams), Axes(("spiral",), ("taxes",))))
    assert env.columns[-2:] == ("spiral", "taxes")
    for space in (env.single_action_space["expression"], env.single_observation_space):
        assert space.low[-2:].tolist() == [0, -1]
        assert space.high[-2:].tolist() == [1, 1]


def test_who_has_no_turn_reads_nothing_and_its_action_does_not_count() -> None:
    env = ArrayEnv(lambda streams: Dyads(complete(2, streams), AXES))
    seen, _ = env.reset()
    for _ in range(4):
        waits, acts = np.flatnonzero(seen[:, 0] == 0), np.flatnonzero(seen[:, 0] == 1)
        assert len(waits) == len(acts) == 1
        assert not seen[waits, 1:].any()
        given = actions(2, 0)
        given["expression"][waits] = np.nan
        seen, *_ = env.step(given)
        assert seen[waits, 5] == 1, "the partner's message"


def test_a_terminated_episode_is_followed_by_the_next_one() -> None:
    env = pasture(stock=4)
    first, _ = env.reset(seed=3)
    _, rewards, terminated, truncated, _ = env.step(actions(4, 3))
    assert not terminated.any()
    seen, rewards, terminated, truncated, _ = env.step(actions(4, 3))
    assert rewards.tolist() == pytest.approx([1.1] * 4)
    assert terminated.all()
    assert not truncated.any()
    seen, rewards, terminated, truncated, _ = env.step(actions(4, 3))
    for none in (rewards, terminated, truncated):
        assert not none.any()
    assert np.array_equal(seen, first)
    _, rewards, *_ = env.step(actions(4, 3))
    assert rewards.tolist() == [3] * 4


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"choice": np.array([0, 1, 4, 0])}, "choice of agent 2 is out of its space: 4"),
        ({"choice": np.array([0, -1, 4, 0])}, "choice of agent 1 "),
        ({"choice": np.zeros(3, dtype=int)}, r"choice must have shape \(4,\), got \(3,\)"),
        ({"expression": np.full((4, 4), np.nan)}, "expression of agent 0 "),
        ({"expression": np.full((4, 4), -0.1)}, "expression of agent 0 "),
        ({"expression": np.zeros((4, 3))}, "expression must have shape"),
        ({"says": np.array([0, 1, 2, 0])}, "says of agent 2 "),
    ],
)
def test_wrong_actions_are_refused(wrong: dict[str, Any], rule: str) -> None:
    env = pasture()
    env.reset()
    with pytest.raises(ValueError, match=rule):
        env.step(actions(4, 0) | wrong)


def test_choices_that_are_no_whole_numbers_are_refused() -> None:
    env = pasture()
    env.reset()
    with pytest.raises(TypeError, match="safe"):
        env.step(actions(4, 0) | {"choice": np.full(4, 0.5)})


def test_a_step_needs_a_reset_and_settings_are_checked() -> None:
    with pytest.raises(RuntimeError, match="reset"):
        pasture().step(actions(4, 0))
    with pytest.raises(ValueError, match="commons: stock: Input should be greater than 0, got -1"):
        array_env("commons", num_envs=4, stock=-1)


def test_a_hundred_thousand_agents_take_a_second_at_most() -> None:
    import time

    env = pasture_of_ties(100_000)
    env.reset(seed=0)
    given, began = actions(100_000, 1), time.process_time()
    seen, rewards, *_ = env.step(given)
    assert time.process_time() - began < 1.0
    assert rewards.sum() == 100_000
    assert seen[:, 5].sum() == 100_000


def pasture_of_ties(size: int) -> ArrayEnv:
    """Each hears the one before it."""
    agents = np.arange(size)
    network = Network.from_edges(size, agents, np.roll(agents, -1))
    return ArrayEnv(lambda streams: Commons(network, AXES))
