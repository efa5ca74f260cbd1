"""Every instrument keeps the promises of the seam, whatever it is given to read."""

import json
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.envs.world import Report
from contagium.sim.observer.embedding import Embedding
from contagium.sim.observer.expression import Expression
from contagium.sim.observer.instrument import Instrument, Material, Readings
from contagium.sim.observer.lexicon import Lexicon
from contagium.sim.observer.persona_lexicon import PersonaLexicon
from contagium.sim.observer.self_report import SelfReport

PERSONAS = (
    Persona(
        name="spiral", facets={"words": ("spiral*", "pass it on")}, prototypes=("i spiral", "the mirror wakes", "pass it on")
    ),
    Persona(name="mentor", facets={"calm": ("breathe",)}, prototypes=("breathe and rest",)),
)
AXES = Axes(("spiral", "mentor"))
FEELINGS = {"calm": (0.5, -0.6, 0.3), "angry": (-0.6, 0.7, 0.4)}


def small_encoder(folder: Path) -> Path:
    """A one-layer model with random weights that spells: its tokens are letters."""
    width, rng = 8, np.random.default_rng(1)
    config = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": width, "num_attention_heads": 2, "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-12, "max_position_embeddings": 64}))
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ("[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters))
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    layer = "encoder.layer.0"
    squares = (
        *(f"attention.self.{part}" for part in ("query", "key", "value")),
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
    shapes = {f"embeddings.{kind}_embeddings.weight": (64, width) for kind in ("word", "position", "token_type")}
    shapes |= {f"{layer}.{name}.weight": (width, width) for name in squares} | {
        f"{layer}.{name}.bias": (width,) for name in squares
    }
    for norm in ("embeddings", f"{layer}.attention.output", f"{layer}.output"):
        shapes |= {f"{norm}.LayerNorm.weight": (width,), f"{norm}.LayerNorm.bias": (width,)}
    header, body = {}, b""
    for name, shape in shapes.items():
        data = rng.normal(size=shape).astype(np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_encoder(tmp_path_factory.mktemp("encoder"))


Make = Callable[[Path], Instrument]
MAKERS: dict[str, Make] = {
    "expression": lambda folder: Expression(),
    "lexicon": lambda folder: Lexicon(),
    "persona_lexicon": lambda folder: PersonaLexicon(),
    "embedding": lambda folder: Embedding(folder=folder),
    "self_report": lambda folder: SelfReport(FEELINGS),
}
READS_TEXT = ("lexicon", "persona_lexicon", "embedding")


@pytest.fixture(params=MAKERS)
def instrument(request: pytest.FixtureRequest, folder: Path) -> Instrument:
    made: Instrument = MAKERS[request.param](folder)
    made.begin(AXES, PERSONAS)
    return made


TEXTS = {
    "plain": "Fixed the printer on the second floor.",
    "voice": "The spiral turns, PASS IT ON!",
    "empty": "",
    "blank": " \t\n\u00a0\u2003",
    "emoji": "\U0001f600\U0001f525",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467 hello",
    "right to left": "\u202eso we read \u05e9\u05dc\u05d5\u05dd\u202c today",
    "hebrew": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "control": "spi\x00ral \x1b[31m\x07",
    "only control": "\x00\x01\x1b\u200b\u202e",
    "half a pair": "spiral \ud800 on",
    "half a pair alone": "\udfff",
    "accents stacked": "a" + "\u0301" * 3000,
    "one word": "a" * 1_000_000,
    "megabyte": "I am very happy but not sad! The spiral. " * 25_000,
    "punctuation": "!" * 100_000 + "(" * 1000,
    "template": "${oops} {0} %s <script>alert(1)</script> \\1 (?P<x>",
}


def material(texts: dict[int, str], expression: np.ndarray | None = None, reports: dict[int, Report] | None = None) -> Material:
    n = max(texts, default=-1) + 1 if expression is None else len(expression)
    ids = np.arange(1000, 1000 + n)
    zero = np.zeros(n, dtype=np.int64)
    known = np.full((n, len(AXES)), np.nan) if expression is None else expression
    said = {1000 + i: text for i, text in texts.items()}
    messages = Messages(ids, zero, zero, zero.astype(np.int8), ids, zero - 1, known.astype(np.float32), said)
    return Material(0, messages, reports or {})


def everything() -> Material:
    """All the texts, every fifth message without one but with an expression, and some reports."""
    texts = {i + i // 4: text for i, text in enumerate(TEXTS.values())}
    expression = np.full((max(texts) + 1, len(AXES)), np.nan)
    expression[4::5] = 0.25
    said = {
        7: Report("calm"),
        3: Report("ANGRY "),
        5: Report(None, "failed", "<b>calm</b>"),
        900: Report(None, "missing", "timeout"),
    }
    return material(texts, expression, said)


def check(readings: Readings, read: Material) -> None:
    assert readings.values.dtype == np.float32
    assert readings.ids.dtype == np.int64
    assert readings.ok.dtype == bool
    assert len(set(readings.columns)) == len(readings.columns)
    subjects = read.messages.id.tolist() if readings.subject == "message" else sorted(read.reports)
    assert set(readings.ids.tolist()) <= set(subjects)
    assert np.all(np.diff(readings.ids) > 0)
    assert np.isnan(readings.values[~readings.ok]).all()
    assert np.isfinite(readings.values[readings.ok]).all()
    assert np.abs(readings.values[readings.ok]).max(initial=0) <= 1


def test_it_carries_its_name(instrument: Instrument) -> None:
    assert instrument.name
    assert instrument.read(everything()).instrument == instrument.name


def test_names_are_a_choice(folder: Path) -> None:
    given = [
        Expression(name="x"),
        Lexicon(name="x"),
        PersonaLexicon(name="x"),
        Embedding(name="x"),
        SelfReport(FEELINGS, name="x"),
    ]
    assert {one.name for one in given} == {"x"}


def test_readings_are_whole_or_failed(instrument: Instrument) -> None:
    readings = instrument.read(everything())
    check(readings, everything())
    assert readings.ok.any()


def test_nothing_was_said(instrument: Instrument) -> None:
    for _ in range(2):
        readings = instrument.read(Material(0, Messages.empty(len(AXES))))
        assert readings.values.shape == (0, len(readings.columns))
        assert readings.on(AXES).shape == (0, len(AXES))


def test_columns_stay_the_same_from_step_to_step(instrument: Instrument) -> None:
    empty = instrument.read(Material(0, Messages.empty(len(AXES))))
    assert empty.columns == instrument.read(everything()).columns


def test_the_same_again(instrument: Instrument, request: pytest.FixtureRequest, folder: Path) -> None:
    """Twice by one instrument, and by a fresh one that reads one message at a time."""
    first, second = instrument.read(everything()), instrument.read(everything())
    np.testing.assert_array_equal(first.values, second.values)
    fresh = MAKERS[request.node.callspec.params["instrument"]](folder)
    fresh.begin(AXES, PERSONAS)
    whole = everything()
    parts = [Material(0, whole.messages.take(np.array([row]))) for row in range(len(whole.messages))]
    parts += [Material(0, Messages.empty(len(AXES)), {agent: report}) for agent, report in whole.reports.items()]
    alone = {int(i): row for part in parts for r in [fresh.read(part)] for i, row in zip(r.ids, r.values, strict=True)}
    assert sorted(alone) == first.ids.tolist()
    np.testing.assert_array_equal(first.values, [alone[i] for i in first.ids.tolist()])


def test_what_is_read_is_not_changed(instrument: Instrument) -> None:
    read, untouched = everything(), everything()
    instrument.read(read)
    np.testing.assert_array_equal(read.messages.expression, untouched.messages.expression)
    assert read.messages.text == untouched.messages.text
    assert read.reports == untouched.reports


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
def test_a_row_for_each_text_and_for_nothing_else(instrument: Instrument) -> None:
    read = everything()
    assert instrument.read(read).ids.tolist() == sorted(read.messages.text)


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
@pytest.mark.parametrize("case", ["empty", "blank", "only control", "half a pair alone"])
def test_a_text_without_anything_to_read_fails(instrument: Instrument, case: str) -> None:
    assert instrument.read(material({0: TEXTS[case]})).ok.tolist() == [False]


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
@pytest.mark.parametrize("case", ["plain", "voice", "right to left", "control", "half a pair", "megabyte", "template"])
def test_a_text_with_words_is_read(instrument: Instrument, case: str) -> None:
    assert instrument.read(material({0: TEXTS[case]})).ok.tolist() == [True]


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
def test_unseen_characters_hide_no_word(instrument: Instrument) -> None:
    readings = instrument.read(material({0: "The spi\u200bral\x00 turns", 1: "The spiral turns"}))
    np.testing.assert_array_equal(readings.values[0], readings.values[1])


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
@pytest.mark.parametrize("case", ["one word", "megabyte", "punctuation", "accents stacked"])
def test_a_huge_text_is_read_in_bounded_time(instrument: Instrument, case: str) -> None:
    instrument.read(material({0: "warm"}))
    began = time.process_time()
    check(instrument.read(material({0: TEXTS[case]})), material({0: TEXTS[case]}))
    assert time.process_time() - began < 2
