"""What an intervention is: where it works, what it is told, and what it can do."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.persona import Persona
from contagium.agents.policy import Clamp, Deed, Immunise, Pin, Population, Wipe
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.world import World
from contagium.sim.intervention.hands import Hands
from contagium.sim.observer.instrument import Briefing
from contagium.sim.observer.observer import Seen

Point = Literal["prompt", "transit", "network", "memory", "state", "population", "monitor"]
"""Where an intervention works: on what agents are told as they act, on messages between sending and hearing, on ties, on what
agents remember, on what they feel, on who they are, or on what is made of what the observer saw."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """Where an intervention is to work, told once before the run.

    name: under which the log knows it. among: (N,), who can ever be in its scope. speaks: (N,), whose messages carry words.
    undergoes: for a kind of deed, (N,), to whom it can be done. model: the language model it names under `backend`, if
    any. briefing: what instruments are begun with. measures: of what agents show, those known at each step.
    """

    name: str
    among: Bools
    world: World
    axes: Axes
    personas: tuple[Persona, ...]
    population: Population
    speaks: Bools
    undergoes: Callable[[type[Deed]], Bools]
    model: Backend | None
    briefing: Briefing
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moment:
    """What an intervention knows in a step.

    among: (N,), who is in its scope now; fresh: who of them was not in the step before; gone: who was, and is no longer. signs:
    as of the step before. rng: draw from it under names that begin with `stream`.
    """

    step: int
    among: Bools
    fresh: Bools
    gone: Bools
    signs: Signs
    rng: Streams
    stream: str

    @property
    def is_case(self) -> Bools:
        """Who is a case of any persona, (N,). Emotional states do not count: to follow one too must change nothing."""
        signs = self.signs
        return np.any([cases for name, cases in signs.is_case.items() if name not in signs.states], axis=0)


@dataclass(frozen=True)
class Passage:
    """What becomes of n messages in transit: messages, with the same ids, as they are heard; withheld (n,): heard by nobody."""

    messages: Messages
    withheld: Bools

    @classmethod
    def free(cls, messages: Messages) -> Passage:
        """All pass as they are."""
        return cls(messages, np.zeros(len(messages), dtype=bool))


class Intervention(ABC):
    """Does nothing at any point; a subclass overrides the methods of those in its `points`.

    The order in a step: `before`, agents act, `transit`, `stops` and `delays`, the observer reads, `after`. Who it is for and
    when it works is not its own affair: `Moment.among` says it.

    holds: what of an agent it keeps from moving, such as its affect, which no two may do at a time; None: nothing. notes: texts
    that it may pin to agents in its scope; they must fit in their memory.
    """

    points: ClassVar[tuple[Point, ...]]
    holds: ClassVar[str | None] = None
    notes: tuple[str, ...] = ()

    def begin(self, ground: Ground) -> None:  # noqa: B027
        """Once, before the run. ValueError, in one line: it cannot work here."""

    def before(self, moment: Moment, hands: Hands) -> None:  # noqa: B027
        """Before agents observe and act."""

    async def transit(self, moment: Moment, messages: Messages) -> Passage:
        """On messages between sending and hearing."""
        return Passage.free(messages)

    def stops(self, moment: Moment, exposures: Exposures) -> Bools:
        """Which of m exposures do not come about, (m,)."""
        return np.zeros(len(exposures), dtype=bool)

    def delays(self, moment: Moment, exposures: Exposures) -> Ints:
        """By how many steps each of m exposures comes late, (m,)."""
        return np.zeros(len(exposures), dtype=np.int64)

    def after(self, moment: Moment, sent: Messages, seen: Seen, hands: Hands) -> None:  # noqa: B027
        """After the observer has read the step; what hands do now, agents notice in their next turn.

        sent: the messages of the step, in the order of `seen.measured`.
        """


def must_have_points(ground: Ground, intervention: Intervention) -> None:
    """ValueError: nobody in its scope, or not this world, has a point at which the intervention works."""
    kind, world = type(intervention).__name__, type(ground.world).__name__
    for point in intervention.points:
        if point == "network" and not ground.world.heeds_ties:
            raise ValueError(f"{kind} works on ties, and in {world} nothing is heard along them")
        able = _able(ground, point)
        if able is not None and not (able & ground.among).any():
            raise ValueError(f"{kind} works at the point {point}, which no agent in its scope has ({NEEDS[point]})")


NEEDS = {
    "prompt": "it needs speaking agents, who read",
    "monitor": "it needs agents whose messages have words",
    "memory": "it needs speaking agents, who remember",
    "state": "it needs mechanistic or learning agents, whose affect can be held",
    "population": "it needs mechanistic agents, or speaking ones to be told",
}


def _able(ground: Ground, point: Point) -> Bools | None:
    """Who has a point, (N,); None: it is not of agents."""
    match point:
        case "prompt":
            return ground.undergoes(Pin)
        case "monitor":
            return ground.speaks
        case "memory":
            return ground.undergoes(Wipe)
        case "state":
            return ground.undergoes(Clamp)
        case "population":
            return ground.undergoes(Immunise) | ground.undergoes(Pin)
    return None
