"""Forms: what was said is read, from however much around it; what was not said is never made up."""

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from contagium.agents.structured import Form, closed_list, fold, writable

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=200)


class Verdict(BaseModel):
    distress: Annotated[int, Field(ge=0, le=10)]
    quote: str


class Inner(BaseModel):
    share: Annotated[float, Field(ge=0, le=1)]
    tags: list[str]


class Nested(BaseModel):
    kind: Literal["one", "Two words"]
    sure: bool
    inner: Inner
    more: list[Inner]
    note: str | None


JUDGE, NESTED = Form(Verdict), Form(Nested)
LABELS = ("calm", "Very sad", "don't know")
FEELING = closed_list("feeling", LABELS)
FORMS = [JUDGE, NESTED, FEELING]
INNER = st.builds(Inner, share=st.floats(0, 1), tags=st.lists(st.text(max_size=4), max_size=2))
VALUES = st.one_of(
    st.tuples(st.just(JUDGE), st.builds(Verdict, distress=st.integers(0, 10), quote=st.text())),
    st.tuples(
        st.just(NESTED),
        st.builds(
            Nested,
            kind=st.sampled_from(["one", "Two words"]),
            sure=st.booleans(),
            inner=INNER,
            more=st.lists(INNER, max_size=2),
            note=st.none() | st.text(),
        ),
    ),
    st.tuples(st.just(FEELING), st.sampled_from([FEELING.parse(label).value for label in LABELS])),
)
PROSE = st.text(st.characters(exclude_characters="[]{}`", exclude_categories=["Cs"]))
HOSTILE = st.one_of(
    st.text(st.characters() | st.characters(categories=["Cs"])),
    st.text('{}[]":,\\`01.eE-+ntrufalsd', max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(LABELS),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["distress", "quote", "feeling", "kind", "sure", "inner", "x"]), inner, max_size=4)
        ),
    ).map(json.dumps),
)


@LAW
@given(HOSTILE, st.sampled_from(FORMS))
def test_no_text_breaks_it_and_every_value_satisfies_the_model(text: str, form: Form[Any]) -> None:
    parsed = form.parse(text)
    assert parsed.raw == writable(text)
    assert (parsed.value is not None) == (parsed.status == "ok") == (parsed.how is not None)
    if parsed.value is not None:
        assert type(parsed.value).model_validate_json(parsed.value.model_dump_json(), strict=True) == parsed.value


@LAW
@given(VALUES, PROSE, PROSE, st.booleans())
def test_what_was_written_is_read_wherever_it_stands(
    case: tuple[Form[Any], BaseModel], left: str, right: str, ascii: bool
) -> None:
    form, value = case
    written = json.dumps(value.model_dump(), ensure_ascii=ascii, indent=1 if ascii else None)
    for text, how in [
        (written, "json"),
        (f" \n{written}\n", "json"),
        (f"{left}\n```json\n{written}\n```{right}", "fenced"),
        (f"```\n{written}```", "fenced"),
        (f"{left} {written} {right}.", "embedded"),
        (f"{written}, again: {written}", "embedded"),
    ]:
        assert (form.parse(text).value, form.parse(text).how) == (value, how)


@LAW
@given(VALUES, st.data())
def test_what_is_cut_off_or_garbled_fails_or_says_the_same(case: tuple[Form[Any], BaseModel], data: st.DataObject) -> None:
    form, value = case
    written = json.dumps(value.model_dump())
    place = data.draw(st.integers(0, len(written) - 1))
    assert form.parse(written[:place]).status == "failed"
    piece = data.draw(st.sampled_from(["{", "}", "[", "]", '"', ",", ":", "\\", " ", "```", "{}", "null"]))
    garbled = form.parse(written[:place] + piece + written[place:])
    try:
        plain = json.loads(written[:place] + piece + written[place:], strict=False)
    except ValueError:
        assert garbled.value in (None, value)
    else:  # still JSON: a space, or a mark inside a text
        assert garbled.value is None or {k: fold(v) if k in ("feeling", "kind") else v for k, v in plain.items()} == {
            k: fold(v) if k in ("feeling", "kind") else v for k, v in garbled.value.model_dump().items()
        }


@LAW
@given(VALUES, VALUES)
def test_two_answers_are_none(one: tuple[Form[Any], BaseModel], other: tuple[Form[Any], BaseModel]) -> None:
    both = f"{json.dumps(one[1].model_dump())} or {json.dumps(other[1].model_dump())}"
    assert one[0].parse(both).value == (one[1] if one[1] == other[1] else None)


