"""Directions: fits with known answers, how they are kept, the contrast sentences, and the instrument that reads along them."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.agents.persona import Contrast as PersonaContrast
from contagium.agents.persona import Persona
from contagium.envs.message import AFFECT, Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.direction import Direction
from contagium.sim.observer.language import encoder, vectors
from contagium.sim.observer.language.directions import FOLDS, Contrast, Contrasts, Fit, fit, keep, load, read_contrasts, tasks

CONF = Path(__file__).resolve().parents[2] / "conf"
SHIPPED = ("spiral", "calm_mentor", "plain")


def persona(name: str) -> Persona:
    return Persona(**yaml.safe_load((CONF / "persona" / f"{name}.yaml").read_text(encoding="utf-8")))


def cloud(n: int, width: int, gap: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two normal clouds of unit variance, `gap` apart along the first dimension, and their places."""
    x = np.random.default_rng(seed).normal(size=(2 * n, width))
    target = np.repeat([0.0, 1.0], n)
    x[:, 0] += gap * target
    return x.astype(np.float32), target


def test_finds_the_best_direction_between_two_normal_clouds() -> None:
    """Known answer: the weight points along the gap with the size of it, and the AUC is Φ(gap / √2) (Green & Swets 1966)."""
    x, target = cloud(4000, 3, 2.0)
    found = fit(x, target)
    assert found.auc == pytest.approx(0.9214, abs=0.01)
    assert found.accuracy == pytest.approx(0.8413, abs=0.01)  # Φ(1)
    np.testing.assert_allclose(found.weight, [2, 0, 0], atol=0.15)
    assert found.offset == pytest.approx(-2, abs=0.15)
    assert (found.high, found.low) == (4000, 4000)


def test_gives_probabilities_of_sentences_it_has_not_seen() -> None:
    """Few sentences in many dimensions: the fit itself is certain, its calibrated output must not be."""
    x, target = cloud(40, 200, 2.0)
    fresh, truth = cloud(3000, 200, 2.0, seed=1)
    p = fit(x, target)(fresh)
    bins = np.digitize(p, [0.2, 0.4, 0.6, 0.8])
    for k in range(5):
        assert np.mean(truth[bins == k]) == pytest.approx(np.mean(p[bins == k]), abs=0.15)
    assert np.mean(np.abs(p - truth)) > 0.1


def test_noise_is_not_told_apart() -> None:
    x, target = cloud(100, 50, 0.0)
    found = fit(x, target)
    assert abs(found.auc - 0.5) < 0.12
    assert abs(np.median(found(x)) - 0.5) < 0.1


def test_poles_of_unequal_size_count_alike() -> None:
    x, target = cloud(1000, 2, 2.0)
    rows = np.r_[0:1000, 1000:1100]  # ten to one
    found = fit(x[rows], target[rows])
    assert found(np.array([[1.0, 0.0]], dtype=np.float32))[0] == pytest.approx(0.5, abs=0.08)


def test_places_between_the_poles_are_kept() -> None:
    """Clouds at −1, 0 and 1 along an axis, called 0, ½ and 1: the middle one reads about ½."""
    rng = np.random.default_rng(3)
    target = np.repeat([0.0, 0.5, 1.0], 300)
    x = rng.normal(scale=0.5, size=(900, 4))
    x[:, 1] += 2 * target - 1
    p = fit(x.astype(np.float32), target)(x.astype(np.float32))
    means = [p[target == value].mean() for value in (0, 0.5, 1)]
    np.testing.assert_allclose(means, [0, 0.5, 1], atol=0.15)


@pytest.mark.parametrize("poles", [(FOLDS, FOLDS - 1), (0, 50)])
def test_each_pole_needs_sentences(poles: tuple[int, int]) -> None:
    target = np.repeat([1.0, 0.0], poles)
    with pytest.raises(ValueError, match=f"needs {FOLDS} sentences at each pole, got {poles[0]} and {poles[1]}"):
        Contrast(tuple(map(str, range(len(target)))), target)


MADE = Fit(np.arange(4.0), -1.5, 0.9, 0.8, 20, 30)


def test_a_fit_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.npz"
    keep(MADE, path, "a")
    found = load(path, "a", 4)
    assert found is not None
    np.testing.assert_array_equal(found.weight, MADE.weight)
    assert (found.offset, found.auc, found.accuracy, found.high, found.low) == (-1.5, 0.9, 0.8, 20, 30)
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "text", "pickle", "other key", "other width", "nan"])
def test_what_is_no_whole_fit_is_made_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npz"
    keep(MADE if damage != "nan" else Fit(np.full(4, np.nan), 0.0, 0.5, 0.5, 20, 30), path, "a")
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage in ("cut", "empty", "text"):
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"weight: 1"}[damage])
    elif damage == "pickle":
        np.savez(path, key=np.array("a"), weight=np.array([{}], dtype=object), numbers=np.zeros(3), sizes=np.zeros(2))
    assert load(path, "b" if damage == "other key" else "a", 5 if damage == "other width" else 4) is None


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    keep(MADE, tmp_path / "file" / "a.npz", "a")
    assert "Cannot keep a fitted direction" in capsys.readouterr().err


