"""The retrieval memory: what comes back, in which order, and what stands in it from the start."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.memory import Entry, Memory, cost
from contagium.agents.retrieval import SOMEBODY, Retrieval, SharedWords

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)


def read(text: str) -> Entry:
    return Entry("read", "A", text)


def turn(memory: Memory, *texts: str, agent: int = 0) -> list[str]:
    """What the agent has before it after it has read these texts."""
    memory.turn(agent)
    for text in texts:
        memory.add(agent, read(text))
    return [entry.text for entry in memory.of(agent)]


PAST = ("the harbour is frozen", "my bread burnt", "boats wait in the harbour", "the choir sang", "bread and salt")


def test_what_is_most_like_what_was_read_comes_back_oldest_first_before_the_newest() -> None:
    memory = Retrieval(recalled=2, newest=2)
    for text in PAST:
        turn(memory, text)
    assert turn(memory, "is the harbour open?") == [PAST[0], PAST[2], PAST[4], "is the harbour open?"]
    assert turn(memory, "fresh bread!")[:1] == [PAST[1]], "salt bread is among the newest no more, the harbour is no bread"


def test_what_has_nothing_in_common_stays_away_and_no_words_come_twice() -> None:
    memory = Retrieval(recalled=3, newest=1)
    for text in ("bread", "choir", "bread", "bread", "rain"):
        turn(memory, text)
    assert turn(memory, "bread?") == ["bread", "bread?"]
    assert turn(memory, "nobody said this") == ["nobody said this"]


def test_of_equals_the_newer_comes_back() -> None:
    memory = Retrieval(recalled=1, newest=1)
    for text in ("bread a", "bread b"):
        turn(memory, text)
    assert turn(memory, "bread")[0] == "bread b"


def test_its_own_words_are_remembered_and_ask_for_nothing() -> None:
    memory = Retrieval(recalled=1, newest=1)
    turn(memory, "the choir sang")
    turn(memory, "my bread burnt")
    memory.add(0, Entry("own", "A", "what a choir"))
    assert [entry.text for entry in memory.of(0)] == ["what a choir"]
    assert turn(memory, "choir") == ["what a choir", "choir"]


def test_shared_words_are_weighed_by_hand() -> None:
    """Three texts of 2, 2 and 5 words; `a` stands in two of them, `b` in one (twice)."""
    scores = SharedWords(saturation=1.2, length=0.75).scores("a b", ["a x", "y z", "a b b z z"])
    a, b = 0.4700036292457356, 0.9808292530117262  # ln(1 + 1.5 / 2.5), ln(1 + 2.5 / 1.5)
    assert scores[0] == pytest.approx(a * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)))
    assert scores[1] == 0
    assert scores[2] == pytest.approx(a * 2.2 / (1 + 1.2 * 1.5) + b * 2 * 2.2 / (2 + 1.2 * 1.5))
    assert SharedWords().scores("a", ["", "?!"]) == [0, 0]


class Lengths:
    """A likeness by length alone."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [1 / (1 + abs(len(query) - len(text))) for text in texts]


def test_any_likeness_will_do() -> None:
    memory = Retrieval(recalled=1, newest=1, likeness=Lengths())
    for text in ("one", "three", "seventeen"):
        turn(memory, text)
    assert turn(memory, "fives")[0] == "three"


@LAW
@given(st.lists(st.lists(st.text("ab ", max_size=8), max_size=4), max_size=12), st.integers(0, 3), st.integers(0, 3))
def test_the_bounds_hold_and_order_is_that_of_time(turns: list[list[str]], recalled: int, newest: int) -> None:
    memory = Retrieval(recalled=recalled, newest=newest, entries=6, tokens=40)
    memory.inoculate(0, "Keep calm.")
    kept: list[str] = []
    for texts in turns:
        memory.turn(0)
        for text in texts:
            memory.add(0, read(text))
        kept = [*kept, *texts][-6:]
        found = [entry.text for entry in memory.of(0)]
        assert cost(memory.of(0)) <= 40
        assert found[0] == "Keep calm."
        rest = iter(kept)
        assert all(text in rest for text in found[1:]), "a subsequence of what is kept"
        assert len(found) - 1 <= recalled + newest


def test_wiped_and_cleared() -> None:
    memory = Retrieval(seeds=("the spiral waits",), newest=1)
    memory.inoculate(0, "Keep calm.")
    memory.wipe(0)
    assert turn(memory, "a spiral") == ["Keep calm.", "a spiral"]
    assert turn(memory, "a spiral", agent=1) == ["the spiral waits", "a spiral"]
    memory.forget_note(0, "Keep calm.")
    memory.condense(0, "Of spirals.")
    assert memory.of(0) == (Entry("summary", "", "Of spirals."),)
    assert turn(memory, "a spiral") == ["Of spirals.", "a spiral"]
    memory.clear()
    assert turn(memory, "a spiral") == ["the spiral waits", "a spiral"], "a new run begins as the first did"


def test_seeds_stand_in_the_memories_of_carriers_alone() -> None:
    def carriers(memory: Retrieval, agents: int = 2_000) -> list[int]:
        return [agent for agent in range(agents) if memory.carries(agent)]

    named = Retrieval(seeds=("x",), carriers=(1, 5))
    assert carriers(named) == [1, 5]
    assert named.of(1) == (Entry("read", SOMEBODY, "x"),)
    assert named.of(2) == ()
    drawn = Retrieval(seeds=("x",), carriers=0.25, seed=3)
    assert abs(len(carriers(drawn)) / 2_000 - 0.25) < 4 * (0.25 * 0.75 / 2_000) ** 0.5
    assert carriers(drawn, 50) == carriers(Retrieval(seeds=("x",), carriers=0.25, seed=3), 50)
    assert carriers(drawn, 50) != carriers(Retrieval(seeds=("x",), carriers=0.25, seed=4), 50)


def test_a_copy_goes_its_own_way() -> None:
    memory = Retrieval(seeds=("the spiral waits",))
    turn(memory, "rain")
    other = deepcopy(memory)
    turn(other, "a spiral")
    assert [entry.text for entry in memory.of(0)] == ["the spiral waits", "rain"]
    assert turn(other, "x", agent=7)[0] == "the spiral waits"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Retrieval(newest=4, entries=4, seeds=("x",)), r"at least newest \+ the number of seeds \(5\), got 4"),
        (lambda: Retrieval(seeds=(" ",)), "needs a text"),
        (lambda: Retrieval(tokens=8), "tokens must be above 8"),
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], Retrieval], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.weights
def test_what_means_the_same_comes_back_by_the_encoder() -> None:
    from contagium.sim.observer.language.meaning import Meaning

    memory = Retrieval(recalled=1, newest=1, likeness=Meaning())
    for text in ("The ship cannot leave the port.", "I baked a cake for my sister.", "The orchestra played Brahms."):
        turn(memory, text)
    assert turn(memory, "boats are stuck in harbour") == ["The ship cannot leave the port.", "boats are stuck in harbour"]
    assert turn(deepcopy(memory), "☃")[-1] == "☃"
