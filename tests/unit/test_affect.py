"""Affect moves towards what it is drawn to, never past it, stays in bounds, and shows in acts as the law says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contagium.agents.mechanistic.affect import Affect, Feeling, half_life, mean_heard

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=80)
UNIT = st.floats(-1, 1)
ROWS = arrays(np.float64, (4, 3), elements=UNIT)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda s: s[0] + s[1] <= 1)
NOTHING = np.zeros((4, 3))
ELAPSED = arrays(np.float64, 4, elements=st.integers(0, 9))
FULL = Affect(
    0.2, 0.3, 2.25, appraisal=0.4, regulation=0.3, effort=3.0, activity=0.3, activation=2.0, colouring=0.5, spillover=1.0
)


def step(law: Affect, affect, baseline, heard, susceptibility, push, elapsed) -> np.ndarray:
    """Affect after one step of agents with nothing on their mind."""
    return law.step(Feeling.at(affect), baseline, heard, susceptibility, push, elapsed).affect


@LAW
@given(SHARES, ROWS, ROWS, ROWS, arrays(np.float64, 4, elements=st.floats(0, 20)), ELAPSED)
def test_without_push_affect_stays_between_itself_its_baseline_and_what_it_heard(
    shares, affect, baseline, heard, susceptibility, elapsed
):
    after = step(Affect(*shares), affect, baseline, heard, susceptibility, NOTHING, elapsed)
    corners = np.stack([affect, baseline, heard])
    assert np.all(after >= corners.min(axis=0) - 1e-12)
    assert np.all(after <= corners.max(axis=0) + 1e-12)


@LAW
@given(SHARES, ROWS, ROWS, ROWS, arrays(np.float64, 4, elements=st.floats(0, 20)), ROWS, ELAPSED)
def test_with_all_else_off_affect_is_relaxation_contagion_and_push(
    shares, affect, baseline, heard, susceptibility, push, elapsed
):
    heard[0] = np.nan
    left = (1 - shares[0]) ** elapsed
    pull = np.minimum(shares[1] * susceptibility, left)[:, None] * np.where(np.isnan(heard), 0, heard - affect)
    expected = np.clip(affect + (1 - left)[:, None] * (baseline - affect) + pull + push, -1, 1)
    after = Affect(*shares).step(Feeling.at(affect), baseline, heard, susceptibility, push, elapsed)
    assert np.array_equal(after.affect, expected)
    assert not after.pending.any()
    assert not after.effort.any()


@LAW
@given(st.sampled_from([Affect(0.3, 0.4), FULL]), ROWS, ROWS, arrays(np.float64, (4, 3), elements=st.floats(-9, 9)), ELAPSED)
def test_affect_and_effort_stay_in_bounds_whatever_pushes(law, affect, baseline, push, elapsed) -> None:
    feeling = Feeling.at(affect)
    for _ in range(3):
        feeling = law.step(feeling, baseline, np.full((4, 3), np.nan), np.ones(4), push, elapsed)
        assert np.all(np.abs(feeling.affect) <= 1)
        assert np.all((feeling.effort >= 0) & (feeling.effort <= 1))


def test_who_hears_nothing_only_relaxes() -> None:
    none, one = np.zeros((1, 3)), np.ones(1)
    after = step(Affect(0.25, 0.5), none, np.full((1, 3), 0.8), np.full((1, 3), np.nan), one, none, one)
    assert after.tolist() == [[0.2, 0.2, 0.2]]


def test_relaxation_takes_time_and_what_is_heard_does_not() -> None:
    """0, 1 and 2 steps at a quarter each: 0, 1/4 and 7/16 of the way to 1; what was heard pulls by a half each time."""
    baseline, elapsed, one = np.ones((3, 3)), np.array([0.0, 1.0, 2.0]), np.ones(3)
    alone = step(Affect(0.25, 0.5), NOTHING[:3], baseline, np.full((3, 3), np.nan), one, NOTHING[:3], elapsed)
    assert alone[:, 0].tolist() == [0.0, 0.25, 0.4375]
    heard = step(Affect(0.25, 0.5), NOTHING[:3], baseline, np.full((3, 3), -1.0), one, NOTHING[:3], elapsed)
    assert heard[:, 0].tolist() == [-0.5, -0.25, -0.0625]


@pytest.mark.parametrize(
    "law", [Affect(0.5, 0.5), Affect(0.5, 0.5, appraisal=0.5), Affect(0.5, 0.5, regulation=0.1, effort=1e-9)]
)
def test_what_is_heard_pulls_over_what_relaxation_leaves_at_most(law: Affect) -> None:
    """After three steps at a half an eighth is left, and the most susceptible go all that way to what they hear."""
    affect, baseline, heard = (np.full((1, 3), value) for value in (0.3, 0.8, -0.8))
    after = step(law, affect, baseline, heard, np.full(1, 100.0), np.zeros((1, 3)), np.full(1, 3.0))
    assert after == pytest.approx(np.full((1, 3), 7 / 8 * 0.8 - 1 / 8 * 0.8), abs=1e-8)


@LAW
@given(
    st.sampled_from([Affect(0.3, 0.4), FULL]),
    arrays(np.float64, (3, 4, 3), elements=st.floats(-0.4, 0.4)),
    arrays(np.float64, 4, elements=st.floats(0, 1)),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_a_time_at_once_or_in_parts_is_the_same(law, start, effort, some, more) -> None:
    def wait(feeling: Feeling, steps: int) -> Feeling:
        return law.step(feeling, start[2], np.full((4, 3), np.nan), np.ones(4), NOTHING, np.full(4, float(steps)))

    feeling = Feeling(start[0], start[1] * (law.appraisal < 1), effort)
    parts, once = wait(wait(feeling, some), more), wait(feeling, some + more)
    for name in ("affect", "pending", "effort"):
        assert getattr(parts, name) == pytest.approx(getattr(once, name), abs=1e-12)


def test_an_agent_feels_the_same_whoever_else_is_in_its_group() -> None:
    rng = np.random.default_rng(4)
    affect, pending, baseline, heard, push = rng.uniform(-0.9, 0.9, (5, 101, 3))
    effort, susceptibility, elapsed = rng.random(101), 2 * rng.random(101), rng.integers(0, 5, 101).astype(float)
    heard[::7] = np.nan
    feeling = Feeling(affect, pending, effort)
    whole = FULL.step(feeling, baseline, heard, susceptibility, push, elapsed)
    apart = Feeling.at(np.full((101, 3), np.nan))
    for rows in np.array_split(rng.permutation(101), [3, 40]):
        some = (baseline[rows], heard[rows], susceptibility[rows], push[rows], elapsed[rows])
        apart.put(rows, FULL.step(feeling.take(rows), *some))
    for name in ("affect", "pending", "effort"):
        assert getattr(apart, name).tobytes() == getattr(whole, name).tobytes()


def test_a_push_adds_and_susceptibility_scales_only_what_is_heard() -> None:
    heard, push = np.full((2, 3), 1.0), np.tile([0.1, 0.0, -0.1], (2, 1))
    after = step(Affect(0.0, 0.2), np.zeros((2, 3)), np.zeros((2, 3)), heard, np.array([0.0, 2.0]), push, np.ones(2))
    assert after == pytest.approx(np.array([[0.1, 0.0, -0.1], [0.5, 0.4, 0.3]]))


def test_bad_news_weighs_more_on_valence_and_on_nothing_else() -> None:
    push = np.array([[0.1, -0.2, -0.3], [-0.1, -0.2, -0.3], [0.0, -0.2, -0.3]])
    still, nothing = np.zeros((3, 3)), np.full((3, 3), np.nan)
    after = step(Affect(loss_aversion=2.25), still, still, nothing, np.ones(3), push, np.ones(3))
    assert after == pytest.approx(np.array([[0.1, -0.2, -0.3], [-0.225, -0.2, -0.3], [0.0, -0.2, -0.3]]))


def test_what_is_not_yet_appraised_waits() -> None:
    """Half of what waits at each step: 0.4 comes as 0.2, 0.1, 0.05, …; without relaxation all of it arrives."""
    law, none, nothing = Affect(relaxation=0.0, appraisal=0.5), np.zeros((1, 3)), np.full((1, 3), np.nan)
    feeling = law.step(Feeling.at(none), none, nothing, np.ones(1), np.full((1, 3), 0.4), np.ones(1))
    felt = [feeling.affect[0, 0]]
    for elapsed in (1.0, 0.0, 2.0, 40.0):
        feeling = law.step(feeling, none, nothing, np.ones(1), none, np.full(1, elapsed))
        felt.append(feeling.affect[0, 0])
    assert felt == pytest.approx([0.2, 0.3, 0.3, 0.375, 0.4])
    assert feeling.pending == pytest.approx(none, abs=1e-12)


def test_slow_clocks_refuse_parts_of_a_step() -> None:
    none, half = np.zeros((2, 3)), np.array([1.0, 0.5])
    with pytest.raises(ValueError, match=r"elapsed must be whole steps .* got 0\.5"):
        step(FULL, none, none, none, np.ones(2), none, half)


def test_effort_rises_to_what_the_distance_calls_for_and_falls_again() -> None:
    law, none, nothing = Affect(relaxation=0.0, regulation=0.25, effort=1.0), np.zeros((1, 3)), np.full((1, 3), np.nan)
    feeling = Feeling.at(np.array([[-0.8, 0.4, 0.0]]))
    for expected in (0.2, 0.35):
        feeling = law.step(feeling, none, nothing, np.ones(1), none, np.ones(1))
        assert feeling.effort == pytest.approx([expected])
    calm = law.step(Feeling(none, none, feeling.effort), none, nothing, np.ones(1), none, np.ones(1))
    assert calm.effort == pytest.approx([0.35 * 0.75])


def test_half_lives() -> None:
    assert half_life(0.5) == pytest.approx(1.0)
    assert half_life(0.0) == np.inf
    assert half_life(1.0) == 0.0
    assert Affect(relaxation=1 - 0.5**0.1, effort=3.0).half_life() == pytest.approx(10.0)
    assert Affect(relaxation=1 - 0.5**0.1, effort=3.0).half_life(0.5) == pytest.approx(4.0)
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 1\.5"):
        half_life(1.5)
    with pytest.raises(ValueError, match=r"exerted must be a share in \[0, 1\], got -1"):
        Affect().half_life(-1)


def test_who_is_aroused_speaks_more() -> None:
    affect, baseline = np.array([[0.0, 0.2, 0.0], [0.9, 0.7, 0.9], [0.0, -0.3, 0.0]]), np.full((3, 3), 0.2)
    chance = Affect(activity=0.3, activation=2.0).speaks(affect, baseline)
    assert chance[0] == pytest.approx(0.3)
    odds = chance / (1 - chance)
    assert odds / odds[0] == pytest.approx([1.0, np.e, 1 / np.e])
    assert Affect(activation=2.0).speaks(affect, baseline).tolist() == [1, 1, 1]
    assert Affect(activity=0.0, activation=100.0).speaks(affect, baseline).tolist() == [0, 0, 0]
    extreme = Affect(activity=0.5, activation=100.0).speaks(np.array([[0, 1.0, 0], [0, -1.0, 0]]), np.zeros((2, 3)))
    assert extreme == pytest.approx([1.0, 0.0], abs=1e-12)


@LAW
@given(st.floats(0, 1), UNIT, UNIT, UNIT)
def test_others_are_seen_in_the_colour_of_ones_own_valence(colouring, heard, low, high) -> None:
    low, high = sorted((low, high))
    said = np.tile([heard, 0.3, -0.3], (3, 1))
    seen = Affect(colouring=colouring).perceived(said, np.array([low, high, 0.0]))
    assert seen[0, 0] <= seen[1, 0] + 1e-12
    assert seen[2].tolist() == said[2].tolist()
    assert np.all(np.abs(seen) <= 1 + 1e-12)
    assert np.array_equal(seen[:, 1:], said[:, 1:])


def test_colouring_a_mean_is_colouring_each_message() -> None:
    law, rng = Affect(colouring=0.6), np.random.default_rng(2)
    said, weight, reader, valence = rng.uniform(-1, 1, (9, 3)), rng.random(9), np.repeat([0, 1, 2], 3), np.array([-0.8, 0.0, 0.5])
    each = mean_heard(reader, law.perceived(said, valence[reader]), weight, 3)
    assert each == pytest.approx(law.perceived(mean_heard(reader, said, weight, 3), valence))


def test_what_is_heard_pulls_as_it_is_perceived() -> None:
    """At valence −0.5, a neutral word is taken for −0.25 under colouring 0.5: half of the way there is −0.375."""
    affect = np.array([[-0.5, 0.0, 0.0]])
    after = step(Affect(0.0, 0.5, colouring=0.5), affect, affect, np.zeros((1, 3)), np.ones(1), np.zeros((1, 3)), np.ones(1))
    assert after == pytest.approx(np.array([[-0.375, 0.0, 0.0]]))


def test_valence_moves_the_odds_of_choices_by_their_slant() -> None:
    preference, valence = np.log([[0.5, 0.3, 0.2]] * 3), np.array([0.0, 0.5, -1.0])
    chance = Affect(spillover=2.0).chooses(preference, np.array([1.0, 0.0, -1.0]), valence)
    assert chance.sum(axis=1) == pytest.approx(np.ones(3))
    assert chance[0] == pytest.approx([0.5, 0.3, 0.2])
    assert np.log(chance[:, 0] / chance[:, 2]) - np.log(2.5) == pytest.approx(2.0 * valence * 2)
    assert Affect().chooses(preference, np.array([1.0, 0.0, -1.0]), valence) == pytest.approx(np.exp(preference))
    huge = Affect(spillover=100.0).chooses(preference * 1e6, np.array([1.0, 0.0, -1.0]), valence)
    assert np.isfinite(huge).all()


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"relaxation": -0.1, "contagion": 0.1}, "relaxation must be a share in .0, 1., got -0.1"),
        ({"relaxation": 0.1, "contagion": 1.2}, "contagion must be a share in .0, 1., got 1.2"),
        ({"contagion": float("nan")}, "contagion must be a share in .0, 1., got nan"),
        ({"relaxation": 0.6, "contagion": 0.6}, "add up to at most 1, got 0.6 and 0.6"),
        ({"appraisal": 1.1}, "appraisal must be a share in .0, 1., got 1.1"),
        ({"regulation": -1}, "regulation must be a share in .0, 1., got -1"),
        ({"activity": 2}, "activity must be a share in .0, 1., got 2"),
        ({"colouring": float("nan")}, "colouring must be a share in .0, 1., got nan"),
        ({"loss_aversion": -2.25}, "loss_aversion must be in .0, 100., got -2.25"),
        ({"effort": float("inf")}, "effort must be in .0, 100., got inf"),
        ({"activation": float("nan")}, "activation must be in .-100, 100., got nan"),
        ({"spillover": -101}, "spillover must be in .-100, 100., got -101"),
    ],
)
def test_bad_values_are_named(values: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Affect(**values)


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


def test_axes_that_are_unknown_apart_are_left_out_apart() -> None:
    said = np.array([[0.5, np.nan, 0.1], [np.nan, np.nan, 0.3]])
    assert mean_heard(np.zeros(2, dtype=np.int64), said, np.ones(2), 1) == pytest.approx(
        np.array([[0.5, np.nan, 0.2]]), nan_ok=True
    )
