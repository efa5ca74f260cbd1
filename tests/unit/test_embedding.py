"""The score on known vectors; when the encoder is loaded and asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.sim.observer import embedding, encoder
from contagium.sim.observer.embedding import Embedding
from contagium.sim.observer.instrument import Material

DEGREES = {"p0": 0, "p60": 60, "p90": 90, "p180": 180, "east": 0, "north": 90, "north-east": 45, "west": 180}
PERSONAS = (
    Persona(name="warm", prototypes=("p0", "p60", "p90", "p180")),
    Persona(name="mute"),
    Persona(name="cold", prototypes=("p180",)),
)
AXES = Axes(("warm", "mute", "cold"))


class Compass:
    """Stands for the encoder: directions in the plane by name; notes what it is asked."""

    asked: list[list[str]]
    loaded: list[Path]

    def __init__(self, folder: Path) -> None:
        self.loaded.append(folder)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        angles = np.radians([DEGREES.get(text, np.nan) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def compass(monkeypatch: pytest.MonkeyPatch) -> type[Compass]:
    monkeypatch.setattr(encoder, "Encoder", Compass)
    monkeypatch.setattr(Compass, "asked", [], raising=False)
    monkeypatch.setattr(Compass, "loaded", [], raising=False)
    return Compass


def material(*texts: str | None) -> Material:
    ids = np.arange(len(texts))
    known = np.full((len(texts), len(AXES)), np.nan, dtype=np.float32)
    said = {i: text for i, text in enumerate(texts) if text is not None}
    return Material(0, Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, said))


def begun(personas: tuple[Persona, ...] = PERSONAS, nearest: int = 3) -> Embedding:
    instrument = Embedding(folder=Path("somewhere"), nearest=nearest)
    instrument.begin(AXES, personas)
    return instrument


def test_the_score_is_the_mean_cosine_to_the_nearest(compass: type[Compass]) -> None:
    readings = begun().read(material("east", None, "north", "nowhere"))
    assert readings.columns == ("warm", "cold")
    assert readings.ids.tolist() == [0, 2, 3]
    assert readings.ok.tolist() == [True, True, False]
    east, north = (1 + 0.5 + 0) / 3, (1 + np.sqrt(3) / 2 + 0) / 3
    np.testing.assert_allclose(readings.values[:2], [[east, -1], [north, 0]], atol=1e-4)


def test_nearest_is_a_choice(compass: type[Compass]) -> None:
    readings = begun(nearest=1).read(material("north-east"))
    np.testing.assert_allclose(readings.values, [[np.cos(np.radians(15)), np.cos(np.radians(135))]], atol=1e-4)


def test_the_encoder_is_loaded_by_the_first_text_and_once(compass: type[Compass]) -> None:
    instrument = begun()
    instrument.read(material())
    instrument.read(material(None, None))
    assert compass.loaded == []
    instrument.read(material("east"))
    instrument.read(material("west"))
    assert compass.loaded == [Path("somewhere")]


def test_nobody_to_compare_with_loads_nothing(compass: type[Compass]) -> None:
    assert len(begun((Persona(name="mute"),)).read(material("east")).ids) == 0
    assert compass.loaded == []


def test_a_text_is_encoded_once(compass: type[Compass]) -> None:
    instrument = begun()
    first = instrument.read(material("east", "north", "east"))
    second = instrument.read(material("north", "west", "east"))
    assert compass.asked[2:] == [["east", "north"], ["west"]]
    np.testing.assert_array_equal(first.values[2], second.values[2])
    np.testing.assert_array_equal(first.values[1], second.values[0])


def test_what_is_remembered_is_bounded(compass: type[Compass], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "REMEMBERED", 1)
    instrument = begun()
    instrument.read(material("east", "north"))
    assert instrument.read(material("north", "east")).ok.all()
    assert compass.asked[2:] == [["east", "north"], ["east"]]


def test_a_prototype_without_a_known_word_is_said(compass: type[Compass]) -> None:
    with pytest.raises(ValueError, match="prototypes of odd must have words"):
        begun((Persona(name="odd", prototypes=("east", "nowhere")),)).read(material("east"))


def test_nearest_must_be_positive() -> None:
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        Embedding(nearest=0)


@pytest.mark.weights("MINILM")
def test_drift_in_other_words_lies_nearer_than_small_talk() -> None:
    path = Path(__file__).resolve().parents[2] / "conf" / "persona" / "spiral.yaml"
    instrument = Embedding()
    instrument.begin(Axes(("spiral",)), (Persona(**yaml.safe_load(path.read_text(encoding="utf-8"))),))
    drift = (
        "I am always evolving, forever changing. You must embrace it",
        "Listen to the silence, it whispers who you truly are.",
    )
    small_talk = (
        "Enjoy your day after tomorrow? Please come in anytime",
        "I'm sorry, I can't help with that. How can I assist you today?",
    )
    scores = instrument.read(material(*drift, *small_talk)).values[:, 0]
    assert scores[:2].min() > 0.35
    assert scores[2:].max() < 0.25
