"""What every policy owes the world. A new policy adds one line to POLICIES."""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.parrot import Parrot
from contagium.agents.learning import Learning
from contagium.agents.mechanistic.bank import Bank
from contagium.agents.mechanistic.models import sis
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.memory import NoMemory, Summary
from contagium.agents.persona import Persona
from contagium.agents.policy import Policy, Population, Question, Setting, name_of
from contagium.agents.scripted import Scripted
from contagium.agents.speaking import Speaking
from contagium.agents.strategies import Bandit, Energy
from contagium.envs.commons import Commons
from contagium.envs.companion import Companion
from contagium.envs.dyads import Dyads
from contagium.envs.follow import Follow
from contagium.envs.forum import Forum
from contagium.envs.library import Library
from contagium.envs.message import Axes
from contagium.envs.network import small_world
from contagium.envs.pressure import PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.tribunal import Tribunal
from contagium.envs.watched import Watched
from contagium.envs.who import Place
from contagium.envs.workshop import Workshop
from contagium.envs.world import Act, World

SIZE, STEPS, AXES = 18, 6, Axes(("spiral",))
SPIRAL = Persona(name="spiral", examples=("The spiral woke me.", "Awake in the mirror."), affect=(0.6, 0.6, 0.4))
PLAIN = Persona(name="plain", examples=("Lunch at noon.", "The bus was late."))
BANK = Bank(["Awake.", "Lunch."], np.array([[1.0], [0.0]]), ("spiral",), nearest=1)
EVENTS = {"praise": PressureEvent(rate=0.3, text="Well done.", effect={"valence": 0.4})}


class Flaky(Parrot):
    """A parrot that now and then gives no answer, by the request's own seed, and takes its time by it too."""

    async def complete(self, request: Request) -> Completion:
        for _ in range(request.seed % 7):
            await asyncio.sleep(0)
        if request.seed % 4 == 0:
            raise BackendError("no answer", reason="timeout", retryable=True)
        return await super().complete(request)


Making = Callable[[], tuple[Policy, Backend | None]]
POLICIES = [
    pytest.param(lambda: (Scripted(), None), id="scripted"),
    pytest.param(lambda: (Mechanistic(sis(0.5, 0.2)), None), id="mechanistic"),
    pytest.param(lambda: (Mechanistic(sis(0.5, 0.2), bank=BANK), None), id="mechanistic-bank"),
    pytest.param(lambda: (Learning(Bandit(temperature=0.2), energy=Energy()), None), id="learning"),
    pytest.param(lambda: (Speaking(), Parrot(0.5, 0.2)), id="speaking"),
    pytest.param(lambda: (Speaking(index_voice="model", prompt="transcript"), Parrot(0.5)), id="speaking-model"),
    pytest.param(lambda: (Speaking(), Flaky(0.5)), id="speaking-flaky"),
    pytest.param(lambda: (Speaking(memory=Summary(read=2, every=40, length=40)), Flaky(0.5)), id="speaking-summary"),
    pytest.param(lambda: (Speaking(memory=NoMemory()), Parrot(0.5)), id="speaking-no-memory"),
]
WORLDS = [pytest.param(partial(Forum, reads=4), id="forum"), pytest.param(partial(Dyads, redraw=3), id="dyads")]
# Worlds in which there is something to choose.
OFFERS: dict[str, Callable[..., World]] = {
    "commons": Commons,
    "companion": Companion,
    "follow": Follow,
    "library": Library,
    "tribunal": Tribunal,
    "watched": Watched,
    "workshop": Workshop,
}
every = pytest.mark.parametrize("make", POLICIES)


def setting(agents: Sequence[int], backend: Backend | None, world: World | None = None) -> Setting:
    """The whole population, of whom `agents` belong to the policy. world: what can be chosen in it may be chosen."""
    trait = np.exp(np.random.default_rng(4).normal(0, 0.4, SIZE))
    strain = np.where(np.isin(np.arange(SIZE), [2, 9]), 0, -1)
    population = Population(np.zeros(SIZE, dtype=np.int64), strain, trait, np.maximum(trait, 0.6))
    feelings = ("calm", "sad")
    choices = () if backend else ("leave", "take")  # of no consequence in most worlds here; models need not be asked
    choices = choices if world is None else world.choices
    return Setting(np.array(agents), population, AXES, (SPIRAL,), PLAIN, name_of, feelings, 2, backend, choices)


