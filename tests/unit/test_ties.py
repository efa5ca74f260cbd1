"""Ties cut and mended: which, when, and that betweenness is what it is known to be."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from contagium.agents.policy import Deed, Population
from contagium.envs.betweenness import _accumulate, edge_betweenness
from contagium.envs.compiled import compiled
from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import Network, erdos_renyi, scale_free, small_world, stochastic_block
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.who import Place
from contagium.sim.intervention.base import Ground, Intervention
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.scope import Scope, Scoped
from contagium.sim.intervention.ties import CutTies, Isolate
from contagium.sim.observer.instrument import Briefing

STREAMS = Streams(1)
BRIDGE = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (2, 3)]
"""Two triangles and the tie between them."""


def tied(size: int, pairs: list[tuple[int, int]]) -> Network:
    one, other = zip(*pairs, strict=True)
    return Network.from_pairs(size, one, other)


class Site:
    """A forum on a network, and an intervention on its ties, step by step."""

    def __init__(self, work: Intervention, network: Network, **scope: object) -> None:
        size = network.size
        nobody = np.zeros(size, dtype=np.int64)
        self.work, self.world = work, Forum(network, Axes(("spiral",)))
        self.world.reset(STREAMS)
        self.scoped = Scoped("cut", work, Scope.model_validate(scope), Place(size, np.array([0]), network), STREAMS)
        self.hands = Hands(self.world, (), nobody)

        def undergoes(deed: type[Deed]) -> np.ndarray:
            return nobody > 0

        people, told = Population(nobody, nobody - 1, nobody + 1.0, nobody + 1.0), Briefing(self.world.axes, (), streams=STREAMS)
        work.begin(Ground("cut", self.scoped.can, self.world, self.world.axes, (), people, nobody > 0, undergoes, None, told))

    def closed(self, step: int, cases: tuple[int, ...] = ()) -> set[tuple[int, int]]:
        """The edges that are closed after the beginning of a step."""
        is_case = np.isin(np.arange(self.world.network.size), cases)
        self.work.before(self.scoped.moment(Signs(step, {}, {"spiral": is_case})), self.hands)
        open_ties = self.world.tied(step)
        at = np.flatnonzero(np.zeros(0) if open_ties is None else ~open_ties)
        net = self.world.network
        return set(zip(net.source[at].tolist(), net.target[at].tolist(), strict=True))

    def noted(self) -> list[str]:
        return sorted(f"{done.action} {line}" for done in self.hands.take() for line in done.detail)


@pytest.mark.parametrize("directed", [False, True])
def test_betweenness_is_that_of_networkx(directed: bool) -> None:
    graph = nx.gnm_random_graph(30, 70, seed=4, directed=directed)
    network = Network.from_networkx(graph)
    known = nx.edge_betweenness_centrality(graph.to_directed(), normalized=False)
    found = edge_betweenness(network, STREAMS, roots=30)
    edges = zip(network.source.tolist(), network.target.tolist(), strict=True)
    assert found == pytest.approx([known[edge] for edge in edges])
    machine = np.zeros(len(found))
    compiled(_accumulate)(network.indptr, network.source, np.arange(30), machine)
    assert machine == pytest.approx(found)


def test_betweenness_from_some_agents_is_about_that_from_all() -> None:
    network = scale_free(60, STREAMS)
    whole = edge_betweenness(network, STREAMS, 60)
    some = np.array([edge_betweenness(network, Streams(seed), 15) for seed in range(60)])
    off = some.mean(axis=0) - whole
    assert abs(off).max() > 0
    assert (abs(off) <= 5 * some.std(axis=0, ddof=1) / np.sqrt(60)).all()
    assert some.sum(axis=1) == pytest.approx(np.full(60, whole.sum()), rel=0.2)


def test_the_bridge_is_cut_when_the_scope_begins_and_mended_when_it_ends() -> None:
    site = Site(CutTies("betweenness", share=0.1), tied(6, BRIDGE), start=1, stop=3)
    assert [site.closed(step) for step in range(4)] == [set(), {(2, 3), (3, 2)}, {(2, 3), (3, 2)}, set()]
    assert site.noted() == ["cut 2 -> 3", "cut 3 -> 2", "mended 2 -> 3", "mended 3 -> 2"]


def test_ties_of_the_best_connected_go_first_by_degree() -> None:
    star = [(0, k) for k in range(1, 6)] + [(6, k) for k in range(7, 10)] + [(0, 6)]
    assert Site(CutTies("degree", share=0.05), tied(10, star)).closed(0) == {(0, 6), (6, 0)}


def test_between_communities_no_tie_within_one_is_cut() -> None:
    network = stochastic_block(60, STREAMS, blocks=3, inside=6, between=2)
    assert network.blocks is not None
    crosses = network.blocks[network.source] != network.blocks[network.target]
    cut = Site(CutTies("communities", share=0.5), network).closed(0)
    assert {network.blocks[a] == network.blocks[b] for a, b in cut} == {False}
    assert len(cut) == 2 * np.ceil(crosses.sum() / 4)


def test_at_random_a_share_of_the_ties_of_those_in_scope_is_cut_both_ways() -> None:
    network = small_world(100, STREAMS)
    cut = Site(CutTies("random", share=0.25), network, who=[5, 50]).closed(0)
    ours = {
        (min(a, b), max(a, b)) for a, b in zip(network.source.tolist(), network.target.tolist(), strict=True) if {a, b} & {5, 50}
    }
    assert len(cut) == 2 * np.ceil(len(ours) / 4)
    assert cut == {(b, a) for a, b in cut}
    assert {(min(pair), max(pair)) for pair in cut} <= ours


@pytest.mark.parametrize(
    ("of", "edges"),
    [("both", {(0, 1), (1, 0), (1, 2), (2, 1)}), ("hearing", {(0, 1), (2, 1)}), ("speaking", {(1, 0), (1, 2)})],
)
def test_who_is_isolated_is_so_while_it_is_in_the_scope(of: Any, edges: set[tuple[int, int]]) -> None:
    site = Site(Isolate(of), tied(6, BRIDGE), who={"case": "spiral"})
    assert [site.closed(0), site.closed(1, cases=(1,)), site.closed(2)] == [set(), edges, set()]


def test_a_tie_stays_cut_while_one_of_its_ends_is_isolated() -> None:
    site = Site(Isolate(), tied(6, BRIDGE), who={"case": "spiral"})
    site.closed(0, cases=(2, 3))
    assert site.closed(1, cases=(3,)) == {(2, 3), (3, 2), (3, 4), (4, 3), (3, 5), (5, 3)}


def test_nothing_to_cut_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="agents in its scope have no ties to cut by random"):
        Site(CutTies("random"), tied(6, [(0, 1)]), who=[3])
    alone = Network.from_pairs(4, [0, 1, 2], [1, 2, 3], blocks=np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="no ties to cut by communities"):
        Site(CutTies("communities"), alone)
    with pytest.raises(ValueError, match="no ties to cut by betweenness"):
        Site(CutTies(), erdos_renyi(5, STREAMS, mean_degree=0))
