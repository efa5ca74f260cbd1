"""The mechanistic policy: a whole group acts in a few array operations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.affect import Affect, Feeling, Held, permitted
from contagium.agents.mechanistic.bank import Bank
from contagium.agents.mechanistic.belief import Belief, Heard
from contagium.agents.mechanistic.carriage import Carriage
from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.coupling import Coupling, History
from contagium.agents.mechanistic.models import sir
from contagium.agents.policy import Answer, Clamp, Deed, Immunise, Question, Release, Setting, nothing_to_undergo
from contagium.agents.strains import refuse_gates
from contagium.envs.message import SHOWN, Inbox, row_pointer
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, Transitions


class Mechanistic:
    """Agents that carry strains by a contagion model, have an affect and, where the run has stances, opinions, and show them.

    model: compartments and rates; the same for each strain, unless it tells several strains apart. An exposure is a contact: its
    hazard is rate × weight of the tie × susceptibility of the hearer × how strongly the message shows the strain; see `Carriage`.
    affect: how affect moves, and what it does to acts. coupling: how affect, opinions and strains act on each other.
    belief: how opinions move. Each agent starts with one drawn between the two ends of `opinion`, in [-1, 1], on each stance.
    preference, slant: of the choices of the world by name, 0 where not given: log-odds, and what a unit of valence times
    `affect.spillover` adds to them. bank: texts in which speaking agents hear what these express; None: messages without words.
    """

    undergoes: tuple[type[Deed], ...] = (Clamp, Release, Immunise)

    def __init__(
        self,
        model: ContagionModel | None = None,
        affect: Affect | None = None,
        coupling: Coupling | None = None,
        belief: Belief | None = None,
        opinion: tuple[float, float] = (-1.0, 1.0),
        preference: Mapping[str, float] | None = None,
        slant: Mapping[str, float] | None = None,
        bank: Bank | None = None,
    ) -> None:
        if not -1 <= opinion[0] <= opinion[1] <= 1:
            raise ValueError(f"opinion must be two ascending numbers in [-1, 1], got {opinion[0]} and {opinion[1]}")
        self._model, self._law, self._coupling = model or sir(), affect or Affect(), coupling or Coupling()
        self._belief, self._between, self._bank = belief, opinion, bank
        self._preference, self._slant = dict(preference or {}), dict(slant or {})
        for name, given in (("preference", self._preference), ("slant", self._slant)):
            if wrong := [(choice, value) for choice, value in given.items() if not math.isfinite(value)]:
                raise ValueError(f"{name} must be finite, got {wrong[0][1]} for {wrong[0][0]}")
        self.speaks = bank is not None
        self.independent = False

    def begin(self, setting: Setting) -> None:
        refuse_gates(setting)
        self._setting = setting
        size, axes = len(setting.agents), setting.axes
        self._carriage = Carriage(self._model, setting)
        self._baseline = np.tile(np.asarray(setting.background.affect, dtype=np.float64), (size, 1))
        if setting.population.temperament is not None:
            self._baseline = np.clip(self._baseline + setting.population.temperament[setting.agents], -1.0, 1.0)
        self._feeling, self._held = Feeling.at(self._baseline.copy()), Held(size)
        self._immunity: NDArray[np.float64] | None = None
        self._history = History.blank(size, len(axes.strains))
        # No time has passed at step 0: an index case shows its strain before it can recover, as everybody else does.
        self._acted = np.zeros(size, dtype=np.int64)
        self._opinion: NDArray[np.float64] | None = None
        if (self._belief is None) != (not axes.stances):
            lacks = "a law of beliefs" if self._belief is None else "stances to be about"
            raise ValueError(f"opinions need {lacks}: belief and stances go together")
        if self._belief is None and self._coupling.bound is not None:
            raise ValueError(f"coupling.bound is about opinions, got {self._coupling.bound} without a belief")
        self._words = None if self._bank is None else self._bank.fitted(axes, setting.personas, setting.background)
        for name, given in (("preference", self._preference), ("slant", self._slant)):
            if unknown := sorted(set(given) - set(setting.choices)):
                offered = ", ".join(setting.choices) or "none"
                raise ValueError(f"{name}: no choice {unknown[0]!r}; the choices of this world are: {offered}")

    @property
    def compartment(self) -> NDArray[np.int8]:
        """Compartments of the group, one column for each strain or one for all, as numbered in the model."""
        return self._carriage.compartment

    @property
    def affect(self) -> NDArray[np.float64]:
        """What the group feels, (n, 3)."""
        return self._feeling.affect

    @property
    def opinion(self) -> NDArray[np.float64] | None:
        """Opinions of the group, (n, stances), None before the first step or without a law of beliefs."""
        return self._opinion

    async def act(self, observation: Observation, rng: Streams) -> Act:
        agents, setting = observation.agents, self._setting
        rows = np.arange(len(agents)) if len(agents) == len(setting.agents) else np.searchsorted(setting.agents, agents)
        elapsed = (observation.step - self._acted[rows]).astype(np.float64)
        self._acted[rows] = observation.step
        observation = self._admit(rows, observation, rng)
        act = Act.idle(agents, len(setting.axes))
        strength, latent = self._catch(rows, elapsed, observation, rng)
        act.latent.update(latent)
        act.counts.update(self._carriage.counts())
        baseline = self._feel(rows, elapsed, strength > 0, observation)
        if self._opinion is not None:
            self._believe(rows, observation, rng)
        self._express(act, rows, strength)
        chance = self._law.speaks(self._feeling.affect[rows], baseline)
        act.says[:] = True if np.all(chance == 1) else rng.uniform("activity", observation.step, agents) < chance
        if setting.choices:
            self._choose(act, rows, observation, rng)
        if self._words is not None:
            self._utter(act, self._words, observation, rng)
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: they are numbers and have no words of their own."""
        return {}

    def undergo(self, deed: Deed) -> None:
        rows = np.searchsorted(self._setting.agents, deed.agents)
        match deed:
            case Clamp(affect=affect):
                self._held.hold(rows, affect)
                self._feeling.affect[rows] = self._held.apply(rows, self._feeling.affect[rows])
            case Release():
                self._held.release(rows)
            case Immunise(share=share):
                self._immunity = np.ones(len(self._setting.agents)) if self._immunity is None else self._immunity
                self._immunity[rows] = share
            case _:
                nothing_to_undergo(self, deed)

    def _admit(self, rows: NDArray[np.int64], observation: Observation, rng: Streams) -> Observation:
        """The observation without the messages that opinions keep out."""
        if self._belief is None:
            return observation
        setting, inbox = self._setting, observation.inbox
        if self._opinion is None:
            low, high = self._between
            draws = [rng.uniform(f"opinion:{name}", 0, setting.agents) for name in setting.axes.stances]
            self._opinion = low + (high - low) * np.column_stack(draws)
            self._anchor = self._opinion.copy()
        if self._coupling.bound is None:
            return observation
        stated = inbox.messages.expression[:, self._stances].astype(np.float64)[inbox.row]
        own = self._opinion[rows[inbox.reader]]
        kept = np.all([self._coupling.admits(own[:, k], stated[:, k]) for k in range(own.shape[1])], axis=0)
        indptr = row_pointer(inbox.reader[kept], len(rows))
        return replace(observation, inbox=Inbox(inbox.messages, indptr, inbox.row[kept], inbox.weight[kept]))

    def _catch(
        self, rows: NDArray[np.int64], elapsed: NDArray[np.float64], observation: Observation, rng: Streams
    ) -> tuple[NDArray[np.float64], dict[str, Transitions]]:
        """Each strain moves on by what was heard and by itself: how strongly each agent shows it now (n, K), and transitions."""
        inbox, coupling = observation.inbox, self._coupling
        before = self._carriage.strength(rows) if coupling.fatigue or coupling.immunity else None
        susceptibility = self._setting.population.susceptibility[observation.agents]
        if self._immunity is not None:
            susceptibility = susceptibility * self._immunity[rows]
        scale = susceptibility[:, None] * coupling.hazard(self._feeling.affect[rows], self._history.take(rows))
        latent = self._carriage.step(rows, elapsed, scale, observation, rng)
        strength = self._carriage.strength(rows)
        if before is not None:
            shows = inbox.messages.expression[:, self._strains] >= SHOWN
            heard = [np.bincount(inbox.reader[shows[inbox.row, k]], minlength=len(rows)) for k in range(shows.shape[1])]
            ended = (before > 0) & (strength == 0)
            self._history.put(rows, coupling.lived(self._history.take(rows), np.column_stack(heard), ended, elapsed))
        return strength, latent

    def _feel(
        self, rows: NDArray[np.int64], elapsed: NDArray[np.float64], shows: NDArray[np.bool_], observation: Observation
    ) -> NDArray[np.float64]:
        """Affect moves; the baseline it relaxes to is returned, (n, 3)."""
        inbox, setting = observation.inbox, self._setting
        persona = np.array([p.affect for p in setting.personas], dtype=np.float64)
        baseline = self._coupling.baseline(self._baseline[rows], persona, shows)
        heard = inbox.mean(3)
        push = np.zeros((len(rows), 3)) if observation.pressure is None else observation.pressure.push
        susceptibility = setting.population.susceptibility[observation.agents]
        now = self._law.step(self._feeling.take(rows), baseline, heard, susceptibility, push, elapsed)
        self._feeling.put(rows, replace(now, affect=self._held.apply(rows, now.affect)))
        return baseline

    def _believe(self, rows: NDArray[np.int64], observation: Observation, rng: Streams) -> None:
        """Opinions move; the anchor of each is where it began."""
        inbox, agents = observation.inbox, observation.agents
        assert self._belief is not None
        assert self._opinion is not None
        susceptibility = self._setting.population.susceptibility[agents]
        for k, name in enumerate(self._setting.axes.stances):
            stated = inbox.messages.expression[inbox.row, self._stances[k]].astype(np.float64)
            draw = rng.uniform(f"listen:{name}", observation.step, agents)
            heard = Heard(inbox.reader, stated, inbox.weight, draw)
            self._opinion[rows, k] = self._belief.step(self._opinion[rows, k], heard, self._anchor[rows, k], susceptibility)

    def _express(self, act: Act, rows: NDArray[np.int64], strength: NDArray[np.float64]) -> None:
        affect = self._feeling.affect[rows]
        expressiveness = self._setting.population.expressiveness[act.agents]
        act.expression[:, :3] = np.clip(affect * expressiveness[:, None], -1, 1)
        shed = expressiveness * self._coupling.shown(affect)
        act.expression[:, self._strains] = self._carriage.expression(strength, shed)
        if self._opinion is not None:
            act.expression[:, self._stances] = self._opinion[rows]

    def _choose(self, act: Act, rows: NDArray[np.int64], observation: Observation, rng: Streams) -> None:
        names = self._setting.choices
        preference = np.tile([self._preference.get(name, 0.0) for name in names], (len(rows), 1))
        slant = np.array([self._slant.get(name, 0.0) for name in names])
        chance = permitted(self._law.chooses(preference, slant, self._feeling.affect[rows, 0]), observation.allowed)
        draw = rng.uniform("choice", observation.step, observation.agents)
        act.choice[:] = np.minimum((chance.cumsum(axis=1) <= draw[:, None]).sum(axis=1), len(names) - 1)

    def _utter(self, act: Act, words: Bank, observation: Observation, rng: Streams) -> None:
        """Put words to the messages that somebody may read as words: a text of the bank that is near to what is expressed."""
        says = act.says
        if (listened := self._setting.listened(observation.step)) is not None:
            says = says & np.isin(act.agents, listened)
        at = np.flatnonzero(says)
        if len(at):
            draw = rng.uniform("utter", observation.step, act.agents[at])
            texts = words.draw(act.expression[at], self._setting.axes, draw)
            act.text.update({agent: words.texts[row] for agent, row in zip(act.agents[at].tolist(), texts, strict=True)})

    @property
    def _strains(self) -> slice:
        """The columns of strains in an expression."""
        return slice(3, 3 + len(self._setting.axes.strains))

    @property
    def _stances(self) -> list[int]:
        """The columns of stances in an expression."""
        axes = self._setting.axes
        return [axes.index(name) for name in axes.stances]
