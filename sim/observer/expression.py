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
        declared = ~np.isnan(material.messages.expression)
        rows = declared.any(axis=1)
        values = material.messages.expression[rows]  # a copy, so the messages stay as they were
        return Readings(self.name, "message", material.messages.id[rows], self._columns, values, np.all(declared[rows], axis=1))
