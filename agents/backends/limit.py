"""A limit on calls in flight."""

from __future__ import annotations

import asyncio

from contagium.agents.backends.backend import Backend, Completion, Request
from contagium.agents.backends.wrapper import Wrapper


class Limited(Wrapper):
    """Lets at most `concurrency` calls through at once; the others wait their turn in order."""

    def __init__(self, backend: Backend, concurrency: int) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {concurrency}")
        super().__init__(backend)
        self._free = asyncio.Semaphore(concurrency)

    async def complete(self, request: Request) -> Completion:
        async with self._free:
            return await self.backend.complete(request)
