"""A closed list of feelings as positions in affect space."""

import asyncio

import numpy as np
import pytest

from contagium.envs.message import AFFECT, Axes, Messages
from contagium.envs.world import Report
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.self_report import SelfReport

FEELINGS = {"calm": (0.5, -0.6, 0.3), "at ease": (0.5, -0.4, 0.2), "Angry": (-0.6, 0.7, 0.4)}


def read(reports: dict[int, Report]) -> list[Readings]:
    instrument = SelfReport(FEELINGS)
    instrument.begin(Briefing(Axes(), ()))
    return asyncio.run(instrument.read(Material(0, Messages.empty(3), reports)))


def test_labels_are_found_whatever_their_case_and_spacing() -> None:
    said = {9: " CALM\n", 2: "at   Ease", 5: "hangry", 7: "", 1: "angry"}
    (readings,) = read({agent: Report(label) for agent, label in said.items()})
    assert (readings.channel, readings.subject, readings.columns) == ("report", "agent", AFFECT)
    assert readings.ids.tolist() == [1, 2, 5, 7, 9]
    assert readings.ok.tolist() == [True, True, False, False, True]
    assert readings.reasons == {2: "not on the list", 3: "not on the list"}
    nan = [np.nan] * 3
    expected = [[-0.6, 0.7, 0.4], [0.5, -0.4, 0.2], nan, nan, [0.5, -0.6, 0.3]]
    np.testing.assert_array_equal(readings.values, np.array(expected, dtype=np.float32))


def test_who_was_asked_and_gave_no_feeling_has_a_failed_reading() -> None:
    (readings,) = read({3: Report(None, "failed", "calm, or so"), 1: Report(None, "missing", "timeout"), 2: Report("calm")})
    assert readings.ids.tolist() == [1, 2, 3]
    assert readings.ok.tolist() == [False, True, False]
    assert np.isnan(readings.values[[0, 2]]).all()
    assert readings.reasons == {0: "timeout", 2: "no feeling in it"}  # what a model said is no reason


def test_nobody_reported() -> None:
    assert read({}) == []


def test_provenance_tells_lists_apart() -> None:
    same, other = SelfReport({"angry": FEELINGS["Angry"], "Calm": (0.5, -0.6, 0.3)}), SelfReport({"calm": (0.5, -0.5, 0.3)})
    assert same.provenance == SelfReport({"calm": FEELINGS["calm"], "ANGRY": FEELINGS["Angry"]}).provenance
    assert other.provenance != SelfReport({"calm": FEELINGS["calm"]}).provenance


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
