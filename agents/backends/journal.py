"""The journal of calls: what came back is safe on the disk before anyone uses it, so that no call is paid for twice.

One thread writes. Outcomes that arrive while a commit is under way share the next one (group commit), so with many calls in
flight a call's share of waiting for the disk is small, and the event loop never waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self, TypeVar

from contagium.agents.backends.backend import Backend, BackendError, Completion, PromptForm, Request
from contagium.agents.backends.budget import Spent
from contagium.agents.backends.journal_file import (
    JournalError,
    Reader,
    Row,
    insert,
    open_to_write,
    plainly,
    put,
    transaction,
    verify,
)
from contagium.agents.backends.wrapper import Wrapper

__all__ = ["Gate", "Journal", "JournalError", "Journaled", "verify"]

T = TypeVar("T")
ASKED_AGAIN = frozenset({"budget", "stopped"})
"""Reasons of failures that say nothing about the call itself."""
WORTH_SHARING = frozenset({"stop", "length"})
"""Why a reply ended, for those that a cache may hand to other runs: a refusal there may be an answer here."""


class Journal:
    """What was asked and what came back, in a file beside the event log.

    path: the file; made if it is not there. cache: another journal that many runs may share, at the same time too. What is
    found there is copied into `path`, which therefore holds all that the run used; replies paid for go into both, but no
    refusals, filtered replies and failures. Raises JournalError whenever a file cannot be written or read; after a failed
    write it takes no more.
    """

    def __init__(self, path: Path, *, cache: Path | None = None) -> None:
        self.path = path
        self.cache = cache
        self.under_way: dict[str, asyncio.Task[Completion]] = {}
        """Calls that are being made, by key, so that two that are equal are made once."""
        self.commits = 0
        self._spent: dict[str, Spent] = {}
        self._known: set[bytes] = set()
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._broken: str | None = None

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            await self._in_thread(self._open)
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            if self._writing is not None:
                await asyncio.wait([self._writing])
        finally:
            await self._in_thread(self._close)
            self._thread.shutdown()

    @property
    def spent(self) -> dict[str, Spent]:
        """What was paid for, by model: tries made, and tokens of the replies. What came from a cache does not count."""
        return dict(self._spent)

    def recall(self, key: str) -> Completion | BackendError | None:
        """What became of a call, None if that is not known. JournalError also when nothing can be kept any more."""
        if self._broken is not None:
            raise JournalError(self._broken)
        return self._reader.find(key) if bytes.fromhex(key) in self._known else None

    def borrow(self, key: str) -> Completion | None:
        """What another run was answered, None without a cache or if it is not there."""
        found = None if self._shared_reader is None else self._shared_reader.find(key)
        return found if isinstance(found, Completion) else None

    async def keep(
        self,
        request: Request,
        model: str,
        outcome: Completion | BackendError,
        *,
        canonical: bytes | None = None,
        paid: bool = True,
    ) -> None:
        """Return when the outcome is on the disk; a caller that is cancelled while it waits is kept all the same.

        canonical: `request.canonical(model)`, if at hand. paid: False if the outcome was borrowed.
        """
        if self._broken is not None:
            raise JournalError(self._broken)
        row = Row.of(request, canonical or request.canonical(model), model, outcome, paid)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await future

    async def describe(self, model: str, prompt_form: PromptForm, concurrency: int) -> None:
        """Keep what a replay needs to know of a model."""
        await self._in_thread(self._set, f"model {model}", {"prompt_form": prompt_form, "concurrency": concurrency})

    async def forget_failures(self, from_step: int) -> None:
        """Give failed calls of this step and later ones another try. What they cost still counts as spent."""
        await self._in_thread(self._forget, from_step)

    async def _write_all(self) -> None:
        """Commit what is waiting, all that is there at once, until nothing is."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                if self._broken is not None:
                    raise JournalError(self._broken)
                await self._in_thread(self._write, [row for row, _ in batch])
            except Exception as error:  # whatever it was, nobody may wait for ever
                self._broken = str(error)
            for row, future in batch:
                if self._broken is None:
                    self._count(row)
                if future.done():  # its call was cancelled
                    continue
                if self._broken is None:
                    future.set_result(None)
                else:
                    future.set_exception(JournalError(self._broken))
        self._writing = None

    def _count(self, row: Row) -> None:
        self._known.add(bytes.fromhex(row.key))
        if row.paid:
            spent = self._spent.get(row.model, Spent())
            self._spent[row.model] = spent.plus(row.attempts, row.prompt_tokens or 0, row.completion_tokens or 0)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    # All below runs in the writing thread.

    def _open(self) -> None:
        self._own = open_to_write(self.path)
        self._shared: sqlite3.Connection | None = None
        self._shared_reader: Reader | None = None
        try:
            self._reader = Reader(self.path, live=True)
            if self.cache is not None:
                self._shared = open_to_write(self.cache)
                self._shared_reader = Reader(self.cache, live=True)
            for model, calls in self._reader.meta().get("forgotten", {}).items():
                self._spent[model] = Spent(calls)
            with plainly("read", self.path):
                self._known = {bytes.fromhex(key) for (key,) in self._own.execute("SELECT key FROM call")}
                sums = "TOTAL(attempts), TOTAL(prompt_tokens), TOTAL(completion_tokens)"
                for model, *counts in self._own.execute(f"SELECT model, {sums} FROM call WHERE paid GROUP BY model"):
                    self._spent[model] = self._spent.get(model, Spent()).plus(*map(int, counts))
        except BaseException:
            self._own.close()
            raise

    def _close(self) -> None:
        self._reader.close()
        # A file that stands alone can be read where nothing may be written. Without room for that the log beside it is read.
        with suppress(sqlite3.Error):
            self._own.execute("PRAGMA journal_mode=DELETE")
        self._own.close()
        if self._shared is not None and self._shared_reader is not None:
            self._shared_reader.close()
            self._shared.close()

    def _write(self, rows: Sequence[Row]) -> None:
        self.commits += 1
        with transaction(self._own, self.path):
            insert(self._own, rows)
        if self._shared is not None and self.cache is not None:
            paid = [row for row in rows if row.paid and row.outcome == "ok"]
            with transaction(self._shared, self.cache):
                insert(self._shared, [row for row in paid if json.loads(row.completion)["stop"] in WORTH_SHARING])

    def _set(self, key: str, value: object) -> None:
        with transaction(self._own, self.path):
            put(self._own, key, value)

    def _forget(self, from_step: int) -> None:
        which = "FROM call WHERE outcome = 'failed' AND step >= ?"
        with transaction(self._own, self.path):
            calls = self._reader.meta().get("forgotten", {})
            for model, attempts in self._own.execute(f"SELECT model, attempts {which}", (from_step,)):
                calls[model] = calls.get(model, 0) + attempts
            put(self._own, "forgotten", calls)
            self._own.execute(f"DELETE {which}", (from_step,))


