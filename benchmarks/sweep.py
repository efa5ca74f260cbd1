"""Affect and contagion of everybody in every step: how many agents a crowd takes through a step in a second of CPU.

    python benchmarks/sweep.py 10000 100000 1000000 10000000

Valence, arousal and dominance with a baseline of each agent's own, and SISa, on random and on scale-free graphs of mean degree 8;
one thread; the least CPU of several repeats. As signals (what is heard is rounded) and, with `--exact`, as plain numbers.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.crowd.crowd import Crowd
from contagium.agents.mechanistic.models import sisa
from contagium.envs.network import Network, erdos_renyi, scale_free
from contagium.envs.rng import Streams

REPEATS = 5
AGENT_STEPS = 2_000_000
"""Agent-steps in a repeat, at least."""


def measure(network: Network, exact: bool = False) -> float:
    """CPU seconds of an agent-step."""
    streams, size = Streams(1), network.size
    baseline = streams.generator("baseline").random((size, 3), dtype=np.float32) * 2 - 1
    crowd = Crowd(network, sisa(0.01, 0.02, 0.2), Affect(), streams, baseline=baseline, exact=exact)
    crowd.step(2)
    steps, least = max(1, AGENT_STEPS // size), float("inf")
    for _ in range(REPEATS):
        begun = time.process_time()
        crowd.step(steps)
        least = min(least, time.process_time() - begun)
    return least / (steps * size)


def sweep(size: int, exact: bool = False) -> str:
    """Lines of a Markdown list, one a graph."""
    lines = []
    for kind, network in (("random", erdos_renyi(size, Streams(1), 8.0)), ("scale-free", scale_free(size, Streams(1), 4))):
        cost = measure(network, exact)
        lines.append(
            f"- {size:,} agents, {kind}: {1e-6 / cost:.1f} million agent-steps per CPU-second ({cost * 1e9:.1f} ns each)"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    for size in given.sizes:
        print(sweep(size, given.exact), flush=True)


if __name__ == "__main__":
    main()
