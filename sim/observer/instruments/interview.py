"""Interviews: what an agent answers to whoever studies it, out of band, as places on named axes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from contagium.agents.policy import Answer, Question
from contagium.agents.structured import Form, closed_list, fold
from contagium.envs.message import AFFECT
from contagium.sim.observer.instrument import INTERVIEW, Briefing, Material, Readings
from contagium.sim.observer.texts import fingerprint, legible

LOW, MIDDLE, HIGH = 1, 5, 9
"""Ends and middle of every numeric scale and of both sides of the grid."""
SHORT = 32
"""Most tokens of an answer in numbers."""
LIKELY = 0.5
"""Probability that the digits must hold together for their expectation to stand for an answer."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?[0-9]+(?:\.[0-9]+)?")
_OUT_OF = re.compile(r"\s*(?:/|\bout of\b|\bof\b)\s*9\b")
_SPAN = re.compile(r"\b1\s*(?:-|\N{EN DASH}|\bto\b)\s*9\b")
_COLUMN, _ROW = (re.compile(rf"\b{side}\b[^0-9]{{0,12}}([0-9]+)", re.IGNORECASE) for side in ("column", "row"))


Digit = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9]


class _Scale(BaseModel):
    answer: Digit


class _Grid(BaseModel):
    column: Digit
    row: Digit


_SCHEMAS = {"scale": Form(_Scale).schema, "grid": Form(_Grid).schema}
"""What a server is asked to keep an answer in numbers to; one that does not is read all the same, if it says but one thing."""


def _named(place: object) -> object:
    """Three numbers are a place on valence, arousal and dominance."""
    return dict(zip(AFFECT, place, strict=True)) if isinstance(place, list | tuple) and len(place) == len(AFFECT) else place


Place = Annotated[dict[str, float], BeforeValidator(_named)]
"""Axis → value; three numbers stand for valence, arousal and dominance."""


