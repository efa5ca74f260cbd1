"""What agents are told as they act: with their situation for as long as it holds, or as news."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import StringConstraints

from contagium.sim.intervention.base import Intervention, Moment, Point
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.rhythm import Every, Rhythm

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that says something."""


class Instruct(Intervention):
    """`text` stands with the situation of each agent in the scope, and no longer. Logged: `instructed`, as it begins."""

    points: ClassVar[tuple[Point, ...]] = ("prompt",)

    def __init__(self, text: Words) -> None:
        self._text = text

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.instruct(np.flatnonzero(moment.among), self._text)


class Tell(Intervention):
    """Agents hear `text` as news before they act, once as they come into the scope or `every` so many steps. Logged: `told`.

    Whom it is told to remembers it as long as it remembers news.
    """

    points: ClassVar[tuple[Point, ...]] = ("prompt",)

    def __init__(self, text: Words, every: Every = None) -> None:
        self._text, self._rhythm = text, Rhythm(every)

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.tell(self._rhythm.due(moment), self._text)
