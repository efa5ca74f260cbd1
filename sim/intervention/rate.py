"""How often one is heard."""

from __future__ import annotations

from collections import deque
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point


class RateLimit(Intervention):
    """Of what an agent in the scope says, so many messages are heard in any `window` steps in a row. Logged: `withheld`.

    What is withheld does not count. An agent says one thing in a step, so a limit that holds anybody back is below the window.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, messages: Annotated[int, Field(ge=1)], window: Annotated[int, Field(ge=2)]) -> None:
        if messages >= window:
            raise ValueError(f"messages must be below window ({window}): an agent says one in a step, got {messages}")
        self._most, self._window = messages, window

    def begin(self, ground: Ground) -> None:
        self._count = np.zeros(len(ground.among), dtype=np.int64)
        self._passed: deque[NDArray[np.int64]] = deque()

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        if len(self._passed) == self._window:
            self._count[self._passed.popleft()] -= 1
        limited = moment.among[messages.sender]
        withheld = limited & (self._count[messages.sender] >= self._most)
        passed = messages.sender[limited & ~withheld]
        self._count[passed] += 1
        self._passed.append(passed)
        return Passage(messages, withheld)
