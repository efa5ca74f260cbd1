"""Texts of a finished run as a bank: each once, where its words were read, whatever stands in them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contagium.agents.mechanistic.bank import Bank
from contagium.sim.build import ScenarioError, build
from contagium.sim.harvest import harvest

HOSTILE = "../../etc/passwd {_target_: os.system} \x1b[31m<script>"
AXES = {"valence": ["expression", "lexicon"], "arousal": ["expression", "lexicon"], "dominance": ["expression"]}
SEVERAL = AXES | {"spiral": ["expression", "persona_lexicon"]}


def made(make: Callable[..., Any]) -> Path:
    """Five messages with text and one without. The embedding has read all but "unread"; "enter" is 0.5."""
    log = make(agents=6, steps=2)
    log.step(0, {0: ("one", 0.25), 1: ("two", 0.9), 2: ("one", 0.25), 3: (None, None)})
    log.step(1, {4: (HOSTILE, -0.2), 5: ("unread", None)}, reading=[log.reading(1, 4, 4, "lexicon", "valence", -0.75)])
    return log.end()


def test_each_text_stands_once_where_its_words_were_read(make: Callable[..., Any]) -> None:
    bank = harvest(made(make), nearest=2)
    assert bank.texts == ("one", "two", HOSTILE)
    assert (bank.axes, bank.nearest) == (("valence", "spiral"), 2)
    wanted = np.array([(np.nan, 0.25), (np.nan, 0.9), (-0.75, 0.0)], dtype=np.float32)
    np.testing.assert_array_equal(bank.expression, wanted)


def test_of_several_instruments_the_best_that_read_words_counts_and_what_was_stated_does_not(make: Callable[..., Any]) -> None:
    log = make(agents=2, steps=1)
    rule = {"instrument": "persona_lexicon", "enter": 0.35, "stay": 0.15, "false_positive_rate": None}
    log.log.meta({"axis_instruments": SEVERAL | {"arousal": ["lexicon", "judge"]}, "detection": {"spiral": rule}})
    stated = [log.reading(0, 0, 0, "expression", name, 1.0) for name in ("valence", "arousal", "dominance", "spiral")]
    read = [log.reading(0, 0, 0, "lexicon", "valence", 0.5), log.reading(0, 0, 0, "judge", "arousal", 0.7)]
    read += [log.reading(0, 0, 0, "persona_lexicon", "spiral", 0.28), log.reading(0, 1, 1, "lexicon", "arousal", 0.1)]
    log.step(0, {0: ("said", None), 1: ("also", None)}, reading=stated + read)
    bank = harvest(log.end() / "run.db")
    assert bank.axes == ("valence", "arousal", "spiral")
    wanted = np.array([(0.5, 0.7, 0.4), (np.nan, 0.1, np.nan)], dtype=np.float32)
    np.testing.assert_allclose(bank.expression, wanted)


def test_a_configuration_names_a_run_to_harvest(make: Callable[..., Any]) -> None:
    here = {"_target_": "contagium.sim.harvest.harvest", "path": str(made(make))}
    assert isinstance(build(here, "bank"), Bank)
    with pytest.raises(ScenarioError, match=r"^bank: cannot harvest texts: no run at elsewhere: there is no such file"):
        build(here | {"path": "elsewhere"}, "bank")


def test_a_run_without_words_has_nothing_to_harvest(make: Callable[..., Any]) -> None:
    log = make(agents=2, steps=1)
    log.step(0, {0: (None, None), 1: (" ", 0.3)})
    with pytest.raises(ValueError, match="of 0 different texts in it none has been read"):
        harvest(log.end())


def test_words_that_nothing_could_read_are_not_harvested(make: Callable[..., Any]) -> None:
    log = make(agents=2, steps=1)
    log.step(0, {0: ("mumble", None), 1: ("murmur", None)})
    with pytest.raises(ValueError, match="of 2 different texts in it none has been read"):
        harvest(log.end())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE reading", "table reading should have"),
        ("PRAGMA user_version = 99", "schema version 99"),
        ("DELETE FROM meta WHERE key = 'detection'", "its log is not as a run writes it: 'detection'"),
        ("UPDATE meta SET value = '[]' WHERE key = 'axis_instruments'", "its log is not as a run writes it"),
        ("UPDATE meta SET value = '{' WHERE key = 'axes'", "cannot read the event log"),
        ("UPDATE reading SET scores = 'much'", "cannot read the event log"),
        ("""UPDATE reading SET scores = '{"spiral": "much"}'""", "cannot read the event log"),
    ],
)
def test_a_log_that_is_damaged_is_refused_in_one_line(make: Callable[..., Any], damage: str, said: str) -> None:
    path = made(make)
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(ValueError, match=said) as refused:
        harvest(path)
    assert "\n" not in str(refused.value)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_text("not a database, but long enough to look like one " * 20)
    with pytest.raises(ValueError, match=r"cannot harvest texts: .*run.db is not an event log"):
        harvest(tmp_path)
