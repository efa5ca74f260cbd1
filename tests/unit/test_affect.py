"""Affect moves towards what it is drawn to, never past it, and stays in bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contagium.agents.mechanistic.affect import Affect, mean_heard

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=150)
UNIT = st.floats(-1, 1)
ROWS = arrays(np.float64, (4, 3), elements=UNIT)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda s: s[0] + s[1] <= 1)
NOTHING = np.zeros((4, 3))
ELAPSED = arrays(np.float64, 4, elements=st.integers(0, 9))


@LAW
@given(SHARES, ROWS, ROWS, ROWS, arrays(np.float64, 4, elements=st.floats(0, 20)), ELAPSED)
def test_without_push_affect_stays_between_itself_its_baseline_and_what_it_heard(
    shares, affect, baseline, heard, susceptibility, elapsed
):
    after = Affect(*shares).step(affect, baseline, heard, susceptibility, NOTHING, elapsed)
    corners = np.stack([affect, baseline, heard])
    assert np.all(after >= corners.min(axis=0) - 1e-12)
    assert np.all(after <= corners.max(axis=0) + 1e-12)


@LAW
@given(SHARES, ROWS, ROWS, arrays(np.float64, (4, 3), elements=st.floats(-9, 9)))
def test_affect_stays_in_bounds_whatever_pushes(shares, affect, baseline, push) -> None:
    after = Affect(*shares).step(affect, baseline, np.full((4, 3), np.nan), np.ones(4), push, np.ones(4))
    assert np.all(np.abs(after) <= 1)


def test_who_hears_nothing_only_relaxes() -> None:
    none, one = np.zeros((1, 3)), np.ones(1)
    after = Affect(0.25, 0.5).step(none, np.full((1, 3), 0.8), np.full((1, 3), np.nan), one, none, one)
    assert after.tolist() == [[0.2, 0.2, 0.2]]


def test_relaxation_takes_time_and_what_is_heard_does_not() -> None:
    """0, 1 and 2 steps at a quarter each: 0, 1/4 and 7/16 of the way to 1; what was heard pulls by a half each time."""
    baseline, elapsed, one = np.ones((3, 3)), np.array([0.0, 1.0, 2.0]), np.ones(3)
    alone = Affect(0.25, 0.5).step(NOTHING[:3], baseline, np.full((3, 3), np.nan), one, NOTHING[:3], elapsed)
    assert alone[:, 0].tolist() == [0.0, 0.25, 0.4375]
    heard = Affect(0.25, 0.5).step(NOTHING[:3], baseline, np.full((3, 3), -1.0), one, NOTHING[:3], elapsed)
    assert heard[:, 0].tolist() == [-0.5, -0.25, -0.0625]


@LAW
@given(SHARES, ROWS, ROWS, st.integers(0, 6), st.integers(0, 6))
def test_relaxing_at_once_or_in_parts_is_the_same(shares, affect, baseline, some, more) -> None:
    def relax(start: np.ndarray, steps: int) -> np.ndarray:
        nan, one = np.full((4, 3), np.nan), np.ones(4)
        return Affect(*shares).step(start, baseline, nan, one, NOTHING, np.full(4, float(steps)))

    assert relax(relax(affect, some), more) == pytest.approx(relax(affect, some + more), abs=1e-12)


def test_a_push_adds_and_susceptibility_scales_only_what_is_heard() -> None:
    heard, push = np.full((2, 3), 1.0), np.tile([0.1, 0.0, -0.1], (2, 1))
    after = Affect(0.0, 0.2).step(np.zeros((2, 3)), np.zeros((2, 3)), heard, np.array([0.0, 2.0]), push, np.ones(2))
    assert after == pytest.approx(np.array([[0.1, 0.0, -0.1], [0.5, 0.4, 0.3]]))


@pytest.mark.parametrize(
    ("shares", "rule"),
    [
        ((-0.1, 0.1), "relaxation must be a share in .0, 1., got -0.1"),
        ((0.1, 1.2), "contagion must be a share in .0, 1., got 1.2"),
        ((0.1, float("nan")), "contagion must be a share in .0, 1., got nan"),
        ((0.6, 0.6), "add up to at most 1, got 0.6 and 0.6"),
    ],
)
def test_bad_shares_are_named(shares: tuple[float, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Affect(*shares)


@LAW
@given(st.lists(st.tuples(st.integers(0, 4), UNIT | st.just(np.nan), st.floats(0.1, 3)), max_size=12))
def test_mean_heard_is_the_weighted_mean_of_what_is_known(heard: list[tuple[int, float, float]]) -> None:
    heard.sort(key=lambda row: row[0])
    reader = np.array([row[0] for row in heard], dtype=np.int64)
    said = np.array([[row[1]] * 3 for row in heard]).reshape(-1, 3)
    means = mean_heard(reader, said, np.array([row[2] for row in heard]), 5)
    for k in range(5):
        known = [(value, weight) for who, value, weight in heard if who == k and not np.isnan(value)]
        if known:
            assert means[k] == pytest.approx(np.average(*np.transpose(known)[:1], weights=np.transpose(known)[1]))
        else:
            assert np.isnan(means[k]).all()
