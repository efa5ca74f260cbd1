"""What an agent says it feels, privately and from a closed list, as a position in affect space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from contagium.agents.persona import Persona
from contagium.envs.message import AFFECT, Axes
from contagium.sim.observer.instrument import Material, Readings

Unit = Annotated[float, Field(ge=-1, le=1)]
Position = tuple[Unit, Unit, Unit]


class SelfReport:
    """A row for each agent that was asked; columns valence, arousal, dominance in [-1, 1].

    feelings: the closed list, label → position. Where labels stand in affect space is a convention of the circumplex (Russell
    1980) and of the pleasure-arousal-dominance model (Mehrabian 1996), so it is configuration and not part of the instrument.
    Case and white space do not matter. A report that failed or is missing, and one that is not on the list, is a failed reading.
    """

    def __init__(self, feelings: Mapping[str, Position], name: str = "self_report") -> None:
        self.name = name
        self._positions = {_plain(label): tuple(position) for label, position in feelings.items()}
        if len(self._positions) != len(feelings) or not feelings or "" in self._positions:
            raise ValueError(f"feelings must be different words, at least one, got {list(feelings)}")
        for label, position in self._positions.items():
            if len(position) != len(AFFECT) or not all(-1 <= x <= 1 for x in position):
                raise ValueError(f"a feeling must have {len(AFFECT)} numbers in [-1, 1], got {label}: {list(position)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The closed list, as it is to be offered."""
        return tuple(self._positions)

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool = False) -> None:
        """Nothing to prepare: the list is the same whatever spreads."""

    def read(self, material: Material) -> Readings:
        agents = sorted(material.reports)
        unknown = (np.nan,) * len(AFFECT)
        felt = [material.reports[agent].feeling for agent in agents]
        rows = [unknown if label is None else self._positions.get(_plain(label), unknown) for label in felt]
        values = np.array(rows, dtype=np.float32).reshape(-1, len(AFFECT))
        ids = np.array(agents, dtype=np.int64)
        return Readings(self.name, "agent", ids, AFFECT, values, np.all(np.isfinite(values), axis=1))


def _plain(label: str) -> str:
    return " ".join(label.split()).casefold()
