"""For whom an intervention is and when it works: the same for every kind, by the four settings that each may be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagium.envs.rng import Streams
from contagium.envs.when import Signs, Trigger
from contagium.envs.who import Place, Who, must_be_known, now, who_mask
from contagium.sim.intervention.base import Intervention, Moment

Bools = NDArray[np.bool_]


class Scope(BaseModel):
    """who: for whom. start: the first step in which it works. stop: the first in which it no longer does; None: never.

    trigger: it works from when the sign has come, for good or, with `lasting: false`, while it is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    who: Who = "all"
    start: Annotated[int, Field(ge=0)] = 0
    stop: Annotated[int, Field(ge=1)] | None = None
    trigger: Trigger | None = None
    lasting: bool = True

    @model_validator(mode="after")
    def _has_time(self) -> Scope:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop must be after start ({self.start}), got {self.stop}")
        if not self.lasting and self.trigger is None:
            raise ValueError("lasting=false is for interventions with a trigger")
        return self

    @classmethod
    def split(cls, spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings of the scope in a specification, and the rest of it."""
        mine = {key: value for key, value in spec.items() if key in cls.model_fields}
        return mine, {key: value for key, value in spec.items() if key not in mine}


class Scoped:
    """An intervention with its scope, step by step.

    can: (N,), who may ever be in it. ValueError: nobody, or it waits for what is not known.
    """

    def __init__(self, name: str, intervention: Intervention, scope: Scope, place: Place, streams: Streams) -> None:
        self.name, self.intervention, self.scope = name, intervention, scope
        self._streams = streams
        self.can = who_mask(scope.who, place, streams, f"intervention who:{name}")
        self._met = np.zeros(place.size, dtype=bool)
        self._last = np.zeros(place.size, dtype=bool)

    def must_be_known(self, measures: tuple[str, ...], cases: tuple[str, ...]) -> None:
        """ValueError: it is for cases, or waits for a sign, of what nobody looks for."""
        must_be_known(self.scope.who, cases)
        if self.scope.trigger is not None:
            self.scope.trigger.must_be_known(measures, cases)

    def moment(self, signs: Signs) -> Moment:
        """What the intervention knows in the step `signs.step`; to be asked once for each step."""
        scope, step = self.scope, signs.step
        among = now(scope.who, self.can, signs)
        if scope.trigger is not None:
            met = scope.trigger.met(signs) if step >= scope.start else np.zeros_like(among)
            self._met = self._met | met if scope.lasting else met
            among = among & self._met
        if step < scope.start or (scope.stop is not None and step >= scope.stop):
            among = np.zeros_like(among)
        before, self._last = self._last, among
        stream = f"intervention:{self.name}"
        return Moment(step, among, among & ~before, before & ~among, signs, self._streams, stream)

    def may_overlap(self, other: Scoped) -> bool:
        """Whether both may work on one agent in one step."""
        first, second = sorted((self.scope, other.scope), key=lambda scope: scope.start)
        apart = first.stop is not None and first.stop <= second.start
        return not apart and bool((self.can & other.can).any())
