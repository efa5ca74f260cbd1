"""What an agent did, not what it said: its choice in the world as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.structured import fold
from contagium.sim.observer.instrument import ACT, Briefing, Material, Readings
from contagium.sim.observer.instruments.interview import Place
from contagium.sim.observer.texts import fingerprint


class Choice:
    """On the channel "act" a row for each agent whose turn came to a choice, in a world that offers some.

    Column `choice`: the choice's place on the world's list, which has an order, from 0 for the first to 1 for the last.
    positions: label → axis → value; each axis named there is a column of its own, with rows for the choices that have a value on
    it. No valid choice is a failed reading on every column. ValueError at `begin`: the world offers none of the labels.
    """

    public = False

    def __init__(self, positions: Mapping[str, Place] | None = None, name: str = "choice") -> None:
        self.name = name
        self._positions = {fold(label): place for label, place in (positions or {}).items()}
        wrong = [(axis, value) for place in self._positions.values() for axis, value in place.items() if not np.isfinite(value)]
        if wrong:
            raise ValueError(f"a position must be a finite number, got {wrong[0][0]}: {wrong[0][1]}")
        self._values: dict[str, NDArray[np.float32]] = {}

    def begin(self, briefing: Briefing) -> None:
        labels = [fold(choice) for choice in briefing.choices]
        if labels and self._positions and not self._positions.keys() & set(labels):
            raise ValueError(f"{self.name}: the world offers none of {list(self._positions)}, only {list(briefing.choices)}")
        places = [self._positions.get(label, {}) for label in labels]
        axes = dict.fromkeys(axis for place in places for axis in place)
        # By column the value of each choice, NaN where it has none.
        self._values = {"choice": np.linspace(0, 1, len(labels), dtype=np.float32)} if labels else {}
        self._values |= {axis: np.array([p.get(axis, np.nan) for p in places], dtype=np.float32) for axis in axes}

    async def read(self, material: Material) -> list[Readings]:
        if not material.choices:
            return []
        agents = np.array(sorted(material.choices), dtype=np.int64)
        chosen = np.array([material.choices[agent] for agent in agents.tolist()], dtype=np.int64)
        return [self._read(column, of, agents, chosen) for column, of in self._values.items()]

    @property
    def provenance(self) -> dict[str, Any]:
        return {"positions": fingerprint(repr(sorted((label, sorted(p.items())) for label, p in self._positions.items())))}

    def _read(self, column: str, of: NDArray[np.float32], agents: NDArray[np.int64], chosen: NDArray[np.int64]) -> Readings:
        valid = (chosen >= 0) & (chosen < len(of))
        values = np.where(valid, of[np.where(valid, chosen, 0)], np.nan).astype(np.float32)
        told = ~valid | ~np.isnan(values)
        ok = valid[told]
        reasons = dict.fromkeys(np.flatnonzero(~ok).tolist(), "no valid choice")
        return Readings(self.name, ACT, agents[told], (column,), values[told, None], ok, reasons)
