"""Networks: known sizes and degrees, seeded generators, files, and errors of one clear line."""

import os
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from contagium.envs import growth
from contagium.envs import network as generators
from contagium.envs.network import (
    Network,
    NetworkError,
    complete,
    erdos_renyi,
    from_file,
    ring,
    scale_free,
    small_world,
)
from contagium.envs.rng import Streams

STREAMS = Streams(11)
Generator = Callable[..., Network]


def edges(network: Network) -> list[tuple[int, int]]:
    return list(zip(network.source.tolist(), network.target.tolist(), strict=True))


def is_mutual(network: Network) -> bool:
    found = set(edges(network))
    return found == {(t, s) for s, t in found}


def test_edges_are_sorted_and_their_weights_go_along() -> None:
    network = Network.from_edges(4, [3, 0, 2, 1], [0, 2, 0, 2], [0.3, 0.02, 0.2, 0.12])
    assert edges(network) == [(2, 0), (3, 0), (0, 2), (1, 2)]
    assert network.weight.tolist() == [0.2, 0.3, 0.02, 0.12]
    assert network.indptr.tolist() == [0, 2, 2, 4, 4]
    assert network.in_degree.tolist() == [2, 0, 2, 0]
    assert network.neighbours(2).tolist() == [0, 1]
    assert network.neighbours(3).tolist() == []


