"""The seam to minds: a policy acts for a group of agents at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation


@dataclass(frozen=True)
class Population:
    """Who lives here, as arrays over all N agents.

    group: (N,) index into the group names. strain: (N,) index into the strains for an index case, −1 for everybody else.
    susceptibility, expressiveness: (N,) ≥ 0, 1 is ordinary; they multiply what is taken in and what is shown.
    """

    group: NDArray[np.int64]
    strain: NDArray[np.int64]
    susceptibility: NDArray[np.float64]
    expressiveness: NDArray[np.float64]

    @property
    def size(self) -> int:
        return len(self.group)


@dataclass(frozen=True)
class Setting:
    """What a policy is told once, before the first step.

    agents: (n,) ids of its group, ascending. personas: one per strain, in the order of `axes.strains`. background: the persona of
    agents who are not index cases. name: agent id → name. feelings: the closed list offered in a self-report; report_every: steps
    from one self-report to the next, 0 for none. backend: the language model, None where the scenario has none.
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


class Policy(Protocol):
    """A mind for a group. `begin` is called once a run, `act` once a step with those of its agents whose turn it is.

    speaks: whether its messages carry words.

    `act` must not depend on which other agents are in the group: all randomness comes from `rng`, keyed by step and agent.
    A turn that fails is named in `Act.missing`, never passed over in silence.
    """

    @property
    def speaks(self) -> bool: ...

    def begin(self, setting: Setting) -> None: ...

    async def act(self, observation: Observation, rng: Streams) -> Act: ...


NAMES = (
    *("Aster", "Bram", "Cleo", "Dara", "Emil", "Fenna", "Gus", "Hana", "Ivo", "June", "Kai", "Lena", "Milo"),
    *("Nora", "Otis", "Petra", "Quinn", "Rosa", "Sven", "Tilda", "Uma", "Viggo", "Wren", "Xavi", "Yara", "Zeno"),
)


def name_of(agent: int) -> str:
    """A name a person would use: Aster, Bram, …, then Aster 2, Bram 2, …"""
    turn, which = divmod(agent, len(NAMES))
    return NAMES[which] if turn == 0 else f"{NAMES[which]} {turn + 1}"
