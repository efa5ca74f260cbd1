"""Quarantine on suspicion: by one reading, before anybody is called a case."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagium.envs.message import Messages
from contagium.envs.when import Trigger
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point
from contagium.sim.intervention.hands import Hands


class Suspicion(Intervention):
    """Withholds what an agent in the scope says while its latest message shows `sign`, and for `steps` steps at least.

    sign: a measure above or below a value, as in a trigger; with a share, it makes everybody in the scope suspect. An agent that
    is not heard is still read. The message that shows the sign first has been heard. Logged: `withheld`.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, sign: Trigger, steps: Annotated[int, Field(ge=1)] = 3) -> None:
        if sign.measure is None:
            raise ValueError("suspicion is by a reading: give a measure; who is a case is withheld by Quarantine")
        self._sign, self._steps = sign, steps

    def begin(self, ground: Ground) -> None:
        self._sign.must_be_known(ground.measures, ())
        self._until = np.zeros(len(ground.among), dtype=np.int64)

    def before(self, moment: Moment, hands: Hands) -> None:
        self._until[moment.among & self._sign.met(moment.signs)] = moment.step + self._steps

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        suspect = moment.among & (moment.step < self._until)
        return Passage(messages, suspect[messages.sender])
