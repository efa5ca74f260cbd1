"""How long an agent stays in a compartment before it moves on by itself: distributions of dwell times."""

from __future__ import annotations

import math
from dataclasses import dataclass

EXPONENTIAL, FIXED, GAMMA, WEIBULL, LOGNORMAL = range(5)
"""Codes of the distributions in `Tables.dwell`."""


@dataclass(frozen=True)
class Exponential:
    """Memoryless: mean 1 / rate; a rate of 0 is never."""

    rate: float

    def __post_init__(self) -> None:
        if not (self.rate >= 0 and math.isfinite(self.rate)):
            raise ValueError(f"rate must be non-negative and finite, got {self.rate}")

    @property
    def mean(self) -> float:
        return 1 / self.rate if self.rate > 0 else math.inf

    @property
    def row(self) -> tuple[int, float, float]:
        """Code and two parameters: rate, unused."""
        return EXPONENTIAL, self.rate, 0.0


@dataclass(frozen=True)
class Fixed:
    """Exactly `time`."""

    time: float

    def __post_init__(self) -> None:
        _check_positive("dwell time", self.time)

    @property
    def mean(self) -> float:
        return self.time

    @property
    def row(self) -> tuple[int, float, float]:
        """Code and two parameters: time, unused."""
        return FIXED, self.time, 0.0


@dataclass(frozen=True)
class Gamma:
    """Gamma with this mean; shape 1 is exponential, a large one nearly fixed. A whole-number shape is a chain of stages."""

    mean: float
    shape: float

    def __post_init__(self) -> None:
        _check_positive("mean", self.mean)
        _check_positive("shape", self.shape)

    @property
    def row(self) -> tuple[int, float, float]:
        """Code and two parameters: scale, shape."""
        return GAMMA, self.mean / self.shape, self.shape


@dataclass(frozen=True)
class Weibull:
    """Weibull with this mean; shape below 1: the longer it has lasted, the longer it lasts on."""

    mean: float
    shape: float

    def __post_init__(self) -> None:
        _check_positive("mean", self.mean)
        _check_positive("shape", self.shape)
        if self.shape < 0.05:
            raise ValueError(f"shape of a Weibull dwell time must be at least 0.05, got {self.shape}")

    @property
    def row(self) -> tuple[int, float, float]:
        """Code and two parameters: scale, shape."""
        return WEIBULL, self.mean * math.exp(-math.lgamma(1 + 1 / self.shape)), self.shape


@dataclass(frozen=True)
class Lognormal:
    """Lognormal with this mean and standard deviation (of the time, not of its logarithm)."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        _check_positive("mean", self.mean)
        _check_positive("sd", self.sd)

    @property
    def row(self) -> tuple[int, float, float]:
        """Code and two parameters: mean and standard deviation of the logarithm."""
        variance = math.log1p((self.sd / self.mean) ** 2)
        return LOGNORMAL, math.log(self.mean) - variance / 2, math.sqrt(variance)


Dwell = Exponential | Fixed | Gamma | Weibull | Lognormal


def _check_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, got {value}")
