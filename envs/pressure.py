"""Pressure events: things that happen to agents, with a time, targets, an intensity and a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagium.envs.message import AFFECT
from contagium.envs.rng import Streams
from contagium.envs.when import Signs, Trigger
from contagium.envs.who import Chosen, Place, Who, must_be_known, now, who_mask

NEVER = -(2**40)
"""The step at which something began that has not."""


class Effect(BaseModel):
    """Push on affect per step at intensity 1, on each axis in [-1, 1]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valence: Annotated[float, Field(ge=-1, le=1)] = 0.0
    arousal: Annotated[float, Field(ge=-1, le=1)] = 0.0
    dominance: Annotated[float, Field(ge=-1, le=1)] = 0.0


class PressureEvent(BaseModel):
    """One kind of pressure event.

    at: steps at which it begins; or rate: expected beginnings per step and agent (a Poisson process, so each agent is
    hit with probability 1 − exp(−rate) a step); or trigger: it begins for whom the sign has come. again: steps after which a
    triggered event may begin anew, while the sign lasts; None: it begins once. targets: "all", "index" (the index cases), a share
    in (0, 1] drawn once, a list of agent ids (at least one), or agents chosen by a mark, see `Chosen`. intensity: in [0, 1].
    duration: steps it lasts, at least 1. text: what a speaking agent is told, once, as it begins. effect: what it does to the
    affect of a mechanistic agent in each step that it lasts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: tuple[Annotated[int, Field(ge=0)], ...] = ()
    rate: Annotated[float, Field(ge=0)] = 0.0
    trigger: Trigger | None = None
    again: Annotated[int, Field(ge=1)] | None = None
    targets: Who = "all"
    intensity: Annotated[float, Field(ge=0, le=1)] = 1.0
    duration: Annotated[int, Field(ge=1)] = 1
    text: str = ""
    effect: Effect = Effect()

    @model_validator(mode="after")
    def _has_a_time(self) -> PressureEvent:
        given = [name for name, value in (("at", self.at), ("rate", self.rate), ("trigger", self.trigger)) if value]
        if len(given) > 1:
            raise ValueError(f"give either at (steps) or rate (per step) or trigger, not both {given[0]} and {given[1]}")
        if not given:
            raise ValueError("give at (steps), a rate above 0 or a trigger, or the event never happens")
        if self.again is not None and self.trigger is None:
            raise ValueError(f"again is for events with a trigger, got {self.again}")
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

    @classmethod
    def pushing(cls, before: Pressure | None, push: NDArray[np.float64]) -> Pressure:
        """What pressed `before`, None for nothing, and a push (n, 3) besides."""
        if before is None:
            return cls((), (), np.zeros((len(push), 0)), np.zeros((len(push), 0), dtype=bool), push)
        return replace(before, push=before.push + push)

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
    """Decides, step by step, which event presses on whom.

    `due` depends on nothing but seed and step, unless `heeds`: then also on the signs that `heed` was given before each step.
    ValueError, which names the event: its targets are nobody.
    """

    def __init__(self, events: dict[str, PressureEvent], place: Place, streams: Streams) -> None:
        self.names = tuple(events)
        self._events = tuple(events.values())
        self._size = place.size
        self._streams = streams
        self._effect = np.array([[getattr(e.effect, axis) for axis in AFFECT] for e in self._events]).reshape(-1, 3)
        self._last: tuple[int, Pressure] | None = None
        self._targets = [self._mask(name, event, place) for name, event in events.items()]
        self._heedful = [_heeds(event) for event in self._events]
        # The step at which each event last began for each agent, and up to which step that is known of those that heed no signs.
        self._begun = np.full((len(events), self._size), NEVER)
        self._known = [-1] * len(events)

    @property
    def heeds(self) -> bool:
        """Whether what agents show decides on what happens."""
        return any(self._heedful)

    def must_be_known(self, measures: tuple[str, ...], cases: tuple[str, ...]) -> None:
        """ValueError: an event waits for a sign of something that is not measured, or is for cases of something else."""
        for name, event in zip(self.names, self._events, strict=True):
            try:
                must_be_known(event.targets, cases)
                if event.trigger is not None:
                    event.trigger.must_be_known(measures, cases)
            except ValueError as error:
                raise ValueError(f"pressure.events.{name}: {error}") from error

    def heed(self, signs: Signs) -> None:
        """Take note of what agents show before `signs.step`, once for each step, before what is due in it is asked for."""
        self._last = None
        if signs.step == 0:
            self._begun[self._heedful] = NEVER
        for k, event in enumerate(self._events):
            if self._heedful[k]:
                begins = self._ready(k, signs) & now(event.targets, self._targets[k], signs)
                self._begun[k, begins] = signs.step

    def _ready(self, k: int, signs: Signs) -> NDArray[np.bool_]:
        """For whom the event could begin now if it is one of its targets, (N,)."""
        event = self._events[k]
        if event.trigger is None:
            return self._drawn(k, signs.step)
        waited = self._begun[k] == NEVER
        if event.again is not None:
            waited |= signs.step - self._begun[k] >= event.again
        return waited & event.trigger.met(signs)

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
            if not self._heedful[k]:
                self._draw(k, since)
            age = step - self._begun[k]
            begins[:, k] = age == 0
            intensity[:, k] = ((age >= 0) & (age < event.duration)) * event.intensity
            push += intensity[:, k, None] * self._effect[k]
        text = tuple(event.text for event in self._events)
        return Pressure(self.names, text, intensity, begins, push)

    def _draw(self, k: int, since: range) -> None:
        """Take note of for whom time or chance had the event begin last, up to the end of `since`, if in these steps at all."""
        last = since[-1]
        if self._known[k] > last:
            self._begun[k], self._known[k] = NEVER, -1
        for step in range(max(since[0], self._known[k] + 1), last + 1):
            self._begun[k, self._targets[k] & self._drawn(k, step)] = step
        self._known[k] = last

    def _drawn(self, k: int, step: int) -> NDArray[np.bool_]:
        """For whom time or chance has an event begin at `step`, were it a target, (N,)."""
        event = self._events[k]
        if event.at:
            return np.full(self._size, step in event.at)
        draw = self._streams.generator(f"pressure:{self.names[k]}", step).random(self._size)
        return draw < -np.expm1(-event.rate)

    def _mask(self, name: str, event: PressureEvent, place: Place) -> NDArray[np.bool_]:
        try:
            return who_mask(event.targets, place, self._streams, f"pressure targets:{name}")
        except ValueError as error:
            raise ValueError(f"pressure.events.{name}.targets: {error}") from error


def _heeds(event: PressureEvent) -> bool:
    """Whether what agents show decides on when it begins, or for whom."""
    return event.trigger is not None or (isinstance(event.targets, Chosen) and event.targets.case is not None)
