"""Requests and tokens per minute, where the server's limits are known."""

from __future__ import annotations

import asyncio

from contagium.agents.backends.backend import Backend, Completion, Request
from contagium.agents.backends.wrapper import Wrapper

MINUTE = 60.0
TOLERANCE = 0.1
"""Seconds a call may come early, so that what a sleep oversleeps is not lost."""
BYTES_PER_TOKEN = 4


class Rated(Wrapper):
    """Spaces calls evenly, in order, so that no minute holds more than so many requests or tokens; None: no such limit.

    A call's tokens are guessed before it (a token is 4 bytes of the prompt; the reply takes all of its max_tokens) and set right
    after it, where the server counts them. Source: the generic cell rate algorithm, ITU-T I.371.
    """

    def __init__(
        self, backend: Backend, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        super().__init__(backend)
        self._requests = _Pace("requests_per_minute", requests_per_minute)
        self._tokens = _Pace("tokens_per_minute", tokens_per_minute)
        self._first = asyncio.Lock()  # first come, first served

    async def complete(self, request: Request) -> Completion:
        guess = guessed_tokens(request)
        loop = asyncio.get_running_loop()
        async with self._first:
            wait = max(self._requests.due, self._tokens.due) - loop.time()
            if wait > TOLERANCE:
                await asyncio.sleep(wait - TOLERANCE)
            self._requests.take(1, loop.time())
            self._tokens.take(guess, loop.time())
        completion = await self.backend.complete(request)
        if completion.prompt_tokens is not None and completion.completion_tokens is not None:
            self._tokens.correct(completion.prompt_tokens + completion.completion_tokens - guess)
        return completion


def guessed_tokens(request: Request) -> int:
    """Tokens a call is likely to take at most."""
    prompt = sum(len(turn.content.encode(errors="replace")) for turn in request.messages)
    return -(-prompt // BYTES_PER_TOKEN) + request.sampling.max_tokens


class _Pace:
    """How much may pass. due: the time, in the loop's seconds, at which all that passed so far would have come evenly."""

    def __init__(self, name: str, per_minute: float | None) -> None:
        if per_minute is not None and not per_minute > 0:
            raise ValueError(f"{name} must be above 0, got {per_minute}")
        # Coming early puts a tolerance more into a minute, which is spread over it; the second one is for rounding.
        self._seconds = 0.0 if per_minute is None else (MINUTE + 2 * TOLERANCE) / per_minute
        self.due = 0.0

    def take(self, amount: float, now: float) -> None:
        self.due = max(self.due, now) + amount * self._seconds

    def correct(self, amount: float) -> None:
        self.due += amount * self._seconds
