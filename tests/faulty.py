"""A chat completions server on this machine that fails on purpose, and in the same way each time.

The parrot answers. A share of the tries fails; which, and of what, is a keyed draw of the server's seed, the request's content
and how often it came before, so it does not depend on who asks first. As a program it serves until it is ended, prints its
address and answers GET /stats with its counts: `python tests/faulty.py --share 0.3 --latency 0.05`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from contagium.agents.backends.backend import Request, Turn
from contagium.agents.backends.parrot import Parrot
from contagium.envs.rng import Streams

# Each fault, and the reason by which the one who asked must count it.
FAULTS = {
    "429 with Retry-After": "rate_limit",
    "429": "rate_limit",
    "500": "server_error",
    "503": "unavailable",
    "reset mid-body": "reset",
    "hang": "timeout",
    "invalid JSON": "malformed",
    "empty choices": "empty_choices",
    "truncated UTF-8": "bad_encoding",
    "wrong model": "wrong_model",
    "200 with an error body": "error_body",
}


def content_of(messages: Sequence[tuple[str, str]], seed: int, schema: Mapping[str, Any] | None = None) -> str:
    """What is asked, in 16 hex digits: messages are (role, content). Equal for a request and for what the server gets of it."""
    asked = json.dumps([[list(message) for message in messages], seed, schema], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def content_of_request(request: Request) -> str:
    """The same of a request, where the schema is passed on as a JSON schema."""
    return content_of([(turn.role, turn.content) for turn in request.messages], request.seed, request.schema)


class FaultyServer:
    """Serves while entered; `stop` breaks every connection, `start` begins again on the same port.

    share: of the tries that fail. faults: what they fail of. latency: seconds before any answer; sigma: 0 for all alike, above it
    the latency is lognormal with that mean (2 is heavy-tailed). retry_after: seconds asked for. port: 0 takes a free one.
    together: nobody is answered before so many wait at once.

    Counts: `asked` and `completed` (replies sent in full) by content, `faults` by name, `most` the largest number in flight at
    once.
    """

    def __init__(
        self,
        share: float = 0.0,
        seed: int = 0,
        faults: Sequence[str] = tuple(FAULTS),
        latency: float = 0.0,
        sigma: float = 0.0,
        retry_after: float = 0.02,
        port: int = 0,
        model: str = "parrot",
        together: int = 1,
    ) -> None:
        self.share, self.names, self.latency, self.sigma = share, tuple(faults), latency, sigma
        self.together, self._enough = together, asyncio.Event()
        self.retry_after, self.port, self.model = retry_after, port, model
        self.asked: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.flying = self.most = 0
        self._streams, self._parrot = Streams(seed), Parrot()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def reasons(self) -> Counter[str]:
        """The faults so far, by the reason they must be counted under."""
        found: Counter[str] = Counter()
        for name, count in self.faults.items():
            found[FAULTS[name]] += count
        return found

    def stats(self) -> dict[str, Any]:
        return {"requests": self.asked.total(), "faults": self.faults, "asked": self.asked, "completed": self.completed}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer, task in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.get_running_loop().create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request after another until either side ends it."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                line, _, fields = head.partition("\r\n")
                length = int(fields.partition("content-length:")[2].partition("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                if line.startswith("get"):
                    page = self.stats() if line.split()[1] == "/stats" else {"data": [{"id": self.model}]}
                    writer.write(_http(200, json.dumps(page).encode()))
                else:
                    await self._complete(json.loads(body), reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has gone
        finally:
            self._open.pop(writer)
            writer.close()

    async def _complete(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        schema = body["response_format"]["json_schema"]["schema"] if "response_format" in body else None
        messages = [(turn["role"], turn["content"]) for turn in body["messages"]]
        content = content_of(messages, body["seed"], schema)
        attempt = self.asked[content]
        self.asked[content] += 1
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            if self.flying >= self.together:
                self._enough.set()
            await self._enough.wait()
            fault, delay = self._draw(content, attempt)
            if delay:
                await asyncio.sleep(delay)
        finally:
            self.flying -= 1
        if reader.at_eof():
            return  # nobody listens any more
        if fault is not None:
            self.faults[fault] += 1
            await self._fail(fault, reader, writer)
            return
        if not messages:
            writer.write(_http(400, b'{"error": {"message": "messages must not be empty"}}'))
            return
        request = Request(tuple(Turn(role, text) for role, text in messages), seed=body["seed"], schema=schema)
        said = await self._parrot.complete(request)
        counts = {"prompt_tokens": said.prompt_tokens, "completion_tokens": said.completion_tokens}
        writer.write(_http(200, _reply(body["model"], said.text, usage=counts, system_fingerprint="parrot 1")))
        self.completed[content] += 1

    def _draw(self, content: str, attempt: int) -> tuple[str | None, float]:
        """What this try fails of, if it does, and the seconds before its answer."""
        if not self.share and not self.sigma:
            return None, self.latency
        rng = self._streams.generator("fault", int(content, 16), attempt)
        fails, which, normal = rng.random() < self.share, rng.integers(len(self.names)), rng.standard_normal()
        return self.names[which] if fails else None, self.latency * math.exp(self.sigma * normal - self.sigma**2 / 2)

    async def _fail(self, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        error = b'{"error": {"message": "on purpose", "type": "t", "code": null}}'
        match fault:
            case "429 with Retry-After":
                writer.write(_http(429, error, f"Retry-After: {self.retry_after}\r\n"))
            case "429" | "500" | "503":
                writer.write(_http(int(fault), error))
            case "reset mid-body":
                writer.write(_http(200, _reply(self.model, "Good morning."))[:-20])
                await writer.drain()
                writer.transport.abort()
            case "hang":
                await reader.read()  # until the other side gives up
            case "invalid JSON":
                writer.write(_http(200, b"<html>busy</html>"))
            case "empty choices":
                writer.write(_http(200, b'{"model": "parrot", "choices": []}'))
            case "truncated UTF-8":
                whole = _reply(self.model, "Café")
                writer.write(_http(200, whole[: whole.index(b"\xc3") + 1]))
            case "wrong model":
                writer.write(_http(200, _reply("somebody-else", "Good morning.")))
            case "200 with an error body":
                writer.write(_http(200, error))
            case _:
                raise ValueError(f"fault must be one of {', '.join(FAULTS)}, got {fault!r}")


def _http(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def _reply(model: str, text: str, **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    reply = {"id": "1", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]} | fields
    return json.dumps(reply, ensure_ascii=False).encode()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (("share", float, 0.0), ("seed", int, 0), ("port", int, 0), ("retry_after", float, 0.02)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--sigma", type=float, default=0.0)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=tuple(FAULTS))
    async with FaultyServer(**vars(parser.parse_args())) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
