"""A limit on how long a call may take."""

from __future__ import annotations

import asyncio

from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper


class Timed(Wrapper):
    """Gives a call up, with reason "timeout", after the seconds that `backend.timeout` allows. It is the only clock of a call."""

    async def complete(self, request: Request) -> Completion:
        seconds = self.backend.timeout
        try:
            async with asyncio.timeout(seconds):
                return await self.backend.complete(request)
        except TimeoutError as error:
            message = f"{self.model} gave no reply within {seconds:g} s"
            raise BackendError(message, reason="timeout", retryable=True, latency=seconds) from error
