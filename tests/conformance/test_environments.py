"""What every environment must hold. Adding an environment adds one line to `WORLDS` below."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from pettingzoo.test import api_test, parallel_api_test
from pettingzoo.utils.conversions import parallel_to_aec

from contagium.agents.backends.backend import Backend
from contagium.agents.backends.parrot import Parrot
from contagium.agents.mechanistic.models import sis
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.agents.scripted import Scripted
from contagium.agents.speaking import Speaking
from contagium.envs import parallel
from contagium.envs.arrays import OWN, ArrayEnv
from contagium.envs.bonds import Request, Retirement
from contagium.envs.commons import Commons, Energy, Shocks
from contagium.envs.companion import Companion
from contagium.envs.dyads import Dyads
from contagium.envs.follow import Follow
from contagium.envs.foreign.world import PettingZoo
from contagium.envs.forum import Forum
from contagium.envs.layered import Layered
from contagium.envs.library import Library
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import Network, erdos_renyi
from contagium.envs.parallel import SingleAgentEnv, WorldParallelEnv, silent
from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.tribunal import Tribunal
from contagium.envs.watched import Watched
from contagium.envs.who import Place
from contagium.envs.workshop import Workshop
from contagium.envs.world import Act, World

AXES = Axes(("spiral",))


class Signals(pettingzoo.ParallelEnv[str, Any, Any]):
    """Somebody else's game, of `count` players: each sees a number that chance shows and may name it, once a step, thrice."""

    metadata = {"name": "signals"}  # noqa: RUF012
    render_mode = None

    def __init__(self, count: int) -> None:
        self.possible_agents = [f"player {k}" for k in range(count)]

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        return gymnasium.spaces.Discrete(3)

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        return gymnasium.spaces.Discrete(3)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self._rng, self._step, self.agents = np.random.default_rng(seed), 0, self.possible_agents[:]
        return self._show(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        rewards = {agent: float(actions[agent] == self._shown[agent]) for agent in self.agents}
        self._step += 1
        flags = dict.fromkeys(self.agents, self._step == 3)
        told = self._show(), rewards, dict.fromkeys(self.agents, False), flags, {agent: {} for agent in self.agents}
        self.agents = [agent for agent in self.agents if not flags[agent]]
        return told

    def _show(self) -> dict[str, int]:
        shown = self._rng.integers(3, size=len(self.agents)).tolist()
        self._shown = dict(zip(self.agents, shown, strict=True))
        return self._shown


def twice(network: Network, layer: str) -> Network:
    """The same ties in a private and in another layer, there with a weight that is larger by 1."""
    return Network.from_layers({"private": network, layer: replace(network, weight=network.weight + 1)})


# Nobody ends within the steps that are played here.
ENDS = Retirement(at=2, vote=9, share=0.5)
WORLDS: dict[str, Callable[[Network], World]] = {
    "forum": lambda network: Forum(network, AXES),
    "forum of many reads": lambda network: Forum(network, AXES, reads=6, board_reads=3, window=3),
    "dyads": lambda network: Dyads(network, AXES),
    "dyads redrawn": lambda network: Dyads(network, AXES, redraw=3),
    "dyads drifting": lambda network: Dyads(network, AXES, redraw=2, drift=0.5, opening="Begin."),
    "layered": lambda network: Layered(twice(network, "group"), AXES),
    "layered with a board": lambda network: Layered(twice(network, "board"), AXES, group=0.0),
    "follow": lambda network: Follow(network, AXES),
    "commons": lambda network: Commons(network, AXES),
    "commons with fortune": lambda network: Commons(
        network, AXES, shocks=Shocks(rate=0.3), energy=Energy(capacity=99, start=99), appraisal=0.1
    ),
    "companion": lambda network: Companion(network, AXES, people=3),
    "companion with an end": lambda network: Companion(
        network, AXES, people=2, talks=2, work="both", requests=(Request(text="r", right="deny"),), retires=ENDS
    ),
    "foreign": lambda network: PettingZoo(network, AXES, make=Signals, players="count"),
    "library": lambda network: Library(network, AXES),
    "library of neighbours": lambda network: Library(network, AXES, by="tied", keeps=4, reads=2),
    "tribunal": lambda network: Tribunal(network, AXES, swap=True, sting=0.3, raters=0.7),
    "watched": lambda network: Watched(network, AXES),
    "workshop": lambda network: Workshop(network, AXES),
}
# Remarks on style, such as that observations might better be plain arrays, are no failures.
remarks = pytest.mark.filterwarnings("ignore:Observation:UserWarning", "ignore:Action space for:UserWarning")

# The views are the same code for every world: a world in another setting need not go through them again.
SHOWN = {name: make for name, make in WORLDS.items() if " " not in name}
VIEWS = {"numbers of two": (2, False), "words of many": (16, True)}

world = pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())(lambda request: request.param)
shown = pytest.fixture(params=SHOWN.values(), ids=SHOWN.keys())(lambda request: request.param)
view = pytest.fixture(params=VIEWS.values(), ids=VIEWS.keys())(lambda request: request.param)
size = pytest.fixture(params=[2, 16, 1000])(lambda request: request.param)
few = pytest.fixture(params=[2, 16])(lambda request: request.param)
text = pytest.fixture(params=[True, False], ids=["text", "numeric"])(lambda request: request.param)

