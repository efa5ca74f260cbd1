"""Everybody waits while the server is down."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contagium.agents.backends.backend import BackendError, Completion, Request, Turn
from contagium.agents.backends.breaker import DOWN, Breaking
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.retry import Retrying

HELLO = Request((Turn("user", "Hello"),))


class Server(Parrot):
    """Fails with `reason` before the time `back`, then answers; keeps when it was asked."""

    def __init__(self, back: float, reason: str = "connection", takes: float = 0.0) -> None:
        super().__init__()
        self.back, self.reason, self.takes = back, reason, takes
        self.asked: list[float] = []
        self.last = -1  # the seed of who asked last

    async def complete(self, request: Request) -> Completion:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        self.last = request.seed
        await asyncio.sleep(self.takes)
        if now < self.back:
            raise BackendError("nobody there", reason=self.reason, retryable=True)
        return await super().complete(request)


def stack(server: Parrot, said: list[str] | None = None, **options: Any) -> Retrying:
    notice = (lambda line: None) if said is None else said.append
    breaking = Breaking(server, **({"trip": 4, "notice": notice} | options))
    return Retrying(breaking, attempts=3, base_delay=0.01)


async def ask(backend: Retrying, count: int) -> list[Any]:
    calls = (backend.complete(replace(HELLO, seed=seed)) for seed in range(count))
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("reason", sorted(DOWN))
def test_everybody_waits_and_is_answered(reason: str, in_no_time: Callable[..., Any]) -> None:
    server, said = Server(10.0, reason), []  # type: ignore[var-annotated]
    done = in_no_time(ask(stack(server, said), 50))
    assert all(isinstance(outcome, Completion) for outcome in done)
    tries = [at for at in server.asked if at > 0.05]
    assert tries[:4] == pytest.approx([1.0, 3.0, 7.0, 15.0])  # pauses double; the first that succeeds frees all
    assert len(tries) == 3 + 50
    assert max(tries) < 15.1
    assert len(said) == 2
    assert said[0].startswith("no answer from parrot for 0.0 s (4 failures in a row, the last: nobody there)")
    assert said[0].endswith("everyone waits; next try in 1 s")
    assert said[1] == "parrot answers again after 15.0 s: everyone goes on"


def test_tries_use_up_no_attempts_but_are_counted(in_no_time: Callable[..., Any]) -> None:
    done = in_no_time(ask(stack(Server(1000.0), longest_pause=8.0, patience=2000.0), 4))
    assert all(isinstance(outcome, Completion) for outcome in done)
    faults = sorted(len(outcome.faults) for outcome in done)
    assert faults[:3] == [1, 1, 1]
    assert faults[3] > 100  # who tried for all others
    assert all(outcome.attempts == len(outcome.faults) + 1 for outcome in done)


@pytest.mark.parametrize("reason", ["rate_limit", "conflict", "malformed", "rejected"])
def test_a_server_that_says_anything_is_not_down(reason: str, in_no_time: Callable[..., Any]) -> None:
    server, said = Server(10.0, reason), []  # type: ignore[var-annotated]
    done = in_no_time(ask(stack(server, said), 20))
    assert {outcome.reason for outcome in done} == {reason}
    assert len(server.asked) == 60
    assert said == []


def test_a_sign_of_life_between_faults_starts_the_count_anew(in_no_time: Callable[..., Any]) -> None:
    class Flickering(Server):
        async def complete(self, request: Request) -> Completion:
            self.asked.append(0.0)
            if len(self.asked) % 4:
                raise BackendError("", reason="reset", retryable=True)
            raise BackendError("", reason="rate_limit", retryable=True)

    said: list[str] = []
    in_no_time(ask(stack(Flickering(0.0), said), 20))
    assert said == []


@pytest.mark.parametrize("reason", ["budget", "stopped"])
def test_a_call_that_was_never_sent_is_no_sign_of_life(reason: str, in_no_time: Callable[..., Any]) -> None:
    class Closing(Server):
        """Down; its second try is not sent."""

        async def complete(self, request: Request) -> Completion:
            if len(self.asked) == 5:
                self.asked.append(-1.0)
                raise BackendError("closed", reason=reason)
            return await super().complete(request)

    said: list[str] = []
    server = Closing(10.0)
    done = in_no_time(ask(stack(server, said), 4))
    assert [outcome.reason for outcome in done if isinstance(outcome, BackendError)] == [reason]
    assert len(said) == 2  # it stayed closed to all until the server was back, then the others were answered
    assert "answers again" in said[1]


def test_a_late_answer_of_another_call_frees_all(in_no_time: Callable[..., Any]) -> None:
    class Busy(Server):
        """Answers the first call after 3 s, and no other before 100 s."""

        async def complete(self, request: Request) -> Completion:
            if request.seed == 99:
                await asyncio.sleep(3.0)
                return await Parrot.complete(self, request)
            return await super().complete(request)

    async def run() -> float:
        server = Busy(2.0)
        backend = stack(server, first_pause=30.0)
        slow = asyncio.ensure_future(backend.complete(replace(HELLO, seed=99)))
        await asyncio.sleep(0)
        await ask(backend, 8)
        await slow
        return asyncio.get_running_loop().time()

    assert in_no_time(run()) == pytest.approx(3.0)


def test_patience_ends_with_one_clear_line_for_all(in_no_time: Callable[..., Any]) -> None:
    async def run() -> tuple[list[Any], BackendError, float]:
        backend = stack(Server(1e9), patience=20.0)
        done = await ask(backend, 30)
        (late,) = await ask(backend, 1)
        return done, late, asyncio.get_running_loop().time()

    done, late, seconds = in_no_time(run())
    assert seconds == pytest.approx(20.0, abs=0.1)
    for outcome in [*done, late]:
        assert (outcome.reason, outcome.fatal) == ("connection", True)
        assert str(outcome) == "parrot was down for more than 20 s; the last try: nobody there"
    assert len({id(outcome) for outcome in done}) == 30  # each its own: a shared one would gather everybody's traceback


def test_while_a_part_answers_nobody_waits(in_no_time: Callable[..., Any]) -> None:
    said: list[str] = []
    done = in_no_time(ask(stack(Server(1e9), said, alive=lambda: True), 20))
    assert {outcome.fatal for outcome in done} == {False}
    assert said == []


def test_a_cancelled_try_is_taken_over(in_no_time: Callable[..., Any]) -> None:
    async def run() -> tuple[list[Any], list[float]]:
        server = Server(0.5, takes=0.1)
        backend = stack(server)
        calls = [asyncio.ensure_future(backend.complete(replace(HELLO, seed=seed))) for seed in range(5)]
        await asyncio.sleep(1.15)  # the first try is under way
        calls[server.last].cancel()
        return await asyncio.gather(*calls, return_exceptions=True), server.asked

    done, asked = in_no_time(run())
    assert sum(isinstance(outcome, Completion) for outcome in done) == 4
    assert asked[5:7] == pytest.approx([1.1, 1.15])


def test_a_cancelled_wait_is_skipped(in_no_time: Callable[..., Any]) -> None:
    async def run() -> float:
        backend = stack(Server(0.5))
        calls = [asyncio.ensure_future(backend.complete(replace(HELLO, seed=seed))) for seed in range(5)]
        await asyncio.sleep(0.5)  # all wait
        for one in calls[:4]:
            one.cancel()
        await calls[4]
        return asyncio.get_running_loop().time()

    assert in_no_time(run()) == pytest.approx(1.0, abs=0.1)


def test_a_wait_cancelled_just_when_its_turn_comes_is_made_up_for(in_no_time: Callable[..., Any]) -> None:
    async def run() -> float:
        breaking = Breaking(Server(0.5), trip=1)
        with pytest.raises(BackendError, match="nobody there"):
            await breaking.complete(HELLO)
        first, second = (asyncio.ensure_future(breaking.complete(HELLO)) for _ in range(2))
        loop = asyncio.get_running_loop()
        loop.call_at(1.0 + 1e-10, first.cancel)  # in the same turn of the loop, after the timer
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        await second
        return loop.time()

    assert in_no_time(run()) == pytest.approx(1.0)


def test_who_comes_when_a_try_is_due_makes_it(in_no_time: Callable[..., Any]) -> None:
    async def run() -> float:
        breaking = Breaking(Server(5.0), trip=1)
        with pytest.raises(BackendError, match="nobody there"):
            await breaking.complete(HELLO)
        await asyncio.sleep(8.0)
        await breaking.complete(HELLO)
        return asyncio.get_running_loop().time()

    assert in_no_time(run()) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("field", "value"), [("trip", 0), ("first_pause", 0.0), ("first_pause", 31.0), ("patience", -1.0), ("patience", float("nan"))]
)
def test_bad_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be"):
        Breaking(Parrot(), **{field: value})  # type: ignore[arg-type]
