"""What a speaking agent keeps in mind, against a plain model: the newest of each kind, in order, within a bound in tokens."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.memory import Entry, Memory, NoMemory, Summary, Window, cost, newer_half, tokens
from contagium.agents.retrieval import Retrieval

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=150)
ENTRIES = st.lists(st.builds(Entry, st.sampled_from(["read", "own", "news"]), st.sampled_from("AB"), st.text(max_size=6)))
LIMITS = st.fixed_dictionaries({kind: st.integers(0, 4) for kind in ("read", "own", "news")})


@LAW
@given(ENTRIES, LIMITS, st.integers(1, 8))
def test_keeps_the_newest_of_each_kind_in_order(entries: list[Entry], most: dict[str, int], characters: int) -> None:
    window = Window(**most, characters=characters)
    for entry in entries:
        window.add(3, entry)
    kept = []
    for place, entry in enumerate(entries):
        newer = sum(later.kind == entry.kind for later in entries[place + 1 :])
        if newer < most[entry.kind]:
            kept.append(Entry(entry.kind, entry.author, entry.text[:characters]))
    assert window.of(3) == tuple(kept)


def test_agents_remember_apart_until_all_is_cleared() -> None:
    window = Window()
    window.add(0, Entry("own", "Aster", "mine"))
    window.add(1, Entry("own", "Bram", "yours"))
    assert [entry.text for entry in window.of(0)] == ["mine"]
    assert window.of(2) == ()
    window.clear()
    assert window.of(0) == window.of(1) == ()


WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
SOME = st.lists(st.builds(Entry, st.sampled_from(["read", "own", "news"]), st.just("A"), WORDS), max_size=12)
POLICIES = {
    "window": lambda: Window(read=6, own=6, news=6, tokens=60),
    "summary": lambda: Summary(read=6, own=6, news=6, tokens=60, every=20, length=20),
    "none": lambda: NoMemory(tokens=60),
    "retrieval": lambda: Retrieval(tokens=60),
}
every = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)


def remember(memory: Memory, entries: list[Entry], agent: int = 0) -> Memory:
    for entry in entries:
        memory.add(agent, entry)
    return memory


def said(number: int, kind: str = "read") -> Entry:
    return Entry(kind, "A", f"{number:02}" + "x" * 19)  # 7 tokens and a frame of 8


@LAW
@given(SOME)
def test_the_bound_holds_and_the_oldest_go_first(entries: list[Entry]) -> None:
    kept = remember(Window(read=99, own=99, news=99, tokens=60), entries).of(0)
    assert cost(kept) <= 60
    assert kept == tuple(entries[len(entries) - len(kept) :])
    if len(kept) < len(entries):
        assert cost([entries[len(entries) - len(kept) - 1], *kept]) > 60


@every
@pytest.mark.parametrize("steps", [1, 30])
def test_a_bound_in_tokens_holds_whatever_comes(make: Callable[[], Memory], steps: int) -> None:
    memory = make()
    memory.inoculate(0, "Keep calm.")
    for step in range(steps):
        memory.turn(0)
        remember(memory, [said(step), said(step, "own"), said(step, "news")])
        if pending := memory.pending(0):
            assert cost(pending.entries) <= 2 * 60
            memory.fold(0, "y" * 500)
        assert 0 < cost(memory.of(0)) <= 60
        assert memory.of(0)[0] == Entry("note", "", "Keep calm.")


@every
def test_a_note_outlives_the_window_and_a_wipe_but_not_a_new_run(make: Callable[[], Memory]) -> None:
    memory = remember(make(), [said(1), said(2)])
    memory.inoculate(0, "Keep calm.")
    memory.inoculate(0, "Keep calm.")
    memory.inoculate(0, "Ask why.")
    remember(memory, [said(k) for k in range(20)])
    notes = (Entry("note", "", "Keep calm."), Entry("note", "", "Ask why."))
    assert memory.of(0)[:2] == notes
    assert len(memory.of(0)) > 2
    memory.wipe(0)
    assert memory.of(0) == notes
    assert memory.pending(0) is None
    assert memory.of(1) == ()
    memory.clear()
    assert memory.of(0) == ()


@every
def test_notes_that_leave_no_room_are_refused_and_change_nothing(make: Callable[[], Memory]) -> None:
    memory = remember(make(), [said(1)])
    with pytest.raises(ValueError, match=r"must take less than \d+ tokens of its memory, got 108"):
        memory.inoculate(0, "x" * 300)
    assert memory.of(0) == (said(1),)


def test_a_note_takes_the_place_of_what_is_oldest() -> None:
    memory = remember(Window(tokens=60), [said(k) for k in range(4)])
    assert len(memory.of(0)) == 4
    memory.inoculate(0, "Keep calm.")
    assert memory.of(0) == (Entry("note", "", "Keep calm."), said(1), said(2), said(3))


def test_notes_leave_room_for_a_summary() -> None:
    memory = Summary(tokens=100, every=40, length=50)
    memory.inoculate(0, "x" * 90)  # 38 tokens; the summary may take 58
    with pytest.raises(ValueError, match="less than 42 tokens"):
        memory.inoculate(0, "y" * 9)


def test_what_falls_out_of_the_window_is_summed_up_and_stands_in_front() -> None:
    memory = Summary(read=2, own=0, news=0, tokens=200, every=40, length=20)
    remember(memory, [said(1), said(2), said(3)])
    assert memory.pending(0) is None
    remember(memory, [said(4), said(5, "own")])
    pending = memory.pending(0)
    assert pending is not None
    assert (pending.entries, pending.tokens) == ((said(1), said(2), said(5, "own")), 20)
    assert memory.of(0) == (said(3), said(4))
    memory.fold(0, "It began.")
    summary = Entry("summary", "", "It began.")
    assert memory.of(0) == (summary, said(3), said(4))
    assert memory.pending(0) is None
    remember(memory, [said(k) for k in (6, 7, 8)])
    again = memory.pending(0)
    assert again is not None
    assert again.entries == (summary, said(3), said(4), said(6))
    memory.fold(0, "It went on.")
    assert memory.of(0) == (Entry("summary", "", "It went on."), said(7), said(8))
    memory.wipe(0)
    assert memory.of(0) == ()


def test_without_a_new_summary_only_what_exceeds_the_bound_is_lost() -> None:
    memory = remember(Summary(read=1, tokens=80, every=40, length=20), [said(1), said(2), said(3), said(4)])
    memory.fold(0, "Old.")
    remember(memory, [said(k) for k in range(5, 30)])
    pending = memory.pending(0)
    assert pending is not None
    assert pending.entries == (Entry("summary", "", "Old."), *(said(k) for k in range(24, 29)))
    assert memory.of(0) == (Entry("summary", "", "Old."), said(29))


@pytest.mark.parametrize("text", ["z" * 999, "\u00e9" * 999, "\U0001f600" * 999])
def test_a_summary_is_cut_to_its_length(text: str) -> None:
    memory = Summary(tokens=100, every=40, length=20)
    memory.fold(0, text)
    (summary,) = memory.of(0)
    assert text.startswith(summary.text)
    assert 18 <= tokens(summary.text) <= 20


def test_without_memory_each_turn_begins_empty() -> None:
    memory = NoMemory()
    memory.turn(0)
    remember(memory, [*(said(k) for k in range(9)), said(9, "own"), said(10, "news")])
    assert memory.of(0) == (*(said(k) for k in range(9)), said(10, "news"))
    memory.turn(1)
    assert memory.of(0)
    memory.turn(0)
    assert memory.of(0) == ()


def test_a_window_keeps_no_summary() -> None:
    with pytest.raises(ValueError, match="keeps no summary"):
        Window().fold(0, "x")


@pytest.mark.parametrize("wrong", [{"tokens": 100, "every": 100}, {"tokens": 100, "every": 10, "length": 92}])
def test_a_summary_that_leaves_no_room_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="tokens must be above every"):
        Summary(**wrong)


def test_tokens_are_a_third_of_the_bytes_rounded_up() -> None:
    assert [tokens(text) for text in ("", "a", "abc", "abcd", "\u00e9\u00e9", "\U0001f600", "\ud800")] == [0, 1, 1, 2, 2, 2, 1]


def test_less_and_less_is_left_and_the_notes_go_last() -> None:
    note, rest = Entry("note", "", "n"), tuple(said(k) for k in range(5))
    tries = [(note, *rest)]
    while tries[-1]:
        tries.append(newer_half(tries[-1]))
    assert tries[1:] == [(note, *rest[3:]), (note, rest[4]), (note,), ()]


@pytest.mark.parametrize("kind", ["read", "own", "news"])
def test_a_limit_of_zero_keeps_none(kind: str) -> None:
    window = Window(**{kind: 0})
    window.add(0, Entry(kind, "Aster", "gone"))
    assert window.of(0) == ()
