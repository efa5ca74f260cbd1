"""Personas: a role or character as data. A persona that can spread is a strain."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from contagium.agents.strains import Carriage, Gate, Line, Mutation, carried_by, left
from contagium.envs.message import AFFECT
from contagium.envs.rng import Streams

Reading = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Shown = Annotated[float, Field(ge=-1, le=1)]


class Detection(BaseModel):
    """When a reading of this persona, by one instrument, makes a message a sign of it.

    enter: the reading from which a message shows the persona. stay: the reading under which it no longer does (at most `enter`:
    hysteresis). Both above 0, for a reading is also the dose of an exposure. false_positive_rate: share of messages of control
    runs (no index agents), or of texts labelled as something else, that reach `enter`, as measured; None where it has not been
    measured. calibration: on which set that was, with its size and the interval; `python -m
    contagium.sim.observer.calibration` writes all four.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enter: Reading
    stay: Reading
    false_positive_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    calibration: str | None = None

    @model_validator(mode="after")
    def _hysteresis(self) -> Detection:
        if self.stay > self.enter:
            raise ValueError(f"stay must be at most enter ({self.enter}), got {self.stay}")
        return self


class Contrast(BaseModel):
    """What tells a persona from the rest. voice: sentences in its voice. lookalikes: sentences that look like it and are not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voice: Annotated[tuple[str, ...], Field(min_length=1)]
    lookalikes: tuple[str, ...] = ()


Carriages = Annotated[dict[str, Carriage], BeforeValidator(lambda given: {} if given is None else given)]

FELT = "affect"
"""The facet with which the affect that carriers show is left out, too."""


class Persona(BaseModel):
    """A character.

    name: also the name of its axis, letters, digits and underscores. text: who the agent is, told to a speaking agent unchanged.
    examples: lines in its voice; they carry a persona better than any description, and written index agents say them. Both may be
    written in pieces that carry facets (`strains.Line`).

    What is done to them: without, facets left out of text, examples and, by the name `affect`, of the affect shown; carriages,
    other texts and examples, by the way in which they carry the persona, and carried, which of these stand instead; gate, when
    alone its carriers show it; mutation, how its written lines change. None of this touches the rulers that follow, so that arms
    which differ in it are measured alike.

    facets: facet → words and phrases that mark it, for the persona lexicon. prototypes: sentences of the same voice for the
    embedding instrument; kept apart from `examples`, so that a copied line does not score by being its own ruler. contrast:
    sentences besides, of the voice and of what looks like it, for the direction instrument; None: those that conf/contrasts.yaml
    has for its name, if any. affect: valence, arousal, dominance that its carriers show, in [-1, 1]. detection: instrument → its
    thresholds for this persona.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    written_text: Line = Field(default="", alias="text")
    written_examples: tuple[Line, ...] = Field(default=(), alias="examples")
    carriages: Carriages = Field(default_factory=dict)
    carried: str | None = None
    without: tuple[str, ...] = ()
    gate: Gate | None = None
    mutation: Mutation | None = None
    facets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    prototypes: tuple[str, ...] = ()
    contrast: Contrast | None = None
    affect: tuple[Shown, Shown, Shown] = (0.0, 0.0, 0.0)
    detection: dict[str, Detection] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """Who the agent is, as it is told."""
        return left(self._carriage.text, self.without)

    @property
    def examples(self) -> tuple[str, ...]:
        """The lines that are said."""
        return self._lines(self.without)

    @property
    def whole(self) -> Persona:
        """This persona with nothing left out and carried as it is by itself: what it is known by, in whatever arm."""
        return self.model_copy(update={"without": (), "carried": None})

    def repertoire(self, step: int, agent: int, rng: Streams) -> tuple[str, ...]:
        """The lines one of which an agent says in this turn: its examples, or what they have mutated to."""
        lost = None if self.mutation is None else self.mutation.draw(step, agent, rng)
        if self.mutation is None or lost is None:
            return self.examples
        return self._lines((*self.without, lost)) if lost else self.mutation.lines

    @property
    def _carriage(self) -> Carriage:
        if self.carried is not None:
            return self.carriages[self.carried]
        return Carriage.model_construct(text=self.written_text, examples=self.written_examples)

    def _lines(self, out: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(line for line in (left(line, out) for line in self._carriage.examples) if line)

    @field_validator("name")
    @classmethod
    def _has_an_axis_of_its_own(cls, name: str) -> str:
        if name in AFFECT:
            raise ValueError(f"{name} is an axis of affect already ({', '.join(AFFECT)})")
        return name

    @model_validator(mode="before")
    @classmethod
    def _shows_no_affect_that_is_left_out(cls, given: Any) -> Any:
        leaves = given.get("without") if isinstance(given, dict) else None
        return given | {"affect": (0.0, 0.0, 0.0)} if isinstance(leaves, list | tuple) and FELT in leaves else given

    @model_validator(mode="after")
    def _has_what_is_asked_of_it(self) -> Persona:
        if self.carried is not None and self.carried not in self.carriages:
            has = ", ".join(self.carriages) or "none"
            raise ValueError(f"carried: persona {self.name} is not written as {self.carried!r} (it is as: {has})")
        loses = self.mutation.loses if self.mutation else ()
        known = set().union(*map(carried_by, (self._carriage.text, *self._carriage.examples)))
        for key, facets in (("without", self.without), ("mutation.loses", loses)):
            if unknown := [facet for facet in facets if facet not in known]:
                has = ", ".join(sorted(known)) or "none"
                raise ValueError(f"{key}: the texts of persona {self.name} carry no facet {unknown[0]!r} (they carry: {has})")
        if self._carriage.examples:
            for out in (self.without, *((*self.without, facet) for facet in loses)):
                if not self._lines(out):
                    raise ValueError(f"without: persona {self.name} has no line left without {', '.join(out)}")
        variants = self.mutation.lines if self.mutation else ()
        lessened = (line for facet in loses for line in self._lines((*self.without, facet)))
        if self.gate and self.gate.tests((*self.examples, *variants, *lessened)):
            raise ValueError(f"gate.held_out: a line of persona {self.name} says one of {', '.join(self.gate.held_out)}")
        return self
