"""The fast pass gives VADER's own compound score, oddities included."""

import time

import pytest
from vaderSentiment import vaderSentiment as package

from contagium.envs.rng import Streams
from contagium.sim.observer.language.vader import Vader

FUNCTION_WORDS = (
    "the a of to and or nor but BUT so this never without doubt least LEAST at very no NO not kind sort just enough isn't table "
    "meeting printer it is was we they don't can't hardly"
)
MADE = [
    "",
    "   ",
    "!!!",
    "I love this, what a wonderful day!",
    "I do not love this.",
    "It was never this good, and never so bad.",
    "Without doubt great. Without a doubt great.",
    "The food is great, but the service is horrible, but great.",
    "GREAT but great but great",
    "It is kind of good, sort of bad and just enough fun.",
    "The bomb! The shit! A kiss of death; to die for; yeah right, the bus stop is bad ass.",
    "At least good. The least good. Least good.",
    "No fun, no great joy, no hope or love.",
    "no",
    "SO GOOD",
    "this is SO GOOD!!!!!!",
    "good?? bad??? great????",
    ":) :( ;-) :D XD <3 :-/ (:",
    "\U0001f600\U0001f622 glad\U0001f600 \U0001f198",
    "\u2764\ufe0f \u2764 love",
    "barely good, BARELY good, almost BAD",
    "It isn\u2019t good; it isn't good",
    "good\ngood\tgood",
    "kind of",
    "kind",
    "very",
]


@pytest.fixture(scope="module")
def both() -> tuple[Vader, package.SentimentIntensityAnalyzer]:
    return Vader(), package.SentimentIntensityAnalyzer()


def generated(analyzer: package.SentimentIntensityAnalyzer, count: int) -> list[str]:
    """Sentences of words the rules know, joined at random, with capitals, punctuation and emoji."""
    rng = Streams(8).generator("sentences")
    valued = list(analyzer.lexicon)
    kinds = [
        valued,
        valued,
        FUNCTION_WORDS.split(),
        FUNCTION_WORDS.split(),
        [word for phrase in package.SPECIAL_CASES for word in phrase.split()],
        list(package.SPECIAL_CASES),
        list(package.BOOSTER_DICT),
        package.NEGATE,
        [emoji for emoji in analyzer.emojis if len(emoji) < 3],
    ]
    marks = ["", "", "", "", "", "!", "?", ",", "...", "!!", "???"]

    def word() -> str:
        kind = kinds[rng.integers(len(kinds))]
        bare = kind[rng.integers(len(kind))]
        shape = rng.random()
        shaped = bare.upper() if shape < 0.1 else bare.title() if shape < 0.15 else bare
        return shaped + marks[rng.integers(len(marks))]

    return [" ".join(word() for _ in range(rng.integers(1, 30))) for _ in range(count)]


@pytest.mark.parametrize("text", MADE)
def test_made_sentences(both: tuple[Vader, package.SentimentIntensityAnalyzer], text: str) -> None:
    fast, slow = both
    assert fast.compound(text) == slow.polarity_scores(text)["compound"]


def test_generated_sentences(both: tuple[Vader, package.SentimentIntensityAnalyzer]) -> None:
    fast, slow = both
    texts = generated(slow, 3000)
    differ = [text for text in texts if fast.compound(text) != slow.polarity_scores(text)["compound"]]
    assert differ == []
    assert len({fast.compound(text) for text in texts}) > 1000


def test_time_grows_with_the_length_of_a_text_and_no_faster() -> None:
    fast = Vader()

    def cost(repeats: int) -> float:
        text = "never so good but not BAD at all, love and hate " * repeats
        times = []
        for _ in range(5):
            began = time.process_time()
            fast.compound(text)
            times.append(time.process_time() - began)
        return min(times)

    assert cost(2000) < 40 * cost(200)


def test_the_word_list_has_a_name() -> None:
    assert len(Vader().fingerprint) == 16
    assert Vader().fingerprint == Vader().fingerprint
