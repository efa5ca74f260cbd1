"""What a run may still spend: caps on calls, tokens, cost and time, and the gate every call passes just before it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.wrapper import Wrapper

MILLION = 1_000_000
PER_TURN = 16
"""Tokens that a chat template may add to a turn, counted generously."""
PERHAPS_BILLED = frozenset({"timeout", "reset", "malformed", "bad_encoding", "empty_choices", "wrong_model"})
"""Failures after which the server may have done, and billed, the work."""


@dataclass(frozen=True)
class Price:
    """What a model costs, in any currency per million tokens: those it reads and those it writes; at least 0."""

    input: float
    output: float

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"a price must be at least 0, got {name}: {getattr(self, name)}")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Cost of so many tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / MILLION


@dataclass(frozen=True)
class Spent:
    """What was sent to a model: requests, retries among them, and tokens read and written."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, calls: int, prompt_tokens: int, completion_tokens: int) -> Spent:
        return Spent(self.calls + calls, self.prompt_tokens + prompt_tokens, self.completion_tokens + completion_tokens)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Caps:
    """The most a run may spend, None: no cap. calls: requests sent, retries included. tokens: read and written.

    cost: in the currency of the prices. seconds: from `Budget.begin` on.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None


class Budget:
    """Counts what all models of a run cost and refuses the call that could break a cap.

    The caps are hard. A call's tokens are known only afterwards, so before it is sent the most it can take is set aside: the
    bytes of its prompt (a token is a byte or more), 16 tokens a turn, and its max_tokens. When that does not fit, the call
    waits for those under way to give back what they did not need; when none is under way, the cap is reached. A call whose
    reply was lost on the way may have been billed and counts with all that was set aside; so does one whose server counts no
    tokens. It does so without a cap too: the run may be resumed with one.
    """

    def __init__(
        self,
        caps: Caps | None = None,
        prices: Mapping[str, Price] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.caps = caps or Caps()
        self.prices = dict(prices or {})
        self.spent: dict[str, Spent] = {}
        self._clock = clock
        self._began = clock()
        self._counts_tokens = self.caps.tokens is not None or self.caps.cost is not None
        self._reserved: dict[str, Spent] = {}
        self._in_flight = 0
        self._left = asyncio.Event()
        self._closed: BackendError | None = None

    def begin(self, spent: dict[str, Spent]) -> None:
        """The run starts, or goes on after having `spent` so much by model. It goes on counting in this very mapping."""
        self.spent = spent
        self._began = self._clock()

    @property
    def in_flight(self) -> int:
        """Calls sent and not yet over."""
        return self._in_flight

    def close(self, reason: str) -> None:
        """Let no further call be sent; those under way may finish."""
        self._shut(BackendError(reason, reason="stopped", fatal=True))

    async def idle(self, seconds: float) -> bool:
        """Wait until no call is under way, at most so long; whether that is so."""
        try:
            async with asyncio.timeout(seconds):
                while self._in_flight:
                    await self._departure()
        except TimeoutError:
            return False
        return True

    def check(self) -> None:
        """BackendError (reason "budget", fatal) if the time is over."""
        seconds = self.caps.seconds
        if seconds is not None and self._clock() - self._began >= seconds:
            self._reached(f"budget.wall_time: {seconds:g} s are over")
        if self._closed is not None:
            raise _again(self._closed)

    async def enter(self, model: str, request: Request) -> Spent:
        """Set aside what `request` may cost. BackendError (fatal) if a cap is reached, or no more calls are to be sent."""
        bound = Spent(1, *_bound(request))
        while True:
            self.check()
            broken = self._broken(model, bound)
            if broken is None:
                break
            if not self._in_flight or broken.startswith("budget.calls"):
                self._reached(broken)
                continue
            await self._departure()
        self._in_flight += 1
        self.spent[model] = replace(spent := self.spent.get(model, Spent()), calls=spent.calls + 1)
        if self._counts_tokens:
            self._reserve(model, bound, 1)
        return bound

    def leave(self, model: str, bound: Spent, prompt_tokens: int, completion_tokens: int) -> None:
        """A call is over: give back what was set aside, count what it took."""
        self._in_flight -= 1
        if self._counts_tokens:
            self._reserve(model, bound, -1)
        self.spent[model] = self.spent[model].plus(0, prompt_tokens, completion_tokens)
        self._left.set()

    def cost(self, spent: Mapping[str, Spent]) -> float | None:
        """Cost of what was spent by model; None if a model has no price."""
        if any(model not in self.prices for model in spent):
            return None
        return sum(self.prices[model].of(s.prompt_tokens, s.completion_tokens) for model, s in spent.items())

    def _broken(self, model: str, bound: Spent) -> str | None:
        """Which cap the call could break, in words."""
        caps = self.caps
        if caps.calls is not None:
            calls = sum(s.calls for s in self.spent.values())
            if calls >= caps.calls:
                return f"budget.calls: {calls} of {caps.calls} calls were sent"
        if not self._counts_tokens:
            return None
        taken = {m: self.spent.get(m, Spent()) for m in {*self.spent, *self._reserved, model}}
        planned = dict(taken)
        for m, reserved in (*self._reserved.items(), (model, bound)):
            planned[m] = planned[m].plus(0, reserved.prompt_tokens, reserved.completion_tokens)
        if caps.tokens is not None and sum(s.tokens for s in planned.values()) > caps.tokens:
            used = sum(s.tokens for s in taken.values())
            return f"budget.tokens: {used} of {caps.tokens} tokens were used, and the next call may take {bound.tokens}"
        cost = self.cost(planned)
        if caps.cost is not None and (cost is None or cost > caps.cost):
            next_one = self.cost({model: bound})
            if cost is None or next_one is None:
                return f"budget.cost: no price for {model} in budget.prices"
            return f"budget.cost: {self.cost(taken):.4g} of {caps.cost:g} were spent, and the next call may cost {next_one:.4g}"
        return None

    def _reserve(self, model: str, bound: Spent, sign: int) -> None:
        held = self._reserved.get(model, Spent())
        self._reserved[model] = held.plus(0, sign * bound.prompt_tokens, sign * bound.completion_tokens)

    def _reached(self, message: str) -> None:
        self._shut(BackendError(message, reason="budget", fatal=True))

    def _shut(self, error: BackendError) -> None:
        if self._closed is None:
            self._closed = error
        self._left.set()

    async def _departure(self) -> None:
        """Wait until a call ends or the gate closes."""
        self._left.clear()
        await self._left.wait()


class Budgeted(Wrapper):
    """Sends a call only if the budget allows it."""

    def __init__(self, backend: Backend, budget: Budget) -> None:
        super().__init__(backend)
        self.budget = budget

    async def complete(self, request: Request) -> Completion:
        bound = await self.budget.enter(self.model, request)
        used = bound.prompt_tokens, bound.completion_tokens
        try:
            completion = await self.backend.complete(request)
            if completion.prompt_tokens is not None and completion.completion_tokens is not None:
                used = completion.prompt_tokens, completion.completion_tokens
            return completion
        except BackendError as error:
            if error.reason not in PERHAPS_BILLED:
                used = 0, 0
            raise
        finally:
            self.budget.leave(self.model, bound, *used)


def _bound(request: Request) -> tuple[int, int]:
    """The most tokens a request can make a model read and write."""
    prompt = sum(len(turn.content.encode(errors="surrogatepass")) + PER_TURN for turn in request.messages)
    return prompt, request.sampling.max_tokens


def _again(error: BackendError) -> BackendError:
    """The same error as a new object: one exception raised in many tasks would gather all their tracebacks."""
    return BackendError(str(error), reason=error.reason, fatal=error.fatal)
