"""Several endpoints as one."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import pytest

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import BackendError, Completion, Request, Turn
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.pool import Pool
from contagium.agents.backends.retry import Retrying

HELLO = Request((Turn("user", "Hello"),))


class Endpoint(Parrot):
    """Answers after `takes` seconds; fails with `reason` while `down`, which holds for entering too."""

    def __init__(self, name: str = "", takes: float = 1.0, down: bool = False, reason: str = "connection") -> None:
        super().__init__()
        self.name, self.takes, self.down, self.reason = name, takes, down, reason
        self.asked: list[float] = []
        self.entered = 0

    async def __aenter__(self) -> Self:
        if self.down:
            raise BackendError(f"{self.name} is away", reason=self.reason, fatal=True)
        self.entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.entered -= 1

    async def complete(self, request: Request) -> Completion:
        assert self.entered == 1
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes)
        if self.down:
            raise BackendError(f"{self.name} is away", reason=self.reason, retryable=True)
        return replace(await super().complete(request), endpoint=self.name)


def pool(*endpoints: Endpoint, **options: Any) -> Pool:
    return Pool([Adaptive(endpoint) for endpoint in endpoints], **options)


async def ask(backend: Pool | Retrying, count: int) -> list[Any]:
    calls = (backend.complete(replace(HELLO, seed=seed)) for seed in range(count))
    return await asyncio.gather(*calls, return_exceptions=True)


def test_calls_are_shared_out_evenly(in_no_time: Callable[..., Any]) -> None:
    several = [Endpoint(name) for name in "abc"]

    async def run() -> list[Completion]:
        async with pool(*several) as backend:
            return await ask(backend, 30)

    assert {completion.endpoint for completion in in_no_time(run())} == {"a", "b", "c"}
    assert [len(endpoint.asked) for endpoint in several] == [10, 10, 10]


def test_one_call_after_another_goes_to_each_in_turn(in_no_time: Callable[..., Any]) -> None:
    several = [Endpoint(name) for name in "abc"]

    async def run() -> list[str]:
        async with pool(*several) as backend:
            return [(await backend.complete(HELLO)).endpoint for _ in range(6)]

    order = in_no_time(run())
    assert order[:3] == order[3:]
    assert sorted(order[:3]) == ["a", "b", "c"]


def test_who_bears_more_gets_more(in_no_time: Callable[..., Any]) -> None:
    strong, weak = Endpoint("strong"), Endpoint("weak")

    async def run() -> int:
        doors = Adaptive(strong, start=30, most=30), Adaptive(weak, start=10, most=10)
        async with Pool(doors) as backend:
            await ask(backend, 40)
            return backend.concurrency

    assert in_no_time(run()) == 40
    assert (len(strong.asked), len(weak.asked)) == (30, 10)


def test_an_endpoint_that_dies_is_left_out_and_comes_back(in_no_time: Callable[..., Any]) -> None:
    good, dying, said = Endpoint("good"), Endpoint("dying"), []  # type: ignore[var-annotated]

    async def run() -> list[Any]:
        async with pool(good, dying, notice=said.append) as backend:
            retrying = Retrying(backend, base_delay=0.1)
            first = await ask(retrying, 10)
            dying.down = True
            second = await ask(retrying, 10)  # five of them fail at 2 s
            await asyncio.sleep(0.9)
            tries = len(dying.asked)
            third = await ask(retrying, 10)  # one of them tries it: in vain
            assert len(dying.asked) == tries + 1
            dying.down = False
            await asyncio.sleep(3.0)
            fourth = await ask(retrying, 1)  # tries it: it is back
            fifth = await ask(retrying, 10)
            return [*first, *second, *third, *fourth, *fifth]

    done = in_no_time(run())
    assert all(isinstance(outcome, Completion) for outcome in done)
    assert len([outcome for outcome in done if outcome.faults]) == 5 + 1
    assert [outcome.endpoint for outcome in done[30:]].count("dying") == 1 + 5
    assert said == ["endpoint 2 of 2 is set aside, the others go on: dying is away", "endpoint 2 of 2 is back"]


def test_a_rate_limit_sets_nobody_aside(in_no_time: Callable[..., Any]) -> None:
    limited, said = Endpoint("limited", reason="rate_limit"), []  # type: ignore[var-annotated]

    async def run() -> None:
        async with pool(limited, Endpoint("other"), notice=said.append) as backend:
            limited.down = True
            await ask(backend, 20)
            assert backend.alive()

    in_no_time(run())
    assert said == []


def test_a_sign_of_life_between_faults_keeps_an_endpoint(in_no_time: Callable[..., Any]) -> None:
    flickering, said = Endpoint("flickering"), []  # type: ignore[var-annotated]

    async def run() -> None:
        async with pool(flickering, notice=said.append) as backend:
            for down in (True, True, False, True, True):
                flickering.down = down
                await ask(backend, 1)

    in_no_time(run())
    assert len(flickering.asked) == 5
    assert said == []


def test_when_all_are_away_the_one_due_first_is_asked(in_no_time: Callable[..., Any]) -> None:
    first, second = Endpoint("first", takes=0.1), Endpoint("second", takes=0.2)

    async def run() -> None:
        async with pool(first, second, aside_after=1, first_pause=10.0) as backend:
            first.down = second.down = True
            await ask(backend, 2)  # first is set aside at 0.1 s, second at 0.2 s
            assert not backend.alive()
            first.down = False
            assert (await backend.complete(HELLO)).endpoint == "first"
            assert backend.alive()

    in_no_time(run())


def test_who_is_away_at_the_start_is_entered_later(in_no_time: Callable[..., Any]) -> None:
    there, away, said = Endpoint("there"), Endpoint("away", down=True), []  # type: ignore[var-annotated]

    async def run() -> set[str]:
        async with pool(away, there, notice=said.append) as backend:
            await ask(backend, 10)
            assert away.asked == []
            away.down = False
            await asyncio.sleep(1.0)
            await ask(backend, 1)
            return {outcome.endpoint for outcome in await ask(backend, 10)}

    assert in_no_time(run()) == {"there", "away"}
    assert said == ["endpoint 1 of 2 is set aside, the others go on: away is away", "endpoint 1 of 2 is back"]
    assert (there.entered, away.entered) == (0, 0)


@pytest.mark.parametrize("reason", ["connection", "rejected"])
def test_entering_late_in_vain_fails_no_call(reason: str, in_no_time: Callable[..., Any]) -> None:
    """It is down at first, then up with another model, as its entering says: it is tried now and then, and never used."""
    away, said = Endpoint("away", down=True), []  # type: ignore[var-annotated]

    async def run() -> list[Any]:
        async with pool(Endpoint("there"), away, notice=said.append) as backend:
            away.reason = reason
            done = []
            for _ in range(50):
                await asyncio.sleep(5.0)
                done += await ask(backend, 4)
            return done

    assert {outcome.endpoint for outcome in in_no_time(run())} == {"there"}
    assert away.asked == []
    first = "endpoint 2 of 2 is set aside, the others go on: away is away"
    assert said == [first] + ["endpoint 2 of 2 stays set aside: away is away"] * (reason == "rejected")


def test_who_cannot_be_entered_is_no_help_when_the_others_are_away(in_no_time: Callable[..., Any]) -> None:
    there, away = Endpoint("there"), Endpoint("away", down=True)

    async def run() -> list[Any]:
        async with pool(there, away, aside_after=1) as backend:
            away.reason = "rejected"
            there.down = True
            failed = await ask(backend, 1)
            failed += await ask(backend, 3)
            there.down = False
            return failed + await ask(backend, 3)

    outcomes = in_no_time(run())
    assert {str(outcome) for outcome in outcomes[:4]} == {"there is away"}
    assert {outcome.endpoint for outcome in outcomes[4:]} == {"there"}


def test_nobody_queues_at_an_endpoint_that_is_held(in_no_time: Callable[..., Any]) -> None:
    class Holding(Endpoint):
        async def complete(self, request: Request) -> Completion:
            self.asked.append(asyncio.get_running_loop().time())
            raise BackendError("", reason="rate_limit", retryable=True, retry_after=30.0)

    holding, idle = Holding("holding"), Endpoint("idle")

    async def run() -> list[Any]:
        async with pool(holding, idle) as backend:
            await ask(backend, 2)
            return await asyncio.wait_for(ask(backend, 20), 10.0)

    assert {outcome.endpoint for outcome in in_no_time(run())} == {"idle"}


def test_if_nobody_is_there_the_first_one_says_why(in_no_time: Callable[..., Any]) -> None:
    async def run() -> None:
        async with pool(Endpoint("a", down=True), Endpoint("b", down=True)):
            pass

    with pytest.raises(BackendError, match="a is away") as raised:
        in_no_time(run())
    assert raised.value.fatal


def test_a_mistake_at_one_endpoint_is_said_at_once(in_no_time: Callable[..., Any]) -> None:
    there = Endpoint("there")

    async def run() -> None:
        async with pool(there, Endpoint("wrong key", down=True, reason="rejected")):
            pass

    with pytest.raises(BackendError, match="wrong key"):
        in_no_time(run())
    assert there.entered == 0


def test_endpoints_must_agree() -> None:
    other = Endpoint()
    other.model = "other"
    with pytest.raises(ValueError, match="the same model, got other, parrot"):
        pool(Endpoint(), other)
    asked_otherwise = Endpoint()
    asked_otherwise.prompt_form = "transcript"
    with pytest.raises(ValueError, match="the same prompt_form, got transcript, turns"):
        pool(Endpoint(), asked_otherwise)


@pytest.mark.parametrize(("field", "value"), [("aside_after", 0), ("first_pause", 0.0), ("first_pause", 61.0)])
def test_bad_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be"):
        pool(Endpoint(), **{field: value})
    with pytest.raises(ValueError, match="at least one endpoint"):
        Pool([])
