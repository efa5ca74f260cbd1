"""The chat completions format: a request as JSON, and what the bytes of a reply say.

Source: the OpenAI API reference, "Create chat completion"; what other servers do differently is noted where it is handled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import to_json

from contagium.agents.backends.backend import BackendError, Completion, Request, Stop, Token

Structured = Literal["json_schema", "json_object", "off"]
STOPS: dict[str, Stop] = {
    "stop": "stop",
    "eos_token": "stop",
    "length": "length",
    "content_filter": "filter",
    "refusal": "refusal",
}
MOST_TOKENS = 2**53
"""The largest whole number that every JSON reader and the journal hold exactly (RFC 8259 section 6). No reply has more tokens."""
SUFFIX = ("-", ":", "@", "/")
"""What may follow a model's name in a fuller name of it: a date, a tag, a version, a file."""


class _Scored(BaseModel):
    token: str
    logprob: float


class _Place(_Scored):
    top_logprobs: list[_Scored] = []


class Logprobs(BaseModel):
    """Log-probabilities as servers state them."""

    content: list[_Place] | None = None

    def tokens(self) -> tuple[Token, ...] | None:
        if self.content is None:
            return None
        return tuple(Token(p.token, p.logprob, tuple((t.token, t.logprob) for t in p.top_logprobs)) for p in self.content)


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str
    logprobs: Logprobs | None = None


def _count(value: object) -> int | None:
    """A number of tokens, None where it cannot be one: a bad count does not make a bad reply."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def _mapping(value: object) -> object:
    return value if isinstance(value, dict) else None


class _Usage(BaseModel):
    prompt_tokens: Annotated[int | None, BeforeValidator(_count)] = None
    completion_tokens: Annotated[int | None, BeforeValidator(_count)] = None


class _Reply(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: Annotated[_Usage | None, BeforeValidator(_mapping)] = None
    system_fingerprint: str | None = None


def write_request(request: Request, model: str, limit: str, structured: Structured, extra: Mapping[str, Any]) -> bytes:
    """The body of a call. limit: name of the field for max_tokens. Raises ValueError for what JSON cannot hold.

    What many calls share comes first, so that servers find it in their prefix caches.
    """
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        limit: sampling.max_tokens,
        "seed": request.seed,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logprobs:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    if request.schema is not None and structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif request.schema is not None and structured == "json_schema":
        strict = request.schema.get("additionalProperties") is False  # strict mode demands closed objects
        schema = {"name": "reply", "schema": dict(request.schema), "strict": strict}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return to_json(body | dict(extra))


def read_reply(
    content: bytes, asked: str, served_as: str | None, latency: float, endpoint: str, show: Callable[[object], str]
) -> Completion:
    """The completion in a reply with status 200.

    asked, served_as: see `is_same_model`. show: how what a server said may be shown. Raises `BackendError`, always retryable: a
    reply without a completion is as good as none, and repeating it may help.
    """
    try:
        reply = _Reply.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(content, endpoint, show) from error
    if not reply.choices:
        raise _unreadable(content, endpoint, show)
    named = reply.model or asked
    if not is_same_model(asked, named, served_as):
        said = f"{endpoint} was asked for {asked} and answered as {show(named)!r}; if that is right, set backend.served_as"
        raise BackendError(f"{said}={show(named)}", reason="wrong_model", retryable=True)
    choice, usage = reply.choices[0], reply.usage or _Usage()
    message = choice.message
    stop = "refusal" if message.refusal else STOPS.get(choice.finish_reason)
    text = message.refusal or message.content
    if stop is None or (text is None and stop not in ("filter", "length")):
        said = f"{endpoint} gave no text, finish_reason {show(choice.finish_reason)!r}"
        raise BackendError(said, reason="malformed", retryable=True)
    return Completion(
        text or "",
        stop,
        named,
        usage.prompt_tokens,
        usage.completion_tokens,
        latency,
        fingerprint=reply.system_fingerprint,
        endpoint=endpoint,
        logprobs=choice.logprobs.tokens() if choice.logprobs else None,
    )


def _unreadable(content: bytes, endpoint: str, show: Callable[[object], str]) -> BackendError:
    """What is wrong with a reply that holds no choice."""
    try:
        found = json.loads(content.decode())
    except UnicodeDecodeError:
        reason = "bad_encoding"
    except (ValueError, RecursionError):
        reason = "malformed"
    else:
        reason = "malformed"
        if isinstance(found, dict) and (found.get("error") or found.get("object") == "error"):
            reason = "error_body"
        elif isinstance(found, dict) and "choices" in found and not found["choices"]:
            reason = "empty_choices"
    said = show(content.decode(errors="replace"))
    return BackendError(f"{endpoint} gave no completion ({reason}): {said}", reason=reason, retryable=True)


def is_same_model(asked: str, named: str, served_as: str | None = None) -> bool:
    """Whether a server that calls its model `named` answers for the model `asked`.

    The names may differ in case, by a folder before either, or by what follows the asked name, such as the date of a version.
    served_as: another name to accept, "*" for any.
    """
    wanted, found = asked.lower(), named.lower()
    if served_as is not None and (served_as == "*" or served_as.lower() == found):
        return True
    if found == wanted or found.endswith("/" + wanted) or wanted.endswith("/" + found):
        return True
    return found.startswith(tuple(wanted + mark for mark in SUFFIX))


class _Error(BaseModel):
    message: str | None = None
    code: str | int | None = None


class _Said(BaseModel):
    error: _Error | str | None = None
    message: str | None = None


def read_refusal(content: bytes) -> tuple[str, str | None]:
    """What a reply with an error status says, and its code where it has one."""
    try:
        said = _Said.model_validate_json(content)
    except ValidationError:
        return content.decode(errors="replace"), None
    if isinstance(said.error, _Error):
        code = None if said.error.code is None else str(said.error.code)
        return said.error.message or content.decode(), code
    return said.error or said.message or content.decode(), None
