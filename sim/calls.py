"""A backend that keeps the books: every call, what became of it, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper


@dataclass(frozen=True)
class Call:
    """One call and its outcome. status: "ok", or "failed" with a reason; then there are no tokens and no latency."""

    request: Request
    model: str
    status: str
    reason: str | None
    completion: Completion | None

    def row(self) -> tuple[object, ...]:
        """As a row of the log's table `call`."""
        done = self.completion
        request = self.request
        return (
            request.step,
            request.agent,
            request.purpose,
            self.model,
            self.status,
            self.reason if done is None else done.stop,
            done and done.prompt_tokens,
            done and done.completion_tokens,
            done and done.attempts,
            done and done.latency,
            request.key(self.model),
        )


class Recorded(Wrapper):
    """Passes calls on and remembers them until they are taken."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._calls: list[Call] = []
        self.done = 0
        self.tokens = 0

    async def complete(self, request: Request) -> Completion:
        try:
            completion = await self.backend.complete(request)
        except BackendError as error:
            self._calls.append(Call(request, self.model, "failed", error.reason, None))
            raise
        self._calls.append(Call(request, self.model, "ok", None, completion))
        self.done += 1
        self.tokens += completion.completion_tokens
        return completion

    def take(self) -> list[Call]:
        """The calls since the last `take`, ordered by agent and purpose, not by the accident of who was answered first."""
        calls, self._calls = self._calls, []
        return sorted(calls, key=lambda c: (c.request.agent, c.request.purpose, c.request.replicate))
