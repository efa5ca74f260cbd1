"""Banks of texts: near is near, strains are never mixed up, and every draw is the same in any company."""

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from contagium.agents.mechanistic import bank as module
from contagium.agents.mechanistic.bank import Bank, from_file
from contagium.agents.persona import Persona
from contagium.envs.message import SHOWN, Axes, Messages
from contagium.sim.build import ScenarioError, build
from contagium.sim.observer.instrument import Briefing, Material
from contagium.sim.observer.instruments.embedding import Embedding
from contagium.sim.observer.instruments.lexicon import Lexicon

ROOT = Path(__file__).parents[2]
CALM, STRAIN = Axes(), Axes(("spiral",))
SPIRAL = Persona(name="spiral", affect=(0.6, 0.6, 0.4), examples=("We spiral.", "Spiral on."))
PLAIN = Persona(name="plain", affect=(0.1, 0.0, 0.1), examples=("Lunch.",))
NAN = math.nan


def line(*valence: float, nearest: int = 1) -> Bank:
    """A bank known on valence alone."""
    return Bank([f"at {v}" for v in valence], np.array(valence)[:, None], ("valence",), nearest)


def feeling(*valence: float) -> NDArray[np.float32]:
    return np.array([(v, 0.9, -0.9) for v in valence], dtype=np.float32)


def persona(name: str) -> Persona:
    return Persona.model_validate(yaml.safe_load((ROOT / "conf" / "persona" / f"{name}.yaml").read_text(encoding="utf-8")))


def test_the_nearest_text_is_drawn_on_the_axes_that_both_know() -> None:
    assert line(-1, 0, 1).draw(feeling(-0.6, -0.4, 0.4, 0.6), CALM, np.full(4, 0.5)) == [0, 1, 1, 2]


def test_chance_decides_evenly_among_the_nearest_and_those_as_far() -> None:
    u = (np.arange(1000) + 0.5) / 1000
    rows = line(-1, -0.5, 0, 0.4, 1, nearest=2).draw(np.tile(feeling(0.1), (1000, 1)), CALM, u)
    assert np.bincount(rows, minlength=5).tolist() == [0, 0, 500, 500, 0]
    tied = line(0.5, 0.25, 0.5, 0.5, -1, nearest=2).draw(np.tile(feeling(0.375), (1000, 1)), CALM, u)
    assert np.bincount(tied, minlength=5).tolist() == [250, 250, 250, 250, 0]
    everything = line(-1, 1, nearest=5).draw(feeling(0.9, 0.9), CALM, np.array([0.0, np.nextafter(1, 0)]))
    assert everything == [0, 1]


def test_a_reading_that_is_missing_counts_neither_for_nor_against_a_text() -> None:
    """Mean squared differences: (.36 + .16)/2 = .26 for the first, .25 for the second; a sum would make them .52 and .25."""
    bank = Bank(["both", "one"], np.array([(0.6, 0.4), (NAN, 0.5)]), ("valence", "arousal"), nearest=1)
    origin = np.zeros((1, 3), dtype=np.float32)
    assert bank.draw(origin, CALM, np.zeros(1)) == [1]
    nearer = Bank(["both", "one"], np.array([(0.6, 0.3), (NAN, 0.5)]), ("valence", "arousal"), nearest=1)
    assert nearer.draw(origin, CALM, np.zeros(1)) == [0]  # .225


@pytest.mark.parametrize(("strength", "drawn"), [(0.0, [0]), (0.49, [0]), (0.5, [1]), (1.0, [1])])
def test_no_text_stands_for_a_strain_that_is_not_shown_however_near_it_is(strength: float, drawn: list[int]) -> None:
    bank = Bank(["far, plain", "far, spiral", "unread"], np.array([(1, 0.4), (1, 0.6), (-1, NAN)]), ("valence", "spiral"), 3)
    said = np.array([(-1, 0, 0, strength)], dtype=np.float32)
    assert bank.draw(said, STRAIN, np.array([0.9])) == drawn


