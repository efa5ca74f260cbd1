"""Declared expression: mechanistic agents show what they express, so it is read off as it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagium.sim.observer.instrument import MESSAGE, Briefing, Material, Readings


class Expression:
    """A row for each message that declares at least one axis; the columns are the axes.

    A reading has no holes: a row that declares some axes and not others counts as failed.
    """

    public = True

    def __init__(self, name: str = "expression") -> None:
        self.name = name
        self._columns: tuple[str, ...] = ()

    @property
    def provenance(self) -> dict[str, Any]:
        return {"source": "what agents declare"}

    def begin(self, briefing: Briefing) -> None:
        self._columns = briefing.axes.names

    async def read(self, material: Material) -> list[Readings]:
        ids, stated = material.messages.id, material.messages.expression
        silent = np.isnan(stated)
        if not silent.any():
            return [Readings(self.name, MESSAGE, ids, self._columns, stated.copy(), np.ones(len(ids), dtype=bool))]
        rows = np.any(~silent, axis=1)
        values = stated[rows]  # a copy, so the messages stay as they were
        ok = np.all(~silent[rows], axis=1)
        holes = dict.fromkeys(np.flatnonzero(~ok).tolist(), "declares some axes and not others")
        return [Readings(self.name, MESSAGE, ids[rows], self._columns, values, ok, holes)]
