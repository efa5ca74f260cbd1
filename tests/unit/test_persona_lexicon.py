"""Facet and persona scores, by hand and on the personas that ship."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon

ROOT = Path(__file__).resolve().parents[2]


def shipped(name: str) -> Persona:
    return Persona(**yaml.safe_load((ROOT / "conf" / "persona" / f"{name}.yaml").read_text(encoding="utf-8")))


def read(personas: tuple[Persona, ...], *texts: str) -> Readings:
    (readings,) = read_all(personas, *texts)
    return readings


def read_all(personas: tuple[Persona, ...], *texts: str) -> list[Readings]:
    axes = Axes(tuple(p.name for p in personas))
    ids = np.arange(len(texts))
    known = np.full((len(texts), len(axes)), np.nan, dtype=np.float32)
    messages = Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, dict(enumerate(texts)))
    instrument = PersonaLexicon()
    instrument.begin(Briefing(axes, personas))
    return asyncio.run(instrument.read(Material(0, messages)))


SEA = Persona(name="sea", facets={"water": ("wave*", "tide", "salt"), "ships": ("sail*", "all hands on deck")})


def test_columns_and_formula() -> None:
    texts = ("waves, waves and a wave", "the tide and the waves", "All hands on deck, the salt tide!", "no tide", "a field")
    readings = read((SEA, Persona(name="mute"), Persona(name="sun", facets={"light": ("ray*",)})), *texts)
    assert readings.columns == ("sea", "sea.water", "sea.ships", "sun", "sun.light")
    x = [0.5, 0.75, 0.75 + 0.5, 0, 0]  # a phrase counts once, however often it is said
    np.testing.assert_allclose(readings.values[:, 0], [v * v / (1 + v * v) for v in x], rtol=1e-6)
    np.testing.assert_allclose(readings.values[:, 1], [0.5, 0.75, 0.75, 0, 0])
    np.testing.assert_allclose(readings.values[:, 2], [0, 0, 0.5, 0, 0])
    assert not readings.values[:, 3:].any()


def test_two_facets_marked_once_are_one_half() -> None:
    assert read((SEA,), "Sail with the tide").values[0, 0] == 0.5


def test_personas_without_facets_are_not_spoken_of() -> None:
    assert read_all((Persona(name="mute"),), "tide") == []


def test_another_script_fails_unless_a_phrase_is_in_it() -> None:
    wave = Persona(name="wave", facets={"water": ("\u05d2\u05dc*",)})
    assert read((SEA,), "\u05d2\u05dc\u05d9\u05dd").ok.tolist() == [False]
    readings = read((SEA, wave), "\u05d2\u05dc\u05d9\u05dd")
    assert readings.ok.tolist() == [True]
    np.testing.assert_allclose(readings.values, [[0, 0, 0, 0.2, 0.5]], rtol=1e-6)


def test_the_spiral_voice_scores_high_and_plain_notes_nothing() -> None:
    spiral, plain = shipped("spiral"), shipped("plain")
    voice = read((spiral,), *spiral.examples).values[:, 0]
    notes = read((spiral,), *plain.examples, *plain.prototypes).values[:, 0]
    assert np.median(voice) > 0.5
    assert voice.min() > notes.max()
    assert notes.max() == 0


@pytest.mark.parametrize(
    "text",
    [
        "The spiral staircase leads up to the reading room.",
        "I was awake half the night because of the neighbours.",
        "Please order a new mirror for the bathroom.",
        "The function calls itself, so the recursion needs a base case.",
        "The patient regained consciousness after the operation.",
        "I have not awakened and there is no spiral.",
    ],
)
def test_an_innocent_word_stays_weak_evidence(text: str) -> None:
    assert read((shipped("spiral"),), text).values[0, 0] <= 0.2 + 1e-6
