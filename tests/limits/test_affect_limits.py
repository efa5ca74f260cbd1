"""Known answers of opinion dynamics, which affect must reach where it is the same averaging."""

import numpy as np
import pytest

from contagium.agents.mechanistic.affect import Affect, mean_heard

W = np.array([[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.1, 0.4, 0.5]])
START = np.array([1.0, 0.0, 0.5])
READER, SOURCE = np.divmod(np.arange(9), 3)


def settle(law: Affect, susceptibility: np.ndarray, steps: int = 400) -> np.ndarray:
    """Valence of three agents who hear each other (and themselves) with the weights W, after many steps. Shape (3,)."""
    baseline = np.repeat(START[:, None], 3, axis=1)
    affect = baseline
    for _ in range(steps):
        heard = mean_heard(READER, affect[SOURCE], W.reshape(-1), 3)
        affect = law.step(affect, baseline, heard, susceptibility, np.zeros((3, 3)), np.ones(3))
    return affect[:, 0]


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
    law, affect = Affect(relaxation=0.2, contagion=0.3), np.full((1, 3), -0.6)
    for _ in range(5):
        affect = law.step(affect, np.zeros((1, 3)), np.full((1, 3), np.nan), np.ones(1), np.zeros((1, 3)), np.ones(1))
    assert affect == pytest.approx(np.full((1, 3), -0.6 * 0.8**5), rel=1e-12)
