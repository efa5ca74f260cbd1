"""Steps and exposures of messages in order of time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.envs.message import Channel
from contagium.sim.corpus import timeline as module
from contagium.sim.corpus.timeline import Timeline

Said = tuple[int, Channel, int | None, tuple[int, ...]]
B, G, D = Channel.BOARD, Channel.GROUP, Channel.DIRECT


def walk(size: int, said: Sequence[Said], steps: str = "turns", given: Sequence[int] | None = None, **rules: object) -> list:
    """Step of each message, and the places in `said` of what its sender had heard."""
    turns = [sum(sender == agent for sender, *_ in said) for agent in range(size)]
    line = Timeline(size, turns, steps, **rules)  # type: ignore[arg-type]
    ids: list[int] = []
    found = []
    for k, (sender, channel, thread, to) in enumerate(said):
        message, heard = line.say(sender, channel, thread, to, None if given is None else given[k])
        assert (message % size, heard.agent, heard.step) == (sender, sender, message // size - 1)
        found.append((message // size, [ids.index(m) for m in heard.messages]))
        ids.append(message)
    assert line.exposures == sum(len(heard) for _, heard in found)
    return found


def test_each_message_of_a_thread_answers_those_before() -> None:
    said = [(0, G, 1, ()), (1, G, 1, ()), (2, G, 1, ()), (0, G, 1, ())]
    assert walk(3, said) == [(0, []), (1, [0]), (2, [0, 1]), (3, [1, 2])]


def test_on_the_board_a_step_lasts_until_somebody_speaks_again() -> None:
    said = [(0, B, None, ()), (1, B, None, ()), (2, B, None, ()), (1, B, None, ()), (0, B, None, ())]
    assert walk(3, said) == [(0, []), (0, []), (0, []), (1, [0, 2]), (1, [1, 2])]


def test_what_is_said_to_one_is_heard_by_that_one_alone() -> None:
    said = [(0, D, None, (1,)), (2, B, None, ()), (1, D, None, (0,)), (2, B, None, ()), (0, B, None, ())]
    # Nobody hears what is said after its last word, and nobody is kept waiting by what it cannot hear.
    assert walk(3, said) == [(0, []), (0, []), (1, [0, 1]), (1, []), (2, [1, 2, 3])]


def test_who_joins_a_thread_has_read_it_or_not() -> None:
    said = [(0, G, 1, ()), (1, G, 1, ()), (2, G, 1, ()), (0, G, 1, ()), (2, G, 1, ())]
    assert walk(3, said)[2] == (2, [0, 1])
    assert walk(3, said, hears="earlier") == [(0, []), (0, []), (0, []), (1, [1, 2]), (2, [3])]


def test_a_member_hears_its_threads_before_it_speaks_elsewhere() -> None:
    said = [(0, G, 1, ()), (1, G, 1, ()), (0, G, 2, ()), (1, G, 1, ()), (0, B, None, ())]
    assert [heard for _, heard in walk(2, said)] == [[], [0], [1], [], [3]]


def test_causal_steps_let_conversations_run_beside_each_other() -> None:
    pairs = [(a + 2 * (k % 3), G, k % 3, ()) for a in (0, 1, 0, 1) for k in range(3)]
    one_after_the_other = [(a + 2 * k, G, k, ()) for k in range(3) for a in (0, 1, 0, 1)]
    for steps in ("turns", "causal"):
        assert [step for step, _ in walk(6, pairs, steps)] == [k // 3 for k in range(12)]
    assert [step for step, _ in walk(6, one_after_the_other)] == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]
    assert [step for step, _ in walk(6, one_after_the_other, "causal")] == [0, 1, 2, 3] * 3


def test_given_steps_are_kept_and_nobody_hears_its_own_step() -> None:
    said = [(0, G, 1, ()), (1, G, 1, ()), (1, G, 1, ()), (0, G, 1, ())]
    assert walk(2, said, "given", [3, 3, 5, 9]) == [(3, []), (3, []), (5, [0]), (9, [1, 2])]
    with pytest.raises(ValueError, match=r"speaks again, or answers, in the same step \(3\)"):
        walk(2, [(0, B, None, ()), (0, B, None, ())], "given", [3, 3])


def test_an_answer_has_heard_what_it_answers() -> None:
    for steps in ("turns", "causal"):
        line = Timeline(3, [1, 2, 1], steps)  # type: ignore[arg-type]
        first, _ = line.say(0, B, None)
        answer, heard = line.say(1, B, None, answers=first)
        assert (answer // 3, heard.messages) == (1, [first])
        assert line.say(1, B, None, answers=answer)[1].messages == []  # its own
        assert line.say(2, D, None, (0,), answers=answer)[1].messages[-1] == answer
    bounded = Timeline(3, [1, 1, 1], most=1)
    old, _ = bounded.say(0, G, 1)
    new, _ = bounded.say(1, G, 1)
    assert bounded.say(2, G, 1, answers=old)[1].messages == [old, new]
    given = Timeline(2, [1, 1], "given")
    with pytest.raises(ValueError, match=r"answers, in the same step \(4\)"):
        given.say(1, B, None, given=4, answers=given.say(0, B, None, given=4)[0])


def test_only_the_newest_are_heard_where_a_bound_is_set() -> None:
    thread = [*((a, G, 1, ()) for a in range(5)), (0, G, 1, ())]
    board = [*((a, B, None, ()) for a in range(5)), (0, B, None, ())]
    assert [heard for _, heard in walk(5, thread, most=2)] == [[], [0], [0, 1], [1, 2], [2, 3], [3, 4]]
    assert walk(5, board, most=2)[-1] == (1, [3, 4])


def test_what_an_agent_is_shown_it_has_heard() -> None:
    line = Timeline(3, [2, 1, 0])
    first, _ = line.say(0, D, None)
    shown = line.show(1, [first])
    answer, heard = line.say(1, D, None)
    assert (shown.step, shown.agent, shown.messages) == (0, 1, [first])
    assert (answer // 3, heard.messages) == (1, [])
    assert line.show(0, [first, answer]).messages == [answer]  # its own is no news
    assert line.say(0, D, None)[0] // 3 == 2
    assert line.show(2, [answer]).step == 1  # who never speaks was shown it all the same


def test_too_many_exposures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EXPOSURES", 5)
    with pytest.raises(ValueError, match=r"more than 5 exposures: bound by transcript\.most"):
        walk(4, [(a, G, 1, ()) for a in (0, 1, 2, 3)])


def test_a_large_thread_costs_no_more_than_a_small_one() -> None:
    began = time.process_time()
    walked = Timeline(2000, [10] * 2000, most=3)
    for k in range(20_000):
        walked.say(k * 7 % 2000, G, 1)
    assert walked.exposures > 50_000
    assert time.process_time() - began < 2.0


messages = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([B, G, D]), st.integers(0, 2), st.sets(st.integers(0, 4), max_size=2)),
    max_size=30,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(messages, st.sampled_from(["turns", "causal"]), st.sampled_from(["thread", "earlier"]))
def test_everybody_hears_what_the_rule_says_and_only_what_came_before(drawn: list, steps: str, hears: str) -> None:
    said: list[Said] = [(a, c, t if c is G else None, tuple(to - {a}) if c is D else ()) for a, c, t, to in drawn]
    found = walk(5, said, steps, hears=hears)
    at = [step for step, _ in found]
    assert steps == "causal" or at == sorted(at)
    for agent in range(5):
        mine = [k for k, line in enumerate(said) if line[0] == agent]
        assert len({at[k] for k in mine}) == len(mine)
        known: set[int] = set()
        for k in mine:
            before = set(known)
            joined = {said[j][2] for j in mine if j < k}
            for m in range(k):
                sender, channel, thread, to = said[m]
                member = any(said[j][2] == thread for j in mine if j < m)
                heard = agent in to if channel is D else True
                if channel is G:
                    newcomer = hears == "thread" and said[k][1] is G and said[k][2] == thread and thread not in joined
                    heard = member or newcomer
                if sender != agent and heard and at[m] < at[k] and m not in known:
                    known.add(m)
                    assert m in found[k][1]
            assert set(found[k][1]) <= known - before
            assert all(at[m] < at[k] for m in found[k][1])
