"""Going on with a run: nothing is asked twice, the log is the same, and what cannot be gone on with is refused in one line."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.parrot import Parrot
from contagium.sim import __main__ as application
from contagium.sim.analysis.summary import summarise
from contagium.sim.log import EventLog, LogError, digest, open_run
from contagium.sim.resume import _change

RUN = (
    "backend=parrot",
    "observer=lexicon",
    "observer.report_every=2",
    "steps=6",
    "population.size=8",
    "seeding.count=2",
    "memory=summary",
)


def summary_alone(directory: Path) -> dict[str, Any]:
    """The numbers without the figures, which take most of the time."""
    run = open_run(directory)
    summary = summarise(run)
    run.close()
    (directory / "summary.json").write_text(json.dumps(summary))
    return summary


@pytest.fixture
def contagium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command, in this process and in an empty directory: exit status and what stood on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contagium"])
    monkeypatch.setattr("contagium.sim.application.write_outputs", summary_alone)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def command(*arguments: str) -> tuple[int, str]:
        status = application._run(["contagium", *arguments])
        return status, capsys.readouterr().err

    return command


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """Step, agent and purpose of each call that the model really gets from now on."""
    got: list[tuple[int, int, str]] = []
    answer = Parrot.complete

    async def counting(self: Parrot, request: Request) -> Completion:
        got.append((request.step, request.agent, request.purpose))
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", counting)
    return got


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    return counted(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[tuple[int, int, str]]]:
    """Digest of a run that nothing disturbs, and its calls in order."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["contagium"])
        patch.setattr("contagium.sim.application.write_outputs", summary_alone)
        calls = counted(patch)
        assert application._run(["contagium", *RUN, f"hydra.run.dir={directory}"]) == 0
    return digest(directory), sorted(calls)


@pytest.fixture(scope="module")
def once_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["contagium"])
        patch.setattr("contagium.sim.application.write_outputs", summary_alone)
        assert application._run(["contagium", *RUN, f"hydra.run.dir={directory}", "budget.calls=20"]) == 3
    return directory


@pytest.fixture
def stopped(once_stopped: Path, tmp_path: Path) -> Path:
    """A run of one's own that reached its budget of 20 calls."""
    return shutil.copytree(once_stopped, tmp_path / "run")


@pytest.mark.parametrize("calls", [1, 7, 20, 33])
def test_a_run_that_reached_its_budget_goes_on_to_the_same_end(
    calls: int,
    contagium: Callable[..., tuple[int, str]],
    asked: list[tuple[int, int, str]],
    whole: tuple[str, list[tuple[int, int, str]]],
    tmp_path: Path,
) -> None:
    status, said = contagium(*RUN, "hydra.run.dir=run", f"budget.calls={calls}")
    assert status == 3
    assert f"budget.calls: {calls} of {calls} calls were sent" in said
    assert "contagium resume=" in said
    log = open_run(tmp_path / "run")
    assert log.meta["status"] == "stopped"
    log.close()
    status, said = contagium(f"resume={tmp_path / 'run'}", "budget.calls=null")
    assert status == 0, said
    assert (digest(tmp_path / "run"), sorted(asked)) == whole
    finished = open_run(tmp_path / "run")
    assert (finished.meta["status"], finished.meta["resumed"]) == ("finished", 1)
    finished.close()


