"""The seam to measurement: an instrument reads what was said or done and answers with numbers, or says that it could not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer
from contagium.envs.message import Axes, Messages
from contagium.envs.rng import Streams
from contagium.envs.world import Report

if TYPE_CHECKING:
    from contagium.sim.observer.instruments.interview import Item

Subject = Literal["message", "agent"]

Channel = str
"""Where something showed: "message" (in public), "thought" (in private), "report" (a self-report in the act), "interview:<item>"
(asked out of band), "act" (a choice), or "gap" (between two of these)."""

MESSAGE, THOUGHT, REPORT, INTERVIEW, ACT = "message", "thought", "report", "interview", "act"


@dataclass(frozen=True)
class Material:
    """What there is to read in one step.

    messages: those sent. By agent id: reports, the self-reports, failed and missing ones too; thoughts, private; choices, as
    places in `Briefing.choices`, −1 for no valid one; logprobs, the log-probability of each token said, where the backend gave
    them. answers: interview item → agent → answer; open_items: those answered in free words.
    """

    step: int
    messages: Messages
    reports: Mapping[int, Report] = field(default_factory=dict)
    thoughts: Mapping[int, str] = field(default_factory=dict)
    answers: Mapping[str, Mapping[int, Answer]] = field(default_factory=dict)
    open_items: frozenset[str] = frozenset()
    choices: Mapping[int, int] = field(default_factory=dict)
    logprobs: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


NOT_A_NUMBER = "not a number"
"""Why a reading failed whose instrument answered with something that is none."""


@dataclass(frozen=True)
class Readings:
    """What one instrument read on one channel.

    ids: (n,) messages on the channel "message", agents on every other; ascending. columns: names of the K columns; those named
    like an axis measure that axis, others are its parts ("spiral.ritual"). values: (n, K) float32. ok: (n,) bool; where it does
    not hold, or a value is not finite, the reading failed and its values are NaN. reasons: row → why it failed. quotes: (row,
    column) → the words that bear a value out. A subject the instrument has nothing to say about (a message without text) has no
    row at all. What can fail apart comes as several `Readings` of one channel, with different columns.
    """

    instrument: str
    channel: Channel
    ids: NDArray[np.int64]
    columns: tuple[str, ...]
    values: NDArray[np.float32]
    ok: NDArray[np.bool_]
    reasons: Mapping[int, str] = field(default_factory=dict)
    quotes: Mapping[tuple[int, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.ids), len(self.columns)) or self.ok.shape != (len(self.ids),):
            raise ValueError(f"{self.instrument}: values must be (ids, columns) and ok (ids,), got {self.values.shape}")
        finite = np.isfinite(self.values).all(axis=1)
        if np.any(self.ok & ~finite):
            reasons = dict.fromkeys(np.flatnonzero(self.ok & ~finite).tolist(), NOT_A_NUMBER)
            object.__setattr__(self, "reasons", {**reasons, **self.reasons})
            object.__setattr__(self, "ok", self.ok & finite)
        if not self.ok.all():
            self.values[~self.ok] = np.nan

    @property
    def subject(self) -> Subject:
        """What `ids` name."""
        return "message" if self.channel == MESSAGE else "agent"

    def on(self, axes: tuple[str, ...]) -> NDArray[np.float32]:
        """The readings on these axes (n, D): NaN on those this instrument does not measure."""
        if self.columns == axes:
            return self.values
        rows = np.full((len(self.ids), len(axes)), np.nan, dtype=np.float32)
        for k, column in enumerate(self.columns):
            if column in axes:
                rows[:, axes.index(column)] = self.values[:, k]
        return rows


@dataclass(frozen=True)
class Briefing:
    """What an instrument is told once, before anything is written.

    speaks: whether messages will carry words, so that an instrument that needs a model for them gets it now or says that it
    cannot. choices: what the world lets agents do. items: interview items by name. backends: language models this instrument may
    ask, by name; its only one under "". streams: keyed randomness.
    """

    axes: Axes
    personas: tuple[Persona, ...]
    speaks: bool = True
    choices: tuple[str, ...] = ()
    items: Mapping[str, Item] = field(default_factory=dict)
    backends: Mapping[str, Backend] = field(default_factory=dict)
    streams: Streams = field(default_factory=lambda: Streams(0))


@runtime_checkable
class Instrument(Protocol):
    """Turns what was said or done into readings.

    `name` is unique among the instruments of a run. public: whether it reads messages, and so can stand for an axis. `begin` is
    called once, before `read`; ValueError says what does not fit. `read` answers with a row for each subject it can speak of. It
    may be called for a step before its answer for an earlier one is there, and must not block the loop for long. provenance:
    what its numbers come from, as plain JSON: the fingerprint of its word lists, weights or rubric, the models it asks.
    """

    name: str

    @property
    def public(self) -> bool: ...

    def begin(self, briefing: Briefing) -> None: ...

    async def read(self, material: Material) -> list[Readings]: ...

    @property
    def provenance(self) -> dict[str, Any]: ...
