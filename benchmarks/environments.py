"""What a step of an environment costs, as arrays and as dictionaries: prints a Markdown table.

Usage: python benchmarks/environments.py [--sizes 16 1000 10000] [--repeats 20]

Every agent whose turn it is says something in each step. arrays: `World` itself. array view: `ArrayEnv`, for trainers. numeric,
text: `WorldParallelEnv` with and without words, to 100,000 agents at most. Times are CPU time of the fastest of `repeats` steps,
in microseconds for each agent. For a million agents: --sizes 1000000 --repeats 3.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from contagium.envs.message import Axes
from contagium.envs.network import small_world
from contagium.envs.parallel import WORLDS, array_env, parallel_env
from contagium.envs.rng import Streams
from contagium.envs.world import Act

MOST_NAMED = 100_000
"""Agents for whom an environment with a name for each is still measured."""


def fastest(step: Callable[[], None], repeats: int) -> float:
    """CPU seconds of the fastest of `repeats` calls, after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        begun = time.process_time()
        step()
        times.append(time.process_time() - begun)
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


def array_view(name: str, size: int) -> Callable[[], None]:
    """A step of the array view for trainers, with the same action for every agent."""
    env = array_env(name, num_envs=size, max_steps=10**9)
    env.reset(seed=0)
    actions = {"expression": np.full((size, 4), 0.5, dtype=np.float32), "choice": np.zeros(size, dtype=np.int64)}

    def step() -> None:
        env.step(actions)

    return step


def dictionaries(name: str, size: int, text: bool) -> Callable[[], None]:
    """A step of the PettingZoo view, with the same action for every agent."""
    env = parallel_env(name, size=size, text=text, max_steps=10**9)
    env.reset(seed=0)
    half = np.full(4, 0.5, dtype=np.float32)
    row = np.full(env.action_space("agent_0").shape or (), 0.5, dtype=np.float32)
    action = {"text": "hello", "expression": half, "says": 1, "choice": 0} if text else row
    actions = dict.fromkeys(env.possible_agents, action)

    def step() -> None:
        env.step(actions)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print("| environment | agents | arrays, µs | array view, µs | numeric view, µs | text view, µs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in WORLDS:
        for size in options.sizes:
            steps = [partial(arrays, name, size), partial(array_view, name, size)]
            if size <= MOST_NAMED:
                steps += [partial(dictionaries, name, size, text) for text in (False, True)]
            cells = [f"{1e6 * fastest(make(), options.repeats) / size:.2f}" for make in steps]
            print(f"| {name} | {size:,} | {' | '.join([*cells, '–', '–'][:4])} |")


if __name__ == "__main__":
    main()
