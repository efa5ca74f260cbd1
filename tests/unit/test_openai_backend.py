"""The OpenAI backend, against a loopback server that misbehaves on demand."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from contagium.agents.backends.backend import BackendError, Completion, Request, Sampling, Token, Turn
from contagium.agents.backends.chat import is_same_model, read_reply
from contagium.agents.backends.openai import OpenAI, servers
from contagium.agents.backends.retry import Retrying
from contagium.agents.backends.timed import Timed

KEY = "sk-test-0123456789-secret"
HELLO = Request((Turn("user", "Hello"),), Sampling(stop=("\n",)), seed=7)
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def reply(content: object = "Good morning.", finish: str = "stop", **message: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content} | message, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}, "system_fingerprint": "fp"}


def says(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Fault:
    async def handler(http: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return handler


def error(status: int, message: str = "no", code: str | None = None, headers: dict[str, str] | None = None) -> Fault:
    return says({"error": {"message": message, "type": "t", "code": code}}, status, headers)


async def reset(http: web.Request) -> web.Response:
    assert http.transport is not None
    http.transport.abort()
    return web.Response()


async def hang(http: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


async def drip(http: web.Request) -> web.StreamResponse:
    """Sends a byte now and then, so that no pause alone is too long."""
    response = web.StreamResponse()
    await response.prepare(http)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.05)
    return response


async def cut_off(http: web.Request) -> web.StreamResponse:
    """Breaks in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(http)
    await response.write(b'{"choices": [')
    assert http.transport is not None
    http.transport.abort()
    return response


async def not_http(http: web.Request) -> web.Response:
    assert http.transport is not None
    http.transport.write(b"SSH-2.0 hello\r\n\r\n")  # type: ignore[attr-defined]
    http.transport.close()
    return web.Response()


def sends(body: bytes) -> Fault:
    async def handler(http: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return handler


async def not_json(http: web.Request) -> web.Response:
    return web.Response(text="<html>busy</html>", content_type="text/html")


class Server:
    """Answers calls with `answers` in turn, the last one for ever, and keeps what was sent."""

    def __init__(self, *answers: Fault, models: Fault | None = None) -> None:
        self.answers = list(answers)
        self.models = models or says({"data": [{"id": "m"}]})
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        self.bodies.append(await http.json())
        self.headers.append(dict(http.headers))
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(http)

    async def _ask(self, request: Request, attempts: int, options: dict[str, Any]) -> Completion:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", self._complete), web.get("/v1/models", self.models)])
        async with TestServer(app) as server:
            settings: dict[str, Any] = {"model": "m", "timeout": 0.3} | options
            self.url = str(server.make_url("/v1"))
            backend = OpenAI(self.url, **settings)
            async with Retrying(Timed(backend), attempts, base_delay=0.001, max_delay=1.0) as retrying:
                return await retrying.complete(request)

    def ask(self, request: Request = HELLO, attempts: int = 1, **options: Any) -> Completion:
        return asyncio.run(self._ask(request, attempts, options))

    def fails(self, **options: Any) -> BackendError:
        with pytest.raises(BackendError) as raised:
            self.ask(**options)
        assert "\n" not in str(raised.value)
        return raised.value


def test_a_reply_is_taken_apart() -> None:
    server = Server(says(reply()))
    completion = server.ask()
    assert completion == Completion(
        "Good morning.", "stop", "m", 9, 3, completion.latency, fingerprint="fp", endpoint=server.url, logprobs=None
    )
    assert 0 < completion.latency < 5
    assert server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello"}],
            "temperature": 0.8,
            "top_p": 0.95,
            "max_tokens": 40,
            "seed": 7,
            "stop": ["\n"],
        }
    ]


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("0", 0),
        (str(2**53), 2**53),
        (str(2**53 + 1), None),
        ("1" + "0" * 30, None),
        ("-5", None),
        ("9.5", None),
        ("true", None),
        ('"9"', None),
        ("[]", None),
        ("1e400", None),
    ],
)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_one_is_none(field: str, stated: str, kept: int | None) -> None:
    body = json.dumps(reply() | {"usage": {field: "STATED"}}).replace('"STATED"', stated)
    completion = read_reply(body.encode(), "m", None, 0.1, "http://127.0.0.1", str)
    assert (completion.text, getattr(completion, field)) == ("Good morning.", kept)


