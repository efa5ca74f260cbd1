"""The seam to a language model: one request object in, one completion out.

A backend is anything with `async complete(Request) -> Completion`. It is an async context manager, so that what it opens
(connections, an embedded server) is closed again. Wrappers add one behaviour each and are backends themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    repeat_penalty: 1 or more, 1 is off; sent only to backends that know it. stop: texts that end the reply. logprobs: for each
    token of the reply, its log-probability and that of so many likeliest others; 0 asks for none.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 40
    repeat_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    logprobs: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature must be at least 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not self.repeat_penalty >= 1:
            raise ValueError(f"repeat_penalty must be at least 1, got {self.repeat_penalty}")
        if not 0 <= self.logprobs <= 20:
            raise ValueError(f"logprobs must be between 0 and 20, got {self.logprobs}")


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

    def canonical(self, model: str) -> bytes:
        """This request to `model` as sorted JSON in ASCII: equal bytes for equal calls. Agent and step are not part of it."""
        sampling = self.sampling
        fields = {
            "messages": [{"content": turn.content, "role": turn.role} for turn in self.messages],
            "model": model,
            "purpose": self.purpose,
            "replicate": self.replicate,
            "sampling": {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__},
            "schema": self.schema,
            "seed": self.seed,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    def key(self, model: str) -> str:
        """Canonical name of this request to `model`: SHA-256 of `canonical`, in hex."""
        return hashlib.sha256(self.canonical(model)).hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a reply: its text, its log-probability, and (text, log-probability) of the likeliest at its place."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Completion:
    """What came back.

    stop: why the reply ended. model: as the server names itself. prompt_tokens, completion_tokens: as the server counts them,
    None where it does not say. latency: seconds of the attempt that succeeded. attempts: tries it took, 0 for a reply from a
    cache; faults: what the failed ones among them failed of, in order. fingerprint: of the server's configuration. endpoint:
    who answered, where there are several. logprobs: the reply token by token, None where not asked for or not given.
    """

    text: str
    stop: Stop
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency: float
    attempts: int = 1
    faults: tuple[str, ...] = ()
    fingerprint: str | None = None
    endpoint: str = ""
    logprobs: tuple[Token, ...] | None = None


class BackendError(Exception):
    """A call that gave no completion.

    reason: a short name under which it is counted; docs/failures.md lists them. retryable: whether another try may succeed.
    fatal: whether every later call must fail too (no such model, key refused, budget reached), so that the run should stop now.
    retry_after: seconds the server asks to wait before another try, None where it does not say. attempts: tries it took;
    faults: the reason of each try that failed, in order; latency: seconds from the first try to the last.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retryable: bool = False,
        fatal: bool = False,
        retry_after: float | None = None,
        attempts: int = 1,
        faults: tuple[str, ...] = (),
        latency: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.fatal = fatal
        self.retry_after = retry_after
        self.attempts = attempts
        self.faults = faults or (reason,)
        self.latency = latency


@runtime_checkable
class Backend(Protocol):
    """A language model that can be asked.

    `model` names it in logs. `prompt_form` says which form of prompt it follows best: "turns" (what was read stands as earlier
    turns of the chat; small models continue these better than they follow instructions) or "transcript" (what was read stands
    quoted in one user message). `concurrency` is the largest number of calls worth having in flight at once. `timeout` is the
    seconds after which a call is given up, None: never. `seconds_per_call` is the time a usual call adds to a run, measured on
    entering, None where that would cost money or is not known.

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
    def timeout(self) -> float | None: ...

    @property
    def seconds_per_call(self) -> float | None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def complete(self, request: Request) -> Completion: ...