class Gate(Protocol):
    """Where a run can be told to send no more calls, and waited for until those sent are answered."""

    def close(self, reason: str) -> None: ...

    async def idle(self, seconds: float) -> bool: ...


class Journaled(Wrapper):
    """Backend that makes no call twice: what is known is answered from the journal, and what is new is kept before it is used.

    A failure is an outcome too, and known afterwards; one that ends the run is not. A caller that is cancelled does not end its
    call: what was paid for is kept. Leaving closes `gate`, gives calls that were sent `grace` seconds to be answered, and drops
    the others.

    recalled: calls answered without being made, because they were known or just being made. from_cache: those that another run
    had made.
    """

    def __init__(self, backend: Backend, journal: Journal, gate: Gate | None = None, grace: float = 30.0) -> None:
        if not grace >= 0:
            raise ValueError(f"grace must be at least 0 seconds, got {grace}")
        super().__init__(backend)
        self.journal = journal
        self.gate = gate
        self.grace = grace
        self.recalled = 0
        self.from_cache = 0
        self._tasks: set[asyncio.Task[Completion]] = set()

    async def __aenter__(self) -> Self:
        await self.backend.__aenter__()
        try:
            await self.journal.describe(self.model, self.prompt_form, self.concurrency)
        except BaseException as error:
            await self.backend.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._finish()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.backend.__aexit__(*exc)

    async def complete(self, request: Request) -> Completion:
        canonical = request.canonical(self.model)
        key = hashlib.sha256(canonical).hexdigest()
        known = self.journal.recall(key)
        if known is not None:
            self.recalled += 1
            return _answer(known)
        task = self.journal.under_way.get(key)
        if task is None:
            task = self._start(request, key, canonical)
        else:
            self.recalled += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            # Not the caller was cancelled but the call, on leaving.
            raise BackendError("the run ended before the call was answered", reason="stopped", fatal=True) from None

    def _start(self, request: Request, key: str, canonical: bytes) -> asyncio.Task[Completion]:
        task = asyncio.create_task(self._call(request, key, canonical))

        def done(_: object) -> None:
            self._tasks.discard(task)
            del self.journal.under_way[key]

        self.journal.under_way[key] = task
        self._tasks.add(task)
        task.add_done_callback(done)
        return task

    async def _call(self, request: Request, key: str, canonical: bytes) -> Completion:
        outcome: Completion | BackendError | None = self.journal.borrow(key)
        paid = outcome is None
        if outcome is None:
            try:
                outcome = await self.backend.complete(request)
            except BackendError as error:
                if error.fatal or error.reason in ASKED_AGAIN:
                    raise
                outcome = error
        else:
            self.from_cache += 1
        await self.journal.keep(request, self.model, outcome, canonical=canonical, paid=paid)
        return _answer(outcome)

    async def _finish(self) -> None:
        """Wait for calls that were sent."""
        if self.gate is None:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self.grace)
            return
        self.gate.close("the run is ending")
        # A reply that passed the gate is with the journal by then, which writes what it has even if its call is dropped.
        await self.gate.idle(self.grace)


def _answer(outcome: Completion | BackendError) -> Completion:
    if isinstance(outcome, BackendError):
        raise outcome
    return outcome
