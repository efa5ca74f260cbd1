"""Another try for calls that failed in a way that may pass."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper


class Retrying(Wrapper):
    """Backend that asks `backend` again when it fails with a retryable error.

    attempts: tries in all, at least 1. base_delay: seconds before the second try; doubled each time, times a factor
    in [0.5, 1.5) that spreads callers and depends on the request alone. max_delay: longest wait in seconds; where the
    server asks for a longer one the call fails at once.
    """

    def __init__(self, backend: Backend, attempts: int = 4, base_delay: float = 0.5, max_delay: float = 60.0) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        if not 0 <= base_delay <= max_delay:
            raise ValueError(f"base_delay must be between 0 and max_delay ({max_delay}), got {base_delay}")
        super().__init__(backend)
        self.attempts = attempts
        self.base_delay = base_delay
        self.max_delay = max_delay

    async def complete(self, request: Request) -> Completion:
        attempt = 1
        while True:
            try:
                return replace(await self.backend.complete(request), attempts=attempt)
            except BackendError as error:
                delay = self.delay(request, attempt, error)
                if attempt == self.attempts or not error.retryable or delay > self.max_delay:
                    raise
            attempt += 1
            await asyncio.sleep(delay)

    def delay(self, request: Request, attempt: int, error: BackendError) -> float:
        """Seconds to wait after try number `attempt` failed with `error`."""
        digits = int(request.key(f"{self.model} try {attempt}")[:8], 16)
        delay = min(self.base_delay * 2 ** (attempt - 1) * (0.5 + digits / 2**32), self.max_delay)
        return max(delay, error.retry_after or 0.0)