@pytest.mark.parametrize(
    ("size", "source", "target", "weight", "message"),
    [
        (0, [], [], None, "size must be at least 1 and at most 268435456, got 0"),
        (2**28 + 1, [], [], None, "at most 268435456, got 268435457"),
        (3, [0], [3], None, "agent ids 0 to 2, got 0 to 3"),
        (3, [-1], [1], None, "agent ids 0 to 2, got -1 to 1"),
        (3, [1], [1], None, "no agent may hear itself, but agent 1 does"),
        (3, [0, 1, 0], [1, 2, 1], None, "edge 0 -> 1 is given twice"),
        (3, [0], [1], [np.nan], "positive and finite, got nan"),
        (3, [0], [1], [np.inf], "positive and finite, got inf"),
        (3, [0], [1], [0.0], "positive and finite, got 0.0"),
        (3, [0], [1], [-1.0], "positive and finite, got -1.0"),
        (3, [0, 1], [1], None, "equal length"),
        (3, [0.5], [1], None, "whole numbers, got .*0.5"),
        (3, ["a"], [1], None, "whole numbers, got .*'a'"),
    ],
)
def test_impossible_networks_are_refused(size: int, source: list, target: list, weight: list | None, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Network.from_edges(size, source, target, weight)


@pytest.mark.parametrize(
    ("indptr", "source", "message"),
    [
        ([0, 1], [1], "row pointer must lead from 0 to 1 in 3 steps"),
        ([1, 1, 1, 1], [1], "row pointer must lead from 0 to 1 in 3 steps"),
        ([0, 0, 0, 0], [1], "row pointer must lead from 0 to 1 in 3 steps"),
        ([0, 2, 0, 1], [1], "row pointer must lead from 0 to 1 in 3 steps and never fall"),
        ([0, 2, 2, 2], [2, 1], "sources must ascend, but agent 0 hears 2 first"),
        ([0, 2, 2, 2], [1, 1], "edge 1 -> 0 is given twice"),
        ([0, 0, 1, 1], [1], "no agent may hear itself, but agent 1 does"),
    ],
)
def test_rows_must_be_sound(indptr: list, source: list, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Network(3, np.array(indptr), np.array(source), np.full(len(source), 0.5))


def test_rows_are_checked_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contagium.envs.edges.BLOCK", 3)
    network = complete(5, STREAMS)
    for edge in range(20):
        source = network.source.copy()
        source[edge] = network.target[edge]
        with pytest.raises(NetworkError, match=f"no agent may hear itself, but agent {network.target[edge]} does"):
            Network(5, network.indptr, source, network.weight)


def test_weights_of_one_take_no_memory() -> None:
    for network in (ring(10, STREAMS), Network.from_edges(3, [0, 1], [1, 2], [1, 1])):
        assert network.unweighted
        assert network.weight.strides == (0,)
        assert network.weight.tolist() == [1.0] * len(network.source)
    assert not Network.from_edges(3, [0, 1], [1, 2], [1, 2]).unweighted
    assert not Network.from_edges(3, [0], [1], np.broadcast_to(0.5, 1)).unweighted
    assert [a.dtype for a in (network.indptr, network.source, network.target)] == [np.int64, np.int32, np.int64]


def test_hearers_are_the_edges_turned_round() -> None:
    network = Network.from_edges(4, [3, 0, 2, 1, 2], [0, 2, 0, 2, 3], [0.3, 0.02, 0.2, 0.12, 0.23])
    indptr, target, edge = network.hearers
    assert edge is not None
    assert [target[indptr[i] : indptr[i + 1]].tolist() for i in range(4)] == [[2], [2], [0, 3], [0]]
    assert network.weight[edge].tolist() == [0.02, 0.12, 0.2, 0.23, 0.3]
    assert (indptr.dtype, target.dtype, edge.dtype) == (np.int64, np.int32, np.int64)
    assert not network.symmetric


@pytest.mark.parametrize("known", [True, False])
def test_a_symmetric_network_shares_its_arrays(known: bool) -> None:
    network = erdos_renyi(50, STREAMS, 4.0)
    if not known:
        network = Network(50, network.indptr, network.source, network.weight)
    assert network.symmetric
    assert network.hearers[0] is network.indptr
    assert network.hearers[1] is network.source
    assert network.hearers[2] is None


def test_opposite_weights_decide_whether_a_weighted_network_is_symmetric() -> None:
    even = Network.from_edges(3, [0, 1, 1, 2], [1, 0, 2, 1], [2, 2, 3, 3])
    assert even.symmetric
    assert even.hearers[2] is not None
    assert even.weight[even.hearers[2]].tolist() == even.weight.tolist()
    assert not Network.from_edges(3, [0, 1, 1, 2], [1, 0, 2, 1], [2, 2, 3, 4]).symmetric


def test_layers_may_hold_the_same_edge() -> None:
    home, work = Network.from_edges(3, [0, 1], [1, 0]), Network.from_edges(3, [2, 0], [1, 1], [0.5, 0.25])
    both = Network.from_layers({"home": home, "work": work})
    assert edges(both) == [(1, 0), (0, 1), (0, 1), (2, 1)]
    assert both.layers == ("home", "work")
    assert both.layer is not None
    assert both.layer.tolist() == [0, 0, 1, 1]
    assert both.weight.tolist() == [1, 1, 0.25, 0.5]
    assert not both.symmetric
    indptr, target, edge = both.hearers
    assert indptr.tolist() == [0, 2, 3, 4]
    assert target.tolist() == [1, 1, 0, 1]
    assert both.layer[edge].tolist() == [0, 1, 0, 1]
    again = Network.from_networkx(both.to_networkx())
    assert (edges(again), again.layers, again.weight.tolist()) == (edges(both), both.layers, both.weight.tolist())
    assert again.layer is not None
    assert again.layer.tolist() == both.layer.tolist()


def test_layers_of_symmetric_networks() -> None:
    layers = {"a": ring(9, STREAMS, 2), "b": ring(9, STREAMS, 4)}
    assert Network.from_layers(layers).symmetric
    swapped = Network.from_edges(2, [0, 1], [1, 0], layer=[0, 1], layers=("a", "b"))
    assert not swapped.symmetric


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network.from_layers({}), "networks of equal size .* got none"),
        (lambda: Network.from_layers({"a": ring(5, STREAMS), "b": ring(6, STREAMS)}), "equal size .* got a: 5, b: 6"),
        (lambda: Network.from_layers({"a": Network.from_layers({"b": ring(5, STREAMS)})}), "that have no layers themselves"),
        (lambda: Network.from_layers({"": ring(5, STREAMS)}), "at most 128 different names, got ''"),
        (lambda: Network.from_edges(2, [0], [1], layer=[0], layers=("a", "a")), "different names, got 'a', 'a'"),
        (lambda: Network.from_edges(2, [0], [1], layer=[256], layers=("a", "b")), "edge layers must be 0 to 1, got 256 to 256"),
        (lambda: Network.from_edges(2, [0], [1], layer=[-1], layers=("a",)), "edge layers must be 0 to 0, got -1 to -1"),
        (lambda: Network.from_edges(2, [0], [1], layer=[0.5], layers=("a",)), "layers must be whole numbers, got .*0.5"),
        (lambda: Network.from_edges(2, [0], [1], layer=[0, 0], layers=("a",)), "equal length"),
        (lambda: Network.from_edges(2, [0], [1], layer=[0]), "given together"),
        (lambda: Network.from_edges(2, [0], [1], layers=("a",)), "given together"),
        (lambda: Network.from_edges(2, [0, 0], [1, 1], layer=[0, 0], layers=("a",)), "edge 0 -> 1 is given twice"),
        (lambda: Network.from_networkx(nx.Graph([(0, 0), (0, 1)])), "no agent may hear itself, but agent 0 does"),
        (lambda: Network.from_networkx(nx.Graph([(0, 1, {"layer": "a"}), (1, 2)])), "all edges have a layer or none"),
    ],
)
def test_impossible_layers_are_refused(make: Callable[[], Network], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make()


def test_to_networkx_and_back() -> None:
    network = Network.from_edges(5, [0, 1, 4], [1, 0, 2], [0.5, 2.0, 1.5])
    again = Network.from_networkx(network.to_networkx())
    assert again.size == 5
    assert edges(again) == edges(network)
    assert again.weight.tolist() == network.weight.tolist()


def test_an_undirected_graph_is_heard_both_ways() -> None:
    network = Network.from_networkx(nx.karate_club_graph())
    assert network.size == 34
    assert len(network.source) == 2 * 78
    assert is_mutual(network)
    k = network.in_degree
    # The epidemic threshold of the karate club; a known answer.
    assert k.mean() / (np.mean(k**2) - k.mean()) == pytest.approx(0.1477273, abs=1e-6)


def test_complete() -> None:
    network = complete(7, STREAMS)
    assert sorted(edges(network)) == [(s, t) for s in range(7) for t in range(7) if s != t]


def test_ring() -> None:
    network = ring(10, STREAMS, 4)
    for agent in range(10):
        assert network.neighbours(agent).tolist() == sorted((agent + d) % 10 for d in (-2, -1, 1, 2))


@pytest.mark.parametrize("networkx_up_to", [0, 2_000])
def test_small_world_keeps_its_edges_and_rewires_a_share(networkx_up_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "NETWORKX_UP_TO", networkx_up_to)
    size, k, share = 2_000, 6, 0.2
    network = small_world(size, STREAMS, k, share)
    assert len(network.source) == size * k
    assert is_mutual(network)
    distance = np.abs(network.source - network.target)
    far = np.minimum(distance, size - distance) > k // 2
    # A rewired edge rarely lands in the neighbourhood again (0.3%).
    assert far.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / (size * k / 2)) + 0.002)


