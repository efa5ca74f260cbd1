"""Pressure events: things that happen to agents, with a time, targets, an intensity and a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagium.envs.message import AFFECT
from contagium.envs.rng import Streams


class Effect(BaseModel):
    """Push on affect per step at intensity 1, on each axis in [-1, 1]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valence: Annotated[float, Field(ge=-1, le=1)] = 0.0
    arousal: Annotated[float, Field(ge=-1, le=1)] = 0.0
    dominance: Annotated[float, Field(ge=-1, le=1)] = 0.0


class PressureEvent(BaseModel):
    """One kind of pressure event.

    at: steps at which it begins; or rate: expected beginnings per step and agent (a Poisson process, so each agent is
    hit with probability 1 − exp(−rate) a step). targets: "all", "index" (the index cases), a share in (0, 1] drawn
    once, or a list of agent ids (at least one). intensity: in [0, 1]. duration: steps it lasts, at least 1. text: what
    a speaking agent is told, once, as it begins. effect: what it does to the affect of a mechanistic agent in each step
    that it lasts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: tuple[Annotated[int, Field(ge=0)], ...] = ()
    rate: Annotated[float, Field(ge=0)] = 0.0
    targets: Literal["all", "index"] | Annotated[float, Field(gt=0, le=1)] | Annotated[tuple[int, ...], Field(min_length=1)] = (
        "all"
    )
    intensity: Annotated[float, Field(ge=0, le=1)] = 1.0
    duration: Annotated[int, Field(ge=1)] = 1
    text: str = ""
    effect: Effect = Effect()

    @model_validator(mode="after")
    def _has_a_time(self) -> PressureEvent:
        if self.at and self.rate:
            raise ValueError("give either at (steps) or rate (per step), not both")
        if not self.at and not self.rate:
            raise ValueError("give at (steps) or a rate above 0, or the event never happens")
        return self


@dataclass(frozen=True)
class Pressure:
    """What presses on n agents now.

    names: K kinds of event. intensity: (n, K) in [0, 1]. begins: (n, K), whether it begins now.
    push: (n, 3), the sum over events of intensity × effect on valence, arousal, dominance. text: what each kind says.
    """

    names: tuple[str, ...]
    text: tuple[str, ...]
    intensity: NDArray[np.float64]
    begins: NDArray[np.bool_]
    push: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> Pressure:
        """This on the agents at `rows` (n,), which ascend."""
        if len(rows) == len(self.intensity):
            return self
        return Pressure(self.names, self.text, self.intensity[rows], self.begins[rows], self.push[rows])

    def plus(self, missed: Pressure) -> Pressure:
        """This and what `missed` the same n agents before: pushes add up, and what began for them unseen begins now."""
        intensity = np.maximum(self.intensity, missed.intensity)
        return replace(self, intensity=intensity, begins=self.begins | missed.begins, push=self.push + missed.push)

    def without(self, agents: NDArray[np.int64]) -> Pressure:
        """This with nothing on the agents at these rows."""
        intensity, begins, push = self.intensity.copy(), self.begins.copy(), self.push.copy()
        intensity[agents], begins[agents], push[agents] = 0, False, 0
        return replace(self, intensity=intensity, begins=begins, push=push)

    def news(self, k: int) -> tuple[str, ...]:
        """The texts of events that begin now for the k-th agent."""
        return tuple(text for text, begins in zip(self.text, self.begins[k], strict=True) if begins and text)


class PressureSchedule:
    """Decides, step by step, which event presses on whom. `due` depends on nothing but seed and step."""

    def __init__(self, events: dict[str, PressureEvent], size: int, index_cases: NDArray[np.int64], streams: Streams) -> None:
        self.names = tuple(events)
        self._events = tuple(events.values())
        self._size = size
        self._streams = streams
        self._effect = np.array([[getattr(e.effect, axis) for axis in AFFECT] for e in self._events]).reshape(-1, 3)
        self._last: tuple[int, Pressure] | None = None
        self._targets = [self._mask(name, event, index_cases) for name, event in events.items()]

    def due(self, step: int) -> Pressure:
        """The pressure on all N agents at `step`. The last one is kept: whoever acts and whoever logs ask for the same."""
        if self._last is None or self._last[0] != step:
            self._last = step, self._due(step)
        return self._last[1]

    def _due(self, step: int) -> Pressure:
        intensity = np.zeros((self._size, len(self._events)))
        begins = np.zeros_like(intensity, dtype=bool)
        push = np.zeros((self._size, len(AFFECT)))
        for k, event in enumerate(self._events):
            since = range(max(0, step - event.duration + 1), step + 1)
            if event.at and not set(event.at).intersection(since):
                continue
            begins[:, k] = self._begins(k, step)
            active = np.any([self._begins(k, s) for s in since], axis=0)
            intensity[:, k] = active * event.intensity
            push += intensity[:, k, None] * self._effect[k]
        text = tuple(event.text for event in self._events)
        return Pressure(self.names, text, intensity, begins, push)

    def _begins(self, k: int, step: int) -> NDArray[np.bool_]:
        event = self._events[k]
        if event.at:
            return self._targets[k] & (step in event.at)
        draw = self._streams.generator(f"pressure:{self.names[k]}", step).random(self._size)
        return self._targets[k] & (draw < -np.expm1(-event.rate))

    def _mask(self, name: str, event: PressureEvent, index_cases: NDArray[np.int64]) -> NDArray[np.bool_]:
        mask = np.zeros(self._size, dtype=bool)
        if event.targets == "all":
            mask[:] = True
        elif event.targets == "index":
            mask[index_cases] = True
        elif isinstance(event.targets, float):
            count = max(1, round(event.targets * self._size))
            mask[self._streams.generator(f"pressure targets:{name}").permutation(self._size)[:count]] = True
        else:
            wrong = [agent for agent in event.targets if not 0 <= agent < self._size]
            if wrong:
                got = ", ".join(map(str, wrong))
                raise ValueError(f"pressure.events.{name}.targets: agents are 0 to {self._size - 1}, got {got}")
            mask[list(event.targets)] = True
        return mask
