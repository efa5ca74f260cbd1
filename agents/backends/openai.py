"""Any server that speaks the chat completions part of the OpenAI API.

Calls go through the official client's aiohttp transport but not through its typed methods: building and reading a call here costs
a quarter to a half of their CPU time, most of which they spend on options, headers and a recursive transform of the messages.
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

import aiohttp
import httpx2
from openai import DefaultAioHttpClient
from pydantic import BaseModel, ValidationError

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request
from contagium.agents.backends.chat import Structured, read_refusal, read_reply, write_request

NO_SUCH_ROUTE = (404, 405, 501)
REASONS = {408: "timeout", 409: "conflict", 429: "rate_limit", 503: "unavailable"}
"""Error statuses after which another try may succeed, beside the other 5xx."""
KEPT_ALIVE = 4.0
"""Seconds a connection without a call is kept: less than the 5 s after which common servers close it under a call just sent."""


class _Entry(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Entry]


class OpenAI:
    """Backend that calls one OpenAI-compatible server. It neither retries nor gives up waiting: wrap it in `Retrying` and
    `Timed`.

    base_url: up to and with the version, such as http://127.0.0.1:8000/v1. model: as the server names it. api_key_env: the
    environment variable that holds the key; servers on this machine or a private network may do without. concurrency: calls
    worth having in flight, and connections kept. timeout: seconds a call may take, for `Timed`. structured: how a schema is
    passed on ("json_schema", the older "json_object", or "off": not at all). extra: further fields of each request, such as
    {"repetition_penalty": 1.1}; `Sampling.repeat_penalty` itself is not part of the API and is not sent. served_as: the name
    under which the server answers, where it is quite another than `model` ("*": any).
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 512,
        timeout: float = 60.0,
        structured: Structured = "json_schema",
        prompt_form: PromptForm = "transcript",
        extra: Mapping[str, Any] | None = None,
        served_as: str | None = None,
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
        self.structured: Structured = structured
        self.prompt_form: PromptForm = prompt_form
        self.extra = dict(extra or {})
        self.served_as = served_as
        # The API's own home renamed the field and refuses the old name for newer models; others know the old one.
        self._limit = "max_completion_tokens" if self._host == "api.openai.com" else "max_tokens"
        self._calls, self._models = (httpx2.URL(base_url.rstrip("/") + path) for path in ("/chat/completions", "/models"))
        self._http: httpx2.AsyncClient | None = None
        self._headers: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        key = self._key()
        self._headers = [("Content-Type", "application/json"), ("User-Agent", "contagium"), ("Accept-Encoding", "gzip, deflate")]
        if key is not None:
            self._headers.append(("Authorization", f"Bearer {key}"))
        limits = httpx2.Limits(max_connections=self.concurrency, keepalive_expiry=KEPT_ALIVE)
        self._http = DefaultAioHttpClient(timeout=None, limits=limits, follow_redirects=False)
        try:
            await self._check()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.aclose()
        self._http, self._headers = None, []

    async def complete(self, request: Request) -> Completion:
        started = time.perf_counter()
        try:
            body = write_request(request, self.model, self._limit, self.structured, self.extra)
        except ValueError as error:
            message = f"the request cannot be written as JSON: {self._clean(error)}"
            raise BackendError(message, reason="rejected") from error
        response = await self._send("POST", self._calls, body)
        latency = time.perf_counter() - started
        if response.is_success:
            return read_reply(response.content, self.model, self.served_as, latency, self.base_url, self._clean)
        said, code = read_refusal(response.content)
        if code == "content_filter":  # some servers refuse a filtered prompt with status 400
            return Completion("", "filter", self.model, None, None, latency, endpoint=self.base_url)
        raise self._failure(response, said, code)

    async def _send(self, method: Literal["GET", "POST"], url: httpx2.URL, body: bytes | None = None) -> httpx2.Response:
        """The response, whatever its status. Raises `BackendError` where none came."""
        if self._http is None:
            raise BackendError("the connection is not open: use `async with`", reason="connection", fatal=True)
        try:
            return await self._http.send(httpx2.Request(method, url, headers=self._headers, content=body))
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from error

    async def _check(self) -> None:
        """Whether somebody listens and knows the model. Every failure is fatal."""
        try:
            async with asyncio.timeout(self.timeout):
                response = await self._send("GET", self._models)
        except TimeoutError as error:
            message = f"{self.base_url} gave no reply within {self.timeout:g} s"
            raise BackendError(message, reason="timeout", fatal=True) from error
        except BackendError as error:
            raise BackendError(str(error), reason=error.reason, fatal=True) from error
        if response.status_code in NO_SUCH_ROUTE:
            return  # no list of models: the first call will tell
        if not response.is_success:
            failure = self._failure(response, *read_refusal(response.content))
            raise BackendError(str(failure), reason=failure.reason, fatal=True)
        try:
            known = [entry.id for entry in _Models.model_validate_json(response.content).data]
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

    def _broken(self, error: Exception) -> BackendError:
        """Why no response came. The transport calls most broken connections a timeout, so what lies beneath decides."""
        causes = _causes(error)
        said = self._clean(causes[-1]) or type(causes[-1]).__name__
        if any(isinstance(cause, aiohttp.ClientConnectorError) for cause in causes):
            return BackendError(f"no connection to {self.base_url}: {said}", reason="connection", retryable=True)
        if any(isinstance(cause, aiohttp.ClientResponseError | httpx2.DecodingError) for cause in causes):
            return BackendError(f"{self.base_url} answered no proper HTTP: {said}", reason="malformed", retryable=True)
        return BackendError(f"the connection to {self.base_url} broke: {said}", reason="reset", retryable=True)

    def _failure(self, response: httpx2.Response, said: str, code: str | None) -> BackendError:
        status, said = response.status_code, self._clean(said)
        message = f"{self.base_url} answered {status}: {said}"
        if response.is_redirect:
            message = (
                f"{self.base_url} redirects to {self._clean(response.headers.get('location'))}; set base_url to where it leads"
            )
        if response.is_redirect or code == "insufficient_quota" or status in (401, 402, 403, *NO_SUCH_ROUTE):
            return BackendError(message, reason="rejected", fatal=True)
        overflow = code == "context_length_exceeded" or ("context" in said.lower() and "token" in said.lower())
        if status == 413 or (status == 400 and overflow):
            return BackendError(message, reason="context_overflow")
        if status in REASONS or status >= 500:
            reason = REASONS.get(status, "server_error")
            return BackendError(message, reason=reason, retryable=True, retry_after=_retry_after(response))
        return BackendError(message, reason="rejected")

    def _clean(self, said: object) -> str:
        """What a server or library said, on one line, cut, without the key."""
        line = " ".join(str(said).split())
        key = os.environ.get(self.api_key_env, "").strip()
        return (line.replace(key, "[key]") if key else line)[:300]


