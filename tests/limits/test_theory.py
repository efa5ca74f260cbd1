"""The closed forms against published and independently known values."""

from __future__ import annotations

import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from scipy.special import zeta

from contagium.agents.mechanistic.theory import curves
from contagium.agents.mechanistic.theory import outcomes as theory
from contagium.agents.mechanistic.theory.degrees import Degrees, poisson, power_law, regular
from contagium.envs.network import Network

POISSON = poisson(8.0)


@pytest.fixture(scope="module")
def karate() -> Network:
    """Zachary's karate club, ties unweighted."""
    return Network.from_networkx(nx.Graph(nx.karate_club_graph().edges()))


@pytest.mark.parametrize(("r0", "size"), [(1.5, 0.5828116439), (2.0, 0.7968121300), (1.0, 0.0), (0.3, 0.0)])
def test_final_size_of_a_well_mixed_epidemic(r0: float, size: float) -> None:
    assert theory.final_size(r0) == pytest.approx(size, abs=1e-9)
    assert size == pytest.approx(-math.expm1(-r0 * size), abs=1e-9)


@pytest.mark.parametrize(("seeded", "size"), [(0.0, 0.91218160), (0.01, 0.91332431)])
def test_final_size_in_continuous_time_on_a_poisson_network(seeded: float, size: float) -> None:
    transmissibility = theory.continuous_transmissibility(0.1, 0.2)
    assert theory.poisson_final_size(transmissibility, 8.0, seeded) == pytest.approx(size, abs=1e-8)


def test_final_size_in_steps_on_a_poisson_network() -> None:
    transmissibility = theory.discrete_transmissibility(0.1, 0.2)
    assert transmissibility == pytest.approx(0.357143, abs=1e-6)
    assert theory.poisson_final_size(transmissibility, 8.0, 0.01) == pytest.approx(0.93068987, abs=1e-8)


@pytest.mark.parametrize(("transmissibility", "size"), [(0.5, 0.85410197), (0.4, 0.54150262), (1 / 3, 0.0), (0.2, 0.0)])
def test_final_size_on_a_four_regular_network(transmissibility: float, size: float) -> None:
    assert theory.regular_final_size(transmissibility, 4) == pytest.approx(size, abs=1e-8)


def test_a_network_of_many_contacts_is_well_mixed() -> None:
    """With c contacts of transmissibility R0/c each, c large, the Poisson network's answer is the mass-action one."""
    assert theory.poisson_final_size(1.5 / 3000, 3000.0) == pytest.approx(theory.final_size(1.5), abs=1e-9)


def test_final_size_at_the_ends() -> None:
    """T = 1 reaches the giant component, whose share solves the mass-action equation with R0 = c; T = 0 only index cases."""
    assert theory.poisson_final_size(1.0, 2.0) == pytest.approx(theory.final_size(2.0), abs=1e-9)
    assert theory.poisson_final_size(0.0, 2.0, seeded=0.01) == pytest.approx(0.01, abs=1e-12)


def test_outbreak_probability_is_not_the_final_size() -> None:
    stepwise = theory.outbreak_probability(POISSON, theory.discrete_escape(0.1, 0.2))
    timed = theory.outbreak_probability(POISSON, theory.continuous_escape(0.1, 0.2))
    assert stepwise == pytest.approx(0.798720, abs=1e-6)
    assert timed == pytest.approx(0.709508, abs=1e-6)


@pytest.mark.parametrize(
    ("escape", "transmissibility"),
    [
        (theory.continuous_escape(0.1, 0.2), theory.continuous_transmissibility(0.1, 0.2)),
        (theory.continuous_escape(3.0, 0.2), theory.continuous_transmissibility(3.0, 0.2)),
        (theory.discrete_escape(0.1, 0.2), theory.discrete_transmissibility(0.1, 0.2)),
        (theory.discrete_escape(0.1, 1.0), 0.1),
        (theory.discrete_escape(0.1, 0.0), 1.0),
        (theory.continuous_escape(0.0, 1.0), 0.0),
    ],
)
def test_escapes_average_to_the_transmissibility(escape: theory.Escape, transmissibility: float) -> None:
    assert escape.share.sum() == pytest.approx(1, abs=1e-12)
    assert 1 - escape.share @ escape.chance == pytest.approx(transmissibility, abs=1e-9)


