"""Who moved when, and whom it caught it from: the forest of a simulated outbreak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Forest:
    """Moves of agents between compartments in order of time, one row each, all shape (m,).

    As the forest of an outbreak it holds every move by a transmission. cause: the agent that won the race, −1 for a move without
    one (a progression). layer: of the contact, −1 where the network has no layers or there is no cause. origin, target: codes of
    compartments.
    """

    agent: NDArray[np.int32]
    time: NDArray[np.float64]
    cause: NDArray[np.int32]
    layer: NDArray[np.int8]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]

    def __post_init__(self) -> None:
        if len({len(getattr(self, f.name)) for f in fields(self)}) > 1:
            raise ValueError("the columns of a forest must have equal length")

    def __len__(self) -> int:
        return len(self.agent)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Forest:
        """These rows alone, in their order."""
        return Forest(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Forest]) -> Forest:
        """The rows of several, one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def secondary(self, size: int) -> NDArray[np.int64]:
        """How many moves each of `size` agents caused, (size,)."""
        return np.bincount(self.cause[self.cause >= 0], minlength=size)