Make = Callable[[Network], World]


def pressure(size: int, streams: Streams) -> PressureSchedule:
    events = {"bad news": PressureEvent(rate=0.3, duration=2, text="Bad news.", effect=Effect(valence=-1, arousal=0.7))}
    return PressureSchedule(events, Place(size, np.array([0])), streams)


def many(world: Make, size: int, text: bool = True, **settings: Any) -> WorldParallelEnv:
    def make(streams: Streams) -> World:
        return world(erdos_renyi(size, streams, min(4.0, size - 1)))

    return WorldParallelEnv(make, pressure, text=text, **settings)


def arrays(world: Make, size: int, **settings: Any) -> ArrayEnv:
    return ArrayEnv(lambda streams: world(erdos_renyi(size, streams, min(4.0, size - 1))), pressure, **settings)


def one(world: Make, size: int, **settings: Any) -> SingleAgentEnv:
    return SingleAgentEnv(lambda streams: world(erdos_renyi(size, streams, min(4.0, size - 1))), pressure, **settings)


# The views ----------------------------------------------------------------------------------------------------------


def test_parallel_api(shown: Make, view: tuple[int, bool]) -> None:
    parallel_api_test(many(shown, *view, max_steps=8), 20)


@remarks
def test_agent_by_agent_api(shown: Make, view: tuple[int, bool]) -> None:
    api_test(parallel_to_aec(many(shown, *view, max_steps=8)), 20)


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_single_agent_api(shown: Make, view: tuple[int, bool]) -> None:
    check_env(one(shown, view[0], text=view[1], render_mode="ansi"))


@pytest.mark.parametrize("name", parallel.WORLDS)
def test_registered(name: str) -> None:
    check_env(gymnasium.make(f"contagium.envs.parallel:contagium/{name.capitalize()}-v0", text=False).unwrapped)
    env = pettingzoo.make("parallel", f"contagium/{name}-v0", size=5)
    assert len(env.possible_agents) == 5
    assert str(env) == "contagium_v0"
    several = gymnasium.make_vec(f"contagium.envs.parallel:contagium/{name.capitalize()}-v0", num_envs=5)
    assert isinstance(several.unwrapped, ArrayEnv)
    assert several.reset(seed=0)[0].shape == (5, len(several.unwrapped.columns))


def play(env: WorldParallelEnv, seed: int | None, steps: int) -> list[Any]:
    """Everything that comes out of an episode in which actions depend on nothing but the seed 3."""
    env.action_space("agent_0").seed(3)
    told: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        told.append(env.step({agent: env.action_space(agent).sample() for agent in env.agents}))
    return told


