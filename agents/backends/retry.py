"""Another try for calls that failed in a way that may pass."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper


class Retrying(Wrapper):
    """Backend that asks `backend` again when it fails with a retryable error.

    attempts: tries in all, at least 1. base_delay: seconds before the second try; doubled each time, times a factor
    in [0.5, 1.5) that spreads callers and depends on the request alone. max_delay: longest such delay in seconds.
    longest_wait: the longest one that a server may ask for, in seconds; where it asks for more the call fails at once.

    What comes of a call, completion or error, says how many tries it took and what the failed ones failed of.
    """

    def __init__(
        self,
        backend: Backend,
        attempts: int = 5,
        base_delay: float = 0.5,
        max_delay: float = 60.0,
        longest_wait: float = 300.0,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {attempts}")
        if not 0 <= base_delay <= max_delay:
            raise ValueError(f"base_delay must be between 0 and max_delay ({max_delay}), got {base_delay}")
        if not longest_wait >= 0:
            raise ValueError(f"longest_wait must be at least 0, got {longest_wait}")
        super().__init__(backend)
        self.attempts = attempts
        self.base_delay = base_delay
        self.max_delay = max_delay
        self.longest_wait = longest_wait

    async def complete(self, request: Request) -> Completion:
        began = time.perf_counter()
        faults: tuple[str, ...] = ()  # may be more than one a try: the breaker's probes do not use up tries
        tries = 0
        for attempt in range(1, self.attempts + 1):
            try:
                completion = await self.backend.complete(request)
            except BackendError as error:
                faults, tries = faults + error.faults, tries + error.attempts
                error.faults, error.attempts, error.latency = faults, tries, time.perf_counter() - began
                if error.retryable and (error.retry_after or 0.0) > self.longest_wait:
                    said = f"it asks for a wait of {error.retry_after:g} s, longer than the {self.longest_wait:g} s allowed"
                    error.args = (f"{error}; {said}",)
                    raise
                if attempt == self.attempts or not error.retryable:
                    raise
                delay = self.delay(request, attempt, error)
            else:
                if not tries:
                    return completion
                return replace(completion, attempts=tries + completion.attempts, faults=faults + completion.faults)
            await asyncio.sleep(delay)
        raise AssertionError("the last try returns or raises")

    def delay(self, request: Request, attempt: int, error: BackendError) -> float:
        """Seconds to wait after try number `attempt` failed with `error`."""
        digits = int(request.key(f"{self.model} try {attempt}")[:8], 16)
        delay = min(self.base_delay * 2 ** (attempt - 1) * (0.5 + digits / 2**32), self.max_delay)
        return max(delay, error.retry_after or 0.0)
