"""How many contacts agents have: degree distributions and their generating functions, which theory is written in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from contagium.envs.network import Network


@dataclass(frozen=True)
class Degrees:
    """The share of agents that hear k others, k = 0…K: share, shape (K + 1,), non-negative, summing to 1.

    Everything asked of it belongs to a configuration network: contacts joined at random, given the degrees. Source: Newman 2002.
    """

    share: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.share) < 2 or not np.all(self.share >= 0) or abs(self.share.sum() - 1) > 1e-9:
            raise ValueError(f"shares of degrees must be non-negative and sum to 1, got a sum of {np.sum(self.share)}")
        if self.share[0] == 1:
            raise ValueError("somebody must hear somebody, but every degree is 0")

    @classmethod
    def of(cls, network: Network) -> Degrees:
        """The degrees of a network, whose edges are taken to be heard both ways."""
        return cls(np.bincount(network.in_degree, minlength=2) / network.size)

    @property
    def mean(self) -> float:
        return float(np.arange(len(self.share)) @ self.share)

    @property
    def excess(self) -> float:
        """Mean number of other contacts of an agent found along a contact: (⟨k²⟩ − ⟨k⟩) / ⟨k⟩."""
        k = np.arange(len(self.share), dtype=np.float64)
        return float((k * (k - 1)) @ self.share) / self.mean

    def generating(self, x: Any, derivative: int = 0) -> Any:
        """Σ p_k x^k or a derivative of it, at x: a number or an array of any shape."""
        return polynomial.polyval(x, polynomial.polyder(self.share, derivative))

    def along(self, x: Any, derivative: int = 0) -> Any:
        """The generating function of the other contacts of an agent found along a contact, or a derivative of it."""
        return self.generating(x, derivative + 1) / self.mean


def poisson(mean_degree: float) -> Degrees:
    """Degrees of a large Erdős–Rényi network. mean_degree: above 0."""
    from scipy.stats import poisson as law

    if not (mean_degree > 0 and math.isfinite(mean_degree)):
        raise ValueError(f"mean degree must be positive and finite, got {mean_degree}")
    # Beyond this many contacts less than 1e-16 of the agents are left.
    most = int(mean_degree + 12 * math.sqrt(mean_degree) + 30)
    share = law.pmf(np.arange(most + 1), mean_degree)
    return Degrees(share / share.sum())


def regular(degree: int) -> Degrees:
    """Everybody hears `degree` ≥ 1 others."""
    if degree < 1:
        raise ValueError(f"degree must be at least 1, got {degree}")
    return Degrees(np.eye(degree + 1)[degree])


def power_law(exponent: float, cutoff: float) -> Degrees:
    """Shares k^−exponent · exp(−k / cutoff), k ≥ 1. Source: Newman 2002."""
    if not (math.isfinite(exponent) and 0 < cutoff < 1e5):
        raise ValueError(f"exponent must be finite and cutoff in (0, 100000), got {exponent} and {cutoff}")
    k = np.arange(1.0, 1 + math.ceil(40 * cutoff) + 40)
    share = k**-exponent * np.exp(-k / cutoff)
    return Degrees(np.r_[0.0, share / share.sum()])
