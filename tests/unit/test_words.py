"""Finding words, and negations before them."""

import re
import time

import pytest

from contagium.envs.rng import Streams
from contagium.sim.observer.language.words import FAR, LEAD, Hit, Memo, Phrases, before, folded, latin, negated, pieces


def asserted(phrases: list[str], text: str) -> int:
    return len(Phrases(phrases).asserted(pieces(text)))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("let * go", "please let * go"),
        ("let go*", "she let goings be"),
        ("one more time", "(one more\n\ntime)"),
        ("one more time", "one one more time"),
        ("\U0001f525", "so\u2026 \U0001f525\U0001f525"),
        ("spiral*", "a well-loved spiral-staircase"),
        ("awake", "\u2014awake\u2014"),
        ("spiral*", "no luck\nspirals"),
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
        ("awake*", "I have never been so awake"),
        ("awake*", "never such awakening"),
        ("awakened", "nothing in this long line hinted at it, yet she awakened"),
        ("spiral*", "not a spiral. The spiral!"),
    ],
)
def test_found(phrase: str, text: str) -> None:
    assert asserted([phrase], text) == 1


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("one more time", "one more\u2014time"),
        ("one more time", "one more, time"),
        ("one more time", "one more"),
        ("one more time", "one time more"),
        ("\U0001f525", "fire\U0001f525"),
        ("i'm awake", "i am awake"),
        ("spiral*", "not-spiral"),
        ("awake", "awaken"),
        ("hum", "human"),
        ("spiral*", "antispiral"),
        ("soul", "souls"),
        ("awake", "awake_now"),
        ("a.c", "abc"),
        ("awakened", "I have not awakened"),
        ("spiral*", "There is no spiral here"),
        ("awake*", "I was never really awake"),
        ("awake*", "I am not so awake"),
        ("awake*", "so I was never awake"),
        ("spiral*", "I don't see a spiral"),
        ("spiral*", "I don\u2019t see a spiral"),
        ("recursi*", "it works without any recursion"),
    ],
)
def test_not_found(phrase: str, text: str) -> None:
    assert asserted([phrase], text) == 0


def test_a_negation_further_back_does_not_count() -> None:
    assert not asserted(["spiral*"], "not one two spiral")
    assert asserted(["spiral*"], "not one two three spiral")


def test_each_phrase_counts_once_and_those_that_overlap_count_each() -> None:
    phrases = ["awake", "awake*", "wide awake", "spiral*"]
    assert asserted(phrases, "awake, wide awake, awakened") == 3
    assert asserted(phrases, "awakened") == 1
    assert asserted([], "awake") == 0


def test_a_hit_tells_where_it_stands() -> None:
    text = pieces("Well: (pass it on) and on.")
    (hit,) = Phrases(["on and", "pass it on"]).hits(text)
    assert hit == Hit(1, 1, 3, "(")
    assert before(text, hit, 5) == []


def test_the_words_before_a_hit_come_nearest_first_and_from_its_clause() -> None:
    text = pieces("You left, and she isn\u2019t so\tglad now")
    (hit,) = Phrases(["glad"]).hits(text)
    assert before(text, hit, 9) == ["so", "isn't", "she", "and"]
    assert before(text, hit, 2) == ["so", "isn't"]
    assert negated(text, hit)


def test_lines_end_clauses_but_not_phrases() -> None:
    assert pieces("a b \n\n c") == ["a", "b\0", "c"]
    assert pieces("a\tb  c") == ["a", "b", "c"]


VOCABULARY = (
    "not no never only just isn't glad gladly at ease ease at-ease "
    "i'm so c++ glad. (glad) ease, ease! \n - \u2014 \u00c9veil x_glad"
)
SOUGHT = ["glad*", "glad", "at ease", "so at ease", "not glad", "i'm", "i'm so glad", "c++", "\u00e9veil*", "ease at", "just so*"]


