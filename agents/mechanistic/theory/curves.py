"""What theory says of an epidemic's course: growth rates, the edge-based SIR curve and the endemic state of SIS."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.agents.mechanistic.theory.degrees import Degrees
from contagium.agents.mechanistic.theory.outcomes import check_probabilities, check_rates


def growth_rate(excess: float, transmission_rate: float, recovery_rate: float) -> float:
    """Early exponential growth per unit of time of SIR on a network: τκ − τ − γ, κ = `Degrees.excess`. Miller et al. 2012."""
    check_rates(transmission_rate, recovery_rate)
    return transmission_rate * excess - transmission_rate - recovery_rate


def discrete_growth_rate(excess: float, transmission: float, recovery: float) -> float:
    """Early growth per step of stepwise SIR, ln((1 − b)(1 − g) + κ b).

    A contact stays open if nothing passes and its case does not recover; each one used opens κ more.
    """
    check_probabilities(transmission, recovery)
    factor = (1 - transmission) * (1 - recovery) + excess * transmission
    return math.log(factor) if factor > 0 else -math.inf


class Curve(NamedTuple):
    """Shares of agents over time; all shape (T,)."""

    times: NDArray[np.float64]
    susceptible: NDArray[np.float64]
    infectious: NDArray[np.float64]
    recovered: NDArray[np.float64]


def edge_based(degrees: Degrees, transmission_rate: float, recovery_rate: float, seeded: float, times: ArrayLike) -> Curve:
    """SIR on a large configuration network, exactly, from a share `seeded` at time 0. times: ascending, from 0. (T,)

    θ is the chance that a contact has passed nothing on yet: θ' = −τθ + τ(1 − ρ) ψ'(θ)/ψ'(1) + γ(1 − θ), S = (1 − ρ) ψ(θ).
    Source: Miller, Slim & Volz 2012.
    """
    from scipy.integrate import solve_ivp

    if not 0 < seeded <= 1:
        raise ValueError(f"seeded share must be in (0, 1], got {seeded}")
    check_rates(transmission_rate, recovery_rate)
    tau, gamma = transmission_rate, recovery_rate

    def move(_: float, state: NDArray[np.float64]) -> list[float]:
        theta, recovered = state
        infectious = 1 - (1 - seeded) * degrees.generating(theta) - recovered
        return [-tau * theta + tau * (1 - seeded) * degrees.along(theta) + gamma * (1 - theta), gamma * infectious]

    at = np.asarray(times, dtype=np.float64)
    theta, recovered = solve_ivp(move, (0.0, at[-1]), [1.0, 0.0], t_eval=at, method="DOP853", rtol=1e-9, atol=1e-11).y
    susceptible = (1 - seeded) * degrees.generating(theta)
    return Curve(at, susceptible, 1 - susceptible - recovered, recovered)


def sis_mean_field(degree: float, transmission_rate: float, recovery_rate: float) -> float:
    """Endemic prevalence of SIS where everybody hears `degree` others, 1 − γ/(nτ), or 0: neighbours taken as independent."""
    check_rates(transmission_rate, recovery_rate)
    force = degree * transmission_rate
    return 1 - recovery_rate / force if force > recovery_rate else 0.0


def sis_pairwise(degree: float, transmission_rate: float, recovery_rate: float) -> float:
    """Endemic prevalence of SIS from pairs, 1 − (n − 1)/(n(n − 1)τ/γ − 1), or 0. Source: Keeling 1999.

    Closer than `sis_mean_field`, and still too high: cases sit together, and pairs see only part of that.
    """
    check_rates(transmission_rate, recovery_rate)
    force = degree * (degree - 1) * transmission_rate - recovery_rate
    return 1 - (degree - 1) * recovery_rate / force if force > (degree - 1) * recovery_rate else 0.0


def sis_quasi_stationary(size: int, transmission_rate: float, recovery_rate: float) -> NDArray[np.float64]:
    """Chance of 1…N cases in SIS on a complete graph, given that any are left, in the long run. Shape (N,).

    transmission_rate: along each contact; with a contact rate β shared among all, β/N. The law is the slowest-dying state of a
    birth–death chain, which detailed balance makes symmetric. Source: Nåsell 1996.
    """
    from scipy.linalg import eigh_tridiagonal

    if size < 2 or not (transmission_rate > 0 and recovery_rate > 0):
        raise ValueError(f"size must be at least 2 and rates positive, got {size}, {transmission_rate} and {recovery_rate}")
    cases = np.arange(1.0, size + 1)
    infect, recover = transmission_rate * cases * (size - cases), recovery_rate * cases
    off = np.sqrt(infect[:-1] * recover[1:])
    _, vector = eigh_tridiagonal(-(infect + recover), off, select="i", select_range=(size - 1, size - 1))
    # Logarithms: the balance weights span hundreds of orders of magnitude.
    balance = np.cumsum(np.r_[0.0, np.log(infect[:-1] / recover[1:])]) / 2
    law = np.abs(vector[:, 0]) * np.exp(balance - balance.max())
    return law / law.sum()
