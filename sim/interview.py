"""Questions asked out of band: the answers are logged, and no agent ever knows that it was asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Answer, Policy
from contagium.envs.rng import Streams
from contagium.sim.observer.instruments.interview import Item


class Interviews:
    """Asks each agent its questions when they are due, right after its turn, and keeps the answers until they are taken."""

    def __init__(self, items: Mapping[str, Item], streams: Streams) -> None:
        self._items = [(item, item.ask(name)) for name, item in items.items()]
        self._streams = streams
        self._answers: dict[int, list[tuple[int, str, Answer]]] = {}

    async def ask(self, policy: Policy, agents: NDArray[np.int64], step: int) -> None:
        """Ask `agents` (n,) what is due at `step`."""
        for item, question in self._items:
            if item.due(step):
                answers = await policy.ask(agents, question, step, self._streams)
                self._answers.setdefault(step, []).extend((agent, question.name, answer) for agent, answer in answers.items())

    def take(self, step: int) -> list[tuple[int, str, Answer]]:
        """Agent, question and answer of `step`, ordered by both."""
        return sorted(self._answers.pop(step, []), key=lambda row: row[:2])
