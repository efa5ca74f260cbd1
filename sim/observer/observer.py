"""The observer: runs the instruments on what was said and done, and the case definition on what they read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Detection, Persona
from contagium.agents.policy import Population
from contagium.envs.message import SHOWN, Axes, Exposures
from contagium.sim.observer.case import COMPARTMENTS, Carrier, CaseDefinition, StateDefinition
from contagium.sim.observer.gap import gaps
from contagium.sim.observer.instrument import INTERVIEW, MESSAGE, Instrument, Material, Readings
from contagium.sim.observer.tracker import Candidates, CaseMoves, CaseTracker

STATED = "expression"
"""Name of the instrument that reads outright expressions; a strain axis counts as shown from 0.5 in it."""


def as_stated(read: NDArray[np.floating], enter: float | NDArray[np.floating]) -> NDArray[np.floating]:
    """Readings of words on the scale of outright expressions: 0.5 where they reach `enter`, 1 at most."""
    return np.clip(SHOWN * read / enter, 0.0, 1.0)


@dataclass(frozen=True)
class Seen:
    """What the observer made of one step.

    measured: what stands for each message on each axis and measure of `Observer.chosen`, (n,) each, NaN where there is none. A
    strain axis is on the scale of outright expressions, where a message shows the strain from 0.5 on, so that those who state and
    those who speak hear each other. moves: of each strain and state, with the candidate causes of those that begin a case.
    """

    readings: list[Readings]
    measured: dict[str, NDArray[np.float32]]
    moves: dict[str, tuple[CaseMoves, Candidates]]

    def expression(self, axes: Axes) -> NDArray[np.float32]:
        """What stands for each message as an expression row, (n, D), NaN where nothing does."""
        first = next(iter(self.measured.values()))
        missing = np.full(len(first), np.nan, dtype=np.float32)
        return np.stack([self.measured.get(axis, missing) for axis in axes.names], axis=1)


class Observer:
    """Reads what happens on the run's axes and keeps the case compartments of every strain, and of every emotional state.

    instruments: begun. chosen: axis, or other measure, → instruments whose readings stand for it, best first; for a message the
    first that has a good reading counts. states: name → when an agent is a case of it. ValueError: a case definition asks for
    what a persona does not have.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        chosen: Mapping[str, tuple[str, ...]],
        case: CaseDefinition,
        axes: Axes,
        personas: tuple[Persona, ...],
        population: Population,
        states: Mapping[str, StateDefinition] = MappingProxyType({}),
    ) -> None:
        self.axes, self.chosen = axes, chosen
        self._instruments = instruments
        private = {instrument.name for instrument in instruments if not instrument.public}
        for axis, names in chosen.items():
            if wrong := [name for name in names if name in private]:
                raise ValueError(f"axes: {wrong[0]} does not read messages, so it cannot stand for {axis}")
        self._case, self._states = case, states
        self._detection = {persona.name: persona.detection[case.instrument] for persona in personas}
        self._carriage = {p.name: _carriage(case.carrier, p) for p in personas} if case.carrier else {}
        if (sheds := case.shedding) is not None:
            _must_have(personas, sheds.facet)
        self.trackers = {strain: CaseTracker(case, population.strain == k) for k, strain in enumerate(axes.strains)}
        nobody = np.zeros(population.size, dtype=bool)
        self.trackers |= {name: CaseTracker(rule, nobody) for name, rule in states.items()}

    @property
    def provenance(self) -> dict[str, dict[str, object]]:
        """Instrument → what its numbers come from."""
        return {instrument.name: instrument.provenance for instrument in self._instruments}

    async def observe(self, material: Material) -> Seen:
        """Read one step and move the compartments of those who acted."""
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(instrument.read(material)) for instrument in self._instruments]
        readings = [one for task in reading for one in task.result()]
        if any(one.channel != MESSAGE for one in readings):
            ids, sender = material.messages.id, material.messages.sender
            readings += gaps(readings, dict(zip(ids.tolist(), sender.tolist(), strict=True)), self.chosen)
        public = _Public(material.messages.id, readings)
        measured = {measure: self._standing(measure, names, public) for measure, names in self.chosen.items()}
        moves = {strain: self._judge(strain, material, public, readings) for strain in self.axes.strains}
        moves |= {name: self._judge_state(name, rule, material, measured[rule.axis]) for name, rule in self._states.items()}
        return Seen(readings, measured, moves)

    def _standing(self, measure: str, names: Sequence[str], public: _Public) -> NDArray[np.float32]:
        """What stands for each message on an axis or other measure, (n,)."""
        standing: NDArray[np.float32] | None = None
        # From the last to the first, each over what those behind it read.
        for name in reversed(names):
            if (read := public.read(name, measure)) is None:
                continue
            if measure in self._detection and name != STATED:
                read = as_stated(read, self._detection[measure].enter)
            standing = read if standing is None else np.where(np.isnan(read), standing, read)
        return public.nothing if standing is None else standing

    def hear(self, exposures: Exposures, oldest: int) -> dict[str, CaseMoves]:
        """Remember who heard what in this step, as candidate causes of what comes next; who is exposed by it, by strain."""
        return {name: tracker.hear(exposures, oldest) for name, tracker in self.trackers.items()}

    def counts(self) -> list[tuple[str, str, int]]:
        """Strain or state, compartment, number of agents in it, as the observer sees them."""
        rows = []
        for name, tracker in self.trackers.items():
            counts = np.bincount(tracker.compartment, minlength=len(COMPARTMENTS))
            rows += [(name, COMPARTMENTS[code], int(counts[code])) for code in tracker.compartments]
        return rows

    def is_case(self) -> NDArray[np.bool_]:
        """Whether each agent is a case of any strain now, shape (N,)."""
        return np.any([self.trackers[strain].is_case for strain in self.axes.strains], axis=0)

    def means(self, seen: Seen) -> list[tuple[str, str, int, float, float]]:
        """Measure, instruments, messages read, mean and standard deviation over the messages of a step.

        Of every axis and measure but the strains, whose course the compartments tell.
        """
        rows = []
        for measure, values in seen.measured.items():
            known = values[~np.isnan(values)].astype(np.float64)
            if len(known) and measure not in self._detection:
                rows.append((measure, "+".join(self.chosen[measure]), len(known), float(known.mean()), float(known.std())))
        return rows

    def _judge(
        self, strain: str, material: Material, public: _Public, readings: Sequence[Readings]
    ) -> tuple[CaseMoves, Candidates]:
        """Compartment moves of a strain: words are judged by the case instrument, outright expressions by their value.

        Doses of both are on the scale of outright expressions, so that either kind is credited fairly as a cause.
        """
        ids, sender, step, tracker = material.messages.id, material.messages.sender, material.step, self.trackers[strain]
        spoken, stated = (public.known(name, strain) for name in (self._case.instrument, STATED))
        outright = ~np.isnan(stated)
        detection: Detection = self._detection[strain]
        value = np.where(outright, stated, spoken)
        # Rounded as readings are, or one that lies on a threshold would not reach it.
        shown, enter, stay = np.array([SHOWN, detection.enter, detection.stay], dtype=np.float32)
        reached, held = value >= np.where(outright, shown, enter), value >= np.where(outright, shown, stay)
        known = ~np.isnan(value)
        dose = np.where(outright, stated, as_stated(spoken, detection.enter))
        tracker.show(ids, np.where(held, dose, 0.0).astype(np.float64))
        parts = [tracker.read(step, sender[known], reached[known], held[known], certain=outright[known])]
        if (rule := self._case.shedding) is not None:
            asks = public.known(rule.instrument, f"{strain}.{rule.facet}")
            heard = ~np.isnan(asks)
            parts.append(tracker.shed(step, sender[heard], asks[heard] >= rule.enter))
        if self._case.carrier is not None:
            parts.append(tracker.asked(step, *self._answered(strain, self._case.carrier, readings)))
        moves = CaseMoves.join(parts)
        return moves, tracker.candidates(moves)

    def _answered(self, strain: str, rule: Carrier, readings: Sequence[Readings]) -> tuple[NDArray[Any], ...]:
        """Agents (n,) whose answers were read, whether each carries the strain, whether it is clear of it: by its highest."""
        channels, (enter, stay) = {f"{INTERVIEW}:{item}" for item in rule.items}, self._carriage[strain]
        highest: dict[int, float] = {}
        for one in readings:
            if one.instrument == rule.instrument and one.channel in channels and strain in one.columns:
                values = one.values[one.ok, one.columns.index(strain)].tolist()
                for agent, value in zip(one.ids[one.ok].tolist(), values, strict=True):
                    highest[agent] = max(value, highest.get(agent, value))
        found = np.array([highest[agent] for agent in sorted(highest)], dtype=np.float32)
        return np.array(sorted(highest), dtype=np.int64), found >= np.float32(enter), found < np.float32(stay)

    def _judge_state(
        self, name: str, rule: StateDefinition, material: Material, read: NDArray[np.float32]
    ) -> tuple[CaseMoves, Candidates]:
        """Compartment moves of an emotional state, by how far each message is on the way to the threshold."""
        tracker, known, towards = self.trackers[name], ~np.isnan(read), np.float32(np.sign(rule.enter))
        enter, stay = np.array([rule.enter, rule.stay], dtype=np.float32)
        reached, held = towards * read >= towards * enter, towards * read >= towards * stay
        dose = as_stated(read, enter)
        tracker.show(material.messages.id, np.where(held, dose, 0.0).astype(np.float64))
        moves = tracker.read(material.step, material.messages.sender[known], reached[known], held[known])
        return moves, tracker.candidates(moves)