def servers(
    base_url: str | list[str],
    model: str,
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 512,
    timeout: float = 60.0,
    structured: Structured = "json_schema",
    prompt_form: PromptForm = "transcript",
    extra: dict[str, Any] | None = None,
    served_as: str | None = None,
) -> list[OpenAI]:
    """An endpoint for each base_url, all serving the same model: what `backend=openai` names. The rest: see `OpenAI`."""
    urls = [base_url] if isinstance(base_url, str) else base_url
    if not urls:
        raise ValueError("base_url must name at least one server, got none")
    for place, url in enumerate(urls):
        if url.rstrip("/") in (other.rstrip("/") for other in urls[:place]):
            _checked_host(url, api_key_env)  # shown below: must hold no credentials
            raise ValueError(f"base_url must name each server once, got {url} twice")
    return [OpenAI(url, model, api_key_env, concurrency, timeout, structured, prompt_form, extra, served_as) for url in urls]


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
    """Seconds the server asks to wait: retry-after-ms, or Retry-After (seconds or a date; RFC 9110 section 10.2.3)."""
    value = response.headers.get("retry-after", "")
    for stated, unit in ((response.headers.get("retry-after-ms", ""), 0.001), (value, 1.0)):
        try:
            return max(0.0, float(stated) * unit)
        except ValueError:
            continue
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
