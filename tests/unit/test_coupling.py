"""Couplings are off by default, follow their stated formulas, and stay finite at their extremes."""

import numpy as np
import pytest

from contagium.agents.mechanistic.coupling import Coupling, History

AFFECT = np.array([[0.0, 0.0, 0.0], [0.5, -1.0, 0.2], [-1.0, 1.0, -1.0]])


def history(heard: object, immunity: object) -> History:
    return History(np.array(heard), np.array(immunity, dtype=np.float64))


def test_off_by_default() -> None:
    off, past = Coupling(), history([[0, 9], [5, 5], [1, 0]], np.zeros((3, 2)))
    assert off.hazard(AFFECT, past).tolist() == np.ones((3, 2)).tolist()
    assert off.shown(AFFECT).tolist() == [1, 1, 1]
    assert off.admits(np.array([-1.0, 1.0]), np.array([1.0, np.nan])).all()
    lived = off.lived(past, np.ones((3, 2), dtype=np.int64), np.ones((3, 2), dtype=np.bool_), np.full(3, 4.0))
    assert (lived.heard - past.heard).tolist() == np.ones((3, 2)).tolist()
    assert not lived.immunity.any()


def test_affect_multiplies_susceptibility_and_shedding() -> None:
    coupling = Coupling(susceptibility=(-1.0, 0.5, 2.0), shedding=(0.0, 1.0, 0.0), most=1.5)
    hazard = coupling.hazard(AFFECT, History.blank(3, 2))
    assert hazard == pytest.approx(np.exp(np.outer([0.0, -0.5 - 0.5 + 0.4, 1.0 + 0.5 - 2.0], [1, 1])))
    assert coupling.shown(AFFECT) == pytest.approx([1.0, np.exp(-1), 1.5])


@pytest.mark.parametrize("axis", range(3))
def test_hazard_and_showing_rise_with_the_axis_they_are_coupled_to(axis: int) -> None:
    slope = tuple(float(k == axis) for k in range(3))
    affect = np.zeros((9, 3))
    affect[:, axis] = np.linspace(-1, 1, 9)
    coupling = Coupling(slope, slope, most=100.0)
    assert np.all(np.diff(coupling.hazard(affect, History.blank(9, 1))[:, 0]) > 0)
    assert np.all(np.diff(coupling.shown(affect)) > 0)


def test_fatigue_and_immunity_lower_the_hazard_of_their_own_strain() -> None:
    past = history([[0, 1], [2, 4], [0, 0]], [[0, 0], [0, 0.5], [1, 0]])
    hazard = Coupling(fatigue=0.5).hazard(AFFECT, past)
    assert hazard == pytest.approx(np.array([[1, 1 / 1.5], [1 / 2, 0.5 / 3], [0, 1]]))


def test_immunity_follows_an_episode_and_wanes_exponentially() -> None:
    coupling, none, one = Coupling(immunity=0.8, waning=0.1), np.zeros((2, 1), dtype=np.int64), np.ones(2)
    ended, not_ended = np.array([[True], [False]]), np.zeros((2, 1), dtype=np.bool_)
    past = coupling.lived(History.blank(2, 1), none, ended, one)
    assert past.immunity[:, 0].tolist() == [0.8, 0.0]
    parts = coupling.lived(coupling.lived(past, none, not_ended, one), none, not_ended, 4 * one)
    once = coupling.lived(past, none, not_ended, 5 * one)
    assert once.immunity[:, 0] == pytest.approx([0.8 * np.exp(-0.5), 0.0])
    assert parts.immunity == pytest.approx(once.immunity)
    assert coupling.lived(once, none, ended, one).immunity[0, 0] == 0.8
    assert Coupling(immunity=0.8).lived(past, none, not_ended, 1e6 * one).immunity[0, 0] == 0.8


