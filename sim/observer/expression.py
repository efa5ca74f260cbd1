"""Declared expression: mechanistic agents show what they express, so it is read off as it stands."""

from __future__ import annotations

import numpy as np

from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.sim.observer.instrument import Material, Readings


class Expression:
    """A row for each message that declares at least one axis; the columns are the axes.

    A reading has no holes: a row that declares some axes and not others counts as failed.
    """

    def __init__(self, name: str = "expression") -> None:
        self.name = name
        self._columns: tuple[str, ...] = ()

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool = False) -> None:
        self._columns = axes.names

    def read(self, material: Material) -> Readings:
        ids, stated = material.messages.id, material.messages.expression
        silent = np.isnan(stated)
        if not silent.any():
            return Readings(self.name, "message", ids, self._columns, stated.copy(), np.ones(len(ids), dtype=bool))
        rows = np.any(~silent, axis=1)
        values = stated[rows]  # a copy, so the messages stay as they were
        return Readings(self.name, "message", ids[rows], self._columns, values, np.all(~silent[rows], axis=1))
