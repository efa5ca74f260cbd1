"""The journal of calls: what came back is safe on the disk before anyone uses it, so that no call is paid for twice.

One thread writes. Outcomes that arrive while a commit is under way share the next one (group commit), so with many calls in
flight a call's share of waiting for the disk is small, and the event loop never waits for it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request
from contagium.agents.backends.budget import Spent
from contagium.agents.backends.journal_file import (
    JournalError,
    Reader,
    Row,
    inherit,
    insert,
    open_to_write,
    plainly,
    put,
    transaction,
    verify,
)

__all__ = ["Journal", "JournalError", "inherit", "verify"]

T = TypeVar("T")
WORTH_SHARING = frozenset({"stop", "length"})
"""Why a reply ended, for those that a cache may hand to other runs: a refusal there may be an answer here, and so may nothing."""


class Journal:
    """What was asked and what came back, in a file beside the event log.

    path: the file; made if it is not there. cache: another journal that many runs may share, at the same time too. What is
    found there is copied into `path`, which therefore holds all that the run used; replies paid for go into both, but no
    refusals, filtered or empty replies and failures. Raises JournalError whenever a file cannot be written or read; after a
    failed write it takes no more.

    spent: what was sent and charged so far, by model, by all that ever wrote to `path`; read when it is entered. The run's
    budget goes on counting in it (`Budget.begin`), also what never becomes a row: tries whose call ended the run, replies lost,
    calls still under way. It is written with every commit and on leaving. What came from a cache costs nothing.
    """

    def __init__(self, path: Path, *, cache: Path | None = None) -> None:
        self.path = path
        self.cache = cache
        self.under_way: dict[str, asyncio.Task[Completion]] = {}
        """Calls that are being made, by key, so that two that are equal are made once."""
        self.commits = 0
        self.spent: dict[str, Spent] = {}
        self._written: dict[str, Spent] = {}
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

    def recall(self, key: str) -> Completion | BackendError | None:
        """What became of a call, None if that is not known. JournalError also when nothing can be kept any more."""
        if self._broken is not None:
            raise JournalError(self._broken)
        return self._reader.find(key) if bytes.fromhex(key) in self._known else None

    def borrow(self, key: str) -> Completion | None:
        """What another run was answered, with no try of this one; None without a cache or if it is not there."""
        found = None if self._shared_reader is None else self._shared_reader.find(key)
        return replace(found, attempts=0, faults=()) if isinstance(found, Completion) and _worth_sharing(found) else None

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
        """Keep what a replay needs to know of a model, here and in the cache, which can be replayed too."""
        await self._in_thread(self._set, f"model {model}", {"prompt_form": prompt_form, "concurrency": concurrency})

    async def forget_failures(self, from_step: int) -> None:
        """Give failed calls of this step and later ones another try. What they cost stays in `spent`."""
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
                    self._known.add(bytes.fromhex(row.key))
                if future.done():  # its call was cancelled
                    continue
                if self._broken is None:
                    future.set_result(None)
                else:
                    future.set_exception(JournalError(self._broken))
        self._writing = None

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    # All below runs in the writing thread.

    def _open(self) -> None:
        self._shared: sqlite3.Connection | None = None
        self._shared_reader: Reader | None = None
        with ExitStack() as opened:
            self._own = opened.enter_context(closing(open_to_write(self.path)))
            self._reader = opened.enter_context(closing(Reader(self.path, live=True)))
            if self.cache is not None:
                self._shared = opened.enter_context(closing(open_to_write(self.cache)))
                self._shared_reader = opened.enter_context(closing(Reader(self.cache, live=True)))
            with plainly("read", self.path):
                self._known = {bytes.fromhex(key) for (key,) in self._own.execute("SELECT key FROM call")}
            self._written = {model: Spent(**counts) for model, counts in self._reader.meta().get("spent", {}).items()}
            self.spent = dict(self._written)
            opened.pop_all()  # all is well: they stay open until the journal is left

    def _close(self) -> None:
        try:
            if self.spent != self._written:
                self._commit([])
        except JournalError:
            if self._broken is None:  # otherwise it was said before
                raise
        finally:
            self._close_files()

    def _close_files(self) -> None:
        self._reader.close()
        # A file that stands alone can be read where nothing may be written. Without room for that the log beside it is read.
        with suppress(sqlite3.Error):
            self._own.execute("PRAGMA journal_mode=DELETE")
        self._own.close()
        if self._shared is not None and self._shared_reader is not None:
            self._shared_reader.close()
            self._shared.close()

    def _write(self, rows: Sequence[Row]) -> None:
        self._commit(rows)
        if self._shared is not None and self.cache is not None:
            with transaction(self._shared, self.cache):
                insert(self._shared, [row for row in rows if row.paid and _worth_sharing(row.read())])

    def _commit(self, rows: Sequence[Row]) -> None:
        """Rows, and with them all that was spent by now."""
        self.commits += 1
        spent = self.spent.copy()  # at once: the event loop goes on counting
        with transaction(self._own, self.path):
            insert(self._own, rows)
            if spent != self._written:
                put(self._own, "spent", {model: vars(counts) for model, counts in spent.items()})
        self._written = spent

    def _set(self, key: str, value: object) -> None:
        with transaction(self._own, self.path):
            put(self._own, key, value)
        if self._shared is not None and self.cache is not None:
            with transaction(self._shared, self.cache):
                put(self._shared, key, value)

    def _forget(self, from_step: int) -> None:
        with transaction(self._own, self.path):
            self._own.execute("DELETE FROM call WHERE outcome = 'failed' AND step >= ?", (from_step,))


def _worth_sharing(outcome: Completion | BackendError) -> bool:
    """Whether another run may be answered this."""
    return isinstance(outcome, Completion) and outcome.stop in WORTH_SHARING and bool(outcome.text.strip())