def test_a_history_is_kept_by_rows() -> None:
    past = history([[1], [2], [3]], [[0.1], [0.2], [0.3]])
    some = past.take(np.array([2, 0]))
    assert (some.heard[:, 0].tolist(), some.immunity[:, 0].tolist()) == ([3, 1], [0.3, 0.1])
    past.put(np.array([2, 0]), history([[9], [8]], [[0.9], [0.8]]))
    assert (past.heard[:, 0].tolist(), past.immunity[:, 0].tolist()) == ([8, 2, 9], [0.8, 0.2, 0.9])


def test_a_persona_draws_the_baseline_of_who_shows_it() -> None:
    own, persona = np.full((4, 3), 0.1), np.array([[0.3, 0.6, -0.2], [0.7, -0.2, 0.0]])
    shows = np.array([[False, False], [True, False], [False, True], [True, True]])
    wholly = Coupling().baseline(own, persona, shows)
    assert wholly.tolist()[:3] == [[0.1] * 3, persona[0].tolist(), persona[1].tolist()]
    assert wholly[3] == pytest.approx([0.5, 0.2, -0.1])
    half = Coupling(possession=0.5).baseline(own, persona, shows)
    assert half == pytest.approx((own + wholly) / 2)
    assert np.array_equal(Coupling(possession=0.0).baseline(own, persona, shows), own)
    assert own.tolist() == [[0.1] * 3] * 4


def test_beliefs_filter_exposure() -> None:
    near = Coupling(bound=0.5)
    assert near.admits(np.zeros(4), np.array([0.5, 0.51, -0.6, np.nan])).tolist() == [True, False, False, True]


def test_an_agent_is_coupled_the_same_whoever_else_is_in_its_group() -> None:
    rng = np.random.default_rng(8)
    affect, past = rng.uniform(-1, 1, (101, 3)), History(rng.integers(0, 9, (101, 2)), rng.random((101, 2)))
    coupling, rows = Coupling((1.7, -0.3, 0.9), (0.3, 0.7, 0.1), 3.0, fatigue=0.3), rng.permutation(101)[:13]
    assert coupling.hazard(affect, past)[rows].tobytes() == coupling.hazard(affect[rows], past.take(rows)).tobytes()
    assert coupling.shown(affect)[rows].tobytes() == coupling.shown(affect[rows]).tobytes()


def test_extremes_stay_finite() -> None:
    coupling = Coupling((10.0, 10.0, 10.0), (-10.0, 10.0, -10.0), 1e6, 1.0, 0.0, 1e6, 1.0, 1e6)
    past = history([[2**62]] * 3, [[0.0]] * 3)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(coupling.hazard(AFFECT, past)).all()
        assert coupling.shown(AFFECT).max() == 1e6
        later = coupling.lived(history([[1]] * 3, [[1.0]] * 3), np.ones((3, 1), dtype=np.int64), past.heard < 0, np.full(3, 1e9))
    assert later.immunity.tolist() == [[0.0]] * 3


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"susceptibility": (0.0, 1.0)}, "susceptibility must be 3 numbers .valence, arousal, dominance., got 2"),
        ({"shedding": (0.0, float("nan"), 0.0)}, "shedding must be in .-10, 10. on each axis, got nan"),
        ({"susceptibility": (0.0, 0.0, -11.0)}, "susceptibility must be in .-10, 10. on each axis, got -11"),
        ({"most": 0.5}, "most must be at least 1 and finite, got 0.5"),
        ({"possession": 1.5}, "possession must be a share in .0, 1., got 1.5"),
        ({"immunity": -0.1}, "immunity must be a share in .0, 1., got -0.1"),
        ({"fatigue": float("inf")}, "fatigue must be in .0, 1e.06., got inf"),
        ({"waning": -1.0}, "waning must be in .0, 1e.06., got -1"),
        ({"bound": float("nan")}, "bound must be non-negative and finite, got nan"),
    ],
)
def test_bad_values_are_named(values: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Coupling(**values)