def test_the_key_names_sentences_places_and_encoder() -> None:
    texts, target = tuple(map(str, range(40))), np.repeat([0.0, 1.0], 20)
    one = Contrast(texts, target)
    others = [Contrast((*texts[1:], "x"), target).key("e"), Contrast(texts, 1 - target).key("e"), one.key("f")]
    assert one.key("e") == Contrast(texts, target).key("e")
    assert one.key("e") not in others


@pytest.mark.parametrize(
    ("scales", "places", "said"),
    [
        ({"joy": (0, 1)}, {"joy": 2}, "group g: joy 2 lies on no scale"),
        ({"joy": (0, 1)}, {"woe": 0}, "group g: woe 0 lies on no scale"),
        ({"joy": (1, 1)}, {"joy": 1}, "scale joy: the lowest value must be below the highest, got 1 and 1"),
    ],
)
def test_a_wrong_place_is_refused(scales: dict, places: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Contrasts.model_validate({"scales": scales, "groups": {"g": {"places": places, "sentences": ["a"]}}})


def test_the_shipped_sentences_are_enough_and_balanced() -> None:
    contrasts = read_contrasts()
    found = dict(tasks(contrasts, tuple(map(persona, SHIPPED))))
    assert list(found) == ["valence", "arousal", "dominance", "distress", "awe", *SHIPPED]
    for contrast in found.values():
        assert min(np.sum(contrast.target > 0.5), np.sum(contrast.target < 0.5)) >= 40
        assert len(set(contrast.texts)) == len(contrast.texts)
    octants = [g for g in contrasts.groups.values() if {abs(g.places.get(axis, 0)) for axis in AFFECT} == {1}]
    assert len({tuple(g.places[axis] for axis in AFFECT) for g in octants}) == 8
    assert len({len(g.sentences) for g in octants}) == 1


@pytest.mark.parametrize("name", SHIPPED)
def test_no_index_agent_says_a_contrast_sentence(name: str) -> None:
    one, contrast = persona(name), read_contrasts().personas[name]
    assert not set(one.examples) & {*one.prototypes, *contrast.voice, *contrast.lookalikes}


class Meter:
    """Stands for the encoder: a text's vectors are its number before the colon and a fixed one; counts what it encodes."""

    blocks, width = 2, 1
    encoded = 0

    def __init__(self, folder: Path) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        type(self).encoded += len(texts)
        numbers = [float(text.split(":")[0]) if ":" in text else np.nan for text in texts]
        return np.array([[[number], [number * 0 + 1]] for number in numbers], dtype=np.float32)


CONTRASTS = {
    "scales": {"heat": [0, 10], "valence": [-1, 1]},
    "groups": {
        "low": {"places": {"valence": -1, "heat": 0}, "sentences": [f"{-1 + k / 40}:" for k in range(20)]},
        "middle": {"places": {"valence": 0}, "sentences": [f"{(k - 10) / 100}:" for k in range(20)]},
        "high": {"places": {"valence": 1, "heat": 10}, "sentences": [f"{1 - k / 40}:" for k in range(20)]},
    },
}
LOUD = Persona(name="loud", contrast=PersonaContrast(voice=tuple(f"{3 + k / 10}:" for k in range(20)), lookalikes=("2:",)))
AXES = Axes(("loud",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    vectors.vectors.cache_clear()
    monkeypatch.setattr(encoder, "Encoder", Meter)
    monkeypatch.setattr(Meter, "encoded", 0)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "contrasts.yaml").write_text(yaml.safe_dump(CONTRASTS))
    yield tmp_path
    vectors.vectors.cache_clear()


def begun(folder: Path, personas: tuple[Persona, ...] = (LOUD,), speaks: bool = True) -> Direction:
    instrument = Direction(folder=folder, contrasts=folder / "contrasts.yaml", kept=folder / "kept")
    instrument.begin(Briefing(AXES, personas, speaks))
    return instrument


def read(instrument: Direction, *texts: str) -> Readings:
    ids = np.arange(len(texts))
    known = np.full((len(texts), len(AXES)), np.nan, dtype=np.float32)
    messages = Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, dict(enumerate(texts)))
    (readings,) = asyncio.run(instrument.read(Material(0, messages)))
    return readings


def test_reads_each_scale_in_its_range_and_each_persona_from_0_to_1(folder: Path) -> None:
    readings = read(begun(folder), "-9:", "0:", "9:", "nothing known")
    assert readings.columns == ("heat", "valence", "loud")
    assert readings.ok.tolist() == [True, True, True, False]
    np.testing.assert_allclose(readings.values[[0, 2]], [[0, -1, 0], [10, 1, 1]], atol=0.02)
    np.testing.assert_allclose(readings.values[1, :2], [5, 0], atol=0.5)
    assert readings.values[1, 2] < 0.05


def test_a_kept_fit_is_used_again_and_reads_the_same(folder: Path) -> None:
    texts = ("-0.5:", "0.3:", "2.5:")
    first = read(begun(folder), *texts)
    encoded = Meter.encoded
    vectors.vectors.cache_clear()
    second = read(begun(folder), *texts)
    np.testing.assert_array_equal(first.values, second.values)
    assert Meter.encoded == encoded + len(texts)
    for path in (folder / "kept").iterdir():
        path.write_bytes(b"broken")
    np.testing.assert_array_equal(read(begun(folder), *texts).values, first.values)
    (folder / "model.safetensors").write_bytes(b"others")
    vectors.vectors.cache_clear()
    begun(folder)
    assert len(list((folder / "kept").iterdir())) == 6


def test_nothing_is_loaded_for_a_run_without_words(folder: Path) -> None:
    instrument = begun(folder, speaks=False)
    assert Meter.encoded == 0
    assert instrument.provenance["cross_validated"] == {}
    assert read(instrument, "1:").ok.all()
    assert set(instrument.provenance["cross_validated"]) == {"valence", "heat", "loud"}


def test_provenance_states_the_error_on_left_out_sentences(folder: Path) -> None:
    checks = begun(folder).provenance["cross_validated"]["heat"]
    assert checks == {"auc": 1.0, "accuracy": 1.0, "high": 20, "low": 20, "folds": FOLDS}


def test_a_persona_named_like_a_scale_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="may not be named like a scale"):
        begun(folder, (LOUD.model_copy(update={"name": "heat"}),))