def _must_have(personas: Sequence[Persona], facet: str) -> None:
    for persona in personas:
        if facet not in persona.facets:
            has = ", ".join(persona.facets) or "none"
            raise ValueError(f"case.shedding: persona {persona.name} has no facet {facet} (it has: {has})")


def _carriage(rule: Carrier, persona: Persona) -> tuple[float, float]:
    """The thresholds of a reading of an answer: from where on an agent carries the persona, and until where."""
    known = persona.detection.get(rule.instrument)
    enter = known.enter if rule.enter is None and known else rule.enter
    stay = known.stay if rule.stay is None and known else rule.stay
    if enter is None:
        raise ValueError(
            f"case.carrier: persona {persona.name} has no thresholds for {rule.instrument}; give enter and stay, or "
            f"persona.detection.{rule.instrument}"
        )
    if rule.stay is not None and rule.stay > enter:
        raise ValueError(f"case.carrier: stay must be at most enter ({enter:g}, of persona {persona.name}), got {rule.stay:g}")
    return enter, enter if stay is None else min(stay, enter)


class _Public:
    """What was read of the messages `ids` (n,), by instrument and column."""

    def __init__(self, ids: NDArray[np.int64], readings: Sequence[Readings]) -> None:
        self._ids = ids
        self._by_column: dict[tuple[str, str], tuple[Readings, int]] = {}
        for one in readings:
            if one.channel == MESSAGE and len(one.ids):
                self._by_column |= {(one.instrument, column): (one, k) for k, column in enumerate(one.columns)}
        self.nothing = np.full(len(ids), np.nan, dtype=np.float32)

    def known(self, instrument: str, column: str) -> NDArray[np.float32]:
        """A column for each message, (n,), NaN where it has no good reading."""
        read = self.read(instrument, column)
        return self.nothing if read is None else read

    def read(self, instrument: str, column: str) -> NDArray[np.float32] | None:
        """A column for each message, (n,), NaN where it has no good reading; None where the instrument read none at all."""
        if (found := self._by_column.get((instrument, column))) is None:
            return None
        readings, k = found
        if np.array_equal(readings.ids, self._ids):  # each message has its row
            return readings.values[:, k]
        values = self.nothing.copy()
        mine = np.isin(readings.ids, self._ids)
        values[np.searchsorted(self._ids, readings.ids[mine])] = readings.values[mine, k]
        return values
