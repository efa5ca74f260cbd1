"""Messages that come late."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Exposures
from contagium.sim.intervention.base import Intervention, Moment, Point


class Delay(Intervention):
    """What agents in the scope hear, or with `of: senders` what they say, is heard `steps` steps later. Logged: `delayed`.

    What a world shows in several steps comes late each time. What is on its way when the scope ends still arrives.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, steps: Annotated[int, Field(ge=1)] = 1, of: Literal["readers", "senders"] = "readers") -> None:
        self._steps, self._of = steps, of

    def delays(self, moment: Moment, exposures: Exposures) -> NDArray[np.int64]:
        return self._steps * moment.among[exposures.agent if self._of == "readers" else exposures.source]
