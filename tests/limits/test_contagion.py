"""Known answers of epidemic theory, which the contagion models must reproduce."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from contagium.agents.mechanistic.contagion import (
    Contacts,
    ContagionModel,
    Progression,
    Transmission,
    advance,
    sir,
    sis,
)
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams


def simulate(model: ContagionModel, network: Network, seeded: np.ndarray, steps: int, streams: Streams) -> np.ndarray:
    """Compartment counts after each step, shape (steps + 1, compartments)."""
    compartment = np.zeros(network.size, dtype=np.int64)
    compartment[seeded] = model.code(model.seeded)
    everyone, counts = np.arange(network.size), []
    for step in range(steps):
        counts.append(np.bincount(compartment, minlength=len(model.compartments)))
        draws = (streams.uniform(name, step, everyone) for name in ("when", "which"))
        compartment, _ = advance(model, Contacts.along(network, compartment), compartment, 1.0, *draws)
    return np.array([*counts, np.bincount(compartment, minlength=len(model.compartments))])


def per_step(probability: float) -> float:
    """The rate whose probability per step this is."""
    return -np.log1p(-probability)


def test_final_size_of_discrete_sir_on_a_poisson_network() -> None:
    """b = .1, g = .2 per step, mean degree 8, 1% seeded: .93068987 (T = b/(b+g−bg), u = generating-function fixed point)."""
    b, g, c, rho, size = 0.1, 0.2, 8.0, 0.01, 60_000
    t = b / (b + g - b * g)
    theta = brentq(lambda x: 1 - t + t * (1 - rho) * np.exp(c * (x - 1)) - x, 0, 0.999)
    theory = 1 - (1 - rho) * np.exp(c * (theta - 1))
    assert theory == pytest.approx(0.93068987, abs=1e-7)
    streams = Streams(5)
    network = erdos_renyi(size, streams, mean_degree=c)
    seeded = streams.generator("seeds").permutation(size)[: int(rho * size)]
    counts = simulate(sir(per_step(b), per_step(g)), network, seeded, 90, streams)
    final = 1 - counts[-1, 0] / size
    # One network of this size: the share outside is binomial, about .001, and correlations a little more.
    assert final == pytest.approx(theory, abs=4 * np.sqrt(theory * (1 - theory) / size))


def test_quasi_stationary_prevalence_of_sis_on_a_complete_graph() -> None:
    """N = 100, beta = 2, gamma = 1: mean prevalence .489305 in continuous time; small steps come close."""
    size, dt, steps = 100, 0.05, 24_000
    streams = Streams(11)
    network = complete(size, streams)
    model = sis(2.0 / (size - 1) * dt, 1.0 * dt)
    counts = simulate(model, network, np.arange(60), steps, streams)
    prevalence = counts[2000:, 1] / size
    batches = prevalence[: len(prevalence) // 20 * 20].reshape(20, -1).mean(axis=1)
    error = batches.std(ddof=1) / np.sqrt(20)
    # The step error is of order dt: half a per cent here.
    assert prevalence.mean() == pytest.approx(0.489305, abs=4 * error + 0.006)


def test_single_edge_transmits_with_one_minus_exp_of_rate_times_dt() -> None:
    pairs, rate, dt = 200_000, 0.3, 0.7
    network = Network.from_edges(2 * pairs, np.arange(pairs), pairs + np.arange(pairs))
    compartment = np.r_[np.ones(pairs, dtype=int), np.zeros(pairs, dtype=int)]
    model = ContagionModel(("S", "I"), (Transmission("I", "S", "I", rate),))
    draws = np.random.default_rng(1).random((2, 2 * pairs))
    _, moves = advance(model, Contacts.along(network, compartment), compartment, dt, *draws)
    p = 1 - np.exp(-rate * dt)
    assert len(moves.agents) / pairs == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / pairs))


def test_rivals_share_the_credit_in_proportion_to_their_rates() -> None:
    hearers, weights = 60_000, np.array([1.0, 2.0, 5.0])
    target = 3 + np.arange(hearers)
    network = Network.from_edges(hearers + 3, np.tile([0, 1, 2], hearers), np.repeat(target, 3), np.tile(weights, hearers))
    compartment = np.zeros(hearers + 3, dtype=int)
    compartment[:3] = 1
    draws = np.random.default_rng(2).random((2, hearers + 3))
    _, moves = advance(sir(0.05, 0.0), Contacts.along(network, compartment), compartment, 1.0, *draws)
    source = network.source[moves.contact]
    share = np.bincount(source, minlength=3)[:3] / len(source)
    expected = weights / weights.sum()
    assert share == pytest.approx(expected, abs=float(4 * np.sqrt(0.25 / len(source))))
    assert np.all(network.target[moves.contact] == moves.agents)


def test_progression_and_transmission_race_fairly() -> None:
    """Two ways out of S at rates 0.2 and 0.6: the second wins three times in four."""
    n = 100_000
    model = ContagionModel(("S", "I", "R"), (), (Progression("S", "I", 0.2), Progression("S", "R", 0.6)))
    nothing = Contacts(np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty(0))
    draws = np.random.default_rng(3).random((2, n))
    after, moves = advance(model, nothing, np.zeros(n, dtype=int), 1.0, *draws)
    left = 1 - np.exp(-0.8)
    assert len(moves.agents) / n == pytest.approx(left, abs=4 * np.sqrt(left * (1 - left) / n))
    assert (after[moves.agents] == 2).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.1875 / len(moves.agents)))


def test_zero_rates_do_nothing() -> None:
    network = complete(20, Streams(0))
    compartment = np.arange(20) % 2
    draws = np.random.default_rng(4).random((2, 20))
    after, moves = advance(sir(0.0, 0.0), Contacts.along(network, compartment), compartment, 1.0, *draws)
    assert np.array_equal(after, compartment)
    assert len(moves.agents) == 0


def test_an_isolated_agent_only_progresses() -> None:
    network = Network.from_edges(3, [0], [1])
    compartment = np.array([1, 0, 0])
    draws = np.zeros((2, 3)) + 0.999999
    after, _ = advance(sir(50.0, 50.0), Contacts.along(network, compartment), compartment, 1.0, *draws)
    assert after.tolist() == [2, 1, 0]


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_bad_rates_are_named(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be non-negative and finite, got"):
        sir(rate, 0.1)


def test_unknown_compartments_are_named() -> None:
    with pytest.raises(ValueError, match="no compartment X: the model has S, I"):
        ContagionModel(("S", "I"), (Transmission("X", "S", "I", 0.1),))
