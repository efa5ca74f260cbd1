"""A policy around another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Answer, Deed, Policy, Question, Setting
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


class Around:
    """Leaves everything to `policy`; who wants more overrides the part that adds it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def speaks(self) -> bool:
        return self._policy.speaks

    @property
    def independent(self) -> bool:
        return self._policy.independent

    @property
    def undergoes(self) -> tuple[type[Deed], ...]:
        return self._policy.undergoes

    def begin(self, setting: Setting) -> None:
        self._policy.begin(setting)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        return await self._policy.act(observation, rng)

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        return await self._policy.ask(agents, question, step, rng)

    def undergo(self, deed: Deed) -> None:
        self._policy.undergo(deed)
