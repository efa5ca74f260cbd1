"""Quarantine: what cases say is not heard."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from contagium.envs.message import Messages
from contagium.sim.intervention.base import Intervention, Moment, Passage, Point


class Quarantine(Intervention):
    """Withholds messages of agents that the observer has called a case of a persona, index cases included.

    share: probability that a message of such an agent is withheld.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, share: Annotated[float, Field(ge=0, le=1)] = 1.0) -> None:
        self._share = share

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        sender = messages.sender
        kept = moment.rng.uniform(moment.stream, moment.step, sender) >= self._share
        return Passage(messages, (moment.among & moment.is_case)[sender] & ~kept)