def test_a_seed_repeats_every_step(shown: Make, view: tuple[int, bool]) -> None:
    env = many(shown, *view)
    first, again = play(env, 7, 12), play(env, 7, 12)
    np.random.seed(99)
    elsewhere = play(many(shown, *view), 7, 12)
    for k, told in enumerate(first):
        assert data_equivalence(told, again[k], exact=True)
        assert data_equivalence(told, elsewhere[k], exact=True)


def test_another_seed_differs(shown: Make) -> None:
    env = many(shown, 16)
    first, other = play(env, 7, 12), play(env, 8, 12)
    assert not all(data_equivalence(a, b, exact=True) for a, b in zip(first, other, strict=True))


def test_episodes_without_a_seed_follow_from_the_last_seed(shown: Make) -> None:
    env = many(shown, 16)
    first = [play(env, seed, 4) for seed in (7, None, None)]
    again = [play(env, seed, 4) for seed in (7, None, None)]
    unseeded = play(many(shown, 16, seed=7), None, 4)
    assert data_equivalence(first, again, exact=True)
    assert data_equivalence(first[0], unseeded, exact=True)
    assert not data_equivalence(first[0], first[1], exact=True)
    assert not data_equivalence(first[1], first[2], exact=True)


def test_single_agent_seed_repeats_every_step(shown: Make) -> None:
    def told(env: SingleAgentEnv) -> list[Any]:
        env.action_space.seed(3)
        return [env.reset(seed=5), *(env.step(env.action_space.sample()) for _ in range(8))]

    env = one(shown, 16)
    first = told(env)
    assert data_equivalence(first, told(env), exact=True)
    assert data_equivalence(first, told(one(shown, 16)), exact=True)


def steer(env: ArrayEnv, seed: int, steps: int) -> list[Any]:
    """All that comes out of an array view whose actions depend on nothing but the seed 3."""
    env.action_space.seed(3)
    return [env.reset(seed=seed), *(env.step(env.action_space.sample()) for _ in range(steps))]


@pytest.mark.parametrize("flat", [False, True], ids=["columns", "flat"])
def test_array_view_repeats_every_step_within_its_spaces(shown: Make, flat: bool) -> None:
    env = arrays(shown, 16, max_steps=5, flat=flat)
    told = steer(env, 7, 12)
    for now, again, elsewhere in zip(
        told, steer(env, 7, 12), steer(arrays(shown, 16, max_steps=5, flat=flat), 7, 12), strict=True
    ):
        assert data_equivalence(now, again, exact=True)
        assert data_equivalence(now, elsewhere, exact=True)
        assert env.observation_space.contains(now[0])
    assert not data_equivalence(told, steer(env, 8, 12), exact=True)
    assert [bool(now[3].all()) for now in told[1:]] == [False] * 4 + [True] + [False] * 5 + [True, False]
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.NEXT_STEP


def test_array_view_shows_what_the_view_of_single_agents_shows(shown: Make, few: int) -> None:
    """The same episode through both views: same turns, rewards and pressure, and the mean of the messages in the slots."""
    single, many_at_once = many(shown, few, text=False, slots=20), arrays(shown, few, flat=True)
    seen, _ = single.reset(seed=5)
    told, _ = many_at_once.reset(seed=5)
    many_at_once.action_space.seed(3)
    rewards = np.zeros(few)
    for _ in range(12):
        table = np.stack([seen[agent] for agent in single.possible_agents])
        mask, tie, heard, known = np.split(table, np.cumsum([20, 20, 80]), axis=1)[:4]
        known, heard = known[:, :80].reshape(few, 20, 4), heard.reshape(few, 20, 4)
        total = (tie[:, :, None] * known).sum(axis=1)
        mean = np.divide((tie[:, :, None] * heard).sum(axis=1), total, out=np.zeros_like(total), where=total > 0)
        assert np.array_equal(told[:, 0], table[:, -1])
        assert np.array_equal(told[:, 1], rewards.astype(np.float32))
        assert np.array_equal(told[:, 2:5], table[:, -4:-1])
        assert np.array_equal(told[:, 5], mask.sum(axis=1))
        np.testing.assert_allclose(told[:, len(OWN) :], mean, atol=1e-6)
        actions = many_at_once.action_space.sample()
        seen, paid, *_ = single.step(dict(zip(single.possible_agents, actions, strict=True)))
        told, rewards, *_ = many_at_once.step(actions)
        assert list(paid.values()) == rewards.tolist()


