"""Interventions: what is done to stop, slow or change what spreads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Messages
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
