"""Requests and tokens per minute."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import Backend, BackendError, Completion, Request, Sampling, Turn
from contagium.agents.backends.budget import Budget
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.rate import Pace, guessed_tokens
from contagium.agents.backends.stack import CallRules, assemble

HELLO = Request((Turn("user", "Hello"),), Sampling(max_tokens=8))  # guessed: 2 + 8 tokens


class Clocked(Parrot):
    """Keeps when each call came, and counts so many tokens for each."""

    def __init__(self, prompt_tokens: int | None = 2, completion_tokens: int | None = 8) -> None:
        super().__init__()
        self.tokens = prompt_tokens, completion_tokens
        self.asked: list[float] = []
        self.order: list[int] = []

    async def complete(self, request: Request) -> Completion:
        self.asked.append(asyncio.get_running_loop().time())
        self.order.append(request.seed)
        prompt, completion = self.tokens
        return replace(await super().complete(request), prompt_tokens=prompt, completion_tokens=completion)


def rated(backend: Backend, **limits: float) -> Adaptive:
    return Adaptive(backend, pace=Pace(**limits))


async def ask(backend: Backend, count: int) -> None:
    await asyncio.gather(*(backend.complete(replace(HELLO, seed=seed)) for seed in range(count)))


def busiest_minute(asked: list[float]) -> int:
    return max(sum(start <= at < start + 60 for at in asked) for start in asked)


@pytest.mark.parametrize("per_minute", [30, 600])
def test_requests_are_spaced_evenly_and_in_order(per_minute: int, in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()
    in_no_time(ask(rated(backend, requests_per_minute=per_minute), 2 * per_minute))
    gaps = [later - sooner for sooner, later in zip(backend.asked[2:], backend.asked[3:], strict=False)]
    assert gaps == pytest.approx([60.2 / per_minute] * len(gaps))
    assert backend.order == sorted(backend.order)
    assert 0.99 * per_minute <= busiest_minute(backend.asked) <= per_minute


def test_idle_time_is_not_saved_up(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()

    async def run() -> None:
        paced = rated(backend, requests_per_minute=60)
        await ask(paced, 1)
        await asyncio.sleep(600)
        await ask(paced, 120)

    in_no_time(run())
    assert busiest_minute(backend.asked) <= 60


def test_tokens_are_spaced_by_what_a_call_may_take(in_no_time: Callable[..., Any]) -> None:
    assert guessed_tokens(HELLO) == 10
    backend = Clocked()
    in_no_time(ask(rated(backend, tokens_per_minute=600), 120))  # 60 calls a minute
    assert 58 <= busiest_minute(backend.asked) <= 60


@pytest.mark.parametrize(("tokens", "calls"), [((2, 3), 120), ((2, 18), 30), ((None, None), 60)])
def test_the_guess_is_set_right_afterwards(
    tokens: tuple[int | None, int | None], calls: int, in_no_time: Callable[..., Any]
) -> None:
    backend = Clocked(*tokens)
    in_no_time(ask(rated(backend, tokens_per_minute=600), 240))
    assert busiest_minute(backend.asked[calls:]) == pytest.approx(calls, rel=0.05)


def test_the_narrower_limit_rules(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()
    in_no_time(ask(rated(backend, requests_per_minute=30, tokens_per_minute=600), 60))
    assert 29 <= busiest_minute(backend.asked) <= 30


def test_a_cancelled_call_lets_the_next_one_go(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()

    async def run() -> None:
        paced = rated(backend, requests_per_minute=60)
        calls = [asyncio.ensure_future(paced.complete(HELLO)) for _ in range(4)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    in_no_time(run())
    assert len(backend.asked) == 3
    assert backend.asked[1] < 1.01


@pytest.mark.parametrize("field", ["requests_per_minute", "tokens_per_minute"])
def test_bad_settings_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be above 0, got 0"):
        Pace(**{field: 0})


class Slow(Clocked):
    """Answers after `takes` seconds, but asks the call with seed 0 to come again in 30 seconds, once."""

    def __init__(self, takes: float, refuses: bool = False) -> None:
        super().__init__()
        self.takes, self.refuses = takes, refuses
        self.flying = self.most = 0

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.flying -= 1
        if self.refuses and request.seed == 0:
            self.refuses = False
            raise BackendError("", reason="rate_limit", retryable=True, retry_after=30.0)
        return completion


def run_paced(endpoints: list[Slow], count: int, in_no_time: Callable[..., Any]) -> list[float]:
    """When the calls of `assemble`d endpoints went out, at 600 a minute."""

    async def run() -> None:
        async with assemble(endpoints, CallRules(requests_per_minute=600), Budget(), None, lambda line: None) as backend:
            await ask(backend, count)

    in_no_time(run())
    return sorted(at for endpoint in endpoints for at in endpoint.asked)


def test_calls_held_back_by_the_server_leave_evenly_and_none_before(in_no_time: Callable[..., Any]) -> None:
    endpoint = Slow(0.95, refuses=True)
    asked = run_paced([endpoint], 400, in_no_time)
    assert len(asked) == 401
    assert not [at for at in asked if 0.96 < at < 30.9]
    assert max(sum(start <= at < start + 1 for at in asked) for start in asked) <= 11


def test_calls_that_queue_for_a_full_server_leave_evenly(in_no_time: Callable[..., Any]) -> None:
    class Batching(Slow):
        """Answers all it has every 20 seconds."""

        async def complete(self, request: Request) -> Completion:
            self.takes = 20.0 - asyncio.get_running_loop().time() % 20.0
            return await super().complete(request)

    asked = run_paced([Batching(0.0)], 600, in_no_time)
    assert max(sum(start <= at < start + 1 for at in asked) for start in asked) <= 11


def test_endpoints_share_one_pace_and_take_turns(in_no_time: Callable[..., Any]) -> None:
    endpoints = [Slow(0.5), Slow(0.5)]
    asked = run_paced(endpoints, 1200, in_no_time)
    assert 0.98 * 600 <= busiest_minute(asked) <= 600
    for endpoint in endpoints:
        first = [at for at in endpoint.asked if at < 30]
        assert len(first) == pytest.approx(150, abs=2)


def test_waiting_for_the_pace_does_not_raise_the_limit(in_no_time: Callable[..., Any]) -> None:
    endpoint = Slow(0.5)
    paced = Adaptive(endpoint, start=16, pace=Pace(requests_per_minute=600))
    in_no_time(ask(paced, 300))
    assert endpoint.most <= 6
    assert paced.limit == 16
