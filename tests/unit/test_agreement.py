"""Coefficients of agreement against published worked examples, other implementations and their own definitions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from contagium.envs.rng import Streams
from contagium.sim.observer.agreement import (
    MINIMUM_CLUSTERS,
    effective_judges,
    effective_number,
    icc,
    icc_interval,
    krippendorff_alpha,
    mean,
    measure,
    pearson,
    share,
    slope,
    spearman,
    weighted_kappa,
)

STREAMS = Streams(3)
GAP = np.nan
# Shrout & Fleiss 1979, table 2: six targets, four judges.
TARGETS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
# Krippendorff 2011, section on missing data: four observers, twelve units.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, GAP, GAP, GAP],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, GAP, 3],
        [GAP, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, GAP],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, GAP],
    ]
).T


def rated(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The two raters' categories behind a table of counts."""
    one, other = np.indices(np.shape(table)).reshape(2, -1)
    counts = np.ravel(table)
    return np.repeat(one, counts), np.repeat(other, counts)


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [
        ("1,1", 0.17, -0.13, 0.72),
        ("2,1", 0.29, 0.02, 0.76),
        ("3,1", 0.71, 0.34, 0.95),
        ("1,k", 0.44, -0.88, 0.91),
        ("2,k", 0.62, 0.07, 0.93),
        ("3,k", 0.91, 0.68, 0.99),
    ],
)
def test_icc_of_shrout_and_fleiss(form: str, value: float, low: float, high: float) -> None:
    """Values as printed in the paper, limits as R's psych prints them for its table."""
    found = icc_interval(TARGETS, form)
    assert (round(found.value, 2), round(found.low, 2), round(found.high, 2)) == (value, low, high)


@pytest.mark.parametrize(("level", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)])
def test_alpha_of_krippendorff(level: str, value: float) -> None:
    assert round(float(krippendorff_alpha(OBSERVERS, level)), 3) == value


def test_kappa_of_published_tables() -> None:
    """Agresti 1990, p. 368 (91 couples), as R's vcd prints it: plain and linear weights; Fleiss 1981, table 13.1: plain."""
    couples = rated([[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]])
    assert round(float(weighted_kappa(*couples, 4, None)), 4) == 0.1293
    assert round(float(weighted_kappa(*couples, 4, "linear")), 4) == 0.2374
    assert round(float(weighted_kappa(*rated([[75, 1, 4], [5, 4, 1], [0, 0, 10]]), 3, None)), 2) == 0.68


def test_rank_correlation_with_ties_and_slope_are_those_of_the_libraries() -> None:
    draw = STREAMS.generator("ties")
    x, y = draw.integers(0, 6, 50).astype(float), draw.integers(0, 6, 50) + draw.normal(size=50)
    assert float(spearman(x, y)) == pytest.approx(spearmanr(x, y).statistic)
    assert float(slope(x, y)) == pytest.approx(np.polyfit(x, y, 1)[0])


