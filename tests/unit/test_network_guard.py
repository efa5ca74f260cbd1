"""The tests' own rule: nothing leaves this machine."""

import asyncio
import socket
from pathlib import Path

import pytest


def test_another_machine_is_refused_by_address() -> None:
    with socket.socket() as plug, pytest.raises(RuntimeError, match="loopback"):
        plug.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as plug, pytest.raises(RuntimeError, match="loopback"):
        plug.sendto(b"x", ("192.0.2.1", 80))


def test_another_machine_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
def test_another_machine_is_refused_in_asyncio(host: str) -> None:
    with pytest.raises(RuntimeError, match="loopback"):
        asyncio.run(asyncio.wait_for(asyncio.open_connection(host, 80), timeout=5))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello\n")
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply


def test_loopback_and_unix_sockets_work(tmp_path: Path) -> None:
    async def session() -> tuple[bytes, bytes]:
        path = str(tmp_path / "s")
        async with await asyncio.start_server(_echo, "localhost") as tcp, await asyncio.start_unix_server(_echo, path):
            port = tcp.sockets[0].getsockname()[1]
            by_port = await _say(*await asyncio.open_connection(tcp.sockets[0].getsockname()[0], port))
            return by_port, await _say(*await asyncio.open_unix_connection(path))

    assert asyncio.run(session()) == (b"hello\n", b"hello\n")