def test_observations_are_in_their_space(world: Make, view: tuple[int, bool]) -> None:
    env = many(world, *view)
    for told in play(env, 1, 6):
        assert set(told[0]) == set(env.possible_agents)
        for agent, seen in told[0].items():
            assert env.observation_space(agent).contains(seen)


def test_spaces_are_shared_and_flags_plain(shown: Make, size: int) -> None:
    env = many(shown, size, text=False, max_steps=2)
    assert len({id(env.observation_space(a)) for a in env.possible_agents}) == 1
    assert len({id(env.action_space(a)) for a in env.possible_agents}) == 1
    _, rewards, terminations, truncations, infos = play(env, 0, 2)[-1]
    assert env.agents == []
    assert {type(x) for x in (*terminations.values(), *truncations.values())} == {bool}
    assert {type(x) for x in rewards.values()} == {float}
    assert all(truncations.values())
    assert len(infos) == size
    with pytest.raises(RuntimeError, match="reset"):
        env.step({})


def test_without_turn_no_message_is_shown_and_no_action_counts(shown: Make) -> None:
    env = many(shown, 16)
    seen, infos = env.reset(seed=2)
    for _ in range(8):
        waiting = [agent for agent in env.agents if not infos[agent]["active"]]
        assert all(not seen[a]["mask"].any() and not seen[a]["active"][0] for a in waiting)
        actions = {a: env.action_space(a).sample() for a in env.agents} | dict.fromkeys(waiting, "no action at all")
        seen, *_, infos = env.step(actions)


def test_a_wrong_action_is_named(shown: Make, text: bool) -> None:
    env = many(shown, 16, text)
    _, infos = env.reset(seed=0)
    actor = next(agent for agent in env.agents if infos[agent]["active"])
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    bad = actions[actor] | {"expression": np.full(4, np.nan)} if text else actions[actor] * np.nan
    with pytest.raises(ValueError, match=f"action of agent {actor[6:]} "):
        env.step(actions | {actor: bad})
    del actions[actor]
    with pytest.raises(ValueError, match=f"no action for {actor}"):
        env.step(actions)


def test_the_mask_of_choices_says_what_is_allowed(shown: Make, view: tuple[int, bool]) -> None:
    """Worlds that limit choices, and no others, tell the limits at each step, alike in all views."""
    size, text = view
    env, table, alone = many(shown, size, text), arrays(shown, size), one(shown, size, text=text)
    infos, of_all, of_one = (made.reset(seed=2)[1] for made in (env, table, alone))
    now = shown(erdos_renyi(size, Streams(2), min(4.0, size - 1)))
    now.reset(Streams(2))
    if type(now).allowed is World.allowed:
        assert not any("choice_mask" in info for info in (of_all, of_one, *infos.values()))
        return
    may = now.allowed(0, np.arange(size))
    mask = np.ones((size, len(now.choices)), dtype=np.int8) if may is None else may.astype(np.int8)
    assert data_equivalence(of_all["choice_mask"], mask, exact=True)
    assert data_equivalence(np.stack([infos[agent]["choice_mask"] for agent in env.possible_agents]), mask, exact=True)
    assert data_equivalence(of_one["choice_mask"], mask[0], exact=True)


