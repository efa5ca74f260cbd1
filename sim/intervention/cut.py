"""One agent silenced, or one cut off from another: what a rerun of a run changes."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Exposures, Messages
from contagium.sim.intervention.base import Ground, Intervention, Moment, Passage, Point

Agent = Annotated[int, Field(ge=0)]


def _must_live_here(agent: int, ground: Ground) -> None:
    if agent >= len(ground.among):
        raise ValueError(f"agents are 0 to {len(ground.among) - 1}, got {agent}")


class Silence(Intervention):
    """Withholds all that one agent says: it goes on, and reaches nobody."""

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def begin(self, ground: Ground) -> None:
        _must_live_here(self._agent, ground)

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        return Passage(messages, moment.among[messages.sender] & (messages.sender == self._agent))


class Cut(Intervention):
    """Nothing that `source` says reaches `target`, by whichever way it would have come.

    What takes its place in a world that shows so many messages is nothing: all else that the target hears stays as it was.
    """

    points: ClassVar[tuple[Point, ...]] = ("transit",)

    def __init__(self, source: Agent, target: Agent) -> None:
        if source == target:
            raise ValueError(f"source and target must differ, got {source} twice")
        self._source, self._target = source, target

    def begin(self, ground: Ground) -> None:
        for agent in (self._source, self._target):
            _must_live_here(agent, ground)

    def stops(self, moment: Moment, exposures: Exposures) -> NDArray[np.bool_]:
        cut = (exposures.source == self._source) & (exposures.agent == self._target)
        return cut & moment.among[exposures.agent]
