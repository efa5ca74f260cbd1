"""Requests and tokens per minute."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contagium.agents.backends.backend import Completion, Request, Sampling, Turn
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.rate import Rated, guessed_tokens

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


async def ask(rated: Rated, count: int) -> None:
    await asyncio.gather(*(rated.complete(replace(HELLO, seed=seed)) for seed in range(count)))


def busiest_minute(asked: list[float]) -> int:
    return max(sum(start <= at < start + 60 for at in asked) for start in asked)


@pytest.mark.parametrize("per_minute", [30, 600])
def test_requests_are_spaced_evenly_and_in_order(per_minute: int, in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()
    in_no_time(ask(Rated(backend, requests_per_minute=per_minute), 2 * per_minute))
    gaps = [later - sooner for sooner, later in zip(backend.asked[2:], backend.asked[3:], strict=False)]
    assert gaps == pytest.approx([60.2 / per_minute] * len(gaps))
    assert backend.order == sorted(backend.order)
    assert 0.99 * per_minute <= busiest_minute(backend.asked) <= per_minute


def test_idle_time_is_not_saved_up(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()

    async def run() -> None:
        rated = Rated(backend, requests_per_minute=60)
        await ask(rated, 1)
        await asyncio.sleep(600)
        await ask(rated, 120)

    in_no_time(run())
    assert busiest_minute(backend.asked) <= 60


def test_tokens_are_spaced_by_what_a_call_may_take(in_no_time: Callable[..., Any]) -> None:
    assert guessed_tokens(HELLO) == 10
    backend = Clocked()
    in_no_time(ask(Rated(backend, tokens_per_minute=600), 120))  # 60 calls a minute
    assert 58 <= busiest_minute(backend.asked) <= 60


@pytest.mark.parametrize(("tokens", "calls"), [((2, 3), 120), ((2, 18), 30), ((None, None), 60)])
def test_the_guess_is_set_right_afterwards(
    tokens: tuple[int | None, int | None], calls: int, in_no_time: Callable[..., Any]
) -> None:
    backend = Clocked(*tokens)
    in_no_time(ask(Rated(backend, tokens_per_minute=600), 240))
    assert busiest_minute(backend.asked[calls:]) == pytest.approx(calls, rel=0.05)


def test_the_narrower_limit_rules(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()
    in_no_time(ask(Rated(backend, requests_per_minute=30, tokens_per_minute=600), 60))
    assert 29 <= busiest_minute(backend.asked) <= 30


def test_a_cancelled_call_lets_the_next_one_go(in_no_time: Callable[..., Any]) -> None:
    backend = Clocked()

    async def run() -> None:
        rated = Rated(backend, requests_per_minute=60)
        calls = [asyncio.ensure_future(rated.complete(HELLO)) for _ in range(4)]
        await asyncio.sleep(0.5)
        calls[1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    in_no_time(run())
    assert len(backend.asked) == 3
    assert backend.asked[1] < 1.01


@pytest.mark.parametrize("field", ["requests_per_minute", "tokens_per_minute"])
def test_bad_settings_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be above 0, got 0"):
        Rated(Parrot(), **{field: 0})
