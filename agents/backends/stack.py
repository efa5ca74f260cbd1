"""How a model is called in a run: the wrappers around its endpoints, from the outermost to the innermost, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import Backend
from contagium.agents.backends.breaker import Breaking
from contagium.agents.backends.budget import Budget, Budgeted
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.journaled import Journaled
from contagium.agents.backends.pool import Pool
from contagium.agents.backends.rate import Pace
from contagium.agents.backends.replay import Replay
from contagium.agents.backends.retry import Retrying
from contagium.agents.backends.timed import Timed


@dataclass(frozen=True)
class CallRules:
    """How calls are made.

    attempts: tries for a call in all, at least 1. base_delay, max_delay: seconds before the second try, and at most before
    any, unless the server asks for more. requests_per_minute, tokens_per_minute: of all endpoints of a model together, None: as
    fast as they answer. patience: seconds for which the run waits for a server that is down, or that asks for a wait.
    """

    attempts: int = 5
    base_delay: float = 0.5
    max_delay: float = 60.0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    patience: float = 300.0


def assemble(
    endpoints: Backend | Sequence[Backend],
    rules: CallRules,
    budget: Budget,
    journal: Journal | None,
    notice: Callable[[str], None],
) -> Backend:
    """One backend of all `endpoints` of a model, with every behaviour a run needs. journal: None keeps no calls.

    From outside to inside: a call that is known is not made; one that failed is tried again; while the server is down everybody
    waits; the least busy endpoint is chosen; each has its own limit of calls in flight, and all share one pace, asked after every
    wait so that calls which waited together do not leave together; the budget has the last word before a call is sent; and a
    call that takes too long is given up.
    """
    if isinstance(endpoints, Replay):
        return endpoints  # what comes out of a journal is to come out as it went in, and costs nothing
    several = endpoints if isinstance(endpoints, Sequence) else (endpoints,)
    paced = rules.requests_per_minute is not None or rules.tokens_per_minute is not None
    pace = Pace(rules.requests_per_minute, rules.tokens_per_minute) if paced else None
    doors = [Adaptive(Budgeted(Timed(endpoint), budget), pace=pace) for endpoint in several]
    pool = Pool(doors, notice=notice) if len(doors) > 1 else None
    backend: Backend = pool or doors[0]
    alive = pool.alive if pool else _never
    backend = Breaking(backend, patience=rules.patience, notice=notice, alive=alive)
    backend = Retrying(backend, rules.attempts, rules.base_delay, rules.max_delay, rules.patience)
    return backend if journal is None else Journaled(backend, journal, gate=budget)


def _never() -> bool:
    """No other server is alive where there is only one."""
    return False