def test_equal_infectious_periods_make_outbreak_probability_and_final_size_one() -> None:
    escape = theory.Escape(np.array([0.7]), np.ones(1))
    assert theory.outbreak_probability(POISSON, escape) == pytest.approx(theory.poisson_final_size(0.3, 8.0), abs=1e-12)


@pytest.mark.parametrize(("cutoff", "critical"), [(5, 0.607989), (10, 0.328691)])
def test_critical_transmissibility_of_a_power_law(cutoff: float, critical: float) -> None:
    assert theory.critical_transmissibility(power_law(2.0, cutoff)) == pytest.approx(critical, abs=1e-6)


def test_power_law_without_much_of_a_cutoff_has_the_mean_of_zeta() -> None:
    assert power_law(4.5, 5000.0).mean == pytest.approx(zeta(3.5) / zeta(4.5), abs=1e-3)


def test_critical_transmissibility_of_regular_and_poisson_networks() -> None:
    assert theory.critical_transmissibility(regular(4)) == pytest.approx(1 / 3, abs=1e-12)
    assert theory.critical_transmissibility(POISSON) == pytest.approx(1 / 8, abs=1e-12)
    assert theory.critical_transmissibility(regular(1)) == math.inf


def test_thresholds_of_the_karate_club(karate: Network) -> None:
    assert theory.critical_transmissibility(Degrees.of(karate)) == pytest.approx(0.1477273, abs=1e-6)
    assert theory.spectral_threshold(karate) == pytest.approx(0.1486835, abs=1e-6)


def test_spectral_threshold_of_large_weighted_and_acyclic_networks() -> None:
    ring = nx.cycle_graph(300)
    assert theory.spectral_threshold(Network.from_networkx(ring)) == pytest.approx(1 / 2, abs=1e-9)
    nx.set_edge_attributes(ring, 0.5, "weight")
    assert theory.spectral_threshold(Network.from_networkx(ring)) == pytest.approx(1, abs=1e-9)
    assert theory.spectral_threshold(Network.from_networkx(nx.path_graph(100, create_using=nx.DiGraph))) == math.inf


def test_edge_based_curve() -> None:
    times = np.linspace(0, 120, 12_001)
    curve = curves.edge_based(POISSON, 0.1, 0.2, 0.01, times)
    peak = int(curve.infectious.argmax())
    assert times[peak] == pytest.approx(10.83, abs=0.005)
    assert curve.infectious[[peak, 500, 2000]] == pytest.approx([0.33782, 0.11086, 0.12270], abs=5e-6)
    assert curve.recovered[-1] == pytest.approx(theory.poisson_final_size(1 / 3, 8.0, 0.01), abs=1e-6)
    assert curve.susceptible + curve.infectious + curve.recovered == pytest.approx(1, abs=1e-12)


def test_edge_based_curve_grows_at_its_rate_at_first() -> None:
    curve = curves.edge_based(POISSON, 0.1, 0.2, 1e-7, np.array([0.0, 8.0, 12.0]))
    rate = math.log(curve.infectious[2] / curve.infectious[1]) / 4
    assert rate == pytest.approx(curves.growth_rate(POISSON.excess, 0.1, 0.2), abs=2e-3)


def test_growth_rates() -> None:
    assert curves.growth_rate(8.0, 0.1, 0.2) == pytest.approx(0.5, abs=1e-12)
    assert curves.discrete_growth_rate(8.0, 0.1, 0.2) == pytest.approx(0.41871, abs=1e-5)
    small = 1e-6
    assert curves.discrete_growth_rate(8.0, 0.1 * small, 0.2 * small) / small == pytest.approx(0.5, abs=1e-5)


def test_endemic_states_of_sis() -> None:
    assert curves.sis_mean_field(8, 0.1, 0.2) == pytest.approx(0.75, abs=1e-12)
    assert curves.sis_pairwise(8, 0.1, 0.2) == pytest.approx(20 / 27, abs=1e-12)
    assert curves.sis_mean_field(8, 0.1, 0.0) == curves.sis_pairwise(8, 0.1, 0.0) == 1
    assert curves.sis_mean_field(8, 0.01, 0.2) == curves.sis_pairwise(8, 0.01, 0.2) == curves.sis_pairwise(2, 0.05, 0.2) == 0


