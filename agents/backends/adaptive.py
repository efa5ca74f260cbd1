"""A limit on calls in flight that finds by itself how many an endpoint bears, and where calls are paced."""

from __future__ import annotations

import asyncio
from collections import deque

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.rate import Pace
from contagium.agents.backends.wrapper import Wrapper

CUTS = {"rate_limit": 0.8, "unavailable": 0.8, "timeout": 0.5}
"""What the limit is multiplied by when an endpoint says that it is too much.

A timeout costs the whole wait and comes late, so it is answered as TCP answers a loss (RFC 5681); a refusal costs nothing and
comes at once, so a small step is enough.
"""
FIRST_CUT = 0.5
"""The first cut ends a doubling, which may have overshot by up to a factor of two."""
LONGEST_HOLD = 60.0
"""Seconds for which an endpoint may hold everybody back. Calls after it are refused in turn, which is counted and shown."""


class Adaptive(Wrapper):
    """Lets as many calls through at once as the endpoint bears; the others wait their turn in order.

    start: limit at first. most: largest limit, None for the backend's `concurrency`. For each success of a call that had to
    wait, or during which others had to, it rises by one, so doubles each round trip, until the first cut; from then on by one
    a round trip (additive increase, multiplicative decrease, which is fair among clients: Chiu & Jain 1989). It is cut at most
    once a round trip: only for calls begun after the last cut. A wait that an overloaded endpoint asks for holds all new calls
    back, for 60 s at most. pace: asked right before a call is sent, after every other wait; None for as fast as may be.
    """

    def __init__(self, backend: Backend, start: int = 64, most: int | None = None, pace: Pace | None = None) -> None:
        for name, value in (("start", start), ("most", most), ("concurrency", backend.concurrency)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        super().__init__(backend)
        self._most = backend.concurrency if most is None else most
        self._pace = pace
        self._limit = float(min(start, self._most))
        self._doubling = True
        self._begun = self._begun_at_cut = self._begun_when_full = 0
        self._outstanding = 0
        self._queue: deque[tuple[asyncio.Future[None], Request]] = deque()
        self._held: asyncio.TimerHandle | None = None

    @property
    def concurrency(self) -> int:
        return self._most

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, at least 1."""
        return int(self._limit)

    @property
    def outstanding(self) -> int:
        """Calls in flight."""
        return self._outstanding

    @property
    def waiting(self) -> int:
        """Calls that wait their turn."""
        return len(self._queue)

    @property
    def held(self) -> bool:
        """Whether the endpoint asked for a wait that is not over."""
        return self._held is not None

    async def complete(self, request: Request) -> Completion:
        waits = self.held or self._outstanding >= self.limit  # not if it is for the pace alone: that says nothing of the limit
        if waits:
            self._begun_when_full = self._begun
        await self._turn(request)
        self._begun = number = self._begun + 1
        try:
            completion = await self.backend.complete(request)
            if waits or number <= self._begun_when_full:
                self._raise()
            if self._pace is not None:
                self._pace.correct(request, completion)
            return completion
        except BackendError as error:
            self._cut(error, number)
            raise
        finally:
            self._leave()

    async def _turn(self, request: Request) -> None:
        place = asyncio.get_running_loop().create_future()
        self._queue.append((place, request))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._leave()  # the turn had come, but nobody takes it
            raise

    def _leave(self) -> None:
        self._outstanding -= 1
        self._admit()

    def _admit(self) -> None:
        """Give out the free turns. One that is given counts as outstanding at once, so that nobody slips in between."""
        while self._queue and not self.held and self._outstanding < self.limit:
            place, request = self._queue[0]
            if not place.cancelled():
                if self._pace is not None and not self._pace.takes(request, later=self._admit):
                    return
                self._outstanding += 1
                place.set_result(None)
            self._queue.popleft()

    def _raise(self) -> None:
        if self._limit < self._most:
            self._limit = min(self._most, self._limit + (1.0 if self._doubling else 1.0 / self._limit))

    def _cut(self, error: BackendError, number: int) -> None:
        factor = CUTS.get(error.reason)
        if factor is None:
            return
        if number > self._begun_at_cut:
            self._limit = max(1.0, self._limit * (min(factor, FIRST_CUT) if self._doubling else factor))
            self._doubling, self._begun_at_cut = False, self._begun
        if error.retry_after:
            self._hold(min(error.retry_after, LONGEST_HOLD))

    def _hold(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._held is not None:
            until = max(until, self._held.when())
            self._held.cancel()
        self._held = loop.call_at(until, self._let_go)

    def _let_go(self) -> None:
        self._held = None
        self._admit()
