"""The seam to measurement: an instrument reads what was said and answers with numbers, or says that it could not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.envs.message import Axes, Messages
from contagium.envs.world import Report

Subject = Literal["message", "agent"]


@dataclass(frozen=True)
class Material:
    """What there is to read in one step: the messages sent, and by agent id the self-reports, failed and missing ones too."""

    step: int
    messages: Messages
    reports: Mapping[int, Report] = field(default_factory=dict)


@dataclass(frozen=True)
class Readings:
    """What one instrument read.

    subject: whether `ids` (n,) are messages or agents. columns: names of the K columns; those named like an axis measure that
    axis, others are its parts ("spiral.ritual"). values: (n, K) float32. ok: (n,) bool; where it does not hold the reading
    failed and its values are NaN. A subject the instrument has nothing to say about (a message without text) has no row at all.
    """

    instrument: str
    subject: Subject
    ids: NDArray[np.int64]
    columns: tuple[str, ...]
    values: NDArray[np.float32]
    ok: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.ids), len(self.columns)) or self.ok.shape != (len(self.ids),):
            raise ValueError(f"{self.instrument}: values must be (ids, columns) and ok (ids,), got {self.values.shape}")
        good = bool(self.ok.all())
        if np.any(np.isnan(self.values if good else self.values[self.ok])):
            raise ValueError(f"{self.instrument}: a reading that is ok may not be NaN")
        if not good:
            self.values[~self.ok] = np.nan

    def on(self, axes: Axes) -> NDArray[np.float32]:
        """The readings as expression rows (n, D): NaN on axes this instrument does not measure."""
        if self.columns == axes.names:
            return self.values
        rows = np.full((len(self.ids), len(axes)), np.nan, dtype=np.float32)
        for k, column in enumerate(self.columns):
            if column in axes.names:
                rows[:, axes.index(column)] = self.values[:, k]
        return rows


class Instrument(Protocol):
    """Turns what was said into readings.

    `name` is unique among the instruments of a run. `begin` is called once, before anything is written; speaks: whether
    messages will carry words, so that an instrument that needs a model for them gets it now or says that it cannot. `read`
    answers with a row for each subject it can speak of.
    """

    name: str

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool) -> None: ...

    def read(self, material: Material) -> Readings: ...
