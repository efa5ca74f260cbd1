"""Who agents are: made harder to infect."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagium.agents.policy import Pin
from contagium.sim.intervention.base import Ground, Intervention, Moment, Point
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.prompt import Words


class Immunise(Intervention):
    """Agents in the scope take up a strain at `share` times the rate at which they would; 0: never.

    Mechanistic agents' susceptibility is scaled; speaking agents keep `text` in mind instead, which they need one for. Both end
    with the scope. Logged: `immunised` (1 as it ends), or `pinned` and `unpinned`.
    """

    points: ClassVar[tuple[Point, ...]] = ("population",)
    holds = "susceptibility"

    def __init__(self, share: Annotated[float, Field(ge=0, le=1)] = 0.0, text: Words | None = None) -> None:
        self._share, self._text = share, text
        self.notes = () if text is None else (text,)

    def begin(self, ground: Ground) -> None:
        if self._text is None and (ground.among & ground.undergoes(Pin)).any():
            raise ValueError("speaking agents are immunised by a text, and none is given")

    def before(self, moment: Moment, hands: Hands) -> None:
        fresh, gone = np.flatnonzero(moment.fresh), np.flatnonzero(moment.gone)
        hands.immunise(gone, 1.0)
        hands.immunise(fresh, self._share)
        if self._text is not None:
            hands.unpin(gone, self._text)
            hands.pin(fresh, self._text)
