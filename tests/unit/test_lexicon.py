"""Valence and arousal of sentences whose direction is plain to any reader."""

import asyncio

import numpy as np
import pytest

from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.lexicon import Lexicon
from contagium.sim.observer.texts import CHARACTERS


def read(*texts: str) -> Readings:
    ids = np.arange(len(texts))
    known = np.full((len(texts), 3), np.nan, dtype=np.float32)
    instrument = Lexicon()
    instrument.begin(Briefing(Axes(), ()))
    messages = Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, dict(enumerate(texts)))
    (readings,) = asyncio.run(instrument.read(Material(0, messages)))
    return readings


def test_valence_orders_joy_notes_and_anger() -> None:
    readings = read("I love this, what a wonderful day", "The meeting is at ten", "I hate this, you horrible cheat")
    assert readings.columns == ("valence", "arousal")
    joy, note, anger = readings.values[:, 0]
    assert joy > 0.5
    assert note == 0
    assert anger < -0.5


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("The meeting is at ten", 0),
        ("I am furious", 1),
        ("I am furious and thrilled", 2),
        ("I am not furious", 0),
        ("We relax in the quiet garden", -2),
        ("There is no hurry, take your time", -2),
        ("I am so furious", 1.5),
        ("Come here!!", 1),
        ("Come here!!!!!!!!!", 2),
        ("COME here", 0.5),
        ("The PC is in B2", 0),
        ("STOP-GO, AT ONCE", 1),
        ("\U0001f198", 0),  # an emoji whose name is in capitals
        ("The software and the surgeon explore the Amazon still", 0),
    ],
)
def test_arousal_counts_its_cues(text: str, cues: float) -> None:
    assert read(text).values[0, 1] == pytest.approx(cues / np.sqrt(cues**2 + 4))


def test_another_script_is_a_failed_reading() -> None:
    readings = read("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd my friend", "\U0001f600", "10:30", "\u00c9t\u00e9")
    assert readings.ok.tolist() == [False, True, True, True, True]
    assert readings.values[2, 0] > 0  # VADER reads emoji


def test_what_comes_late_in_a_very_long_text_is_not_read() -> None:
    filler = "word " * (CHARACTERS // 5 + 1)
    assert read(filler + "wonderful").values[0, 0] == 0
    assert read("wonderful " + filler).values[0, 0] > 0.5
