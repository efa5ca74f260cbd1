"""The commons: who gets what, how the pasture regrows and empties, who hears what."""

import numpy as np
import pytest

from contagium.envs.commons import Commons
from contagium.envs.message import Axes
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def commons(size: int = 4, **settings: float) -> Commons:
    world = Commons(complete(size, Streams(0)), AXES, **settings)
    world.reset(Streams(0))
    return world


def take(world: Commons, choices: list[int], agents: list[int] | None = None) -> list[float]:
    """What each agent gets."""
    ids = np.arange(world.network.size) if agents is None else np.array(agents)
    act = Act.idle(ids, len(AXES))
    act.says[:] = True
    act.choice[:] = choices
    world.deliver(world.send(act), act)
    return world.settled.reward.tolist()


def test_what_is_left_regrows_up_to_the_start() -> None:
    world = commons(stock=10, regrowth=0.25)
    assert take(world, [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert world.stock == 40, "34 would grow to 42.5, more than the pasture holds"
    take(world, [3, 3, 3, 3])
    assert world.stock == 28 * 1.25
    assert "It holds 35.0 of 40.0 units" in world.describe(2)
    assert "Last step you got 3.0" in world.describe(2)


def test_the_yield_that_lasts() -> None:
    """At the start stock × regrowth / (1 + regrowth) for each agent and step can be taken for ever, and no more."""
    lasting, too_much = commons(stock=11, regrowth=0.1), commons(stock=10.5, regrowth=0.1)
    for _ in range(100):
        take(lasting, [1, 1, 1, 1])
        take(too_much, [1, 1, 1, 1])
    assert lasting.stock == 44
    assert too_much.settled.terminated.all()


def test_where_more_is_wanted_than_there_is_all_get_the_same_share_and_the_pasture_stays_empty() -> None:
    world = commons(stock=1, regrowth=1)
    assert take(world, [0, 1, 2, 3]) == pytest.approx([0, 4 / 6, 8 / 6, 2])
    assert world.stock == 0
    assert world.settled.terminated.all()
    assert take(world, [3, 3, 3, 3]) == [0, 0, 0, 0]
    assert world.settled.terminated.all()


def test_exactly_all_of_it_is_taken_as_wanted() -> None:
    world = commons(stock=1.5)
    assert take(world, [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert world.settled.terminated.all()


def test_who_has_no_valid_choice_or_no_turn_takes_nothing() -> None:
    assert take(commons(), [-1, 3], agents=[1, 2]) == [0, 0, 3, 0]
    with pytest.raises(ValueError, match="a choice must be below 4, got 4"):
        take(commons(), [4, 0, 0, 0])


def test_neighbours_are_heard_each_time_they_speak_with_the_weight_of_the_tie() -> None:
    network = Network.from_edges(5, [0, 2, 3, 1], [1, 1, 1, 2], [0.5, 1.0, 2.0, 1.5])
    world = Commons(network, AXES)
    world.reset(Streams(0))
    act = Act.idle(np.arange(5), len(AXES))
    act.says[:] = [True, True, False, True, True]
    heard = world.deliver(world.send(act), act)
    assert heard.agent.tolist() == [1, 1, 2]
    assert heard.source.tolist() == [0, 3, 1]
    assert heard.weight.tolist() == [0.5, 2.0, 1.5]


def test_an_answer_is_to_one_of_those_heard_each_as_likely() -> None:
    world = Commons(erdos_renyi(400, Streams(1), 6.0), AXES)
    world.reset(Streams(2))
    rank = []
    for _ in range(20):
        act = Act.idle(np.arange(400), len(AXES))
        act.says[:] = True
        inbox = world.observe(np.arange(400)).inbox
        sent = world.send(act)
        for agent, answered in zip(sent.sender.tolist(), sent.reply_to.tolist(), strict=True):
            ids = inbox.of(agent).id.tolist()
            assert (answered in ids) if ids else answered == -1
            if len(ids) > 1:
                rank.append(ids.index(answered) / (len(ids) - 1))
        world.deliver(sent, act)
    # The rank among k messages, from 0 to 1, has mean 1/2 and variance (k + 1) / (12 (k − 1)), at most 1/4.
    assert abs(np.mean(rank) - 0.5) < 4 * 0.5 / np.sqrt(len(rank))


@pytest.mark.parametrize(("name", "value"), [("stock", 0.0), ("stock", np.inf), ("regrowth", -0.1), ("regrowth", np.nan)])
def test_wrong_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}"):
        Commons(complete(3, Streams(0)), AXES, **{name: value})