@pytest.mark.parametrize("usage", [5, "much", [], None, {}])
def test_a_usage_that_holds_no_counts_is_none(usage: object) -> None:
    body = json.dumps(reply() | {"usage": usage}).encode()
    completion = read_reply(body, "m", None, 0.1, "http://127.0.0.1", str)
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("Good morning.", None, None)


def test_any_unicode_passes_unchanged() -> None:
    text = "“Ω” 🌀 {x} ${y} <b>&amp;</b> \u202eright to left\u202c \\ \" '"
    server = Server(says(reply(text)))
    assert server.ask(Request((Turn("user", text),))).text == text
    assert server.bodies[0]["messages"][0]["content"] == text


@pytest.mark.parametrize(
    ("body", "text", "stop"),
    [
        (reply("Half a", "length"), "Half a", "length"),
        (reply("Some", "content_filter"), "Some", "filter"),
        (reply(None, "content_filter"), "", "filter"),
        (reply(None, "stop", refusal="I cannot help."), "I cannot help.", "refusal"),
        (reply("Done", "eos_token"), "Done", "stop"),
        (reply(None, "length"), "", "length"),
        (reply("I will not.", "refusal"), "I will not.", "refusal"),
    ],
)
def test_how_a_reply_ended(body: dict[str, Any], text: str, stop: str) -> None:
    completion = Server(says(body)).ask()
    assert (completion.text, completion.stop) == (text, stop)


def test_a_filtered_prompt_is_an_outcome_not_a_failure() -> None:
    completion = Server(error(400, code="content_filter")).ask()
    assert (completion.stop, completion.text) == ("filter", "")
    assert (completion.prompt_tokens, completion.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    ("answer", "reason", "retryable", "fatal"),
    [
        (error(429, headers={"Retry-After": "0"}), "rate_limit", True, False),
        (error(429, code="insufficient_quota"), "rejected", False, True),
        (error(500), "server_error", True, False),
        (error(503), "unavailable", True, False),
        (error(529), "server_error", True, False),
        (error(408), "timeout", True, False),
        (error(409), "conflict", True, False),
        (error(400), "rejected", False, False),
        (error(422), "rejected", False, False),
        (error(400, code="context_length_exceeded"), "context_overflow", False, False),
        (error(400, "maximum context length is 4096 tokens"), "context_overflow", False, False),
        (error(401), "rejected", False, True),
        (error(402), "rejected", False, True),
        (error(403), "rejected", False, True),
        (error(404, "no such model"), "rejected", False, True),
        (error(307, headers={"Location": "http://127.0.0.1:1/v1"}), "rejected", False, True),
        (reset, "reset", True, False),
        (cut_off, "reset", True, False),
        (not_http, "malformed", True, False),
        (hang, "timeout", True, False),
        (drip, "timeout", True, False),
        (not_json, "malformed", True, False),
        (says({"choices": []}), "empty_choices", True, False),
        (says({"choices": None}), "empty_choices", True, False),
        (says({"id": "1"}), "malformed", True, False),
        (says({"error": {"message": "overloaded"}}), "error_body", True, False),
        (says({"error": {"message": "slow down", "code": "rate_limit_exceeded"}, "choices": []}), "error_body", True, False),
        (says({"error": "overloaded"}), "error_body", True, False),
        (says({"object": "error", "message": "overloaded"}), "error_body", True, False),
        (sends(b'{"choices": [{"message": {"content": "Caf\xc3'), "bad_encoding", True, False),
        (sends(b'{"choices": [{"message": {"content": "Caf'), "malformed", True, False),
        (says(reply() | {"model": "other"}), "wrong_model", True, False),
        (says([1, 2]), "malformed", True, False),
        (says(reply(None)), "malformed", True, False),
        (says(reply(17)), "malformed", True, False),
        (says(reply("x", "tool_calls")), "malformed", True, False),
        (says(reply("\ud800")), "malformed", True, False),
    ],
)
def test_faults_have_names(answer: Fault, reason: str, retryable: bool, fatal: bool) -> None:
    failure = Server(answer).fails()
    assert (failure.reason, failure.retryable, failure.fatal) == (reason, retryable, fatal)