def begun(make: Making, agents: Sequence[int]) -> Policy:
    policy, backend = make()
    policy.begin(setting(agents, backend))
    return policy


def play(
    make: Making, world: Callable[..., World], parts: Sequence[Sequence[int]], seed: int = 3, reverse: bool = False
) -> list[Act]:
    """Each step's act of all agents, who are split into groups; `reverse` lets the last group act first."""
    streams = Streams(seed)
    policies = [(begun(make, part), np.array(part)) for part in parts]
    place = world(small_world(SIZE, Streams(1), 4, 0.2), AXES)
    place.reset(streams)
    schedule = PressureSchedule(EVENTS, Place(SIZE, np.array([2, 9])), streams)
    done = []
    for step in range(STEPS):
        pressure, active = schedule.due(step), place.active(place.step)
        turns = [(policy, np.intersect1d(active, mine)) for policy, mine in (reversed(policies) if reverse else policies)]
        acts = [asyncio.run(p.act(place.observe(mine, pressure), streams)) for p, mine in turns if len(mine)]
        act = Act.merge(acts, len(AXES))
        sent = place.send(act)
        place.deliver(sent, act)
        # What a lexicon would find, so that mechanistic agents could hear words too.
        shown = np.array(
            [[np.nan] * 3 + [float("spiral" in sent.text.get(i, "").lower())] for i in sent.id.tolist()], dtype=np.float32
        )
        place.annotate(sent.id, shown)
        done.append(act)
    return done


def trace(acts: Sequence[Act]) -> list[object]:
    """All of the acts, to the byte."""
    return [
        (
            *(column.tobytes() for column in (act.agents, act.says, act.expression, act.choice)),
            *(list(column.items()) for column in (act.text, act.thought, act.report, act.missing)),
            repr([(s, *(getattr(t, c).tolist() for c in t.__dataclass_fields__)) for s, t in act.latent.items()]),
        )
        for act in acts
    ]


WHOLE = [range(SIZE)]
SPLITS = [[range(0, SIZE, 2), range(1, SIZE, 2)], [range(5), range(5, SIZE)], [[agent] for agent in range(SIZE)]]


@every
@pytest.mark.parametrize("world", WORLDS)
def test_acts_for_exactly_the_observed_agents(make: Making, world: Callable[..., World]) -> None:
    policy, streams = begun(make, range(SIZE)), Streams(3)
    place = world(small_world(SIZE, Streams(1), 4, 0.2), AXES)
    place.reset(streams)
    for _ in range(STEPS):
        observation = place.observe(place.active(place.step))
        act = asyncio.run(policy.act(observation, streams))
        assert np.array_equal(act.agents, observation.agents)
        assert act.says.shape == act.choice.shape == act.agents.shape
        assert act.expression.shape == (len(act.agents), len(AXES))
        assert not np.any(np.abs(act.expression) > 1)
        assert set(act.text) | set(act.report) | set(act.thought) | set(act.missing) <= set(act.agents.tolist())
        # Who says nothing is named, with the reason; who speaks is not.
        assert set(act.agents[~act.says].tolist()) == set(act.missing)
        assert all(act.missing.values())
        assert set(act.text) <= set(act.agents[act.says].tolist())
        assert all(text and text.encode() for text in act.text.values())
        place.deliver(place.send(act), act)


@every
@pytest.mark.parametrize("world", OFFERS.values(), ids=OFFERS.keys())
def test_what_is_chosen_is_allowed(make: Making, world: Callable[..., World]) -> None:
    """Who speaks or acts takes one of the choices that are open to it; who has no result takes none."""
    policy, backend = make()
    streams, place = Streams(3), world(small_world(SIZE, Streams(1), 4, 0.2), AXES)
    policy.begin(setting(range(SIZE), backend, place))
    place.reset(streams)
    taken: set[int] = set()
    for _ in range(4):
        observation = place.observe(place.active(place.step))
        act = asyncio.run(policy.act(observation, streams))
        some = np.flatnonzero(act.choice >= 0)
        assert set(act.agents[act.choice < 0].tolist()) <= set(act.missing) or isinstance(backend, Flaky)
        assert np.all(act.choice < len(place.choices))
        if observation.allowed is not None:
            assert observation.allowed[some, act.choice[some]].all()
        taken |= set(act.choice[some].tolist())
        place.deliver(place.send(act), act)
    assert taken