def test_quasi_stationary_law_of_sis() -> None:
    law = curves.sis_quasi_stationary(100, 2.0 / 100, 1.0)
    assert law @ np.arange(1, 101) / 100 == pytest.approx(0.489305, abs=1e-6)
    # Large N: 1 − 1/R0 less 1/(N (R0 − 1)).
    large = curves.sis_quasi_stationary(4000, 2.0 / 4000, 1.0)
    assert large @ np.arange(1, 4001) / 4000 == pytest.approx(0.5 - 1 / 4000, abs=1e-6)


def test_quasi_stationary_law_is_left_as_it_is_by_the_process() -> None:
    """All probability flows keep the shape of the law: its rate of change is the same share everywhere."""
    size, tau, gamma = 12, 0.15, 1.0
    law, cases = curves.sis_quasi_stationary(size, tau, gamma), np.arange(1, size + 1)
    up, down = tau * cases * (size - cases), gamma * cases
    change = -(up + down) * law
    change[1:] += (up * law)[:-1]
    change[:-1] += (down * law)[1:]
    assert change / law == pytest.approx(-gamma * law[0], rel=1e-9)


def test_watts_window() -> None:
    assert theory.watts_window(0.18) == pytest.approx((1.0207, 5.76468), abs=1e-4)
    assert theory.watts_window(0.19) == theory.watts_window(0.18) == theory.watts_window(1 / 5)
    assert theory.watts_window(0.5) is None
    assert theory.watts_window(1.0) is None


@pytest.mark.parametrize(("seeded", "size"), [(0.001, 0.002308), (0.01, 0.999667)])
def test_cascade_size(seeded: float, size: float) -> None:
    assert theory.cascade_size(POISSON, 0.18, seeded) == pytest.approx(size, abs=1e-6)


def test_cascades_need_a_seed_and_reach_all_who_have_contacts() -> None:
    assert theory.cascade_size(POISSON, 0.18, 0.0) == 0
    assert theory.cascade_size(poisson(3.0), 0.01, 1e-9) == pytest.approx(theory.poisson_final_size(1.0, 3.0), abs=1e-6)


def test_degrees() -> None:
    star = Network.from_networkx(nx.star_graph(4))
    found = Degrees.of(star)
    assert (found.mean, found.excess) == pytest.approx((1.6, 1.5))
    assert found.generating(0.5) == pytest.approx(0.8 * 0.5 + 0.2 * 0.5**4)
    assert POISSON.along(0.3) == pytest.approx(math.exp(8 * (0.3 - 1)), abs=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: theory.final_size(float("nan")), "R0 must be non-negative, got nan"),
        (lambda: theory.continuous_transmissibility(-1, 1), "rates must be non-negative, finite and not both 0, got -1 and 1"),
        (lambda: theory.discrete_transmissibility(0, 0), "not both 0, got 0 and 0"),
        (lambda: theory.network_final_size(POISSON, 1.2), r"must be in \[0, 1\], got 1.2"),
        (lambda: theory.watts_window(0), r"threshold must be in \(0, 1\], got 0"),
        (lambda: theory.cascade_size(POISSON, 0.2, -0.1), "got 0.2 and -0.1"),
        (lambda: poisson(0), "mean degree must be positive and finite, got 0"),
        (lambda: regular(0), "degree must be at least 1, got 0"),
        (lambda: power_law(2, 0), "got 2 and 0"),
        (lambda: Degrees(np.array([0.5, 0.6])), "sum to 1, got a sum of 1.1"),
        (lambda: Degrees(np.array([1.0, 0.0])), "every degree is 0"),
        (lambda: curves.edge_based(POISSON, 0.1, 0.2, 0.0, [0.0, 1.0]), r"seeded share must be in \(0, 1\], got 0.0"),
        (lambda: curves.edge_based(POISSON, 0.1, -0.2, 0.1, [0.0, 1.0]), "got 0.1 and -0.2"),
        (lambda: curves.sis_pairwise(8, math.inf, 0.2), "got inf and 0.2"),
        (lambda: curves.discrete_growth_rate(8.0, 1.1, 0.2), "got 1.1 and 0.2"),
        (lambda: curves.sis_quasi_stationary(1, 1.0, 1.0), "size must be at least 2"),
    ],
)
def test_bad_values_are_named(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
