"""What agents feel: held, pushed, or held somewhere else as a control. For agents whose affect is a number."""

from __future__ import annotations

from itertools import permutations, product
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagium.envs.message import AFFECT
from contagium.sim.intervention.base import Intervention, Moment, Point
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.rhythm import Every, Rhythm

Level = Annotated[float, Field(ge=-1, le=1)] | None
Felt = tuple[float, float, float]
Pushed = Annotated[float, Field(ge=-2, le=2)]


class Clamp(Intervention):
    """do(affect): what agents feel is held while they are in the scope, and moves again by itself from where it was held.

    valence, arousal, dominance: in [-1, 1]; None leaves that axis free. Logged: `clamped`, `released`. Source: Pearl 2009.
    """

    points: ClassVar[tuple[Point, ...]] = ("state",)
    holds = "affect"

    def __init__(self, valence: Level = None, arousal: Level = None, dominance: Level = None) -> None:
        self._affect = _held(valence, arousal, dominance)

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.release(np.flatnonzero(moment.gone))
        hands.clamp(np.flatnonzero(moment.fresh), self._affect)


class Placebo(Intervention):
    """The control of a clamp with the same values: each agent is held as far out and on as many axes, in a direction of its own.

    It is drawn, each as likely, from the values given, put on other axes and with other signs; neither the clamp's own direction
    nor its opposite is among them, so that over agents the displacement cancels. What such agents do besides is due to being
    held, and to being moved at all, not to the emotion. Drawn once for each agent. Logged: `clamped`, `released`.
    """

    points: ClassVar[tuple[Point, ...]] = ("state",)
    holds = "affect"

    def __init__(self, valence: Level = None, arousal: Level = None, dominance: Level = None) -> None:
        self.directions = _directions(_held(valence, arousal, dominance))

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.release(np.flatnonzero(moment.gone))
        fresh = np.flatnonzero(moment.fresh)
        if not len(fresh):
            return
        which = (moment.rng.uniform(f"{moment.stream}:direction", 0, fresh) * len(self.directions)).astype(np.int64)
        for k in np.unique(which).tolist():
            hands.clamp(fresh[which == k], self.directions[k])


class Push(Intervention):
    """A shock: a push on what agents feel, once as they come into the scope or `every` so many steps. Logged: `pushed`.

    vector: on valence, arousal and dominance, as a pressure event's effect, each in [-2, 2] and not all 0.
    """

    points: ClassVar[tuple[Point, ...]] = ("state",)

    def __init__(self, vector: tuple[Pushed, Pushed, Pushed], every: Every = None) -> None:
        if not any(vector):
            raise ValueError(f"a push must not be 0 on all axes, got {vector}")
        self._vector, self._rhythm = vector, Rhythm(every)

    def before(self, moment: Moment, hands: Hands) -> None:
        hands.push(self._rhythm.due(moment), self._vector)


def _held(*levels: Level) -> Felt:
    if all(level is None for level in levels):
        raise ValueError(f"a clamp holds at least one of {', '.join(AFFECT)}")
    valence, arousal, dominance = (np.nan if level is None else level for level in levels)
    return valence, arousal, dominance


def _directions(held: Felt) -> list[Felt]:
    """The values of `held` in all orders and with all signs, but for `held` itself and its opposite."""
    free = None  # equal to itself, as NaN is not
    values = [free if np.isnan(value) else value for value in held]
    found: set[tuple[float | None, ...]] = set()
    for order, signs in product(permutations(values), product((1, -1), repeat=3)):
        found.add(tuple(free if value is free else sign * value + 0.0 for value, sign in zip(order, signs, strict=True)))
    own = {tuple(free if value is free else sign * value + 0.0 for value in values) for sign in (1, -1)}
    others = sorted(found - own, key=repr)
    if not others:
        raise ValueError(f"no direction but that of the clamp is as far out: its placebo would be itself, got {held}")
    return [_held(*other) for other in others]
