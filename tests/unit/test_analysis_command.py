"""Making the outputs of a run again from its log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contagium.sim.analysis.__main__ import main
from contagium.sim.analysis.outputs import write_outputs
from contagium.sim.log import EventLog, LogError, open_run


def test_outputs_are_made_again(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(agents=3)
    made.step(0, {0: ("spiral", 0.9), 1: ("plain", 0.1)}, heard=[(1, 0)])
    made_log = made.end("running")
    monkeypatch.setattr("sys.argv", ["analysis", str(made_log), str(tmp_path / "nowhere")])
    assert main() == 2
    told = capsys.readouterr()
    assert told.out == f"{made_log / 'report.html'}\n"
    assert told.err.startswith("contagium: no run at ")
    assert {path.name for path in made_log.iterdir()} >= {"report.html", "summary.json", "transcript.md", "figures"}


def test_a_log_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    EventLog(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE transition DROP COLUMN strain")
    connection.close()
    with pytest.raises(LogError, match="table transition should have the columns id, step, "):
        open_run(path)


def test_a_run_without_a_step_has_no_numbers(make: Callable[..., Any]) -> None:
    summary = write_outputs(make(agents=3).end("failed", "the server is gone"))
    assert (summary["attack_rate"], summary["peak_prevalence"], summary["peak_step"]) == (None, None, None)
    assert summary["reasons"]["attack_rate"] == "no step was done"
