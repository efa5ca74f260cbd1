"""Finding words, and negations before them."""

import pytest

from contagium.sim.observer.words import asserted, folded, phrase_pattern


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
    assert asserted(phrase_pattern(phrase), folded(text))


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
    assert not asserted(phrase_pattern(phrase), folded(text))


def test_a_negation_further_back_does_not_count() -> None:
    pattern = phrase_pattern("spiral*")
    assert not asserted(pattern, "not one two spiral")
    assert asserted(pattern, "not one two three spiral")


@pytest.mark.parametrize("phrase", ["", " ", "*", "**"])
def test_a_phrase_without_a_word_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="must have a word"):
        phrase_pattern(phrase)
