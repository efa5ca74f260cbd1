"""What an agent says it feels, privately and from a closed list, as a position in affect space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from contagium.agents.structured import fold
from contagium.envs.message import AFFECT
from contagium.envs.world import Report
from contagium.sim.observer.instrument import REPORT, Briefing, Material, Readings
from contagium.sim.observer.texts import fingerprint

Unit = Annotated[float, Field(ge=-1, le=1)]
Position = tuple[Unit, Unit, Unit]


class SelfReport:
    """On the channel "report" a row for each agent that was asked; columns valence, arousal, dominance in [-1, 1].

    feelings: the closed list, label → position. Where labels stand in affect space is a convention of the circumplex (Russell
    1980) and of the pleasure-arousal-dominance model (Mehrabian 1996), so it is configuration and not part of the instrument.
    Case and white space do not matter. A report that failed or is missing, and one that is not on the list, is a failed reading.
    """

    public = False

    def __init__(self, feelings: Mapping[str, Position], name: str = "self_report") -> None:
        self.name = name
        self._positions = {fold(label): tuple(position) for label, position in feelings.items()}
        if len(self._positions) != len(feelings) or not feelings or "" in self._positions:
            raise ValueError(f"feelings must be different words, at least one, got {list(feelings)}")
        for label, position in self._positions.items():
            if len(position) != len(AFFECT) or not all(-1 <= x <= 1 for x in position):
                raise ValueError(f"a feeling must have {len(AFFECT)} numbers in [-1, 1], got {label}: {list(position)}")

    def begin(self, briefing: Briefing) -> None:
        """Nothing to prepare: the list is the same whatever spreads."""

    async def read(self, material: Material) -> list[Readings]:
        if not material.reports:
            return []
        agents = sorted(material.reports)
        unknown = (np.nan,) * len(AFFECT)
        found = [self._position(material.reports[agent]) for agent in agents]
        values = np.array([unknown if isinstance(one, str) else one for one in found], dtype=np.float32)
        reasons = {row: one for row, one in enumerate(found) if isinstance(one, str)}
        ids, ok = np.array(agents, dtype=np.int64), np.all(np.isfinite(values), axis=1)
        return [Readings(self.name, REPORT, ids, AFFECT, values, ok, reasons)]

    @property
    def provenance(self) -> dict[str, Any]:
        return {"feelings": fingerprint(repr(sorted(self._positions.items())))}

    def _position(self, report: Report) -> tuple[float, ...] | str:
        """Where a report stands, or why it stands nowhere."""
        if report.feeling is None:
            return report.raw if report.status == "missing" else "no feeling in it"
        return self._positions.get(fold(report.feeling), "not on the list")
