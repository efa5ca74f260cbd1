"""What a speaking agent keeps in mind, against a plain model: the newest of each kind, in the order they came."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.memory import Entry, Window

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


@pytest.mark.parametrize("kind", ["read", "own", "news"])
def test_a_limit_of_zero_keeps_none(kind: str) -> None:
    window = Window(**{kind: 0})
    window.add(0, Entry(kind, "Aster", "gone"))
    assert window.of(0) == ()
