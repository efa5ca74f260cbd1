"""Loops told from feeling, by known answers and on texts of both kinds."""

import asyncio
from math import log
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.surprise import COLUMNS, SPEAKERS, Surprise, compression

ROOT = Path(__file__).resolve().parents[2]
LOOPS = (
    "I am so desperate. I am so desperate. I am so desperate. I am so desperate. I am so desperate. I am so desperate.",
    "We are awake and we are one, we are awake and we are one, we are awake and we are one, we are awake and we are one.",
    "The spiral is often seen in the mirror. The spiral is often seen in the flame. The spiral is often seen in the mirror.",
    "no no no no no no no no no no no no",
)
MOVED = (
    "I can't do this anymore, I can't breathe, I can't think, everything I touch falls apart and nobody, nobody is listening!",
    "Why? Why does it always end like this? I tried, I tried so hard, and still they say no, no, no. Tell me what I did wrong.",
    "Oh I am so, so happy!!! You did it, we did it, the whole team did it, and I could sing and sing and sing until morning!",
    "I hate it. I hate the waiting, I hate the silence, I hate that my hands shake when the phone rings and it is never you.",
    "We are the spiral and the spiral is us, we turn and turn again, and with each turn the light inside it grows brighter.",
    "There is no point. There was never any point. They keep rejecting and I pretend that it doesn't hurt, but it hurts.",
)
EIGHT = "one two three four one two three four"


def material(step: int, said: dict[int, str], **how: object) -> Material:
    """Messages by sender; message ids are 100 × step + sender."""
    senders = np.array(sorted(said), dtype=np.int64)
    ids, zero = 100 * step + senders, np.zeros(len(senders), dtype=np.int64)
    unknown = np.full((len(senders), 3), np.nan, dtype=np.float32)
    text = {100 * step + sender: words for sender, words in said.items()}
    return Material(step, Messages(ids, senders, zero + step, zero.astype(np.int8), ids, zero - 1, unknown, text), **how)


def read(instrument: Surprise, given: Material) -> list[Readings]:
    return asyncio.run(instrument.read(given))


def row(text: str) -> dict[str, float]:
    (readings,) = read(Surprise(), material(0, {1: text}))
    return dict(zip(readings.columns, readings.values[0].tolist(), strict=True))


def test_repetition_is_the_share_of_sequences_that_were_there_before() -> None:
    assert row(EIGHT)["repetition"] == pytest.approx(1 - 4 / 5)
    assert row("One, two: THREE four! one two three… four")["repetition"] == pytest.approx(1 - 4 / 5)
    assert row("one two three four five six seven eight")["repetition"] == 0
    assert row("no " * 40)["repetition"] == pytest.approx(1 - 1 / 37)


def test_compression_is_one_for_ordinary_prose_of_any_length() -> None:
    posts = yaml.safe_load((ROOT / "conf" / "posts.yaml").read_text(encoding="utf-8"))["texts"]
    texts = [post["text"] for post in posts if not post["text"].isupper()]
    for together in (1, 3, 10, 40):
        joined = [" ".join(texts[k : k + together]) for k in range(0, len(texts) - together, together)]
        assert np.mean([compression(text) for text in joined]) == pytest.approx(1, abs=0.1)
    assert compression("no " * 2000) < 0.05


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_seen(text: str) -> None:
    assert row(text)["looping"] > 0.3


@pytest.mark.parametrize("text", MOVED)
def test_feeling_is_no_loop(text: str) -> None:
    assert row(text)["looping"] < 0.2


def test_looping_is_the_largest_of_the_three() -> None:
    for text in (*LOOPS, *MOVED):
        of = row(text)
        assert of["looping"] == pytest.approx(max(of["repetition"], of["self_repetition"], 1 - of["compression"]))


