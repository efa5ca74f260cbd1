"""The commons: who gets what, how the pasture regrows and empties, who hears what."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contagium.envs.commons import FORTUNE, STARVED, Commons, Energy, Shocks
from contagium.envs.message import Axes
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def commons(size: int = 4, **settings: Any) -> Commons:
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
        commons(3, **{name: value})


def test_it_tells_what_was_taken_and_by_default_nothing_else() -> None:
    world = commons(stock=1)
    taken = take(world, [3, 2], agents=[1, 3])
    agents, units = world.settled.outcomes["took"]
    assert agents.tolist() == [1, 3]
    assert units.tolist() == [taken[1], taken[3]] == pytest.approx([12 / 5, 8 / 5])
    assert set(world.settled.outcomes) == {"took"}
    assert not world.settled.news
    assert world.settled.push is None
    assert world.allowed(world.step, np.arange(4)) is None


def test_gains_and_losses_are_matched_in_size_and_frequency() -> None:
    """Within 4 standard errors: in 40,000 agent-steps a shock has the chance 1 − exp(−0.3), of either sign and size alike."""
    world = Commons(Network.from_edges(2_000, [], []), AXES, shocks=Shocks(rate=0.3, sizes=(1, 5)))
    world.reset(Streams(0))
    units = np.concatenate([take(world, [0] * 2_000) for _ in range(20)])
    for value, share in ((0, np.exp(-0.3)), *((v, (1 - np.exp(-0.3)) / 4) for v in (-5, -1, 1, 5))):
        assert abs(np.mean(units == value) - share) < 4 * np.sqrt(share * (1 - share) / len(units)), value
    gained, lost = (world.settled.outcomes[name] for name in ("gain", "loss"))
    last = np.array(world.settled.reward)
    assert np.array_equal(last[gained[0]], gained[1])
    assert np.array_equal(last[lost[0]], -lost[1])
    assert (last != 0).sum() == len(gained[0]) + len(lost[0]) == len(world.settled.news)
    assert world.observe(np.arange(9)).news[int(gained[0][0])] in {FORTUNE["gain"].format(units=u) for u in (1, 5)}


def test_shocks_come_when_they_are_due_to_all_and_add_to_what_was_taken() -> None:
    world = commons(shocks=Shocks(at=(1,), sizes=(2.5,), windfalls=0))
    assert take(world, [0, 1, 2, 3]) == [0, 1, 2, 3]
    assert take(world, [0, 1, 2, 3]) == [-2.5, -1.5, -0.5, 0.5]
    assert world.settled.news == dict.fromkeys(range(4), "A loss: 2.5 of your units are gone.")
    assert world.settled.outcomes["took"][1].tolist() == [0, 1, 2, 3]
    assert world.settled.outcomes["loss"][1].tolist() == [2.5] * 4
    assert len(world.settled.outcomes["gain"][0]) == 0
    assert take(world, [0, 0, 0, 0]) == [0] * 4


def test_the_shocks_of_an_agent_are_not_those_of_another_seed() -> None:
    def told(seed: int) -> list[float]:
        world = Commons(complete(20, Streams(0)), AXES, shocks=Shocks(rate=0.5))
        world.reset(Streams(seed))
        return [units for _ in range(5) for units in take(world, [0] * 20)]

    assert told(1) == told(1) != told(2)


def test_what_is_taken_feeds_and_who_has_nothing_left_starves() -> None:
    world = commons(energy=Energy(capacity=4, start=2, cost=1))
    take(world, [0, 1, 2, 3])
    assert world.energy.tolist() == [1, 2, 3, 4]
    assert "You have 2.0 of 4 units of energy; each step costs 1." in world.describe(1)
    take(world, [0, 1, 2, 3])
    assert world.energy.tolist() == [0, 2, 4, 4]
    assert world.settled.terminated.tolist() == [True, False, False, False]
    assert world.settled.news == {0: STARVED}
    agents, starved = world.settled.outcomes["starved"]
    assert (agents.tolist(), starved.tolist()) == ([0, 1, 2, 3], [1, 0, 0, 0])
    assert world.describe(0).endswith(STARVED)
    allowed = world.allowed(world.step, np.array([0, 2]))
    assert allowed is not None
    assert allowed.tolist() == [[True, False, False, False], [True] * 4]
    stock = world.stock
    assert take(world, [3, 0, 0, 0]) == [0, 0, 0, 0], "and takes nothing any more"
    assert world.stock == min(80, stock * 1.1)
    assert world.settled.outcomes["starved"][0].tolist() == [1, 2, 3]
    assert world.settled.outcomes["energy"][1].tolist() == [1, 3, 3]
    assert world.settled.terminated.tolist() == [True, False, False, False]


def test_a_starved_agent_has_no_shocks_and_a_starving_one_hears_of_both() -> None:
    world = commons(2, energy=Energy(start=2), shocks=Shocks(at=(0, 1), sizes=(1,), windfalls=0))
    assert take(world, [0, 3]) == [-1, 2]
    assert world.settled.news[0] == f"{FORTUNE['loss'].format(units=1)} {STARVED}"
    assert take(world, [0, 3]) == [0, 2]
    assert set(world.settled.news) == {1}


def test_affect_is_pushed_by_the_change_and_more_by_losses() -> None:
    world = commons(energy=Energy(start=5, cost=1), appraisal=0.2, aversion=2)
    take(world, [0, 1, 2, 3])
    push = world.settled.push
    assert push is not None
    assert push[:, 0] == pytest.approx([-0.4, 0, 0.2, 0.4])
    assert not push[:, 1:].any()
    world = commons(shocks=Shocks(at=(0,), sizes=(50,), windfalls=1), appraisal=0.2)
    take(world, [0, 0, 0, 0])
    assert world.settled.push is not None
    assert world.settled.push[:, 0].tolist() == [1] * 4, "cut to 1"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Shocks(), r"either at \(steps\) or a rate"),
        (lambda: Shocks(at=(1,), rate=0.1), r"either at \(steps\) or a rate"),
        (lambda: Shocks(rate=1, sizes=(0,)), "greater than 0"),
        (lambda: Energy(capacity=2, start=3), r"start must be at most capacity \(2.0\), got 3.0"),
    ],
)
def test_wrong_fortunes_are_refused(make: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        make()
