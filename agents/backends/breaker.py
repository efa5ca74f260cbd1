"""A circuit breaker: while the server is down everybody waits, and one call after another tries whether it is back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper

DOWN = frozenset({"connection", "reset", "timeout", "server_error", "unavailable"})
"""What calls to a server that is down fail of. Any other answer, be it a refusal, is a sign of life."""
OURS = frozenset({"budget", "stopped"})
"""What calls fail of that were never sent, which says nothing of the server."""


class Breaking(Wrapper):
    """Holds all calls back while the server is down.

    trip: faults without a sign of life between them after which it counts as down. While it does, one call at a time is let
    through, first after first_pause seconds, then after pauses that double up to longest_pause; such a call's failures are kept
    in its faults but are not its last word. A sign of life frees everybody. After patience seconds without one, every call
    fails for good. notice: told in a line when the wait begins and ends. alive: whether part of the server still answers, as a
    pool knows; then nobody waits.
    """

    def __init__(
        self,
        backend: Backend,
        trip: int = 8,
        first_pause: float = 1.0,
        longest_pause: float = 30.0,
        patience: float = 300.0,
        notice: Callable[[str], None] = lambda line: None,
        alive: Callable[[], bool] = lambda: False,
    ) -> None:
        if trip < 1:
            raise ValueError(f"trip must be at least 1, got {trip}")
        if not 0 < first_pause <= longest_pause:
            raise ValueError(f"first_pause must be above 0 and at most longest_pause ({longest_pause}), got {first_pause}")
        if not patience >= 0:
            raise ValueError(f"patience must be at least 0, got {patience}")
        super().__init__(backend)
        self._trip, self._first_pause, self._longest_pause, self._patience = trip, first_pause, longest_pause, patience
        self._notice, self._alive = notice, alive
        self._faults = 0  # since the last sign of life
        self._since = 0.0  # when the first of them came
        self._open = False  # as a circuit: nothing passes but tries
        self._pause = first_pause
        self._timer: asyncio.TimerHandle | None = None
        self._due = False  # a call may try now, but none was waiting
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._end: BackendError | None = None  # why nobody waits any longer

    async def complete(self, request: Request) -> Completion:
        faults: tuple[str, ...] = ()
        while True:
            trying = self._open and await self._turn(first=bool(faults))
            if self._end is not None:
                raise self._gone(self._end, faults)
            try:
                completion = await self.backend.complete(request)
            except BackendError as error:
                faults += error.faults
                if not self._goes_again(error, trying):
                    error.faults, error.attempts = faults, len(faults)
                    raise
            except asyncio.CancelledError:
                if trying and self._open:
                    self._schedule(0.0)  # another call tries
                raise
            else:
                self._lives()
                tries = len(faults) + completion.attempts
                return replace(completion, attempts=tries, faults=faults + completion.faults) if faults else completion

    async def _turn(self, first: bool) -> bool:
        """Wait until the circuit is closed, or until this call is the one to try; whether it is."""
        if self._due:
            self._due = False
            return True
        place = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.result() and self._open:
                self._schedule(0.0)
            raise

    def _goes_again(self, error: BackendError, trying: bool) -> bool:
        """Take note of a failure; whether the call that met it, a try, goes again when its turn comes."""
        trying = trying and self._open
        if error.reason not in DOWN:
            if error.reason not in OURS:
                self._lives()
            elif trying:
                self._schedule(0.0)
            return False
        now = asyncio.get_running_loop().time()
        self._faults += 1
        if self._faults == 1:
            self._since = now
        waited = now - self._since
        if trying and waited >= self._patience:
            self._end = error
            self._free()
        elif trying:
            self._pause = min(2 * self._pause, self._longest_pause)
            self._schedule(min(self._pause, self._patience - waited))
        elif not self._open and self._faults >= self._trip and not self._alive():
            self._open, self._pause = True, self._first_pause
            self._schedule(self._pause)
            said = f"no answer from {self.model} for {waited:.1f} s ({self._faults} failures in a row, the last: {error})"
            self._notice(f"{said}: everyone waits; next try in {self._pause:g} s")
        return trying

    def _schedule(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._let_one_try)

    def _let_one_try(self) -> None:
        self._timer = None
        while self._waiting:
            place = self._waiting.popleft()
            if not place.cancelled():
                place.set_result(True)
                return
        self._due = True

    def _lives(self) -> None:
        self._faults = 0
        if self._open:
            seconds = asyncio.get_running_loop().time() - self._since
            self._notice(f"{self.model} answers again after {seconds:.1f} s: everyone goes on")
            self._free()

    def _free(self) -> None:
        self._open = self._due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for place in self._waiting:
            if not place.cancelled():
                place.set_result(False)
        self._waiting.clear()

    def _gone(self, last: BackendError, faults: tuple[str, ...]) -> BackendError:
        message = f"{self.model} was down for more than {self._patience:g} s; the last try: {last}"
        return BackendError(message, reason=last.reason, fatal=True, faults=faults, attempts=max(1, len(faults)))
