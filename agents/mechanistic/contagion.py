"""Contagion models as data: compartments, what moves an agent between them, and what each compartment shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.dwell import Dwell, Exponential
from contagium.agents.mechanistic.response import Linear, Response

MOST_TRANSMISSIONS = 2**15 - 1
"""Kernels number them by int16."""


@dataclass(frozen=True)
class Transmission:
    """An agent in `origin` that hears others in `source` moves to `target`, with hazard rate × response(dose).

    rate: per unit of time, and with a linear response per unit of contact weight. The dose is the summed weight of the contacts
    in `source`, or their share, as `response` says. layer: only contacts of this layer of the network count; None: all do.
    """

    source: str
    origin: str
    target: str
    rate: float
    layer: str | None = None
    response: Response = Linear()  # noqa: RUF009

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_move(self.origin, self.target)


@dataclass(frozen=True)
class Progression:
    """An agent in `origin` moves to `target` by itself, at `rate` per unit of time, or after a stated `dwell` time."""

    origin: str
    target: str
    rate: float | None = None
    dwell: Dwell | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.dwell is None):
            raise ValueError(f"a progression {self.origin} -> {self.target} needs either a rate or a dwell time")
        if self.rate is not None:
            _check_rate(self.rate)
        _check_move(self.origin, self.target)

    @property
    def waits(self) -> Dwell:
        """The distribution of the time an agent stays if nothing else moves it."""
        return Exponential(self.rate) if self.rate is not None else self.dwell  # type: ignore[return-value]


@dataclass(frozen=True)
class Shows:
    """An agent in `compartment` shows strain number `strain` in its messages, with `strength` in (0, 1]."""

    compartment: str
    strain: int = 0
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.strain < 0:
            raise ValueError(f"strains are numbered from 0, got {self.strain}")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength must be in (0, 1], got {self.strength}")


def _check_rate(rate: float) -> None:
    if not (rate >= 0 and math.isfinite(rate)):
        raise ValueError(f"rate must be non-negative and finite, got {rate}")


def _check_move(origin: str, target: str) -> None:
    if origin == target:
        raise ValueError(f"a transition must lead to another compartment, got {origin} -> {target}")


class Tables(NamedTuple):
    """A model as arrays, for kernels. Compartments are numbered as in `ContagionModel.compartments`.

    Transmissions (T,): source, origin, target int8; rate float64; layer int8 (−1: all); response int8 (its code); share bool;
    a, b float64 (its parameters); strain int64, the one that the source shows most strongly, 0 where it shows none.
    Progressions (P,): begins, leads int8 (origin and target); dwell int8 (its code); c, d float64.
    """

    source: NDArray[np.int8]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]
    rate: NDArray[np.float64]
    layer: NDArray[np.int8]
    response: NDArray[np.int8]
    share: NDArray[np.bool_]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    strain: NDArray[np.int64]
    begins: NDArray[np.int8]
    leads: NDArray[np.int8]
    dwell: NDArray[np.int8]
    c: NDArray[np.float64]
    d: NDArray[np.float64]


@dataclass(frozen=True)
class ContagionModel:
    """A contagion model. compartments: the first is where everybody starts. seeded: where index cases start, one for each strain.

    shows: which compartments show which strain in messages, and how strongly; by default those that are the source of a
    transmission show strain 0 in full. Any model can be run in continuous time, in discrete steps, or by agents in a world.
    """

    compartments: tuple[str, ...]
    transmissions: tuple[Transmission, ...]
    progressions: tuple[Progression, ...] = ()
    seeded: str | tuple[str, ...] = "I"
    shows: tuple[Shows, ...] | None = None

    def __post_init__(self) -> None:
        if not self.transmissions and not self.progressions:
            raise ValueError("a contagion model needs at least one transmission or progression")
        if len(set(self.compartments)) < len(self.compartments):
            raise ValueError(f"compartments must differ, got {', '.join(self.compartments)}")
        if len(self.compartments) > 127:
            raise ValueError(f"at most 127 compartments, got {len(self.compartments)}")
        if len(self.transmissions) > MOST_TRANSMISSIONS:
            raise ValueError(f"at most {MOST_TRANSMISSIONS} transmissions, got {len(self.transmissions)}")
        unknown = sorted(self._named() - set(self.compartments))
        if unknown:
            raise ValueError(f"no compartment {', '.join(unknown)}: the model has {', '.join(self.compartments)}")
        lost = [name for name in self.compartments if name not in self._reached()]
        if lost:
            start = " and ".join(dict.fromkeys((self.compartments[0], *self.starts)))
            raise ValueError(f"compartment {lost[0]} cannot be reached from {start}")

    def code(self, compartment: str) -> int:
        return self.compartments.index(compartment)

    @property
    def starts(self) -> tuple[str, ...]:
        """Where index cases start, by strain."""
        return (self.seeded,) if isinstance(self.seeded, str) else self.seeded

    @cached_property
    def shown(self) -> tuple[Shows, ...]:
        """What the compartments show, the default filled in."""
        if self.shows is not None:
            return self.shows
        return tuple(Shows(name) for name in dict.fromkeys(t.source for t in self.transmissions))

    @property
    def strains(self) -> int:
        """How many strains the model tells apart, 0 for one that shows nothing."""
        return max((s.strain + 1 for s in self.shown), default=0)

    @property
    def shedding(self) -> NDArray[np.bool_]:
        """Which compartments are infectious, the source of a transmission; shape (number of compartments,)."""
        return np.isin(self.compartments, [t.source for t in self.transmissions])

    def strength(self, strain: int) -> NDArray[np.float64]:
        """How strongly each compartment shows a strain, 0 for not at all; shape (number of compartments,)."""
        shown = {s.compartment: s.strength for s in self.shown if s.strain == strain}
        return np.array([shown.get(name, 0.0) for name in self.compartments])

    def tables(self, layers: Sequence[str] = ()) -> Tables:
        """The model as arrays on a network with these layers. ValueError: it names a layer that is not there."""
        wanted = {t.layer for t in self.transmissions if t.layer is not None}
        if missing := sorted(wanted - set(layers)):
            raise ValueError(f"a transmission acts on layer {missing[0]}, but the layers are: {', '.join(layers) or 'none'}")
        response = [t.response.row for t in self.transmissions]
        waits = [p.waits.row for p in self.progressions]
        return Tables(
            source=self._codes([t.source for t in self.transmissions]),
            origin=self._codes([t.origin for t in self.transmissions]),
            target=self._codes([t.target for t in self.transmissions]),
            rate=np.array([t.rate for t in self.transmissions], dtype=np.float64),
            layer=np.array([-1 if t.layer is None else layers.index(t.layer) for t in self.transmissions], dtype=np.int8),
            response=np.array([row[0] for row in response], dtype=np.int8),
            share=np.array([row[1] for row in response], dtype=np.bool_),
            a=np.array([row[2] for row in response], dtype=np.float64),
            b=np.array([row[3] for row in response], dtype=np.float64),
            strain=np.array([self._strain(t.source) for t in self.transmissions], dtype=np.int64),
            begins=self._codes([p.origin for p in self.progressions]),
            leads=self._codes([p.target for p in self.progressions]),
            dwell=np.array([row[0] for row in waits], dtype=np.int8),
            c=np.array([row[1] for row in waits], dtype=np.float64),
            d=np.array([row[2] for row in waits], dtype=np.float64),
        )

    def checked(self, size: int, compartment: NDArray[np.integer]) -> NDArray[np.int8]:
        """Compartments (size,) as given, if they are codes of this model for that many agents. ValueError: they are not."""
        given, most = np.asarray(compartment), len(self.compartments) - 1
        if given.shape != (size,):
            raise ValueError(f"compartment must be one code for each of {size} agents, got shape {given.shape}")
        if not np.issubdtype(given.dtype, np.integer) or not 0 <= given.min() <= given.max() <= most:
            raise ValueError(f"compartment codes must be 0 to {most}, got {given.min()} to {given.max()}")
        return given.astype(np.int8)

    def start(self, size: int, seeded: NDArray[np.int64], strain: int = 0) -> NDArray[np.int8]:
        """Compartments (size,) with the agents `seeded` where index cases of `strain` start, all others in the first.

        ValueError: more seeds than agents, one twice, or none that exists.
        """
        seeded = np.asarray(seeded)
        if seeded.ndim != 1 or (len(seeded) and not np.issubdtype(seeded.dtype, np.integer)):
            raise ValueError(f"seeds must be a list of whole numbers, got {seeded.dtype} of shape {seeded.shape}")
        seeded = seeded.astype(np.int64)
        if len(seeded) > size:
            raise ValueError(f"at most {size} seeds, one an agent, got {len(seeded)}")
        if len(seeded) and not (seeded.min() >= 0 and seeded.max() < size):
            raise ValueError(f"seeds must be agent ids 0 to {size - 1}, got {seeded.min()} to {seeded.max()}")
        if len(np.unique(seeded)) < len(seeded):
            raise ValueError("an agent is seeded twice")
        if not 0 <= strain < len(self.starts):
            raise ValueError(f"index cases start with strains 0 to {len(self.starts) - 1}, got {strain}")
        compartment = np.zeros(size, dtype=np.int8)
        compartment[seeded] = self.code(self.starts[strain])
        return compartment

    def _strain(self, compartment: str) -> int:
        strength = {s.strain: s.strength for s in self.shown if s.compartment == compartment}
        return max(strength, key=strength.__getitem__, default=0)

    def _codes(self, names: list[str]) -> NDArray[np.int8]:
        return np.array([self.code(name) for name in names], dtype=np.int8)

    def _named(self) -> set[str]:
        """Every compartment that is spoken of."""
        named = set(self.starts) | {s.compartment for s in self.shown}
        for t in self.transmissions:
            named |= {t.source, t.origin, t.target}
        for p in self.progressions:
            named |= {p.origin, p.target}
        return named

    def _reached(self) -> set[str]:
        """The compartments somebody can come to be in."""
        reached: set[str] = set()
        grown = {self.compartments[0], *self.starts}
        while grown != reached:
            reached = set(grown)
            grown |= {t.target for t in self.transmissions if {t.source, t.origin} <= reached}
            grown |= {p.target for p in self.progressions if p.origin in reached}
        return reached
