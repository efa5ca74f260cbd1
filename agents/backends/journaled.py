"""A backend that makes no call twice, by way of the journal."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Protocol, Self

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.wrapper import Wrapper

ASKED_AGAIN = frozenset({"budget", "stopped"})
"""Reasons of failures that say nothing about the call itself."""


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
        await asyncio.wait([task])  # which, unlike awaiting it, leaves the call alone when the caller is cancelled
        if task.cancelled():  # on leaving
            raise BackendError("the run ended before the call was answered", reason="stopped", fatal=True)
        return task.result()

    def _start(self, request: Request, key: str, canonical: bytes) -> asyncio.Task[Completion]:
        task = asyncio.create_task(self._call(request, key, canonical))

        def done(_: object) -> None:
            self._tasks.discard(task)
            del self.journal.under_way[key]
            if not task.cancelled():
                task.exception()  # looked at: where every caller was cancelled, nobody else does

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
