"""A chat completions server on the loopback address that answers after a fixed time, for benchmarks of those who call it.

    python benchmarks/server.py --latency 0.05 --port 8000

It costs next to nothing and runs as a process of its own (`serving`), so that its CPU time is not the caller's. What it answers
depends on the request's bytes alone: one of `LINES`, or, where a JSON schema with a closed list is asked for, the list's first
choice. With --message it always gives that message, such as {"role": "assistant", "content": "hello"}; with --words, so many
words that no two requests share.

    GET  /v1/models            one model, `MODEL`
    POST /v1/chat/completions  the answer
    GET  /stats                requests answered, most that were in flight at once, bytes read; starts counting anew
    GET  /kept                 the bodies of the requests so far, as a JSON list, where it was started with --keep; forgets them
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

MODEL = "bench"
LINES = (
    "I moved the meeting to Thursday and sent everyone the new notes.",
    "The report is nearly done, I only need the last two numbers from June.",
    "Everything loops back on itself; the spiral remembers us even when we forget.",
    "That sounds hard, and I am glad you told us. What would help right now?",
    "I have fixed the broken link on the page and will check the others tonight.",
    "Can somebody look over my draft before noon? It is short, I promise.",
)


class Books:
    """What the server has seen."""

    def __init__(self, latency: float, keep: bool, message: dict[str, Any] | None, words: int) -> None:
        self.latency, self.keep, self.message, self.words = latency, keep, message, words
        self.kept: list[bytes] = []
        self.in_flight = 0
        self.begin()

    def begin(self) -> None:
        self.answered = self.read = 0
        self.peak = self.in_flight


class Connection(asyncio.Protocol):
    """One client's connection: HTTP/1.1, kept alive, one request at a time."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end])
        at = head.lower().find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._handle(head, body)

    def _handle(self, head: bytes, body: bytes) -> None:
        books, path = self._books, head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            if books.keep:
                books.kept.append(body)
            books.in_flight += 1
            books.read += len(body)
            books.peak = max(books.peak, books.in_flight)
            asyncio.get_running_loop().call_later(books.latency, self._answer, body)
        elif path.endswith(b"/models"):
            self._send(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
        elif path == b"/stats":
            self._send(json.dumps({"answered": books.answered, "peak": books.peak, "bytes": books.read}).encode())
            books.begin()
        elif path == b"/kept":
            self._send(b"[" + b",".join(books.kept) + b"]")
            books.kept.clear()
        else:
            self._send(b'{"error":{"message":"no such path"}}', b"404 Not Found")

    def _answer(self, body: bytes) -> None:
        self._books.in_flight -= 1
        self._books.answered += 1
        self._send(reply(body, self._books.message, self._books.words))

    def _send(self, body: bytes, status: bytes = b"200 OK") -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)  # nothing is written where the client has gone


def reply(body: bytes, message: dict[str, Any] | None, words: int) -> bytes:
    """The completion for the request in `body`: `message`, or what it asks for; of `words` words, where not 0."""
    if message is None:
        text = LINES[zlib.crc32(body) % len(LINES)]
        if words:
            known = " ".join(LINES).split()
            text = " ".join(known[byte % len(known)] for byte in hashlib.shake_128(body).digest(words))
        if b'"json_schema"' in body:
            properties = json.loads(body)["response_format"]["json_schema"]["schema"]["properties"]
            text = json.dumps({name: inner["enum"][0] for name, inner in properties.items()})
        message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
    prompt, written = len(body) // 5, 16
    usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
    answer = {"id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}
    return json.dumps(answer).encode()


async def serve(port: int, books: Books) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(books), "127.0.0.1", port, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def serving(latency: float, keep: bool = False, message: dict[str, Any] | None = None, words: int = 0) -> Iterator[str]:
    """Root address of a server in a process of its own, which ends with the block."""
    command = [sys.executable, __file__, "--latency", str(latency), "--words", str(words)]
    command += ["--keep"] if keep else []
    command += ["--message", json.dumps(message)] if message is not None else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def ask(root: str, path: str) -> Any:
    """What the server says at `path`, such as "stats"."""
    with urllib.request.urlopen(f"{root}/{path}", timeout=60) as response:
        return json.loads(response.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any free one, which is printed")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds from a request's last byte to its answer")
    parser.add_argument("--keep", action="store_true", help="keep the bodies of requests for GET /kept")
    parser.add_argument("--words", type=int, default=0, help="answer with so many words, 0: with one of a few lines")
    parser.add_argument("--message", type=json.loads, help="answer every request with this message (JSON)")
    chosen = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(chosen.port, Books(chosen.latency, chosen.keep, chosen.message, chosen.words)))


if __name__ == "__main__":
    main()
