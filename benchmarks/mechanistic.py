"""The mechanistic engine beside other tools, on the same graphs in the same run: CPU seconds, peak memory, final size.

    python benchmarks/mechanistic.py --peer graph_tool=/usr/bin/python3 --peer eon=$HOME/eon/bin/python

Each peer needs a Python that has it: `starsim`, `eon` and `ndlib` from pip (the last with six and scikit-learn), `graph_tool` of
Debian's python3-graph-tool. Peers not named are left out, and the table says so. Prints Markdown tables, all or those of
`--only`:

outbreak: a whole SIR outbreak from 1% index cases, β = 0.1 and γ = 0.2 (per unit of time, or probabilities per step), on random
(Erdős–Rényi) and scale-free (Barabási–Albert) graphs of mean degree 8. The least CPU of up to `--repeats` runs on one thread,
each tool in a process of its own, without imports and without building its graph; peak memory is that of the process. tree:
whether the tool tells who infected whom.
sweep: affect and contagion of everybody in every step. start: importing the engine and a first small outbreak, with compiled
code on disk. command: the whole command at a million agents.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from commands import measure as measure_command

HERE = Path(__file__).resolve().parent
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
PEERS_UP_TO = 1_000_000
GRAPHS = {"random": ("erdos_renyi", 8.0), "scale-free": ("scale_free", 4)}
COMMAND = ["agents=mechanistic", "population.size=1000000", "steps=50", "network=scale_free"]
START = """
import time
import numpy
begun = time.process_time()
from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.models import sir
from contagium.envs.network import complete
from contagium.envs.rng import Streams
imported = time.process_time() - begun
network = complete(10, Streams(0))
begun = time.process_time()
continuous(sir(), network, numpy.arange(10, dtype=numpy.int8) // 9, 50.0, Streams(0), numpy.arange(51.0))
print(imported, time.process_time() - begun)
"""


@dataclass(frozen=True)
class Tool:
    """Something that runs outbreaks. tree: whether it tells who infected whom. peer: whose Python it needs; empty: this one."""

    name: str
    time: str
    tree: bool
    command: tuple[str, ...]
    peer: str = ""


TOOLS = (
    Tool("this package", "continuous", True, ("run_this.py", "continuous")),
    Tool("this package", "steps", True, ("run_this.py", "discrete")),
    Tool("scipy.sparse", "steps", False, ("run_loops.py", "scipy")),
    Tool("NumPy", "steps", True, ("run_loops.py", "numpy")),
    Tool("graph-tool", "steps", False, ("run_graph_tool.py",), "graph_tool"),
    Tool("Starsim", "steps", False, ("run_starsim.py",), "starsim"),
    Tool("EoN `basic_discrete_SIR`", "generations", False, ("run_eon.py", "discrete_SIR"), "eon"),
    Tool("EoN `fast_SIR`", "continuous", False, ("run_eon.py", "fast_SIR"), "eon"),
    Tool("NDlib", "steps", False, ("run_ndlib.py",), "ndlib"),
)


def make(kind: str, size: int, path: str) -> None:
    """Write the graph and its index cases."""
    from contagium.envs import network as generators
    from contagium.envs.rng import Streams

    name, setting = GRAPHS[kind]
    network = getattr(generators, name)(size, Streams(1), setting)
    seeds = Streams(1).generator("seeds").permutation(size)[: size // 100]
    np.savez(path, indptr=network.indptr, source=network.source, seeds=np.sort(seeds))


def run(tool: Tool, python: str, graph: Path, repeats: int) -> dict[str, Any]:
    """What a tool's process printed. RuntimeError if it fails."""
    script, *more = tool.command
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    command = [python, str(HERE / "peers" / script), str(graph), str(repeats), *more]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool.name}: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def outbreaks(kind: str, peers: dict[str, str], sizes: list[int], repeats: int) -> None:
    """The table of one kind of graph."""
    heads = [f"{size:,}" for size in sizes]
    print(f"\nSIR on a {kind} graph, CPU seconds by agents, then peak MB, then final size:\n")
    print(f"| tool | time | tree | {' | '.join(heads)} | {' | '.join(f'MB at {head}' for head in heads[-2:])} | final size |")
    print(f"| --- | --- | --- |{' ---: |' * (len(sizes) + len(sizes[-2:]) + 1)}")
    with tempfile.TemporaryDirectory() as room:
        graphs = {size: Path(room) / f"{size}.npz" for size in sizes}
        for size, path in graphs.items():
            # In a process of its own, or its memory would be counted.
            subprocess.run([sys.executable, __file__, "--make", kind, str(size), str(path)], check=True)
        for tool in TOOLS:
            row = [tool.name, tool.time, "yes" if tool.tree else "no"]
            if tool.peer and tool.peer not in peers:
                print(f"| {' | '.join(row)} | left out: no --peer {tool.peer}=PYTHON |")
                continue
            python = peers.get(tool.peer, sys.executable)
            most = PEERS_UP_TO if tool.command[0] != "run_this.py" else max(sizes)
            found = {size: run(tool, python, path, repeats) for size, path in graphs.items() if size <= most}
            row += [f"{min(found[size]['cpu']):.3g}" if size in found else "" for size in sizes]
            row += [f"{found[size]['peak'] / 1e6:.0f}" if size in found else "" for size in sizes[-2:]]
            final = found[max(found)]["final"]
            print(f"| {' | '.join(row)} | {np.mean(final):.4f} |", flush=True)


def sweeps(sizes: list[int]) -> None:
    from sweep import sweep

    print("\nAffect and contagion of everybody in every step:\n")
    for size in sizes:
        print(sweep(size))


def start() -> None:
    """The least of five starts after one that fills the caches."""
    runs = [subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True).stdout for _ in range(6)]
    imported, ran = (min(column) for column in zip(*(map(float, out.split()) for out in runs[1:]), strict=True))
    print(f"\nStart: {imported:.2f} CPU s to import the engine (NumPy apart), {ran:.2f} for a first outbreak of ten agents.")


def command() -> None:
    with tempfile.TemporaryDirectory() as room:
        wall, cpu, peak = measure_command([*COMMAND, "hydra.run.dir=run"], Path(room))
        log = sum(file.stat().st_size for file in Path(room).rglob("*") if file.is_file())
    print("\n| command | wall s | CPU s | peak MB | MB on disk |\n| --- | ---: | ---: | ---: | ---: |")
    print(f"| `contagium {' '.join(COMMAND)}` | {wall:.0f} | {cpu:.0f} | {peak:.0f} | {log / 1e6:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the mechanistic engine beside other tools.")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=("outbreak", "sweep", "start", "command"))
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        kind, size, path = given.make
        return make(kind, int(size), path)
    peers = dict(pair.split("=", 1) for pair in given.peer)
    unknown = sorted(peers.keys() - {tool.peer for tool in TOOLS})
    if unknown:
        parser.error(f"no peer {', '.join(unknown)}: there are {', '.join(sorted({tool.peer for tool in TOOLS} - {''}))}")
    wanted = given.only or ["outbreak", "sweep", "start", "command"]
    for kind in given.graphs if "outbreak" in wanted else ():
        outbreaks(kind, peers, given.sizes, given.repeats)
    if "start" in wanted:
        start()
    if "command" in wanted:
        command()
    # Last, and in this process: the peak memory of what is started later would begin at its own.
    if "sweep" in wanted:
        sweeps(given.sizes)
    return None


if __name__ == "__main__":
    main()
