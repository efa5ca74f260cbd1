"""Networks: known sizes and degrees, seeded generators, files, and errors of one clear line."""

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

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
        (0, [], [], None, "size must be at least 1, got 0"),
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


def test_small_world_keeps_its_edges_and_rewires_a_share() -> None:
    size, k, share = 2_000, 6, 0.2
    network = small_world(size, STREAMS, k, share)
    assert len(network.source) == size * k
    assert is_mutual(network)
    distance = np.abs(network.source - network.target)
    far = np.minimum(distance, size - distance) > k // 2
    # A rewired edge rarely lands in the neighbourhood again (0.3%).
    assert far.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / (size * k / 2)) + 0.002)


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
        (lambda: complete(20_000, STREAMS), "complete network of 20,000 agents has 399,980,000 edges, more than"),
        (lambda: erdos_renyi(20_000, STREAMS, 19_999.0), "random network of 20,000 agents has 399,980,000 edges"),
        (lambda: small_world(10**6, STREAMS, 1_000), "small-world network of 1,000,000 agents"),
        (lambda: scale_free(10**6, STREAMS, 1_000), "scale-free network of 1,000,000 agents"),
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
    ],
)
def test_impossible_generators_are_refused(make: Callable[[], Network], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


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
