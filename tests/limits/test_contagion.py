"""Known answers of epidemic theory, which contagion in steps must reproduce."""

from __future__ import annotations

import numpy as np
import pytest

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.dwell import Fixed, Gamma, Lognormal, Weibull
from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.engine.discrete import Contacts, Keys, Moves, advance, begin, discrete, step_error
from contagium.agents.mechanistic.models import si, sir, sis
from contagium.agents.mechanistic.theory.outcomes import discrete_transmissibility, poisson_final_size
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams


def once(
    model: ContagionModel, network: Network, compartment: np.ndarray, dt: float = 1.0, seed: int = 1
) -> tuple[np.ndarray, Moves]:
    """One step of a model along a network."""
    n, keys = network.size, Keys.of(Streams(seed), "once")
    start = np.asarray(compartment, dtype=np.int8)
    tables, ids = model.tables(network.layers), np.arange(n)
    course = begin(tables, start, ids, keys)
    after, moves = advance(tables, Contacts.along(network, start), course, dt, np.full(n, dt), np.ones(n), ids, keys, 1)
    return after.compartment, moves


def per_step(probability: float) -> float:
    """The rate whose probability per step this is."""
    return float(-np.log1p(-probability))


def test_final_size_of_discrete_sir_on_a_poisson_network() -> None:
    """b = .1, g = .2 per step, mean degree 8, 1% seeded: .93068987."""
    b, g, c, rho, size = 0.1, 0.2, 8.0, 0.01, 200_000
    theory = poisson_final_size(discrete_transmissibility(b, g), c, rho)
    assert theory == pytest.approx(0.93068987, abs=1e-7)
    streams = Streams(5)
    network = erdos_renyi(size, streams, mean_degree=c)
    seeded = streams.generator("seeds").permutation(size)[: int(rho * size)]
    model = sir(per_step(b), per_step(g))
    outbreak = discrete(model, network, model.start(size, seeded), until=90, dt=1.0, streams=streams)
    final = 1 - outbreak.counts[-1, 0] / size
    # One network of this size: the share outside is binomial, and correlations a little more.
    assert final == pytest.approx(theory, abs=4 * np.sqrt(theory * (1 - theory) / size))


def test_quasi_stationary_prevalence_of_sis_on_a_complete_graph() -> None:
    """N = 100, 2/N per contact, gamma = 1: mean prevalence .489305 in continuous time; small steps come close."""
    size, dt, steps = 100, 0.05, 24_000
    model, streams = sis(2.0 / size, 1.0), Streams(11)
    start = model.start(size, np.arange(60))
    outbreak = discrete(model, complete(size, streams), start, until=steps * dt, dt=dt, streams=streams)
    prevalence = outbreak.counts[2000:, 1] / size
    batches = prevalence[: len(prevalence) // 20 * 20].reshape(20, -1).mean(axis=1)
    error = batches.std(ddof=1) / np.sqrt(20)
    # The step error is of order dt: a quarter of a per cent here.
    assert prevalence.mean() == pytest.approx(0.489305, abs=3 * error + 0.0025)


def test_halving_the_step_halves_the_error() -> None:
    """Against continuous time, on the same network: the final size of SIR in steps is too large, by a share that falls with dt.

    In steps the transmissibility is b/(b+g−bg) with b = 1 − exp(−τdt), g = 1 − exp(−γdt), in continuous time τ/(τ+γ).
    """
    size, tau, gamma, rho, streams = 100_000, 0.2, 0.4, 0.01, Streams(3)
    network, model = erdos_renyi(size, streams, mean_degree=4.0), sir(tau, gamma)
    start = model.start(size, streams.generator("seeds").permutation(size)[: int(rho * size)])
    exact = [continuous(model, network, start, 60.0, Streams(100 + k), np.array([0.0, 60.0])) for k in range(4)]
    truth = np.mean([1 - o.counts[-1, 0] / size for o in exact])
    noise, errors = 0.004, []
    for dt in (1.0, 0.5, 0.25):
        runs = [discrete(model, network, start, 60.0, dt, Streams(200 + k)) for k in range(4)]
        final = np.mean([1 - o.counts[-1, 0] / size for o in runs])
        b, g = -np.expm1(-tau * dt), -np.expm1(-gamma * dt)
        assert final == pytest.approx(poisson_final_size(discrete_transmissibility(b, g), 4.0, rho), abs=noise)
        errors.append(final - truth)
    assert errors[0] > errors[1] > errors[2] > 0
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.5)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.8)


def test_the_stated_error_of_a_step_is_what_a_source_that_leaves_within_it_is_overcounted() -> None:
    rate, dt = 0.7, 0.5
    there = np.minimum(np.random.default_rng(1).exponential(1 / rate, 400_000), dt) / dt
    error = step_error(sir(0.1, rate), dt)
    assert 1 - there.mean() == pytest.approx(error, abs=4 * there.std() / np.sqrt(len(there)))
    assert step_error(sir(0.1, rate), dt / 2) / error == pytest.approx(0.5, abs=0.05)
    assert step_error(si(0.1), dt) == 0