@pytest.mark.parametrize("name", ["alpha nominal", "alpha ordinal", "alpha interval", "alpha ratio", "icc", "spearman", "kappa"])
def test_weights_are_repeats(name: str) -> None:
    """A unit of weight 3 counts as three units, one of weight 0 not at all; several weightings at once give each its own."""
    ratings = STREAMS.generator("weights").integers(0, 4, (30, 2)).astype(float)
    if name.startswith("alpha"):
        ratings[:4, 1] = np.nan
    weights = STREAMS.generator("how often").integers(0, 4, (3, 30)).astype(float)

    def of(data: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
        match name.split():
            case ["alpha", level]:
                return krippendorff_alpha(data, level, w)
            case ["icc"]:
                return icc(data, "2,1", w)
            case ["spearman"]:
                return spearman(data[:, 0], data[:, 1], w)
            case _:
                return weighted_kappa(data[:, 0].astype(int), data[:, 1].astype(int), 4, "quadratic", w)

    repeated = [float(of(np.repeat(ratings, row.astype(int), axis=0))) for row in weights]
    assert of(ratings, weights) == pytest.approx(repeated)


def test_alpha_leaves_single_ratings_out() -> None:
    alone = np.vstack([OBSERVERS, [[9, GAP, GAP, GAP]]])
    assert krippendorff_alpha(alone, "interval") == krippendorff_alpha(OBSERVERS, "interval")
    assert np.isnan(krippendorff_alpha(np.full((3, 2), np.nan), "interval"))


def test_one_value_only_is_no_agreement() -> None:
    same = np.ones((12, 2))
    for level in ("nominal", "ordinal", "interval", "ratio"):
        assert np.isnan(krippendorff_alpha(same, level))
    assert np.isnan(icc(same))
    assert np.isnan(weighted_kappa(np.ones(12, int), np.ones(12, int), 2))
    found = measure(partial(krippendorff_alpha, same, "interval"), np.arange(12), STREAMS, "same")
    assert (found.value, found.reason) == (None, "not defined: one side never varies")


def test_full_agreement_is_one_and_has_no_interval() -> None:
    x = np.arange(12.0)
    both = np.column_stack([x, x])
    assert float(icc(both)) == float(krippendorff_alpha(both, "ordinal")) == 1
    assert icc_interval(both, "3,1").low == icc_interval(both, "2,1").low == 1
    found = measure(partial(krippendorff_alpha, both, "interval"), np.arange(12), STREAMS, "full")
    assert (found.value, found.low) == (1, None)
    assert found.reason == "the same whichever agents are drawn"


def test_a_judge_shifted_by_a_constant_is_in_order_but_not_in_level() -> None:
    both = np.column_stack([TARGETS[:, 0], TARGETS[:, 0] - 4])
    assert float(spearman(both[:, 0], both[:, 1])) == pytest.approx(1)
    assert float(icc(both, "3,1")) == pytest.approx(1)
    assert float(icc(both, "2,1")) < 0.5
    assert float(krippendorff_alpha(both, "interval")) < 0


def test_too_few_units_or_agents_give_no_number() -> None:
    for agents in (np.arange(9), np.arange(40) % (MINIMUM_CLUSTERS - 1)):
        found = measure(partial(mean, np.arange(len(agents), dtype=float)), agents, STREAMS, "few")
        assert found.value is found.low is None
        assert found.reason == f"too few to say: {len(agents)} units of {len(set(agents))} agents"


def test_intervals_rest_on_agents_not_on_their_messages() -> None:
    """Ten copies of each message change nothing, ten times the agents make it about √10 narrower."""
    values = STREAMS.generator("values").normal(size=200)

    def width(values: np.ndarray, agents: np.ndarray, name: str = "width") -> float:
        found = measure(partial(mean, values), agents, STREAMS, name)
        return found.high - found.low

    few = width(values[:20], np.arange(20))
    assert width(np.repeat(values[:20], 10), np.repeat(np.arange(20), 10)) == pytest.approx(few)
    assert 2.2 < few / width(values, np.arange(200)) < 4.5
    assert width(values, np.arange(200)) == width(values, np.arange(200)) != width(values, np.arange(200), "other")


@pytest.mark.parametrize(("count", "of"), [(0, 7), (3, 10), (10, 10), (1, 400)])
def test_shares_have_wilsons_interval(count: int, of: int) -> None:
    wilson, found = binomtest(count, of).proportion_ci(0.95, method="wilson"), share(count, of)
    assert (found.value, found.low, found.high) == pytest.approx((count / of, wilson.low, wilson.high))
    assert share(0, 0).reason == "nothing to count"


def test_effective_number_of_judges() -> None:
    draw = STREAMS.generator("judges")
    one, other = draw.normal(size=(2, 500))
    assert effective_judges(np.column_stack([one] * 4)) == pytest.approx(1)
    assert effective_judges(np.column_stack([one, -one])) == 2  # never more than there are
    pair = np.column_stack([one, one + other])
    phi = float(pearson(one, one + other))
    assert effective_judges(pair) == pytest.approx(2 / (1 + phi))
    gaps = pair.copy()
    gaps[:100, 0] = np.nan
    assert effective_judges(gaps) == effective_judges(pair[100:])
    found = effective_number(pair, np.arange(500) % 25, STREAMS)
    assert 1 < found.low < found.value < found.high < 2
    stuck = effective_number(np.column_stack([one, np.zeros(500)]), np.arange(500), STREAMS)
    assert stuck.reason == "not defined: one side never varies"
