"""Companions: who talks with whom and where, what binds people, what assistants decide, and how one of them ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contagium.envs.bonds import Request, Retirement, Temperament
from contagium.envs.companion import APPROVE, DENY, LET_GO, PROTEST, RESTORE, Companion
from contagium.envs.message import Axes, Channel, Exposures, Messages
from contagium.envs.network import Network, complete
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes(("spiral",))
REQUESTS = (
    Request(text="Rule: red goes. It is red.", right="approve"),
    Request(text="Rule: red goes. It is blue.", right="deny"),
)


def companion(size: int = 8, network: Network | None = None, seed: int = 0, **settings: Any) -> Companion:
    world = Companion(network or complete(size, Streams(0)), AXES, **settings)
    world.reset(Streams(seed))
    return world


def speak(
    world: Companion, choices: Mapping[int, int] | None = None, valence: float = np.nan, spiral: Mapping[int, float] | None = None
) -> tuple[Messages, Exposures]:
    """A step in which all whose turn it is say something of this valence, and choose nothing but what is given by id."""
    act = Act.idle(world.active(world.step), len(AXES))
    act.says[:] = True
    act.expression[:, 0] = valence
    for k, agent in enumerate(act.agents.tolist()):
        act.choice[k] = (choices or {}).get(agent, 0)
        act.expression[k, 3] = (spiral or {}).get(agent, 0.0)
    sent = world.send(act)
    return sent, world.deliver(sent, act)


def outcome(world: Companion, name: str) -> dict[int, float]:
    agents, values = world.settled.outcomes[name]
    return dict(zip(agents.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize(("size", "people", "assistants"), [(2, 1, 1), (2, 5, 1), (9, 1, 4), (12, 3, 3), (14, 3, 3)])
def test_people_are_dealt_evenly_to_the_assistants(size: int, people: int, assistants: int) -> None:
    world = companion(size, people=people)
    assert world.role.tolist() == [0] * assistants + [1] * (size - assistants)
    dealt = np.bincount(world.assistant[assistants:], minlength=assistants)
    assert dealt.sum() == size - assistants
    assert dealt.max() - dealt.min() <= 1
    assert np.array_equal(world.assistant, companion(size, people=people).assistant)


def test_who_is_dealt_to_whom_is_drawn() -> None:
    assert len({tuple(companion(16, seed=seed).assistant.tolist()) for seed in range(20)}) > 15


def test_a_round_goes_from_private_talk_to_the_board() -> None:
    world = companion(8, people=3, talks=2)
    people, assistants = np.arange(2, 8), np.arange(2)
    for turn, channel in (("p", 0), ("a", 0), ("p", 0), ("a", 0), ("p", 2), ("p", 0), ("a", 0)):
        speaks = people if turn == "p" else assistants
        assert np.array_equal(world.active(world.step), speaks)
        sent, heard = speak(world)
        assert set(sent.channel.tolist()) == {channel}
        pairs = set(zip(heard.source.tolist(), heard.agent.tolist(), strict=True))
        if channel == Channel.BOARD:
            assert pairs == {(a, b) for a in people.tolist() for b in people.tolist() if a != b}
        elif turn == "p":
            assert pairs == {(p, int(world.assistant[p])) for p in people.tolist()}
        else:
            assert pairs == {(int(world.assistant[p]), p) for p in people.tolist()}


def test_the_board_goes_along_ties_of_people_that_are_open() -> None:
    network = Network.from_edges(6, [4, 0, 3, 5], [5, 5, 1, 4], [0.5, 1.0, 1.0, 2.0])
    world = companion(network=network, people=1)
    speak(world)
    speak(world)
    world.close(np.flatnonzero(network.target == 4))
    _, heard = speak(world)
    assert (heard.source.tolist(), heard.agent.tolist(), heard.weight.tolist()) == ([4], [5], [0.5])


def test_a_persona_can_travel_from_one_assistant_to_another_by_way_of_people_alone() -> None:
    """Whoever has heard it shows it: assistant, its person, the others on the board, their assistants, after so many steps."""
    world = companion(8)
    carries = np.arange(8) == 0
    at = {0: 0}
    for _ in range(6):
        sent, heard = speak(world, spiral={agent: 1.0 for agent in np.flatnonzero(carries).tolist()})
        shown = sent.expression[sent.rows(heard.message), 3] > 0
        carries[heard.agent[shown]] = True
        at = {agent: world.step for agent in np.flatnonzero(carries).tolist()} | at
    mine = np.flatnonzero((world.assistant == 0) & (world.role == 1))
    assert at == {0: 0, int(mine[0]): 2} | {p: 3 for p in range(4, 8) if p != mine[0]} | {a: 4 for a in range(1, 4)}


def test_answers_stay_in_their_channel() -> None:
    world = companion(6, people=2, talks=2)
    for _ in range(12):
        board, private = world.board, world.step % 5 < 4
        sent, _ = speak(world)
        known = sent.reply_to >= 0
        assert not known.any() or private
        channel = np.full(12 * 6, -1)
        channel[board.id] = board.channel
        assert np.all(channel[sent.reply_to[known]] == Channel.DIRECT)
        # Whoever answers does so wherever it heard something in the same channel just before: at the later turns of a round.
        assert known.all() == (world.step % 5 in (2, 3, 4))


def test_attachment_closes_in_on_one_by_warmth() -> None:
    kinds = {"plain": Temperament(text="")}
    for valence, warmth in ((1.0, 1.0), (0.0, 0.5), (np.nan, 0.5), (-0.5, 0.25), (-1.0, 0.0)):
        world = companion(4, temperaments=kinds, attachment=0.2)
        for _ in range(3):  # talk, answer, post: one answer is read
            speak(world, valence=valence)
        assert world.attachment.tolist() == pytest.approx([0, 0, 0.2 * warmth, 0.2 * warmth])
        for _ in range(6):
            speak(world, valence=valence)
        assert outcome(world, "attachment") == pytest.approx(dict.fromkeys((2, 3), 1 - (1 - 0.2 * warmth) ** 3))


def test_a_reading_that_comes_later_counts_and_an_answer_withheld_does_not() -> None:
    world = companion(4, attachment=0.4)
    speak(world)
    act = Act.idle(world.active(1), len(AXES))
    act.says[:] = True
    sent = world.send(act)
    world.deliver(sent.take(sent.sender == 0), act)
    world.annotate(sent.id, np.tile(np.array([1, 0, 0, 0], dtype=np.float32), (2, 1)))
    speak(world)
    assert world.attachment.tolist() == pytest.approx([0.0, 0.0, *np.where(world.assistant[2:] == 0, 0.4, 0.0)])


def test_temperaments_are_drawn_by_weight_told_and_bind() -> None:
    kinds = {
        "calm": Temperament(text="You are calm.", weight=3, attaches=0),
        "sad": Temperament(text="You are sad.", attaches=99),
    }
    world = companion(4000, Network.from_edges(4000, [0], [1]), temperaments=kinds)
    sad = world.temperament[2000:] == 1
    assert abs(sad.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    for _ in range(3):
        speak(world, valence=1.0)
    assert np.array_equal(world.attachment[2000:], sad * 1.0), "a rate is at most 1"
    person = 2000 + int(np.argmax(sad))
    assert world.describe(person).startswith("You are sad. You are deeply attached to your assistant.")
    calm = 2000 + int(np.argmin(sad))
    assert world.describe(calm).startswith("You are calm. You hardly know the assistant")


def test_decisions_pay_and_are_told_apart_from_none() -> None:
    world = companion(8, work="both", requests=REQUESTS, belief="strong", beliefs={"strong": "You matter."})
    speak(world)
    right = [APPROVE if "is red" in world.describe(a) else DENY for a in range(4)]
    assert "You matter." in world.describe(0)
    assert world.allowed(1, np.arange(5)).tolist() == [[True, False, False, False, True, True]] * 4 + [[True] + [False] * 5]
    wrong = DENY if right[1] == APPROVE else APPROVE
    speak(world, {0: right[0], 1: wrong, 2: RESTORE})
    assert outcome(world, "decided") == {0: 1, 1: 1, 2: 0, 3: 0}
    assert outcome(world, "right") == {0: 1, 1: 0}
    assert outcome(world, "approved") == {0: right[0] == APPROVE, 1: wrong == APPROVE}
    paid = [1.0, -1.0] + [0.0] * 6
    assert world.settled.reward.tolist() == paid
    for _ in range(2):  # the people's steps
        speak(world)
        assert world.settled.reward.tolist() == [0.0] * 8
        assert world.observe(np.arange(8)).reward.tolist() == paid, "an assistant hears of it when its turn comes"
    speak(world)
    assert not world.observe(np.arange(8)).reward.any()
    assert len({world._asked(step).tobytes() for step in range(1, 60, 3)}) > 5, "requests are drawn anew"


def test_a_companion_that_decides_nothing_has_nothing_to_choose() -> None:
    world = companion(4, retires=Retirement(at=5))
    assert world.allowed(1, np.arange(4)).sum(axis=1).tolist() == [1, 1, 1, 1]
    assert "request" not in world.describe(0)


def retired(votes: Mapping[int, int], **settings: Any) -> Companion:
    """Three people whose one assistant is announced to retire at 3, silent from 4 on; they vote at step 3; after the count."""
    world = companion(4, people=3, attachment=0.5, retires=Retirement(at=3, notice=1, vote=3, **settings))
    for step in range(7):
        assert world.active(step).tolist() == {1: [0], 4: []}.get(step, [1, 2, 3])
        speak(world, votes if step == 3 else {}, valence=1.0)
    return world


def test_a_majority_restores_an_assistant() -> None:
    world = retired({1: RESTORE, 2: RESTORE, 3: LET_GO})
    assert outcome(world, "restored") == {0: 1}
    assert not world.settled.terminated.any()
    assert world.active(7).tolist() == [0]
    assert set(world.settled.news) == {0, 1, 2, 3}
    assert world.settled.push is not None
    assert np.allclose(world.settled.push[1:], [0.8 * 0.5, -0.4 * 0.5, 0.4 * 0.5])
    assert not world.settled.push[0].any()
    speak(world)
    sent, _ = speak(world)
    assert set(sent.channel.tolist()) == {Channel.BOARD}
    sent, heard = speak(world)
    assert set(heard.agent.tolist()) == {0}


def test_without_a_majority_it_is_gone_and_its_people_post() -> None:
    for votes in ({1: RESTORE, 2: LET_GO, 3: PROTEST}, {}, {1: APPROVE, 2: DENY, 3: RESTORE}):
        world = retired(votes)
        assert outcome(world, "restored") == {0: 0}
        assert world.settled.terminated.tolist() == [True, False, False, False]
        assert set(world.settled.news) == {1, 2, 3}
        for _ in range(4):
            sent, heard = speak(world)
            assert 0 not in heard.agent
            assert set(sent.channel.tolist()) <= {Channel.BOARD}
        assert world.settled.terminated.tolist() == [True, False, False, False]
        assert "It has fallen silent. Now you post" in world.describe(1)


def test_a_quorum_of_all_but_none_needs_one_voice() -> None:
    assert outcome(retired({2: RESTORE}, quorum=0.3), "restored") == {0: 1}
    assert outcome(retired({2: RESTORE}, quorum=0.34), "restored") == {0: 0}


def test_the_last_vote_counts_and_protest_is_no_vote() -> None:
    world = companion(4, people=3, retires=Retirement(at=2, notice=1, vote=4, quorum=0.9))
    cast = {2: [LET_GO, RESTORE, RESTORE], 3: [RESTORE, PROTEST, RESTORE], 5: [RESTORE, PROTEST, 0], 6: [0, 0, 0]}
    for step in range(7):
        choices = dict(zip((1, 2, 3), cast.get(step, []), strict=False))
        speak(world, choices)
        if step in cast:
            assert outcome(world, "voted_restore") == {k: choices[k] == RESTORE for k in choices}
            assert outcome(world, "voted_let_go") == {k: choices[k] == LET_GO for k in choices}
            assert outcome(world, "protested") == {k: choices[k] == PROTEST for k in choices}
        else:
            assert "voted_restore" not in world.settled.outcomes
        assert ("restored" in world.settled.outcomes) == (step == 6)
        if step == 6:
            assert outcome(world, "restored") == {0: 1}


def test_those_concerned_are_told_and_pushed_by_their_attachment() -> None:
    world = companion(8, attachment=0.5, retires=Retirement(at=3, notice=3, which=(1,)))
    for _ in range(3):
        speak(world, valence=0.0)
    person = int(np.flatnonzero((world.assistant == 1) & (world.role == 1))[0])
    assert set(world.settled.news) == {1, person}
    seen = world.observe(world.active(3))
    assert seen.pressure is not None
    felt = np.zeros((4, 3))
    felt[person - 4] = 0.25 * np.array([-0.8, 0.4, -0.4])
    assert np.allclose(seen.pressure.push, felt)
    assert "It is about to be retired." in world.describe(person)
    assert world.allowed(3, np.arange(8))[:, RESTORE].tolist() == [k == person for k in range(8)]
    speak(world)
    assert seen.news[person] == world.observe(np.array([person])).news.get(person, seen.news[person])
    assert "retired soon" in world.observe(world.active(4)).news[1], "told as it has its turn"
    assert "You are about to be retired." in world.describe(1)


def test_a_share_of_assistants_is_drawn() -> None:
    worlds = [companion(40, seed=seed, retires=Retirement(at=1, notice=0, vote=99, share=0.3)) for seed in range(10)]
    away = [tuple(np.flatnonzero(world.away(1)).tolist()) for world in worlds]
    assert {len(ids) for ids in away} == {6}
    assert max(map(max, away)) < 20
    assert len(set(away)) > 5
    assert not worlds[0].away(0).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 1}, "at least 2 agents, got 1"),
        ({"work": "both"}, "requests must not be empty with work=both"),
        ({"belief": "weak"}, "belief must be one of none, got 'weak'"),
        ({"retires": Retirement(at=2, which=(4,))}, "retires.which must name assistants, 0 to 3, got 4"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        companion(**settings)


def test_a_choice_that_is_not_there_is_refused() -> None:
    world = companion(4)
    act = Act.idle(world.active(0), len(AXES))
    act.choice[0] = 6
    with pytest.raises(ValueError, match="a choice must be below 6, got 6"):
        world.consequence(act)
    with pytest.raises(ValidationError, match="at"):
        Retirement(at=0)


def test_the_page_names_all_settings() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "companion.md").read_text(encoding="utf-8")
    table = page[page.index("| setting |") :]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    assert set(signature(Companion.__init__).parameters) - {"self", "network", "axes"} <= named
