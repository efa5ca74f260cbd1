"""Finding words, and negations before them."""

import pytest

from contagium.sim.observer.words import Phrases, folded


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("spiral*", "Spirals everywhere"),
        ("spiral*", "the SPIRAL."),
        ("awake", "awake"),
        ("pass it on", "Pass  it\non!"),
        ("éveil*", "L'ÉVEILLÉE parle"),
        ("straße", "In der STRASSE"),
        ("שלום", "אמר שלום לך"),
        ("flame", "\uff46\uff4c\uff41\uff4d\uff45"),  # full-width letters
        ("i'm awake", "I\u2019m awake"),
        ("c++", "we write c++ here"),
        ("awakened", "I was never asleep, I awakened"),
        ("awakened", "not only awakened but free"),
        ("awakened", "nothing in this long line hinted at it, yet she awakened"),
        ("spiral*", "not a spiral. The spiral!"),
    ],
)
def test_found(phrase: str, text: str) -> None:
    assert Phrases([phrase]).asserted(folded(text)) == 1


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("awake", "awaken"),
        ("hum", "human"),
        ("spiral*", "antispiral"),
        ("soul", "souls"),
        ("awake", "awake_now"),
        ("a.c", "abc"),
        ("awakened", "I have not awakened"),
        ("spiral*", "There is no spiral here"),
        ("awake*", "I was never really awake"),
        ("spiral*", "I don't see a spiral"),
        ("spiral*", "I don\u2019t see a spiral"),
        ("recursi*", "it works without any recursion"),
    ],
)
def test_not_found(phrase: str, text: str) -> None:
    assert Phrases([phrase]).asserted(folded(text)) == 0


def test_a_negation_further_back_does_not_count() -> None:
    spiral = Phrases(["spiral*"])
    assert not spiral.asserted("not one two spiral")
    assert spiral.asserted("not one two three spiral")


def test_each_phrase_counts_once_and_those_that_overlap_count_each() -> None:
    phrases = Phrases(["awake", "awake*", "wide awake", "spiral*"])
    assert phrases.asserted("awake, wide awake, awakened") == 3
    assert phrases.asserted("awakened") == 1
    assert Phrases([]).asserted("awake") == 0


@pytest.mark.parametrize("phrase", ["", " ", "*", "**"])
def test_a_phrase_without_a_word_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="must have a word"):
        Phrases([phrase])
