"""The seam to a language model: one request object in, one completion out.

A backend is anything with `async complete(Request) -> Completion`. It is an async context manager, so that what it opens
(connections, an embedded server) is closed again. Wrappers add one behaviour each and are backends themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

Role = Literal["system", "user", "assistant"]
Stop = Literal["stop", "length", "refusal", "filter"]
PromptForm = Literal["turns", "transcript"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a chat: who speaks and what is said."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    temperature: 0 or more, 0 is greedy. top_p: share of probability mass kept, in (0, 1]. max_tokens: tokens, at least 1.
    repeat_penalty: 1 or more, 1 is off; sent only to backends that know it. stop: texts that end the reply.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 40
    repeat_penalty: float = 1.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature must be at least 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not self.repeat_penalty >= 1:
            raise ValueError(f"repeat_penalty must be at least 1, got {self.repeat_penalty}")


@dataclass(frozen=True)
class Request:
    """One call to a language model, complete in itself.

    messages: the chat, oldest first; may end with an assistant turn only where the backend continues it. seed: the sampling
    seed, drawn from the run's keyed streams, so that a repeat of the run asks the same. replicate: distinguishes wanted repeats
    of an otherwise equal request. purpose: why the call is made ("speak", "self_report", …). schema: a JSON schema the reply
    must satisfy, or None for free text. agent, step: for whom and when; for the log only, not part of the key.
    """

    messages: tuple[Turn, ...]
    sampling: Sampling = Sampling()
    seed: int = 0
    replicate: int = 0
    purpose: str = "speak"
    schema: Mapping[str, Any] | None = None
    agent: int = -1
    step: int = -1

    def key(self, model: str) -> str:
        """Canonical name of this request to `model`: SHA-256 of its sorted JSON, in hex."""
        fields = asdict(self) | {"model": model}
        del fields["agent"], fields["step"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class Completion:
    """What came back. latency: seconds; tokens: counts as the server states them; attempts: tries it took, at least 1."""

    text: str
    stop: Stop
    model: str
    prompt_tokens: int
    completion_tokens: int
    latency: float
    attempts: int = 1
    fingerprint: str | None = None


class BackendError(Exception):
    """A call that gave no completion.

    reason: a short name that is counted ("timeout", "rate_limit", "server_error", "connection", "malformed",
    "context_overflow", "rejected"). retryable: whether another try may succeed (only 408, 409, 429, 5xx, timeouts and broken
    connections are). fatal: whether every later call must fail too (no such model, key refused, nobody listening), so that
    the run should stop now. retry_after: seconds the server asks to wait before another try, None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retryable: bool = False,
        fatal: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.fatal = fatal
        self.retry_after = retry_after


@runtime_checkable
class Backend(Protocol):
    """A language model that can be asked.

    `model` names it in logs. `prompt_form` says which form of prompt it follows best: "turns" (what was read stands as earlier
    turns of the chat; small models continue these better than they follow instructions) or "transcript" (what was read stands
    quoted in one user message). `concurrency` is the number of calls worth having in flight at once. `seconds_per_call` is the
    time a usual call adds to a run, measured on entering, None where that would cost money or is not known.

    Entering checks that the model can be reached and loads what it needs; it raises `BackendError(fatal=True)` with one line that
    names what is wrong. `complete` raises `BackendError` and nothing else; it never returns an empty text for a failed call.
    """

    @property
    def model(self) -> str: ...

    @property
    def prompt_form(self) -> PromptForm: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def seconds_per_call(self) -> float | None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def complete(self, request: Request) -> Completion: ...
