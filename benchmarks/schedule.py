"""How much sooner a run is over when nobody waits who need not: `run.schedule=dataflow` against `rounds`. Prints Markdown.

    python benchmarks/schedule.py --agents 200 --steps 20 --seeds 3

Agents of a forum speak with a latency drawn anew for each turn, the same under both schedules: lognormal, a few turns taking
many times as long as most, and all calls answered at once however many there are. Ideal rounds: the sum over steps of the
longest latency. Bound: the longest path through the turns, each of which can begin once those of the step before are over that
it reads (its own and its sources'); no schedule can be faster. Gain: ideal rounds over dataflow. All are medians over seeds.

AI Metropolis (Xie et al. 2024, arXiv 2411.03519) reports 1.3 to 4.15 times for agents that move about and see those nearby.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Answer, Policy, Population, Question, Setting
from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import Network, ring, scale_free, small_world
from contagium.envs.pressure import PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.who import Place
from contagium.envs.world import Act, Observation, World
from contagium.sim.schedule import Dataflow, Rounds

AXES = Axes()
COLUMNS = (
    *("network", "board reads", "ideal rounds, s", "rounds, s", "dataflow, s", "bound, s"),
    *("gain", "gain at the bound", "share of the bound", "CPU of dataflow, ms a turn"),
)
NETWORKS = {"ring": ring, "small world": small_world, "scale-free": scale_free}


class Waiting:
    """Agents that say a word after the latency (steps, N) of the turn, in seconds."""

    speaks = independent = True

    def __init__(self, latency: NDArray[np.float64]) -> None:
        self._latency = latency

    def begin(self, setting: Setting) -> None:
        """Nothing to set up."""

    async def act(self, observation: Observation, rng: Streams) -> Act:
        latency = self._latency[observation.step, observation.agents]
        await asyncio.gather(*(asyncio.sleep(seconds) for seconds in latency.tolist()))
        act = Act.idle(observation.agents, len(AXES))
        act.says[:] = True
        act.text.update(dict.fromkeys(observation.agents.tolist(), "word"))
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        return {}


async def nothing(policy: Policy, agents: NDArray[np.int64], step: int) -> None:
    """After a turn nothing is asked."""


async def wall(dataflow: bool, world: World, streams: Streams, latency: NDArray[np.float64]) -> tuple[float, float]:
    """Wall and CPU seconds of a run."""
    steps, size = latency.shape
    world.reset(streams)
    none = np.zeros(size, dtype=np.int64)
    population = Population(none, none - 1, np.ones(size), np.ones(size))
    parts = ([Waiting(latency)], population, AXES, streams, PressureSchedule({}, Place(size, none[:0]), streams), nothing)
    schedule = Dataflow(world, *parts, steps) if dataflow else Rounds(world, *parts)
    began, cpu = time.perf_counter(), time.process_time()
    for step in range(steps):
        act = await schedule.act(step)
        world.deliver(world.send(act), act)
    await schedule.close()
    return time.perf_counter() - began, time.process_time() - cpu


def bound(world: World, latency: NDArray[np.float64]) -> float:
    """Seconds of the longest path through the turns."""
    done = latency[0]
    for step in range(1, len(latency)):
        begins = [max(done[agent], done[world.sources(step - 1, agent)].max(initial=0.0)) for agent in range(len(done))]
        done = np.array(begins) + latency[step]
    return float(done.max())


class Times(NamedTuple):
    """Seconds of one run under each schedule."""

    ideal: float
    rounds: float
    dataflow: float
    bound: float
    cpu: float


def measure(network: Network, board_reads: int, streams: Streams, steps: int, median: float, spread: float) -> Times:
    shape = steps, network.size
    latency = median * np.exp(spread * streams.generator("latency").standard_normal(shape))
    world = Forum(network, AXES, board_reads=board_reads)
    rounds, _ = asyncio.run(wall(False, world, streams, latency))
    dataflow, cpu = asyncio.run(wall(True, world, streams, latency))
    return Times(float(latency.max(axis=1).sum()), rounds, dataflow, bound(world, latency), cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--median", type=float, default=0.02, help="seconds of the median latency")
    parser.add_argument("--spread", type=float, default=1.0, help="standard deviation of its logarithm")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"| --- |{' ---: |' * (len(COLUMNS) - 1)}")
    for board_reads in (0, 1):
        for name, make in NETWORKS.items():
            runs = []
            for seed in range(options.seeds):
                streams = Streams(seed)
                network = make(options.agents, streams)
                runs.append(measure(network, board_reads, streams, options.steps, options.median, options.spread))
            times = " | ".join(f"{statistics.median(column):.2f}" for column in list(zip(*runs, strict=True))[:4])
            gain = statistics.median(run.ideal / run.dataflow for run in runs)
            best = statistics.median(run.ideal / run.bound for run in runs)
            share = statistics.median(run.bound / run.dataflow for run in runs)
            cpu = 1e3 * statistics.median(run.cpu for run in runs) / (options.agents * options.steps)
            print(f"| {name} | {board_reads} | {times} | {gain:.2f} | {best:.2f} | {share:.0%} | {cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