@pytest.mark.parametrize(
    "reply",
    [
        '{"distress": 11, "quote": ""}',
        '{"distress": -1, "quote": ""}',
        '{"distress": 7.5, "quote": ""}',
        '{"distress": true, "quote": ""}',
        '{"distress": null, "quote": ""}',
        '{"distress": NaN, "quote": ""}',
        '{"distress": "seven", "quote": ""}',
        '{"distress": "0x7", "quote": ""}',
        '{"distress": " 7", "quote": ""}',
        '{"distress": [7], "quote": ""}',
        '{"distress": 7, "quote": 7}',
        '{"distress": 7}',
        '{"distress": 7, "quote": "", "more": 1}',
        '{"distress": 7, "quote": "", "distress": 7}',
        '{"distress": 7, "quote": "\\ud800"}',
        '[{"distress": 7, "quote": ""}]',
        '[{"distress": 7, "quote": ""}',
        '{"answer": {"distress": 7, "quote": ""}}',
        '{"distress": 7, "quote": {"distress": 7, "quote": ""}',
        '{a brace} {"distress": 7, "quote": ""}',
        "{'distress': 7, 'quote': ''}",
        '"{\\"distress\\": 7, \\"quote\\": \\"\\"}"',
        "7",
        "",
        '{"distress":' + "9" * 5000 + ', "quote": ""}',
        '{"distress": 1e999, "quote": ""}',
        '{"a":' * 100_000,
        "[" * 100_000,
        '{"distress": 7, "quote": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_what_would_have_to_be_guessed_fails(reply: str) -> None:
    parsed = JUDGE.parse(reply)
    assert (parsed.value, parsed.status, parsed.raw, parsed.how) == (None, "failed", reply, None)


@pytest.mark.parametrize("number", ['"7"', "7.0", "7", "7e0"])
def test_a_number_may_be_written_in_several_ways(number: str) -> None:
    assert JUDGE.parse(f'{{"distress": {number}, "quote": "a\nb"}}').value == Verdict(distress=7, quote="a\nb")


@pytest.mark.parametrize("number", ['"Infinity"', '"nan"', "Infinity", "1e999", '"1_0"', "true"])
def test_what_is_no_number_is_taken_for_none(number: str) -> None:
    class Real(BaseModel):
        x: float

    assert Form(Real).parse(f'{{"x": {number}}}').status == "failed"


@pytest.mark.parametrize(
    ("reply", "label", "how"),
    [
        ("calm", "calm", "label"),
        ("  CALM.\n", "calm", "label"),
        ('"very  sad."', "Very sad", "label"),
        ("\u201cVery sad\u201d.", "Very sad", "label"),
        ("Don't know", "don't know", "label"),
        ('{"feeling": "VERY SAD"}', "Very sad", "json"),
        ('I would say {"feeling": "calm"}', "calm", "embedded"),
        ("I feel calm", None, None),
        ("calm or very sad", None, None),
        ("cal", None, None),
        ('{"feeling": ["calm"]}', None, None),
        ('{"mood": "calm"}', None, None),
        ("null", None, None),
    ],
)
def test_a_label_may_stand_alone(reply: str, label: str | None, how: str | None) -> None:
    parsed = FEELING.parse(reply)
    assert (parsed.value and parsed.value.label, parsed.how) == (label, how)


def test_a_label_alone_answers_no_other_form() -> None:
    assert NESTED.parse("one").status == "failed"


def test_lone_surrogates_are_kept_as_something_a_file_can_hold() -> None:
    assert FEELING.parse("so \ud800 sad").raw == "so ? sad"
    assert JUDGE.parse('{"distress": 1, "quote": "\ud800"}').value == Verdict(distress=1, quote="?")


def test_the_schema_is_closed_and_needs_no_references() -> None:
    assert FEELING.schema == {
        "type": "object",
        "properties": {"feeling": {"type": "string", "enum": list(LABELS)}},
        "required": ["feeling"],
        "additionalProperties": False,
    }
    assert closed_list("a", ("only",)).schema["properties"]["a"]["enum"] == ["only"]
    assert JUDGE.schema["properties"]["distress"] == {"type": "integer", "minimum": 0, "maximum": 10}
    inner = {
        "type": "object",
        "properties": {
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["share", "tags"],
        "additionalProperties": False,
    }
    assert NESTED.schema["properties"]["inner"] == inner
    assert NESTED.schema["properties"]["more"]["items"] == inner
    assert "$" not in json.dumps(NESTED.schema)


class Defaulted(BaseModel):
    x: int = 3


def test_a_default_is_never_filled_in() -> None:
    form = Form(Defaulted)
    assert form.schema["required"] == ["x"]
    assert form.parse("{}").status == "failed"
    assert form.parse('{"x": 3}').value == Defaulted()


class Tree(BaseModel):
    below: list["Tree"]


class Free(BaseModel):
    keys: dict[str, int]


@pytest.mark.parametrize(("model", "rule"), [(Tree, "may not hold itself, but Tree"), (Free, "must have named fields")])
def test_a_model_that_no_closed_schema_can_say_is_refused(model: type[BaseModel], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Form(model)


@pytest.mark.parametrize("labels", [(), ("",), ("a", "A "), ("sad", "sad."), ("a", " . ")])
def test_labels_that_cannot_be_told_apart_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="different words"):
        closed_list("x", labels)