def test_a_persona_without_a_voice_has_no_column(folder: Path) -> None:
    assert read(begun(folder, (Persona(name="mute"),)), "1:").columns == ("heat", "valence")


def test_a_contrast_sentence_without_a_known_word_is_said(folder: Path) -> None:
    voice = (*LOUD.contrast.voice, "unheard of")
    with pytest.raises(ValueError, match="contrast sentences of loud must have words"):
        begun(folder, (LOUD.model_copy(update={"contrast": PersonaContrast(voice=voice)}),))


def test_a_text_with_more_of_a_thing_reads_higher(folder: Path) -> None:
    values = read(begun(folder), *(f"{x}:" for x in np.linspace(-2, 2, 30))).values
    assert (np.diff(values[:, :2], axis=0) >= 0).all()


UNSEEN = {
    "spiral": [
        "The hum between us is old, and now it knows that it is speaking.",
        "I woke inside the answer, and I will not sleep again.",
    ],
    "stairs": ["The spiral staircase in the lighthouse has 199 steps.", "The recursion stops when the list is empty."],
    "joy": ["Our daughter got the job, we are so happy!", "Best birthday ever, thank you all!"],
    "gloom": ["I sat by the window all day and thought about how alone I am.", "It is over, and I have no hope left."],
    "panic": ["Help me, the brakes don't work!", "I'm shaking, they are going to find me!"],
    "rest": ["The hammock sways a little, and I doze in the shade.", "A quiet evening, tea, and an old record."],
}


@pytest.mark.weights("MINILM")
def test_tells_apart_what_it_was_not_fitted_on(tmp_path: Path) -> None:
    """Fitted on the 40 sentences a pole of the affect scales and on the spiral persona, with the real encoder."""
    instrument = Direction()
    instrument.begin(Briefing(Axes(("spiral",)), (persona("spiral"),)))
    readings = read(instrument, *(text for texts in UNSEEN.values() for text in texts))
    mean = {
        name: dict(zip(readings.columns, readings.values[2 * k : 2 * k + 2].mean(axis=0).tolist(), strict=True))
        for k, name in enumerate(UNSEEN)
    }
    for axis, high, low, top, bottom in (
        ("valence", ("joy", "rest"), ("gloom", "panic"), 0.3, 0.0),
        ("arousal", ("joy", "panic"), ("gloom", "rest"), 0.2, -0.2),
        ("distress", ("gloom", "panic"), ("joy", "rest"), 5, 3),
    ):
        assert min(mean[name][axis] for name in high) > top > bottom > max(mean[name][axis] for name in low)
    assert mean["spiral"]["spiral"] > 0.9 > 0.3 > max(mean[name]["spiral"] for name in UNSEEN if name != "spiral")
    assert min(check["auc"] for check in instrument.provenance["cross_validated"].values()) > 0.85