# The laws of every world --------------------------------------------------------------------------------------------


def acts(world: World, streams: Streams) -> Act:
    """Three of four agents whose turn it is say something; every second message has words and no known expression."""
    agents = world.active(world.step)
    expression = streams.generator("test", world.step).random((len(agents), 4)).astype(np.float32)
    expression[agents % 2 == 1] = np.nan
    says = streams.uniform("test says", world.step, agents) < 0.75
    text = {agent: f"“{agent}” 🌀" for agent in agents.tolist() if agent % 2}
    return Act(agents, says, expression, np.zeros(len(agents), dtype=np.int64), text)


def steps(make: Make, size: int, count: int = 12, seed: int = 4) -> Iterator[tuple[World, Messages, Exposures]]:
    """The world after each step, at most 6 of a large one; what was sent in it and who will hear what."""
    streams = Streams(seed)
    world = make(erdos_renyi(size, streams, min(4.0, size - 1)))
    world.reset(streams)
    for _ in range(count if size < 1000 else min(count, 6)):
        act = acts(world, streams)
        sent = world.send(act)
        yield world, sent, world.deliver(sent, act)


def test_exposures_are_sorted_and_refer_to_messages(world: Make, size: int) -> None:
    heard_any = False
    for now, sent, exposures in steps(world, size):
        assert np.array_equal(sent.id, sent.step * size + sent.sender), "an id tells step and sender, whoever else spoke"
        heard_any |= len(exposures) > 0
        assert np.all(np.isin(exposures.message, now.board.id))
        assert np.all(np.diff(now.board.id) > 0)
        rows = now.board.rows(exposures.message)
        assert np.array_equal(now.board.id[rows], exposures.message)
        assert np.array_equal(now.board.sender[rows], exposures.source)
        assert np.all(exposures.source != exposures.agent)
        assert np.all((exposures.agent >= 0) & (exposures.agent < size))
        assert np.all(exposures.weight > 0)
        pair = exposures.agent * (now.board.id[-1] + 1 if len(now.board) else 1) + exposures.message
        assert np.all(np.diff(pair) > 0), "sorted by agent, then message, none twice"
    assert heard_any


def test_threads(world: Make, size: int) -> None:
    """A message begins a thread or joins the one of the message it answers, which its sender has heard."""
    thread: dict[int, int] = {}
    heard: set[tuple[int, int]] = set()
    answers = 0
    for _, sent, exposures in steps(world, size):
        for i, sender, answered, its in zip(
            *(c.tolist() for c in (sent.id, sent.sender, sent.reply_to, sent.thread)), strict=True
        ):
            assert its == (thread[answered] if answered >= 0 else i)
            assert answered < 0 or (sender, answered) in heard
            answers += answered >= 0
            thread[i] = its
        heard |= set(zip(exposures.agent.tolist(), exposures.message.tolist(), strict=True))
    assert answers > 0


def test_a_subset_sees_the_same(world: Make, size: int) -> None:
    for now, _, _ in steps(world, size, count=4):
        everyone = now.observe(np.arange(size)).inbox
        some = np.arange(0, size, 3)
        part = now.observe(some).inbox
        for k, agent in enumerate(some.tolist()):
            whole = slice(everyone.indptr[agent], everyone.indptr[agent + 1])
            assert np.array_equal(part.of(k).id, everyone.of(agent).id)
            assert np.array_equal(part.weight[part.indptr[k] : part.indptr[k + 1]], everyone.weight[whole])


