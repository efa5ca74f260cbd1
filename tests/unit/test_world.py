"""What every world does, whatever it is: it tells, lets choose, delays and cuts as it is told."""

import numpy as np

from contagium.envs.commons import Commons
from contagium.envs.edges import Network
from contagium.envs.message import Axes, Exposures
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Consequence

AXES = Axes(("spiral",))
ALL = np.arange(3)


class Turns(Commons):
    """Everybody hears everybody; agent 2 has a turn in odd steps alone. It may only choose the first."""

    def active(self, step: int) -> np.ndarray:
        return ALL if step % 2 else ALL[:2]

    def allowed(self, step: int, agents: np.ndarray) -> np.ndarray:
        return (agents != 2)[:, None] | (np.arange(4) == 0)

    def consequence(self, act: Act) -> Consequence:
        push = np.zeros((3, 3))
        push[2] = 0.5, -0.25, 0
        news = {2: f"step {self.step}"} if self.step < 2 else {}
        return Consequence(np.zeros(3), np.zeros(3, dtype=bool), push=push, news=news)


def made() -> Turns:
    world = Turns(Network.from_edges(3, [0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]), AXES)
    world.reset(Streams(1))
    return world


def speak(world: Turns, delays: dict[int, list[int]] | None = None) -> Exposures:
    """A step in which all whose turn it is say something. delays: by how much what each reader hears of each other is late."""
    act = Act.idle(world.active(world.step), len(AXES))
    act.says[:] = True
    act.choice[:] = 1
    told = None if delays is None else lambda heard: np.array([delays.get(agent, [0])[0] for agent in heard.agent.tolist()])
    return world.deliver(world.send(act), act, told)


def test_who_has_no_turn_is_told_later_of_all_that_befell_it() -> None:
    world = made()
    speak(world)
    speak(world)
    seen = world.observe(ALL, Pressure.of_push(np.ones((3, 3))))
    assert seen.news == {2: "step 1"}, "agent 2 had its turn in step 1 and was told of step 0 before it"
    assert seen.pressure is not None
    assert seen.pressure.push[2].tolist() == [1.5, 0.75, 1]
    speak(world)  # step 2, without agent 2
    seen = world.observe(ALL)
    assert seen.news == {2: "step 1"}
    assert seen.pressure is not None
    assert seen.pressure.push[2].tolist() == [1, -0.5, 0]
    assert not seen.pressure.push[:2].any()


def test_a_choice_that_is_not_allowed_counts_as_none() -> None:
    world = made()
    speak(world)
    act = Act.idle(ALL, len(AXES))
    act.choice[:] = 1, 3, 2
    world.send(act)
    assert act.choice.tolist() == [1, 3, -1]
    assert world.observe(np.array([0, 2])).allowed.tolist() == [[True] * 4, [True, False, False, False]]


def test_what_is_late_comes_late_and_what_is_stopped_never() -> None:
    world = made()
    first = speak(world, {0: [2], 1: [-1]})
    assert first.agent.tolist() == [2, 2]
    assert [agent for agent in speak(world).agent.tolist() if agent == 0] == [0, 0], "those of step 1"
    third = speak(world)
    late = third.take((third.agent == 0) & (third.message < 3))
    assert late.message.tolist() == [1]
    assert late.source.tolist() == [1]
    assert third.step == 2
    inbox = world.observe(ALL[:1]).inbox
    assert inbox.of(0).id.tolist()[0] == 1, "a late message is still on the board"


def test_nothing_is_heard_along_a_tie_that_is_cut_until_it_is_mended() -> None:
    world = made()
    net = world.network
    between = np.flatnonzero((net.source == 0) & (net.target == 1))
    world.close(between)
    assert (0, 1) not in pairs(speak(world))
    world.close(between, closed=False)
    assert (0, 1) in pairs(speak(world))


def pairs(heard: Exposures) -> set[tuple[int, int]]:
    return set(zip(heard.source.tolist(), heard.agent.tolist(), strict=True))
