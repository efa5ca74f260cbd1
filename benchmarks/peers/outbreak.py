"""What the outbreak scripts share: the graph they are given, and how a run is measured. NumPy alone, for it runs beside others.

A graph is an .npz of indptr (N + 1,) and source (E,), both directions of each tie, and seeds (k,), who is infectious at first.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

T = TypeVar("T")
B, G = 0.1, 0.2
"""Transmission along a contact and recovery: probabilities per step, or rates in continuous time."""
ENOUGH = 30.0
"""CPU seconds after which no run is repeated."""


def graph() -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Number of agents, row pointer, sources and seeds of the graph named by the first argument."""
    with np.load(sys.argv[1]) as file:
        indptr, source, seeds = (file[name] for name in ("indptr", "source", "seeds"))
    return len(indptr) - 1, indptr, source, seeds


def ties(indptr: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of each tie, which is named once."""
    target = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    once = source < target
    return source[once], target[once]


def measure(prepare: Callable[[int], T], run: Callable[[T], float], agents: int) -> None:
    """Run with the seeds 1, 2, …, as often as the second argument says, and print what was measured as JSON.

    prepare: what a run with this seed needs, not counted. run: the number of agents ever infectious.
    """
    cpu: list[float] = []
    final: list[float] = []
    for seed in range(1, 1 + int(sys.argv[2])):
        ready = prepare(seed)
        begun = time.process_time()
        final.append(run(ready) / agents)
        cpu.append(time.process_time() - begun)
        if sum(cpu) > ENOUGH:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": cpu, "final": final, "peak": peak}))
