"""The observer: runs the instruments on what was said, and the case definition on what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Detection, Persona
from contagium.agents.policy import Population
from contagium.envs.message import AFFECT, SHOWN, Axes, Exposures, Messages
from contagium.sim.observer.case import COMPARTMENTS, Candidates, CaseDefinition, CaseMoves, CaseTracker
from contagium.sim.observer.instrument import Instrument, Material, Readings

STATED = "expression"
"""Name of the instrument that reads outright expressions; a strain axis counts as shown from 0.5 in it."""


def as_stated(read: NDArray[np.floating], enter: float | NDArray[np.floating]) -> NDArray[np.floating]:
    """Readings of words on the scale of outright expressions: 0.5 where they reach `enter`, 1 at most."""
    return np.clip(SHOWN * read / enter, 0.0, 1.0)


@dataclass(frozen=True)
class Seen:
    """What the observer made of one step.

    expression: (n, D), what stands for each message on each axis, NaN where there is none. A strain axis is on the scale of
    outright expressions, where a message shows the strain from 0.5 on, so that those who state and those who speak hear each
    other.
    """

    readings: list[Readings]
    expression: NDArray[np.float32]
    moves: dict[str, tuple[CaseMoves, Candidates]]


class Observer:
    """Reads messages on the run's axes and keeps the case compartments of every strain.

    chosen: axis → instruments whose readings stand for it, best first; for a message the first that has a good reading counts.
    speaks: whether there will be words to read, so that what reading them needs is made ready at once.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        chosen: Mapping[str, tuple[str, ...]],
        case: CaseDefinition,
        axes: Axes,
        personas: tuple[Persona, ...],
        population: Population,
        speaks: bool = True,
    ) -> None:
        self.axes, self.chosen = axes, chosen
        self._instruments = instruments
        self._case = case
        self._detection = {persona.name: persona.detection[case.instrument] for persona in personas}
        self.trackers = {strain: CaseTracker(case, population.strain == k) for k, strain in enumerate(axes.strains)}
        for instrument in instruments:
            instrument.begin(axes, personas, speaks)
        # What an instrument reads, it tells by what it makes of nothing.
        nothing = Material(-1, Messages.empty(len(axes)))
        readers = {r.instrument for r in (i.read(nothing) for i in instruments) if r.subject == "message"}
        for axis, names in chosen.items():
            if wrong := [name for name in names if name not in readers]:
                raise ValueError(f"observer: {wrong[0]} does not read messages, so it cannot stand for {axis}")

    def observe(self, material: Material) -> Seen:
        """Read one step's messages and move the compartments of their senders."""
        readings = [instrument.read(material) for instrument in self._instruments]
        messages = material.messages
        by_name = {r.instrument: self._aligned(r, messages.id) for r in readings if r.subject == "message"}
        silent = {r.instrument for r in readings if not len(r.ids)}
        expression = np.full((len(messages), len(self.axes)), np.nan, dtype=np.float32)
        for axis, names in self.chosen.items():
            column = self.axes.index(axis)
            # From the last to the first, each over what those behind it read.
            for k, name in enumerate(name for name in reversed(names) if name not in silent):
                read = by_name[name][:, column]
                if axis in self._detection and name != STATED:
                    read = as_stated(read, self._detection[axis].enter)
                expression[:, column] = np.where(np.isnan(read), expression[:, column], read) if k else read
        moves = {strain: self._judge(strain, material, by_name) for strain in self.axes.strains}
        return Seen(readings, expression, moves)

    def hear(self, exposures: Exposures, oldest: int) -> None:
        """Remember who heard what in this step, as candidate causes of what comes next."""
        for tracker in self.trackers.values():
            tracker.hear(exposures, oldest)

    def counts(self) -> list[tuple[str, str, int]]:
        """Strain, compartment, number of agents in it, as the observer sees them."""
        return [
            (strain, name, int(count))
            for strain, tracker in self.trackers.items()
            for name, count in zip(COMPARTMENTS, np.bincount(tracker.compartment, minlength=3), strict=True)
        ]

    def is_case(self) -> NDArray[np.bool_]:
        """Whether each agent is a case of any strain now, shape (N,)."""
        return np.any([tracker.compartment == 1 for tracker in self.trackers.values()], axis=0)

    def affect(self, expression: NDArray[np.float32]) -> list[tuple[str, str, int, float, float]]:
        """Axis, instruments, messages read, mean and standard deviation over the messages of a step."""
        rows = []
        for axis in AFFECT:
            values = expression[:, self.axes.index(axis)].astype(np.float64)
            values = values[~np.isnan(values)]
            if len(values):
                names = "+".join(self.chosen[axis])
                rows.append((axis, names, len(values), float(values.mean()), float(values.std())))
        return rows

    def _judge(self, strain: str, material: Material, by_name: Mapping[str, NDArray[np.float32]]) -> tuple[CaseMoves, Candidates]:
        """Compartment moves of a strain: words are judged by the case instrument, outright expressions by their value.

        Doses of both are on the scale of outright expressions, so that either kind is credited fairly as a cause.
        """
        ids, sender = material.messages.id, material.messages.sender
        column, tracker = self.axes.index(strain), self.trackers[strain]
        spoken = by_name[self._case.instrument][:, column]
        stated = by_name[STATED][:, column] if STATED in by_name else np.full(len(ids), np.nan, dtype=np.float32)
        outright = ~np.isnan(stated)
        detection: Detection = self._detection[strain]
        value = np.where(outright, stated, spoken)
        reached = value >= np.where(outright, SHOWN, detection.enter)
        held = value >= np.where(outright, SHOWN, detection.stay)
        known = ~np.isnan(value)
        dose = np.where(outright, stated, as_stated(spoken, detection.enter))
        tracker.show(ids, np.where(held, dose, 0.0).astype(np.float64))
        moves = tracker.read(material.step, sender[known], reached[known], held[known], certain=outright[known])
        return moves, tracker.candidates(moves)

    def _aligned(self, readings: Readings, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """An instrument's readings as rows of the messages `ids` (n,), NaN where it has none. Shape (n, D)."""
        if len(readings.ids) == len(ids):  # each message has its row
            return readings.on(self.axes)
        if not len(readings.ids):
            return np.broadcast_to(np.float32(np.nan), (len(ids), len(self.axes)))
        rows = np.full((len(ids), len(self.axes)), np.nan, dtype=np.float32)
        rows[np.searchsorted(ids, readings.ids)] = readings.on(self.axes)
        return rows
