"""What a simulated outbreak leaves: its curve, its forest and where everybody is at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.engine.forest import Forest


@dataclass(frozen=True)
class Outbreak:
    """One run of a contagion model on a network.

    times: (T,) ascending. counts: (T, C) agents in each compartment at these times. forest: every move by a transmission, with
    its cause. compartment: (N,) codes at the end. moves: every move, those by progression too, where they were asked for.
    """

    times: NDArray[np.float64]
    counts: NDArray[np.int64]
    forest: Forest
    compartment: NDArray[np.int8]
    moves: Forest | None = None
