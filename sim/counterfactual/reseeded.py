"""A policy whose chance is another from some step on."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.policy import Answer, Policy, Question, Setting
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation

RESEEDED = f"{__name__}.Reseeded"


class Reseeded:
    """Acts as `policy` does, with the run's own chance before `step` and that of `seed` from there on.

    The world's chance, such as who reads whom, and that of instruments and interviews stays the run's.
    """

    def __init__(self, policy: Any, step: Annotated[int, Field(ge=0)], seed: Annotated[int, Field(ge=0)]) -> None:
        self._policy: Policy = policy
        self._step, self._streams = step, Streams(seed)

    @property
    def speaks(self) -> bool:
        return self._policy.speaks

    @property
    def independent(self) -> bool:
        return self._policy.independent

    def begin(self, setting: Setting) -> None:
        self._policy.begin(setting)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        return await self._policy.act(observation, rng if observation.step < self._step else self._streams)

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        return await self._policy.ask(agents, question, step, rng)