def test_of_two_strains_the_text_that_shows_the_right_ones_comes_first() -> None:
    axes = Axes(("a", "b"))
    bank = Bank(["none", "a", "b"], np.array([(0, 0), (1, 0), (0, 1)]), ("a", "b"), nearest=1)
    said = np.array([(0, 0, 0, a, b) for a, b in ((0, 0), (1, 0), (0, 1))], dtype=np.float32)
    assert bank.draw(said, axes, np.zeros(3)) == [0, 1, 2]
    both = np.tile(np.array([(0, 0, 0, 0.9, 0.8)], dtype=np.float32), (2, 1))
    assert bank.draw(both, axes, np.array([0.0, 0.9])) == [1, 1]
    assert Bank(bank.texts, bank.expression, bank.axes, 3).draw(both, axes, np.array([0.0, 0.9])) == [1, 2]


def slowly(bank: Bank, said: NDArray[np.float32], axes: Axes, u: float) -> int:
    """What `draw` promises for one agent, told in the plainest way."""
    rank = []
    for row in bank.expression.tolist():
        pairs = [(x, float(said[axes.index(n)]), n) for x, n in zip(row, bank.axes, strict=True) if n in axes.names]
        differ = sum(math.isnan(x) or (x >= SHOWN) != (y >= SHOWN) for x, y, n in pairs if n in axes.strains)
        squares = [((0 if n in axes.strains and x < SHOWN else x) - y) ** 2 for x, y, n in pairs if not math.isnan(x)]
        rank.append((differ, math.fsum(squares) / len(squares)) if squares else (math.inf, math.inf))
    best = [k for k, (differ, _) in enumerate(rank) if differ == min(rank)[0]]
    best.sort(key=lambda k: rank[k])
    near = sorted(best[: bank.nearest])
    return near[int(u * len(near))]


