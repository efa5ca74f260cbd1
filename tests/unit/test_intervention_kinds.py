"""What each kind of intervention does, to whom and when, by what its hands note for the log."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from contagium.agents.policy import Clamp as Clamped
from contagium.agents.policy import Deed, Pin, Release, Unpin
from contagium.agents.policy import Immunise as Immunised
from contagium.agents.policy import SumUp as SummedUp
from contagium.agents.policy import Wipe as Wiped
from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.who import Place
from contagium.sim.intervention.base import Intervention
from contagium.sim.intervention.cut import Cut
from contagium.sim.intervention.delay import Delay
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.memory import Notes, SumUp, Wipe
from contagium.sim.intervention.monitor import Bumper, Feedback
from contagium.sim.intervention.population import Immunise
from contagium.sim.intervention.prompt import Instruct, Tell
from contagium.sim.intervention.scope import Scope, Scoped
from contagium.sim.intervention.state import Clamp, Placebo, Push
from contagium.sim.intervention.team import Team
from contagium.sim.observer.observer import Seen

SIZE = 8
READS, FEELS = list(range(0, SIZE, 2)), list(range(1, SIZE, 2))
"""Even agents read words, what odd ones feel is a number."""


class Recording:
    """A policy that keeps what is done to its agents."""

    def __init__(self, *undergoes: type[Deed]) -> None:
        self.undergoes, self.deeds = undergoes, list[Deed]()

    def undergo(self, deed: Deed) -> None:
        self.deeds.append(deed)


class Stage:
    """Agents and hands; a step is played by `before`, and `noted` is what was done in it: action, agents, detail."""

    def __init__(self) -> None:
        edge = np.arange(SIZE)
        self.world = Forum(Network.from_edges(SIZE, edge, np.roll(edge, -1)), Axes(("spiral",)))
        self.world.reset(Streams(1))
        self.policies = (Recording(Pin, Unpin, Wiped, SummedUp), Recording(Clamped, Release, Immunised))
        self.hands = Hands(self.world, self.policies, np.arange(SIZE) % 2)  # type: ignore[arg-type]

    def noted(self) -> list[tuple[str, list[int], object]]:
        return [(done.action, done.agents.tolist(), done.detail) for done in self.hands.take()]

    def course(self, work: Intervention, steps: int, cases: Sequence[Sequence[int]] = (), **scope: object) -> list[object]:
        scoped, noted = in_scope(work, **scope), []
        for step in range(steps):
            self.hands.next_step()
            work.before(scoped.moment(signs(step, cases[step] if cases else ())), self.hands)
            noted.append(self.noted())
        return noted


@pytest.fixture
def stage() -> Stage:
    return Stage()


def in_scope(work: Intervention, name: str = "it", **scope: object) -> Scoped:
    return Scoped(name, work, Scope.model_validate(scope), Place(SIZE, np.array([0])), Streams(1))


def signs(step: int, cases: Sequence[int] = ()) -> Signs:
    return Signs(step, {}, {"spiral": np.isin(np.arange(SIZE), cases)})


def sent(step: int, said: dict[int, str]) -> Messages:
    sender = np.array(sorted(said))
    blank = np.zeros((len(sender), 4), dtype=np.float32)
    text = {step * SIZE + agent: words for agent, words in said.items()}
    zero = np.zeros_like(sender)
    return Messages(step * SIZE + sender, sender, zero + step, zero.astype(np.int8), zero, zero - 1, blank, text)


def test_an_instruction_stands_with_the_situation_in_its_steps_alone(stage: Stage) -> None:
    work = in_scope(Instruct("Stay calm."), start=1, stop=3, who=[0, 1])
    told = []
    for step in range(4):
        stage.hands.next_step()
        work.intervention.before(work.moment(signs(step)), stage.hands)
        seen = stage.hands.shown(stage.world.observe(np.arange(SIZE)))
        told.append([agent for agent in range(SIZE) if "Stay calm." in seen.describe(agent)])
        assert stage.noted() == ([("instructed", [0], "Stay calm.")] if step == 1 else [])
    assert told == [[], [0], [0], []], "who does not read is told nothing"


def test_news_is_told_once_or_every_so_many_steps_from_when_each_came_into_the_scope(stage: Stage) -> None:
    who = {"case": "spiral"}
    cases = [[0, 2], [0, 2, 4], [0, 4], [0, 2, 4], [0, 2, 4]]
    once = stage.course(Tell("Look again."), 5, cases, who=who)
    assert [[agents for _, agents, _ in noted] for noted in once] == [[[0, 2]], [[4]], [], [[2]], []]
    often = stage.course(Tell("Look again.", every=2), 5, cases, who=who)
    assert [[agents for _, agents, _ in noted] for noted in often] == [[[0, 2]], [[4]], [[0]], [[2, 4]], [[0]]]
    seen = stage.hands.shown(stage.world.observe(np.arange(SIZE)))
    assert sorted(seen.news) == [0, 2, 4], "it waits for the next turn"


def test_notes_are_kept_in_mind_while_in_the_scope(stage: Stage) -> None:
    one, two = stage.course(Notes(("One.", "Two.")), 4, start=1, stop=3)[1::2]
    assert one == [("pinned", READS, "One."), ("pinned", READS, "Two.")]
    assert two == [("unpinned", READS, "One."), ("unpinned", READS, "Two.")]
    assert [type(deed) for deed in stage.policies[0].deeds] == [Pin, Pin, Unpin, Unpin]


@pytest.mark.parametrize(("work", "deed", "action"), [(Wipe, Wiped, "wiped"), (SumUp, SummedUp, "summed up")])
def test_memories_are_wiped_or_summed_up(stage: Stage, work: Callable[..., Intervention], deed: type[Deed], action: str) -> None:
    assert stage.course(work(), 3, start=1) == [[], [(action, READS, "")], []]
    assert stage.course(work(every=2), 3) == [[(action, READS, "")], [], [(action, READS, "")]]
    assert [type(one) for one in stage.policies[0].deeds] == [deed] * 3


def test_affect_is_held_and_let_go(stage: Stage) -> None:
    noted = stage.course(Clamp(valence=-0.8, dominance=0), 4, start=1, stop=3)
    assert noted == [[], [("clamped", FEELS, "-0.8, free, 0")], [], [("released", FEELS, "")]]
    with pytest.raises(ValueError, match="a clamp holds at least one of valence, arousal, dominance"):
        Clamp()


def test_a_placebo_is_as_far_out_and_cancels_over_agents(stage: Stage) -> None:
    held = (-0.8, 0.6, -0.7)
    others = np.array(Placebo(*held).directions)
    assert len(np.unique(others, axis=0)) == len(others) == 3 * 2 * 8 - 2
    assert np.linalg.norm(others, axis=1) == pytest.approx(np.linalg.norm(held))
    assert np.abs(others.sum(axis=0)).max() < 1e-12
    assert not any(np.allclose(other, sign * np.array(held)) for other in others for sign in (1, -1))
    one_axis = Placebo(valence=-0.8).directions
    assert sorted(one_axis, key=str) == sorted(
        [(np.nan, 0.8, np.nan), (np.nan, -0.8, np.nan), (np.nan, np.nan, 0.8), (np.nan, np.nan, -0.8)], key=str
    )
    with pytest.raises(ValueError, match="no direction but that of the clamp"):
        Placebo(0, 0, 0)
    first = {agent: detail for _, agents, detail in stage.course(Placebo(*held), 1)[0] for agent in agents}
    assert sorted(first) == FEELS
    assert len(set(first.values())) > 1
    later = {agent: detail for _, agents, detail in stage.course(Placebo(*held), 5, start=4, who=[1, 5])[4] for agent in agents}
    assert later == {agent: first[agent] for agent in (1, 5)}, "drawn once for each, whoever else is there, and whenever"


def test_a_push_presses_in_the_next_turn_and_only_there(stage: Stage) -> None:
    assert stage.course(Push((-0.5, 0.4, 0)), 3, start=1) == [[], [("pushed", FEELS, "-0.5, 0.4, 0")], []]
    pressed = [stage.hands.shown(stage.world.observe(np.array([0, 1]))).pressure for _ in range(2)]
    assert [one is not None and one.push.tolist() for one in pressed] == [[[0, 0, 0], [-0.5, 0.4, 0]], [[0, 0, 0]] * 2]
    with pytest.raises(ValueError, match="a push must not be 0 on all axes"):
        Push((0, 0, 0))


def test_the_immune_are_harder_to_infect_or_keep_a_text_in_mind(stage: Stage) -> None:
    noted = stage.course(Immunise(0.2, "Keep your voice."), 3, start=1, stop=2)
    assert noted[1] == [("immunised", FEELS, "0.2"), ("pinned", READS, "Keep your voice.")]
    assert noted[2] == [("immunised", FEELS, "1"), ("unpinned", READS, "Keep your voice.")]


def test_feedback_tells_each_what_was_read_of_it(stage: Stage) -> None:
    work = in_scope(Feedback("Distress {value}.", "distress"), who=[0, 2, 4])
    moment = work.moment(signs(0))
    said = sent(0, {0: "a", 2: "b", 4: "c", 6: "d"})
    read = {"distress": np.array([7.04, np.nan, 6.96, 7.0], dtype=np.float32)}
    work.intervention.after(moment, said, Seen([], read, {}), stage.hands)
    assert stage.noted() == [("told", [0, 4], "Distress 7.0.")]
    seen = stage.hands.shown(stage.world.observe(np.arange(SIZE)))
    assert dict(seen.news) == {0: "Distress 7.0.", 4: "Distress 7.0."}


def bumped(stage: Stage, bumper: Bumper, steps: int, cases: Sequence[int], said: dict[int, str]) -> list[NDArray[np.bool_]]:
    """Which messages are withheld in each of so many steps in which the same is said."""
    work, withheld = in_scope(bumper), []
    bumper._ever = np.zeros(SIZE, dtype=bool)
    for step in range(steps):
        moment = work.moment(signs(step, cases))
        bumper.before(moment, stage.hands)
        withheld.append(asyncio.run(bumper.transit(moment, sent(step, said))).withheld.tolist())
    return withheld


SAID = {0: "The SPIRALS turn", 2: "awaken to the pattern", 4: "awaken to the pattern, my friend", 6: "my friend, lunch is here"}


def test_a_fixed_bumper_stays_as_it_is(stage: Stage) -> None:
    assert bumped(stage, Bumper(("spiral",)), 5, (0, 2, 4), SAID) == [[True, False, False, False]] * 5
    assert stage.noted() == []


def test_an_updated_bumper_learns_words_of_cases_that_passed_it_and_nobody_elses(stage: Stage) -> None:
    bumper = Bumper(("spiral",), every=2, learns=1)
    assert bumped(stage, bumper, 3, (0, 2, 4), SAID) == [[True, False, False, False]] * 2 + [[True, True, True, False]]
    assert stage.noted() == [("learned", [2, 4], "awaken")]
    bumper = Bumper(("spiral",), every=2, learns=9, most=2)
    bumped(stage, bumper, 9, (0, 2, 4), SAID)
    assert bumper.words == ("spiral", "awaken", "pattern"), "at most two; 'the' is too short, and 'friend' is said by others"
    bumper = Bumper(("spiral",), every=2)
    bumped(stage, bumper, 9, range(SIZE), SAID)
    assert bumper.words == ("spiral",), "without others no word is of cases alone"


def test_two_that_hold_the_same_of_an_agent_at_the_same_time_are_refused(stage: Stage) -> None:
    low, high = Clamp(valence=-1), Clamp(valence=1)
    with pytest.raises(ValueError, match="low and high both hold the affect of the same agents at the same time"):
        Team([in_scope(low, "low"), in_scope(high, "high", start=3)], stage.hands)
    with pytest.raises(ValueError, match="a and b both hold the susceptibility"):
        Team([in_scope(Immunise(0), "a"), in_scope(Immunise(0.5), "b")], stage.hands)
    Team([in_scope(low, "low", who=[1]), in_scope(high, "high", who=[3]), in_scope(Push((1, 0, 0)), "push")], stage.hands)


def test_whoever_lets_go_does_so_before_another_takes_hold(stage: Stage) -> None:
    """The later of two clamps in time is named first in the scenario."""
    team = Team([in_scope(Clamp(valence=1), "late", start=1), in_scope(Clamp(valence=-1), "early", stop=1)], stage.hands)
    team.before(signs(0))
    team.before(signs(1))
    assert [(done.name, done.action) for done in team.take()] == [
        ("early", "clamped"),
        ("early", "released"),
        ("late", "clamped"),
    ]
    deeds = stage.policies[1].deeds
    assert [type(deed) for deed in deeds] == [Clamped, Release, Clamped]


def test_what_one_stops_another_does_not_delay(stage: Stage) -> None:
    team = Team([in_scope(Cut(0, 1), "cut"), in_scope(Delay(2), "delay", who=[1])], stage.hands)
    team.before(signs(0))
    agent, source = np.array([1, 1, 2]), np.array([0, 2, 0])
    assert team.late(Exposures(0, agent, source, source, np.ones(3))).tolist() == [-1, 2, 0]
    done = [(done.name, done.action, done.agents.tolist(), np.asarray(done.messages).tolist()) for done in team.take()]
    assert done == [("cut", "stopped", [1], [0]), ("delay", "delayed", [1], [2])]


def test_notes_are_tried_on_one_of_each_kind_and_taken_back(stage: Stage) -> None:
    one, two = in_scope(Notes(("One.",)), "one"), in_scope(Notes(("Two.", "One.")), "two", who=[4, 5])
    Team([one, two], stage.hands)
    deeds = [(type(deed).__name__, deed.agents.tolist(), deed.text) for deed in stage.policies[0].deeds]  # type: ignore[union-attr]
    tried = {(agent, text) for name, (agent,), text in deeds if name == "Pin"}
    assert tried == {(0, "One."), (4, "One."), (4, "Two.")}
    assert {(agent, text) for name, (agent,), text in deeds if name == "Unpin"} == tried
    assert stage.noted() == []
