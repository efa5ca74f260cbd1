"""Requests and tokens per minute, where the server's limits are known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contagium.agents.backends.backend import Completion, Request

MINUTE = 60.0
TOLERANCE = 0.1
"""Seconds a call may come early, so that what a timer oversleeps is not lost."""
BYTES_PER_TOKEN = 4


class Pace:
    """Spaces calls evenly, so that no minute holds more than so many requests or tokens; None: no such limit.

    It is shared by all endpoints of a model, which take from it in turn, each right before it sends. A call's tokens are guessed
    before it (a token is 4 bytes of the prompt; the reply takes all of its max_tokens) and set right after it, where the server
    counts them. Source: the generic cell rate algorithm, ITU-T I.371.
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        self._requests = _Cells("requests_per_minute", requests_per_minute)
        self._tokens = _Cells("tokens_per_minute", tokens_per_minute)
        self._waiting: dict[Callable[[], None], None] = {}  # a set in order
        self._timer: asyncio.TimerHandle | None = None

    def takes(self, request: Request, later: Callable[[], None]) -> bool:
        """Whether a call may go now, which is then counted. If not, `later` is called once, when one may."""
        now = asyncio.get_running_loop().time()
        if self._wait(now) > 0:
            self._waiting.setdefault(later)
            self._schedule(now)
            return False
        self._requests.take(1, now)
        self._tokens.take(guessed_tokens(request), now)
        return True

    def correct(self, request: Request, completion: Completion) -> None:
        """Put what a call really took for what was guessed."""
        if completion.prompt_tokens is not None and completion.completion_tokens is not None:
            self._tokens.correct(completion.prompt_tokens + completion.completion_tokens - guessed_tokens(request))
            if self._timer is not None:  # it may go off sooner now
                self._timer.cancel()
                self._timer = None
                self._schedule(asyncio.get_running_loop().time())

    def _wait(self, now: float) -> float:
        return max(self._requests.due, self._tokens.due) - TOLERANCE - now

    def _schedule(self, now: float) -> None:
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait(now), self._go)

    def _go(self) -> None:
        """Let those who wait go in turn. One that cannot, such as an endpoint held back since, costs the others nothing."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._wait(now) <= 0:
            first = next(iter(self._waiting))
            del self._waiting[first]
            first()
        self._schedule(now)


def guessed_tokens(request: Request) -> int:
    """Tokens a call is likely to take at most."""
    prompt = sum(len(turn.content.encode(errors="replace")) for turn in request.messages)
    return -(-prompt // BYTES_PER_TOKEN) + request.sampling.max_tokens


class _Cells:
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
