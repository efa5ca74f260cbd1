"""What a step of an environment costs, as arrays and as dictionaries: prints a Markdown table.

Usage: python benchmarks/environments.py [--sizes 16 1000 10000] [--repeats 20]

Every agent whose turn it is says something in each step. arrays: `World` itself. numeric, text: `WorldParallelEnv` with and
without words. Times are the fastest of `repeats` steps, in microseconds for each agent.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from contagium.envs.message import Axes
from contagium.envs.network import small_world
from contagium.envs.parallel import WORLDS, parallel_env
from contagium.envs.rng import Streams
from contagium.envs.world import Act


def fastest(step: Callable[[], None], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls, after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return min(times[2:])


def arrays(name: str, size: int) -> Callable[[], None]:
    """A step of the world alone."""
    streams = Streams(0)
    axes = Axes(("spiral",))
    world = WORLDS[name](small_world(size, streams), axes)
    world.reset(streams)

    def step() -> None:
        agents = world.active(world.step)
        world.observe(agents)
        act = Act.idle(agents, len(axes))
        act.says[:] = True
        act.expression[:] = 0.5
        world.deliver(world.send(act), act)

    return step


def dictionaries(name: str, size: int, text: bool) -> Callable[[], None]:
    """A step of the PettingZoo view, with the same action for every agent."""
    env = parallel_env(name, size=size, text=text, max_steps=10**9)
    env.reset(seed=0)
    half = np.full(4, 0.5, dtype=np.float32)
    action = {"text": "hello", "expression": half, "says": 1, "choice": 0} if text else np.r_[half, np.float32(1)]
    actions = dict.fromkeys(env.possible_agents, action)

    def step() -> None:
        env.step(actions)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print("| environment | agents | arrays, µs | numeric view, µs | text view, µs |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in WORLDS:
        for size in options.sizes:
            steps = (arrays(name, size), dictionaries(name, size, text=False), dictionaries(name, size, text=True))
            cells = " | ".join(f"{1e6 * fastest(step, options.repeats) / size:.2f}" for step in steps)
            print(f"| {name} | {size:,} | {cells} |")


if __name__ == "__main__":
    main()
