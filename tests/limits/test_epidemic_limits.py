"""Simulated outbreaks against theory that is exact in large networks, against an exact chain, and against another simulator.

Tolerances are standard errors over independent outbreaks where there are many, and those of the known answers where there is one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.dwell import Fixed
from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.engine.discrete import discrete
from contagium.agents.mechanistic.engine.outbreak import Outbreak
from contagium.agents.mechanistic.models import sir, sis, watts
from contagium.agents.mechanistic.theory import curves
from contagium.agents.mechanistic.theory import outcomes as theory
from contagium.agents.mechanistic.theory.degrees import poisson
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.growth import growth_rate

SIZE = 250_000
S, I = 0, 1  # noqa: E741 - the names of compartments
Engine = Callable[[ContagionModel, Network, NDArray[np.int8], float, Streams, NDArray[np.float64]], Outbreak]


def joined(size: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> Network:
    """The network of these ties, heard both ways; the few ties to oneself or drawn twice are left out."""
    ties = np.sort(np.minimum(one, other) * size + np.maximum(one, other))
    low, high = np.divmod(ties, size)
    kept = (low != high) & (np.diff(ties, prepend=-1) > 0)
    return Network.from_edges(size, np.r_[low[kept], high[kept]], np.r_[high[kept], low[kept]])


def random_network(size: int, mean_degree: float, seed: int) -> Network:
    """Pairs joined at random: degrees are Poisson."""
    ends = Streams(seed).generator("network").integers(size, size=(2, round(size * mean_degree / 2)))
    return joined(size, *ends)


def regular_network(size: int, degree: int, seed: int) -> Network:
    """Everybody has `degree` ties, joined at random."""
    ends = Streams(seed).generator("network").permutation(np.repeat(np.arange(size), degree))
    return joined(size, ends[::2], ends[1::2])


def copies(graph: nx.Graph, number: int) -> Network:
    """Many copies of a small graph with nodes 0…n−1, side by side: one run is as many independent outbreaks."""
    n, ends = len(graph), np.array([*graph.edges()])
    one, other = ((ends[:, end] + n * np.arange(number)[:, None]).ravel() for end in (0, 1))
    return Network.from_edges(n * number, np.r_[one, other], np.r_[other, one])


def seeded(size: int, share: float, streams: Streams) -> NDArray[np.int8]:
    compartment = np.zeros(size, dtype=np.int8)
    compartment[streams.generator("seeds").permutation(size)[: round(size * share)]] = I
    return compartment


def timed(
    model: ContagionModel, network: Network, start: NDArray[np.int8], until: float, streams: Streams, times: NDArray[np.float64]
) -> Outbreak:
    return continuous(model, network, start, until, streams, times=times)


def stepwise(
    model: ContagionModel, network: Network, start: NDArray[np.int8], until: float, streams: Streams, times: NDArray[np.float64]
) -> Outbreak:
    return discrete(model, network, start, until, 1.0, streams)


def per_step(probability: float) -> float:
    """The rate whose probability per unit of time this is."""
    return -math.log1p(-probability)


@pytest.fixture(scope="module")
def network() -> Network:
    """Poisson degrees, 8 on average."""
    return random_network(SIZE, 8.0, 1)


@pytest.fixture(scope="module")
def epidemic(network: Network) -> Outbreak:
    """SIR in continuous time from 1% of the agents."""
    return timed(sir(0.1, 0.2), network, seeded(SIZE, 0.01, Streams(2)), 120.0, Streams(2), np.linspace(0, 120, 2401))


def test_final_size_in_continuous_time(epidemic: Outbreak) -> None:
    assert 1 - epidemic.counts[-1, S] / SIZE == pytest.approx(0.91332431, abs=0.002)


def test_curve_follows_the_edge_based_equations(epidemic: Outbreak) -> None:
    share = epidemic.counts / SIZE
    theirs = curves.edge_based(poisson(8.0), 0.1, 0.2, 0.01, epidemic.times)
    assert share[:, I].max() == pytest.approx(0.33782, abs=0.005)
    assert epidemic.times[share[:, I].argmax()] == pytest.approx(10.83, abs=0.4)
    assert share[[100, 400], I] == pytest.approx([0.11086, 0.12270], abs=0.005)
    # The largest distance, where the curves are steepest, was .004 on average over 12 seeds, with a spread of .003.
    assert np.abs(share - np.c_[theirs.susceptible, theirs.infectious, theirs.recovered]).max() < 0.014


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_final_size_in_steps(network: Network, dt: float) -> None:
    """Rates that make b = .1 and g = .2 in a step of any length: the step decides the law, not its length."""
    model, streams = sir(per_step(0.1) / dt, per_step(0.2) / dt), Streams(3)
    found = discrete(model, network, seeded(SIZE, 0.01, streams), 80 * dt, dt, streams)
    assert 1 - found.counts[-1, S] / SIZE == pytest.approx(0.93068987, abs=0.002)


@pytest.mark.parametrize(("engine", "size"), [(timed, 800_000), (stepwise, 100_000)])
def test_final_size_on_a_four_regular_network(engine: Engine, size: int) -> None:
    """Infectious for one unit of time exactly, so that each contact is used with probability T in both engines.

    Sizes vary by .9/√N at T = .5 and by 2.1/√N at .4, as 8 networks each showed; closer to the threshold, more.
    """
    ties, share = regular_network(size, 4, 4), 0.01
    for transmissibility, without_seeds, spread in ((0.5, 0.85410197, 0.9), (0.4, 0.54150262, 2.1)):
        model = sir(per_step(transmissibility), infectious_dwell=Fixed(1.0))
        found = engine(model, ties, seeded(size, share, Streams(5)), 70.0, Streams(5), np.array([70.0]))
        expected = theory.regular_final_size(transmissibility, 4, share)
        assert without_seeds < expected < without_seeds + 0.03
        assert 1 - found.counts[-1, S] / size == pytest.approx(expected, abs=3 * spread / math.sqrt(size))


@pytest.mark.parametrize(
    ("engine", "model", "chance"),
    [
        (timed, sir(0.1, 0.2), 0.709508),
        (stepwise, sir(per_step(0.1), per_step(0.2)), 0.798720),
    ],
)
def test_outbreak_probability(engine: Engine, model: ContagionModel, chance: float) -> None:
    """One index case in each of many small worlds; small ones die out early, large ones pass half of a world."""
    worlds, size = 500, 1_000
    rng = Streams(6).generator("worlds")
    first = np.repeat(np.arange(worlds) * size, 4 * size)
    ties = joined(worlds * size, *(first + rng.integers(size, size=(2, len(first)))))
    start = np.zeros(ties.size, dtype=np.int8)
    start[np.arange(worlds) * size + rng.integers(size, size=worlds)] = I
    found = engine(model, ties, start, 50.0, Streams(7), np.array([50.0]))
    reached = (found.compartment != S).reshape(worlds, size).sum(axis=1)
    assert not np.any((reached > 100) & (reached < 500))
    assert (reached >= 500).mean() == pytest.approx(chance, abs=3 * math.sqrt(chance * (1 - chance) / worlds))


@pytest.mark.parametrize("engine", [timed, stepwise])
def test_early_growth(network: Network, engine: Engine) -> None:
    """New cases of an outbreak from .05% of agents, once cases are of all ages and before many are immune."""
    rate = curves.growth_rate(8.0, 0.1, 0.2) if engine is timed else curves.discrete_growth_rate(8.0, 0.1, 0.2)
    model = sir(0.1, 0.2) if engine is timed else sir(per_step(0.1), per_step(0.2))
    found = engine(model, network, seeded(SIZE, 0.0005, Streams(8)), 9.0, Streams(8), np.arange(10.0))
    new = -np.diff(found.counts[:, S])[3:8]
    assert growth_rate(np.arange(5), new).value == pytest.approx(rate, rel=0.03)


def test_index_cases_infect_degree_times_transmissibility(network: Network) -> None:
    start = seeded(SIZE, 0.001, Streams(9))
    found = timed(sir(0.1, 0.2), network, start, 120.0, Streams(9), np.array([120.0]))
    caused = found.forest.secondary(SIZE)[start == I]
    # A few of their contacts are reached by others first, one in fifty at most.
    assert caused.mean() == pytest.approx(8 / 3, abs=4 * caused.std() / math.sqrt(len(caused)) + 0.05)


@pytest.mark.parametrize("engine", [timed, stepwise])
def test_sis_settles_below_what_pairs_and_mean_field_say(engine: Engine) -> None:
    ties = regular_network(20_000, 8, 10)
    model, dt = (sis(0.1, 0.2), 1.0) if engine is timed else (sis(0.01, 0.02), 10.0)
    times = np.arange(30.0, 60.0) * dt
    found = engine(model, ties, seeded(ties.size, 0.7, Streams(11)), 60.0 * dt, Streams(11), times)
    prevalence = found.counts[-30:, I].mean() / ties.size if engine is timed else found.counts[300:, I].mean() / ties.size
    assert prevalence < curves.sis_pairwise(8, 0.1, 0.2) < curves.sis_mean_field(8, 0.1, 0.2)
    assert prevalence == pytest.approx(curves.sis_pairwise(8, 0.1, 0.2), abs=0.01)


def test_sis_on_a_complete_graph_keeps_its_quasi_stationary_law() -> None:
    """A hundred worlds of N = 100, β = 2, γ = 1, from a draw of the law itself: prevalence .489305 stays, so does its spread."""
    size, worlds = 100, 100
    law = curves.sis_quasi_stationary(size, 2 / size, 1.0)
    begun = Streams(12).generator("law").choice(np.arange(1, size + 1), size=worlds, p=law)
    start = (np.arange(size) < begun[:, None]).astype(np.int8).ravel()
    found = timed(sis(2 / size, 1.0), copies(nx.complete_graph(size), worlds), start, 50.0, Streams(13), np.arange(51.0))
    end = found.compartment.reshape(worlds, size).sum(axis=1)
    cases = np.arange(1, size + 1)
    variance = law @ cases**2 - (law @ cases) ** 2
    assert law @ cases / size == pytest.approx(0.489305, abs=1e-6)
    # Prevalence forgets itself within some two units of time: 25 independent looks at each world.
    assert found.counts[1:, I].mean() / (worlds * size) == pytest.approx(0.489305, abs=3 * math.sqrt(variance / 2500) / size)
    assert end.var(ddof=1) == pytest.approx(variance, rel=4 * math.sqrt(2 / worlds))


@pytest.mark.parametrize("share", [0.001, 0.01])
def test_cascades_stop_where_gleeson_and_cahalane_say(network: Network, share: float) -> None:
    found = timed(watts(0.18), network, seeded(SIZE, share, Streams(14)), 200.0, Streams(14), np.array([200.0]))
    expected = theory.cascade_size(poisson(8.0), 0.18, share)
    # Cascades set off by a chance seed vary a little more than agents do.
    assert found.counts[-1, I] / SIZE == pytest.approx(expected, abs=6 * math.sqrt(expected * (1 - expected) / SIZE))


@pytest.mark.parametrize(("mean_degree", "spreads"), [(0.9, False), (1.5, True), (5.2, True), (6.5, False)])
def test_cascades_run_only_within_the_window(mean_degree: float, spreads: bool) -> None:
    """A few seeds in 100,000 agents, on both sides of 1.0207 and 5.76468."""
    low, high = theory.watts_window(0.18) or (math.nan, math.nan)
    assert (low < mean_degree < high) is spreads
    ties = random_network(100_000, mean_degree, 15)
    found = timed(watts(0.18), ties, seeded(ties.size, 0.0003, Streams(16)), 300.0, Streams(16), np.array([300.0]))
    assert bool(found.counts[-1, I] > 0.2 * ties.size) is spreads


REFERENCE = json.loads((Path(__file__).parent / "eon_reference.json").read_text())
COPIES = 10_000


def like_eon(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of our outbreaks, and of EoN's, had each number of cases."""
    graph = (
        nx.karate_club_graph() if "karate" in name else nx.convert_node_labels_to_integers(nx.grid_2d_graph(8, 8, periodic=True))
    )
    ties, number = copies(graph, COPIES), len(graph)
    start = (np.arange(ties.size) % number == REFERENCE["index"]).astype(np.int8)
    end, streams = np.array([60.0]), Streams(17)
    if name == "discrete_SIR karate":
        found = stepwise(sir(per_step(0.3), infectious_dwell=Fixed(1.0)), ties, start, 25.0, streams, end)
    elif name == "Gillespie_SIS karate":
        found = timed(sis(0.4, 1.0), ties, start, 3.0, streams, np.array([3.0]))
    else:
        found = timed(sir(0.5 if "karate" in name else 1.0, 1.0), ties, start, 60.0, streams, end)
    cases = ((found.compartment == I) if "SIS" in name else (found.compartment != S)).reshape(COPIES, number).sum(axis=1)
    return np.bincount(cases, minlength=number + 1), np.array(REFERENCE["histograms"][name])


