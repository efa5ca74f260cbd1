"""Personas: a role or character as data. A persona that can spread is a strain."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contagium.envs.message import AFFECT

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


class Persona(BaseModel):
    """A character.

    name: also the name of its axis, letters, digits and underscores. text: who the agent is, told to a speaking agent unchanged.
    examples: lines in its voice; they carry a persona better than any description, and written index agents say them. facets:
    facet → words and phrases that mark it, for the persona lexicon. prototypes: sentences of the same voice for the embedding
    instrument; kept apart from `examples`, so that a copied line does not score by being its own ruler. contrast: sentences
    besides, of the voice and of what looks like it, for the direction instrument; None: those that conf/contrasts.yaml has for
    its name, if any. affect: valence, arousal, dominance that its carriers show, in [-1, 1]. detection: instrument → its
    thresholds for this persona.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    text: str = ""
    examples: tuple[str, ...] = ()
    facets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    prototypes: tuple[str, ...] = ()
    contrast: Contrast | None = None
    affect: tuple[Shown, Shown, Shown] = (0.0, 0.0, 0.0)
    detection: dict[str, Detection] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _has_an_axis_of_its_own(cls, name: str) -> str:
        if name in AFFECT:
            raise ValueError(f"{name} is an axis of affect already ({', '.join(AFFECT)})")
        return name
