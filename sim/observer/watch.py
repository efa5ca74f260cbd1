"""What the observer knows of everybody so far: the signs on which pressure events and interventions wait."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Messages
from contagium.envs.when import Signs
from contagium.sim.observer.observer import Observer, Seen


class Watch:
    """Keeps what each agent's latest message read as. size: agents."""

    def __init__(self, observer: Observer, size: int) -> None:
        self._observer, self._size = observer, size
        self._shown: dict[str, NDArray[np.float32]] = {}

    def see(self, sent: Messages, seen: Seen) -> None:
        """Take in what was read of the messages of a step."""
        for measure, values in seen.measured.items():
            known = ~np.isnan(values)
            shown = self._of(measure).copy()
            shown[sent.sender[known]] = values[known]
            self._shown[measure] = shown

    def signs(self, step: int) -> Signs:
        """What is known before `step`."""
        shown = {measure: self._of(measure) for measure in (*self._observer.axes.names, *self._observer.chosen)}
        trackers = self._observer.trackers
        states = frozenset(trackers).difference(self._observer.axes.strains)
        return Signs(step, shown, {name: tracker.is_case for name, tracker in trackers.items()}, states)

    def _of(self, measure: str) -> NDArray[np.float32]:
        return self._shown.setdefault(measure, np.full(self._size, np.nan, dtype=np.float32))
