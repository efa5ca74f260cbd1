"""The budget: hard caps, whatever happens at the same time, and a gate that lets nothing through once it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import pytest

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Sampling, Turn
from contagium.agents.backends.budget import PER_TURN, Budget, Budgeted, Caps, Price, Spent

ASK = Request((Turn("user", "x" * 84),), Sampling(max_tokens=50))
"""At most 84 bytes + 16 of the template = 100 tokens read, and 50 written."""


@dataclass
class Model:
    """Reads 30 tokens and writes 20, or fails; ends a call only when it is told to."""

    fails: BackendError | None = None
    counts: tuple[int | None, int | None] = (30, 20)
    sent: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    model: str = "m"
    prompt_form: PromptForm = "turns"
    concurrency: int = 1
    timeout: float | None = None
    seconds_per_call: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def complete(self, request: Request) -> Completion:
        self.sent += 1
        await self.gate.wait()
        if self.fails:
            raise self.fails
        return Completion("hm", "stop", "m", *self.counts, latency=0.0)


def ask(times: int, model: Model, budget: Budget, release: bool = True) -> list[str]:
    """What became of `times` calls made at once: "ok" or the reason of the error."""

    async def go() -> list[str]:
        backend = Budgeted(model, budget)
        calls = [asyncio.create_task(backend.complete(ASK)) for _ in range(times)]
        await asyncio.sleep(0)
        if release:
            model.gate.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        return [d.reason if isinstance(d, BackendError) else "ok" for d in done if not isinstance(d, asyncio.CancelledError)]

    return asyncio.run(go())


def test_the_cap_on_calls_is_the_number_that_is_sent() -> None:
    model = Model()
    assert sorted(ask(9, model, Budget(Caps(calls=5)))) == ["budget"] * 4 + ["ok"] * 5
    assert model.sent == 5


def test_failed_calls_count_as_sent() -> None:
    model = Model(fails=BackendError("busy", reason="rate_limit", retryable=True))
    assert sorted(ask(4, model, Budget(Caps(calls=3)))) == ["budget"] + ["rate_limit"] * 3


def test_the_most_that_calls_can_take_is_set_aside_and_given_back() -> None:
    # Each call may take 150 tokens and takes 50: within 350 all at once fit 2, one after the other 5 (4 × 50 + 150 = 350).
    budget, model = Budget(Caps(tokens=350)), Model()
    assert sorted(ask(9, model, budget)) == ["budget"] * 4 + ["ok"] * 5
    assert budget.spent["m"] == Spent(5, 150, 100)


@pytest.mark.parametrize("tokens", range(150, 700, 37))
def test_no_cap_on_tokens_is_ever_passed(tokens: int) -> None:
    budget = Budget(Caps(tokens=tokens))
    done = ask(20, Model(counts=(100, 50)), budget)
    assert budget.spent["m"].tokens == 150 * done.count("ok") <= tokens < 150 * (done.count("ok") + 1)


def test_the_cap_on_cost_goes_by_the_price_of_the_model() -> None:
    prices = {"m": Price(input=10_000.0, output=50_000.0)}  # per million: a call costs 0.3 + 1.0, and at most 1.0 + 2.5
    budget = Budget(Caps(cost=6.2), prices)
    assert ask(9, Model(), budget).count("ok") == 3  # 2 × 1.3 + 3.5 = 6.1 fits, 3 × 1.3 + 3.5 does not
    assert budget.cost(budget.spent) == pytest.approx(3.9)
    assert budget.cost({"other": Spent(1, 1, 1)}) is None


@pytest.mark.parametrize(("reason", "charged"), [("timeout", 150), ("reset", 150), ("rate_limit", 0), ("server_error", 0)])
def test_what_may_have_been_billed_is_charged_in_full(reason: str, charged: int) -> None:
    budget = Budget(Caps(tokens=1000))
    ask(1, Model(fails=BackendError("lost", reason=reason)), budget)
    assert budget.spent["m"].tokens == charged


@pytest.mark.parametrize("caps", [Caps(tokens=1000), Caps()])
@pytest.mark.parametrize("counts", [(None, None), (30, None)])
def test_a_server_that_does_not_count_is_charged_in_full(caps: Caps, counts: tuple[int | None, int | None]) -> None:
    budget = Budget(caps)
    ask(1, Model(counts=counts), budget)
    assert budget.spent["m"].tokens == 84 + PER_TURN + 50


def test_the_cap_on_time_is_seen_before_a_call_and_between_steps() -> None:
    now = [100.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    budget = Budget(Caps(seconds=10), clock=clock)
    budget.check()
    now[0] += 10
    with pytest.raises(BackendError, match="wall_time: 10 s are over"):
        budget.check()
    assert ask(1, Model(), budget) == ["budget"]


def test_time_counts_from_the_start_and_what_was_spent_before_is_kept() -> None:
    now = [100.0]
    budget = Budget(Caps(calls=5, seconds=10), clock=lambda: now[0])
    now[0] = 500.0
    spent = {"m": Spent(3, 90, 60)}
    budget.begin(spent)
    assert sorted(ask(4, Model(), budget)) == ["budget", "budget", "ok", "ok"]
    assert spent == {"m": Spent(5, 150, 100)}  # who stores it sees what is added


def test_half_a_character_is_counted_too() -> None:
    async def go() -> None:
        model, budget = Model(counts=(None, None)), Budget()
        model.gate.set()
        await Budgeted(model, budget).complete(Request((Turn("user", "\ud800"),), Sampling(max_tokens=50)))
        assert budget.spent["m"] == Spent(1, 3 + PER_TURN, 50)

    asyncio.run(go())


def test_a_closed_gate_lets_calls_finish_and_none_begin() -> None:
    async def go() -> tuple[bool, bool, str, str]:
        model, budget = Model(), Budget()
        backend = Budgeted(model, budget)
        first = asyncio.create_task(backend.complete(ASK))
        await asyncio.sleep(0)
        budget.close("the run is ending")
        with pytest.raises(BackendError) as refused:
            await backend.complete(ASK)
        waited = await budget.idle(0.01)
        model.gate.set()
        return waited, await budget.idle(5), (await first).text, refused.value.reason

    assert asyncio.run(go()) == (False, True, "hm", "stopped")


def test_a_call_that_waits_for_room_is_refused_when_the_gate_closes() -> None:
    async def go() -> str:
        model, budget = Model(), Budget(Caps(tokens=200))
        backend = Budgeted(model, budget)
        calls = [asyncio.create_task(backend.complete(ASK)) for _ in range(2)]
        await asyncio.sleep(0)
        assert model.sent == 1
        budget.close("the run is ending")
        model.gate.set()
        await calls[0]
        with pytest.raises(BackendError) as refused:
            await calls[1]
        return refused.value.reason

    assert asyncio.run(go()) == "stopped"


def test_a_cancelled_call_frees_its_place() -> None:
    async def go() -> int:
        model, budget = Model(), Budget()
        call = asyncio.create_task(Budgeted(model, budget).complete(ASK))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return budget.in_flight

    assert asyncio.run(go()) == 0


@pytest.mark.parametrize("price", [(-1.0, 0.0), (0.0, float("nan"))])
def test_a_price_is_not_negative(price: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a price must be at least 0"):
        Price(*price)
