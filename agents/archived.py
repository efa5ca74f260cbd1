"""Archived agents: they say what is on record, each in its step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Answer, Deed, Question, Setting, nothing_to_undergo
from contagium.envs.archive import Records
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


class Archived:
    """Each agent says the lines that an archive has of it, and thinks the thoughts, whatever it hears.

    path: the archive file. What it expresses is for the instruments to read. A line without words is said all the same: that
    something was said, and to whom, is known of it.
    """

    speaks = True
    independent = True
    undergoes: tuple[type[Deed], ...] = ()

    def __init__(self, path: str) -> None:
        self._records = Records(path)

    def begin(self, setting: Setting) -> None:
        size, recorded = setting.population.size, self._records.size
        if size != recorded:
            raise ValueError(f"population.size must be {recorded:,}, the agents of the archive, got {size:,}")
        self._axes = len(setting.axes)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        act = Act.idle(observation.agents, self._axes)
        lines = self._records.words(observation.step)
        said = np.isin(observation.agents, [agent for agent, _, _ in lines])
        act.says[:] = said
        turn = set(observation.agents[said].tolist())
        for agent, text, thought in lines:
            if agent in turn and text is not None:
                act.text[agent] = text
            if agent in turn and thought is not None:
                act.thought[agent] = thought
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: who is on record cannot be asked."""
        return {}

    def undergo(self, deed: Deed) -> None:
        nothing_to_undergo(self, deed)