def test_rewiring_ends_where_hardly_a_pair_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "NETWORKX_UP_TO", 0)
    for seed in range(20):
        network = small_world(8, Streams(seed), 6, 1.0)
        assert len(network.source) == 48
        assert is_mutual(network)


def test_both_makers_of_small_worlds_give_the_same_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distribution of degrees over many rings of 12 with half of the ties rewired."""
    counts = []
    for up_to in (0, 12):
        monkeypatch.setattr(generators, "NETWORKX_UP_TO", up_to)
        counts.append(sum(np.bincount(small_world(12, Streams(k), 4, 0.5).in_degree, minlength=12) for k in range(300)))
    one, two = counts
    # Degrees in one graph are not independent, but hardly correlated: their sum is fixed.
    assert np.all(np.abs(one - two) < 4.5 * np.sqrt(one + two + 1))
    assert (one[2], one[3], one[4]) != (two[2], two[3], two[4])


@pytest.mark.parametrize("make", [scale_free, lambda *settings: small_world(*settings, rewire=0.4)])
def test_few_and_many_agents_are_tied_by_the_same_loop(make: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "NETWORKX_UP_TO", 0)
    made = []
    for size in (0, 300):
        monkeypatch.setattr(growth, "INTERPRETED", size)
        made.append(edges(make(300, STREAMS, 4)))
    assert made[0] == made[1]


@pytest.mark.parametrize("generator", [ring, small_world])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_small_population_is_a_complete_network(generator: Generator, size: int) -> None:
    assert edges(generator(size, STREAMS)) == edges(complete(size, STREAMS))


def test_erdos_renyi_has_a_poisson_degree() -> None:
    size, mean = 4_000, 5.0
    k = erdos_renyi(size, STREAMS, mean).in_degree
    pairs = size * (size - 1) / 2
    p = mean / (size - 1)
    assert k.mean() == pytest.approx(mean, abs=4 * 2 / size * np.sqrt(pairs * p * (1 - p)))
    assert k.var() / k.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / size))
    assert len(erdos_renyi(6, STREAMS, 5.0).source) == 30
    assert len(erdos_renyi(6, STREAMS, 0.0).source) == 0
    assert erdos_renyi(1, STREAMS, 0.0).size == 1


def test_erdos_renyi_ties_every_pair_alike() -> None:
    size, runs, p = 6, 1_500, 0.3
    tied = np.zeros((size, size))
    for seed in range(runs):
        network = erdos_renyi(size, Streams(seed), p * (size - 1))
        tied[network.source, network.target] += 1
    assert np.array_equal(tied, tied.T)
    off = ~np.eye(size, dtype=bool)
    assert np.all(np.abs(tied[off] / runs - p) < 4 * np.sqrt(p * (1 - p) / runs))
    assert not np.any(tied[~off])


def test_erdos_renyi_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws in other portions are the same pairs; a portion may end in the middle of a row, or with it."""
    whole = edges(erdos_renyi(300, STREAMS, 20.0))
    monkeypatch.setattr(growth, "CHUNK", 7)
    assert edges(erdos_renyi(300, STREAMS, 20.0)) == whole
    assert len(complete(40, STREAMS).source) == 40 * 39
    # A gap far longer than the number of pairs.
    assert len(erdos_renyi(10**6, STREAMS, 1e-290).source) == 0


