"""The commands of docs/comparing.md run, and its table names every outcome there is."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from contagium.sim.analysis.__main__ import main
from contagium.sim.analysis.arms.outcomes import FIXED, RATES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "comparing.md").read_text(encoding="utf-8")
SWEEP, *COMPARISONS = [line for line in PAGE.splitlines() if line.startswith(("contagium ", "python -m contagium.sim.analysis "))]


def test_the_sweep_and_its_comparisons_run(
    application: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(SWEEP)[1:]
    small = {"population.size": "6", "steps": "2", "intervention.quarantine.share": "0,0.5", "seed": "1"}
    made = [f"{key}={small[key]}" if (key := word.split("=")[0]) in small else word for word in words]
    with monkeypatch.context() as patch:
        # The outputs of its runs are for other tests, and take most of the time.
        patch.setattr("contagium.sim.application.write_outputs", lambda directory: {})
        patch.setattr("contagium.sim.application.show_summary", lambda console, summary, directory: None)
        assert application(*made, "observer=lexicon") == 0
    monkeypatch.setattr("contagium.sim.analysis.figures.picture.book", lambda pictures: b"")
    capsys.readouterr()
    assert len(COMPARISONS) == 3
    for command in COMPARISONS:
        assert main(shlex.split(command)[3:]) == 0
    told = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [arm["name"] for arm in told["arms"]] == [f"quarantine.share={share}" for share in ("0", "0.5")]
    assert {one["outcome"] for one in told["outcomes"]} == {"attack_rate", "took_off", "reproduction"}
    assert "mean_valence" in capsys.readouterr().out


def test_the_table_names_every_outcome() -> None:
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert {outcome.name for outcome in (*FIXED, *RATES)} <= named
    assert {"distressed", "reward"} <= named
