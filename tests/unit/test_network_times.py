"""Ties that come and go, through layers and out of them; and communities."""

from dataclasses import replace

import numpy as np
import pytest

from contagium.agents.mechanistic.engine.simulate import simulate
from contagium.agents.mechanistic.models import sir
from contagium.envs.communities import communities
from contagium.envs.network import Network, NetworkError, complete, ring, small_world, stochastic_block
from contagium.envs.rng import Streams
from contagium.envs.temporal import Contacts, Intermittent

STREAMS = Streams(3)


def sometimes(network: Network, *steps: list[int]) -> Network:
    """`network` with the edges listed for each step, and nothing afterwards."""
    indptr = np.cumsum([0, *map(len, steps)])
    place = np.array([edge for step in steps for edge in step], dtype=np.int64)
    return replace(network, times=Contacts(len(network.source), indptr, place))


def test_all_ties_carry_unless_told_otherwise() -> None:
    assert ring(6, STREAMS).tied(3) is None


def test_both_directions_of_an_intermittent_tie_carry_at_once_and_anew_in_each_step() -> None:
    network = small_world(200, STREAMS, 4, 0.3)
    number = network.ties
    assert np.bincount(number).tolist() == [2] * 400
    network = replace(network, times=Intermittent(STREAMS, 0.3, number))
    tied = np.array([network.tied(step) for step in range(100)])
    assert np.array_equal(tied[:, np.argsort(number, kind="stable")][:, ::2], tied[:, np.argsort(number, kind="stable")][:, 1::2])
    assert tied.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / (100 * 400)))
    again = np.mean(tied[1:] & tied[:-1])
    assert again == pytest.approx(0.09, abs=4 * np.sqrt(0.09 * 0.91 / (99 * 400)))


def test_an_intermittent_tie_carries_only_when_it_does_by_itself() -> None:
    network = sometimes(Network.from_edges(2, [0, 1], [1, 0]), [0, 1], [])
    network = replace(network, times=Intermittent(STREAMS, 1.0, network.ties, network.times))
    assert [network.tied(step).tolist() for step in range(2)] == [[True, True], [False, False]]


def test_layers_keep_their_times_and_so_does_the_flat_network() -> None:
    family = sometimes(Network.from_edges(4, [2, 0], [1, 1]), [0], [1])  # edges 0 -> 1 and 2 -> 1
    work = sometimes(Network.from_edges(4, [0, 3], [1, 2]), [0, 1], [])
    home = Network.from_edges(4, [1], [3])
    laid = Network.from_layers({"family": family, "work": work, "home": home})
    edges = list(zip(laid.source.tolist(), laid.target.tolist(), [laid.layers[k] for k in laid.layer], strict=True))
    assert edges == [(0, 1, "family"), (0, 1, "work"), (2, 1, "family"), (3, 2, "work"), (1, 3, "home")]
    assert [laid.tied(step).astype(int).tolist() for step in range(3)] == [[1, 1, 0, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]]
    flat = laid.flat
    assert [flat.tied(step).astype(int).tolist() for step in range(3)] == [[1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    part, place = laid.part("work")
    assert (part.source.tolist(), place.tolist()) == ([0, 3], [1, 3])
    assert part.tied(0).tolist() == [True, True]
    with pytest.raises(NetworkError, match="no layer school; it has family, work, home"):
        laid.part("school")


def test_planted_communities_survive_layers() -> None:
    planted = stochastic_block(9, STREAMS, 3, 2.0, 0.0)
    laid = Network.from_layers({"private": ring(9, STREAMS, 2), "group": planted})
    for network in (planted, laid, laid.flat, laid.part("private")[0]):
        assert communities(network, STREAMS).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_two_cliques_with_one_tie_between_them_are_two_communities() -> None:
    cliques = [(a, b) for group in ((1, 4, 5, 7, 8), (0, 2, 3, 6)) for a in group for b in group if a < b]
    network = Network.from_pairs(10, *np.array([*cliques, (4, 6)]).T)
    assert communities(network, STREAMS).tolist() == [1, 0, 1, 1, 0, 0, 1, 0, 0, 2]
    assert len(np.unique(communities(complete(6, STREAMS), STREAMS))) == 1


def test_found_communities_are_those_of_the_seed_and_of_the_weights() -> None:
    network = small_world(60, STREAMS, 4, 0.2)
    assert np.array_equal(communities(network, Streams(1)), communities(network, Streams(1)))
    # A ring of four, with two heavy ties.
    heavy = Network.from_edges(4, [0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3], [9, 1, 9, 1, 9, 1, 9, 1])
    assert communities(heavy, STREAMS).tolist() == [0, 0, 1, 1]


def test_a_network_too_large_to_search_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contagium.envs.communities.MOST_EDGES", 10)
    with pytest.raises(NetworkError, match=r"up to 10 edges, and this network has 24: .* network=blocks"):
        communities(ring(6, STREAMS), STREAMS)


@pytest.mark.parametrize("blocks", [np.zeros(3, dtype=np.int64), np.array([0, 0, 0, -1])])
def test_blocks_must_be_of_all_agents(blocks: np.ndarray) -> None:
    with pytest.raises(NetworkError, match="blocks must be 4 numbers of at least 0, one for each agent"):
        replace(complete(4, STREAMS), blocks=blocks)


def test_times_must_be_of_all_edges() -> None:
    with pytest.raises(NetworkError, match="times must tell of each of 12 edges, but tell of 5"):
        replace(complete(4, STREAMS), times=Contacts(5, np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64)))


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [([0, 2], [1, 2], "agent 2 does"), ([0, 1], [1, 0], "tie 0 - 1 is given twice"), ([0], [5], "agent ids 0 to 3, got 0 to 5")],
)
def test_wrong_pairs_are_refused(one: list[int], other: list[int], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Network.from_pairs(4, one, other)


def test_an_outbreak_without_messages_takes_only_ties_that_always_carry() -> None:
    with pytest.raises(ValueError, match="ties that come and go are for worlds"):
        simulate(sir(), sometimes(ring(10, STREAMS), [0]), np.array([0]), 5.0, STREAMS)
