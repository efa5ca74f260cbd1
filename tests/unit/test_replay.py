"""Replay: the recorded calls come back exactly, and nothing else comes at all."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from contagium.agents.backends.backend import BackendError, Completion, Request, Token, Turn
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.replay import Replay

LOGPROBS = (Token("Good", -0.1, (("Good", -0.1), ("Bad", -2.0))),)
SAID = Completion(
    "Good.", "stop", "m-2026", 11, None, 0.1 + 0.2, 3, ("reset", "timeout"), "fp", "http://127.0.0.1:1/v1", LOGPROBS
)
FAILED = BackendError(
    "the server answered 500", reason="server_error", retryable=True, attempts=2, faults=("reset", "server_error"), latency=4.5
)


def ask(number: int) -> Request:
    return Request((Turn("user", f"Say {number}."),), seed=number, agent=number, step=5)


def record(path: Path, models: Sequence[str] = ("m",)) -> None:
    async def scene() -> None:
        async with Journal(path) as journal:
            for concurrency, model in enumerate(models, 7):
                await journal.describe(model, "transcript", concurrency)
                await journal.keep(ask(1), model, SAID)
                await journal.keep(ask(2), model, FAILED)

    asyncio.run(scene())


async def outcome(replay: Replay, request: Request) -> Completion | BackendError:
    try:
        async with replay:
            return await replay.complete(request)
    except BackendError as error:
        return error


def refused(replay: Replay, number: int = 1) -> str:
    """What a replay that cannot go on says, in one line."""
    error = asyncio.run(outcome(replay, ask(number)))
    assert isinstance(error, BackendError)
    assert (error.reason, error.fatal, error.retryable) == ("not_in_journal", True, False)
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("name", ["", "journal.db"])
def test_completions_and_failures_come_back_exactly(tmp_path: Path, name: str) -> None:
    record(tmp_path / "journal.db")
    assert asyncio.run(outcome(Replay(str(tmp_path / name)), ask(1))) == SAID
    failed = asyncio.run(outcome(Replay(str(tmp_path / name)), ask(2)))
    assert isinstance(failed, BackendError)
    assert (str(failed), vars(failed)) == (str(FAILED), vars(FAILED) | {"retryable": False})


def test_it_stands_in_for_the_recorded_model(tmp_path: Path) -> None:
    record(tmp_path / "journal.db", ("m", "n"))

    async def scene() -> None:
        async with Replay(str(tmp_path), "n") as replay:
            assert (replay.model, replay.prompt_form, replay.concurrency) == ("n", "transcript", 8)
            assert (replay.timeout, replay.seconds_per_call) == (None, 0.0)
            assert await replay.complete(ask(1)) == SAID

    asyncio.run(scene())
    assert refused(Replay(str(tmp_path))) == f"{tmp_path} holds calls of several models: choose one by backend.model, of m, n"
    assert "no model 'o': choose one by backend.model, of m, n" in refused(Replay(str(tmp_path), "o"))


def test_a_cache_can_be_replayed_too(tmp_path: Path) -> None:
    async def scene() -> Completion:
        async with Journal(tmp_path / "journal.db", cache=tmp_path / "cache.db") as journal:
            await journal.describe("m", "transcript", 8)
            await journal.keep(ask(1), "m", SAID)
        async with Replay(str(tmp_path / "cache.db")) as replay:
            assert (replay.model, replay.prompt_form, replay.concurrency) == ("m", "transcript", 8)
            return await replay.complete(ask(1))

    assert asyncio.run(scene()) == SAID


def test_reading_leaves_the_run_untouched(tmp_path: Path) -> None:
    record(tmp_path / "journal.db")
    before = (tmp_path / "journal.db").read_bytes()
    (tmp_path / "journal.db").chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert asyncio.run(outcome(Replay(str(tmp_path)), ask(1))) == SAID
        assert os.listdir(tmp_path) == ["journal.db"]
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / "journal.db").read_bytes() == before


def test_a_request_that_was_not_recorded_ends_the_run(tmp_path: Path) -> None:
    record(tmp_path / "journal.db")
    said = refused(Replay(str(tmp_path)), 3)
    file = tmp_path / "journal.db"
    assert said == (f"{file} holds no reply of m to 'speak' of agent 3 in step 5: the scenario differs from the one recorded")


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="journal must name a journal"):
        Replay("")
    assert refused(Replay(str(tmp_path))) == f"no journal at {tmp_path / 'journal.db'}"
    (tmp_path / "journal.db").write_bytes(b"nothing of the kind" * 100)
    assert "file is not a database" in refused(Replay(str(tmp_path)))
    (tmp_path / "journal.db").unlink()
    record(tmp_path / "journal.db", ())
    assert refused(Replay(str(tmp_path))) == f"{tmp_path} holds calls of no model"

    async def closed() -> None:
        await Replay(str(tmp_path)).complete(ask(1))

    with pytest.raises(BackendError, match="not open"):
        asyncio.run(closed())
