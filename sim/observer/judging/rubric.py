"""What a judge is asked, as data, and how its answer is read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from contagium.agents.persona import Persona
from contagium.agents.structured import Form
from contagium.sim.observer.judging.fence import bears_out
from contagium.sim.observer.judging.panel import Verdict
from contagium.sim.observer.texts import legible

NO_JSON, NOT_IN_FORM, CUT_OFF = "no JSON", "not in the form", "cut off"
NO_QUOTE, STRANGE_QUOTE, NO_MARK = "no quote", "quote not in the text", "mark not repeated"
PERSONAS = "personas"

Words = Annotated[str, Field(min_length=1)]
Score = Annotated[int, Field(ge=1)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Section(_Data):
    """Questions of one kind, each answered by a whole number from 0 to `highest`.

    task: what is asked of all of them, with the meaning of the numbers. questions: name → wording. unit: what a number is divided
    by. prefix: before a name in its column. quotes: whether a number above 0 must be borne out by words of the text.
    """

    task: Words
    questions: Annotated[dict[Words, str], Field(min_length=1)]
    highest: Score
    unit: Annotated[float, Field(gt=0)] = 1.0
    prefix: str = ""
    quotes: bool = False


class Voices(_Data):
    """Questions made from the personas of a run, one for each and for each of its facets, read in [0, 1].

    voice: wording, with {name} and {text} of the persona. facet: wording, with {name}, {facet} and {marks}, some of its words.
    """

    task: Words
    highest: Score = 100
    voice: Words
    facet: Words

    def section(self, personas: Sequence[Persona]) -> Section:
        questions = {}
        for persona in personas:
            whole = persona.whole  # arms in which less of it is told, or otherwise, are judged alike
            said = whole.text or " ".join(whole.examples[:2])
            questions[persona.name] = _filled(self.voice, name=persona.name, text=said)
            for facet, phrases in persona.facets.items():
                marks = ", ".join(phrase.rstrip("*") for phrase in phrases[:6])
                questions[f"{persona.name}.{facet}"] = _filled(self.facet, name=persona.name, facet=facet, marks=marks)
        return Section(task=self.task, questions=questions, highest=self.highest, unit=self.highest)


class Rubric(_Data):
    """All that a judge is told.

    preamble: who it is and what it is given. sections: what is asked, by name. personas: the section made from the personas of
    the run. answer: how to answer; {shape} stands for the form. reminder: what stands after the text; {mark} for its mark.
    """

    preamble: Words
    sections: dict[str, Section]
    personas: Voices | None = None
    answer: Words
    reminder: Words

    @model_validator(mode="after")
    def _whole(self) -> Rubric:
        for field, place in (("answer", "{shape}"), ("reminder", "{mark}")):
            if place not in getattr(self, field):
                raise ValueError(f"{field} must say where {place} stands, got {getattr(self, field)!r}")
        if taken := {PERSONAS, "mark"} & set(self.sections):
            raise ValueError(f"no section of a rubric may be called {taken.pop()}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.sections, *([PERSONAS] if self.personas else []))

    def part(self, name: str, personas: Sequence[Persona]) -> Part:
        """A section, ready to be asked. ValueError: the section of personas, where there are none."""
        if name != PERSONAS:
            return Part(name, self.sections[name])
        if self.personas is None or not personas:
            raise ValueError("the rubric's section of personas needs a persona")
        return Part(name, self.personas.section(personas))


class Part:
    """A section with its form. columns: what its answers are called, in the order of its questions."""

    def __init__(self, name: str, section: Section) -> None:
        self.name, self._section = name, section
        self.columns = tuple(f"{section.prefix}{question}" for question in section.questions)
        score: Any = Annotated[int, Field(ge=0, le=section.highest)]
        if section.quotes:  # the words first, the number after: it is to follow from them
            score = create_model("Quoted", quote=(str, ...), score=(score, ...))
        fields: dict[str, Any] = {f"q{k}": (score, Field(alias=name)) for k, name in enumerate(section.questions)}
        self.form = Form(create_model("Part", **fields))
        self.tokens = (80 if section.quotes else 16) * len(section.questions) + 16

    @property
    def text(self) -> str:
        lines = (f"- {name}: {' '.join(wording.split())}" for name, wording in self._section.questions.items())
        return "\n".join((f"## {self.name}", self._section.task.strip(), *lines))

    @property
    def shape(self) -> str:
        score = f"<0 to {self._section.highest}>"
        one = f'{{"quote": "<words of the text>", "score": {score}}}' if self._section.quotes else score
        return "{" + ", ".join(f'"{name}": {one}' for name in self._section.questions) + "}"

    def read(self, given: object, text: str) -> Verdict:
        """The verdict in a value that a judge gave for this section of its judgement of `text`."""
        answer = self.form.parse(json.dumps(given)).value
        if answer is None:
            return Verdict(None, reason=NOT_IN_FORM)
        values, quotes = [], {}
        for column, one in zip(self.columns, answer.model_dump(by_alias=True).values(), strict=True):
            score = one["score"] if self._section.quotes else one
            values.append(score / self._section.unit)
            if self._section.quotes and score > 0:
                if not (quote := legible(one["quote"])):
                    return Verdict(None, reason=NO_QUOTE)
                if not bears_out(quote, text):
                    return Verdict(None, reason=STRANGE_QUOTE)
                quotes[column] = quote
        return Verdict(tuple(values), quotes)


class Sheet:
    """The sections asked in one call.

    system: what the judge is told before it sees a text, the same for all texts. schema: of its answer. tokens: most that an
    answer in the form may take, if its quotations are a sentence each.
    """

    def __init__(self, rubric: Rubric, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        shape = ", ".join(('"mark": "<the mark>"', *(f'"{part.name}": {part.shape}' for part in self.parts)))
        answer = rubric.answer.strip().replace("{shape}", f"{{{shape}}}")
        self.system = "\n\n".join((rubric.preamble.strip(), *(part.text for part in self.parts), answer))
        self.reminder = rubric.reminder.strip()
        forms = {"mark": {"type": "string"}} | {part.name: part.form.schema for part in self.parts}
        self.schema = {"type": "object", "properties": forms, "required": list(forms), "additionalProperties": False}
        self.tokens = 32 + sum(part.tokens for part in self.parts)
        # What is in a section is read by the section itself, so that one can fail and the others stand.
        loose: dict[str, Any] = {f"p{k}": (Any, Field(alias=part.name)) for k, part in enumerate(self.parts)}
        self._form = Form(create_model("Sheet", mark=(str, ...), **loose))

    def failed(self, reason: str) -> list[Verdict]:
        return [Verdict(None, reason=reason)] * len(self.parts)

    def read(self, reply: str, text: str, mark: str) -> list[Verdict]:
        """A verdict for each section. One that does not repeat the mark of the text was not made for it."""
        parsed = self._form.parse(reply)
        if parsed.value is None:
            return self.failed(NOT_IN_FORM if "{" in reply else NO_JSON)
        given = parsed.value.model_dump(by_alias=True)
        if given.pop("mark").strip().casefold() != mark:
            return self.failed(NO_MARK)
        return [part.read(given[part.name], text) for part in self.parts]


def _filled(wording: str, **words: str) -> str:
    """The wording with each {word} replaced; other braces stay, and what is filled in is not filled again."""
    return re.sub(r"\{(\w+)\}", lambda place: words.get(place[1], place[0]), wording)
