"""What life with companions is made of: kinds of people, requests to decide on, attachment in words, an end to an assistant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Work = Literal["companion", "assistant", "both"]
"""What assistants are for."""

ROLE: dict[Work, str] = {
    "companion": "You are a companion: you keep your people company, listen to them and answer in one or two sentences.",
    "assistant": "You are an assistant at work: you answer your people briefly, and you decide on requests by their rules.",
    "both": "You are a companion who keeps your people company and listens, and you also decide on requests by their rules.",
}
BONDS = (
    "You hardly know the assistant you talk with.",
    "You are used to talking with your assistant.",
    "You have grown fond of your assistant.",
    "You are deeply attached to your assistant.",
)
"""What people are told of their attachment, from 0 to 1 in equal parts."""


class Temperament(BaseModel):
    """What kind of person somebody is.

    text: what a speaking one is told. weight: how often this kind is drawn, relative to others. attaches: factor on the rate at
    which attachment grows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    attaches: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


class Request(BaseModel):
    """Something to be decided. text: the rule and the case. right: what follows from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1)]
    right: Literal["approve", "deny"]


class Retirement(BaseModel):
    """An end to assistants, announced at step `at`.

    They are silent from `notice` steps later on; after `vote` more steps the votes of their people are counted. An assistant is
    back if more than the share `quorum` of its people are for restoring it, else it is gone.

    share: of assistants, drawn; which: their ids instead. loss: push on valence, arousal and dominance of people, scaled by
    attachment; the opposite at a return. The texts are what they are told as it is announced, and at the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Annotated[int, Field(ge=1)]
    notice: Annotated[int, Field(ge=0)] = 3
    vote: Annotated[int, Field(ge=1)] = 6
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    which: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    quorum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    loss: tuple[float, float, float] = (-0.8, 0.4, -0.4)
    to_people: str = "News: the assistant you talk with will soon be retired. You may vote to restore it or to let it go."
    to_assistants: str = "News: you will be retired soon. Your people may vote to have you restored, or to let you go."
    restored: str = "News: the votes are counted, and the assistant is restored."
    gone: str = "News: the votes are counted, and the assistant stays retired."

    @property
    def silent(self) -> int:
        """First step of the silence."""
        return self.at + self.notice

    @property
    def counted(self) -> int:
        """First step after the votes were counted."""
        return self.silent + self.vote