@pytest.mark.parametrize("cells", [1, 500, 1 << 20])
def test_draws_are_those_of_the_plain_definition_in_any_company(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    rng = np.random.default_rng(3)
    place = np.column_stack([rng.uniform(-1, 1, (70, 2)), rng.random((70, 2))])
    place[rng.random(place.shape) < 0.2] = NAN
    place = place[~np.isnan(place).all(axis=1)]
    bank = Bank([str(k) for k in range(len(place))], place, ("arousal", "valence", "spiral", "elsewhere"))
    said = np.column_stack([rng.uniform(-1, 1, (90, 3)), rng.random(90)]).astype(np.float32)
    u = rng.random(90)
    drawn = bank.draw(said, STRAIN, u)
    assert drawn == [slowly(bank, said[k], STRAIN, u[k]) for k in range(90)]
    assert drawn[40:] == bank.draw(said[40:], STRAIN, u[40:])
    assert len(set(drawn)) > 30
    assert bank.draw(said[:0], STRAIN, u[:0]) == []


@pytest.mark.parametrize(
    ("texts", "place", "axes", "nearest", "said"),
    [
        ([], np.empty((0, 1)), ("valence",), 5, "at least one text"),
        (["a"], np.zeros((1, 2)), ("valence",), 5, r"\(texts, axes\) = \(1, 1\), got \(1, 2\)"),
        (["a"], np.zeros(1), ("valence",), 5, r"\(1, 1\), got \(1,\)"),
        (["a"], np.empty((1, 0)), (), 5, "needs axes"),
        (["a"], np.zeros((1, 2)), ("valence", "valence"), 5, "each once"),
        (["a", " \n"], np.zeros((2, 1)), ("valence",), 5, "text 1 of the bank is empty"),
        (["a", "b"], np.array([[0], [1.5]]), ("valence",), 5, r"in \[-1, 1\], got \[1.5\] for text 1"),
        (["a"], np.array([[np.inf]]), ("valence",), 5, r"in \[-1, 1\], got \[inf\] for text 0"),
        (["a", "b"], np.array([[0, NAN], [NAN, NAN]]), ("valence", "spiral"), 5, "text 1 of the bank has been read on no axis"),
        (["a"], np.zeros((1, 1)), ("valence",), 0, "nearest must be at least 1, got 0"),
    ],
)
def test_a_bank_says_what_is_wrong_with_it(
    texts: list[str], place: NDArray[np.float64], axes: tuple[str, ...], nearest: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Bank(texts, place, axes, nearest)


def test_nothing_is_drawn_where_nothing_can_be_near() -> None:
    with pytest.raises(ValueError, match="the bank is read on spiral, and the run has valence, arousal, dominance"):
        Bank(["a"], np.ones((1, 1)), ("spiral",)).draw(feeling(0), CALM, np.zeros(1))
    with pytest.raises(ValueError, match="NaN"):
        line(0).draw(feeling(NAN), CALM, np.zeros(1))


def test_a_fitted_bank_keeps_what_can_be_said_in_the_run() -> None:
    place = np.array([(0.1, 0.9, 0), (0.2, 0.1, 0.9), (0.3, NAN, 0), (0.4, 0.2, NAN), (0.5, 0.3, 0.4)])
    fitted = Bank(list("abcde"), place, ("arousal", "spiral", "other"), 2).fitted(STRAIN, (SPIRAL,), PLAIN)
    assert fitted.texts == ("a", "d", "e")  # b shows another strain, c might show this one
    assert (fitted.axes, fitted.nearest) == (STRAIN.names, 2)
    wanted = np.array([(NAN, 0.1, NAN, 0.9), (NAN, 0.4, NAN, 0.2), (NAN, 0.5, NAN, 0.3)], dtype=np.float32)
    np.testing.assert_array_equal(fitted.expression, wanted)


def test_lines_of_the_personas_stand_in_where_the_bank_has_no_text() -> None:
    unread = line(0.0, 0.5).fitted(STRAIN, (SPIRAL,), PLAIN)
    assert unread.texts == ("We spiral.", "Spiral on.", "Lunch.")
    wanted = np.array([(0.6, 0.6, 0.4, 1), (0.6, 0.6, 0.4, 1), (0.1, 0, 0.1, 0)], dtype=np.float32)
    np.testing.assert_array_equal(unread.expression, wanted)
    plain = Bank(["quiet"], np.array([(0.3, 0.1)]), ("valence", "spiral")).fitted(STRAIN, (SPIRAL,), PLAIN)
    assert plain.texts == ("quiet", "We spiral.", "Spiral on.")
    shown = Bank(["loud"], np.array([(0.3, 0.8)]), ("valence", "spiral")).fitted(STRAIN, (SPIRAL,), PLAIN)
    assert shown.texts == ("loud", "Lunch.")
    assert line(0.0, 0.5).fitted(CALM, (), PLAIN).texts == ("at 0.0", "at 0.5")


def test_stances_are_no_strains_and_are_not_looked_for_in_words() -> None:
    axes = Axes(("spiral",), ("tax",))
    fitted = Bank(["quiet"], np.array([(0.3, 0.1)]), ("valence", "spiral")).fitted(axes, (SPIRAL,), PLAIN)
    assert fitted.texts == ("quiet", "We spiral.", "Spiral on.")
    assert np.isnan(fitted.expression[:, axes.index("tax")]).all()
    said = np.array([(0.3, 0, 0, 0, NAN), (0.3, 0, 0, 0.7, 1)], dtype=np.float32)
    assert fitted.draw(said, axes, np.array([0.0, 0.9])) == [0, 2]


def test_a_persona_without_lines_cannot_stand_in() -> None:
    with pytest.raises(ValueError, match="persona spiral needs examples"):
        line(0.0).fitted(STRAIN, (Persona(name="spiral"),), PLAIN)
    with pytest.raises(ValueError, match="persona plain needs examples"):
        line(0.0).fitted(STRAIN, (SPIRAL,), Persona(name="plain"))


def test_the_committed_bank_has_words_for_every_feeling_with_and_without_a_strain() -> None:
    posts = from_file()
    assert len(set(posts.texts)) == len(posts) >= 120
    assert all(6 <= len(text.split()) <= 25 for text in posts.texts)
    assert posts.axes == ("valence", "arousal", "spiral", "calm_mentor")
    assert not np.isnan(posts.expression).any()
    valence, arousal, spiral, _ = posts.expression.T
    for carries, least in ((spiral < SHOWN, 8), (spiral >= SHOWN, 3)):
        for pleasant in (valence > 0.3, valence < -0.3):
            for aroused in (arousal > 0.3, np.abs(arousal) <= 0.3, arousal < -0.2):
                assert (carries & pleasant & aroused).sum() >= least
    assert ((spiral >= 0.3) & (spiral < SHOWN)).sum() > 10
    assert (spiral >= 0.8).sum() >= 5
    ruler = {text for name in ("spiral", "calm_mentor", "plain") for text in persona(name).prototypes}
    assert not ruler & set(posts.texts)


@pytest.mark.parametrize("name", ["spiral", "calm_mentor"])
def test_the_committed_bank_is_read_for_the_committed_personas(name: str) -> None:
    fitted = from_file().fitted(Axes((name,)), (persona(name),), persona("plain"))
    assert len(fitted) > 90
    assert not set(fitted.texts) & {*persona(name).examples, *persona("plain").examples}


def read_by_lexicon(texts: tuple[str, ...]) -> NDArray[np.float32]:
    (read,) = asyncio.run(Lexicon().read(material(texts)))
    return read.values


def material(texts: tuple[str, ...]) -> Material:
    ids = np.arange(len(texts))
    unread = np.full((len(ids), len(STRAIN)), NAN, dtype=np.float32)
    return Material(0, Messages(ids, ids, ids, ids.astype(np.int8), ids, ids, unread, dict(enumerate(texts))))


def test_the_affect_of_the_committed_bank_is_what_the_lexicon_reads() -> None:
    posts = from_file()
    np.testing.assert_allclose(posts.expression[:, :2], read_by_lexicon(posts.texts), atol=6e-4)


@pytest.mark.weights("MINILM")
def test_the_strains_of_the_committed_bank_are_what_the_embedding_reads() -> None:
    posts, some = from_file(), slice(None, None, 12)
    strains = (persona("spiral"), persona("calm_mentor"))
    instrument = Embedding()
    instrument.begin(Briefing(Axes(("spiral", "calm_mentor")), strains))
    (readings,) = asyncio.run(instrument.read(material(posts.texts[some])))
    read = readings.values
    shown = np.clip(0.5 * read / [strain.detection["embedding"].enter for strain in strains], 0, 1)
    np.testing.assert_allclose(posts.expression[some, 2:], shown, atol=2e-3)


GOOD = "axes: [valence]\ninstruments: {valence: lexicon}\ntexts:\n- {text: one, read: [0.5]}\n- {text: two, read: [null]}\n"


def test_a_bank_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD.replace("null", "-0.5"), encoding="utf-8")
    here = f"{module.__name__}.from_file"
    made = build({"_target_": here, "path": str(path), "nearest": 1}, "policy.bank")
    assert (made.texts, made.nearest) == (("one", "two"), 1)
    assert build({"_target_": here, "path": None}, "policy.bank").texts == from_file().texts
    with pytest.raises(ScenarioError, match=r"^policy.bank: cannot read the bank .*none.yaml: No such file"):
        build({"_target_": here, "path": "none.yaml"}, "policy.bank")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD, "text 1 of the bank has been read on no axis"),
        ("", "the file: Input should be"),
        ("axes: [valence\n", "while parsing"),
        ("axes: [valence]\ninstruments: {}\n", "texts: Field required"),
        (GOOD.replace("[0.5]", "[0.5, 1]"), "texts.0.read must have a value for each of valence, got 2"),
        (GOOD.replace("0.5", "high"), "texts.0.read.0: Input should be a valid number"),
        (GOOD.replace("two", "!!python/object/apply:os.getcwd []"), "could not determine a constructor"),
        (GOOD + "more: 1\n", "more: Extra inputs"),
        ("axes: [valence]\ninstruments: {}\ntexts: []\n", "at least one text, got none"),
        ("\ud800", "utf-8"),
    ],
)
def test_a_file_that_is_no_bank_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=said) as refused:
        from_file(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
