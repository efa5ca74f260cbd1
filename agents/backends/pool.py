"""Several endpoints of one model as one backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.breaker import DOWN, OURS
from contagium.agents.backends.wrapper import Wrapper


class _Door:
    """An endpoint and how it does. due: when it is tried again, None while it is in use."""

    def __init__(self, backend: Adaptive, name: str) -> None:
        self.backend = backend
        self.name = name
        self.entered = False
        self.opening = asyncio.Lock()
        self.faults = 0  # since its last sign of life
        self.pause = 0.0
        self.due: float | None = None
        self.trying = False
        self.mistake = ""  # the last one said

    @property
    def load(self) -> tuple[bool, float]:
        """Whether it is held back; calls it has, one more included, for each that it bears at once."""
        return self.backend.held, (self.backend.outstanding + self.backend.waiting + 1) / self.backend.limit


class Pool(Wrapper):
    """Sends each call to the endpoint with the fewest calls for what it bears; among equals to each in turn. One that asked for a
    wait comes after those that did not.

    An endpoint is set aside after `aside_after` faults without a sign of life between them, or when it cannot be reached at the
    start while another can. After first_pause seconds, then after pauses that double up to longest_pause, one call tries it. If
    all are aside, the one due first is used. One that could not be reached at the start stays aside until it can be entered;
    that it cannot is no call's failure, another answers it. notice: told in a line what is set aside and what is back.
    """

    def __init__(
        self,
        doors: Sequence[Adaptive],
        aside_after: int = 3,
        first_pause: float = 1.0,
        longest_pause: float = 60.0,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not doors:
            raise ValueError("a pool needs at least one endpoint, got none")
        for name in ("model", "prompt_form"):
            if len(found := {getattr(door, name) for door in doors}) > 1:
                raise ValueError(f"all endpoints must have the same {name}, got {', '.join(sorted(found))}")
        if aside_after < 1:
            raise ValueError(f"aside_after must be at least 1, got {aside_after}")
        if not 0 < first_pause <= longest_pause:
            raise ValueError(f"first_pause must be above 0 and at most longest_pause ({longest_pause}), got {first_pause}")
        super().__init__(doors[0])
        self._doors = [_Door(door, f"endpoint {place} of {len(doors)}") for place, door in enumerate(doors, 1)]
        self._aside_after, self._first_pause, self._longest_pause = aside_after, first_pause, longest_pause
        self._notice = notice
        self._last = 0

    @property
    def concurrency(self) -> int:
        return sum(door.backend.concurrency for door in self._doors)

    def alive(self) -> bool:
        """Whether an endpoint is in use."""
        return any(door.due is None for door in self._doors)

    async def __aenter__(self) -> Self:
        try:
            opened = await asyncio.gather(*map(self._enter, self._doors), return_exceptions=True)
        except asyncio.CancelledError:
            await self.__aexit__()
            raise
        failures = [failure for failure in opened if failure is not None]
        # A wrong key or model is a mistake to mend, not an endpoint that may come back.
        mistakes = [failure for failure in failures if not isinstance(failure, BackendError) or failure.reason not in DOWN]
        if mistakes or len(failures) == len(self._doors):
            await self.__aexit__()
            raise (mistakes or failures)[0]
        for door, failure in zip(self._doors, opened, strict=True):
            if isinstance(failure, BackendError):
                self._set_aside(door, failure)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for door in self._doors:
            if door.entered:
                door.entered = False
                await door.backend.__aexit__(*exc)

    async def complete(self, request: Request) -> Completion:
        door = self._choose()
        if not door.entered and not await self._enters_late(door):
            door = self._choose(late=False)
        trying = door.due is not None and not door.trying
        door.trying |= trying
        try:
            completion = await door.backend.complete(request)
        except BackendError as error:
            if error.reason in DOWN:
                self._failed(door, error, trying)
            elif error.reason not in OURS:
                self._lives(door)
            raise
        finally:
            if trying:
                door.trying = False
        self._lives(door)
        return completion

    def _choose(self, late: bool = True) -> _Door:
        """The endpoint for a call. late: it may be one that is still to be entered. At least one was at the start."""
        self._last += 1
        count = len(self._doors)
        rotated = [self._doors[(self._last + place) % count] for place in range(count)]
        now = asyncio.get_running_loop().time()
        for door in rotated:
            if door.due is not None and door.due <= now and not door.trying and (late or door.entered):
                return door
        in_use = [door for door in rotated if door.due is None]
        if in_use:
            return min(in_use, key=lambda door: door.load)
        return min((door for door in rotated if door.entered), key=lambda door: door.due or 0.0)

    async def _enter(self, door: _Door) -> None:
        async with door.opening:
            if not door.entered:
                await door.backend.__aenter__()
                door.entered = True

    async def _enters_late(self, door: _Door) -> bool:
        """Whether an endpoint that could not be reached at the start can be now."""
        door.trying = True
        try:
            await self._enter(door)
        except BackendError as error:
            if error.reason not in DOWN and str(error) != door.mistake:
                door.mistake = str(error)
                self._notice(f"{door.name} stays set aside: {error}")
            self._set_aside(door, error)
            return False
        finally:
            door.trying = False
        return True

    def _failed(self, door: _Door, error: BackendError, trying: bool) -> None:
        door.faults += 1
        if trying or (door.due is None and door.faults >= self._aside_after):
            self._set_aside(door, error)

    def _set_aside(self, door: _Door, error: BackendError) -> None:
        if door.due is None:
            self._notice(f"{door.name} is set aside, the others go on: {error}")
        door.pause = min(2 * door.pause, self._longest_pause) if door.pause else self._first_pause
        door.due = asyncio.get_running_loop().time() + door.pause

    def _lives(self, door: _Door) -> None:
        if door.due is not None:
            self._notice(f"{door.name} is back")
        door.faults, door.pause, door.due = 0, 0.0, None
