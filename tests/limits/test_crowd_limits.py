"""Known answers for a crowd: one contact, rivals, equilibria of contagion, consensus of affect."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.crowd.crowd import Crowd
from contagium.agents.mechanistic.models import sir, sis, sisa
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams

STILL = Affect(0.0, 0.0)
SEED = Streams(11)


def regular(size: int, degree: int) -> Network:
    """A random network in which everybody hears `degree` others, but for a few whose partners coincide: circles through all."""
    rng = SEED.generator("circles")
    around = [rng.permutation(size) for _ in range(degree // 2)]
    source, target = (np.concatenate([np.roll(circle, shift) for circle in around]) for shift in (0, 1))
    pairs = np.unique(np.r_[source * size + target, target * size + source])
    return Network.from_edges(size, *np.divmod(pairs, size))


def prevalence(crowd: Crowd, steps: int, settling: int) -> float:
    """Mean share of agents in the second compartment over the steps after the first `settling`."""
    crowd.step(settling)
    shares = []
    for _ in range(steps):
        crowd.step()
        shares.append(crowd.counts[1] / crowd.counts.sum())
    return float(np.mean(shares))


@pytest.mark.parametrize("dt", [0.3, 2.0])
def test_one_contact_infects_with_one_minus_exp_of_minus_rate_times_dt(dt: float) -> None:
    pairs = 20_000
    network = Network.from_edges(2 * pairs, np.arange(pairs), np.arange(pairs) + pairs)
    crowd = Crowd(network, sir(0.5, 0.0), STILL, SEED, dt=dt)
    crowd.reset(np.repeat(np.array([1, 0], dtype=np.int8), pairs))
    crowd.step()
    p = 1 - np.exp(-0.5 * dt)
    assert abs(crowd.counts[1] / pairs - 1 - p) < 4 * np.sqrt(p * (1 - p) / pairs)


def test_rivals_win_in_proportion_to_their_rates() -> None:
    rivals = ContagionModel(
        ("S", "A", "B", "C"),
        (Transmission("A", "S", "A", 0.3), Transmission("B", "S", "B", 0.6)),
        (Progression("S", "C", 0.1),),
        seeded=("A", "B"),
    )
    trios = 20_000
    ids = np.arange(trios)
    network = Network.from_edges(3 * trios, np.r_[ids, ids + trios], np.tile(ids + 2 * trios, 2))
    crowd = Crowd(network, rivals, STILL, SEED)
    crowd.reset(np.repeat(np.array([1, 2, 0], dtype=np.int8), trios))
    crowd.step()
    won = np.bincount(crowd.compartment[2 * trios :], minlength=4)[1:]
    for share, wins in zip((0.3, 0.6, 0.1), won, strict=True):
        assert abs(wins / won.sum() - share) < 4 * np.sqrt(share * (1 - share) / won.sum())
    assert abs(won.sum() / trios - (1 - np.exp(-1))) < 4 * np.sqrt(0.25 / trios)


def test_zero_rates_move_nobody() -> None:
    crowd = Crowd(erdos_renyi(2000, SEED, 8.0), sisa(0.0, 0.0, 0.0), STILL, SEED)
    start = (np.arange(2000) % 2).astype(np.int8)
    crowd.reset(start)
    crowd.step(20)
    assert crowd.compartment.tolist() == start.tolist()


@pytest.mark.parametrize("onset", [0.0, 0.05])
def test_where_everybody_hears_everybody_prevalence_is_the_mean_field_s(onset: float) -> None:
    """In equilibrium as many fall ill as recover: (1 − i)(1 − exp(−a − βNi)) = i (1 − exp(−g)). SISa: Hill et al. 2010."""
    size, strength, recovery = 1500, 0.6, 0.3
    crowd = Crowd(complete(size, SEED), sisa(onset, strength / size, recovery), STILL, SEED)
    crowd.reset((np.arange(size) % 2).astype(np.int8))
    expected = brentq(lambda i: (1 - i) * -np.expm1(-onset - strength * i) + i * np.expm1(-recovery), 0.01, 1.0)
    assert prevalence(crowd, 120, 40) == pytest.approx(expected, abs=0.005)


def test_on_a_sparse_network_prevalence_is_the_pairwise_one_as_steps_grow_short() -> None:
    """SIS, everybody hears n = 8 others, τ = .1, γ = .2: pairwise 1 − (n − 1)/(n(n − 1)τ/γ − 1) = 20/27, mean field 3/4.

    The error of steps falls linearly with dt, so that twice the value at dt/2 less that at dt is nearly free of it. Source: Kiss,
    Miller & Simon 2017.
    """
    network, found = regular(20_000, 8), []
    for dt in (0.2, 0.1):
        crowd = Crowd(network, sis(0.1, 0.2), STILL, SEED, dt=dt)
        crowd.reset((np.arange(20_000) % 4 > 0).astype(np.int8))
        found.append(prevalence(crowd, round(100 / dt), round(15 / dt)))
    assert 2 * found[1] - found[0] == pytest.approx(20 / 27, abs=0.004)  # 3 to 4 standard errors


def test_susceptibility_and_sway_multiply_the_hazard() -> None:
    """Valence −1 at a sway of −ln 2 doubles it, susceptibility of a half halves it."""
    pairs = 20_000
    network = Network.from_edges(2 * pairs, np.arange(pairs), np.arange(pairs) + pairs)
    for susceptibility, valence, hazard in ((0.5, 0.0, 0.2), (1.0, -1.0, 0.8), (0.5, -1.0, 0.4)):
        crowd = Crowd(
            network, sir(0.4, 0.0), STILL, SEED, susceptibility=susceptibility, baseline=[valence, 0, 0], sway=(-np.log(2), 0, 0)
        )
        crowd.reset(np.repeat(np.array([1, 0], dtype=np.int8), pairs))
        crowd.step()
        p = 1 - np.exp(-hazard)
        assert abs(crowd.counts[1] / pairs - 1 - p) < 4 * np.sqrt(p * (1 - p) / pairs)


@pytest.mark.parametrize(("exact", "within"), [(True, 1e-5), (False, 1 / 511)])
def test_without_relaxation_affect_reaches_consensus_at_the_mean_weighed_by_how_many_hear_one(exact: bool, within: float) -> None:
    """DeGroot 1974: on an undirected network the weight of each agent is its share of all ties."""
    network = erdos_renyi(2000, SEED, 12.0)
    connected = network.in_degree > 0
    start = SEED.generator("affect").uniform(-1, 1, (2000, 3))
    crowd = Crowd(network, sir(), Affect(0.0, 0.5), SEED, exact=exact)
    crowd.reset(affect=start)
    crowd.step(120)
    consensus = (network.in_degree[:, None] * start.astype(np.float32)).sum(axis=0) / network.in_degree.sum()
    np.testing.assert_allclose(crowd.affect[connected], np.tile(consensus, (connected.sum(), 1)), atol=within)


def test_three_agents_reach_the_consensus_of_degroot_s_example() -> None:
    """W = [.5 .3 .2; .25 .5 .25; .1 .4 .5], x = (1, 0, .5): every agent keeps half of its own; consensus .427928."""
    heard = {(0, 1): 0.3, (0, 2): 0.2, (1, 0): 0.25, (1, 2): 0.25, (2, 0): 0.1, (2, 1): 0.4}
    target, source = zip(*heard, strict=True)
    crowd = Crowd(Network.from_edges(3, source, target, list(heard.values())), sir(), Affect(0.0, 0.5), SEED, exact=True)
    crowd.reset(affect=np.repeat([[1.0], [0.0], [0.5]], 3, axis=1))
    crowd.step(100)
    np.testing.assert_allclose(crowd.affect, 0.427928, atol=1e-6)


def test_halving_the_step_halves_the_error() -> None:
    """At most one move a step: of agents that go on twice at rate 1, 1 − 3/e² have done so by time 2, fewer in coarse steps."""
    twice = ContagionModel(("S", "I", "R"), (), (Progression("S", "I", 1.0), Progression("I", "R", 1.0)))
    many, errors = 200_000, []
    for dt in (0.5, 0.25, 0.125):
        crowd = Crowd(Network.from_edges(many, [], []), twice, STILL, SEED, dt=dt)
        crowd.step(round(2 / dt))
        errors.append(1 - 3 * np.exp(-2) - crowd.counts[2] / many)
    for coarse, fine in itertools.pairwise(errors):
        assert 1.7 < coarse / fine < 2.3