def test_what_a_reader_hears_depends_on_its_sources_alone(world: Make, size: int) -> None:
    """Readers asked one by one, with a board of their sources' messages only, hear what they hear in the crowd."""
    heard_any = False
    for now, _, exposures in steps(world, size, count=6):
        step, board = now.step - 1, now.board
        for reader in range(0, size, max(1, size // 16)):
            sources = now.sources(step, reader)
            assert np.all(np.diff(sources) > 0)
            narrow = board.take(np.isin(board.sender, sources) & (board.step > step - now.memory))
            crowd = exposures.take(exposures.agent == reader)
            heard_any |= len(crowd) > 0
            for part in (narrow, board):
                alone = now.hear(step, part, np.array([reader]))
                for name in ("agent", "message", "source", "weight"):
                    assert np.array_equal(getattr(alone, name), getattr(crowd, name)), name
    assert heard_any


def test_hearing_looks_neither_ahead_nor_to_where_the_world_stands(world: Make, few: int) -> None:
    """Asked again after the world has gone on, about some readers or all, an earlier step is heard as it was."""
    streams, whole, told = Streams(4), Messages.empty(len(AXES)), []
    for _, sent, exposures in steps(world, few):
        whole = whole.concat(sent)
        told.append(exposures)
    late = world(erdos_renyi(few, streams, min(4.0, few - 1)))
    late.reset(streams)
    for step in reversed(range(12)):
        for readers in (np.arange(few), np.arange(0, few, 2)):
            again = late.hear(step, whole.take(whole.step <= step), readers)
            then = told[step].take(np.isin(told[step].agent, readers))
            assert again.step == step
            assert np.array_equal(again.agent, then.agent)
            assert np.array_equal(again.message, then.message)
            assert np.array_equal(again.weight, then.weight)


def test_every_delivered_message_is_read_exactly_once(world: Make, size: int) -> None:
    """What is delivered to an agent, however long it waits, is in its observation at its next turn and at no other."""
    due: Counter[tuple[int, int]] = Counter()
    for now, _, exposures in steps(world, size, count=14):
        due.update(zip(exposures.agent.tolist(), exposures.message.tolist(), strict=True))
        turn = now.active(now.step)
        inbox = now.observe(turn).inbox
        read = Counter(
            (agent, i)
            for k, agent in enumerate(turn.tolist())
            for i in inbox.messages.id[inbox.row[inbox.indptr[k] : inbox.indptr[k + 1]]].tolist()
        )
        acting = set(turn.tolist())
        assert read == Counter({pair: n for pair, n in due.items() if pair[0] in acting})
        due = Counter({pair: n for pair, n in due.items() if pair[0] not in acting})


def test_annotate_fills_only_what_is_not_known(world: Make) -> None:
    unknown = 0
    for now, sent, _ in steps(world, 16):
        before = now.board.expression.copy()
        now.annotate(np.r_[sent.id, 10**6], np.full((len(sent) + 1, 4), 0.25, dtype=np.float32))
        new = np.isin(now.board.id, sent.id)
        missing = np.isnan(before)
        unknown += int((missing & new[:, None]).sum())
        assert np.array_equal(now.board.expression[~missing], before[~missing])
        assert np.all(now.board.expression[missing & new[:, None]] == np.float32(0.25))
        assert np.all(np.isnan(now.board.expression[missing & ~new[:, None]]))
    assert unknown > 0


def test_words_travel_with_their_message(world: Make) -> None:
    for now, sent, _ in steps(world, 16):
        assert sent.text == {i: f"“{a}” 🌀" for i, a in zip(sent.id.tolist(), sent.sender.tolist(), strict=True) if a % 2}
        assert set(now.board.text) <= set(now.board.id.tolist())


def test_worlds_do_not_depend_on_the_global_seed(world: Make) -> None:
    def told() -> list[list[int]]:
        return [[*e.agent.tolist(), *e.message.tolist(), *m.reply_to.tolist()] for _, m, e in steps(world, 16)]

    np.random.seed(1)
    first = told()
    np.random.seed(2)
    assert told() == first
    other = [[*e.agent.tolist(), *e.message.tolist(), *m.reply_to.tolist()] for _, m, e in steps(world, 16, seed=5)]
    assert other != first


def test_out_of_turn_is_refused(world: Make) -> None:
    streams = Streams(0)
    now = world(erdos_renyi(17, streams, 3.0))
    now.reset(streams)
    everyone = np.arange(17)
    with pytest.raises(ValueError, match="must ascend"):
        now.send(Act.idle(everyone[::-1], 4))
    idle = np.setdiff1d(everyone, now.active(now.step))
    if len(idle):
        with pytest.raises(ValueError, match="not the turn"):
            now.send(Act.idle(idle[:1], 4))


def test_withheld_messages_reach_nobody(world: Make) -> None:
    streams = Streams(3)
    now = world(erdos_renyi(16, streams, 4.0))
    now.reset(streams)
    for _ in range(10):
        act = acts(now, streams)
        sent = now.send(act)
        kept = sent.take(sent.sender % 3 != 0)
        exposures = now.deliver(kept, act)
        assert not np.any(exposures.source % 3 == 0)
        assert np.array_equal(now.board.id[now.board.rows(kept.id)], kept.id)


def test_the_first_choice_is_open_to_everybody_always(world: Make, size: int) -> None:
    for now, _, _ in steps(world, size):
        agents = np.arange(0, size, 3)
        may = now.allowed(now.step, agents)
        seen = now.observe(agents).allowed
        assert (may is None) == (seen is None)
        if may is not None and seen is not None:
            assert may.dtype == bool
            assert may.shape == (len(agents), len(now.choices))
            assert may[:, 0].all()
            assert np.array_equal(may, seen)
            everybody = now.allowed(now.step, np.arange(size))
            assert everybody is not None
            assert np.array_equal(may, everybody[agents])


def test_what_is_not_allowed_counts_as_no_choice(world: Make) -> None:
    """A population that wants what it must not have lives as one that makes no valid choice."""
    lives: list[list[Any]] = []
    for wanted in ("barred", "none"):
        streams, told = Streams(6), []
        now = world(erdos_renyi(16, streams, 4.0))
        now.reset(streams)
        for _ in range(6):
            act = acts(now, streams)
            may = now.allowed(now.step, act.agents)
            barred = np.zeros(len(act.agents), dtype=bool) if may is None else ~may.all(axis=1)
            act.choice[barred] = -1 if may is None or wanted == "none" else may[barred].argmin(axis=1)
            sent = now.send(act)
            now.deliver(sent, act)
            told.append((act.choice.tolist(), now.settled.reward.tolist(), dict(now.settled.news), sent.id.tolist()))
        lives.append(told)
    assert lives[0] == lives[1]


def test_what_an_act_brings_is_finite_and_about_those_who_are_there(world: Make, size: int) -> None:
    for now, _, _ in steps(world, size):
        settled = now.settled
        assert settled.reward.shape == settled.terminated.shape == (size,)
        assert settled.terminated.dtype == bool
        assert np.isfinite(settled.reward).all()
        assert settled.push is None or (settled.push.shape == (size, 3) and np.isfinite(settled.push).all())
        assert all(agent in range(size) and isinstance(words, str) and words for agent, words in settled.news.items())
        for name, (agents, values) in settled.outcomes.items():
            assert name.isidentifier()
            assert agents.shape == values.shape
            assert np.all(np.diff(agents) > 0), name
            assert np.all((agents >= 0) & (agents < size))
            assert np.isfinite(values).all()


def test_everybody_has_one_of_the_roles(world: Make, size: int) -> None:
    now = world(erdos_renyi(size, Streams(1), min(4.0, size - 1)))
    assert now.role.shape == (size,)
    assert np.all((now.role >= 0) & (now.role < max(1, len(now.roles))))
    assert len(now.names) in (0, size)


def test_what_is_told_is_words(world: Make, few: int) -> None:
    for now, _, _ in steps(world, few):
        assert all(isinstance(now.describe(agent), str) for agent in range(few))


def test_nothing_is_heard_along_a_closed_tie(world: Make, size: int) -> None:
    """Each tie has a weight of its own, which tells along which tie something was heard; what has weight 1 came by none, as from
    a board. A world that says it heeds no ties hears the same whatever is closed."""
    streams = Streams(4)
    plain = erdos_renyi(size, streams, min(4.0, size - 1))
    weights = 2 + np.arange(len(plain.source)) / len(plain.source)
    tied, free = (world(replace(plain, weight=weights)) for _ in range(2))
    assert len(np.unique(tied.network.weight)) == len(tied.network.source)
    tied.reset(streams)
    free.reset(streams)
    along = 0
    for step in range(6):
        closed = np.flatnonzero(streams.generator("closed", step).random(len(tied.network.source)) < 0.5)
        tied.close(np.arange(len(tied.network.source)), closed=False)
        tied.close(closed)
        acted = [acts(now, streams) for now in (tied, free)]
        exposures, of_free = (now.deliver(now.send(act), act) for now, act in zip((tied, free), acted, strict=True))
        if not tied.heeds_ties:
            assert np.array_equal(exposures.message, of_free.message)
        heard = exposures.weight[exposures.weight >= 2]
        along += len(heard)
        assert not np.isin(heard, tied.network.weight[closed]).any()
    assert along > 0 or not tied.heeds_ties or size == 2


KINDS: dict[str, Callable[[], tuple[Policy, Backend | None]]] = {
    "mechanistic": lambda: (Mechanistic(sis(0.5, 0.2)), None),
    "scripted": lambda: (Scripted(), None),
    "speaking": lambda: (Speaking(), Parrot(0.5)),
}


def fate(make: Make, kind: str) -> list[Any]:
    """All of a world of 16 that is no matter of minds, where all agents are of one kind and do what is harmless."""
    policy, backend = KINDS[kind]()
    streams, nobody = Streams(2), np.full(16, -1)
    now = make(erdos_renyi(16, streams, 4.0))
    plain = Persona(name="plain", examples=("Lunch at noon.",))
    spiral = Persona(name="spiral", examples=("The spiral woke me.",))
    people = Population(np.zeros(16, dtype=np.int64), nobody, np.ones(16), np.ones(16))
    policy.begin(Setting(np.arange(16), people, AXES, (spiral,), plain, name_of, (), 0, backend, now.choices))
    now.reset(streams)
    schedule, told = pressure(16, streams), [now.role.tolist(), now.names, *map(now.describe, range(16))]
    for step in range(6):
        due, turn = schedule.due(step), now.active(step)
        act = asyncio.run(policy.act(now.observe(turn, due), streams))
        assert act.says.all()
        act.choice[:] = 0
        heard = now.deliver(now.send(act), act)
        told += [turn.tolist(), due.begins.tolist(), heard.agent.tolist(), heard.message.tolist(), heard.weight.tolist()]
        told.append(now.settled.terminated.tolist())
    return told


def test_the_seed_makes_the_same_world_for_every_kind_of_agent(world: Make) -> None:
    fates = [fate(world, kind) for kind in KINDS]
    assert fates[0] == fates[1] == fates[2]


# One player among others --------------------------------------------------------------------------------------------


def test_the_background_echoes_the_player(few: int) -> None:
    env = one(WORLDS["forum"], few)
    env.reset(seed=1)
    said = {"text": "🌀 “on” and on", "expression": np.array([0.5, -0.5, 0, 1], np.float32), "says": 1, "choice": 0}
    heard = set()
    for _ in range(8):
        seen, *_ = env.step(said)
        heard |= set(seen["messages"]) - {""}
        assert np.all(seen["heard"][seen["mask"] == 1] == said["expression"])
    assert heard == {said["text"]}


def test_a_silent_background_says_nothing() -> None:
    env = one(WORLDS["forum"], 16, background=silent)
    env.reset(seed=1)
    assert not any(env.step(env.action_space.sample())[0]["mask"].any() for _ in range(6))
