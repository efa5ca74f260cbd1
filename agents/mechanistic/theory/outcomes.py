"""What theory says of an epidemic's end, to lay beside a simulation: final sizes, outbreak probabilities, thresholds, cascades.

Transmissibility T is the chance that a case passes it on along one contact before it recovers. `seeded` is the share of agents
that are index cases, drawn at random; 0 means a vanishing share, in an outbreak that takes off. Final sizes count index cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.mechanistic.theory.degrees import Degrees, poisson, regular
from contagium.envs.network import Network


def smallest_fixed_point(f: Callable[[float], float], slope: Callable[[float], float]) -> float:
    """The smallest x in [0, 1] with f(x) = x, for f increasing and convex with f(0) ≥ 0 and f(1) ≤ 1 (a generating function).

    Newton's method from 0 rises to it without overshooting, because f is convex and steeper than 1 only beyond it.
    """
    x = 0.0
    while (margin := 1 - slope(x)) > 0 and (step := (f(x) - x) / margin) > 1e-16:
        if x + step == x:
            break
        x = min(x + step, 1.0)
    return x


def final_size(r0: float) -> float:
    """Share infected in a well-mixed population, z = 1 − exp(−R0 z), by Lambert W. Source: Ma & Earn 2006."""
    from scipy.special import lambertw

    if not r0 >= 0:
        raise ValueError(f"R0 must be non-negative, got {r0}")
    return 0.0 if r0 <= 1 else 1 + float(lambertw(-r0 * math.exp(-r0)).real) / r0


def continuous_transmissibility(transmission_rate: float, recovery_rate: float) -> float:
    """T = τ / (τ + γ), for exponential infectious periods. Source: Newman 2002."""
    check_rates(transmission_rate, recovery_rate)
    return transmission_rate / (transmission_rate + recovery_rate)


def discrete_transmissibility(transmission: float, recovery: float) -> float:
    """T = b / (b + g − b g), for probabilities b and g per step, transmission tried in the step of recovery too."""
    check_probabilities(transmission, recovery)
    return transmission / (transmission + recovery - transmission * recovery)


def network_final_size(degrees: Degrees, transmissibility: float, seeded: float = 0.0) -> float:
    """Share infected in the end on a large configuration network, by percolation. Sources: Newman 2002; Miller 2007."""
    if not (0 <= transmissibility <= 1 and 0 <= seeded <= 1):
        raise ValueError(f"transmissibility and seeded share must be in [0, 1], got {transmissibility} and {seeded}")
    t, outside = transmissibility, 1 - seeded
    # θ: the chance that a contact never passes it on to an agent that nobody else infects.
    theta = smallest_fixed_point(
        lambda x: 1 - t + t * outside * degrees.along(x), lambda x: t * outside * degrees.along(x, derivative=1)
    )
    return float(1 - outside * degrees.generating(theta))


def poisson_final_size(transmissibility: float, mean_degree: float, seeded: float = 0.0) -> float:
    """`network_final_size` of an Erdős–Rényi network."""
    return network_final_size(poisson(mean_degree), transmissibility, seeded)


def regular_final_size(transmissibility: float, degree: int, seeded: float = 0.0) -> float:
    """`network_final_size` of a random network in which everybody has the same degree."""
    return network_final_size(regular(degree), transmissibility, seeded)


class Escape(NamedTuple):
    """How infectious cases are: the chance (m,) that one contact of a case escapes it, and the share (m,) of such cases."""

    chance: NDArray[np.float64]
    share: NDArray[np.float64]


def continuous_escape(transmission_rate: float, recovery_rate: float) -> Escape:
    """Exponential infectious periods: E[f(exp(−τ D))] = ∫ a x^(a−1) f(x) dx with a = γ/τ, by Gauss–Jacobi quadrature."""
    from scipy.special import roots_jacobi

    check_rates(transmission_rate, recovery_rate)
    if transmission_rate == 0 or recovery_rate == 0:
        return Escape(np.array([float(transmission_rate == 0)]), np.ones(1))
    node, weight = roots_jacobi(64, 0.0, recovery_rate / transmission_rate - 1)
    return Escape((node + 1) / 2, weight / weight.sum())


def discrete_escape(transmission: float, recovery: float) -> Escape:
    """Geometric infectious periods of d ≥ 1 steps: chance (1 − b)^d in a share g (1 − g)^(d−1) of cases."""
    check_probabilities(transmission, recovery)
    if recovery == 0:
        return Escape(np.array([float(transmission == 0)]), np.ones(1))
    # A period so long that fewer than 1e-17 of cases reach it ends the sum.
    longest = 1 if recovery == 1 else math.ceil(math.log(1e-17) / math.log1p(-recovery))
    step: NDArray[np.float64] = np.arange(1.0, longest + 1)
    return Escape((1 - transmission) ** step, recovery * (1 - recovery) ** (step - 1))


def outbreak_probability(degrees: Degrees, escape: Escape) -> float:
    """Chance that one index case, drawn at random, starts an outbreak of more than a vanishing share of a large network.

    It differs from the final size where infectious periods differ: a long case infects many contacts or none together, so that
    the out-going generating function is a mixture over periods; the in-coming one is not. Source: Kenah & Robins 2007.
    """
    chance, share = escape

    def extinct(u: float) -> float:
        return float(share @ degrees.along(chance + (1 - chance) * u))

    def slope(u: float) -> float:
        return float(share @ ((1 - chance) * degrees.along(chance + (1 - chance) * u, derivative=1)))

    u = smallest_fixed_point(extinct, slope)
    return 1 - float(share @ degrees.generating(chance + (1 - chance) * u))


def critical_transmissibility(degrees: Degrees) -> float:
    """T above which outbreaks are possible, ⟨k⟩ / (⟨k²⟩ − ⟨k⟩); infinite where nobody has two contacts. Source: Newman 2002."""
    return 1 / degrees.excess if degrees.excess > 0 else math.inf


def spectral_threshold(network: Network) -> float:
    """τ/γ above which contagion persists in mean field: 1 over the largest eigenvalue of the weights. Source: Wang et al. 2003.

    Infinite where hearing runs in no circle, so that nothing can come back.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import eigs

    n = network.size
    heard = csr_matrix((np.array(network.weight), network.source, network.indptr), shape=(n, n))
    if connected_components(heard, connection="strong", return_labels=False) == n:
        return math.inf
    if n <= 64:
        return 1 / float(np.linalg.eigvals(heard.toarray()).real.max())
    # A start vector of ones: a random one would make the last digits differ from call to call.
    return 1 / float(eigs(heard, k=1, which="LR", v0=np.ones(n), return_eigenvectors=False)[0].real)


