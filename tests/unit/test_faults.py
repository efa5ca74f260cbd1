"""The whole stack of wrappers against a server that fails on purpose: no call lost, and each fault counted under its name."""

import asyncio
import json
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from contagium.agents.backends.adaptive import Adaptive
from contagium.agents.backends.backend import Backend, BackendError, Completion, Request, Turn
from contagium.agents.backends.breaker import Breaking
from contagium.agents.backends.openai import OpenAI
from contagium.agents.backends.parrot import Parrot
from contagium.agents.backends.pool import Pool
from contagium.agents.backends.retry import Retrying
from contagium.agents.backends.timed import Timed


def call(seed: int) -> Request:
    return Request((Turn("system", "You are Aster."), Turn("user", "Say good morning.")), seed=seed)


@asynccontextmanager
async def stack(*servers: Any, timeout: float = 1.0, attempts: int = 12, **options: Any) -> AsyncIterator[Backend]:
    doors = [Adaptive(Timed(OpenAI(server.url, "parrot", timeout=timeout))) for server in servers]
    pool = Pool(doors, first_pause=0.05) if len(doors) > 1 else None
    alive = pool.alive if pool is not None else lambda: False
    breaking = Breaking(pool or doors[0], **({"first_pause": 0.02, "alive": alive} | options))
    async with Retrying(breaking, attempts, base_delay=0.005) as backend:
        yield backend


async def ask(backend: Backend, seeds: range) -> list[Any]:
    return await asyncio.gather(*(backend.complete(call(seed)) for seed in seeds), return_exceptions=True)


def parrots_own(seeds: range) -> list[str]:
    return [completion.text for completion in asyncio.run(ask(Parrot(), seeds))]


def test_every_fault_has_its_name(faulty: ModuleType) -> None:
    async def run(fault: str) -> BackendError:
        async with faulty.FaultyServer(1.0, faults=[fault]) as server, stack(server, timeout=0.2, attempts=1) as backend:
            (failure,) = await ask(backend, range(1))
            assert server.faults == {fault: 1}
            return failure

    for fault, reason in faulty.FAULTS.items():
        failure = asyncio.run(run(fault))
        assert (failure.reason, failure.retryable, failure.fatal) == (reason, True, False), fault
        assert failure.retry_after == (0.02 if fault == "429 with Retry-After" else None), fault


@pytest.mark.parametrize("doors", [1, 2])
def test_of_a_third_that_fails_nothing_is_lost(doors: int, faulty: ModuleType) -> None:
    async def run() -> tuple[list[Any], list[Any]]:
        servers = [faulty.FaultyServer(0.3, seed) for seed in range(doors)]
        for server in servers:
            await server.start()
        async with stack(*servers, timeout=0.6) as backend:
            done = await ask(backend, range(150))
        for server in servers:
            await server.stop()
        return done, servers

    done, servers = asyncio.run(run())
    assert [completion.text for completion in done] == parrots_own(range(150))
    counted = Counter(fault for completion in done for fault in completion.faults)
    assert counted == sum((server.reasons() for server in servers), Counter())
    assert set(counted) == set(faulty.FAULTS.values())
    assert all(completion.attempts == 1 + len(completion.faults) for completion in done)
    completed = sum((server.completed for server in servers), Counter())
    assert completed == {faulty.content_of_request(call(seed)): 1 for seed in range(150)}


def test_the_same_faults_each_time(faulty: ModuleType) -> None:
    async def run() -> list[tuple[str, ...]]:
        several = [name for name in faulty.FAULTS if name != "hang"]
        async with faulty.FaultyServer(0.5, 3, several) as server, stack(server, attempts=40) as backend:
            return [completion.faults for completion in await ask(backend, range(40))]

    assert asyncio.run(run()) == asyncio.run(run())


def test_two_thousand_in_flight_and_no_timeout(faulty: ModuleType) -> None:
    async def run() -> tuple[list[Any], int]:
        server = faulty.FaultyServer(together=2000)
        await server.start()
        async with Timed(OpenAI(server.url, "parrot", concurrency=2000)) as backend:
            done = await ask(backend, range(2000))
        await server.stop()
        return done, server.most

    done, most = asyncio.run(run())
    assert all(isinstance(outcome, Completion) for outcome in done)
    assert most == 2000


def test_an_endpoint_that_dies_takes_no_call_with_it(faulty: ModuleType) -> None:
    async def run() -> tuple[list[Any], Counter[str]]:
        good, dying = faulty.FaultyServer(latency=0.02), faulty.FaultyServer(latency=0.02)
        async with good, dying, stack(good, dying) as backend:
            calls = asyncio.ensure_future(ask(backend, range(400)))
            while dying.completed.total() < 40:
                await asyncio.sleep(0.005)
            await dying.stop()
            return await calls, good.completed + dying.completed

    done, completed = asyncio.run(run())
    assert [completion.text for completion in done] == parrots_own(range(400))
    assert {fault for completion in done for fault in completion.faults} <= {"reset", "connection"}
    assert any(completion.faults for completion in done)
    assert completed.total() == len(completed) == 400


def test_a_server_that_goes_and_returns_is_waited_for(faulty: ModuleType) -> None:
    said: list[str] = []

    async def run() -> list[Any]:
        async with faulty.FaultyServer(latency=0.02) as server, stack(server, attempts=3, notice=said.append) as backend:
            calls = asyncio.ensure_future(ask(backend, range(200)))
            while server.completed.total() < 40:
                await asyncio.sleep(0.005)
            await server.stop()
            while not said:
                await asyncio.sleep(0.005)
            await server.start()
            return await calls

    done = asyncio.run(run())
    assert [completion.text for completion in done] == parrots_own(range(200))
    assert len(said) == 2
    assert "everyone waits" in said[0]
    assert "everyone goes on" in said[1]


def test_a_server_that_stays_away_ends_it(faulty: ModuleType) -> None:
    async def run() -> list[Any]:
        async with faulty.FaultyServer() as server, stack(server, patience=0.1) as backend:
            await server.stop()
            return await ask(backend, range(50))

    assert {(outcome.reason, outcome.fatal) for outcome in asyncio.run(run())} == {("connection", True)}


def test_a_server_in_a_process_of_its_own() -> None:
    program = Path(__file__).parents[1] / "faulty.py"

    async def run() -> tuple[list[Any], dict[str, Any]]:
        arguments = ("--share", "0.5", "--faults", "500", "429", "--seed", "4")
        server = await asyncio.create_subprocess_exec(sys.executable, program, *arguments, stdout=asyncio.subprocess.PIPE)
        assert server.stdout is not None
        try:
            url = (await server.stdout.readline()).decode().strip()
            async with Retrying(OpenAI(url, "parrot"), attempts=30, base_delay=0.001) as backend:
                done = await ask(backend, range(20))
            with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as page:
                return done, json.load(page)
        finally:
            server.terminate()
            await server.wait()

    done, stats = asyncio.run(run())
    assert [completion.text for completion in done] == parrots_own(range(20))
    assert stats["requests"] == sum(completion.attempts for completion in done)
    assert set(stats["faults"]) == {"500", "429"}
    assert sum(stats["completed"].values()) == len(stats["completed"]) == 20
