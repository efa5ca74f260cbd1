"""The limit that finds by itself how many calls an endpoint bears."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import BackendError, Completion, Request, Turn
from contagium.agents.backends.parrot import Parrot


def call(seed: int) -> Request:
    return Request((Turn("user", "Hello"),), seed=seed)


class Endpoint(Parrot):
    """Answers after a second; fails with `reason` at once or late while more than `bears` calls are in flight."""

    def __init__(self, bears: int = 10**6, reason: str = "rate_limit", retry_after: float | None = None) -> None:
        super().__init__(concurrency=512)
        self.bears, self.reason, self.retry_after = bears, reason, retry_after
        self.flying = 0
        self.seen: list[tuple[float, int]] = []  # when a call came, and how many were there then
        self.order: list[int] = []

    async def complete(self, request: Request) -> Completion:
        self.flying += 1
        self.seen.append((asyncio.get_running_loop().time(), self.flying))
        self.order.append(request.seed)
        fails = self.flying > self.bears
        try:
            await asyncio.sleep(1.0)
            if fails:
                raise BackendError("", reason=self.reason, retryable=True, retry_after=self.retry_after)
            return await super().complete(request)
        finally:
            self.flying -= 1

    def most(self, second: int) -> int:
        return max((flying for at, flying in self.seen if second <= at + 0.01 < second + 1), default=0)


async def ask(adaptive: Adaptive, count: int) -> list[Completion | BaseException]:
    return await asyncio.gather(*(adaptive.complete(call(seed)) for seed in range(count)), return_exceptions=True)


def test_the_limit_doubles_each_round_trip_up_to_the_most(in_no_time: Callable[..., Any]) -> None:
    endpoint = Endpoint()
    adaptive = Adaptive(endpoint, start=2, most=20)
    in_no_time(ask(adaptive, 100))
    assert [endpoint.most(second) for second in range(6)] == [2, 4, 8, 16, 20, 20]
    assert (adaptive.limit, adaptive.outstanding, adaptive.waiting) == (20, 0, 0)


def test_a_crowd_that_asks_together_soon_goes_together(in_no_time: Callable[..., Any]) -> None:
    """A success counts if others had to wait while it was under way, even when nobody waits any more as it returns."""
    endpoint = Endpoint()
    adaptive = Adaptive(endpoint, start=16)
    in_no_time(ask(adaptive, 30))
    assert adaptive.limit >= 30


def test_the_most_is_the_backends_own_unless_said(in_no_time: Callable[..., Any]) -> None:
    adaptive = Adaptive(Parrot(concurrency=3), start=16)
    assert (adaptive.limit, adaptive.concurrency) == (3, 3)


def test_a_limit_that_holds_nobody_back_does_not_rise(in_no_time: Callable[..., Any]) -> None:
    adaptive = Adaptive(Endpoint(), start=16)
    in_no_time(ask(adaptive, 15))
    assert adaptive.limit == 16


def test_who_came_first_goes_first(in_no_time: Callable[..., Any]) -> None:
    endpoint = Endpoint()
    in_no_time(ask(Adaptive(endpoint, start=3), 60))
    assert endpoint.order == list(range(60))


@pytest.mark.parametrize(
    ("reason", "first", "second"), [("rate_limit", 16, 12), ("unavailable", 16, 12), ("timeout", 16, 8), ("reset", 32, 32)]
)
def test_what_a_failure_costs(reason: str, first: int, second: int, in_no_time: Callable[..., Any]) -> None:
    """All calls of a round trip fail: one cut for them all, the first in half."""

    async def run() -> tuple[int, int]:
        adaptive = Adaptive(Endpoint(0, reason), start=32)
        await ask(adaptive, 32)
        once = adaptive.limit
        await ask(adaptive, 16)
        return once, adaptive.limit

    assert in_no_time(run()) == (first, second)


def test_calls_begun_before_a_cut_cut_no_further(in_no_time: Callable[..., Any]) -> None:
    async def run() -> int:
        adaptive = Adaptive(Endpoint(0), start=32)
        early = asyncio.ensure_future(ask(adaptive, 16))
        await asyncio.sleep(0.5)
        late = asyncio.ensure_future(ask(adaptive, 16))  # they fail after the first ones, but began before that
        await early
        await late
        return adaptive.limit

    assert in_no_time(run()) == 16


def test_the_limit_stays_above_nothing(in_no_time: Callable[..., Any]) -> None:
    adaptive = Adaptive(Endpoint(0), start=4)
    in_no_time(ask(adaptive, 40))
    assert adaptive.limit == 1


def test_it_settles_at_what_the_endpoint_bears(in_no_time: Callable[..., Any]) -> None:
    endpoint = Endpoint(bears=20)
    failed = sum(isinstance(outcome, BackendError) for outcome in in_no_time(ask(Adaptive(endpoint, start=16), 1500)))
    assert max(flying for at, flying in endpoint.seen if at > 10) <= 22
    assert failed < 1500 * 0.05
    assert 1500 / 20 <= endpoint.seen[-1][0] < 1500 / 16  # seconds: it keeps at least 16 of the 20 busy


def test_a_wait_it_asks_for_holds_new_calls_back(in_no_time: Callable[..., Any]) -> None:
    async def run() -> list[float]:
        endpoint = Endpoint(bears=1, retry_after=5.0)
        adaptive = Adaptive(endpoint, start=2)
        await ask(adaptive, 2)  # the second is told, at 1 s, to wait for 5 s
        endpoint.bears = 10
        await ask(adaptive, 2)
        return [at for at, _ in endpoint.seen]

    assert in_no_time(run()) == pytest.approx([0.0, 0.0, 6.0, 7.0])  # one at a time: the limit was cut too


def test_of_two_waits_the_longer_holds(in_no_time: Callable[..., Any]) -> None:
    class Asking(Endpoint):
        async def complete(self, request: Request) -> Completion:
            self.seen.append((asyncio.get_running_loop().time(), 1))
            await asyncio.sleep(0)  # both come before either fails
            wait = {0: 5.0, 1: 2.0}.get(request.seed)
            if wait is not None:
                raise BackendError("", reason="rate_limit", retryable=True, retry_after=wait)
            return await Parrot.complete(self, request)

    endpoint = Asking()
    in_no_time(ask(Adaptive(endpoint, start=2), 3))
    assert [at for at, _ in endpoint.seen] == pytest.approx([0.0, 0.0, 5.0])


def test_nobody_is_held_for_more_than_a_minute(in_no_time: Callable[..., Any]) -> None:
    async def run() -> list[float]:
        endpoint = Endpoint(bears=0, retry_after=1e6)
        adaptive = Adaptive(endpoint, start=1)
        await ask(adaptive, 2)
        return [at for at, _ in endpoint.seen]

    assert in_no_time(run()) == pytest.approx([0.0, 61.0])


def test_cancelled_calls_give_their_turns_back(in_no_time: Callable[..., Any]) -> None:
    async def run() -> None:
        endpoint = Endpoint()
        adaptive = Adaptive(endpoint, start=2, most=2)
        calls = [asyncio.ensure_future(adaptive.complete(call(seed))) for seed in range(8)]
        await asyncio.sleep(0.5)
        for one in (calls[0], calls[3]):
            one.cancel()
        await asyncio.sleep(0)
        calls[2].cancel()  # its turn has just come
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, Completion) for outcome in done) == 5
        assert endpoint.most(0) <= 2
        assert (adaptive.outstanding, adaptive.waiting) == (0, 0)

    in_no_time(run())


@pytest.mark.parametrize("field", ["start", "most"])
def test_bad_settings_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Adaptive(Parrot(), **{field: 0})  # type: ignore[arg-type]


def test_a_backend_that_bears_no_call_is_refused() -> None:
    backend = Parrot()
    backend.concurrency = 0
    with pytest.raises(ValueError, match="concurrency must be at least 1, got 0"):
        Adaptive(backend)
    with pytest.raises(ValueError, match="concurrency must be at least 1, got 0"):
        Parrot(concurrency=0)
