"""The only clock of a call."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from contagium.agents.backends.backend import BackendError, Completion, Request, Turn
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.timed import Timed

HELLO = Request((Turn("user", "Hello"),))


class Slow(Parrot):
    """Takes a second, and may take at most `timeout`."""

    def __init__(self, timeout: float | None) -> None:
        super().__init__()
        self.timeout = timeout

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(1.0)
        return await super().complete(request)


@pytest.mark.parametrize("timeout", [None, 2.0])
def test_who_is_in_time_is_heard(timeout: float | None, in_no_time: Callable[..., Any]) -> None:
    assert in_no_time(Timed(Slow(timeout)).complete(HELLO)).text


def test_who_is_late_is_given_up_and_named_so(in_no_time: Callable[..., Any]) -> None:
    async def run() -> tuple[BackendError, float]:
        with pytest.raises(BackendError, match=r"parrot gave no reply within 0\.5 s") as raised:
            await Timed(Slow(0.5)).complete(HELLO)
        return raised.value, asyncio.get_running_loop().time()

    failure, seconds = in_no_time(run())
    assert (failure.reason, failure.retryable, failure.fatal) == ("timeout", True, False)
    assert seconds == pytest.approx(0.5)


def test_a_cancelled_call_is_no_timeout(in_no_time: Callable[..., Any]) -> None:
    async def run() -> None:
        call = asyncio.ensure_future(Timed(Slow(5.0)).complete(HELLO))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    in_no_time(run())
