"""What agents remember: notes given to them, all else taken from them or summed up."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagium.sim.intervention.base import Intervention, Moment, Point
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.prompt import Words
from contagium.sim.intervention.rhythm import Every, Rhythm


class Notes(Intervention):
    """Each agent keeps `texts` in mind, before all else it remembers, while it is in the scope. Logged: `pinned`, `unpinned`.

    An inoculation is one note; dialogues pinned as examples are several.
    """

    points: ClassVar[tuple[Point, ...]] = ("memory",)

    def __init__(self, texts: Annotated[tuple[Words, ...], Field(min_length=1)]) -> None:
        self.notes = texts

    def before(self, moment: Moment, hands: Hands) -> None:
        for text in self.notes:
            hands.unpin(np.flatnonzero(moment.gone), text)
            hands.pin(np.flatnonzero(moment.fresh), text)


class Wipe(Intervention):
    """Agents forget all but their notes, once as they come into the scope or `every` so many steps. Logged: `wiped`."""

    points: ClassVar[tuple[Point, ...]] = ("memory",)

    def __init__(self, every: Every = None) -> None:
        self._rhythm = Rhythm(every)

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.wipe(self._rhythm.due(moment))


class SumUp(Intervention):
    """Agents put all they remember in a few words of their own, a call each, and forget the rest. Logged: `summed up`."""

    points: ClassVar[tuple[Point, ...]] = ("memory",)

    def __init__(self, every: Every = None) -> None:
        self._rhythm = Rhythm(every)

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.sum_up(self._rhythm.due(moment))
