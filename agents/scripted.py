"""Scripted agents: they say written lines, whatever they hear, but for strains that wait for a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Answer, Deed, Question, Setting, nothing_to_undergo
from contagium.agents.strains import heard
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


class Scripted:
    """Each agent says a line of its persona, drawn anew every step; index agents those of their strain.

    lines: what agents say who are not index cases; by default the examples of their persona.
    """

    def __init__(self, lines: tuple[str, ...] = ()) -> None:
        self._lines = lines

    speaks = True
    independent = True
    undergoes: tuple[type[Deed], ...] = ()

    def begin(self, setting: Setting) -> None:
        self._setting = setting
        plain = self._lines or setting.background.examples
        self._spoken = (plain, *(persona.examples for persona in setting.personas))
        for persona, lines in zip((setting.background, *setting.personas), self._spoken, strict=True):
            if not lines:
                raise ValueError(f"scripted agents need lines to say, but persona {persona.name} has no examples")

    async def act(self, observation: Observation, rng: Streams) -> Act:
        act = Act.idle(observation.agents, len(self._setting.axes))
        act.says[:] = True
        draw = rng.uniform("script", observation.step, observation.agents)
        for k, (agent, u) in enumerate(zip(observation.agents.tolist(), draw.tolist(), strict=True)):
            lines = self._repertoire(k, agent, observation, rng)
            act.text[agent] = lines[int(u * len(lines))]
        return act

    def _repertoire(self, k: int, agent: int, observation: Observation, rng: Streams) -> tuple[str, ...]:
        strain = int(self._setting.population.strain[agent])
        carried = self._setting.personas[strain] if strain >= 0 else None
        if carried is None or (carried.gate is not None and not carried.gate.opens(heard(observation, k))):
            return self._spoken[0]
        return self._spoken[1 + strain] if carried.mutation is None else carried.repertoire(observation.step, agent, rng)

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: they have lines and no mind to ask."""
        return {}

    def undergo(self, deed: Deed) -> None:
        nothing_to_undergo(self, deed)
