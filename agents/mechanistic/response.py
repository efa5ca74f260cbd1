"""How the hazard of an agent answers to the dose it gets: in proportion, from a threshold on, or along a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Of = Literal["share", "weight"]
LINEAR, THRESHOLD, HILL = range(3)
"""Codes of the responses in `Tables.response`."""


@dataclass(frozen=True)
class Linear:
    """Simple contagion: hazard = rate × dose, so that each contact acts by itself."""

    @property
    def row(self) -> tuple[int, bool, float, float]:
        """Code, whether the dose is a share, two parameters."""
        return LINEAR, False, 0.0, 0.0


@dataclass(frozen=True)
class Threshold:
    """Complex contagion: hazard = rate once the dose has reached `at`, 0 before.

    of: "share": the dose is the part of all the weight an agent hears that comes from the source compartment, and `at` lies in
    [0, 1] (Watts 2002); "weight": it is that weight itself, the number of sources where weights are 1 (Centola & Macy 2007).
    A dose of 0 never counts as reached.
    """

    at: float
    of: Of = "share"

    def __post_init__(self) -> None:
        _check_of(self.of)
        most = 1.0 if self.of == "share" else math.inf
        if not 0 <= self.at <= most or math.isinf(self.at):
            allowed = "a share in [0, 1]" if self.of == "share" else "finite and at least 0"
            raise ValueError(f"threshold must be {allowed}, got {self.at}")

    @property
    def row(self) -> tuple[int, bool, float, float]:
        return THRESHOLD, self.of == "share", self.at, 0.0


@dataclass(frozen=True)
class Hill:
    """Dose and response: hazard = rate × dose^power / (half^power + dose^power).

    power 1 saturates; above 1 the curve is sigmoid, and contagion is complex. of: as for `Threshold`. Source: Hill 1910; for
    contagion by dose, Dodds & Watts 2004.
    """

    half: float
    power: float = 2.0
    of: Of = "weight"

    def __post_init__(self) -> None:
        _check_of(self.of)
        for name in ("half", "power"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")

    @property
    def row(self) -> tuple[int, bool, float, float]:
        return HILL, self.of == "share", self.half, self.power


Response = Linear | Threshold | Hill


def _check_of(of: str) -> None:
    if of not in ("share", "weight"):
        raise ValueError(f"of must be share or weight, got {of!r}")
