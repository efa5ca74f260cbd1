"""What every backend owes its callers. A new backend adds one line to BACKENDS."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import Backend, BackendError, Completion, Request, Sampling, Turn
from contagium.agents.backends.breaker import Breaking
from contagium.agents.backends.llama import Llama
from contagium.agents.backends.openai import OpenAI
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.pool import Pool
from contagium.agents.backends.rate import Pace
from contagium.agents.backends.retry import Retrying
from contagium.agents.backends.timed import Timed

Opening = Callable[[], AbstractAsyncContextManager[Backend]]


async def answer(http: web.Request) -> web.Response:
    """An OpenAI-compatible server with the parrot behind it."""
    body = await http.json()
    turns = tuple(Turn(turn["role"], turn["content"]) for turn in body["messages"])
    if not turns:
        return web.json_response({"error": {"message": "messages must not be empty"}}, status=400)
    schema = body["response_format"]["json_schema"]["schema"] if "response_format" in body else None
    reply = await Parrot().complete(Request(turns, seed=body["seed"], schema=schema))
    choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    return web.json_response({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})


async def models(http: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "parrot", "object": "model"}]})


@asynccontextmanager
async def over_http(*wrappers: Callable[[Backend], Backend], doors: int = 0) -> AsyncIterator[Backend]:
    """The client of such a server in these wrappers, from the innermost on; doors: so many clients in a pool."""
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", answer), web.get("/v1/models", models)])
    async with TestServer(app) as server:
        url = str(server.make_url("/v1"))
        backend: Backend = Pool([Adaptive(OpenAI(url, "parrot")) for _ in range(doors)]) if doors else OpenAI(url, "parrot")
        for wrapper in wrappers:
            backend = wrapper(backend)
        async with backend:
            yield backend


def paced(backend: Backend) -> Backend:
    return Adaptive(backend, pace=Pace(requests_per_minute=1e6, tokens_per_minute=1e9))


BACKENDS = [
    pytest.param(Parrot, id="parrot"),
    pytest.param(over_http, id="openai"),
    pytest.param(lambda: over_http(Timed), id="timed"),
    pytest.param(lambda: over_http(Adaptive), id="adaptive"),
    pytest.param(lambda: over_http(doors=2), id="pool"),
    pytest.param(lambda: over_http(paced), id="rated"),
    pytest.param(lambda: over_http(Breaking), id="breaking"),
    pytest.param(lambda: over_http(Retrying), id="retrying"),
    pytest.param(lambda: over_http(paced, Breaking, Retrying, doors=3), id="all wrappers"),
    pytest.param(lambda: Llama(deterministic=True, context=512), id="llama", marks=pytest.mark.weights("SMOLLM2")),
]
SCHEMA = {
    "type": "object",
    "properties": {"feeling": {"type": "string", "enum": ["joy", "calm", "anger"]}},
    "required": ["feeling"],
    "additionalProperties": False,
}


def ask(opening: Opening, *requests: Request) -> list[Completion]:
    async def run() -> list[Completion]:
        async with opening() as backend:
            return await asyncio.gather(*map(backend.complete, requests))

    return asyncio.run(run())


def request(seed: int = 1, **fields: object) -> Request:
    messages = (Turn("system", "You are Aster."), Turn("user", "Say good morning."))
    return Request(messages, Sampling(max_tokens=24), seed, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("opening", BACKENDS)
def test_it_is_a_backend(opening: Opening) -> None:
    async def run() -> None:
        async with opening() as backend:
            assert isinstance(backend, Backend)
            assert backend.model
            assert backend.prompt_form in ("turns", "transcript")
            assert backend.concurrency >= 1
            assert backend.timeout is None or backend.timeout > 0

    asyncio.run(run())


@pytest.mark.parametrize("opening", BACKENDS)
def test_a_completion_is_complete(opening: Opening) -> None:
    (reply,) = ask(opening, request())
    assert reply.text.strip()
    assert reply.stop in ("stop", "length")
    assert reply.model
    assert reply.prompt_tokens > 0
    assert reply.completion_tokens > 0
    assert reply.latency >= 0
    assert (reply.attempts, reply.faults) == (1, ())


@pytest.mark.parametrize("opening", BACKENDS)
def test_equal_requests_get_equal_replies_in_any_order(opening: Opening) -> None:
    requests = [request(seed) for seed in range(4)]
    forth = [reply.text for reply in ask(opening, *requests)]
    back = [reply.text for reply in ask(opening, *requests[::-1])]
    assert forth == back[::-1]
    assert len(set(forth)) > 1  # the seed matters


@pytest.mark.parametrize("opening", BACKENDS)
def test_many_calls_in_flight_keep_their_replies(opening: Opening) -> None:
    requests = [request(seed) for seed in range(6)]
    alone = [ask(opening, one)[0].text for one in requests[:2]]
    assert [reply.text for reply in ask(opening, *requests)][:2] == alone


@pytest.mark.parametrize("opening", BACKENDS)
def test_a_schema_is_kept(opening: Opening) -> None:
    for reply in ask(opening, *(request(seed, schema=SCHEMA) for seed in range(3))):
        assert json.loads(reply.text)["feeling"] in ("joy", "calm", "anger")


@pytest.mark.parametrize("opening", BACKENDS)
def test_a_failed_call_raises_and_the_next_succeeds(opening: Opening) -> None:
    async def run() -> None:
        async with opening() as backend:
            with pytest.raises(BackendError) as raised:
                await backend.complete(Request(()))
            assert raised.value.reason == "rejected"
            assert not raised.value.retryable
            assert (raised.value.attempts, raised.value.faults) == (1, ("rejected",))
            assert (await backend.complete(request())).text

    asyncio.run(run())


@pytest.mark.parametrize("opening", BACKENDS)
def test_a_cancelled_call_leaves_the_backend_usable(opening: Opening) -> None:
    async def run() -> None:
        async with opening() as backend:
            call = asyncio.ensure_future(backend.complete(request()))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert (await backend.complete(request())).text

    asyncio.run(run())
