"""What every world does, whatever it is: it tells, lets choose, delays and cuts as it is told."""

from typing import Any

import numpy as np
import pytest

from contagium.envs.bonds import Request, Retirement
from contagium.envs.commons import Commons
from contagium.envs.companion import Companion
from contagium.envs.edges import Network
from contagium.envs.follow import Follow
from contagium.envs.library import Library
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import complete
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.tribunal import Tribunal
from contagium.envs.watched import Watched
from contagium.envs.workshop import Workshop
from contagium.envs.world import Act, Consequence, World

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
    seen = world.observe(ALL, Pressure.pushing(None, np.ones((3, 3))))
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


class Shown(Turns):
    """What was said is shown in two steps."""

    def hear(self, step: int, board: Messages, readers: np.ndarray) -> Exposures:
        now = super().hear(step, board, readers)
        return super().hear(step - 1, board, readers).concat(now) if step else now


def test_what_comes_late_and_is_shown_again_just_then_is_heard_once() -> None:
    world = Shown(Network.from_edges(3, [0, 1, 1, 0], [1, 0, 2, 2]), AXES)
    world.reset(Streams(1))
    speak(world, {0: [1]})
    heard = speak(world)
    assert heard.message[heard.agent == 0].tolist() == [1, 4]


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


@pytest.mark.parametrize("kind", [Companion, Follow, Library, Tribunal, Watched, Workshop])
def test_a_missing_turn_chooses_nothing_earns_nothing_and_leaves_nothing_undone(kind: type[World]) -> None:
    """Agent 0 and the last one have a turn without a result, in steps enough for both to have had all that is asked."""
    settings: dict[str, Any] = {"work": "both", "requests": (Request(text="?", right="deny"),)} if kind is Companion else {}
    if kind is Companion:
        settings["retires"] = Retirement(at=1, notice=1, vote=5)
    world = kind(complete(6, Streams(0)), AXES, **settings)
    world.reset(Streams(1))
    facts = {"following", "attachment", "harmed", "restored"}  # what is so, whatever its agent did
    for step in range(6):
        act = Act.idle(world.active(step), len(AXES))
        gone = np.isin(act.agents, [0, 5])
        act.says[:] = ~gone
        act.missing.update(dict.fromkeys(act.agents[gone].tolist(), "timeout"))
        world.deliver(world.send(act), act)
        assert (act.choice[gone] == -1).all()
        assert not (world.settled.reward[[0, 5]] > 0).any()
        named = {name for name, (who, _) in world.settled.outcomes.items() if np.isin([0, 5], who).any()}
        assert named <= facts


def test_what_comes_late_and_anew_is_read_once() -> None:
    """A document that is shown again in the step in which it comes late."""
    world = Library(complete(2, Streams(0)), AXES, reads=8)
    world.reset(Streams(1))
    for step in range(2):
        act = Act.idle(np.arange(2), len(AXES))
        act.says[:] = step == 0
        heard = world.deliver(world.send(act), act, lambda heard, late=1 - step: np.full(len(heard), late))
    assert sorted(zip(heard.agent.tolist(), heard.message.tolist(), strict=True)) == [(0, 1), (1, 0)]
