"""A policy whose chance is another from some step on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation
from contagium.sim.counterfactual.around import Around

RESEEDED = f"{__name__}.Reseeded"


class Reseeded(Around):
    """Acts as `policy` does, with the run's own chance before `step` and that of `seed` from there on.

    The world's chance, such as who reads whom, and that of instruments and interviews stays the run's.
    """

    def __init__(self, policy: Any, step: Annotated[int, Field(ge=0)], seed: Annotated[int, Field(ge=0)]) -> None:
        super().__init__(policy)
        self._step, self._streams = step, Streams(seed)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        return await self._policy.act(observation, rng if observation.step < self._step else self._streams)