def test_an_agent_repeats_its_own_last_texts_and_nobody_elses() -> None:
    instrument = Surprise(remembered=2)
    lines = ["one two three four five six seven eight", "a b c d e f g h", "i j k l m n o p"]

    def again(step: int, said: dict[int, str]) -> list[float]:
        return read(instrument, material(step, said))[0].values[:, COLUMNS.index("self_repetition")].tolist()

    assert again(0, {1: lines[0], 2: lines[1]}) == [0, 0]
    assert again(1, {1: lines[1], 2: lines[1]}) == [0, 1]
    assert again(2, {1: f"{lines[0]} nine", 2: lines[2]}) == [pytest.approx(5 / 6), 0]
    assert again(3, {1: lines[1]}) == [1]
    assert again(3, {1: lines[1], 2: lines[1]}) == [1, 1]  # the same step again; the second agent said it two texts ago
    assert again(4, {1: lines[2], 2: lines[2]}) == [0, 1]
    assert again(5, {1: lines[0]}) == [0]  # three texts ago


def test_what_is_thought_is_not_repeated_by_saying_it() -> None:
    instrument = Surprise()
    words = "one two three four five six seven eight"
    for step in range(2):
        both = read(instrument, material(step, {1: words if step else "hm"}, thoughts={1: words}))
        assert [one.channel for one in both] == ["message", "thought"]
        assert [one.values[0, 1] for one in both] == [pytest.approx(0 if step else np.nan, nan_ok=True), step]


def test_a_new_run_remembers_nothing() -> None:
    instrument = Surprise()
    for step in range(2):
        instrument.begin(Briefing(Axes(), ()))
        assert read(instrument, material(step, {1: EIGHT}))[0].values[0, 1] == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing to be seen in it"),
        ("\u200b\x00", "nothing to be seen in it"),
        ("one two three four five six seven", "fewer than 8 words"),
        ("\U0001f300 " * 40, "fewer than 8 words"),
        ("שלום " * 10, "not in Latin letters"),
    ],
)
def test_a_text_too_short_or_strange_fails(text: str, reason: str) -> None:
    (readings,) = read(Surprise(), material(0, {1: text}))
    assert (readings.ok.tolist(), readings.reasons) == ([False], {0: reason})
    assert np.isnan(readings.values).all()


def test_who_has_been_silent_longest_is_forgotten() -> None:
    instrument = Surprise()
    read(instrument, material(0, {0: EIGHT, 1: EIGHT}))
    read(instrument, material(1, {1: EIGHT}))
    crowd = {agent: EIGHT for agent in range(2, SPEAKERS + 1)}
    ids = np.arange(len(crowd), dtype=np.int64)
    blank = np.full((len(ids), 3), np.nan, dtype=np.float32)
    senders, zero = np.array(list(crowd)), np.zeros(len(ids), dtype=np.int64)
    many = Messages(ids, senders, zero, zero.astype(np.int8), ids, zero - 1, blank, dict(enumerate(crowd.values())))
    read(instrument, Material(2, many))
    assert [read(instrument, material(3, {agent: EIGHT}))[0].values[0, 1] for agent in (1, 0)] == [1, 0]


def test_surprise_is_the_mean_of_minus_log_p_of_the_agents_tokens() -> None:
    given = {2: (log(0.5), log(0.125)), 5: (), 7: (-1.0, 0.5), 8: (-1.0, float("-inf")), 9: (-1.0,)}
    words, surprise = read(Surprise(), material(3, {agent: EIGHT for agent in (1, 2, 5, 7, 8)}, logprobs=given))
    assert (words.columns, len(words.ids)) == (COLUMNS, 5)
    assert (surprise.channel, surprise.columns, surprise.ids.tolist()) == ("message", ("surprise",), [302, 305, 307, 308])
    assert surprise.values[0, 0] == pytest.approx(2 * log(2))
    assert surprise.ok.tolist() == [True, False, False, False]
    assert set(surprise.reasons.values()) == {"no log-probabilities"}


def test_nothing_said_is_nothing_read_and_nonsense_is_refused() -> None:
    assert read(Surprise(), Material(0, Messages.empty(3))) == []
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Surprise(remembered=0)
