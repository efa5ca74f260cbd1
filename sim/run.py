"""One run: from a laboratory to a finished directory, however it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import yaml

from contagium.agents.backends.backend import BackendError
from contagium.sim.facts import facts
from contagium.sim.files import put
from contagium.sim.laboratory import Laboratory
from contagium.sim.log import EventLog, LogError
from contagium.sim.running import Progress, Running, first_line


async def run(
    laboratory: Laboratory, command: str, watch: Callable[[Progress], None], opened: Callable[[], None], resume: bool = False
) -> None:
    """Run a laboratory to its end and leave `run.db`, `journal.db` and `scenario.yaml` in its directory.

    opened: called once the models are there and the log is open, before the first step. An exception before that leaves
    nothing; a later one ends the run with status "interrupted" (Ctrl-C, cancellation), "stopped" (a budget is used up) or
    "failed" in the log, whose committed steps stay readable. Either is raised again.

    resume: go on with what is in the directory. Steps that are in the log are gone through again with the completions of the
    journal, and must come out the same; no completed call is made again.
    """
    directory, journal, begun = laboratory.directory, laboratory.journal, resume
    directory.mkdir(parents=True, exist_ok=True)
    with claimed(directory):
        if not resume and any((directory / name).exists() for name in OURS):
            raise LogError(f"{directory} already holds a run; choose another directory (hydra.run.dir=…) or resume it (resume=…)")
        if resume and journal is not None and (directory / "run.db").exists() and not journal.path.exists():
            raise LogError(f"{journal.path} is missing: without it every call of the run would be made again")
        try:
            async with AsyncExitStack() as stack:
                if not resume:
                    # With it and the journal a run can be gone on with.
                    composed = laboratory.scenario.model_dump(mode="json", by_alias=True)
                    put(directory / "scenario.yaml", yaml.safe_dump(composed, sort_keys=False, allow_unicode=True).encode())
                if journal is not None:
                    await stack.enter_async_context(journal)
                for backend in laboratory.models:
                    await stack.enter_async_context(backend)
                log = EventLog(directory / "run.db", resume)
                stack.callback(log.close)
                if journal is not None:
                    await journal.forget_failures(from_step=max(0, log.committed - 1))
                    laboratory.budget.begin(journal.spent)
                _open(log, laboratory, command)
                running = Running(laboratory, log)
                opened()
                begun = True
                await _go(running, laboratory, log, watch)
        finally:
            if not begun:
                for name in OURS:
                    (directory / name).unlink(missing_ok=True)


OURS = tuple(name + suffix for name in ("scenario.yaml", "journal.db", "run.db") for suffix in ("", "-wal", "-shm"))
"""What a run leaves before its outputs are written."""


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Hold a directory for this process alone. LogError if another one runs there."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LogError(f"another process is running in {directory}") from error
        yield
    finally:
        os.close(handle)


def _open(log: EventLog, laboratory: Laboratory, command: str) -> None:
    """Say in the log what begins, or goes on."""
    if known := log.facts:
        scenario = laboratory.scenario.model_dump(mode="json", by_alias=True)
        log.meta({"status": "running", "reason": None, "resumed": known["resumed"] + 1, "scenario": scenario})
    else:
        log.meta(facts(laboratory, command))


async def _go(running: Running, laboratory: Laboratory, log: EventLog, watch: Callable[[Progress], None]) -> None:
    """All steps. However it ends, the log says how."""
    began = time.perf_counter() - (log.facts["wall_seconds"] or 0.0)
    try:
        try:
            for _ in range(laboratory.scenario.steps):
                watch(await running.step())
        finally:
            await running.close()
        log.meta({"status": "finished", "wall_seconds": time.perf_counter() - began})
    except BaseException as error:
        log.discard()
        if laboratory.budget.in_flight:
            laboratory.notice(f"waiting for calls under way ({laboratory.budget.in_flight}), which are kept; Ctrl-C leaves them")
        status, reason = _ending(error)
        # On a full disk this fails too; the error that ended the run is the one to tell.
        with suppress(LogError):
            log.meta({"status": status, "reason": reason, "wall_seconds": time.perf_counter() - began})
        raise


def _ending(error: BaseException) -> tuple[str, str]:
    """Status and reason of a run that did not reach its end."""
    first = root(error)
    if isinstance(first, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted", "stopped by Ctrl-C"
    stopped = isinstance(first, BackendError) and first.reason == "budget"
    return "stopped" if stopped else "failed", first_line(first)


def root(error: BaseException) -> BaseException:
    """An error out of the groups that tasks put it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
