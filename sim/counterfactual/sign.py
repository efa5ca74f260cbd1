"""Whether a text shows what a run calls a case: by the run's own instruments and thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Channel, Messages
from contagium.sim.laboratory import Laboratory, Society, instruments
from contagium.sim.observer.instrument import MESSAGE, Material


class Sign:
    """Reads texts on a strain or emotional state of a run.

    The instruments are the run's, begun anew: what they remember of the run does not count. window: steps before an onset in
    which an exposure may be the cause.
    """

    def __init__(self, lab: Laboratory, people: Society, strain: str) -> None:
        spec, self._axes = lab.scenario.observer, len(lab.axes)
        if (state := spec.states.get(strain)) is not None:
            names, self._column, enter, stay = spec.axes[state.axis], state.axis, state.enter, state.stay
        else:
            rule = next(p for p in lab.scenario.personas if p.name == strain).detection[spec.case.instrument]
            names, self._column, enter, stay = (spec.case.instrument,), strain, rule.enter, rule.stay
        self.window = spec.states.get(strain, spec.case).cause_window
        # Rounded as readings are, or one that lies on a threshold would not reach it.
        self._towards = np.float32(np.sign(enter))
        self._enter, self._stay = self._towards * np.float32(enter), self._towards * np.float32(stay)
        chosen = {name: spec.instruments[name] for name in names if name in spec.instruments}
        self._instruments = instruments(lab.scenario, people, lab.backend, chosen)

    async def shows(self, texts: Sequence[str | None], agent: int, step: int) -> NDArray[np.float64]:
        """For each text 1 where it reaches the threshold of a case, 0 where not, NaN where there is none or it cannot be read."""
        read = await self._read(texts, agent, step)
        return np.where(np.isnan(read), np.nan, (read >= self._enter).astype(np.float64))

    async def free(self, texts: Sequence[str | None], agent: int, step: int) -> NDArray[np.bool_]:
        """Which texts were read and show nothing, (n,) bool."""
        return await self._read(texts, agent, step) < self._stay

    async def _read(self, texts: Sequence[str | None], agent: int, step: int) -> NDArray[np.float32]:
        """How far each text is on the way to the threshold, (n,)."""
        said = _spoken(texts, agent, step, self._axes)
        found = np.full(len(texts), np.nan, dtype=np.float32)
        for instrument in self._instruments:
            for readings in await instrument.read(Material(step, said)):
                if readings.channel == MESSAGE and readings.instrument == instrument.name and self._column in readings.columns:
                    values = readings.values[:, readings.columns.index(self._column)]
                    found[readings.ids] = np.where(np.isnan(found[readings.ids]), values, found[readings.ids])
        return self._towards * found


def _spoken(texts: Sequence[str | None], agent: int, step: int, axes: int) -> Messages:
    """Texts as messages numbered by their place."""
    ids = np.array([k for k, text in enumerate(texts) if text is not None], dtype=np.int64)
    return Messages(
        id=ids,
        sender=np.full(len(ids), agent),
        step=np.full(len(ids), step),
        channel=np.full(len(ids), Channel.BOARD, dtype=np.int8),
        thread=ids,
        reply_to=np.full(len(ids), -1),
        expression=np.full((len(ids), axes), np.nan, dtype=np.float32),
        text={k: text for k, text in enumerate(texts) if text is not None},
    )
