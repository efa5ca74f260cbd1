"""Interview items: how they are asked, and what of an answer is a place on an axis."""

import asyncio
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagium.agents.backends.backend import Token
from contagium.agents.policy import Answer, Policy, Question
from contagium.agents.replies import digits
from contagium.agents.scripted import Scripted
from contagium.envs.message import AFFECT, Axes, Messages
from contagium.envs.rng import Streams
from contagium.sim.interview import Interviews
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.interview import Interview, Item

CONF = Path(__file__).resolve().parents[2] / "conf" / "observer"
SCALE = Item(question="How well, 1 to 9?", form="scale", axis="valence")
GRID = Item(question="Where on the board?", form="grid")
LIST = Item(question="Which word?", form="list", positions={"calm": (0.5, -0.6, 0.3), "On Edge": (-0.5, 0.6, -0.3)})


def said(text: str, **how: object) -> Answer:
    return Answer(text, "ok", text, **how)


def read(items: dict[str, Item], answers: dict[str, dict[int, Answer]]) -> list[Readings]:
    instrument = Interview()
    instrument.begin(Briefing(Axes(), (), items=items))
    return asyncio.run(instrument.read(Material(4, Messages.empty(3), answers=answers)))


@pytest.mark.parametrize(
    ("text", "n"),
    [
        *(("7", 7), ("7/9", 7), ("7 / 9.", 7), ("7 out of 9", 7), ("I'd say 7.", 7), (" +3\n", 3), ("**9**", 9), ("7!", 7)),
        *(("On a scale from 1 to 9: 4", 4), ("1-9? 2", 2), ('{"answer": 7}', 7), ("7, yes, 7", 7), ("9", 9), ("1", 1)),
    ],
)
def test_a_number_is_found_among_words(text: str, n: int) -> None:
    assert SCALE.read(said(text)) == ((n - 5) / 4,)


@pytest.mark.parametrize(
    "text", ["7 or 8", "10", "0", "-7", "7.5", "7-8", "10,000", "", "fine", "1 to 9", "9/10", "seven", "x7", "\u0667", "7" * 5000]
)
def test_what_is_not_one_number_from_1_to_9_has_no_place(text: str) -> None:
    assert SCALE.read(said(text)) in ("not one number", "not from 1 to 9")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("4,7", (-0.25, 0.5)),
        ("(9, 1)", (1, -1)),
        ("Column 4, row 7.", (-0.25, 0.5)),
        ("row 7 and column 4", (-0.25, 0.5)),
        ('{"column": 4, "row": 7}', (-0.25, 0.5)),
        ("5 5", (0, 0)),
        ("4.7", "not two numbers"),
        ("4, 7, 8", "not two numbers"),
        ("4, 12", "not from 1 to 9"),
        ("0,3", "not from 1 to 9"),
        ("row 7", "not two numbers"),
        ("top left", "not two numbers"),
    ],
)
def test_a_cell_of_the_grid_is_valence_and_arousal(text: str, place: tuple[float, float] | str) -> None:
    assert GRID.columns == ("valence", "arousal")
    assert GRID.read(said(text)) == place


def test_the_ends_of_a_scale_are_what_1_and_9_stand_for() -> None:
    turned = Item(question="?", form="scale", axis="dominance", ends=(1, -1))
    assert [turned.read(said(n)) for n in "159"] == [(1,), (0,), (-1,)]
    distress = Item(question="?", form="scale", axis="distress", ends=(0, 10))
    assert [distress.read(said(n)) for n in "159"] == [(0,), (5,), (10,)]


def test_a_label_has_the_place_the_list_gives_it() -> None:
    assert LIST.columns == AFFECT
    assert LIST.read(said(" on  edge.")) == (-0.5, 0.6, -0.3)
    assert LIST.read(said("calm or on edge")) == "not on the list"
    named = Item(question="?", form="list", positions={"test": {"suspicion": 1}, "real": {"suspicion": 0}})
    assert (named.columns, named.read(said("real"))) == (("suspicion",), (0,))


