"""A closed list of feelings as positions in affect space."""

import numpy as np
import pytest

from contagium.envs.message import AFFECT, Axes, Messages
from contagium.envs.world import Report
from contagium.sim.observer.instrument import Material
from contagium.sim.observer.self_report import SelfReport

FEELINGS = {"calm": (0.5, -0.6, 0.3), "at ease": (0.5, -0.4, 0.2), "Angry": (-0.6, 0.7, 0.4)}


def test_labels_are_found_whatever_their_case_and_spacing() -> None:
    reports = {agent: Report(label) for agent, label in {9: " CALM\n", 2: "at   Ease", 5: "hangry", 7: "", 1: "angry"}.items()}
    readings = SelfReport(FEELINGS).read(Material(0, Messages.empty(3), reports))
    assert (readings.subject, readings.columns) == ("agent", AFFECT)
    assert readings.ids.tolist() == [1, 2, 5, 7, 9]
    assert readings.ok.tolist() == [True, True, False, False, True]
    nan = [np.nan] * 3
    expected = [[-0.6, 0.7, 0.4], [0.5, -0.4, 0.2], nan, nan, [0.5, -0.6, 0.3]]
    np.testing.assert_array_equal(readings.values, np.array(expected, dtype=np.float32))


def test_who_was_asked_and_gave_no_feeling_has_a_failed_reading() -> None:
    reports = {3: Report(None, "failed", "calm, or so"), 1: Report(None, "missing", "timeout"), 2: Report("calm")}
    readings = SelfReport(FEELINGS).read(Material(0, Messages.empty(3), reports))
    assert readings.ids.tolist() == [1, 2, 3]
    assert readings.ok.tolist() == [False, True, False]
    assert np.isnan(readings.values[[0, 2]]).all()


def test_nobody_reported() -> None:
    instrument = SelfReport(FEELINGS)
    instrument.begin(Axes(), ())
    assert instrument.read(Material(0, Messages.empty(3))).values.shape == (0, 3)


def test_the_closed_list_is_offered_in_order() -> None:
    assert SelfReport(FEELINGS).labels == ("calm", "at ease", "angry")


@pytest.mark.parametrize(
    ("feelings", "rule"),
    [
        ({}, "at least one"),
        ({"calm": (0, 0, 0), "Calm ": (0, 0, 0)}, "different words"),
        ({" ": (0, 0, 0)}, "different words"),
        ({"calm": (0, 0)}, "3 numbers"),
        ({"calm": (0, 1.5, 0)}, r"in \[-1, 1\], got calm: \[0, 1.5, 0\]"),
        ({"calm": (0, float("nan"), 0)}, r"in \[-1, 1\]"),
    ],
)
def test_a_wrong_list_is_refused(feelings: dict[str, tuple[float, float, float]], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        SelfReport(feelings)
