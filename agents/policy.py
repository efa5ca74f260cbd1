"""The seam to minds: a policy acts for a group of agents at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.persona import Persona
from contagium.agents.structured import closed_list
from contagium.envs.message import Axes
from contagium.envs.names import name_of as name_of
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


@dataclass(frozen=True)
class Population:
    """Who lives here, as arrays over all N agents.

    group: (N,) index into the group names. strain: (N,) index into the strains for an index case, −1 for everybody else.
    susceptibility, expressiveness: (N,) ≥ 0, 1 is ordinary; they multiply what is taken in and what is shown. temperament: (N,
    3), how far the baseline of each agent's affect lies from that of its persona; None: not at all.
    """

    group: NDArray[np.int64]
    strain: NDArray[np.int64]
    susceptibility: NDArray[np.float64]
    expressiveness: NDArray[np.float64]
    temperament: NDArray[np.float64] | None = None

    @property
    def size(self) -> int:
        return len(self.group)


@dataclass(frozen=True)
class Setting:
    """What a policy is told once, before the first step.

    agents: (n,) ids of its group, ascending. personas: one per strain, in the order of `axes.strains`. background: the persona of
    agents who are not index cases. name: agent id → name. feelings: the closed list offered in a self-report; report_every: steps
    from one self-report to the next, 0 for none. backend: the language model, None where the scenario has none. choices: what the
    world lets agents do beside talking, none in a world of talk alone. listened: for a step, the agents whose messages somebody
    may read as words, None where that can be everybody: who only expresses itself need not put words to the others.
    """

    agents: NDArray[np.int64]
    population: Population
    axes: Axes
    personas: tuple[Persona, ...]
    background: Persona
    name: Callable[[int], str]
    feelings: tuple[str, ...]
    report_every: int
    backend: Backend | None
    choices: tuple[str, ...] = ()
    listened: Callable[[int], NDArray[np.int64] | None] = lambda step: None


@dataclass(frozen=True)
class Question:
    """What agents are asked aside, by whoever studies them.

    options: the closed list to answer from, empty for an answer in free words. name: under which it is known in the log; it also
    keys the chance in the answers. tokens: most that an answer without options may have. schema: a JSON schema for an answer
    without options, which is then handed on as it came. digits: whether to ask how likely each digit was, where the backend
    says.
    """

    text: str
    options: tuple[str, ...] = ()
    name: str = "interview"
    tokens: int = 64
    schema: Mapping[str, Any] | None = None
    digits: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a question needs a text, got an empty one")
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")
        if self.options:
            closed_list("answer", self.options)  # refuses options that cannot be told apart


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent answered. text: None unless status is "ok".

    "failed": what came back was no answer, and stands in `raw`; "missing": nothing came back, and `raw` says why. digits:
    the probability of each of "1" to "9" at the place of the first of them in the reply, as far as the backend named them; None
    where they were not asked for or not given.
    """

    text: str | None
    status: Literal["ok", "failed", "missing"]
    raw: str
    digits: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Wipe:
    """These agents forget all but the notes they were given."""

    agents: NDArray[np.int64]


@dataclass(frozen=True)
class SumUp:
    """These agents forget, in their next turn, all but their notes and a summary of the rest in their own words."""

    agents: NDArray[np.int64]


@dataclass(frozen=True)
class Pin:
    """These agents keep `text` in mind, before all else, until it is taken from them."""

    agents: NDArray[np.int64]
    text: str


@dataclass(frozen=True)
class Unpin:
    """`text` is taken from these agents again."""

    agents: NDArray[np.int64]
    text: str


@dataclass(frozen=True)
class Clamp:
    """What these agents feel is held at `affect` (3,), in [-1, 1], on the axes where it is not NaN: do(affect)."""

    agents: NDArray[np.int64]
    affect: tuple[float, float, float]


@dataclass(frozen=True)
class Release:
    """What these agents feel moves again by itself."""

    agents: NDArray[np.int64]


@dataclass(frozen=True)
class Immunise:
    """From now on what these agents hear makes them take up a strain at `share` times the rate at which it would have."""

    agents: NDArray[np.int64]
    share: float


Deed = Wipe | SumUp | Pin | Unpin | Clamp | Release | Immunise
"""What an intervention does to agents."""


class Policy(Protocol):
    """A mind for a group. `begin` is called once a run, `act` once a step with those of its agents whose turn it is.

    speaks: whether its messages carry words. independent: whether a turn depends on its own agent's observations alone, so that
    agents may be at different steps.

    `act` must not depend on which other agents are in the group: all randomness comes from `rng`, keyed by step and agent.
    A turn that fails is named in `Act.missing`, never passed over in silence.

    `ask` puts a question to some of its agents between their turns. Each answers from what it is and remembers now, and neither
    question nor answer leaves a trace in it: a run goes the same way with and without. Who has no words is left out.

    undergoes: the kinds of deeds that can be done to its agents, by `undergo`, between their turns.
    """

    @property
    def speaks(self) -> bool: ...

    @property
    def independent(self) -> bool: ...

    @property
    def undergoes(self) -> tuple[type[Deed], ...]: ...

    def begin(self, setting: Setting) -> None: ...

    async def act(self, observation: Observation, rng: Streams) -> Act: ...

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]: ...

    def undergo(self, deed: Deed) -> None: ...


def nothing_to_undergo(policy: object, deed: Deed) -> None:
    """What a policy does that undergoes nothing. TypeError, always."""
    raise TypeError(f"agents of {type(policy).__name__} cannot undergo {type(deed).__name__}")