class Item(BaseModel):
    """A question put to every speaking agent out of band: the answer is logged and no agent ever knows of it.

    question: in words, those of the ends of a scale included. start, every: the first step it is asked at, and steps from one
    time to the next. tokens: most of an answer in free words. options: a closed list of answers that stand for no numbers.

    form: how an answer is read as numbers. "open": it is not; its words are for whatever reads words. "list": a label of
    `positions`, each with its place on the same named axes. "grid": a cell of nine columns (valence) and nine rows (arousal),
    "column,row" (Russell, Weiss & Mendelsohn 1989). "scale": a number from 1 to 9 on `axis`; `ends`: what 1 and 9 stand for,
    the second lower than the first where a scale runs the other way. expected: on a scale, not the digit that was drawn but the
    mean of the digits, each weighted by its probability there; for backends that give log-probabilities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    question: Annotated[str, Field(min_length=1)]
    every: Annotated[int, Field(ge=1)] = 1
    start: Annotated[int, Field(ge=0)] = 0
    tokens: Annotated[int, Field(ge=1)] = 64
    options: tuple[str, ...] = ()
    form: Literal["open", "list", "grid", "scale"] = "open"
    positions: dict[str, Place] = Field(default_factory=dict)
    axis: Annotated[str, Field(min_length=1)] | None = None
    ends: tuple[float, float] = (-1.0, 1.0)
    expected: bool = False

    @model_validator(mode="after")
    def _fits_its_form(self) -> Item:
        rules = (
            ("positions", "list", "positions belong to form list, which needs them"),
            ("axis", "scale", "axis belongs to form scale, which needs one"),
        )
        for key, form, rule in rules:
            there = bool(getattr(self, key))
            if there != (self.form == form):
                raise ValueError(f"{rule}; got form {self.form} with{'' if there else 'out'} {key}")
        if self.expected and self.form != "scale":
            raise ValueError(f"expected belongs to form scale, got form {self.form}")
        if self.options and self.form != "open":
            raise ValueError(f"options stand alone, not with form {self.form}: of a list, the positions are the options")
        if len({frozenset(place) for place in self.positions.values()}) > 1:
            raise ValueError("positions must all name the same axes")
        if self.ends[0] == self.ends[1]:
            raise ValueError(f"ends must differ, got {list(self.ends)}")
        for axis, value in self._values():
            if axis in AFFECT and not -1 <= value <= 1:
                raise ValueError(f"{axis} lies in [-1, 1], got {value:g}")
        self.ask("item")
        if self._labels:
            closed_list("answer", self._labels)
        return self

    def _values(self) -> list[tuple[str, float]]:
        ends = [(self.axis, end) for end in self.ends] if self.axis else []
        return ends + [known for place in self.positions.values() for known in place.items()]

    @property
    def _labels(self) -> tuple[str, ...]:
        return self.options or tuple(self.positions)

    @property
    def columns(self) -> tuple[str, ...]:
        """The axes on which answers have a place."""
        if self.form == "grid":
            return AFFECT[:2]
        if self.form == "scale":
            return (str(self.axis),)
        return tuple(next(iter(self.positions.values()), ()))

    @property
    def open(self) -> bool:
        """Whether it is answered in free words."""
        return self.form == "open" and not self.options

    def due(self, step: int) -> bool:
        """Whether it is asked at `step`."""
        return step >= self.start and (step - self.start) % self.every == 0

    def ask(self, name: str) -> Question:
        """The question as agents get it, under the name it has in the scenario."""
        most, schema = self.tokens if self.open else SHORT, _SCHEMAS.get(self.form)
        return Question(self.question, self._labels, name, most, schema, self.expected)

    def read(self, answer: Answer) -> tuple[float, ...] | str:
        """The place of an answer on `columns`, or in a few words why it has none. Never raises, whatever was answered."""
        if answer.text is None:
            return answer.raw if answer.status == "missing" else "no answer to the question"
        readers: Mapping[str, Callable[[Answer, str], tuple[float, ...] | str]]
        readers = {"list": self._place, "grid": self._cell, "scale": self._digit}
        return readers[self.form](answer, legible(answer.text))

    def _place(self, answer: Answer, text: str) -> tuple[float, ...] | str:
        for label, place in self.positions.items():
            if fold(label) == fold(text):
                return tuple(place[axis] for axis in self.columns)
        return "not on the list"

    def _cell(self, answer: Answer, text: str) -> tuple[float, ...] | str:
        column, row = _COLUMN.search(text), _ROW.search(text)
        numbers = [column[1], row[1]] if column and row else _NUMBER.findall(text)
        if len(numbers) != 2:
            return "not two numbers"
        cell = [_whole(number) for number in numbers]
        return "not from 1 to 9" if None in cell else tuple((n - MIDDLE) / (HIGH - MIDDLE) for n in cell if n is not None)

    def _digit(self, answer: Answer, text: str) -> tuple[float, ...] | str:
        numbers = set(_NUMBER.findall(_OUT_OF.sub("", _SPAN.sub("", text))))
        if len(numbers) != 1:
            return "not one number"
        n: float | None = _whole(numbers.pop())
        if n is None:
            return "not from 1 to 9"
        if self.expected:
            first = re.search("[0-9]", text)
            if answer.digits is None or first is None or first[0] != f"{n}":
                return "no log-probabilities of the digits"
            total = sum(answer.digits.values())
            if not isfinite(total) or total < LIKELY:
                return "other words are likelier than the digits"
            n = sum(int(digit) * p for digit, p in answer.digits.items()) / total
        low, high = self.ends
        return (low + (high - low) * (n - LOW) / (HIGH - LOW),)


class Interview:
    """Rows for the agents asked, on the channel `interview:<item>` of each item with a form; columns are the item's axes.

    An answer that is missing, was refused or cannot be read as the form says is a failed reading.
    """

    public = False

    def __init__(self, name: str = "interview") -> None:
        self.name = name
        self._items: dict[str, Item] = {}

    def begin(self, briefing: Briefing) -> None:
        self._items = {name: item for name, item in sorted(briefing.items.items()) if item.form != "open"}

    async def read(self, material: Material) -> list[Readings]:
        return [self._read(name, item, material.answers[name]) for name, item in self._items.items() if name in material.answers]

    @property
    def provenance(self) -> dict[str, Any]:
        return {"items": {name: fingerprint(item.model_dump_json()) for name, item in self._items.items()}}

    def _read(self, name: str, item: Item, answers: Mapping[int, Answer]) -> Readings:
        agents = sorted(answers)
        found = [item.read(answers[agent]) for agent in agents]
        nan = (np.nan,) * len(item.columns)
        rows = [nan if isinstance(one, str) else one for one in found]
        values = np.array(rows, dtype=np.float32).reshape(-1, len(item.columns))
        reasons = {row: one for row, one in enumerate(found) if isinstance(one, str)}
        ok = np.array([not isinstance(one, str) for one in found], dtype=bool)
        channel, ids = f"{INTERVIEW}:{name}", np.array(agents, dtype=np.int64)
        return Readings(self.name, channel, ids, item.columns, values, ok, reasons)


def _whole(number: str) -> int | None:
    """A whole number from 1 to 9, or None."""
    return int(number) if number.removeprefix("+") in set("123456789") else None
