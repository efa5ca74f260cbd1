"""Networks by name: shapes with known degrees and distances, densities within their standard errors, degrees kept exactly."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from contagium.envs import growth
from contagium.envs.network import (
    Network,
    NetworkError,
    activity_driven,
    configuration,
    grid,
    layers,
    line,
    ring,
    small_world,
    star,
    stochastic_block,
)
from contagium.envs.rng import Streams

STREAMS = Streams(5)


def distances(network: Network) -> float:
    return float(nx.average_shortest_path_length(network.to_networkx()))


def part(spec: Mapping[str, Any], where: str, streams: Streams, part: object) -> Network:
    """What the laboratory does with a specification, without its checks."""
    made: Network = spec["make"](20, streams)
    return made


# Shapes -------------------------------------------------------------------------------------------------------------


def test_a_line_has_two_ends_and_long_ways() -> None:
    assert line(5, STREAMS).in_degree.tolist() == [1, 2, 2, 2, 1]
    assert distances(line(9, STREAMS)) == pytest.approx((9 + 1) / 3)
    assert len(line(1, STREAMS).source) == 0


def test_in_a_star_all_ways_lead_through_the_middle() -> None:
    assert star(6, STREAMS).in_degree.tolist() == [5, 1, 1, 1, 1, 1]
    assert distances(star(9, STREAMS)) == pytest.approx(2 - 2 / 9)
    assert len(star(1, STREAMS).source) == 0


def test_ways_in_a_grid_are_those_of_a_taxi() -> None:
    network = grid(12, STREAMS)
    assert network.in_degree.reshape(3, 4).tolist() == [[2, 3, 3, 2], [3, 4, 4, 3], [2, 3, 3, 2]]
    # Mean distance between rows, and between columns, of two different places.
    both = 12 * 11 / (12 * 12)
    assert distances(network) == pytest.approx(((3 - 1 / 3) / 3 + (4 - 1 / 4) / 3) / both)
    assert np.array_equal(grid(12, STREAMS, columns=4).source, network.source)
    assert np.array_equal(grid(7, STREAMS, columns=7).source, line(7, STREAMS).source)


def test_a_wrapped_grid_has_no_border() -> None:
    assert set(grid(12, STREAMS, wrap=True).in_degree.tolist()) == {4}
    assert grid(8, STREAMS, wrap=True).in_degree.tolist() == [3] * 8  # in two rows, above is below
    assert np.array_equal(grid(5, STREAMS, columns=5, wrap=True).source, ring(5, STREAMS, 2).source)
    assert len(grid(2, STREAMS, wrap=True).source) == 2


# Communities ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [4, [500, 300, 150, 50]])
def test_blocks_have_the_stated_densities(blocks: int | list[int]) -> None:
    network = stochastic_block(1_000, STREAMS, blocks, inside=8.0, between=2.0)
    assert network.symmetric
    planted = network.blocks
    assert planted is not None
    sizes = np.bincount(planted)
    assert sizes.tolist() == (blocks if isinstance(blocks, list) else [250] * 4)
    same = planted[network.source] == planted[network.target]
    for block, size in enumerate(sizes.tolist()):
        pairs, p = size * (size - 1) / 2, 8 / (size - 1)
        found = np.sum(same & (planted[network.source] == block)) / 2
        assert found == pytest.approx(8 * size / 2, abs=4 * np.sqrt(pairs * p * (1 - p)))
    assert np.sum(~same) / 2 == pytest.approx(1_000, abs=4 * np.sqrt(1_000))


def test_every_pair_of_two_blocks_is_tied_alike() -> None:
    sizes, runs = [2, 3], 600
    tied = np.zeros((5, 5))
    for seed in range(runs):
        network = stochastic_block(5, Streams(seed), sizes, inside=0.5, between=0.6)
        tied[network.source, network.target] += 1
    expected = np.full((5, 5), 0.6 * 5 / (2 * 2 * 3))
    expected[:2, :2], expected[2:, 2:] = 0.5, 0.25
    np.fill_diagonal(expected, 0)
    assert np.all(np.abs(tied / runs - expected) <= 4 * np.sqrt(expected * (1 - expected) / runs))


def test_full_and_empty_blocks() -> None:
    network = stochastic_block(10, STREAMS, 3, inside=2.0, between=0.0)
    assert network.blocks is not None
    assert np.bincount(network.blocks).tolist() == [4, 3, 3]
    assert network.in_degree[4:].tolist() == [2] * 6
    assert len(stochastic_block(4, STREAMS, 4, inside=0.0, between=3.0).source) == 12
    assert len(stochastic_block(4, STREAMS, 1, inside=3.0, between=0.0).source) == 12


# Given degrees -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [[9] + [1] * 9, [4] * 5, [3, 3, 2, 2, 2], [0, 1, 1], [7, 6, 5, 4, 3, 3, 2, 1, 1]])
def test_degrees_of_a_file_are_kept(tmp_path: Path, degrees: list[int]) -> None:
    (tmp_path / "degrees.txt").write_text("\n".join(map(str, degrees)))
    rows = [f"{agent},{degree}" for agent, degree in enumerate(degrees)]
    (tmp_path / "degrees.csv").write_text("\n".join(["agent,degree", *reversed(rows)]))
    for name in ("degrees.txt", "degrees.csv"):
        network = configuration(len(degrees), STREAMS, str(tmp_path / name))
        assert network.symmetric
        assert network.in_degree.tolist() == degrees


def test_joining_at_random_is_near_to_drawing_each_network_alike(tmp_path: Path) -> None:
    """Of six agents with two ties each, 60 rings of six and 10 pairs of rings of three can be made."""
    (tmp_path / "two").write_text("2\n" * 6)
    runs = 400
    whole = [
        nx.is_connected(configuration(6, Streams(k), str(tmp_path / "two")).to_networkx().to_undirected()) for k in range(runs)
    ]
    assert np.mean(whole) == pytest.approx(60 / 70, abs=4 * np.sqrt(6 / 49 / runs) + 0.02)


def test_drawn_degrees_follow_a_power_law() -> None:
    network = configuration(20_000, STREAMS, exponent=2.5, least=2, most=50)
    degree = np.arange(2, 51.0)
    share = degree**-2.5 / np.sum(degree**-2.5)
    found = np.bincount(network.in_degree, minlength=51)[2:] / 20_000
    assert np.all(np.abs(found - share) < 4.5 * np.sqrt(share * (1 - share) / 20_000) + 1e-4)
    assert set(configuration(9, STREAMS, least=2, most=2).in_degree.tolist()) == {2}
    odd = configuration(9, STREAMS, least=3, most=3).in_degree
    assert sorted(odd.tolist()) == [3] * 8 + [4]


def test_whether_degrees_can_be_is_what_networkx_finds() -> None:
    rng = STREAMS.generator("degrees of test")
    told = []
    for _ in range(400):
        size = int(rng.integers(1, 8))
        degree = rng.integers(0, size + 1, size=size)
        told.append(growth.graphical(degree))
        assert told[-1] == nx.is_graphical(degree.tolist()), degree
    assert 0 < sum(told) < 400


# Ties that come and go -----------------------------------------------------------------------------------------------


def test_activity_driven_ties_have_the_mean_degree_of_perra() -> None:
    """In a step 2 m ⟨a⟩ others are met on average; activities have a mean that the law gives."""
    size, exponent, least, met = 3_000, 2.5, 0.1, 3
    network = activity_driven(size, STREAMS, exponent, least, met, period=30)
    mean = (1 - exponent) / (2 - exponent) * (1 - least ** (2 - exponent)) / (1 - least ** (1 - exponent))
    tied = np.array([np.sum(network.tied(step)) for step in range(30)]) / size
    # Activities vary over agents with a standard deviation below 0.2; meetings of both by the other are once.
    assert tied.mean() == pytest.approx(2 * met * mean, abs=4 * 2 * met * 0.2 / np.sqrt(size) + 0.01)
    carries = network.tied(0)
    assert carries is not None
    pairs = {(s, t) for s, t in zip(network.source[carries].tolist(), network.target[carries].tolist(), strict=True)}
    assert pairs == {(t, s) for s, t in pairs}
    assert np.array_equal(network.tied(30), carries)
    assert not np.array_equal(network.tied(1), carries)


def test_layers_are_drawn_apart_and_may_carry_now_and_then() -> None:
    two: dict[str, dict[str, Any]] = {name: {"make": lambda size, streams: small_world(size, streams, 4, 0.5)} for name in "ab"}
    network = layers(20, STREAMS, part, two, {"b": 0.25})
    one, other = network.part("a")[0], network.part("b")[0]
    assert not np.array_equal(one.source, other.source)
    tied = np.array([network.tied(step) for step in range(400)])
    assert tied[:, network.layer == 0].all()
    assert tied[:, network.layer == 1].mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / (400 * 40)))
    again = layers(20, STREAMS, part, two | {"c": None}, {"b": 0.25})
    assert np.array_equal(again.source, network.source)
    assert np.array_equal(again.tied(7), tied[7])


GENERATORS: list[Any] = [
    pytest.param(lambda streams: stochastic_block(200, streams, 4, 5.0, 1.0), id="blocks"),
    pytest.param(lambda streams: configuration(200, streams), id="configuration"),
    pytest.param(lambda streams: activity_driven(50, streams, period=5), id="activity-driven"),
]


@pytest.mark.parametrize("make", GENERATORS)
def test_generated_networks_follow_their_seed_alone(make: Callable[[Streams], Network]) -> None:
    np.random.seed(1)
    first = make(Streams(3))
    np.random.seed(2)
    again, other = make(Streams(3)), make(Streams(4))
    assert np.array_equal(first.source, again.source)
    assert np.array_equal(first.indptr, again.indptr)
    assert not np.array_equal(first.indptr, other.indptr)


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: line(0, STREAMS), "population.size must be at least 1, got 0"),
        (lambda: grid(13, STREAMS), "population.size 13 has no two factors"),
        (lambda: grid(12, STREAMS, columns=5), r"columns must divide population.size \(12\), got 5"),
        (lambda: grid(12, STREAMS, columns=0), r"columns must divide population.size \(12\), got 0"),
        (lambda: stochastic_block(8, STREAMS, 0), r"blocks must be 1 to population.size \(8\) blocks, got 0"),
        (lambda: stochastic_block(8, STREAMS, [4, 3]), r"add up to population.size \(8\), got \[4, 3\]"),
        (lambda: stochastic_block(8, STREAMS, [9, -1]), r"sizes of at least 1 .* got \[9, -1\]"),
        (lambda: stochastic_block(8, STREAMS, []), r"sizes of at least 1 .* got \[\]"),
        (lambda: stochastic_block(8, STREAMS, 4, inside=2.0), r"inside must be in \[0, 1\], .* got 2.0"),
        (lambda: stochastic_block(8, STREAMS, 2, inside=float("nan")), "inside must be in .* got nan"),
        (lambda: stochastic_block(8, STREAMS, 2, between=4.5), r"between must be in \[0, 4\], .* got 4.5"),
        (lambda: stochastic_block(8, STREAMS, 1, between=0.5), r"between must be in \[0, 0\], .* got 0.5"),
        (lambda: configuration(8, STREAMS, exponent=-1.0), "exponent must be at least 0 and finite, got -1.0"),
        (lambda: configuration(8, STREAMS, least=-1), "0 ≤ least ≤ most < population.size .* got -1 and 2"),
        (lambda: configuration(8, STREAMS, least=3, most=2), "0 ≤ least ≤ most .* got 3 and 2"),
        (lambda: configuration(2, STREAMS), r"population.size \(2\), got 2 and 2"),
        (lambda: activity_driven(8, STREAMS, exponent=1.0), "exponent must be above 1 and finite, got 1.0"),
        (lambda: activity_driven(8, STREAMS, least=0.0), r"least must be in \(0, 1\], got 0.0"),
        (lambda: activity_driven(2, STREAMS), r"contacts must be 0 to population.size - 1 \(1\), got 2"),
        (lambda: activity_driven(8, STREAMS, period=0), "period must be at least 1 step, got 0"),
        (lambda: layers(8, STREAMS, part, {}), "layers must be networks of equal size .* got none"),
        (lambda: layers(8, STREAMS, part, {"a": {}}, {"b": 0.5}), "activity.b: no such layer; network.networks has a"),
        (lambda: layers(8, STREAMS, part, {"a": {}}, {"a": 1.5}), r"activity.a must be a probability in \[0, 1\], got 1.5"),
    ],
)
def test_impossible_generators_are_refused(make: Callable[[], Network], message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: grid(1_000_000, STREAMS),
        lambda: stochastic_block(1_000_000, STREAMS),
        lambda: configuration(1_000_000, STREAMS),
        lambda: activity_driven(100_000, STREAMS),
    ],
)
def test_what_does_not_fit_is_refused_beforehand(make: Callable[[], Network], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "memory_available", lambda: 10**6)
    with pytest.raises(NetworkError, match=r"network of .* agents has .* edges and takes .* MB .* but 1 MB are free"):
        make()


def test_degrees_that_cannot_be_tied_in_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "ROUNDS", 1)
    (tmp_path / "full").write_text("5\n" * 6)
    with pytest.raises(NetworkError, match=r"network.path: .*full: the degrees are so uneven that 1 rounds of changes"):
        configuration(6, STREAMS, str(tmp_path / "full"))