@pytest.mark.parametrize("name", REFERENCE["histograms"])
def test_agreement_with_eon_by_distribution(name: str) -> None:
    ours, theirs = like_eon(name)
    cases = np.arange(len(ours))
    mean, other = (h @ cases / h.sum() for h in (ours, theirs))
    spread = [h @ (cases - m) ** 2 / h.sum() for h, m in ((ours, mean), (theirs, other))]
    assert abs(mean - other) < 3 * math.sqrt(spread[0] / ours.sum() + spread[1] / theirs.sum())
    # Each number of cases seen often enough, as two shares that should be one: none off by more than chance allows for all.
    often = ours + theirs >= 40
    pooled = ((ours + theirs) / (ours.sum() + theirs.sum()))[often]
    off = (ours / ours.sum() - theirs / theirs.sum())[often]
    z = off / np.sqrt(pooled * (1 - pooled) * (1 / ours.sum() + 1 / theirs.sum()))
    assert np.abs(z).max() < 4
    assert (z**2).sum() < len(z) + 4 * math.sqrt(2 * len(z))


@pytest.mark.parametrize(("r0", "size"), [(1.5, 0.5828116439), (2.0, 0.7968121300)])
def test_mass_action_final_size(r0: float, size: float) -> None:
    """On a directed network in which each agent hears a Poisson number of random others, the final size is that of mass action.

    R0 = mean degree × transmissibility. Variance, with V that of the chance p = 1 − exp(−τ·time) to pass it on along an edge:
    z(1−z)(1 + degree²·V·(1−z)) / (N·(1 − R0(1−z))²), after von Bahr & Martin-Löf 1980.
    """
    agents, degree = 400_000, 3.0
    rng = Streams(3).generator("network")
    key = np.unique(rng.integers(agents**2, size=int(degree * agents)))
    source, target = key // agents, key % agents
    apart = source != target
    network = Network.from_edges(agents, source[apart], target[apart])
    transmissibility = r0 / degree
    tau, gamma = 0.2 * transmissibility / (1 - transmissibility), 0.2
    model, spread = sir(tau, gamma), 1 - 2 * gamma / (gamma + tau) + gamma / (gamma + 2 * tau) - transmissibility**2
    outbreak = continuous(model, network, model.start(agents, np.arange(80)), 400.0, Streams(5), np.array([400.0]))
    assert outbreak.counts[-1, 1] == 0
    variance = size * (1 - size) * (1 + degree**2 * spread * (1 - size)) / (agents * (1 - r0 * (1 - size)) ** 2)
    assert 1 - outbreak.counts[-1, 0] / agents == pytest.approx(size, abs=3 * math.sqrt(variance) + 0.0003)  # .02% seeded
