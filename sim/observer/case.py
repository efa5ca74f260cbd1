"""The case definition, as data: which readings put an agent into which compartment, and how long they keep it there."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

COMPARTMENTS = ("S", "I", "R", "E", "C", "H")
"""Susceptible, symptomatic, recovered; and where the definition asks for them exposed, carrier and shedding."""

S, I, R, E, C, H = range(len(COMPARTMENTS))  # noqa: E741

Count = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Exposed(Part):
    """E: a susceptible agent that received `messages` messages showing the strain in `within` steps, until more is seen
    of it. A message received twice counts twice.
    """

    messages: Count = 1
    within: Count = 3


class Carrier(Part):
    """C: found only by asking. An agent that is no case by its messages, and in whose answer to one of `items` the instrument
    reads the strain from `enter` on; until all it answers in a step reads below `stay`, then R. enter, stay: None for the
    persona's thresholds of that instrument.
    """

    items: Annotated[tuple[str, ...], Field(min_length=1)]
    instrument: str
    enter: Finite | None = None
    stay: Finite | None = None

    @model_validator(mode="after")
    def _hysteresis(self) -> Carrier:
        if self.enter is not None and self.stay is not None and self.stay > self.enter:
            raise ValueError(f"stay must be at most enter ({self.enter}), got {self.stay}")
        return self


class Shedding(Part):
    """H: a case that asks others to spread. `confirm` of its last `window` messages mark `facet` of the persona from `enter` on,
    by `instrument`; until `end_after` messages in a row do not, then I again.
    """

    facet: str = "spread"
    instrument: str = "persona_lexicon"
    enter: Finite = 0.5
    confirm: Count = 1
    window: Count = 1
    end_after: Count = 3

    @model_validator(mode="after")
    def _window_holds_confirm(self) -> Shedding:
        return _checked(self)


class Timing(Part):
    """How many readings make and end a case.

    confirm, window: an agent becomes a case when `confirm` of its last `window` readings reach the `enter` threshold. Its onset
    is the first sign: the step of the oldest of those that did. recover_after: it recovers when that many readings in a row lie
    under `stay`. cause_window: steps before the onset in which an exposure is a candidate cause. spacing: steps between the
    readings of an agent up to which these exposures are sure to be remembered until it is confirmed. exposed: whether, and when,
    being exposed is a compartment of its own. A recovered agent can become a case again.
    """

    confirm: Count = 2
    window: Count = 3
    recover_after: Count = 3
    cause_window: Count = 3
    spacing: Count = 4
    exposed: Exposed | None = None

    @model_validator(mode="after")
    def _window_holds_confirm(self) -> Timing:
        return _checked(self)


class CaseDefinition(Timing):
    """When an agent is a case of a persona, and in which compartment.

    instrument: whose readings of the strain axis decide, where a message has words, by the persona's thresholds; an expression
    stated outright is taken at its word: it shows the strain from 0.5, one such message makes a case and one without it ends the
    case.
    """

    instrument: str = "embedding"
    carrier: Carrier | None = None
    shedding: Shedding | None = None


class StateDefinition(Timing):
    """When an agent is a case of an emotional state, which is then followed like a strain that nobody was seeded with.

    axis: a measure of the observer, such as distress. enter, stay: from where on a message shows it, and until where; below 0 for
    a state of low values, where "reaches" means at most. false_positive_rate: of messages without it, as measured; None: not.
    """

    axis: str
    enter: Finite
    stay: Finite
    false_positive_rate: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _hysteresis(self) -> StateDefinition:
        if not (0 < self.stay <= self.enter or self.enter <= self.stay < 0):
            raise ValueError(f"stay must lie between 0 and enter ({self.enter}), and not be 0, got {self.stay}")
        return self


class _Window(Protocol):
    @property
    def confirm(self) -> int: ...

    @property
    def window(self) -> int: ...


Rule = TypeVar("Rule", bound=_Window)


def _checked(rule: Rule) -> Rule:
    if rule.confirm > rule.window:
        raise ValueError(f"confirm must be at most window ({rule.window}), got {rule.confirm}")
    return rule
