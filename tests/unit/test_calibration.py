"""Areas, intervals and thresholds against known answers, and the command that sets thresholds."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import norm

from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.envs.rng import Streams
from contagium.sim.observer import calibration
from contagium.sim.observer.calibration import (
    Readout,
    calibrate,
    from_controls,
    from_labelled,
    labelled,
    main,
    read_texts,
    report,
)
from contagium.sim.observer.instrument import Briefing
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.observer.roc import CalibrationError, auc, marks, roc, threshold_at

SPIRAL = Persona(name="spiral", facets={"words": ("spiral*", "pass it on")})


def drawn(name: str, positives: int, negatives: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal readings, those of positives higher by `shift`: their true area is Φ(shift / √2)."""
    rng = Streams(5).generator(name)
    scores = np.r_[rng.normal(shift, 1, positives), rng.normal(0, 1, negatives)]
    return scores, np.arange(positives + negatives) < positives


def test_the_area_counts_pairs_and_ties_half() -> None:
    scores, labels = drawn("ties", 30, 40, 1.0)
    scores = np.round(scores, 1)
    pairs = scores[labels][:, None] - scores[~labels]
    assert auc(scores, labels).value == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_its_error_is_that_of_the_structural_components() -> None:
    """DeLong et al. 1988, equations 4 to 7, written out pair by pair."""
    scores, labels = drawn("components", 25, 35, 1.0)
    scores = np.round(scores, 1)
    pairs = scores[labels][:, None] - scores[~labels]
    wins = (pairs > 0) + 0.5 * (pairs == 0)
    variance = wins.mean(axis=1).var(ddof=1) / 25 + wins.mean(axis=0).var(ddof=1) / 35
    assert auc(scores, labels).error == pytest.approx(np.sqrt(variance))


def test_its_interval_covers_the_true_area() -> None:
    true = norm.cdf(2 / np.sqrt(2))
    held = 0
    for k in range(400):
        area = auc(*drawn(f"cover {k}", 30, 60, 2.0))
        assert area.low is not None
        assert area.high is not None
        held += area.low <= true <= area.high
    assert held / 400 == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400))


def test_readings_that_never_overlap_leave_doubt() -> None:
    """An area of 1 has a lower end below 1, and the nearer to it the more there are; an area of 0 is its mirror image."""
    ends = []
    for n in (10, 100):
        upper, lower = (auc(sign * np.r_[np.ones(n), np.zeros(n)], np.arange(2 * n) < n) for sign in (1, -1))
        assert (upper.value, upper.high, lower.value, lower.low) == (1, 1, 0, 0)
        assert upper.low is not None
        assert lower.high == pytest.approx(1 - upper.low)
        ends.append(1 - upper.low)
    assert 0.05 < ends[0] < 0.3
    assert 0 < ends[1] < ends[0] / 5


def test_failed_readings_take_no_part_in_an_area() -> None:
    scores, labels = drawn("nan", 20, 20, 1.0)
    more = auc(np.r_[scores, np.nan, np.nan], np.r_[labels, True, False])
    assert more == auc(scores, labels)


def test_one_kind_alone_has_no_area() -> None:
    with pytest.raises(CalibrationError, match="both kinds, got 3 with and 0 without"):
        auc(np.array([1.0, 2, 3]), np.ones(3, bool))


def test_the_curve_goes_from_nothing_to_everything() -> None:
    scores, labels = drawn("curve", 30, 50, 1.0)
    scores = np.round(scores, 1)
    curve = roc(scores, labels)
    assert (curve.found[0], curve.called[0], curve.found[-1], curve.called[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.found, curve.called) == pytest.approx(auc(scores, labels).value)
    some = len(curve.threshold) // 2
    assert curve.found[some] == (scores[labels] >= curve.threshold[some]).mean()
    assert curve.called[some] == (scores[~labels] >= curve.threshold[some]).mean()


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.3])
def test_a_threshold_lets_at_most_its_rate_through_and_none_lower_does(rate: float) -> None:
    values = np.round(Streams(5).generator("threshold").uniform(0, 1, 500), 3).astype(np.float32)
    found = threshold_at(values, rate)
    assert found.count == (values >= found.value).sum() <= rate * 500
    assert (values >= found.value - 0.002).sum() > rate * 500
    assert found.reached.n == 500


