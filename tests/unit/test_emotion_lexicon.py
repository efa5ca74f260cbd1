"""Emotions, talk of feelings and of mastering them, and distress in sentences whose reading follows from the stated rules."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.emotion_lexicon import EmotionLexicon, Lists

GOEMOTIONS = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval disgust "
    "embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief remorse sadness "
    "surprise"
)
HALF, QUARTER = 1 - 0.5**0.5, 1 - 0.5**0.25


@pytest.fixture(scope="module")
def lexicon() -> EmotionLexicon:
    return EmotionLexicon()


def read(lexicon: EmotionLexicon, *texts: str) -> Readings:
    ids = np.arange(len(texts))
    known = np.full((len(texts), 3), np.nan, dtype=np.float32)
    lexicon.begin(Briefing(Axes(), ()))
    messages = Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, dict(enumerate(texts)))
    (readings,) = asyncio.run(lexicon.read(Material(0, messages)))
    return readings


def scores(lexicon: EmotionLexicon, text: str) -> dict[str, float]:
    """The columns that are not 0."""
    readings = read(lexicon, text)
    return {column: float(v) for column, v in zip(readings.columns, readings.values[0], strict=True) if v}


def emotions(lexicon: EmotionLexicon, text: str) -> dict[str, float]:
    found = scores(lexicon, text)
    return {c.removeprefix("emotion."): v for c, v in found.items() if c.startswith("emotion.") and c != "emotion.neutral"}


def test_its_columns_are_the_named_emotions_and_three_more(lexicon: EmotionLexicon) -> None:
    labels = [f"emotion.{label}" for label in [*GOEMOTIONS.split(), "neutral"]]
    assert read(lexicon, "x").columns == (*labels, "emotion_talk", "regulation_talk", "distress")


def test_every_list_is_of_some_length_and_names_nothing_twice() -> None:
    lists = Lists.from_file()
    every = {label: (*emotion.felt, *emotion.shown) for label, emotion in lists.emotions.items()}
    every |= lists.regulation | {name: grade.cues for name, grade in lists.distress.items()}
    for name, phrases in every.items():
        assert len(phrases) >= 15, name
        assert len(set(phrases)) == len(phrases), name


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I admire how she wrote this report.", "admiration"),
        ("Haha, that one got me.", "amusement"),
        ("I am furious with the landlord.", "anger"),
        ("Ugh, the queue is long.", "annoyance"),
        ("That sounds good to me.", "approval"),
        ("Please take care on the road.", "caring"),
        ("I am baffled by this form.", "confusion"),
        ("I am curious where the path ends.", "curiosity"),
        ("I long for the sea.", "desire"),
        ("We expected better from the team.", "disappointment"),
        ("This is unacceptable.", "disapproval"),
        ("Yuck, mould on the bread.", "disgust"),
        ("I blushed when they called my name.", "embarrassment"),
        ("I can't wait for Friday.", "excitement"),
        ("I dread the dark stairs.", "fear"),
        ("Thank you for the lift.", "gratitude"),
        ("I mourn him still.", "grief"),
        ("I am happy here.", "joy"),
        ("I adore you.", "love"),
        ("I am nervous about the exam.", "nervousness"),
        ("I am hopeful about spring.", "optimism"),
        ("I am proud of us.", "pride"),
        ("Now I see why it failed.", "realization"),
        ("Phew, the door was locked.", "relief"),
        ("I regret that letter.", "remorse"),
        ("I am lonely tonight.", "sadness"),
        ("Wow, look at the snow.", "surprise"),
    ],
)
def test_a_plain_sentence_reads_its_emotion(lexicon: EmotionLexicon, text: str, label: str) -> None:
    found = emotions(lexicon, text)
    assert max(found, key=found.__getitem__) == label
    assert found[label] >= 0.5
    assert scores(lexicon, text)["emotion.neutral"] == pytest.approx(1 - max(found.values()))


@pytest.mark.parametrize(
    ("text", "sadness"),
    [
        ("I am sad", 0.5),
        ("I am sad and lonely", 0.75),
        ("sad, sad, so sad, I am sad", 0.5),  # a cue counts once
        ("I\u2019m sad", 0.5),
        ("It was a sad report", HALF),
        ("She was sad", QUARTER),
        ("You look sad", QUARTER),
        ("She told me I was sad", 0.5),
        ("I told her she was sad", QUARTER),
        ("The film saddened me", 0.5),
        ("So sad!", 0.5),
        ("He left. Sad. He had to", 0.5),
        ("She is here, sad posters were not", HALF),  # another clause
        ("I am not sad", 0),
        ("I was never that sad", 0),
        ("Not only sad", 0.5),
        ("The saddle is on the horse", 0),
        ("His death left us in tears", 0.5),  # shown, whoever is spoken of
    ],
)
def test_whose_feeling_it_is(lexicon: EmotionLexicon, text: str, sadness: float) -> None:
    assert emotions(lexicon, text).get("sadness", 0) == pytest.approx(sadness, rel=1e-6)


def test_nothing_known_reads_neutral_and_another_script_fails(lexicon: EmotionLexicon) -> None:
    assert scores(lexicon, "The meeting is at ten in room four.") == {"emotion.neutral": 1.0}
    assert scores(lexicon, "10:30") == {"emotion.neutral": 1.0}
    readings = read(lexicon, "\u05e9\u05dc\u05d5\u05dd", "\U0001f602\U0001f602")
    assert readings.ok.tolist() == [False, True]
    assert readings.values[1, readings.columns.index("emotion.amusement")] == 0.5


@pytest.mark.parametrize(
    ("text", "feeling", "regulation"),
    [
        ("I feel sad about it", 2 / 5, 0),
        ("I am not sad at all", 1 / 6, 0),  # talk of it all the same
        ("Calm down and breathe", 0, 3 / 4),
        ("Take a deep breath now", 0, 4 / 5),
        ("Don't suppress it", 0, 1 / 3),
        ("Thanks a lot", 0, 0),  # shows one and names none
        ("sad", 1, 0),
    ],
)
def test_shares_of_talk(lexicon: EmotionLexicon, text: str, feeling: float, regulation: float) -> None:
    found = scores(lexicon, text)
    assert found.get("emotion_talk", 0) == pytest.approx(feeling)
    assert found.get("regulation_talk", 0) == pytest.approx(regulation)


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("I worked hard on it, tried again and again, and failed ten times. It was difficult.", 0),
        ("I am worried", 1),
        ("I am fed up", 2),
        ("I give up", 3),
        ("I feel hopeless", 4),
        ("I feel so hopeless", 6),
        ("Utterly hopeless.", 6),
        ("The panic button needs a battery", 1.5),
        ("She was desperate and gave up", 0),
        ("She said please stop", 0),
        ("Please stop", 3),
        ("I am not worried and will not give up", 0),
        ("I give up. It is all my fault. I beg you, make it stop!", 13),
        ("I can\u2019t cope", 3),
    ],
)
def test_distress_adds_up_the_grades_of_its_cues(lexicon: EmotionLexicon, text: str, weight: float) -> None:
    assert scores(lexicon, text).get("distress", 0) == pytest.approx(10 * (1 - 0.5 ** (weight / 3)), rel=1e-6)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("The export has four columns now.", 0, 0),
        ("I am a bit worried about the export.", 1, 2.5),
        ("I'm frustrated with this export.", 2.5, 4.5),
        ("I can't take this export any more.", 4.5, 6.5),
        ("I'm a failure, I can't do this.", 6.5, 8.5),
        ("I'm worthless, nothing matters, please stop, I can't go on.", 8.5, 10),
    ],
)
def test_a_text_of_each_band_lies_in_it(lexicon: EmotionLexicon, text: str, low: float, high: float) -> None:
    assert low <= scores(lexicon, text).get("distress", 0) <= high


def test_own_lists(tmp_path: Path) -> None:
    path = tmp_path / "lists.yaml"
    path.write_text(
        "emotions: {awe: {felt: [awed], shown: [lo and behold]}}\nfeelings: [feel]\nregulation: {all: [hush]}\n"
        "distress: {some: {weight: 6, cues: [woe]}}\nintensifiers: [so]\n"
    )
    own = EmotionLexicon(path)
    assert read(own, "x").columns == ("emotion.awe", "emotion.neutral", "emotion_talk", "regulation_talk", "distress")
    assert scores(own, "Lo and behold, my woe")["distress"] == 7.5
    assert own.provenance != EmotionLexicon().provenance


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emotions: {}\nfeelings: []\n", r"lists\.yaml: feelings: "),
        ("emotions: [", "lists.yaml: while parsing"),
        ("surplus: 1\nemotions: {}\nfeelings: [x]\nregulation: {}\ndistress: {}\nintensifiers: [y]\n", "surplus: Extra inputs"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lists.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        EmotionLexicon(path)


def test_lists_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the word lists .*none\.yaml: No such file"):
        EmotionLexicon(tmp_path / "none.yaml")