def watts_window(threshold: float) -> tuple[float, float] | None:
    """Mean degrees of Poisson networks between which one agent can start a global cascade, or None. Source: Watts 2002.

    Agents with k ≤ 1/threshold contacts tip at the first; z · P(Poisson(z) ≤ ⌊1/threshold⌋ − 2) = 1 at both ends of the window.
    """
    from scipy.optimize import brentq, minimize_scalar
    from scipy.special import pdtr

    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], got {threshold}")
    # A tiny allowance keeps 1 / (1/n) at n.
    most = math.floor(1 / threshold + 1e-9)
    if most < 2:
        return None

    def surplus(z: float) -> float:
        return float(z * pdtr(most - 2, z)) - 1

    top = minimize_scalar(lambda z: -surplus(z), bounds=(0, 2 * most), method="bounded", options={"xatol": 1e-10}).x
    if surplus(top) <= 0:
        return None
    return float(brentq(surplus, 1e-12, top, xtol=1e-12)), float(brentq(surplus, top, 10 * most + 50, xtol=1e-12))


def cascade_size(degrees: Degrees, threshold: float, seeded: float) -> float:
    """Share active in the end where agents tip once a share `threshold` of contacts is active. Gleeson & Cahalane 2007."""
    from scipy.stats import binom

    if not (0 < threshold <= 1 and 0 <= seeded <= 1):
        raise ValueError(f"threshold must be in (0, 1] and seeded share in [0, 1], got {threshold} and {seeded}")
    k = np.arange(1, len(degrees.share))
    needed = np.ceil(threshold * k - 1e-9)
    share = degrees.share[1:]

    def tipped(trials: NDArray[np.int64], weight: NDArray[np.float64], q: float) -> float:
        return seeded + (1 - seeded) * float(weight @ binom.sf(needed - 1, trials, q))

    q, before = seeded, -1.0
    # From below, the first fixed point reached is the smallest: where the cascade stops.
    while q - before > 1e-13 * q:
        q, before = tipped(k - 1, k * share / degrees.mean, q), q
    return tipped(k, share, q)


def check_rates(transmission_rate: float, recovery_rate: float) -> None:
    """ValueError unless both are rates and one of them is positive."""
    if not (0 <= transmission_rate < math.inf and 0 <= recovery_rate < math.inf and transmission_rate + recovery_rate > 0):
        raise ValueError(f"rates must be non-negative, finite and not both 0, got {transmission_rate} and {recovery_rate}")


def check_probabilities(transmission: float, recovery: float) -> None:
    """ValueError unless both are probabilities and one of them is positive."""
    if not (0 <= transmission <= 1 and 0 <= recovery <= 1 and transmission + recovery > 0):
        raise ValueError(f"probabilities must be in [0, 1] and not both 0, got {transmission} and {recovery}")
