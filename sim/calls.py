"""A backend that keeps the books: every call, what became of it, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper

INTERVIEW = "interview"
"""Calls whose purpose begins so were asked out of band and are logged apart, with the answer."""


@dataclass(frozen=True)
class Call:
    """One call and its outcome: a completion, or the error it ended with."""

    request: Request
    model: str
    outcome: Completion | BackendError

    @property
    def interview(self) -> bool:
        return self.request.purpose.startswith(INTERVIEW)

    def row(self) -> tuple[object, ...]:
        """As a row of the log's table `call`. A failed call has no tokens, and its latency is that of all its tries."""
        request, done = self.request, self.outcome
        known = request.step, request.agent, request.purpose, self.model
        tried = done.attempts, ",".join(done.faults), done.latency
        if isinstance(done, BackendError):
            return (*known, "failed", done.reason, None, None, *tried, None, None, None, request.key(self.model))
        tokens = done.prompt_tokens, done.completion_tokens
        by = done.model, done.fingerprint, done.endpoint or None
        return (*known, "ok", done.stop, *tokens, *tried, *by, request.key(self.model))


class Recorded(Wrapper):
    """Passes calls on and remembers them until they are taken."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._calls: dict[int, list[Call]] = {}
        self.done = 0

    async def complete(self, request: Request) -> Completion:
        calls = self._calls.setdefault(request.step, [])
        try:
            completion = await self.backend.complete(request)
        except BackendError as error:
            calls.append(Call(request, self.model, error))
            raise
        calls.append(Call(request, self.model, completion))
        self.done += 1
        return completion

    def take(self, step: int) -> list[Call]:
        """The calls made for `step`, ordered by agent and purpose, not by the accident of who was answered first."""
        calls = self._calls.pop(step, [])
        return sorted(calls, key=lambda c: (c.request.agent, c.request.purpose, c.request.replicate))