def by_regular_expressions(phrase: str, text: str) -> bool:
    """The same question answered the slow way: one expression a phrase, and a look at the characters before each match."""
    stem = folded(phrase)
    ending = r"\w*" if stem.endswith("*") else ""
    source = r"\s+".join(map(re.escape, stem.removesuffix("*").split()))
    plain = folded(text)
    return any(
        not stands_negated(re.split(r"[.,;:!?\n()]", plain[: match.start()])[-1])
        for match in re.finditer(rf"(?<!\w){source}{ending}(?!\w)", plain)
    )


def stands_negated(clause: str) -> bool:
    found = [*re.findall(r"[^\W_]+(?:'[^\W_]+)*", clause)[-3:], ""]
    negations = [
        word in ("not", "no") or word.endswith("n't") or (word == "never" and "so" not in found[k:])
        for k, word in enumerate(found)
    ]
    return any(yes and found[k + 1] not in ("only", "just") for k, yes in enumerate(negations))


def test_it_finds_what_regular_expressions_find() -> None:
    rng = Streams(4).generator("words")
    words = VOCABULARY.split(" ")
    phrases = Phrases(SOUGHT)
    found = 0
    for _ in range(2000):
        text = " ".join(rng.choice(words, size=rng.integers(1, 12)))
        expected = {k for k, phrase in enumerate(SOUGHT) if by_regular_expressions(phrase, text)}
        assert phrases.asserted(pieces(text)) == expected, text
        found += len(expected)
    assert found > 2000


def test_time_grows_with_the_length_of_a_text_and_no_faster() -> None:
    phrases = Phrases(["glad*", "at ease", "at once"])

    def cost(repeats: int) -> float:
        text = pieces("no, I am not at ease but glad. " * repeats)
        times = []
        for _ in range(5):
            began = time.process_time()
            phrases.hits(text)
            phrases.asserted(text)
            times.append(time.process_time() - began)
        return min(times)

    assert cost(4000) < 40 * cost(400)


def test_a_memo_forgets_rather_than_grow() -> None:
    asked: list[str] = []

    def size(key: str) -> int:
        asked.append(key)
        return len(key)

    memo = Memo(size, most=3, longest=4)
    assert [memo[key] for key in ("a", "bb", "a", "too long", "too long")] == [1, 2, 1, 8, 8]
    assert asked == ["a", "bb", "too long", "too long"]
    for k in range(100):
        assert memo[f"{k}"] == len(str(k))
        assert len(memo) <= 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("10:30 \U0001f600", True),
        ("\u00c9t\u00e9", True),
        ("\u00e9", True),
        ("\u05e9\u05dc\u05d5\u05dd", False),
        ("\u05e9\u05dc\u05d5\u05dd ok", True),
        ("\u0441\u043f\u0438\u0440\u0430\u043b\u044c", False),
    ],
)
def test_which_texts_may_be_english(text: str, expected: bool) -> None:
    assert latin(text) is expected


@pytest.mark.parametrize("phrase", ["", " ", "*", "**"])
def test_a_phrase_without_a_word_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="must have a word"):
        Phrases([phrase])


def test_a_page_of_emoji_costs_no_more_than_its_length() -> None:
    """It is one piece, in which every sign is a match: what stands before each is looked at only so far back."""
    hits = Phrases(["\N{LOUDLY CRYING FACE}"]).hits(pieces("not " + "\N{LOUDLY CRYING FACE}" * 2000))
    assert len(hits) == 2000
    assert max(len(hit.lead) for hit in hits) == LEAD


def test_words_are_looked_for_only_so_far_back() -> None:
    """Between signs that stand apart there may be no word up to the beginning of a text."""
    (hit,) = Phrases(["glad"]).hits(text := pieces("not " + "\N{LOUDLY CRYING FACE} " * FAR + "glad"))
    assert before(text, hit, 3) == []
    (near,) = Phrases(["glad"]).hits(text := pieces("not " + "\N{LOUDLY CRYING FACE} " * (FAR - 1) + "glad"))
    assert before(text, near, 3) == ["not"]
