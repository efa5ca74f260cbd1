"""Interventions: what is done to stop, slow or change what spreads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Exposures, Messages
from contagium.envs.rng import Streams


@dataclass(frozen=True)
class Transit:
    """What an intervention sees between sending and hearing: the messages of `step`, and who is a case so far, (N,) bool."""

    step: int
    messages: Messages
    is_case: NDArray[np.bool_]


class Intervention(Protocol):
    """Works on what is in transit. `withhold` says which of the n messages nobody will hear, (n,) bool."""

    def withhold(self, transit: Transit, rng: Streams) -> NDArray[np.bool_]: ...


@runtime_checkable
class Barrier(Intervention, Protocol):
    """An intervention that also stands between single agents: `stops` says which of m exposures do not come about, (m,) bool."""

    def stops(self, exposures: Exposures) -> NDArray[np.bool_]: ...


class Quarantine:
    """Withholds messages of agents that the observer has called a case, index cases included.

    share: probability that a message of such an agent is withheld. start: first step at which it works. name: of its draws, so
    that two quarantines withhold independently.
    """

    def __init__(
        self,
        share: Annotated[float, Field(ge=0, le=1)] = 1.0,
        start: Annotated[int, Field(ge=0)] = 0,
        name: str = "quarantine",
    ) -> None:
        self._share, self._start, self._stream = share, start, f"intervention:{name}"

    def withhold(self, transit: Transit, rng: Streams) -> NDArray[np.bool_]:
        sender = transit.messages.sender
        if transit.step < self._start:
            return np.zeros(len(sender), dtype=bool)
        return transit.is_case[sender] & (rng.uniform(self._stream, transit.step, sender) < self._share)


class Silence:
    """Withholds all that one agent says from step `start` on: it goes on, and reaches nobody."""

    def __init__(self, agent: Annotated[int, Field(ge=0)], start: Annotated[int, Field(ge=0)] = 0) -> None:
        self._agent, self._start = agent, start

    def withhold(self, transit: Transit, rng: Streams) -> NDArray[np.bool_]:
        return (transit.messages.sender == self._agent) & (transit.step >= self._start)


class Cut:
    """From step `start` on nothing that `source` says reaches `target`, by whichever way it would have come.

    What takes its place in a world that shows so many messages is nothing: all else that the target hears stays as it was.
    """

    def __init__(
        self,
        source: Annotated[int, Field(ge=0)],
        target: Annotated[int, Field(ge=0)],
        start: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        if source == target:
            raise ValueError(f"source and target must differ, got {source} twice")
        self._source, self._target, self._start = source, target, start

    def withhold(self, transit: Transit, rng: Streams) -> NDArray[np.bool_]:
        return np.zeros(len(transit.messages), dtype=bool)

    def stops(self, exposures: Exposures) -> NDArray[np.bool_]:
        cut = (exposures.source == self._source) & (exposures.agent == self._target)
        return cut & (exposures.step >= self._start)
