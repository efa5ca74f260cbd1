"""What the journal adds to a call: wall and CPU time, commits and bytes, with one, a hundred and a thousand calls in flight.

    python benchmarks/journal.py --calls 4000 --repeats 3

The backend answers each request after 50 ms. Requests have 3 kB, as those of an agent that read two dozen posts. In the first
table every agent asks again as soon as it is answered; in the second all ask at once and wait for the slowest, so that a
round's replies come in one moment. Prints Markdown, the medians of the repeats, and what a bare fdatasync takes meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from contagium.agents.backends.backend import Backend, Completion, PromptForm, Request, Turn
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.journal_file import PAGE
from contagium.agents.backends.journaled import Journaled
from contagium.agents.backends.parrot import PLAIN_LINES

LATENCY = 0.05  # seconds
POSTS = 24
IN_FLIGHT = (1, 100, 1000)


class Slow:
    """Backend that says the same after `LATENCY` seconds."""

    model = "slow"
    prompt_form: PromptForm = "transcript"
    concurrency = 1000
    timeout = None
    seconds_per_call = LATENCY

    async def __aenter__(self) -> Slow:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(LATENCY)
        return Completion(PLAIN_LINES[0], "stop", self.model, 600, 12, LATENCY)


def request(number: int) -> Request:
    """One of many different requests."""
    posts = (f"{number} {k}: {PLAIN_LINES[(number * 7 + k * 5) % len(PLAIN_LINES)]} {PLAIN_LINES[k]}" for k in range(POSTS))
    return Request((Turn("system", "Your name is Aster."), *(Turn("user", post) for post in posts)), seed=number, agent=number)


async def stream(backend: Backend, calls: int, in_flight: int) -> None:
    """All calls, each agent asking again as soon as it is answered."""

    async def agent(first: int) -> None:
        for number in range(first, calls, in_flight):
            await backend.complete(request(number))

    await asyncio.gather(*(agent(first) for first in range(in_flight)))


async def rounds(backend: Backend, calls: int, in_flight: int) -> None:
    """All calls, in rounds that end with the slowest."""
    for first in range(0, calls, in_flight):
        await asyncio.gather(*(backend.complete(request(number)) for number in range(first, first + in_flight)))


async def measure(path: Path | None, calls: int, in_flight: int, shape: str) -> tuple[float, float, float, float]:
    """Wall ms a call takes, CPU ms, commits a call, bytes a call. path: of the journal, None without one."""

    async def timed(backend: Backend) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        await {"stream": stream, "rounds": rounds}[shape](backend, calls, in_flight)
        return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000

    if path is None:
        wall, cpu = await timed(Slow())
        return wall / calls, cpu / calls, 0.0, 0.0
    async with Journal(path) as journal, Journaled(Slow(), journal) as backend:
        wall, cpu = await timed(backend)
    return wall / calls, cpu / calls, journal.commits / calls, path.stat().st_size / calls


def bare_sync(directory: Path, repeats: int = 40) -> float:
    """Median ms that the disk takes to make 32 kB durable, after a rest as long as a call's latency."""
    taken = []
    with (directory / "bare").open("wb", buffering=0) as file:
        for _ in range(repeats):
            time.sleep(LATENCY)
            begun = time.perf_counter()
            file.write(bytes(2 * PAGE))
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the journal of calls.")
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        print(f"bare fdatasync: {bare_sync(Path(room)):.2f} ms")
    for shape in ("stream", "rounds"):
        print(f"\n{shape}\n")
        print(
            "| in flight | added wall ms a call | added wall ms a round | added CPU ms a call | commits a call | bytes a call |"
        )
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        for in_flight in IN_FLIGHT:
            calls = min(options.calls, in_flight * 40)
            rows = []
            for _ in range(options.repeats):
                with tempfile.TemporaryDirectory() as room:
                    bare = asyncio.run(measure(None, calls, in_flight, shape))
                    kept = asyncio.run(measure(Path(room) / "journal.db", calls, in_flight, shape))
                rows.append([b - a for a, b in zip(bare, kept, strict=True)])
            wall, cpu, commits, size = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"| {in_flight:,} | {wall:.3f} | {wall * in_flight:.1f} | {cpu:.3f} | {commits:.3f} | {size:,.0f} |")


if __name__ == "__main__":
    main()