def test_the_expected_digit_weighs_all_by_their_probability() -> None:
    item = Item(question="?", form="scale", axis="valence", expected=True)
    assert item.ask("pleasure").digits
    assert not SCALE.ask("pleasure").digits
    tokens = (
        Token("I'd", -1.0),
        Token(" say", -1.0),
        Token(" 7", log(0.5), ((" 7", log(0.5)), ("9", log(0.25)), (" ten", log(0.1)))),
    )
    found = digits(tokens)
    assert found is not None
    assert {digit: round(p, 9) for digit, p in found.items() if p} == {"7": 0.5, "9": 0.25}
    expected = (7 * 0.5 + 9 * 0.25) / 0.75
    assert item.read(said("I'd say 7.", digits=found)) == pytest.approx(((expected - 5) / 4,))


def test_probabilities_that_say_nothing_of_the_answer_fail_it() -> None:
    item = Item(question="?", form="scale", axis="valence", expected=True)
    sure = dict.fromkeys("123456789", 0.1)
    assert item.read(said("7")) == "no log-probabilities of the digits"
    assert item.read(said("from 1 to 9, 7", digits=sure)) == "no log-probabilities of the digits"  # those of the 1
    assert item.read(said("7", digits={"7": 0.4})) == "other words are likelier than the digits"
    assert item.read(said("7", digits={"7": float("nan")})) == "other words are likelier than the digits"
    assert item.read(said("7 or 8", digits=sure)) == "not one number"
    assert item.read(said("7", digits=sure)) == pytest.approx((0,))


def test_digits_are_looked_for_at_the_first_place_that_has_one() -> None:
    assert digits(None) is None
    assert digits(()) is None
    assert digits((Token("No", -0.1, (("7", -0.2),)),)) is None
    found = digits((Token("3", 5.0, ((" 3", log(0.25)),)), Token("4", -0.1)))
    assert found is not None
    assert found["3"] == pytest.approx(exp(0) + 0.25)  # a probability is never above 1
    assert found["4"] == 0


def test_rows_of_each_item_stand_on_a_channel_of_their_own() -> None:
    items = {"word": LIST, "wish": Item(question="What do you wish for?"), "grid": GRID, "late": SCALE}
    word = {5: said("calm"), 2: Answer(None, "missing", "timeout"), 3: Answer(None, "failed", "<b>I will not</b>")}
    found = read(items, {"word": word, "wish": {1: said("7")}, "grid": {1: said("5,9")}})
    assert [(one.channel, one.columns, one.ids.tolist()) for one in found] == [
        ("interview:grid", ("valence", "arousal"), [1]),
        ("interview:word", AFFECT, [2, 3, 5]),
    ]
    assert found[0].values.tolist() == [[0, 1]]
    assert found[1].ok.tolist() == [False, False, True]
    assert found[1].reasons == {0: "timeout", 1: "no answer to the question"}
    np.testing.assert_allclose(found[1].values[2], (0.5, -0.6, 0.3), rtol=1e-6)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.text(st.characters() | st.characters(categories=["Cs"])) | st.from_regex(r"[0-9 /,.\-of]{0,20}"))
def test_any_answer_has_a_place_on_the_axes_or_a_reason(text: str) -> None:
    for item in (SCALE, GRID, LIST):
        place = item.read(said(text))
        assert isinstance(place, str) or (len(place) == len(item.columns) and all(-1 <= x <= 1 for x in place))


def test_an_item_is_asked_in_its_words_and_answered_at_a_fitting_length() -> None:
    assert LIST.ask("word") == Question("Which word?", ("calm", "On Edge"), "word", 32)
    scale, grid = SCALE.ask("s"), GRID.ask("g")
    assert (scale.tokens, grid.tokens) == (32, 32)
    assert scale.schema is not None
    assert scale.schema["properties"]["answer"]["enum"] == list(range(1, 10))
    assert grid.schema is not None
    assert list(grid.schema["properties"]) == ["column", "row"]
    assert Item(question="Why?", tokens=200).ask("why") == Question("Why?", (), "why", 200)
    assert Item(question="Well?", options=("yes", "no")).ask("well").options == ("yes", "no")
    assert [item.open for item in (Item(question="?"), Item(question="?", options=("a", "b")), LIST, GRID, SCALE)] == [True] + [
        False
    ] * 4