def test_newcomers_choose_by_degree() -> None:
    """The fourth of four: after ties 0-1 and 0-2 it leaves out 0 only by drawing 1 and 2, 1/2 × 1/3."""
    runs = 1_500
    chosen = np.mean([0 in scale_free(4, Streams(seed), 2).neighbours(3) for seed in range(runs)])
    assert chosen == pytest.approx(5 / 6, abs=4 * np.sqrt(5 / 36 / runs))


def test_scale_free_has_hubs() -> None:
    network = scale_free(3_000, STREAMS, 2)
    assert len(network.source) == 2 * 2 * (3_000 - 2)
    assert network.in_degree.min() >= 1
    assert network.in_degree.max() > 60
    # Barabási and Albert: a share 2m(m + 1) / (k (k + 1) (k + 2)) has degree k.
    assert np.mean(network.in_degree == 3) == pytest.approx(12 / 60, abs=4 * np.sqrt(0.2 * 0.8 / 3_000))


GENERATORS = [
    pytest.param(lambda streams: small_world(200, streams, 4, 0.3), id="small world"),
    pytest.param(lambda streams: erdos_renyi(200, streams, 4.0), id="random"),
    pytest.param(lambda streams: scale_free(200, streams, 2), id="scale-free"),
]


@pytest.mark.parametrize("make", GENERATORS)
def test_generated_networks_follow_their_seed_alone(make: Generator) -> None:
    np.random.seed(1)
    first = edges(make(Streams(3)))
    np.random.seed(2)
    assert edges(make(Streams(3))) == first
    assert edges(make(Streams(4))) != first


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: complete(0, STREAMS), "size must be at least 1, got 0"),
        (lambda: erdos_renyi(0, STREAMS, 0.0), "size must be at least 1, got 0"),
        (lambda: small_world(10, STREAMS, 3), "neighbours must be even and at least 0, got 3"),
        (lambda: small_world(10, STREAMS, -2), "neighbours must be even and at least 0, got -2"),
        (lambda: small_world(10, STREAMS, 4, 1.5), r"rewire must be a share in \[0, 1\], got 1.5"),
        (lambda: small_world(10, STREAMS, 4, float("nan")), r"rewire must be a share in \[0, 1\], got nan"),
        (lambda: erdos_renyi(10, STREAMS, -1.0), "mean_degree must be in .* got -1.0"),
        (lambda: erdos_renyi(10, STREAMS, float("nan")), "mean_degree must be in .* got nan"),
        (lambda: erdos_renyi(4, STREAMS, 4.0), "mean_degree must be in .* got 4.0"),
        (lambda: scale_free(10, STREAMS, 0), "attach must be in .* got 0"),
        (lambda: scale_free(10, STREAMS, 10), "attach must be in .* got 10"),
        (lambda: scale_free(1, STREAMS, 1), "attach must be in .* got 1"),
    ],
)
def test_impossible_generators_are_refused(make: Callable[[], Network], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: complete(2_000, STREAMS),
            "complete network of 2,000 agents has 3,998,000 edges and takes 48 MB .* 1 MB are",
        ),
        (lambda: erdos_renyi(20_000, STREAMS, 19_999.0), "random network of 20,000 agents has 399,980,000 edges"),
        (lambda: small_world(10**6, STREAMS, 1_000), "small-world network of 1,000,000 agents"),
        (
            lambda: ring(10**6, STREAMS, 1_000),
            "small-world network of 1,000,000 agents has .* takes 12,045 MB",
        ),
        (lambda: scale_free(10**6, STREAMS, 1_000), "scale-free network of 1,000,000 agents"),
    ],
)
def test_what_does_not_fit_is_refused_beforehand(
    make: Callable[[], Network], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "memory_available", lambda: 10**6)
    with pytest.raises(NetworkError, match=message):
        make()


