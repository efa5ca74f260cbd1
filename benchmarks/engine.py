"""What an agent-turn of the whole engine costs, beside a bare loop over the same client that makes the same calls.

    python benchmarks/engine.py --agents 100 1000 --rounds 6 --repeats 3

Both ask a loopback server (`server.py`, a process of its own) that answers after 50 ms; all agents ask at once, and a round ends
with the slowest. The bare loop is `asyncio.gather` over `AsyncOpenAI(http_client=DefaultAioHttpClient())` and its
`chat.completions.create` with the very requests of the engine, recorded before, and with room for all in flight. The engine is a
run as `contagium backend=openai observer=lexicon` makes it, in which the model speaks for every agent, index cases too: world,
prompt, journal, retries, limits, parsing, instruments, log. Each measurement is a fresh process; the two take turns; the first
round (connecting) does not count. CPU is that of all threads. Prints Markdown tables:

1. CPU per agent-turn and the wall time of a round, medians over repeats, and the ratio of each pair;
2. memory that a further agent-turn takes, resident and allocated by Python, over `--memory` rounds;
3. failed and repeated calls with `--flood` agents in flight at a server that takes two seconds.

With --profile it prints instead where the engine's CPU goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import resource
import sqlite3
import statistics
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from marks import Marks, apart
from server import MODEL, ask, serving

LATENCY = 0.05
SLOW = 2.0
PAGE = resource.getpagesize()


@dataclass
class Measured:
    """What one process saw. cpu: ms per agent-turn, others: of it in threads other than the first. walls: seconds of rounds.

    resident, allocated: bytes after each round. missed: calls without a completion; again: further tries.
    """

    cpu: float = 0.0
    others: float = 0.0
    walls: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    allocated: list[int] = field(default_factory=list)
    missed: int = 0
    again: int = 0


def scenario(root: str, agents: int, steps: int, more: Sequence[str]) -> Any:
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from contagium.sim.scenario import make_scenario

    chosen = [f"backend.base_url={root}/v1", f"backend.model={MODEL}", f"backend.concurrency={agents}", f"steps={steps}"]
    chosen += [f"population.size={agents}", f"seeding.count={max(1, agents // 25)}"]
    chosen += ["agents.groups.speaking.policy.index_voice=model", *more]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", ["backend=openai", "observer=lexicon", *chosen])
    return make_scenario(OmegaConf.to_container(config, resolve=True))


def engine(
    root: str, agents: int, rounds: int, more: Sequence[str], trace: bool = False, profiler: cProfile.Profile | None = None
) -> Measured:
    """A run of `rounds` steps after one that does not count."""
    from contagium.sim.laboratory import prepare
    from contagium.sim.run import run

    seen, marks, others = Measured(), Marks(agents), list[float]()

    def watch(_: object) -> None:
        marks.set()
        others.append(time.process_time() - time.thread_time())
        if profiler is not None and len(others) == 1:
            profiler.enable()
        seen.resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE)
        if trace:
            gc.collect()
            seen.allocated.append(tracemalloc.get_traced_memory()[0])

    with tempfile.TemporaryDirectory() as room:
        lab = prepare(scenario(root, agents, rounds + 1, more), Path(room))
        if trace:
            tracemalloc.start()
        asyncio.run(run(lab, "benchmark", watch, lambda: None))
        with sqlite3.connect(Path(room) / "run.db") as log:
            query = "SELECT COUNT(*) - SUM(status = 'ok'), SUM(attempts - 1) FROM call"
            seen.missed, seen.again = log.execute(query).fetchone()
    seen.cpu, seen.walls, seen.others = marks.cpu, marks.walls, 1e3 * (others[-1] - others[0]) / (agents * rounds)
    return seen


def bare(root: str, rounds: Sequence[Sequence[dict[str, Any]]]) -> Measured:
    """The same calls, a round at a time, through the client alone."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    seen, marks = Measured(), Marks(len(rounds[0]))

    async def all_rounds() -> None:
        most = len(rounds[0])
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        http = DefaultAioHttpClient(timeout=60, limits=limits)
        async with AsyncOpenAI(api_key="none", base_url=f"{root}/v1", max_retries=0, http_client=http) as client:
            for bodies in rounds:
                calls = (client.chat.completions.create(**body) for body in bodies)
                replies = await asyncio.gather(*calls, return_exceptions=True)
                seen.missed += sum(isinstance(reply, BaseException) or not reply.choices[0].message.content for reply in replies)
                marks.set()

    asyncio.run(all_rounds())
    seen.cpu, seen.walls = marks.cpu, marks.walls
    return seen