def test_too_many_missing_turns_stop_a_run_and_resuming_asks_for_them_again(
    contagium: Callable[..., tuple[int, str]],
    asked: list[tuple[int, int, str]],
    whole: tuple[str, list[tuple[int, int, str]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    answer, down = Parrot.complete, [True]

    async def flaky(self: Parrot, request: Request) -> Completion:
        if down[0] and request.step == 3 and request.purpose == "speak":
            raise BackendError("out of order", reason="rejected")
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", flaky)
    status, said = contagium(*RUN, "hydra.run.dir=run")
    assert status == 1
    assert "6 of the last 12 turns are missing (6 × rejected), above run.max_missing=0.25" in said
    log = open_run(tmp_path / "run")
    assert sorted(log.table("step")["step"]) == [0, 1, 2]
    assert len(log.table("turn")) == 0
    log.close()
    down[0] = False
    asked.clear()
    assert contagium(f"resume={tmp_path / 'run'}")[0] == 0
    assert min(step for step, _, _ in asked) == 3
    assert digest(tmp_path / "run") == whole[0]


def test_missing_turns_below_the_threshold_stay_missing_when_a_run_is_resumed(
    contagium: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer, down = Parrot.complete, [True]

    async def flaky(self: Parrot, request: Request) -> Completion:
        if down[0] and request.step == 1 and request.agent == 5:
            raise BackendError("out of order", reason="rejected")
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", flaky)
    assert contagium(*RUN, "seeding.agents=[0]", "hydra.run.dir=whole")[0] == 0
    assert contagium(*RUN, "seeding.agents=[0]", "hydra.run.dir=run", "budget.calls=30")[0] == 3
    down[0] = False
    assert contagium(f"resume={tmp_path / 'run'}", "budget.calls=null")[0] == 0
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    log = open_run(tmp_path / "run")
    assert log.table("turn").to_dict("records") == [{"step": 1, "agent": 5, "status": "missing", "reason": "rejected"}]
    log.close()


def test_a_finished_run_is_resumed_without_a_call(
    contagium: Callable[..., tuple[int, str]], asked: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    assert contagium(*RUN, "hydra.run.dir=run")[0] == 0
    before = digest(tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    asked.clear()
    assert contagium(f"resume={tmp_path / 'run'}")[0] == 0
    assert asked == []
    assert digest(tmp_path / "run") == before
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_replay_asks_nobody_and_gives_the_same_log(
    contagium: Callable[..., tuple[int, str]], asked: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    assert contagium(*RUN, "hydra.run.dir=run")[0] == 0
    asked.clear()
    again = ["backend=replay" if argument == "backend=parrot" else argument for argument in RUN]
    assert contagium(*again, "backend.journal=run", "hydra.run.dir=again")[0] == 0
    assert asked == []
    assert digest(tmp_path / "again") == digest(tmp_path / "run")
    status, said = contagium(*again, "backend.journal=run", "seed=8", "hydra.run.dir=other")
    assert status == 1
    assert "not" in said
    assert "journal" in said


def test_a_cache_serves_a_second_run(
    contagium: Callable[..., tuple[int, str]], asked: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    assert contagium(*RUN, "calls.cache=replies.db", "hydra.run.dir=one")[0] == 0
    first = len(asked)
    assert contagium(*RUN, "calls.cache=replies.db", "hydra.run.dir=two", "steps=7")[0] == 0
    assert {step for step, _, _ in asked[first:]} == {6}
    log = open_run(tmp_path / "two")
    calls = log.table("call")
    assert set(calls.loc[calls["step"] < 6, "attempts"]) == {0}
    assert set(calls.loc[calls["step"] == 6, "attempts"]) == {1}
    log.close()


def test_what_a_log_holds_must_come_again(contagium: Callable[..., tuple[int, str]], stopped: Path) -> None:
    connection = sqlite3.connect(stopped / "run.db")
    with connection:
        connection.execute("UPDATE message SET text = 'something else' WHERE step = 1")
    connection.close()
    before = digest(stopped)
    status, said = contagium(f"resume={stopped}")
    assert status == 1
    assert "the run does not repeat itself" in said
    assert "table message" in said
    assert digest(stopped) == before


def test_nothing_but_how_calls_are_made_can_be_changed(contagium: Callable[..., tuple[int, str]], stopped: Path) -> None:
    for override in ("seed=8", "backend.model=x", "run.schedule=dataflow", "budget", "persona.text=x"):
        status, said = contagium(f"resume={stopped}", override)
        assert status == 2
        assert said.count("\n") == 1
        assert "cannot be changed" in said
    status, said = contagium(f"resume={stopped}", "budget.calls=many")
    assert status == 2
    assert "budget.calls" in said
    assert contagium(f"resume={stopped}", "run.max_missing=0.5", "budget={calls: 500}")[0] == 0


def test_a_judge_that_asks_the_same_server_moves_with_it(tmp_path: Path) -> None:
    """A server that has moved is told once, for the agents and for whoever else asked it; other models stay where they are."""
    ours, other = {"base_url": "http://old/v1"}, {"base_url": "http://other/v1"}
    judges = {"judge": {"backend": dict(ours)}, "second": {"backend": dict(other)}, "lexicon": {}, "none": None}
    composed: dict[str, Any] = {
        "backend": dict(ours),
        "agents": {"groups": {"all": {"backend": dict(ours)}}},
        "observer": {"instruments": judges},
        "intervention": {"paraphrase": {"backend": dict(ours)}, "tag": {}},
    }
    _change(composed, "backend.base_url=http://new/v1")
    assert composed["agents"]["groups"]["all"]["backend"] == {"base_url": "http://new/v1"}
    assert composed["observer"]["instruments"]["judge"]["backend"] == {"base_url": "http://new/v1"}
    assert composed["intervention"]["paraphrase"]["backend"] == {"base_url": "http://new/v1"}
    assert composed["observer"]["instruments"]["second"]["backend"] == other


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda d: None, "no such directory"),
        (lambda d: d.mkdir(), "no scenario.yaml"),
        (lambda d: (d.mkdir(), (d / "scenario.yaml").write_text("[1]")), "no scenario"),
        (lambda d: (d.mkdir(), (d / "scenario.yaml").write_text("a: [")), "cannot read"),
    ],
)
def test_where_there_is_no_run_it_says_so(
    make: Callable[[Path], object], rule: str, contagium: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    make(tmp_path / "run")
    status, said = contagium(f"resume={tmp_path / 'run'}")
    assert status == 2
    assert rule in said
    assert said.count("\n") == 1


def test_verify_names_what_is_damaged(
    contagium: Callable[..., tuple[int, str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert contagium(*RUN, "hydra.run.dir=run")[0] == 0
    assert contagium(f"verify={tmp_path / 'run'}") == (0, "")
    connection = sqlite3.connect(tmp_path / "run" / "journal.db")
    with connection:
        key, text = connection.execute("SELECT key, completion FROM call WHERE step = 2").fetchone()
        changed = json.dumps(json.loads(text) | {"text": "never said"})
        connection.execute("UPDATE call SET completion = ? WHERE key = ?", (changed, key))
    connection.close()
    status, said = contagium(f"verify={tmp_path / 'run'}")
    assert status == 1
    assert key[:12] in said
    assert said.count("\n") == 1
    assert contagium("verify=nowhere")[0] == 1
    assert contagium("verify=")[0] == 2


def test_two_processes_cannot_run_in_one_directory(contagium: Callable[..., tuple[int, str]], stopped: Path) -> None:
    from contagium.sim.run import claimed

    with claimed(stopped):
        status, said = contagium(f"resume={stopped}")
    assert status == 2
    assert "another process is running" in said


def test_a_new_run_does_not_touch_an_old_one(contagium: Callable[..., tuple[int, str]], stopped: Path) -> None:
    before = digest(stopped)
    status, said = contagium(*RUN, "hydra.run.dir=run")
    assert status == 2
    assert "already holds a run" in said
    assert digest(stopped) == before


def test_an_estimate_asks_nobody_and_is_not_passed(
    contagium: Callable[..., tuple[int, str]], asked: list[tuple[int, int, str]], tmp_path: Path
) -> None:
    priced = ("budget.prices={parrot: {input: 1, output: 2}}", "+observer.interviews.wish={question: What now?, every: 3}")
    status, said = contagium(*RUN, *priced, "budget.estimate=true", "hydra.run.dir=run")
    assert (status, asked) == (0, [])
    assert not (tmp_path / "run").exists()
    _, calls, _, read, *_, written, cost = next(line for line in said.splitlines() if line.startswith("parrot")).split()
    assert contagium(*RUN, *priced, "hydra.run.dir=run")[0] == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["calls"] == len(asked) <= int(calls)
    assert summary["prompt_tokens"] <= int(read)
    assert summary["completion_tokens"] <= int(written)
    assert summary["cost"] <= float(cost)


def test_a_resumed_log_refuses_another_version(tmp_path: Path) -> None:
    EventLog(tmp_path / "run.db").close()
    connection = sqlite3.connect(tmp_path / "run.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogError, match="schema version 99"):
        EventLog(tmp_path / "run.db", resume=True)


def test_without_its_journal_a_run_is_not_paid_for_again(
    contagium: Callable[..., tuple[int, str]], asked: list[tuple[int, int, str]], stopped: Path
) -> None:
    (stopped / "journal.db").unlink()
    asked.clear()
    status, said = contagium(f"resume={stopped}")
    assert status == 2
    assert "journal.db is missing" in said
    assert asked == []


def test_a_damaged_log_is_named_in_one_line(contagium: Callable[..., tuple[int, str]], stopped: Path) -> None:
    log = stopped / "run.db"
    whole = log.read_bytes()
    seen = set()
    for place in range(100, len(whole), len(whole) // 9):
        log.write_bytes(whole[:place] + bytes(4000) + whole[place + 4000 :])
        status, said = contagium(f"resume={stopped}")
        assert "Traceback" not in said
        seen.add(status)
        # The cap is reached again where the damage hit nothing that is read.
        assert status == 3 or "event log" in said or "does not repeat itself" in said
    assert seen & {1, 2}


def test_failed_interviews_are_counted(
    contagium: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = Parrot.complete

    async def shy(self: Parrot, request: Request) -> Completion:
        if request.purpose.startswith("interview"):
            raise BackendError("not now", reason="rejected")
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", shy)
    status, said = contagium(*RUN, "+observer.interviews.wish={question: What now?, every: 3}", "hydra.run.dir=run")
    assert status == 0
    assert "unread answers" in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["failed_calls"] == summary["unread_answers"] == summary["faults"]["rejected"] == 16


@pytest.mark.parametrize(
    "override",
    [
        "+observer.interviews={q: {question: x, options: [a, a]}}",
        '+observer.interviews={q: {question: x, options: [""]}}',
        '+observer.interviews={q: {question: "  "}}',
        "memory.tokens=5",
        "calls.base_delay=100",
        "budget.calls=-1",
        "run.max_missing=2",
        "run.schedule=fast",
        "budget.prices={m: {input: -1, output: 1}}",
    ],
)
def test_what_cannot_be_is_refused_in_one_line(override: str, contagium: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    status, said = contagium(*RUN, override, "hydra.run.dir=run")
    assert status == 2
    assert said.count("\n") == 1, said
    assert not (tmp_path / "run").exists()
