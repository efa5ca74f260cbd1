"""A log that opens but does not hang together is refused in one line, and nothing is written."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contagium.sim.analysis.__main__ import main

Maker = Callable[..., Any]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM agent WHERE id = 3", "row 1 of table transition has an agent that is none"),
        ("UPDATE transition SET onset = -5 WHERE agent = 1", "an onset before the run"),
        ("UPDATE transition SET agent = 99 WHERE agent = 1", "table transition has an agent that is none"),
        ("UPDATE exposure SET source = 99", "table exposure has an agent that is none"),
        ("UPDATE exposure SET weight = 9e999", "a weight that is negative or without bound"),
        ("UPDATE cause SET probability = 3", "a probability outside 0 to 1"),
        ("UPDATE reading SET scores = '[1]'", "scores that are no JSON object"),
        ("DELETE FROM meta WHERE key = 'detection'", "meta.detection is missing"),
        ("UPDATE meta SET value = '[]' WHERE key = 'scenario'", "meta.scenario must be dict, got list"),
    ],
)
def test_a_log_that_no_run_wrote_is_refused(
    make: Maker, damage: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = make(agents=4, index=(3,), steps=4)
    made.step(0, {3: ("spiral", 1.0), 1: ("calm", 0.0)}, heard=[(1, 3)])
    made.step(1, {1: ("spiral", 0.9)}, moved={1: ("I", [(3, 1.0)])})
    directory = made.end()
    with sqlite3.connect(directory / "run.db") as log:
        log.execute(damage)
    log.close()
    assert main([str(directory)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert [path.name for path in directory.iterdir()] == ["run.db"]
