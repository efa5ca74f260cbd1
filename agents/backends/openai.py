"""Any server that speaks the chat completions part of the OpenAI API.

The official client is used below its typed methods: `client.post` with the response parsed here costs about 0.6 ms of
CPU per call against 2 to 4 ms, most of it the client's recursive transform of the messages.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import BaseModel, Field, ValidationError

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Stop

Structured = Literal["json_schema", "json_object", "off"]
STOPS: dict[str, Stop] = {"stop": "stop", "eos_token": "stop", "length": "length", "content_filter": "filter"}
UNKNOWN_ROUTE = (404, 405, 501)


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Reply(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    system_fingerprint: str | None = None


class _Entry(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Entry]


class OpenAI:
    """Backend that calls an OpenAI-compatible server. It does not retry: wrap it in `Retrying`.

    base_url: up to and with the version, such as http://127.0.0.1:8000/v1. model: as the server names it.
    api_key_env: the environment variable that holds the key; servers on this machine or a private network may do
    without. concurrency: calls worth having in flight, and connections kept. timeout: seconds for one call in all.
    structured: how a schema is passed on ("json_schema", the older "json_object", or "off": not at all). extra:
    further fields of each request, such as {"repetition_penalty": 1.1}; `Sampling.repeat_penalty` itself is not part
    of the API and is not sent. Token counts are 0 where the server states none.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 32,
        timeout: float = 60.0,
        structured: Structured = "json_schema",
        prompt_form: PromptForm = "transcript",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._host = _checked_host(base_url, api_key_env)
        if not model:
            raise ValueError("model must be a name the server knows, got an empty text")
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {concurrency}")
        if not timeout > 0:
            raise ValueError(f"timeout must be above 0, got {timeout}")
        self.base_url = base_url
        self.model = model
        self.api_key_env = api_key_env
        self.concurrency = concurrency
        self.seconds_per_call = None
        self.timeout = timeout
        self.structured = structured
        self.prompt_form: PromptForm = prompt_form
        self.extra = dict(extra or {})
        self._client: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        limits = httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        self._client = openai.AsyncOpenAI(
            api_key=self._key() or "none",
            base_url=self.base_url,
            max_retries=0,
            timeout=self.timeout,
            http_client=openai.DefaultAioHttpClient(timeout=self.timeout, limits=limits),
        )
        try:
            await self._check()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._client is not None:
            await self._client.close()
        self._client = None

    async def complete(self, request: Request) -> Completion:
        started = time.perf_counter()
        try:
            response = await self._ask("POST", "/chat/completions", self._body(request))
        except openai.APIStatusError as error:
            if error.code == "content_filter":  # some servers refuse a filtered prompt with status 400
                return Completion("", "filter", self.model, 0, 0, time.perf_counter() - started)
            raise self._failure(error) from error
        except (TypeError, ValueError) as error:
            message = f"the request cannot be written as JSON: {self._clean(error)}"
            raise BackendError(message, reason="rejected") from error
        return self._completion(response.content, time.perf_counter() - started)

    async def _ask(self, method: Literal["GET", "POST"], path: str, body: object = None) -> httpx2.Response:
        """The response. Raises `openai.APIStatusError` for an error status, `BackendError` where none came."""
        if self._client is None:
            raise BackendError("the connection is not open: use `async with`", reason="connection", fatal=True)
        try:
            async with asyncio.timeout(self.timeout):
                if method == "GET":
                    return await self._client.get(path, cast_to=httpx2.Response)
                return await self._client.post(path, cast_to=httpx2.Response, body=body)
        except (TimeoutError, openai.APIConnectionError) as error:
            # The transport calls every broken connection a timeout, so what lies beneath decides.
            causes = _causes(error)
            if any(isinstance(cause, TimeoutError) for cause in causes):
                message = f"{self.base_url} gave no reply within {self.timeout} s"
                raise BackendError(message, reason="timeout", retryable=True) from error
            message = f"no connection to {self.base_url}: {self._clean(causes[-1])}"
            raise BackendError(message, reason="connection", retryable=True) from error

    async def _check(self) -> None:
        """Whether somebody listens and knows the model. Every failure is fatal."""
        try:
            response = await self._ask("GET", "/models")
            known = [entry.id for entry in _Models.model_validate_json(response.content).data]
        except openai.APIStatusError as error:
            if error.status_code in UNKNOWN_ROUTE:
                return  # no list of models: the first call will tell
            failure = self._failure(error)
            raise BackendError(str(failure), reason=failure.reason, fatal=True) from error
        except BackendError as error:
            raise BackendError(str(error), reason=error.reason, fatal=True) from error
        except ValidationError as error:
            message = f"{self.base_url}/models is no list of models; is base_url right (it often ends in /v1)?"
            raise BackendError(message, reason="malformed", fatal=True) from error
        if not {self.model, f"{self.model}:latest", f"models/{self.model}"} & set(known):
            offered = ", ".join(repr(name[:80]) for name in known[:20]) or "none"
            more = f" and {len(known) - 20} more" if len(known) > 20 else ""
            message = f"{self.base_url} does not know the model {self.model!r}; it offers: {offered}{more}"
            raise BackendError(message, reason="rejected", fatal=True)

    def _key(self) -> str | None:
        key = os.environ.get(self.api_key_env, "").strip()
        if not key and not _is_private(self._host):
            message = f"{self.base_url} needs a key: set the environment variable {self.api_key_env}"
            raise BackendError(message, reason="rejected", fatal=True)
        if not (key.isascii() and key.isprintable()):
            message = f"the key in {self.api_key_env} holds characters that no HTTP header can carry"
            raise BackendError(message, reason="rejected", fatal=True)
        return key or None

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        # The API's own home renamed the field and refuses the old name for newer models; others know the old one.
        limit = "max_completion_tokens" if self._host == "api.openai.com" else "max_tokens"
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            limit: sampling.max_tokens,
            "seed": request.seed,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if request.schema is not None and self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif request.schema is not None and self.structured == "json_schema":
            strict = request.schema.get("additionalProperties") is False  # strict mode demands closed objects
            schema = {"name": "reply", "schema": dict(request.schema), "strict": strict}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | self.extra

    def _completion(self, content: bytes, latency: float) -> Completion:
        try:
            reply = _Reply.model_validate_json(content)
        except ValidationError as error:
            shown = self._clean(content.decode(errors="replace"))
            raise BackendError(f"{self.model} gave no completion: {shown}", reason="malformed") from error
        choice, usage = reply.choices[0], reply.usage or _Usage()
        stop = "refusal" if choice.message.refusal else STOPS.get(choice.finish_reason)
        text = choice.message.refusal or choice.message.content
        if stop is None or (text is None and stop != "filter"):
            message = f"{self.model} gave no text, finish_reason {choice.finish_reason[:80]!r}"
            raise BackendError(message, reason="malformed")
        counts = usage.prompt_tokens, usage.completion_tokens
        return Completion(text or "", stop, self.model, *counts, latency, fingerprint=reply.system_fingerprint)

    def _failure(self, error: openai.APIStatusError) -> BackendError:
        status, code, said = error.status_code, error.code, self._clean(error.message)
        message = f"{self.base_url} answered {status}: {said}"
        if code == "insufficient_quota" or status in (401, 403, *UNKNOWN_ROUTE):
            return BackendError(message, reason="rejected", fatal=True)
        overflow = code == "context_length_exceeded" or ("context" in said.lower() and "token" in said.lower())
        if status == 413 or (status == 400 and overflow):
            return BackendError(message, reason="context_overflow")
        if status in (408, 409, 429) or status >= 500:
            reason = {408: "timeout", 429: "rate_limit"}.get(status, "server_error")
            return BackendError(message, reason=reason, retryable=True, retry_after=_retry_after(error.response))
        return BackendError(message, reason="rejected")

    def _clean(self, said: object) -> str:
        """What a server or library said, on one line, cut, without the key."""
        line = " ".join(str(said).split())
        key = os.environ.get(self.api_key_env, "").strip()
        return (line.replace(key, "[key]") if key else line)[:300]


def _checked_host(base_url: str, api_key_env: str) -> str:
    """The host of a base_url that may be kept and shown. Raises ValueError, which repeats no credentials."""
    if "@" in base_url or "?" in base_url:
        raise ValueError(f"base_url must hold no user, password or query; put the key into the variable {api_key_env}")
    try:
        parts = urlsplit(base_url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts.hostname
    except ValueError:
        pass  # not even a URL: said below
    raise ValueError(f"base_url must look like http://host:port/v1, got {base_url!r}")


def _is_private(host: str) -> bool:
    """Whether the host is this machine or on a private network: such an address, or a name without a public domain."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
    return address.is_private or address.is_loopback


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, the first cause last."""
    return [error] if error.__cause__ is None else [error, *_causes(error.__cause__)]


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds the server asks to wait, from its Retry-After header (seconds or a date; RFC 9110 section 10.2.3)."""
    value = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
