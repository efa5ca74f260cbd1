"""Another try for what may pass, and the account of all tries."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contagium.agents.backends.backend import BackendError, Completion, Request, Turn
from contagium.agents.backends.budget import Budget
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.retry import Retrying
from contagium.agents.backends.stack import CallRules, assemble

HELLO = Request((Turn("user", "Hello"),), seed=7)
Outcome = str | BackendError | None


class Fails(Parrot):
    """Meets these outcomes in turn (a reason stands for a retryable error), then answers; keeps when it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__()
        self.outcomes = list(outcomes)
        self.asked: list[float] = []

    async def complete(self, request: Request) -> Completion:
        self.asked.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, str):
            raise BackendError(outcome, reason=outcome, retryable=True)
        if outcome is not None:
            raise outcome
        return await super().complete(request)


def test_a_first_success_is_passed_on(in_no_time: Callable[..., Any]) -> None:
    completion = in_no_time(Retrying(Fails()).complete(HELLO))
    assert (completion.attempts, completion.faults) == (1, ())


def test_tries_and_faults_are_counted_in_order(in_no_time: Callable[..., Any]) -> None:
    backend = Fails("server_error", "rate_limit", "reset")
    completion = in_no_time(Retrying(backend).complete(HELLO))
    assert (completion.attempts, completion.faults) == (4, ("server_error", "rate_limit", "reset"))


def test_the_last_error_tells_of_all_tries(in_no_time: Callable[..., Any]) -> None:
    backend = Fails("reset", "server_error", "timeout", "reset")
    with pytest.raises(BackendError, match="timeout") as raised:
        in_no_time(Retrying(backend, attempts=3).complete(HELLO))
    assert len(backend.asked) == 3
    assert (raised.value.attempts, raised.value.faults) == (3, ("reset", "server_error", "timeout"))
    assert raised.value.latency is not None
    assert raised.value.latency >= 0


@pytest.mark.parametrize("fatal", [False, True])
def test_what_cannot_pass_is_not_tried_again_and_keeps_the_account(fatal: bool, in_no_time: Callable[..., Any]) -> None:
    backend = Fails("reset", BackendError("no", reason="rejected", fatal=fatal))
    with pytest.raises(BackendError) as raised:
        in_no_time(Retrying(backend).complete(HELLO))
    assert len(backend.asked) == 2
    assert (raised.value.attempts, raised.value.faults) == (2, ("reset", "rejected"))
    assert raised.value.latency is not None


def test_tries_made_further_in_are_counted_but_use_none_up(in_no_time: Callable[..., Any]) -> None:
    class Probing(Fails):
        async def complete(self, request: Request) -> Completion:
            completion = await super().complete(request)
            return replace(completion, attempts=3, faults=("connection", "connection"))

    inner = BackendError("", reason="timeout", retryable=True, attempts=2, faults=("reset", "timeout"))
    completion = in_no_time(Retrying(Probing(inner), attempts=2).complete(HELLO))
    assert (completion.attempts, completion.faults) == (5, ("reset", "timeout", "connection", "connection"))


def test_it_waits_twice_as_long_each_time(in_no_time: Callable[..., Any]) -> None:
    backend = Fails("reset", "reset", "reset")
    retrying = Retrying(backend, base_delay=1.0, max_delay=8.0)
    in_no_time(retrying.complete(HELLO))
    fault = BackendError("", reason="reset", retryable=True)
    delays = [retrying.delay(HELLO, attempt, fault) for attempt in (1, 2, 3)]
    assert [later - sooner for sooner, later in zip(backend.asked, backend.asked[1:], strict=False)] == pytest.approx(delays)
    for doubled, delay in zip((1.0, 2.0, 4.0), delays, strict=True):
        assert 0.5 * doubled <= delay < 1.5 * doubled
    assert retrying.delay(HELLO, 9, fault) == 8.0


def test_callers_are_spread_by_their_requests_alone() -> None:
    retrying, fault = Retrying(Parrot(), base_delay=1.0), BackendError("", reason="reset", retryable=True)
    delays = [retrying.delay(replace(HELLO, seed=seed), 1, fault) for seed in range(50)]
    assert delays == [Retrying(Parrot(), base_delay=1.0).delay(replace(HELLO, seed=seed), 1, fault) for seed in range(50)]
    assert min(delays) < 0.6
    assert max(delays) > 1.4


def test_it_waits_as_told(in_no_time: Callable[..., Any]) -> None:
    backend = Fails(BackendError("", reason="rate_limit", retryable=True, retry_after=5.0))
    in_no_time(Retrying(backend).complete(HELLO))
    assert backend.asked == pytest.approx([0.0, 5.0])


def test_a_wait_longer_than_allowed_fails_at_once(in_no_time: Callable[..., Any]) -> None:
    backend = Fails(BackendError("", reason="rate_limit", retryable=True, retry_after=3600.0))
    with pytest.raises(BackendError) as raised:
        in_no_time(Retrying(backend).complete(HELLO))
    assert backend.asked == [0.0]
    assert raised.value.retry_after == 3600
    assert "it asks for a wait of 3600 s, longer than the 300 s allowed" in str(raised.value)


def test_a_wait_longer_than_the_longest_delay_is_kept(in_no_time: Callable[..., Any]) -> None:
    backend = Fails(BackendError("", reason="rate_limit", retryable=True, retry_after=120.0))
    in_no_time(Retrying(backend, max_delay=60.0).complete(HELLO))
    assert backend.asked == pytest.approx([0.0, 120.0])


def test_the_patience_of_a_run_is_the_longest_wait(in_no_time: Callable[..., Any]) -> None:
    async def run(patience: float) -> Completion:
        backend = Fails(BackendError("", reason="server_error", retryable=True, retry_after=400.0))
        async with assemble(backend, CallRules(patience=patience), Budget(), None, lambda line: None) as stack:
            return await stack.complete(HELLO)

    assert in_no_time(run(400.0)).attempts == 2
    with pytest.raises(BackendError, match="wait of 400 s, longer than the 399 s"):
        in_no_time(run(399.0))


@pytest.mark.parametrize(
    ("field", "value"), [("attempts", 0), ("base_delay", -1.0), ("base_delay", 61.0), ("longest_wait", -1.0)]
)
def test_bad_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be"):
        Retrying(Parrot(), **{field: value})  # type: ignore[arg-type]