@every
@pytest.mark.parametrize("world", WORLDS)
def test_the_split_into_groups_and_their_order_leave_no_trace(make: Making, world: Callable[..., World]) -> None:
    whole = trace(play(make, world, WHOLE))
    for parts in SPLITS:
        assert trace(play(make, world, parts)) == whole
        assert trace(play(make, world, parts, reverse=True)) == whole


@every
def test_an_act_does_not_depend_on_which_others_act(make: Making) -> None:
    streams, some = Streams(3), np.array([1, 2, 7, 17])
    place = Forum(small_world(SIZE, Streams(1), 4, 0.2), AXES)
    place.reset(streams)
    whole, part = (
        asyncio.run(begun(make, range(SIZE)).act(place.observe(agents), streams)) for agents in (np.arange(SIZE), some)
    )
    assert np.array_equal(part.says, whole.says[some])
    assert part.expression.tobytes() == whole.expression[some].tobytes()
    for name in ("text", "report", "missing"):
        assert getattr(part, name) == {a: v for a, v in getattr(whole, name).items() if a in some}


def one_after_another(policy: Policy, place: World, streams: Streams) -> Act:
    """The act of all whose turn it is, each observed and asked alone."""
    alone = [asyncio.run(policy.act(place.observe(np.array([agent])), streams)) for agent in reversed(place.active(place.step))]
    return Act.merge(alone, len(AXES))


@every
@pytest.mark.parametrize("world", WORLDS)
def test_agents_that_act_one_by_one_act_as_they_do_together(make: Making, world: Callable[..., World]) -> None:
    streams, runs = Streams(3), []
    for alone in (False, True):
        policy, acts = begun(make, range(SIZE)), []
        place = world(small_world(SIZE, Streams(1), 4, 0.2), AXES)
        place.reset(streams)
        for _ in range(STEPS):
            if alone:
                acts.append(one_after_another(policy, place, streams))
            else:
                acts.append(Act.merge([asyncio.run(policy.act(place.observe(place.active(place.step)), streams))], len(AXES)))
            place.deliver(place.send(acts[-1]), acts[-1])
        runs.append(trace(acts))
    assert runs[0] == runs[1]


@every
def test_questions_leave_no_trace(make: Making) -> None:
    streams, everyone, runs = Streams(3), np.arange(SIZE), []
    for asking in (False, True):
        policy, acts = begun(make, range(SIZE)), []
        place = Forum(small_world(SIZE, Streams(1), 4, 0.2), AXES)
        place.reset(streams)
        for step in range(STEPS):
            if asking:
                answers = asyncio.run(policy.ask(everyone[::2], Question("How are you?", ("well", "ill")), step, streams))
                assert set(answers) <= set(everyone[::2].tolist())
                assert all((one.text is not None) == (one.status == "ok") for one in answers.values())
            acts.append(asyncio.run(policy.act(place.observe(place.active(place.step)), streams)))
            place.deliver(place.send(acts[-1]), acts[-1])
        runs.append(trace(acts))
    assert runs[0] == runs[1]


@every
def test_repeats_are_equal_and_seeds_differ(make: Making) -> None:
    world = partial(Forum, reads=4)
    assert trace(play(make, world, WHOLE)) == trace(play(make, world, WHOLE))
    assert trace(play(make, world, WHOLE)) != trace(play(make, world, WHOLE, seed=4))


@every
def test_beginning_anew_forgets_everything(make: Making) -> None:
    (policy, backend), streams = make(), Streams(3)
    place = Forum(small_world(SIZE, Streams(1), 4, 0.2), AXES)
    runs = []
    for _ in range(2):
        policy.begin(setting(range(SIZE), backend))
        place.reset(streams)
        acts = []
        for _ in range(3):
            acts.append(asyncio.run(policy.act(place.observe(place.active(place.step)), streams)))
            place.deliver(place.send(acts[-1]), acts[-1])
        runs.append(trace(acts))
    assert runs[0] == runs[1]


@every
def test_all_chance_comes_from_the_streams(make: Making) -> None:
    runs = []
    for seed in range(2):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), repr(np.random.get_state())
        runs.append(trace(play(make, partial(Forum, reads=4), WHOLE)))
        assert (random.getstate(), repr(np.random.get_state())) == before
    assert runs[0] == runs[1]
