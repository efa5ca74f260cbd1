"""Known answers of opinion dynamics and of emotion research, which affect must reach where it is the same law."""

import numpy as np
import pytest

from contagium.agents.mechanistic.affect import Affect, Feeling, mean_heard

W = np.array([[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.1, 0.4, 0.5]])
START = np.array([1.0, 0.0, 0.5])
READER, SOURCE = np.divmod(np.arange(9), 3)


def settle(law: Affect, susceptibility: np.ndarray, steps: int = 400) -> np.ndarray:
    """Valence of three agents who hear each other (and themselves) with the weights W, after many steps. Shape (3,)."""
    baseline = np.repeat(START[:, None], 3, axis=1)
    feeling = Feeling.at(baseline)
    for _ in range(steps):
        heard = mean_heard(READER, feeling.affect[SOURCE], W.reshape(-1), 3)
        feeling = law.step(feeling, baseline, heard, susceptibility, np.zeros((3, 3)), np.ones(3))
    return feeling.affect[:, 0]


def course(law: Affect, shocks: np.ndarray, steps: int = 60) -> np.ndarray:
    """Valence after a shock (n,) to valence at time 0 and at each of the steps after it, from a neutral start. (steps, n)"""
    push, quiet, one = np.zeros((len(shocks), 3)), np.zeros((len(shocks), 3)), np.ones(len(shocks))
    push[:, 0] = shocks
    feeling, curve = Feeling.at(quiet), np.empty((steps, len(shocks)))
    for k in range(steps):
        feeling = law.step(feeling, quiet, np.full_like(push, np.nan), one, push if k == 0 else quiet, one)
        curve[k] = feeling.affect[:, 0]
    return curve


def half_life_of(curve: np.ndarray) -> float:
    """Steps from the peak until half of it is left, to fractions of a step by geometric interpolation."""
    curve = np.abs(curve[np.abs(curve).argmax() :])
    below = int(np.argmax(curve <= curve[0] / 2))
    return below - 1 + np.log(curve[below - 1] / (curve[0] / 2)) / np.log(curve[below - 1] / curve[below])


def test_contagion_alone_reaches_the_consensus_of_degroot() -> None:
    weights = np.array([0.270270, 0.414414, 0.315315])
    assert weights @ START == pytest.approx(0.427928, abs=1e-6)
    assert settle(Affect(relaxation=0.0, contagion=1.0), np.ones(3)) == pytest.approx(np.full(3, 0.427928), abs=1e-6)


def test_slow_contagion_reaches_the_same_consensus() -> None:
    assert settle(Affect(relaxation=0.0, contagion=0.3), np.ones(3)) == pytest.approx(np.full(3, 0.427928), abs=1e-6)


def test_a_baseline_that_holds_on_reaches_the_fixed_point_of_friedkin_and_johnsen() -> None:
    """Their susceptibility A = diag(.8, .5, .2) is contagion·s / (relaxation + contagion·s)."""
    relaxation, contagion = 0.2, 0.8
    share = np.array([0.8, 0.5, 0.2])
    susceptibility = share / (1 - share) * relaxation / contagion
    settled = settle(Affect(relaxation, contagion), susceptibility)
    assert settled == pytest.approx([0.525313, 0.166032, 0.470876], abs=1e-6)


def test_nobody_heard_returns_to_the_baseline_geometrically() -> None:
    curve = course(Affect(relaxation=0.2, contagion=0.3), np.array([-0.6]))
    assert curve[:, 0] == pytest.approx(-0.6 * 0.8 ** np.arange(60), rel=1e-9)


@pytest.mark.parametrize("law", [Affect(), Affect(loss_aversion=2.25, appraisal=0.3, regulation=0.2, effort=2.0)])
def test_response_is_monotone_in_the_size_of_the_shock(law: Affect) -> None:
    peaks = course(law, np.linspace(-0.4, 0.4, 17))
    peaks = np.take_along_axis(peaks, np.abs(peaks).argmax(axis=0)[None], axis=0)[0]
    assert np.all(np.diff(peaks) > 0)
    assert peaks[8] == 0


@pytest.mark.parametrize("appraisal", [1.0, 0.3])
def test_a_small_loss_weighs_loss_aversion_times_as_much_as_an_equal_gain_and_fades_alike(appraisal: float) -> None:
    """Tversky and Kahneman's 2.25; a shock as large as the scale has less room: the ratio falls to 1."""
    law = Affect(loss_aversion=2.25, appraisal=appraisal)
    loss, gain = np.abs(course(law, np.array([-0.05, 0.05]))).T
    assert loss.max() / gain.max() == pytest.approx(2.25)
    assert half_life_of(loss) == pytest.approx(half_life_of(gain))
    loss, gain = np.abs(course(Affect(loss_aversion=2.25), np.array([-1.0, 1.0]))).max(axis=0)
    assert loss / gain == 1


