"""What a group of agents in a world carries: what it reads are contacts of a contagion model, and compartments show strains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.engine.discrete import Contacts, Course, Keys, Moves, advance, begin
from contagium.agents.policy import Setting
from contagium.envs.message import SHOWN, Channel, Inbox
from contagium.envs.rng import Streams
from contagium.envs.world import Observation, Transitions

LAYERS = tuple(channel.name.lower() for channel in Channel)
"""In a world the layer of a contact is the channel of its message."""


class Carriage:
    """The compartments of a group: one course of the model for each strain of the run, or one for all if it knows several.

    An agent in a compartment that shows a strain with strength s, and with expressiveness e, shows 0.5 + 0.5·s·min(e, 1) on its
    axis. A message does not tell the compartment of its sender: whoever reads it takes it to come from the one that shows
    nearest to what it reads, and its dose is the weight of the tie × what it reads, as a share of what that compartment shows
    in full. A message counts once, however long it waited to be read; time passes in full for progressions.
    """

    def __init__(self, model: ContagionModel, setting: Setting) -> None:
        self._model, self._setting = model, setting
        names = setting.axes.strains
        if model.strains > 1 and model.strains != len(names):
            raise ValueError(f"the model tells {model.strains} strains apart, but the run has {len(names)}: {', '.join(names)}")
        # Which strains each course is about.
        self._strains = [range(len(names))] if model.strains > 1 else [range(k, k + 1) for k in range(len(names))]
        self._tables = model.tables(LAYERS)
        self._levels = [_levels(model, k) for k in range(model.strains)]
        self._strength = np.column_stack([model.strength(k) for k in range(model.strains)] or [np.zeros(len(model.compartments))])
        self._seeded = setting.population.strain[setting.agents]
        self._courses: list[Course] = []

    @property
    def compartment(self) -> NDArray[np.int8]:
        """Compartments of the group, (n, courses), as numbered in the model; before the first step where agents start."""
        now = [course.compartment for course in self._courses] or [self._start(strains) for strains in self._strains]
        return np.array(now, dtype=np.int8).reshape(len(now), len(self._seeded)).T

    def step(
        self,
        rows: NDArray[np.int64],
        elapsed: NDArray[np.float64],
        scale: NDArray[np.float64],
        observation: Observation,
        rng: Streams,
    ) -> dict[str, Transitions]:
        """Move the agents at `rows` (n,) on by what they read and by themselves. By strain, the transitions there were.

        elapsed: (n,) steps since they last acted. scale: (n, K), multiplies the hazard of catching each strain.
        """
        keys = [Keys.of(rng, f"contagion:{self._name(strains)}") for strains in self._strains]
        ids = self._setting.agents
        if not self._courses:
            self._courses = [begin(self._tables, self._start(s), ids, k) for s, k in zip(self._strains, keys, strict=True)]
        moved: dict[str, Transitions] = {}
        for c, strains in enumerate(self._strains):
            contacts = self._contacts(observation.inbox, strains)
            course, everybody = self._courses[c], len(rows) == len(ids)
            mine = course if everybody else course.take(rows)
            # A message is one contact however long its reader waited.
            per_step = scale[:, strains.start : strains.stop] / np.maximum(elapsed, 1.0)[:, None]
            now, step = float(observation.step), observation.step
            after, moves = advance(self._tables, contacts, mine, now, elapsed, per_step, observation.agents, keys[c], step)
            self._courses[c] = after if everybody else course.put(rows, after)
            moved |= self._transitions(moves, strains, observation)
        return moved

    def strength(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """How strongly the agents at `rows` (n,) show each strain, 0 for not at all. Shape (n, K)."""
        now = self.compartment[rows]
        return self._strength[now].reshape(len(rows), len(self._setting.axes.strains))

    def expression(self, strength: NDArray[np.float64], expressiveness: NDArray[np.float64]) -> NDArray[np.float64]:
        """What agents that show strains with this strength (n, K) have on the strain axes; expressiveness: (n,). Shape (n, K)."""
        shown = SHOWN + (1 - SHOWN) * strength * np.minimum(expressiveness, 1.0)[:, None]
        return np.where(strength > 0, shown, 0.0)

    def counts(self) -> dict[str, dict[str, int]]:
        """By strain, how many of the group are in each compartment; a model of several strains counts under the first."""
        names = self._model.compartments
        return {
            self._setting.axes.strains[strains[0]]: dict(
                zip(names, np.bincount(course.compartment, minlength=len(names)).tolist(), strict=True)
            )
            for strains, course in zip(self._strains, self._courses, strict=True)
        }

    def _name(self, strains: range) -> str:
        return "+".join(self._setting.axes.strains[k] for k in strains)

    def _start(self, strains: range) -> NDArray[np.int8]:
        compartment = np.zeros(len(self._seeded), dtype=np.int8)
        for place, k in enumerate(strains):
            compartment[self._seeded == k] = self._model.code(self._model.starts[place])
        return compartment

    def _contacts(self, inbox: Inbox, strains: range) -> Contacts:
        """Each message heard, once for each strain of a course: as a source if it shows it, and the first as a contact at all."""
        read = np.nan_to_num(inbox.messages.expression[:, [3 + k for k in strains]].astype(np.float64))
        shows = read >= SHOWN
        state, dose = np.full(read.shape, -1, dtype=np.int8), np.where(shows, read, 0.0)
        for place, (codes, levels) in enumerate(self._levels):
            nearest = np.abs(read[:, place, None] - levels).argmin(axis=1) if len(codes) > 1 else np.zeros(len(read), dtype=int)
            if len(codes):
                state[:, place] = np.where(shows[:, place], codes[nearest], -1)
                dose[:, place] /= levels[nearest]
        # What shows nothing is heard all the same: it counts where a share of all that is heard decides.
        dose[:, 0] = np.where(shows.any(axis=1), dose[:, 0], 1.0)
        count = len(strains)
        who = (inbox.row[:, None] * count + np.arange(count)).reshape(-1).astype(np.int32)
        weight = (inbox.weight[:, None] * dose[inbox.row]).reshape(-1)
        layered = any(t.layer is not None for t in self._model.transmissions)
        layer = inbox.messages.channel[inbox.row].repeat(count) if layered else np.empty(0, dtype=np.int8)
        return Contacts(inbox.indptr * count, who, state.reshape(-1), weight, layer)

    def _transitions(self, moves: Moves, strains: range, observation: Observation) -> dict[str, Transitions]:
        inbox, names = observation.inbox, np.asarray(self._model.compartments)
        caused = np.flatnonzero(moves.contact >= 0)
        row = inbox.row[moves.contact[caused] // len(strains)]
        cause, source = np.full((2, len(moves.rows)), -1)
        cause[caused], source[caused] = inbox.messages.id[row], inbox.messages.sender[row]
        agent, origin, target = observation.agents[moves.rows], names[moves.origin], names[moves.target]
        # A move belongs to the strain that its target shows, or else its origin, or else to the first.
        shown = self._strength[moves.target] + 0.5 * self._strength[moves.origin]
        of = shown.argmax(axis=1) if len(strains) > 1 else np.zeros(len(agent), dtype=np.int64)
        found = {}
        for place, k in enumerate(strains):
            mine = of == place
            found[self._setting.axes.strains[k]] = Transitions(agent[mine], origin[mine], target[mine], cause[mine], source[mine])
        return found


def _levels(model: ContagionModel, strain: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """The compartments that show a strain, and what each shows in full, one for each strength.

    ValueError: two that show the same spread differently, so that a message cannot tell what it brings.
    """
    by_strength: dict[float, str] = {}
    for shows in (s for s in model.shown if s.strain == strain):
        first = by_strength.setdefault(shows.strength, shows.compartment)
        if _spread(model, first) != _spread(model, shows.compartment):
            raise ValueError(
                f"compartments {first} and {shows.compartment} show the same and spread differently: no message can tell them "
                "apart; give them different strengths in shows"
            )
    codes = np.array([model.code(name) for name in by_strength.values()], dtype=np.int8)
    return codes, np.array([SHOWN + (1 - SHOWN) * strength for strength in by_strength])


def _spread(model: ContagionModel, source: str) -> set[tuple[object, ...]]:
    return {(t.origin, t.target, t.rate, t.layer, t.response) for t in model.transmissions if t.source == source}
