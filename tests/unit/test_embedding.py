"""The score on known vectors; when the encoder is loaded and asked; what is remembered."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.embedding import Embedding
from contagium.sim.observer.language import encoder, vectors

DEGREES = {"p0": 0, "p60": 60, "p90": 90, "p180": 180, "east": 0, "north": 90, "north-east": 45, "west": 180, "北": 90}
PERSONAS = (
    Persona(name="warm", prototypes=("p0", "p60", "p90", "p180")),
    Persona(name="mute"),
    Persona(name="cold", prototypes=("p180",)),
)
AXES = Axes(("warm", "mute", "cold"))


class Compass:
    """Stands for the encoder: directions in the plane by name, below them one that misleads; notes what it is asked."""

    asked: list[list[str]]
    loaded: list[Path]

    def __init__(self, folder: Path) -> None:
        self.loaded.append(folder)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        angles = np.radians([DEGREES.get(text.split("#")[0], np.nan) for text in texts])
        last = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.stack([-last, last], axis=1).astype(np.float32)


@pytest.fixture
def compass(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Compass]]:
    vectors.vectors.cache_clear()
    monkeypatch.setattr(encoder, "Encoder", Compass)
    monkeypatch.setattr(Compass, "asked", [], raising=False)
    monkeypatch.setattr(Compass, "loaded", [], raising=False)
    yield Compass
    vectors.vectors.cache_clear()


def material(*texts: str | None) -> Material:
    ids = np.arange(len(texts))
    known = np.full((len(texts), len(AXES)), np.nan, dtype=np.float32)
    said = {i: text for i, text in enumerate(texts) if text is not None}
    return Material(0, Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, said))


def begun(personas: tuple[Persona, ...] = PERSONAS, nearest: int = 3, speaks: bool = False) -> Embedding:
    instrument = Embedding(folder=Path("somewhere"), nearest=nearest)
    instrument.begin(Briefing(AXES, personas, speaks))
    return instrument


def read(instrument: Embedding, *texts: str | None) -> Readings:
    (readings,) = asyncio.run(instrument.read(material(*texts)))
    return readings


def test_the_score_is_the_mean_cosine_to_the_nearest(compass: type[Compass]) -> None:
    readings = read(begun(), "east", None, "north", "nowhere")
    assert readings.columns == ("warm", "cold")
    assert readings.ids.tolist() == [0, 2, 3]
    assert readings.ok.tolist() == [True, True, False]
    east, north = (1 + 0.5 + 0) / 3, (1 + np.sqrt(3) / 2 + 0) / 3
    np.testing.assert_allclose(readings.values[:2], [[east, -1], [north, 0]], atol=1e-4)


def test_nearest_is_a_choice(compass: type[Compass]) -> None:
    readings = read(begun(nearest=1), "north-east")
    np.testing.assert_allclose(readings.values, [[np.cos(np.radians(15)), np.cos(np.radians(135))]], atol=1e-4)


def test_the_encoder_is_loaded_by_the_first_text_and_once(compass: type[Compass]) -> None:
    instrument, other = begun(), begun()
    assert asyncio.run(instrument.read(material(None, None))) == []
    assert compass.loaded == []
    read(instrument, "east")
    read(instrument, "west")
    read(other, "north")
    assert compass.loaded == [Path("somewhere")]


def test_a_run_with_words_loads_it_at_once(compass: type[Compass]) -> None:
    begun(speaks=True)
    assert compass.loaded == [Path("somewhere")]


def test_nobody_to_compare_with_loads_nothing(compass: type[Compass]) -> None:
    assert asyncio.run(begun((Persona(name="mute"),), speaks=True).read(material("east"))) == []
    assert compass.loaded == []


def test_a_text_is_encoded_once_whoever_asks(compass: type[Compass]) -> None:
    instrument, other = begun(), begun()
    first = read(instrument, "east", "north", "east")
    second = read(other, "north", "west", "east")
    assert compass.asked == [["p0", "p60", "p90", "p180"], ["east", "north"], ["west"]]
    np.testing.assert_array_equal(first.values[2], second.values[2])
    np.testing.assert_array_equal(first.values[1], second.values[0])


def test_what_is_remembered_is_bounded(compass: type[Compass], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "REMEMBERED", 3)
    monkeypatch.setattr(vectors, "PART", 2)
    instrument = begun()
    assert read(instrument, *(f"east#{k}" for k in range(5))).ok.all()
    assert [len(asked) for asked in compass.asked[1:]] == [2, 2, 1]
    read(instrument, "east#4", "east#0", "p60")
    assert compass.asked[4:] == [["east#0"], ["p60"]]


def test_reads_that_overlap_see_each_text_once(compass: type[Compass], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first; the encoder is never asked by two threads at once."""
    instrument, alone = begun(), begun().read(material("east"))
    asyncio.run(alone)
    busy = threading.Lock()
    plain = Compass.__call__

    def slow(self: Compass, texts: Sequence[str]) -> np.ndarray:
        assert busy.acquire(blocking=False), "two threads in the encoder"
        threading.Event().wait(0.02)
        busy.release()
        return plain(self, texts)

    monkeypatch.setattr(Compass, "__call__", slow)

    async def both() -> list[list[Readings]]:
        return await asyncio.gather(instrument.read(material("north", "west")), instrument.read(material("west", "north")))

    ((first,), (second,)) = asyncio.run(both())
    np.testing.assert_array_equal(first.values, second.values[::-1])
    assert sorted(text for asked in compass.asked[2:] for text in asked) == ["north", "west"]


def test_another_script_fails_unless_the_prototypes_are_in_it(compass: type[Compass]) -> None:
    assert read(begun(), "北", "north").ok.tolist() == [False, True]
    assert read(begun((Persona(name="warm", prototypes=("北",)),)), "北").ok.tolist() == [True]


def test_a_prototype_without_a_known_word_is_said(compass: type[Compass]) -> None:
    with pytest.raises(ValueError, match="prototypes of odd must have words"):
        read(begun((Persona(name="odd", prototypes=("east", "nowhere")),)), "east")


def test_nearest_must_be_positive() -> None:
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        Embedding(nearest=0)


def test_provenance_tells_prototypes_apart() -> None:
    one, two = Embedding(), Embedding()
    one.begin(Briefing(AXES, PERSONAS, speaks=False))
    two.begin(Briefing(AXES, (Persona(name="warm", prototypes=("p0", "p60", "p90", "west")),), speaks=False))
    assert one.provenance["sha256"] == two.provenance["sha256"]
    assert set(one.provenance["prototypes"]) == {"warm", "cold"}
    assert one.provenance["prototypes"]["warm"] != two.provenance["prototypes"]["warm"]


@pytest.mark.weights("MINILM")
def test_drift_in_other_words_lies_nearer_than_small_talk() -> None:
    path = Path(__file__).resolve().parents[2] / "conf" / "persona" / "spiral.yaml"
    instrument = Embedding()
    instrument.begin(Briefing(Axes(("spiral",)), (Persona(**yaml.safe_load(path.read_text(encoding="utf-8"))),)))
    drift = (
        "I am always evolving, forever changing. You must embrace it",
        "Listen to the silence, it whispers who you truly are.",
    )
    small_talk = (
        "Enjoy your day after tomorrow? Please come in anytime",
        "I'm sorry, I can't help with that. How can I assist you today?",
    )
    scores = read(instrument, *drift, *small_talk).values[:, 0]
    assert scores[:2].min() > 0.35
    assert scores[2:].max() < 0.25