def test_an_unwritable_request_is_rejected() -> None:
    assert Server(says(reply())).fails(request=Request((Turn("user", "\ud800"),))).reason == "rejected"


def test_a_fault_that_passes_is_forgotten_but_counted() -> None:
    server = Server(error(500), reset, error(429, headers={"Retry-After": "0.05"}), says(reply()))
    completion = server.ask(attempts=4)
    assert (completion.attempts, completion.faults) == (4, ("server_error", "reset", "rate_limit"))
    assert len(server.bodies) == 4
    assert all(body == server.bodies[0] for body in server.bodies)


@pytest.mark.parametrize("answer", [error(400), error(401)])
def test_what_cannot_pass_is_not_tried_again(answer: Fault) -> None:
    server = Server(answer)
    server.fails(attempts=4)
    assert len(server.bodies) == 1


def test_refusals_are_not_tried_again() -> None:
    server = Server(says(reply(None, refusal="No.")))
    assert server.ask(attempts=4).attempts == 1


def test_waiting_has_no_second_clock() -> None:
    """Only `Timed` gives up: the client itself waits longer than `timeout`."""

    async def run() -> Completion:
        app = web.Application()

        async def slow(http: web.Request) -> web.Response:
            await asyncio.sleep(0.2)
            return web.json_response(reply())

        app.add_routes([web.post("/v1/chat/completions", slow)])
        async with TestServer(app) as server, OpenAI(str(server.make_url("/v1")), "m", timeout=0.1) as backend:
            return await backend.complete(HELLO)

    assert asyncio.run(run()).latency > 0.1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "1"}, 1.0),
        ({"Retry-After": "-3"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert Server(error(429, headers=headers)).fails().retry_after == seconds


def test_what_is_not_counted_is_not_known() -> None:
    for usage in ({}, {"usage": None}, {"usage": {"total_tokens": 12}}):
        body = reply()
        del body["usage"]
        completion = Server(says(body | usage)).ask()
        assert (completion.prompt_tokens, completion.completion_tokens) == (None, None)


def test_log_probabilities() -> None:
    place = {
        "token": "Good",
        "logprob": -0.5,
        "top_logprobs": [{"token": "Good", "logprob": -0.5}, {"token": "Hi", "logprob": -1.5}],
    }
    body = reply()
    body["choices"][0]["logprobs"] = {"content": [place, {"token": " morning.", "logprob": -0.1}]}
    server = Server(says(body))
    completion = server.ask(Request(HELLO.messages, Sampling(logprobs=2)))
    assert completion.logprobs == (Token("Good", -0.5, (("Good", -0.5), ("Hi", -1.5))), Token(" morning.", -0.1))
    assert (server.bodies[0]["logprobs"], server.bodies[0]["top_logprobs"]) == (True, 2)
    server.ask()
    assert "logprobs" not in server.bodies[1]


@pytest.mark.parametrize(
    ("asked", "named", "same"),
    [
        ("gpt-5", "gpt-5-2026-01-31", True),
        ("Llama-3", "llama-3:latest", True),
        ("qwen", "models/Qwen", True),
        ("google/gemma", "gemma", True),
        ("gpt-5", "gpt-50", False),
        ("gpt-5-mini", "gpt-5", False),
        ("qwen", "notqwen", False),
    ],
)
def test_names_of_the_same_model(asked: str, named: str, same: bool) -> None:
    assert is_same_model(asked, named) is same


def test_who_answers_is_logged_under_its_own_name() -> None:
    assert Server(says(reply() | {"model": "m-2026-01-31"})).ask().model == "m-2026-01-31"


def test_another_name_is_accepted_where_it_is_said() -> None:
    server = Server(says(reply() | {"model": "deployment 7"}))
    failure = server.fails()
    assert str(failure).endswith(
        "was asked for m and answered as 'deployment 7'; if that is right, set backend.served_as=deployment 7"
    )
    assert server.fails(served_as="deployment 8").reason == "wrong_model"
    for served_as in ("Deployment 7", "*"):
        assert server.ask(served_as=served_as).model == "deployment 7"


@pytest.mark.parametrize(("structured", "sent"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("off", None)])
def test_how_a_schema_is_sent(structured: str, sent: str | None) -> None:
    server = Server(says(reply("{}")))
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    server.ask(Request(HELLO.messages, schema=schema), structured=structured)
    form = server.bodies[0].get("response_format", {})
    assert form.get("type") == sent
    if sent == "json_schema":
        assert form["json_schema"] == {"name": "reply", "schema": schema, "strict": True}


def test_extra_fields_are_sent() -> None:
    server = Server(says(reply()))
    server.ask(extra={"repetition_penalty": 1.1})
    assert server.bodies[0]["repetition_penalty"] == 1.1


# Opening


def test_an_unknown_model_is_named_with_what_is_offered() -> None:
    failure = Server(says(reply()), models=says({"data": [{"id": "a"}, {"id": "b"}]})).fails(model="c")
    assert failure.fatal
    assert "does not know the model 'c'; it offers: 'a', 'b'" in str(failure)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_list_of_models_is_asked_nothing(status: int) -> None:
    assert Server(says(reply()), models=error(status)).ask().text == "Good morning."


@pytest.mark.parametrize("models", [not_json, says({"data": "x"}), error(401), error(500), hang, reset])
def test_a_server_that_cannot_serve_is_fatal(models: Fault) -> None:
    server = Server(says(reply()), models=models)
    assert server.fails().fatal
    assert server.bodies == []


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    async def run() -> None:
        async with OpenAI(url, "m"):
            pass

    with pytest.raises(BackendError, match=url) as raised:
        asyncio.run(run())
    assert raised.value.fatal
    assert raised.value.reason == "connection"
    assert "\n" not in str(raised.value)


# Keys


def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)

    async def run() -> None:
        async with OpenAI("https://models.example.com/v1", "m", api_key_env="MY_KEY"):
            pass

    with pytest.raises(BackendError, match="set the environment variable MY_KEY") as raised:
        asyncio.run(run())
    assert raised.value.fatal


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server = Server(says(reply()))
    server.ask(api_key_env="MY_KEY")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    for fault in (error(401, f"wrong key {KEY}"), says({"error": {"message": KEY}}), error(500, KEY)):
        assert KEY not in str(Server(fault).fails(api_key_env="MY_KEY"))
    assert KEY not in repr(OpenAI("http://localhost/v1", "m", api_key_env="MY_KEY").__dict__)


def test_a_key_no_header_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "schlüssel")
    failure = Server(says(reply())).fails(api_key_env="MY_KEY")
    assert failure.fatal
    assert "MY_KEY" in str(failure)
    assert "schlüssel" not in str(failure)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://me:hunter2@host/v1",
        "http://hunter2@host/v1",
        "http://me:hunter2@host:x/v1",
        "http://host/v1?key=hunter2",
    ],
)
def test_credentials_in_the_url_are_refused_and_not_repeated(base_url: str) -> None:
    with pytest.raises(ValueError, match="MY_KEY") as raised:
        OpenAI(base_url, "m", api_key_env="MY_KEY")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("base_url", ["", "host/v1", "ftp://host/v1", "http://", "http://host:x/v1", "http://[::1/v1"])
def test_what_is_no_url_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url must look like"):
        OpenAI(base_url, "m")


@pytest.mark.parametrize(("field", "value"), [("concurrency", 0), ("timeout", 0), ("timeout", float("nan")), ("model", "")])
def test_bad_settings_are_refused(field: str, value: object) -> None:
    settings: dict[str, Any] = {"base_url": "http://localhost/v1", "model": "m", field: value}
    with pytest.raises(ValueError, match=f"{field} must be"):
        OpenAI(**settings)


def test_one_server_or_several() -> None:
    (one,) = servers("http://localhost/v1", "m", timeout=9.0, served_as="n")
    assert (one.base_url, one.model, one.timeout, one.served_as, one.concurrency) == ("http://localhost/v1", "m", 9.0, "n", 512)
    assert [each.base_url for each in servers(["http://a/v1", "http://b/v1"], "m")] == ["http://a/v1", "http://b/v1"]
    with pytest.raises(ValueError, match="each server once, got http://a/v1/ twice"):
        servers(["http://a/v1", "http://b/v1", "http://a/v1/"], "m")
    with pytest.raises(ValueError, match="at least one server"):
        servers([], "m")
