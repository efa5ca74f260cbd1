"""The mechanistic policy: a whole group acts in a few array operations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.affect import Affect, mean_heard
from contagium.agents.mechanistic.contagion import Contacts, ContagionModel, Moves, advance, sir
from contagium.agents.policy import Answer, Question, Setting
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, Transitions

SHOWN = 0.5
"""A message whose strain axis reads at least this much is heard as infectious."""


class Mechanistic:
    """Agents that carry each strain by a contagion model and have an affect, and show both in every message.

    model: compartments and rates, the same for each strain; at most one compartment is infectious, for a message does not tell
    in which its sender is. affect: how affect moves. utters: whether messages carry words too, a line of the persona the agent
    shows, so that speaking agents can hear them. An infectious agent's messages read from 0.5 to 1 on the strain axis, the more
    the more expressive it is. An exposure is a contact: its hazard is rate × weight of the tie × susceptibility of the hearer ×
    how strongly the message shows the strain.
    """

    def __init__(self, model: ContagionModel | None = None, affect: Affect | None = None, utters: bool = False) -> None:
        self._model = model or sir()
        infectious = np.flatnonzero(self._model.shedding)
        if len(infectious) > 1:
            named = ", ".join(self._model.compartments[code] for code in infectious)
            raise ValueError(f"the model of mechanistic agents may have one infectious compartment, got {named}")
        self._sheds = int(infectious[0]) if len(infectious) else -1
        self._affect_law = affect or Affect()
        self.speaks = utters
        self.independent = False

    def begin(self, setting: Setting) -> None:
        for persona in (setting.background, *setting.personas) if self.speaks else ():
            if not persona.examples:
                raise ValueError(f"mechanistic agents that utter need lines, but persona {persona.name} has no examples")
        self._setting = setting
        size, strains = len(setting.agents), len(setting.personas)
        seeded = setting.population.strain[setting.agents]
        self.compartment = np.zeros((size, strains), dtype=np.int64)
        for k in range(strains):
            self.compartment[seeded == k, k] = self._model.code(self._model.seeded)
        self.affect = np.tile(np.asarray(setting.background.affect), (size, 1))
        # No time has passed at step 0: an index case shows its strain before it can recover, as everybody else does.
        self._acted = np.zeros(size, dtype=np.int64)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        rows = np.searchsorted(self._setting.agents, observation.agents)
        elapsed = (observation.step - self._acted[rows]).astype(np.float64)
        self._acted[rows] = observation.step
        latent = self._catch(rows, elapsed, observation, rng)
        self._feel(rows, elapsed, observation)
        act = Act.idle(observation.agents, len(self._setting.axes))
        act.says[:] = True
        act.latent.update(latent)
        shows = self._model.shedding[self.compartment[rows]]
        strength = self._setting.population.expressiveness[observation.agents][:, None]
        act.expression[:, :3] = np.clip(self.affect[rows] * strength, -1, 1)
        act.expression[:, 3:] = np.where(shows, SHOWN + (1 - SHOWN) * np.minimum(strength, 1.0), 0.0)
        if self.speaks:
            self._utter(act, shows, observation, rng)
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: they are numbers and have no words of their own."""
        return {}

    def _catch(
        self, rows: NDArray[np.int64], elapsed: NDArray[np.float64], observation: Observation, rng: Streams
    ) -> dict[str, Transitions]:
        """Each strain moves on by what was heard and by itself."""
        latent = {}
        for k, strain in enumerate(self._setting.axes.strains):
            contacts = self._contacts(k, observation, elapsed)
            when = rng.uniform(f"contagion:{strain}:when", observation.step, observation.agents)
            which = rng.uniform(f"contagion:{strain}:which", observation.step, observation.agents)
            after, moves = advance(self._model, contacts, self.compartment[rows, k], elapsed, when, which)
            self.compartment[rows, k] = after
            latent[strain] = self._transitions(moves, observation)
        return latent

    def _contacts(self, k: int, observation: Observation, elapsed: NDArray[np.float64]) -> Contacts:
        inbox = observation.inbox
        target = inbox.reader
        shown = np.nan_to_num(inbox.messages.expression[inbox.row, 3 + k].astype(np.float64))
        susceptibility = self._setting.population.susceptibility[observation.agents[target]]
        # A message is one contact however long its reader waited; time passes in full for progressions only.
        weight = inbox.weight * susceptibility * shown / np.maximum(elapsed[target], 1.0)
        return Contacts(np.where(shown >= SHOWN, self._sheds, -1), target, weight)

    def _transitions(self, moves: Moves, observation: Observation) -> Transitions:
        inbox, names = observation.inbox, np.asarray(self._model.compartments)
        row = inbox.row[moves.contact] if len(inbox.row) else np.zeros(len(moves.contact), dtype=np.int64)
        caused = moves.contact >= 0
        cause, source = np.full((2, len(moves.agents)), -1)
        cause[caused] = inbox.messages.id[row[caused]]
        source[caused] = inbox.messages.sender[row[caused]]
        return Transitions(observation.agents[moves.agents], names[moves.origin], names[moves.target], cause, source)

    def _feel(self, rows: NDArray[np.int64], elapsed: NDArray[np.float64], observation: Observation) -> None:
        inbox, setting = observation.inbox, self._setting
        baseline = np.tile(np.asarray(setting.background.affect), (len(rows), 1))
        for k, persona in enumerate(setting.personas):
            baseline[self._model.shedding[self.compartment[rows, k]]] = persona.affect
        said = inbox.messages.expression[inbox.row, :3].astype(np.float64)
        heard = mean_heard(inbox.reader, said, inbox.weight, len(rows))
        push = np.zeros((len(rows), 3)) if observation.pressure is None else observation.pressure.push
        susceptibility = setting.population.susceptibility[observation.agents]
        self.affect[rows] = self._affect_law.step(self.affect[rows], baseline, heard, susceptibility, push, elapsed)

    def _utter(self, act: Act, shows: NDArray[np.bool_], observation: Observation, rng: Streams) -> None:
        """Put words to each message: a line of the first strain it shows, or of the background persona."""
        setting = self._setting
        draw = rng.uniform("utter", observation.step, observation.agents)
        for row, (agent, u) in enumerate(zip(observation.agents.tolist(), draw.tolist(), strict=True)):
            shown = np.flatnonzero(shows[row])
            persona = setting.personas[shown[0]] if len(shown) else setting.background
            act.text[agent] = persona.examples[int(u * len(persona.examples))]