def test_items_are_asked_from_their_start_on_every_so_many_steps() -> None:
    asked: list[tuple[int, str]] = []

    class Asked(Scripted):
        async def ask(self, agents: np.ndarray, question: Question, step: int, rng: Streams) -> dict[int, Answer]:
            asked.append((step, question.name))
            return {int(agent): said("7") for agent in agents[::-1]}

    policy: Policy = Asked()
    interviews = Interviews({"a": Item(question="?", every=3), "b": Item(question="?", every=4, start=2)}, Streams(1))
    for step in range(7):
        asyncio.run(interviews.ask(policy, np.array([1, 2]), step))
    assert asked == [(0, "a"), (2, "b"), (3, "a"), (6, "a"), (6, "b")]
    assert [(agent, name) for agent, name, _ in interviews.take(6)] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert interviews.take(6) == []


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"question": " "}, "needs a text"),
        ({"every": 0}, "greater than or equal to 1"),
        ({"options": ("a", "A")}, "different words"),
        ({"form": "scale"}, "axis belongs to form scale"),
        ({"axis": "valence"}, "axis belongs to form scale"),
        ({"form": "list"}, "positions belong to form list"),
        ({"positions": {"calm": (0, 0, 0)}}, "positions belong to form list"),
        ({"form": "list", "positions": {"calm": (0, 0)}}, "positions.calm"),
        ({"form": "list", "positions": {"calm": (0, 0, 2)}}, r"dominance lies in \[-1, 1\], got 2"),
        ({"form": "list", "positions": {"calm": {"a": 1}, "sad": {"b": 1}}}, "same axes"),
        ({"form": "list", "positions": {"calm": {"a": 1}, "Calm": {"a": 0}}}, "different words"),
        ({"form": "grid", "options": ("a", "b")}, "options stand alone"),
        ({"form": "scale", "axis": "valence", "ends": (0, 9)}, r"valence lies in \[-1, 1\], got 9"),
        ({"form": "scale", "axis": "a", "ends": (1, 1)}, "ends must differ"),
        ({"form": "scale", "axis": "a", "ends": (0, float("inf"))}, "finite"),
        ({"expected": True}, "expected belongs to form scale"),
        ({"frm": "grid"}, "frm"),
    ],
)
def test_an_item_that_cannot_be_asked_or_read_is_refused(wrong: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Item.model_validate({"question": "How?"} | wrong)


def test_the_battery_that_ships_covers_every_form_and_axis_and_survives_a_file() -> None:
    feelings = yaml.safe_load((CONF / "default.yaml").read_text(encoding="utf-8"))["feelings"]
    given = yaml.safe_load((CONF / "interview.yaml").read_text(encoding="utf-8"))["interviews"]
    given["feeling"]["positions"] = feelings
    items = {name: Item.model_validate(item) for name, item in given.items()}
    assert {item.form for item in items.values()} == {"open", "list", "grid", "scale"}
    assert {axis for item in items.values() for axis in item.columns} == set(AFFECT)
    assert items["control"].read(said("9")) == (-1,)
    assert {name: Item.model_validate(item.model_dump(mode="json")) for name, item in items.items()} == items


def test_provenance_tells_wordings_apart() -> None:
    def of(item: Item) -> object:
        instrument = Interview()
        instrument.begin(Briefing(Axes(), (), items={"x": item, "free": Item(question="?")}))
        return instrument.provenance

    assert of(SCALE) == of(Item(question="How well, 1 to 9?", form="scale", axis="valence"))
    assert of(SCALE) != of(Item(question="How well, 1 to 9", form="scale", axis="valence"))