@pytest.mark.parametrize("appraisal", [0.5, 0.15, 0.05])
def test_slow_appraisal_peaks_later_and_lower(appraisal: float) -> None:
    """Impulse response a·(left^(t+1) − q^(t+1))/(left − q), with left = 1 − relaxation and q = 1 − appraisal."""
    left, q, t = 0.9, 1 - appraisal, np.arange(60)
    slow, fast = course(Affect(0.1, 0.3, appraisal=appraisal), np.full(1, 0.5))[:, 0], course(Affect(0.1), np.full(1, 0.5))[:, 0]
    assert slow == pytest.approx(0.5 * appraisal * (left ** (t + 1) - q ** (t + 1)) / (left - q))
    assert fast.argmax() == 0
    peak = np.log(np.log(q) / np.log(left)) / np.log(left / q) - 1
    assert slow.argmax() in (max(0, np.floor(peak)), np.ceil(peak))
    assert slow.argmax() > 0
    assert slow.max() < fast.max()


@pytest.mark.parametrize("exerted", [0.0, 0.5, 1.0])
def test_reappraisal_shortens_the_half_life_by_the_stated_amount(exerted: float) -> None:
    """Effort held at e by a clock that all but stands: half-life ln 2/(−ln(1 − relaxation)·(1 + effort·e))."""
    law, quiet = Affect(relaxation=0.03, regulation=1e-12, effort=3.0), np.zeros((1, 3))
    feeling, curve = Feeling(np.full((1, 3), -0.8), quiet, np.full(1, exerted)), [-0.8]
    for _ in range(40):
        feeling = law.step(feeling, quiet, np.full((1, 3), np.nan), np.ones(1), quiet, np.ones(1))
        curve.append(feeling.affect[0, 0])
    expected = np.log(2) / (-np.log(0.97) * (1 + 3 * exerted))
    assert law.half_life(exerted) == pytest.approx(expected)
    assert half_life_of(np.array(curve)) == pytest.approx(expected, rel=1e-9)


def test_the_slow_clock_shortens_half_lives_of_strong_feelings_most_and_leaves_the_peak() -> None:
    law, off = Affect(0.05, regulation=0.2, effort=4.0), Affect(0.05)
    strong, weak = course(law, np.array([-0.9, -0.1])).T
    assert strong.min() == -0.9
    assert half_life_of(course(off, np.array([-0.9]))[:, 0]) == pytest.approx(off.half_life())
    assert law.half_life(1.0) < half_life_of(strong) < half_life_of(weak) < law.half_life()


def test_bad_mood_spreads_further_than_good_by_loss_aversion() -> None:
    """Two agents; one is hit, the other only hears it: what reaches the other has the ratio of the shocks felt."""
    law, quiet, reached = Affect(0.1, 0.3, loss_aversion=2.0), np.zeros((2, 3)), []
    for shock in (-0.1, 0.1):
        feeling = Feeling.at(quiet)
        push = np.zeros((2, 3))
        push[0, 0] = shock
        for k in range(20):
            heard = feeling.affect[::-1]
            feeling = law.step(feeling, quiet, heard, np.ones(2), push if k == 0 else quiet, np.ones(2))
            reached.append(abs(feeling.affect[1, 0]))
    assert max(reached[:20]) / max(reached[20:]) == pytest.approx(2.0)


def test_colouring_keeps_a_mood_alive_that_would_fade() -> None:
    """Two agents who hear each other share v: v' = v·(1 − r + c·colouring·(1 − |v|)), so a mood lasts if c·colouring > r."""
    for colouring, settled in ((0.0, 0.0), (0.5, 1 - 0.1 / (0.4 * 0.5))):
        feeling, quiet = Feeling.at(np.tile([-0.2, 0.0, 0.0], (2, 1))), np.zeros((2, 3))
        for _ in range(400):
            feeling = Affect(0.1, 0.4, colouring=colouring).step(
                feeling, quiet, feeling.affect[::-1], np.ones(2), quiet, np.ones(2)
            )
        assert feeling.affect[:, 0] == pytest.approx([-settled] * 2, abs=1e-9)