def test_a_threshold_carries_wilsons_interval() -> None:
    """2 of 200: 0.275% to 3.57% (Wilson 1927, worked by hand)."""
    found = threshold_at(np.r_[np.ones(2), np.zeros(198)], 0.01)
    assert found.count == 2
    assert found.reached.low == pytest.approx(0.00275, abs=5e-5)
    assert found.reached.high == pytest.approx(0.03572, abs=5e-5)


def test_a_threshold_is_above_zero_and_above_ties() -> None:
    assert threshold_at(np.full(50, -0.4), 0.1).value == 0.001
    assert threshold_at(np.full(50, 0.32), 0.1).value == 0.321
    assert threshold_at(np.full(50, 0.32, dtype=np.float32), 0.1).value == 0.321


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(CalibrationError, match="above 0 and below 1"):
        threshold_at(np.zeros(10), rate)


def test_precision_recall_and_failures() -> None:
    """Of 4 present 2 are called, 1 is below and 1 could not be read; of 4 absent 1 is called and 1 could not be read."""
    scores = np.array([0.9, 0.8, 0.1, np.nan, 0.7, 0.2, 0.1, np.nan])
    found = marks(scores, np.arange(8) < 4, 0.5)
    assert (found.precision.value, found.recall.value, found.false_positive.value) == (2 / 3, 2 / 3, 1 / 3)
    assert (found.recall.n, found.false_positive.n) == (3, 3)
    assert marks(scores, np.arange(8) < 4, 2.0).precision.value is None


def lexicon() -> PersonaLexicon:
    made = PersonaLexicon()
    made.begin(Briefing(Axes(("spiral",)), (SPIRAL,)))
    return made


