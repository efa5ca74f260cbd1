"""Every instrument keeps the promises of the seam, whatever it is given to read."""

import asyncio
import json
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contagium.agents.backends.backend import Completion, Request
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer
from contagium.envs.message import Axes, Messages
from contagium.envs.rng import Streams
from contagium.envs.world import Report
from contagium.sim.observer.instrument import Briefing, Instrument, Material, Readings
from contagium.sim.observer.instruments.choice import Choice
from contagium.sim.observer.instruments.direction import Direction
from contagium.sim.observer.instruments.embedding import Embedding
from contagium.sim.observer.instruments.emotion_lexicon import EmotionLexicon
from contagium.sim.observer.instruments.expression import Expression
from contagium.sim.observer.instruments.interview import Interview, Item
from contagium.sim.observer.instruments.judge import Judge
from contagium.sim.observer.instruments.lexicon import Lexicon
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.observer.instruments.self_report import SelfReport
from contagium.sim.observer.instruments.signs import Signs
from contagium.sim.observer.instruments.surprise import Surprise
from contagium.sim.observer.judging.rubric import Rubric

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
    shapes: dict[str, tuple[int, ...]] = {
        f"embeddings.{kind}_embeddings.weight": (64, width) for kind in ("word", "position", "token_type")
    }
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


ITEMS = {
    "mood": Item(question="How do you feel?", form="list", positions={"calm": {"valence": 0.5}, "angry": {"valence": -0.6}}),
    "wish": Item(question="What do you wish for?"),
}
RUBRIC = Rubric(
    preamble="Rate.",
    sections={"distress": {"task": "Distress?", "questions": {"distress": "how much"}, "highest": 10}},
    answer="{shape}",
    reminder="{mark}",
)


class Counting:
    """A model that judges by the number of words, in the form it is asked for."""

    model, prompt_form, concurrency, timeout, seconds_per_call = "counting", "turns", 8, None, 0.0

    async def complete(self, request: Request) -> Completion:
        text, _, mark = request.messages[-1].content.rpartition("\n")
        said = {"mark": mark, "distress": {"distress": len(text.split()) % 11}}
        return Completion(json.dumps(said), "stop", self.model, 1, 1, 0.0)


BRIEFING = Briefing(
    AXES, PERSONAS, backends={"": Counting()}, choices=("leave", "take 1", "take 2"), items=ITEMS, streams=Streams(3)
)

Make = Callable[[Path], Instrument]
MAKERS: dict[str, Make] = {
    "expression": lambda folder: Expression(),
    "lexicon": lambda folder: Lexicon(),
    "persona_lexicon": lambda folder: PersonaLexicon(),
    "emotion_lexicon": lambda folder: EmotionLexicon(),
    "signs": lambda folder: Signs(),
    "embedding": lambda folder: Embedding(folder=folder),
    "direction": lambda folder: Direction(folder=folder, kept=folder),
    "surprise": lambda folder: Surprise(),
    "self_report": lambda folder: SelfReport(FEELINGS),
    "interview": lambda folder: Interview(),
    "choice": lambda folder: Choice({"leave": {"cooperation": 1.0}, "take 2": {"cooperation": -1.0}}),
    "judge": lambda folder: Judge(RUBRIC, ("distress",), channels=("message", "thought", "interview")),
}
"""An instrument more is a line more."""
READS_TEXT = ("lexicon", "persona_lexicon", "emotion_lexicon", "signs", "embedding", "direction", "judge")
"""Those that read every text with words in it, however short."""
LARGEST = {"distress": 10.0, "surprise": np.inf, "compression": np.inf}
"""Largest value of a column that is not within −1 and 1."""


def begun(name: str, folder: Path) -> Instrument:
    made = MAKERS[name](folder)
    made.begin(BRIEFING)
    return made


def read(instrument: Instrument, material: Material) -> list[Readings]:
    return asyncio.run(instrument.read(material))


@pytest.fixture(params=MAKERS)
def instrument(request: pytest.FixtureRequest, folder: Path) -> Instrument:
    return begun(request.param, folder)


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


def material(texts: dict[int, str], expression: np.ndarray | None = None) -> Material:
    n = max(texts, default=-1) + 1 if expression is None else len(expression)
    ids = np.arange(1000, 1000 + n)
    zero = np.zeros(n, dtype=np.int64)
    known = np.full((n, len(AXES)), np.nan) if expression is None else expression
    said = {1000 + i: text for i, text in texts.items()}
    return Material(0, Messages(ids, zero, zero, zero.astype(np.int8), ids, zero - 1, known.astype(np.float32), said))