def record(agents: int, rounds: int, more: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The requests of a run, by round."""
    with serving(LATENCY, keep=True) as root:
        apart(engine, root, agents, rounds, more)
        kept = ask(root, "kept")
    size = len(kept) // (rounds + 1)
    return [kept[k : k + size] for k in range(0, len(kept), size)]


def compare(agents: int, rounds: int, repeats: int, more: Sequence[str]) -> list[str]:
    """Rows of the first table."""
    bodies = record(agents, rounds, more)
    pairs, peaks = [], []
    with serving(LATENCY) as root:
        for _ in range(repeats):
            pair = []
            for function, arguments in ((bare, (bodies,)), (engine, (agents, rounds, more))):
                pair.append(apart(function, root, *arguments))
                peaks.append(ask(root, "stats")["peak"])
            pairs.append(pair)
    rows = []
    for k, name in enumerate(("bare loop", "whole engine")):
        cpu = statistics.median(pair[k].cpu for pair in pairs)
        walls = [wall for pair in pairs for wall in pair[k].walls]
        missed = sum(pair[k].missed for pair in pairs)
        cells = f"{cpu:.2f} | {statistics.median(walls):.2f} | {max(walls):.2f} | {max(peaks[k::2]):,} | {missed}"
        rows.append(f"| {agents:,} | {name} | {cells} |")
    cpu_ratios = [whole.cpu / alone.cpu for alone, whole in pairs]
    wall_ratios = [statistics.median(whole.walls) / statistics.median(alone.walls) for alone, whole in pairs]
    rows.append(f"| {agents:,} | engine ÷ bare | {spread(cpu_ratios)} | {spread(wall_ratios)} | | | |")
    return rows


def spread(values: Sequence[float]) -> str:
    """Median, and the range where there is one."""
    return f"{statistics.median(values):.2f}" + (f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else "")


def memory(agents: int, rounds: int, more: Sequence[str]) -> str:
    """The second table. Growth is that of the second half of the rounds: by then caches and pools are filled."""
    with serving(LATENCY) as root:
        resident = apart(engine, root, agents, rounds, more).resident
        allocated = apart(engine, root, agents, rounds, more, True).allocated
    cells = []
    for taken in (resident, allocated):
        half = len(taken) // 2
        cells += [f"{(taken[-1] - taken[half]) / (agents * (len(taken) - 1 - half)) / 1000:.2f}"]
    lines = ["| agents | rounds | resident kB per agent-turn | allocated kB per agent-turn | resident MB at the end |"]
    lines += ["| ---: | ---: | ---: | ---: | ---: |"]
    return "\n".join([*lines, f"| {agents:,} | {rounds} | {' | '.join(cells)} | {resident[-1] / 1e6:.0f} |"])


def flood(sizes: Sequence[int], rounds: int, more: Sequence[str]) -> str:
    """The third table, with a slow server, so that all calls of a round are under way at the same time."""
    lines = ["| agents | | most in flight | calls without a completion | further tries | rounds, s |"]
    lines += ["| ---: | --- | ---: | ---: | ---: | --- |"]
    for agents in sizes:
        bodies = record(agents, rounds, more)
        with serving(SLOW) as root:
            for name, function, arguments in (("bare loop", bare, (bodies,)), ("whole engine", engine, (agents, rounds, more))):
                seen = apart(function, root, *arguments)
                peak, walls = ask(root, "stats")["peak"], ", ".join(f"{wall:.2f}" for wall in seen.walls)
                lines.append(f"| {agents:,} | {name} | {peak:,} | {seen.missed} | {seen.again} | {walls} |")
    return "\n".join(lines)


def profile(root: str, agents: int, rounds: int, more: Sequence[str]) -> str:
    """Where the engine's CPU goes: by package, and by function of ours. The profiler itself slows small functions down."""
    profiler = cProfile.Profile(time.thread_time)
    seen = engine(root, agents, rounds, more, False, profiler)
    profiler.disable()
    turns, packages = agents * rounds, Counter[str]()
    functions: list[tuple[float, float, int, str]] = []
    for (path, line, name), (_, calls, own, whole, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        packages[package(path, name)] += own
        if "/contagium/" in path:
            functions.append((whole, own, calls, f"{path.partition('/contagium/')[2]}:{line} {name}"))
    lines = [f"{agents} agents; of {seen.cpu:.3f} ms per agent-turn other threads take {seen.others:.3f}", ""]
    lines += ["| package | own ms per agent-turn |", "| --- | ---: |"]
    lines += [f"| {name} | {1e3 * seconds / turns:.3f} |" for name, seconds in packages.most_common(20)]
    for title, rank in (("cumulative", 0), ("own", 1)):
        lines += ["", f"| by {title} | ms per agent-turn | own | calls per agent-turn |", "| --- | ---: | ---: | ---: |"]
        for whole, own, calls, name in sorted(functions, key=itemgetter(rank), reverse=True)[:30]:
            lines.append(f"| {name} | {1e3 * whole / turns:.3f} | {1e3 * own / turns:.3f} | {calls / turns:.1f} |")
    return "\n".join(lines)


def package(path: str, name: str) -> str:
    if "/contagium/" in path:
        return "contagium " + path.partition("/contagium/")[2].rpartition("/")[0]
    if "/site-packages/" in path:
        return path.partition("/site-packages/")[2].partition("/")[0]
    if path == "~":
        return "built in " + (name.partition("'")[2].partition("'")[0] or name)[:60]
    return "standard library " + os.path.basename(os.path.dirname(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=6, help="that count, after one that does not")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, default=20, help="rounds of the memory measurement, 0: leave it out")
    parser.add_argument("--flood", type=int, nargs="*", default=[1000, 2000], help="agents of the last table; none: leave it out")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings of the scenario")
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    if chosen.profile:
        for agents in chosen.agents:
            with serving(LATENCY) as root:
                print(apart(profile, root, agents, chosen.rounds, chosen.set))
        return
    print("| agents | | CPU ms per agent-turn | round, s: median | longest | most in flight | calls without a completion |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for agents in chosen.agents:
        print("\n".join(compare(agents, chosen.rounds, chosen.repeats, chosen.set)), flush=True)
    if chosen.memory:
        print("\n" + memory(max(chosen.agents), chosen.memory, chosen.set), flush=True)
    if chosen.flood:
        print("\n" + flood(chosen.flood, 3, chosen.set))


if __name__ == "__main__":
    main()
