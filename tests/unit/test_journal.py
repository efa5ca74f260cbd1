"""The journal of calls: nothing is used before it is safe, nothing is paid for twice, and damage is found and named."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pytest

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Token, Turn
from contagium.agents.backends.budget import Budget, Budgeted, Caps, Spent
from contagium.agents.backends.journal import Journal, JournalError, verify
from contagium.agents.backends.journal_file import PAGE, TABLES, Reader, Row, checksum
from contagium.agents.backends.journaled import Journaled
from contagium.agents.backends.retry import Retrying
from contagium.envs.rng import Streams

T = TypeVar("T")
PROGRAM = Path(__file__).parents[2]


def ask(number: int, step: int = 0, purpose: str = "speak") -> Request:
    return Request((Turn("user", f"Say {number}."),), seed=number, agent=number, step=step, purpose=purpose)


def reply(text: str = "Good.", **values: Any) -> Completion:
    return replace(Completion(text, "stop", "m-2026", 11, 3, 0.25), **values)


FULL = reply(
    "Höher “hinauf” \ud800\x00\n",
    stop="length",
    prompt_tokens=None,
    attempts=3,
    faults=("rate_limit", "reset"),
    fingerprint="fp_1",
    endpoint="http://127.0.0.1:1/v1",
    latency=0.1 + 0.2,
    logprobs=(Token("Hö", -0.1, (("Hö", -0.1), ("Ha", -2.5))), Token("her", float("-inf"))),
)


class Counted:
    """Answers by `answer` once the `door` is open, and counts the calls it was sent."""

    prompt_form: PromptForm = "turns"
    concurrency = 8
    timeout: float | None = None
    seconds_per_call: float | None = 0.0

    def __init__(self, answer: Callable[[Request], Completion] = lambda request: reply(), model: str = "m") -> None:
        self.answer, self.model, self.sent = answer, model, 0
        self.door = asyncio.Event()
        self.door.set()
        self.opened = self.in_flight = 0

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.opened -= 1

    async def complete(self, request: Request) -> Completion:
        self.sent += 1
        self.in_flight += 1
        try:
            await self.door.wait()
        finally:
            self.in_flight -= 1
        return self.answer(request)


class Gate:
    def __init__(self, backend: Counted) -> None:
        self.backend, self.closed = backend, ""

    def close(self, reason: str) -> None:
        self.closed = reason

    async def idle(self, seconds: float) -> bool:
        self.backend.door.set()
        while self.backend.in_flight:
            await asyncio.sleep(0)
        return True


class Stuck(Journal):
    """A journal whose disk takes until `free` is set."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = threading.Event()
        self.begun = threading.Event()

    def _write(self, rows: Any) -> None:
        self.begun.set()
        assert self.free.wait(30)
        super()._write(rows)


def failure(**values: Any) -> BackendError:
    given: dict[str, Any] = {
        "reason": "server_error",
        "retryable": True,
        "attempts": 3,
        "faults": ("reset", "timeout", "server_error"),
        "latency": 1.5,
    }
    return BackendError("the server\nanswered 500", **(given | values))


def raises(error: BackendError) -> Callable[[Request], Completion]:
    def answer(request: Request) -> Completion:
        raise error

    return answer


def parts(error: BackendError) -> dict[str, Any]:
    return {"message": str(error)} | vars(error)


