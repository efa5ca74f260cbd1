"""Keyed streams: reproducible by name, independent across names, the same whoever else is asked for."""

import numpy as np
import pytest
from scipy import stats

from contagium.envs.rng import Streams

STREAMS = Streams(2026)
ALL = np.arange(20_000)


def test_a_name_gives_the_same_draws_whatever_was_drawn_before() -> None:
    first = STREAMS.generator("speak", 3, 4).random(5)
    STREAMS.generator("other").random(1000)
    np.random.seed(1)
    assert np.array_equal(Streams(2026).generator("speak", 3, 4).random(5), first)


def test_a_pinned_draw() -> None:
    """A change here changes every run of every seed."""
    assert STREAMS.integer("network") == 1_822_821_227


def test_every_part_of_a_name_matters() -> None:
    names = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 0), ("a", 0, 1), ("a", 1, 0), ("a", 0, 0, 0), ("", 0), ("a0",)]
    streams = [Streams(s) for s in (0, 1, 2026, 2**32, 2**32 + 1, 2**64)]
    draws = [s.generator(*name).integers(2**63) for s in streams for name in names]
    assert len(set(draws)) == len(draws)


def test_uniform_does_not_depend_on_who_else_is_asked_or_in_which_order() -> None:
    whole = STREAMS.uniform("x", 5, ALL)
    some = np.array([19_999, 3, 0, 77, 3])
    assert np.array_equal(STREAMS.uniform("x", 5, some), whole[some])
    assert STREAMS.uniform("x", 5, np.array([7]))[0] == whole[7]
    assert STREAMS.uniform("x", 5, np.empty(0, dtype=np.int64)).shape == (0,)


def test_draws_are_uniform() -> None:
    """Chi-square over 100 cells; p above 1e-4 for each of 20 streams."""
    for step in range(20):
        counts = np.bincount((STREAMS.uniform("flat", step, ALL) * 100).astype(int), minlength=100)
        assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", 0), ("a", 1)),  # steps
        (("a", 5), ("b", 5)),  # streams
        (("a", 1), ("a", 65_536)),
    ],
)
def test_streams_are_uncorrelated(one: tuple[str, int], other: tuple[str, int]) -> None:
    """Correlation and a 10 × 10 contingency table, within 4 standard errors and p above 1e-4."""
    x, y = STREAMS.uniform(*one, ALL), STREAMS.uniform(*other, ALL)
    assert abs(np.corrcoef(x, y)[0, 1]) < 4 / np.sqrt(len(ALL))
    table = np.histogram2d(x, y, bins=10, range=[[0, 1], [0, 1]])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_neighbouring_agents_steps_and_seeds_are_uncorrelated() -> None:
    by_step = np.array([STREAMS.uniform("grid", step, np.arange(200)) for step in range(200)])
    by_seed = np.array([Streams(seed).uniform("grid", 0, np.arange(200)) for seed in range(200)])
    for grid in (by_step, by_seed):
        for a, b in ((grid[1:], grid[:-1]), (grid[:, 1:], grid[:, :-1]), (grid[1:, 1:], grid[:-1, :-1])):
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_generators_of_one_agent_each_are_independent() -> None:
    first = np.array([STREAMS.generator("speak", 1, agent).random(2) for agent in range(4_000)])
    assert abs(first.mean() - 0.5) < 4 / np.sqrt(12 * first.size)
    assert abs(np.corrcoef(first.T)[0, 1]) < 4 / np.sqrt(len(first))
    assert abs(np.corrcoef(first[1:, 0], first[:-1, 0])[0, 1]) < 4 / np.sqrt(len(first))


def test_integer_is_below_two_to_the_31() -> None:
    drawn = np.array([STREAMS.integer("seed", i) for i in range(2_000)])
    assert drawn.min() >= 0
    assert drawn.max() < 2**31
    assert abs(drawn.mean() / 2**31 - 0.5) < 4 / np.sqrt(12 * len(drawn))


def test_a_negative_seed_or_index_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        Streams(-1)
    with pytest.raises(ValueError, match="non-negative"):
        STREAMS.generator("a", -1)


def test_orders_depend_on_every_part_of_their_name_and_on_nothing_else() -> None:
    names = [("a",), ("b",), ("a", 0), ("a", 1), ("a", 0, 0), ("a", 0, 1), ("a", 1, 0), ("a", 10), ("a 0",), ("", 0), ("0 a", 1)]
    streams = [Streams(s) for s in (0, 1, 2026, 2**64)]
    orders = [s.order(*name) for s in streams for name in names]
    assert len(set(orders)) == len(orders)
    assert orders == [s.order(*name) for s in streams for name in names]
    assert STREAMS.order("a", 3) == STREAMS.order("a", np.int64(3))


def test_orders_are_uniform() -> None:
    orders = np.array([STREAMS.order("x", 1, k) for k in range(20_000)], dtype=np.float64) / 2**64
    assert stats.kstest(orders, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(orders[1:], orders[:-1])[0, 1]) < 4 / np.sqrt(len(orders))


def test_a_pinned_order() -> None:
    """A change here changes what agents of every seed read last."""
    assert STREAMS.order("reading order", 1, 2, 3, 0) == 1_157_009_616_263_160_852
