"""Contagion models as data, and the one step that runs them all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.envs.network import Network


@dataclass(frozen=True)
class Transmission:
    """An agent in `origin` that hears one in `source` moves to `target`, at `rate` per unit of time and of contact weight."""

    source: str
    origin: str
    target: str
    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)


@dataclass(frozen=True)
class Progression:
    """An agent in `origin` moves to `target` by itself, at `rate` per unit of time."""

    origin: str
    target: str
    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)


def _check_rate(rate: float) -> None:
    if not (rate >= 0 and math.isfinite(rate)):
        raise ValueError(f"rate must be non-negative and finite, got {rate}")


@dataclass(frozen=True)
class ContagionModel:
    """A contagion model. compartments: the first is where everybody starts. seeded: where an index case starts.

    An agent in a compartment that is the source of some transmission is infectious: it sheds.
    """

    compartments: tuple[str, ...]
    transmissions: tuple[Transmission, ...]
    progressions: tuple[Progression, ...] = ()
    seeded: str = "I"

    def __post_init__(self) -> None:
        if not self.transmissions and not self.progressions:
            raise ValueError("a contagion model needs at least one transmission or progression")
        named = {self.seeded}
        for t in self.transmissions:
            named |= {t.source, t.origin, t.target}
        for p in self.progressions:
            named |= {p.origin, p.target}
        unknown = sorted(named - set(self.compartments))
        if unknown:
            raise ValueError(f"no compartment {', '.join(unknown)}: the model has {', '.join(self.compartments)}")

    def code(self, compartment: str) -> int:
        return self.compartments.index(compartment)

    @property
    def shedding(self) -> NDArray[np.bool_]:
        """Which compartments are infectious, shape (number of compartments,)."""
        return np.isin(self.compartments, [t.source for t in self.transmissions])


def sir(transmission_rate: float = 0.1, recovery_rate: float = 0.2) -> ContagionModel:
    """Susceptible, infectious, recovered for good. Rates per step. Source: Kermack & McKendrick 1927."""
    return ContagionModel(
        ("S", "I", "R"), (Transmission("I", "S", "I", transmission_rate),), (Progression("I", "R", recovery_rate),)
    )


def sis(transmission_rate: float = 0.1, recovery_rate: float = 0.2) -> ContagionModel:
    """Susceptible, infectious, susceptible again. Rates per step."""
    return ContagionModel(("S", "I"), (Transmission("I", "S", "I", transmission_rate),), (Progression("I", "S", recovery_rate),))


@dataclass(frozen=True)
class Contacts:
    """Who hears what during a step: source_compartment, target, weight, all shape (m,), sorted by target."""

    source_compartment: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]

    @classmethod
    def along(cls, network: Network, compartment: NDArray[np.int64]) -> Contacts:
        """Every edge is a contact; compartment: (N,)."""
        return cls(compartment[network.source], network.target, network.weight)


@dataclass(frozen=True)
class Moves:
    """Who moved: agents (k,) rows of the compartment array, from origin (k,) to target (k,), by contact (k,).

    contact: row of the contacts, −1 for a progression.
    """

    agents: NDArray[np.int64]
    origin: NDArray[np.int64]
    target: NDArray[np.int64]
    contact: NDArray[np.int64]


def advance(
    model: ContagionModel,
    contacts: Contacts,
    compartment: NDArray[np.int64],
    dt: float | NDArray[np.float64],
    when: NDArray[np.float64],
    which: NDArray[np.float64],
) -> tuple[NDArray[np.int64], Moves]:
    """Compartments (n,) after a time `dt` (for all, or each its own: (n,)), and the moves made; the input is left as it is.

    All transitions an agent could make race: each would come after an exponential waiting time of its own rate, and the earliest
    wins if it comes before dt. The winner of such a race comes after an exponential time of the summed rate and is one of them
    in proportion to its rate, so two uniform draws per agent decide (when, which: shape (n,), in [0, 1)), and the cause of a
    transmission is unbiased. At most one move an agent and step; the error against continuous time falls linearly with dt.
    What becomes of an agent depends, to the last bit, on nothing but its own options and draws. Source: Gillespie 1976.
    """
    n = len(compartment)
    option, rate, agent, contact = _options(model, contacts, compartment)
    total = np.bincount(agent, rate, minlength=n)
    with np.errstate(divide="ignore"):
        moved = np.flatnonzero((total > 0) & (-np.log1p(-when) < total * dt))
    order = np.argsort(agent, kind="stable")
    # Shares in whole numbers add up without rounding: the others in the array cannot tip a close race.
    running = np.cumsum(np.ceil(rate / total[agent] * 2**32).astype(np.int64)[order])
    begin = np.searchsorted(agent[order], moved, side="left")
    end = np.searchsorted(agent[order], moved, side="right")
    before, last = np.where(begin > 0, running[begin - 1], 0), running[end - 1] - 1
    draw = np.minimum(before + (which[moved] * (last + 1 - before)).astype(np.int64), last)
    won = order[np.searchsorted(running, draw, side="right")]
    after = compartment.copy()
    after[moved] = option[won]
    return after, Moves(moved, compartment[moved], option[won], contact[won])


def _options(
    model: ContagionModel, contacts: Contacts, compartment: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Every transition that could happen now: target compartment, rate, agent, contact (−1 for a progression)."""
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]] = []
    for t in model.transmissions:
        hit = np.flatnonzero(
            (contacts.source_compartment == model.code(t.source)) & (compartment[contacts.target] == model.code(t.origin))
        )
        parts.append((np.full(len(hit), model.code(t.target)), t.rate * contacts.weight[hit], hit))
    for p in model.progressions:
        ready = np.flatnonzero(compartment == model.code(p.origin))
        parts.append((np.full(len(ready), model.code(p.target)), np.full(len(ready), p.rate), -1 - ready))
    option, rate, where = (np.concatenate(column) for column in zip(*parts, strict=True))
    live = rate > 0
    option, rate, where = option[live], rate[live], where[live]
    agent = np.where(where >= 0, contacts.target[np.maximum(where, 0)] if len(contacts.target) else 0, -1 - where)
    return option, rate, agent, np.where(where >= 0, where, -1)