async def settled(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def paid(backend: Counted, journal: Journal, caps: Caps | None = None, attempts: int = 3) -> Journaled:
    """As in a run: a budget that counts in the journal."""
    budget = Budget(caps)
    budget.begin(journal.spent)
    return Journaled(Retrying(Budgeted(backend, budget), attempts, base_delay=0.0), journal, budget)


def run(scene: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(scene())


def fill(path: Path, outcomes: int = 40, cache: Path | None = None) -> None:
    """A closed journal with so many completions and one failure."""

    async def scene() -> None:
        async with Journal(path, cache=cache) as journal:
            await journal.describe("m", "turns", 8)
            kept = (journal.keep(ask(k, step=k // 4), "m", reply(f"Number {k}. " * 9)) for k in range(outcomes))
            await asyncio.gather(*kept, journal.keep(ask(-1, step=3), "m", failure()))

    run(scene)


def test_a_completion_comes_back_as_it_was(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal:
            await journal.keep(ask(1), "m", FULL)
            assert journal.recall(ask(1).key("m")) == FULL
            assert journal.recall(ask(1).key("other")) is None
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.recall(ask(1).key("m")) == FULL

    run(scene)
    assert verify(tmp_path) == []


def test_the_file_stands_alone_and_holds_the_request(tmp_path: Path) -> None:
    fill(tmp_path / "journal.db")
    assert [file.name for file in tmp_path.iterdir()] == ["journal.db"]
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        found = connection.execute(
            "SELECT request, agent, step, purpose, model, outcome FROM call WHERE key = ?", (ask(5).key("m"),)
        )
        assert found.fetchone() == (ask(5).canonical("m").decode(), 5, 1, "speak", "m", "ok")
        # The other mode cannot be read where nothing may be written.
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def test_nothing_is_returned_before_it_is_durable(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stuck(tmp_path / "journal.db") as journal:
            backend = Counted()
            async with Journaled(backend, journal) as journaled:
                call = asyncio.create_task(journaled.complete(ask(1)))
                await settled(journal.begun.is_set)
                await asyncio.sleep(0.02)
                assert not call.done()
                assert journal.recall(ask(1).key("m")) is None
                journal.free.set()
                assert await call == reply()
                with sqlite3.connect(tmp_path / "journal.db") as other:
                    assert other.execute("SELECT key FROM call").fetchall() == [(ask(1).key("m"),)]
                other.close()

    run(scene)


def test_calls_that_end_together_share_a_commit(tmp_path: Path) -> None:
    async def scene() -> int:
        async with Journal(tmp_path / "journal.db") as journal, Journaled(Counted(), journal) as journaled:
            await asyncio.gather(*(journaled.complete(ask(k)) for k in range(500)))
            return journal.commits

    assert run(scene) <= 10
    with Reader(tmp_path / "journal.db").connection as connection:
        assert connection.execute("SELECT COUNT(*) FROM call").fetchone() == (500,)
    connection.close()


def test_a_known_call_is_not_sent_again(tmp_path: Path) -> None:
    async def scene(backend: Counted) -> tuple[list[Completion], int]:
        async with Journal(tmp_path / "journal.db") as journal, Journaled(backend, journal) as journaled:
            assert backend.opened == 1
            replies = [await journaled.complete(ask(k % 3)) for k in range(6)]
            return replies, journaled.recalled

    first, again = Counted(lambda request: reply(str(request.seed))), Counted()
    replies, recalled = asyncio.run(scene(first))
    assert (first.sent, recalled, first.opened) == (3, 3, 0)
    assert asyncio.run(scene(again)) == (replies, 6)
    assert again.sent == 0


def test_another_model_is_another_call(tmp_path: Path) -> None:
    async def scene() -> dict[str, Spent]:
        async with Journal(tmp_path / "journal.db") as journal:
            budget = Budget()
            budget.begin(journal.spent)
            for model in ("m", "n", "m"):
                async with Journaled(Budgeted(Counted(model=model), budget), journal) as journaled:
                    await journaled.complete(ask(1))
            return journal.spent

    assert run(scene) == {"m": Spent(1, 11, 3), "n": Spent(1, 11, 3)}


def test_a_cancelled_caller_leaves_the_paid_reply(tmp_path: Path) -> None:
    async def scene() -> None:
        backend = Counted()
        async with Journal(tmp_path / "journal.db") as journal, Journaled(backend, journal) as journaled:
            backend.door.clear()
            call = asyncio.create_task(journaled.complete(ask(1)))
            await settled(lambda: backend.in_flight)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            backend.door.set()
            await settled(lambda: not journal.under_way)
            assert await journaled.complete(ask(1)) == reply()
            assert backend.sent == 1

    run(scene)


def test_equal_calls_at_once_are_sent_once(tmp_path: Path) -> None:
    async def scene() -> None:
        backend = Counted()
        async with (
            Journal(tmp_path / "journal.db") as journal,
            Journaled(backend, journal) as one,
            Journaled(backend, journal) as other,
        ):
            backend.door.clear()
            calls = [asyncio.create_task(journaled.complete(ask(1))) for journaled in (one, one, other)]
            await settled(lambda: backend.in_flight)
            calls[0].cancel()
            await asyncio.sleep(0)
            backend.door.set()
            assert await calls[1] == await calls[2] == reply()
            assert calls[0].cancelled()
            assert (backend.sent, one.recalled, other.recalled) == (1, 1, 1)

    run(scene)


def test_a_failure_is_known_too(tmp_path: Path) -> None:
    async def scene(backend: Counted) -> BackendError:
        async with Journal(tmp_path / "journal.db") as journal, Journaled(backend, journal) as journaled:
            with pytest.raises(BackendError) as caught:
                await journaled.complete(ask(1))
            return caught.value

    again = Counted()
    assert parts(asyncio.run(scene(Counted(raises(failure()))))) == parts(failure())
    assert parts(asyncio.run(scene(again))) == parts(failure())
    assert again.sent == 0


@pytest.mark.parametrize("values", [{"reason": "budget"}, {"reason": "stopped"}, {"fatal": True}])
def test_a_failure_that_ends_the_run_is_asked_again(tmp_path: Path, values: dict[str, Any]) -> None:
    async def scene() -> int:
        backend = Counted(raises(failure(**values)))
        async with Journal(tmp_path / "journal.db") as journal, Journaled(backend, journal) as journaled:
            for _ in range(2):
                with pytest.raises(BackendError):
                    await journaled.complete(ask(1))
        return backend.sent

    assert run(scene) == 2


def test_failures_of_open_steps_are_forgotten_but_not_their_cost(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal:
            async with paid(Counted(raises(failure())), journal) as backend:
                for step in range(4):
                    with pytest.raises(BackendError):
                        await backend.complete(ask(step, step))
            await journal.keep(ask(9, 3), "m", reply())
        async with Journal(tmp_path / "journal.db") as journal:
            await journal.forget_failures(from_step=2)
            known = [isinstance(journal.recall(ask(step, step).key("m")), BackendError) for step in range(4)]
            assert known == [True, True, False, False]
            assert journal.recall(ask(9, 3).key("m")) == reply()
            async with paid(Counted(), journal) as backend:
                assert await backend.complete(ask(3, 3)) == reply()
            assert journal.recall(ask(3, 3).key("m")) == reply()
            spent = journal.spent
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.spent == spent == {"m": Spent(4 * 3 + 1, 11, 3)}

    run(scene)


def test_no_resumption_passes_a_cap_on_calls(tmp_path: Path) -> None:
    """Tries of a call that the cap cut short are in no row, and must count all the same."""

    def busy(request: Request) -> Completion:
        raise failure(attempts=1, faults=("server_error",))

    async def scene(backend: Counted) -> None:
        async with Journal(tmp_path / "journal.db") as journal, paid(backend, journal, Caps(calls=10), 4) as model:
            outcomes = await asyncio.gather(*(model.complete(ask(k)) for k in range(3)), return_exceptions=True)
            assert "budget" in [outcome.reason for outcome in outcomes if isinstance(outcome, BackendError)]

    backend = Counted(busy)
    for _ in range(4):
        asyncio.run(scene(backend))
        assert backend.sent == 10
    assert verify(tmp_path) == []


LOST = [
    (failure(reason="timeout", retryable=False), (6 + 16, 40)),  # "Say 1." and its turn, and the reply: all may have been billed
    (failure(reason="no_such_model", fatal=True), (0, 0)),
    (reply(completion_tokens=None), (22, 40)),
    (reply(), (11, 3)),
]


@pytest.mark.parametrize(("outcome", "tokens"), LOST)
def test_what_the_budget_charged_is_charged_after_a_resumption(
    tmp_path: Path, outcome: Completion | BackendError, tokens: tuple[int, int]
) -> None:
    async def scene() -> None:
        answer = raises(outcome) if isinstance(outcome, BackendError) else lambda request: outcome
        async with Journal(tmp_path / "journal.db") as journal, paid(Counted(answer), journal, attempts=1) as backend:
            await asyncio.gather(backend.complete(ask(1)), return_exceptions=True)
        for _ in range(2):
            async with Journal(tmp_path / "journal.db") as journal:
                assert journal.spent == {"m": Spent(1, *tokens)}

    run(scene)


def test_a_call_dropped_on_leaving_was_paid_for(tmp_path: Path) -> None:
    async def scene() -> None:
        backend, budget = Counted(), Budget()
        backend.door.clear()
        async with Journal(tmp_path / "journal.db") as journal:
            budget.begin(journal.spent)
            async with Journaled(Budgeted(backend, budget), journal, budget, grace=0.01) as journaled:
                call = asyncio.create_task(journaled.complete(ask(1)))
                await settled(lambda: backend.in_flight)
            with pytest.raises(BackendError, match="the run ended"):
                await call
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.recall(ask(1).key("m")) is None
            assert journal.spent == {"m": Spent(1, 22, 40)}

    run(scene)


def test_a_kill_loses_no_call_that_was_under_way_at_the_last_commit(tmp_path: Path) -> None:
    async def scene() -> None:
        slow = Counted()
        async with Journal(tmp_path / "journal.db") as journal, paid(slow, journal) as backend:
            slow.door.clear()
            calls = [asyncio.create_task(backend.complete(ask(k))) for k in range(3)]
            await settled(lambda: slow.in_flight == 3)
            await journal.keep(ask(9), "m", reply(), paid=False)
            for suffix in ("", "-wal"):
                shutil.copy(f"{tmp_path / 'journal.db'}{suffix}", f"{tmp_path / 'copy.db'}{suffix}")
            slow.door.set()
            await asyncio.gather(*calls)
        async with Journal(tmp_path / "copy.db") as journal:
            assert journal.spent == {"m": Spent(3, 0, 0)}

    run(scene)


def test_a_run_that_ends_before_it_begins_forgets_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal, paid(Counted(), journal) as backend:
            await backend.complete(ask(1))
        async with Journal(tmp_path / "journal.db") as journal, Journaled(Budgeted(Counted(), Budget()), journal):
            pass
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.spent == {"m": Spent(1, 11, 3)}

    run(scene)


def test_what_was_spent_is_guarded_by_a_checksum(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal, paid(Counted(), journal) as backend:
            await backend.complete(ask(1))

    run(scene)
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE meta SET value = REPLACE(value, '11', '10') WHERE key = 'spent'")
    connection.close()
    said = f"{tmp_path / 'journal.db'}: the checksum of the entry 'spent' in meta does not match"
    assert verify(tmp_path) == [said]
    with pytest.raises(JournalError) as caught:
        run(scene)
    assert str(caught.value) == said


def test_spending_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal:
            journal._own.execute("PRAGMA query_only=1")
            journal.spent["m"] = Spent(1)

    with pytest.raises(JournalError, match=r"cannot write the journal .*: attempt to write a readonly database"):
        run(scene)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.db"]


def test_the_cache_serves_other_runs_and_each_run_stands_alone(tmp_path: Path) -> None:
    stops = ("stop", "length", "refusal", "filter")

    def answer(request: Request) -> Completion:
        if request.seed == 4:
            raise failure()
        return reply(str(request.seed), stop=stops[request.seed])

    async def scene(name: str) -> tuple[int, int, dict[str, Spent]]:
        backend, budget = Counted(answer), Budget()
        async with Journal(tmp_path / name, cache=tmp_path / "cache.db") as journal:
            budget.begin(journal.spent)
            async with Journaled(Budgeted(backend, budget), journal, budget) as journaled:
                outcomes = await asyncio.gather(*(journaled.complete(ask(k)) for k in range(5)), return_exceptions=True)
            tries = [0, 0, 1, 1] if name == "two.db" else [1] * 4
            assert outcomes[:4] == [reply(str(k), stop=stops[k], attempts=tries[k]) for k in range(4)]
            return backend.sent, journaled.from_cache, journal.spent

    assert asyncio.run(scene("one.db")) == (5, 0, {"m": Spent(5, 44, 12)})
    assert asyncio.run(scene("two.db")) == (3, 2, {"m": Spent(3, 22, 6)})
    (tmp_path / "cache.db").unlink()
    assert asyncio.run(scene("two.db")) == (0, 0, {"m": Spent(3, 22, 6)})
    assert verify(tmp_path / "one.db") == verify(tmp_path / "two.db") == []


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_reply_is_not_shared(tmp_path: Path, text: str) -> None:
    async def scene(name: str, said: str) -> Completion:
        backend = Counted(lambda request: reply(said))
        async with Journal(tmp_path / name, cache=tmp_path / "cache.db") as journal, Journaled(backend, journal) as journaled:
            return await journaled.complete(ask(1))

    assert asyncio.run(scene("one.db", text)) == reply(text)
    assert asyncio.run(scene("one.db", "known")) == reply(text)
    assert asyncio.run(scene("two.db", "Good.")) == reply()
    assert asyncio.run(scene("three.db", "known")) == reply(attempts=0)
    (tmp_path / "cache.db").unlink()
    shutil.copy(tmp_path / "one.db", tmp_path / "cache.db")  # a cache that holds one all the same
    assert asyncio.run(scene("four.db", "Good.")) == reply()


def test_a_cache_that_nobody_writes_is_read_without_a_trace(tmp_path: Path) -> None:
    fill(tmp_path / "journal.db", cache=tmp_path / "cache.db")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    reader = Reader(tmp_path / "cache.db")
    assert reader.find(ask(5).key("m")) == reply("Number 5. " * 9)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    reader.close()


def test_two_runs_write_to_one_cache_at_once(tmp_path: Path) -> None:
    async def one(name: str) -> None:
        async with Journal(tmp_path / name, cache=tmp_path / "cache.db") as journal:
            for k in range(10):
                await journal.keep(ask(k), "m", reply())

    async def scene() -> None:
        await asyncio.gather(*(one(f"{name}.db") for name in "abcd"))

    run(scene)
    assert verify(tmp_path / "cache.db") == []
    assert count(tmp_path / "cache.db") == 10


def count(path: Path) -> int:
    reader = Reader(path)
    found = reader.connection.execute("SELECT COUNT(*) FROM call").fetchone()[0]
    reader.close()
    return int(found)


def test_leaving_waits_for_what_was_sent_and_drops_the_rest(tmp_path: Path) -> None:
    class Queued(Counted):
        """Keeps one agent's calls from being sent."""

        async def complete(self, request: Request) -> Completion:
            if request.agent == 2:
                await asyncio.Event().wait()
            return await super().complete(request)

    async def scene() -> None:
        backend = Queued()
        gate = Gate(backend)
        async with Journal(tmp_path / "journal.db") as journal:
            async with Journaled(backend, journal, gate) as journaled:
                backend.door.clear()
                turns = [asyncio.create_task(journaled.complete(ask(k))) for k in (1, 2)]
                await settled(lambda: backend.in_flight)
                turns[0].cancel()
            assert gate.closed == "the run is ending"
            assert backend.opened == 0
            with pytest.raises(BackendError, match="the run ended") as caught:
                await turns[1]
            assert caught.value.reason == "stopped"
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.recall(ask(1).key("m")) == reply()
            assert journal.recall(ask(2).key("m")) is None

    run(scene)


def test_leaving_writes_what_cancelled_callers_left(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Stuck(tmp_path / "journal.db") as journal:
            tasks = [asyncio.create_task(journal.keep(ask(1), "m", reply()))]
            await settled(journal.begun.is_set)
            tasks.append(asyncio.create_task(journal.keep(ask(2), "m", reply())))
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            asyncio.get_running_loop().call_later(0.01, journal.free.set)

    run(scene)
    assert count(tmp_path / "journal.db") == 2


def test_leaving_without_a_gate_waits_no_longer_than_the_grace(tmp_path: Path) -> None:
    async def scene() -> None:
        backend = Counted()
        async with Journal(tmp_path / "journal.db") as journal:
            async with Journaled(backend, journal, grace=0.01) as journaled:
                backend.door.clear()
                turn = asyncio.create_task(journaled.complete(ask(1)))
                await settled(lambda: backend.in_flight)
            with pytest.raises(BackendError, match="the run ended"):
                await turn

    run(scene)
    with pytest.raises(ValueError, match=r"grace must be at least 0 seconds, got -1"):
        Journaled(Counted(), Journal(tmp_path / "journal.db"), grace=-1)


def test_a_full_disk_gives_nothing_that_is_not_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        backend = Counted(lambda request: reply("x" * 3000))
        async with Journal(tmp_path / "journal.db") as journal, Journaled(backend, journal) as journaled:
            await journaled.complete(ask(0))
            journal._own.execute("PRAGMA max_page_count=12")
            outcomes = await asyncio.gather(*(journaled.complete(ask(k)) for k in range(1, 200)), return_exceptions=True)
            sent = backend.sent
            assert {str(outcome) for outcome in outcomes} == {
                f"cannot write the journal {tmp_path / 'journal.db'}: database or disk is full"
            }
            with pytest.raises(JournalError, match="disk is full"):
                await journaled.complete(ask(999))
            with pytest.raises(JournalError, match="disk is full"):
                await journal.keep(ask(999), "m", reply())
            assert backend.sent == sent  # what cannot be kept is not paid for

    run(scene)
    assert verify(tmp_path) == []
    assert count(tmp_path / "journal.db") == 1


KEEPING = """
import asyncio, resource, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2]) / "tests" / "unit"))
from contagium.agents.backends.backend import Completion, Request, Turn
from contagium.agents.backends.journal import Journal, JournalError

async def keep(journal, lane):
    for number in range(lane, 100_000, 8):
        request = Request((Turn("user", f"Say {number}."),), seed=number, agent=number, step=0)
        await journal.keep(request, "m", Completion("Good. " * 50, "stop", "m", 1, 1, 0.0))
        sys.stdout.write(request.key("m") + "\\n")
        sys.stdout.flush()

async def main():
    async with Journal(Path(sys.argv[1])) as journal:
        if len(sys.argv) > 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
        await asyncio.gather(*(keep(journal, lane) for lane in range(8)))

try:
    asyncio.run(main())
except JournalError as error:
    sys.exit(str(error))
"""


def keeping(path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KEEPING, str(path), str(PROGRAM), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def kept(path: Path, keys: list[str]) -> bool:
    """Whether all these calls are in the journal."""

    async def scene() -> bool:
        async with Journal(path) as journal:
            return all(isinstance(journal.recall(key), Completion) for key in keys)

    return run(scene)


def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rng = Streams(3).generator("kill")
    path = tmp_path / "journal.db"
    total: list[str] = []
    for moment in rng.integers(1, 400, 5):
        path.unlink(missing_ok=True)  # a new journal each time: what was kept before must not help
        process = keeping(path)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(moment)]
        process.send_signal(signal.SIGKILL)
        rest, said = process.communicate()
        keys = ["".join(lines), rest]
        acknowledged = [line for line in "".join(keys).split("\n") if len(line) == 64]
        assert len(acknowledged) >= moment, said
        assert verify(path) == []
        assert kept(path, acknowledged)
        assert verify(path) == []
        total += acknowledged
    assert len(total) > 5


def test_a_file_that_may_not_grow_leaves_earlier_calls_intact(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    process = keeping(path, "400000")
    written, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(f"cannot write the journal {path}: ")
    assert said.count("\n") == 1
    assert len(keys := written.split()) > 20
    assert verify(path) == []
    assert kept(path, keys)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE message (id)")
    connection.close()
    fill(tmp_path / "later.db")
    with sqlite3.connect(tmp_path / "later.db") as connection:
        connection.execute("PRAGMA user_version=7")
    connection.close()
    before = foreign.read_bytes()
    (tmp_path / "text.db").write_text("this is not a database at all, but it is long enough to look like one " * 20)

    async def opened(path: Path, cache: Path | None = None) -> None:
        async with Journal(path, cache=cache):
            pass

    for name, said in {
        "file/journal.db": "cannot write the journal {}: ",
        "missing/journal.db": "cannot write the journal {}: unable to open",
        "text.db": "cannot write the journal {}: file is not a database",
        "foreign.db": "{} is not a journal",
        "later.db": "{} has schema version 7, this program reads version 1",
    }.items():
        path = tmp_path / name
        for case in (opened(path), opened(tmp_path / "good.db", cache=path)):
            with pytest.raises(JournalError) as caught:
                asyncio.run(case)
            assert str(caught.value).startswith(said.format(path))
            assert "\n" not in str(caught.value)
        assert verify(path)
    assert foreign.read_bytes() == before


def test_what_is_read_damaged_is_not_used(tmp_path: Path) -> None:
    fill(tmp_path / "journal.db")
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE call SET completion = REPLACE(completion, 'Number 7.', 'Number 8.')")
    connection.close()

    async def scene() -> None:
        async with Journal(tmp_path / "journal.db") as journal:
            assert journal.recall(ask(6).key("m")) == reply("Number 6. " * 9)
            with pytest.raises(JournalError, match=rf"call {ask(7).key('m')[:12]} \(agent 7, step 1\): the checksum"):
                journal.recall(ask(7).key("m"))

    run(scene)


CHANGES = {
    "UPDATE call SET request = request || ' ' WHERE agent = 7": "call {} (agent 7, step 1): the request does not match its key",
    "UPDATE call SET prompt_tokens = 1 WHERE agent = 7": "call {} (agent 7, step 1): the checksum does not match",
    "UPDATE call SET step = 9 WHERE agent = 7": "call {} (agent 7, step 9): the checksum does not match",
    "UPDATE call SET completion = NULL WHERE agent = 7": "call {} (agent 7, step 1): the checksum does not match",
    "UPDATE call SET completion = x'ff' WHERE agent = 7": "call {} (agent 7, step 1): the checksum does not match",
    "UPDATE meta SET value = '{{}}'": "the checksum of the entry 'model m' in meta does not match",
    "DROP TABLE meta": "is damaged: its tables are not declared as they should be",
    "PRAGMA user_version=2": "has schema version 2, this program reads version 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_kind_of_damage_is_named(tmp_path: Path, change: str) -> None:
    fill(tmp_path / "journal.db")
    assert verify(tmp_path) == []
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute(change.replace("{{}}", "{}"))
    connection.close()
    problems = verify(tmp_path / "journal.db")
    assert len(problems) == 1
    assert CHANGES[change].format(ask(7).key("m")[:12]) in problems[0]
    assert str(tmp_path / "journal.db") in problems[0]


def test_a_completion_that_does_not_parse_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "journal.db", 1)
    good = Row.of(ask(7, 2), ask(7, 2).canonical("m"), "m", reply(), True)
    for k, said in enumerate(('{"faults": []', "[]", "{}", '{"faults": [], "text": "a"}')):
        bad = Row.of(ask(7 + k, 2), ask(7 + k, 2).canonical("m"), "m", reply(), True)._replace(completion=said)
        bad = bad._replace(checksum=checksum(bad[:11]))
        with sqlite3.connect(tmp_path / "journal.db") as connection:
            connection.execute(f"INSERT INTO call VALUES ({', '.join('?' * len(good))})", bad)
        connection.close()
    problems = verify(tmp_path)
    assert len(problems) == 4
    assert all("(agent" in problem and "the completion cannot be read: " in problem for problem in problems)


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    reader = Reader(path)
    try:
        return {table: reader.connection.execute(f"SELECT * FROM {table} ORDER BY key").fetchall() for table in TABLES}
    finally:
        reader.close()


def test_a_flipped_bit_is_found_or_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path, 12)
    whole, sound = path.read_bytes(), content(path)
    rng = Streams(5).generator("flip")
    # Most of a small file is empty. What is not, and what begins a page and says how to read it, is hit more often.
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    heads = rng.integers(0, len(whole) // PAGE, 100) * PAGE + rng.integers(0, 100, 100)
    found = 0
    for place in [*rng.choice(used, 200), *heads, *rng.integers(0, len(whole), 50)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        problems = verify(path)
        assert all("\n" not in problem and str(path) in problem for problem in problems)
        if problems:
            found += 1
        else:
            assert content(path) == sound, f"byte {place}"
    assert found > 100


def test_a_flipped_bit_in_the_log_beside_the_file_is_found(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"

    async def scene() -> None:
        async with Journal(path) as journal:
            for k in range(12):
                await journal.keep(ask(k), "m", reply())
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")

    run(scene)
    log = Path(f"{copy}-wal")
    whole = log.read_bytes()
    last = len(whole) - PAGE - 24  # in its last frame damage looks like a crash, and what a crash cuts off was not acknowledged
    rng = Streams(6).generator("flip")
    for place in rng.integers(0, last, 40):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        log.write_bytes(flipped)
        Path(f"{copy}-shm").unlink(missing_ok=True)
        assert any(str(log) in problem for problem in verify(copy)), f"byte {place}"
    log.write_bytes(whole)
    Path(f"{copy}-shm").unlink(missing_ok=True)
    assert verify(copy) == []
    log.write_bytes(whole[: last + 100])
    Path(f"{copy}-shm").unlink(missing_ok=True)
    assert verify(copy) == []


def test_garbage_of_any_length_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path)
    whole = path.read_bytes()
    rng = Streams(7).generator("cut")
    for size in [0, 1, 99, 100, *rng.integers(100, len(whole) - 1, 20)]:
        path.write_bytes(whole[:size])
        assert verify(path)
        path.write_bytes(whole[:size] + rng.bytes(len(whole) - size))
        assert verify(path)
    path.unlink()
    assert verify(path) == [f"no journal at {path}"]
    assert verify(tmp_path) == [f"no journal at {path}"]
