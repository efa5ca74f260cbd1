"""The event log: a step is in it whole or not at all, and what does not fit is said in one line."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from contagium.sim.log import EventLog, LogError, digest, open_run
from contagium.sim.schema import TABLES, TIMES, columns

AGENT = (0, "Aster", "all", None, 1.0, 1.0, 1)
META = {"axis_instruments": {"valence": ["stated", "lexicon"]}, "text": "🌀 ‮ \n"}


def write(path: Path, feeling: str = "calm", seconds: float = 0.1) -> Path:
    log = EventLog(path)
    log.meta(META)
    log.add("agent", [AGENT])
    log.commit()
    log.add("report", [(0, 0, feeling, "ok", None)])
    log.add("step", [(0, 1, 0, 0, 0, seconds)])
    log.commit()
    log.close()
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    run = open_run(write(tmp_path / "run.db"))
    assert run.meta == META
    assert [tuple(row) for row in run.agents.itertuples(index=False)] == [AGENT]
    assert run.table("report").to_dict("records") == [{"step": 0, "agent": 0, "feeling": "calm", "status": "ok", "raw": None}]
    run.close()
    assert [file.name for file in tmp_path.iterdir()] == ["run.db"]


@pytest.mark.parametrize("name", ["a b", "100%41", "what?#x", "ünïcode 🌀"])
def test_a_run_is_found_whatever_its_directory_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    write(tmp_path / name / "run.db")
    run = open_run(tmp_path / name)
    assert len(run.agents) == 1
    run.close()


def test_messages_carry_the_first_good_reading_of_each_axis(tmp_path: Path, made_log: Any) -> None:
    log = EventLog(tmp_path / "run.db")
    log.meta(META)
    log.add("message", [(k, 0, k, "board", k, None, 0, "hi") for k in range(3)])
    rows = [(0, "stated", 0.5), (1, "stated", None), (0, "lexicon", -1.0), (1, "lexicon", -0.5)]
    log.add("reading", [made_log.reading(0, m, m, name, "valence", v) for m, name, v in rows])
    log.commit()
    log.close()
    run = open_run(tmp_path)
    assert run.messages["valence"].tolist()[:2] == [0.5, -0.5]
    assert run.messages["valence"].isna().tolist() == [False, False, True]
    run.close()


def test_a_step_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run.db")
    log.add("agent", [AGENT])
    log.commit()
    log.add("report", [(0, 0, "calm", "ok", None)])
    log.add("agent", [AGENT])
    with pytest.raises(LogError, match=r"cannot write the event log .*run\.db: UNIQUE .*; earlier steps are intact"):
        log.commit()
    log.add("report", [(1, 0, "sad", "ok", None)])
    log.commit()
    log.add("report", [(2, 0, "angry", "ok", None)])
    log.discard()
    log.close()
    run = open_run(tmp_path)
    assert len(run.agents) == 1
    assert run.table("report")["feeling"].tolist() == ["sad"]
    run.close()


def test_on_a_full_disk_the_steps_so_far_stay(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run.db")
    log.add("agent", [AGENT])
    log.commit()
    pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count={pages}")
    log.add("thought", [(0, 0, "x" * 100_000)])
    with pytest.raises(LogError, match="database or disk is full; earlier steps are intact"):
        log.commit()
    log.close()
    run = open_run(tmp_path)
    assert (len(run.agents), len(run.table("thought"))) == (1, 0)
    run.close()


def test_a_log_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot write the event log"):
        EventLog(tmp_path / "missing" / "run.db")
    log = EventLog(tmp_path / "run.db")
    log.meta(META)
    log.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    before = write(tmp_path / "run.db").read_bytes()
    with pytest.raises(LogError, match="already holds a run; choose another directory"):
        EventLog(tmp_path / "run.db")
    assert (tmp_path / "run.db").read_bytes() == before


def test_digest_sees_every_column_but_times(tmp_path: Path) -> None:
    same = {digest(write(tmp_path / "a.db")), digest(write(tmp_path / "b.db", seconds=9.0))}
    assert len(same) == 1
    assert digest(write(tmp_path / "c.db", feeling="sad")) not in same
    assert all(set(times) <= set(columns(table)) for table, times in TIMES.items())


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"no run at .*: there is no file run\.db"):
        open_run(tmp_path)
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(LogError, match=r"text\.db is not an event log"):
        open_run(tmp_path / "text.db")
    write(tmp_path / "old.db")
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("PRAGMA user_version=99")
    old.close()
    with pytest.raises(LogError, match="has schema version 99, this program reads version"):
        open_run(tmp_path / "old.db")
    run = open_run(write(tmp_path / "run.db"))
    with pytest.raises(LogError, match="no table 'nothing': the tables are meta, agent"):
        run.table("nothing")
    run.close()


def test_every_table_has_its_columns(tmp_path: Path) -> None:
    write(tmp_path / "run.db")
    connection = sqlite3.connect(tmp_path / "run.db")
    for table in TABLES:
        assert tuple(row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')) == columns(table)
    connection.close()
