"""How often an intervention does what it does to those in its scope."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.sim.intervention.base import Moment

Every = Annotated[int, Field(ge=1)] | None


class Rhythm:
    """Once for each agent, as it comes into the scope, and, with `every`, again after each so many steps that it stays there."""

    def __init__(self, every: Every) -> None:
        self._every = every
        self._since = np.empty(0, dtype=np.int64)

    def due(self, moment: Moment) -> NDArray[np.int64]:
        """Whose turn it is now, ids; to be asked once in each step."""
        if self._every is None:
            return np.flatnonzero(moment.fresh)
        if not len(self._since):
            self._since = np.zeros(len(moment.among), dtype=np.int64)
        self._since[moment.fresh] = moment.step
        return np.flatnonzero(moment.among & ((moment.step - self._since) % self._every == 0))