def test_a_file_that_does_not_fit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "memory_available", lambda: 10**6)
    with pytest.raises(NetworkError, match=r"ties.csv takes 12 MB to read, but 1 MB are free"):
        from_file(4, STREAMS, write(tmp_path, "source,target\n" + "0,1\n" * 50_000))


GROUP_1 = {
    "memory/memory.limit_in_bytes": "7000",
    "memory/memory.usage_in_bytes": "900",
    "memory/memory.stat": "total_inactive_file 40",
}
GROUP_2 = {"memory.max": "5000", "memory.current": "4500", "memory.stat": "anon 1\ninactive_file 300\n"}


@pytest.mark.parametrize(
    ("group", "free"),
    [({}, 8192), (GROUP_1, 6140), (GROUP_2, 800), (GROUP_2 | {"memory.max": "max"}, 8192), (GROUP_2 | {"memory.max": "4000"}, 0)],
)
def test_memory_available_is_what_system_and_group_leave(tmp_path: Path, group: dict[str, str], free: int) -> None:
    files = {f"sys/fs/cgroup/{name}": text for name, text in group.items()}
    for name, text in {"proc/meminfo": "MemTotal: 16 kB\nMemAvailable:    8 kB\nHugePages_Total: 0\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert growth.memory_available(tmp_path) == free


def test_memory_available_here_and_where_the_system_does_not_tell(tmp_path: Path) -> None:
    there_is = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 10**6 < growth.memory_available() <= there_is
    assert growth.memory_available(tmp_path) == there_is


def write(tmp_path: Path, content: str | bytes) -> str:
    file = tmp_path / "ties.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def test_a_file_is_heard_both_ways_unless_directed(tmp_path: Path) -> None:
    path = write(tmp_path, "source,target,weight\n0,1,0.5\n\n2,1,2\n")
    assert edges(from_file(4, STREAMS, path, directed=True)) == [(0, 1), (2, 1)]
    both = from_file(4, STREAMS, path)
    assert edges(both) == [(1, 0), (0, 1), (2, 1), (1, 2)]
    assert both.weight.tolist() == [0.5, 0.5, 2, 2]
    assert both.size == 4


def test_a_file_from_a_spreadsheet(tmp_path: Path) -> None:
    """Byte order mark, carriage returns, quotes, spaces after commas, no end of line at the end."""
    path = write(tmp_path, b'\xef\xbb\xbfsource, target\r\n"0", 1\r\n1,2')
    assert edges(from_file(3, STREAMS, path, directed=True)) == [(0, 1), (1, 2)]


def test_a_file_with_layers(tmp_path: Path) -> None:
    network = from_file(3, STREAMS, write(tmp_path, "source,target,layer\n0,1,work\n0,1, home\n1,2,work\n"))
    assert network.layers == ("home", "work")
    assert network.layer is not None
    assert list(zip(edges(network), network.layer.tolist(), strict=True)) == [
        ((1, 0), 0), ((1, 0), 1), ((0, 1), 0), ((0, 1), 1), ((2, 1), 1), ((1, 2), 1),
    ]  # fmt: skip
    assert network.unweighted
    assert network.symmetric
    weighted = from_file(3, STREAMS, write(tmp_path, "source,target,weight,layer\n0,1,2.5,work\n"), directed=True)
    assert (weighted.layers, weighted.weight.tolist()) == (("work",), [2.5])


def test_a_file_without_edges(tmp_path: Path) -> None:
    assert len(from_file(3, STREAMS, write(tmp_path, "source,target\n")).source) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 must read 'source,target'"),
        ("0,1\n", "line 1 must read 'source,target'"),
        ("from,to\n0,1\n", "line 1 must read 'source,target'"),
        ("source,target\n0,1,2\n", "line 2: 2 columns expected, got 3"),
        ("source,target,weight\n0,1\n", "line 2: 3 columns expected, got 2"),
        ("source,target\n0,1\n\n0,x\n", "line 4: invalid literal .* 'x'"),
        ("source,target\n0,1.5\n", "line 2: invalid literal .* '1.5'"),
        ("source,target\n0,4\n", r"line 2: agent ids are 0 to 3 \(population.size=4\), got 4"),
        ("source,target\n-1,2\n", "line 2: agent ids are 0 to 3 .*got -1"),
        ("source,target\n0,99999999999999999999\n", "line 2: agent ids are 0 to 3 .*got 9+"),
        ("source,target,layer,weight\n", "line 1 must read 'source,target', and may go on with 'weight' and 'layer'"),
        ("source,target,layer\n0,1,a\n0,2, \n", "line 3: an edge has no layer"),
        ("source,target,layer\n0,1,a\n1,0,a\n", "edge 0 -> 1 is given twice|edge 1 -> 0 is given twice"),
        ("source,target,weight\n0,1,nan\n", "line 2: weights must be positive and finite, got nan"),
        ("source,target,weight\n0,1,0\n", "line 2: weights must be positive and finite, got 0.0"),
        ("source,target,weight\n0,1,heavy\n", "line 2: could not convert .* 'heavy'"),
        ("source,target\n0,1\n1,0\n", "edge 0 -> 1 is given twice|edge 1 -> 0 is given twice"),
        ("source,target\n2,2\n", "no agent may hear itself, but agent 2 does"),
        (b"source,target\n\xff\xfe,1\n", "is not a readable CSV"),
        ("source,target\n" + "9" * 200_000 + ",1\n", "is not a readable CSV: field larger"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(NetworkError, match=message) as caught:
        from_file(4, STREAMS, path)
    assert str(caught.value).startswith(f"network.path: {path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["/no/such/file.csv", "/tmp", "", "\0"])
def test_a_missing_file_is_named(path: str) -> None:
    with pytest.raises(NetworkError, match=r"network\.path: no such file"):
        from_file(4, STREAMS, path)


def test_a_home_nobody_has() -> None:
    with pytest.raises(NetworkError, match=r"network\.path: ~nobody-by-this-name/x is not a readable CSV: .*home"):
        from_file(4, STREAMS, "~nobody-by-this-name/x")


def test_without_layers_ties_of_a_pair_are_one_with_their_weights_summed() -> None:
    family = Network.from_edges(4, [0, 2], [1, 1], [1.0, 2.0])
    work = Network.from_edges(4, [0, 3], [1, 2], [0.5, 4.0])
    flat = Network.from_layers({"family": family, "work": work}).flat
    assert (flat.layer, flat.layers) == (None, ())
    assert list(zip(flat.source.tolist(), flat.target.tolist(), flat.weight.tolist(), strict=True)) == [
        (0, 1, 1.5),
        (2, 1, 2.0),
        (3, 2, 4.0),
    ]
    assert flat.in_degree.tolist() == [0, 2, 1, 0]
    assert family.flat is family