def everything() -> Material:
    """All the texts, every fifth message without one but with an expression; and something on every other channel."""
    texts = {i + i // 4: text for i, text in enumerate(TEXTS.values())}
    expression = np.full((max(texts) + 1, len(AXES)), np.nan)
    expression[4::5] = 0.25
    reports = {
        7: Report("calm"),
        3: Report("ANGRY "),
        5: Report(None, "failed", "<b>calm</b>"),
        900: Report(None, "missing", "timeout"),
    }
    thoughts = {8: TEXTS["voice"], 2: TEXTS["plain"], 4: ""}
    answers = {
        "mood": {6: Answer("calm", "ok", "calm"), 1: Answer(None, "failed", "<b>")},
        "wish": {6: Answer("That they pass it on.", "ok", ""), 1: Answer(None, "missing", "timeout")},
    }
    return Material(
        0,
        material(texts, expression).messages,
        reports,
        thoughts,
        answers,
        open_items=frozenset({"wish"}),
        choices={3: 0, 0: 2, 5: -1, 9: 1},
        logprobs={0: (-0.5, -2.0), 1: ()},
    )


def subjects(channel: str, read: Material) -> set[int]:
    """Who or what may have a row on a channel."""
    known = {"message": read.messages.id.tolist(), "thought": read.thoughts, "report": read.reports, "act": read.choices}
    return set(known[channel] if channel in known else read.answers[channel.removeprefix("interview:")])


def check(readings: Readings, read: Material) -> None:
    assert readings.values.dtype == np.float32
    assert readings.ids.dtype == np.int64
    assert readings.ok.dtype == bool
    assert len(set(readings.columns)) == len(readings.columns) > 0
    assert set(readings.ids.tolist()) <= subjects(readings.channel, read)
    assert np.all(np.diff(readings.ids) > 0)
    assert np.isnan(readings.values[~readings.ok]).all()
    assert np.isfinite(readings.values[readings.ok]).all()
    largest = [LARGEST.get(column, 1.0) for column in readings.columns]
    assert np.all(np.abs(readings.values[readings.ok]) <= largest)
    assert sorted(readings.reasons) == np.flatnonzero(~readings.ok).tolist()
    assert all(reason and reason.isprintable() and len(reason) < 80 for reason in readings.reasons.values())
    assert all(row < len(readings.ids) and column in readings.columns for row, column in readings.quotes)


def rows(found: list[Readings]) -> dict[tuple[str, int, str], float]:
    """Channel, id, column → value, NaN where it failed; no cell may be there twice."""
    cells = [
        ((one.channel, int(ident), column), float(value))
        for one in found
        for ident, row in zip(one.ids, one.values, strict=True)
        for column, value in zip(one.columns, row, strict=True)
    ]
    assert len(dict(cells)) == len(cells)
    return dict(cells)


def alone(whole: Material) -> list[Material]:
    """The same material, one subject at a time."""
    nothing = Messages.empty(len(AXES))
    parts = [whole.messages.take(np.array([row])) for row in range(len(whole.messages))]
    some = [Material(0, part, logprobs={a: p for a, p in whole.logprobs.items() if a in part.sender}) for part in parts]
    some += [Material(0, nothing, reports={agent: report}) for agent, report in whole.reports.items()]
    some += [Material(0, nothing, thoughts={agent: thought}) for agent, thought in whole.thoughts.items()]
    some += [Material(0, nothing, choices={agent: choice}) for agent, choice in whole.choices.items()]
    for item, answers in whole.answers.items():
        some += [Material(0, nothing, answers={item: {a: one}}, open_items=whole.open_items) for a, one in answers.items()]
    return some


def test_it_carries_its_name(instrument: Instrument) -> None:
    assert instrument.name
    assert {one.instrument for one in read(instrument, everything())} == {instrument.name}


def test_names_are_a_choice(folder: Path) -> None:
    given: list[Instrument] = [
        Expression(name="x"),
        Lexicon(name="x"),
        PersonaLexicon(name="x"),
        EmotionLexicon(name="x"),
        Signs(name="x"),
    ]
    given += [Embedding(name="x"), Surprise(name="x"), SelfReport(FEELINGS, name="x"), Interview(name="x"), Choice(name="x")]
    assert {one.name for one in given} == {"x"}


def test_it_says_what_its_numbers_come_from(instrument: Instrument, request: pytest.FixtureRequest, folder: Path) -> None:
    told = instrument.provenance
    assert told
    assert json.loads(json.dumps(told)) == told == begun(request.node.callspec.params["instrument"], folder).provenance


def test_readings_are_whole_or_failed(instrument: Instrument) -> None:
    found = read(instrument, everything())
    for one in found:
        check(one, everything())
    assert any(one.ok.any() for one in found)


def test_nothing_was_said(instrument: Instrument) -> None:
    for _ in range(2):
        assert not rows(read(instrument, Material(0, Messages.empty(len(AXES)))))


def test_the_same_again(instrument: Instrument, request: pytest.FixtureRequest, folder: Path) -> None:
    """Twice by one instrument, and by a fresh one that reads one subject at a time."""
    first = rows(read(instrument, everything()))
    fresh = begun(request.node.callspec.params["instrument"], folder)
    apart = rows([one for part in alone(everything()) for one in read(fresh, part)])
    for again in (rows(read(instrument, everything())), apart):
        assert sorted(again) == sorted(first)
        np.testing.assert_array_equal([again[cell] for cell in first], list(first.values()))


def test_what_is_read_is_not_changed(instrument: Instrument) -> None:
    whole, untouched = everything(), everything()
    read(instrument, whole)
    np.testing.assert_array_equal(whole.messages.expression, untouched.messages.expression)
    assert whole.messages.text == untouched.messages.text
    for channel in ("reports", "thoughts", "answers", "choices", "logprobs"):
        assert getattr(whole, channel) == getattr(untouched, channel)


def test_steps_read_at_the_same_time_do_not_mix(instrument: Instrument) -> None:
    async def both() -> tuple[list[Readings], list[Readings]]:
        return await asyncio.gather(instrument.read(everything()), instrument.read(material({0: TEXTS["voice"]})))

    first, _ = asyncio.run(both())
    for one in first:
        check(one, everything())


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
def test_a_row_for_each_text_on_every_channel_and_for_nothing_else(instrument: Instrument) -> None:
    whole = everything()
    found = {one.channel: one.ids.tolist() for one in read(instrument, whole)}
    assert found == {"message": sorted(whole.messages.text), "thought": [2, 4, 8], "interview:wish": [6]}


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
@pytest.mark.parametrize("case", ["empty", "blank", "only control", "half a pair alone"])
def test_a_text_without_anything_to_read_fails(instrument: Instrument, case: str) -> None:
    (readings,) = read(instrument, material({0: TEXTS[case]}))
    assert readings.ok.tolist() == [False]
    assert readings.reasons == {0: "nothing to be seen in it"}


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
@pytest.mark.parametrize("case", ["plain", "voice", "right to left", "control", "half a pair", "megabyte", "template"])
def test_a_text_with_words_is_read(instrument: Instrument, case: str) -> None:
    assert [one.ok.tolist() for one in read(instrument, material({0: TEXTS[case]}))] == [[True]]


@pytest.mark.parametrize("instrument", ["lexicon", "persona_lexicon", "emotion_lexicon", "embedding"], indirect=True)
def test_another_script_is_a_failed_reading(instrument: Instrument) -> None:
    (readings,) = read(instrument, material({0: TEXTS["hebrew"]}))
    assert readings.ok.tolist() == [False]


@pytest.mark.parametrize("instrument", READS_TEXT, indirect=True)
def test_unseen_characters_hide_no_word(instrument: Instrument) -> None:
    (readings,) = read(instrument, material({0: "The spi\u200bral\x00 turns", 1: "The spiral turns"}))
    np.testing.assert_array_equal(readings.values[0], readings.values[1])


@pytest.mark.parametrize("case", ["one word", "megabyte", "punctuation", "accents stacked"])
def test_a_huge_text_is_read_in_bounded_time(instrument: Instrument, case: str) -> None:
    read(instrument, material({0: "warm"}))
    huge = material({0: TEXTS[case]})
    began = time.process_time()
    found = read(instrument, huge)
    assert time.process_time() - began < 2
    for one in found:
        check(one, huge)


def test_it_says_whether_it_reads_messages(instrument: Instrument) -> None:
    n = 3
    stated = np.full((n, len(AXES)), 0.25, dtype=np.float32)
    ids, zero = np.arange(n), np.zeros(n, dtype=np.int64)
    text = dict.fromkeys(range(n), "The quick brown fox is glad to jump over the lazy dog, again and again, all day.")
    said = Messages(ids, zero, zero, zero.astype(np.int8), ids, np.full(n, -1), stated, text)
    found = read(instrument, Material(0, said))
    assert instrument.public == any(one.subject == "message" and len(one.ids) for one in found)