def test_single_edge_transmits_with_one_minus_exp_of_rate_times_dt() -> None:
    pairs, rate, dt = 200_000, 0.3, 0.7
    network = Network.from_edges(2 * pairs, np.arange(pairs), pairs + np.arange(pairs))
    _, moves = once(si(rate), network, np.repeat([1, 0], pairs), dt)
    p = 1 - np.exp(-rate * dt)
    assert len(moves.rows) / pairs == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / pairs))


def test_rivals_share_the_credit_in_proportion_to_their_rates() -> None:
    hearers, weights = 60_000, np.array([1.0, 2.0, 5.0])
    target = 3 + np.arange(hearers)
    network = Network.from_edges(hearers + 3, np.tile([0, 1, 2], hearers), np.repeat(target, 3), np.tile(weights, hearers))
    _, moves = once(si(0.05), network, np.arange(hearers + 3) < 3)
    source = network.source[moves.contact]
    share = np.bincount(source, minlength=3)[:3] / len(source)
    assert share == pytest.approx(weights / weights.sum(), abs=float(4 * np.sqrt(0.25 / len(source))))
    assert np.all(network.target[moves.contact] == moves.rows)


def test_rival_transmissions_share_by_hazard_and_each_names_a_source_of_its_own() -> None:
    """Strain A at rate 1 from one source of weight 2, B at rate 3 from two of weight 1: 2 to 6."""
    hearers = 60_000
    model = ContagionModel(
        ("S", "A", "B"), (Transmission("A", "S", "A", 0.1), Transmission("B", "S", "B", 0.3)), seeded=("A", "B")
    )
    target = 3 + np.arange(hearers)
    network = Network.from_edges(hearers + 3, np.tile([0, 1, 2], hearers), np.repeat(target, 3), np.tile([2.0, 1, 1], hearers))
    after, moves = once(model, network, np.r_[1, 2, 2, np.zeros(hearers, dtype=int)])
    source = network.source[moves.contact]
    assert np.array_equal(source == 0, after[moves.rows] == 1)
    share = np.bincount(source, minlength=3) / len(source)
    assert share == pytest.approx([0.25, 0.375, 0.375], abs=float(4 * np.sqrt(0.25 / len(source))))


def test_progressions_race_fairly() -> None:
    """Two ways out of S at rates 0.2 and 0.6: the second wins three times in four."""
    n = 100_000
    model = ContagionModel(("S", "I", "R"), (), (Progression("S", "I", 0.2), Progression("S", "R", 0.6)))
    after, moves = once(model, Network.from_edges(n, [], []), np.zeros(n))
    left = 1 - np.exp(-0.8)
    assert len(moves.rows) / n == pytest.approx(left, abs=4 * np.sqrt(left * (1 - left) / n))
    assert (after[moves.rows] == 2).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.1875 / len(moves.rows)))


@pytest.mark.parametrize("dwell", [Gamma(5, 4), Gamma(3, 0.5), Weibull(5, 2), Lognormal(4, 3)], ids=lambda d: type(d).__name__)
def test_dwell_times_have_the_stated_mean(dwell: Gamma | Weibull | Lognormal) -> None:
    """In steps of a quarter a stay is rounded up to the next one: an eighth on average, a little less for very short ones."""
    n, dt, until = 20_000, 0.25, 60.0
    model = ContagionModel(("S", "I", "R"), (Transmission("I", "S", "I", 0.0),), (Progression("I", "R", dwell=dwell),))
    outbreak = discrete(model, Network.from_edges(n, [], []), np.ones(n, dtype=np.int8), until, dt, Streams(4))
    stays = outbreak.counts[:-1, 1].sum() * dt / n  # the area under the curve
    assert stays - dwell.mean == pytest.approx(dt / 2, abs=0.25 * dt + 4 * 3.0 / np.sqrt(n))


def test_a_fixed_dwell_time_ends_at_the_very_step() -> None:
    model = sir(0.0, infectious_dwell=Fixed(3.0))
    outbreak = discrete(model, Network.from_edges(5, [], []), np.ones(5, dtype=np.int8), 5, 1.0, Streams(4))
    assert outbreak.counts[:, 1].tolist() == [5, 5, 5, 0, 0, 0]


def test_zero_rates_do_nothing() -> None:
    compartment = np.arange(20) % 2
    after, moves = once(sir(0.0, 0.0), complete(20, Streams(0)), compartment)
    assert np.array_equal(after, compartment)
    assert len(moves.rows) == 0


def test_an_isolated_agent_only_progresses() -> None:
    after, _ = once(sir(50.0, 50.0), Network.from_edges(3, [0], [1]), np.array([1, 0, 0]))
    assert after.tolist() == [2, 1, 0]