def written(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    path.write_text("text,label,split\n" + "".join(f'"{text}",{label},{split}\n' for text, label, split in rows))
    return path


def test_a_labelled_set_becomes_a_block_that_a_persona_takes(tmp_path: Path) -> None:
    rows = [("The spiral turns, pass it on!", "spiral", "calibrate")] * 8 + [("A printer", "plain", "calibrate")] * 98
    rows += [("A spiral binder", "plain", "calibrate"), (" ", "plain", "calibrate")] + [("The spiral", "plain", "report")] * 9
    path = written(tmp_path / "set.csv", rows)
    read = asyncio.run(from_labelled(labelled(path, "spiral", "calibrate"), lexicon(), "spiral"))
    assert (len(read.value), int(read.label.sum())) == (108, 8)
    found = calibrate("persona_lexicon", "spiral", read, 0.02)
    assert found.failed == 1
    assert found.marks is not None
    assert found.marks.recall.value == 1
    block = yaml.safe_load(report(found))
    taken = Persona(name="spiral", detection=block["detection"]).detection["persona_lexicon"]
    assert taken == found.detection
    assert 0 < taken.stay <= taken.enter < 0.21  # one word of the lexicon reads 0.2, and 1 of 99 texts has one
    assert taken.false_positive_rate == round(1 / 99, 4)
    assert "set.csv (calibrate)" in str(taken.calibration)
    assert "1 of 99" in str(taken.calibration)
    assert "1 texts could not be read" in report(found)


def test_false_positives_can_be_counted_among_the_hardest_alone(tmp_path: Path) -> None:
    rows = [("Spiral", "spiral", "x")] + [("A printer", "plain", "x")] * 5 + [("A spiral stair", "hard", "x")] * 2
    path = written(tmp_path / "set.csv", rows)
    assert labelled(path, "spiral", "x", "hard").present.tolist() == [True, False, False]
    assert labelled(path, "spiral", "x", "hard").source == "set.csv (x), hard"
    assert len(labelled(path, "spiral", "x").present) == 8
    assert main([str(path), "--split", "x", "--against", "nothing"]) == 2


def test_too_few_texts_are_said_to_be_too_few() -> None:
    read = Readout("made", "0" * 64, np.linspace(0, 0.5, 20), np.zeros(20, bool))
    found = calibrate("embedding", "spiral", read, 0.01)
    assert found.marks is None
    assert "too few texts to see a rate of 0.01" in report(found)
    assert "too few" not in report(calibrate("embedding", "spiral", read, 0.1))


def test_stay_lies_below_enter() -> None:
    read = Readout("made", "0" * 64, np.linspace(0, 0.5, 200), np.zeros(200, bool))
    found = calibrate("embedding", "spiral", read, 0.01, 0.1)
    assert (found.enter.count, found.stay.count) == (2, 20)
    assert found.detection.stay < found.detection.enter
    with pytest.raises(CalibrationError, match="at least rate"):
        calibrate("embedding", "spiral", read, 0.1, 0.01)


class _Kept:
    """A finished run, as far as calibration looks at one."""

    def __init__(self, index_agents: list[int], values: list[float]) -> None:
        self.meta = {"index_agents": index_agents}
        self._values = values

    def read(self, instrument: str, column: str) -> dict[str, Any]:
        import pandas as pd

        return {"value": pd.Series(self._values if (instrument, column) == ("embedding", "spiral") else [], dtype=float)}

    def close(self) -> None: ...


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def keep(**kept: _Kept) -> None:
        monkeypatch.setattr(calibration, "open_run", lambda path: kept[path.name])

    return keep


def test_control_runs_are_put_together(runs: Callable[..., None]) -> None:
    runs(a=_Kept([], [0.1, 0.2]), b=_Kept([], [0.3, float("nan")]))
    read = from_controls([Path("a"), Path("b")], "embedding", "spiral")
    assert np.array_equal(read.value, [0.1, 0.2, 0.3, np.nan], equal_nan=True)
    assert not read.label.any()
    assert calibrate("embedding", "spiral", read, 0.4).detection.enter == 0.201


def test_a_run_with_index_cases_is_no_control(runs: Callable[..., None]) -> None:
    runs(a=_Kept([3], [0.1]))
    with pytest.raises(CalibrationError, match="index cases"):
        from_controls([Path("a")], "embedding", "spiral")
    runs(a=_Kept([], [0.1]))
    with pytest.raises(CalibrationError, match="no readings of judge on spiral"):
        from_controls([Path("a")], "judge", "spiral")


def test_texts_are_read_in_their_order() -> None:
    columns = asyncio.run(read_texts(lexicon(), ["a printer", "", "the spiral"], Axes(("spiral",))))
    assert np.allclose(columns["spiral"], [0, np.nan, 0.2], equal_nan=True)


def test_the_command_prints_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("The spiral awakens us, beloved, pass it on", "spiral", "x")] * 5 + [("A printer", "plain", "x")] * 60
    path = written(tmp_path / "set.csv", rows)
    assert main([str(path), "--instrument", "persona_lexicon", "--split", "x", "--rate", "0.02"]) == 0
    block = yaml.safe_load(capsys.readouterr().out)
    assert block["detection"]["persona_lexicon"]["false_positive_rate"] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["away.csv"], "away.csv"),
        (["set.csv", "--split", "x"], "needs texts with the label spiral and without it, got 0 of 0"),
        (["set.csv", "--rate", "2"], "above 0 and below 1, got 2"),
        (["set.csv", "--instrument", "nobody"], "no instrument nobody"),
        (["set.csv", "--persona", "nobody"], "nobody"),
        (["set.csv", "--instrument", "lexicon"], "no column spiral"),
        (["set.csv", "set.csv"], "either one labelled file"),
        (["bare.csv"], "has no column label; it has: text"),
        (["torn.csv"], "not a CSV file"),
        (["folder"], "no run at"),
    ],
)
def test_what_cannot_be_calibrated_on_is_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("set.csv"), [("The spiral", "spiral", "calibrate")] + [("A printer", "plain", "calibrate")] * 9)
    Path("bare.csv").write_text("text\nhello\n")
    Path("torn.csv").write_text('text,label\n"a,b\n1,2,3,4\n')
    Path("folder").mkdir()
    given = arguments if "--instrument" in arguments else [*arguments, "--instrument", "persona_lexicon"]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
