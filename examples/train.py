"""Train one agent among others whose moods govern what they do: `python examples/train.py`, with the extra `train`.

Sixteen share a pasture. Fifteen of them hear the sixteenth alone, take on some of its mood, and take more from the pasture the
worse they feel. They are mechanistic agents; the sixteenth is a Stable-Baselines3 PPO policy that is rewarded by what it takes
itself. Can it learn that a cheerful voice keeps the pasture alive? At the end its return is compared with that of random actions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.envs.commons import Commons
from contagium.envs.message import Axes
from contagium.envs.network import Network
from contagium.envs.parallel import SingleAgentEnv
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

SIZE, STEPS, PLAYER = 16, 40, 0


class Others:
    """A policy as the background of a single-agent environment; it begins anew with each episode."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        others = np.setdiff1d(np.arange(SIZE), [PLAYER])
        population = Population(np.zeros(SIZE, dtype=np.int64), np.full(SIZE, -1), np.ones(SIZE), np.ones(SIZE))
        axes, plain = Axes(), Persona(name="plain")
        self._setting = Setting(others, population, axes, (), plain, name_of, (), 0, None, Commons.choices)

    def __call__(self, observation: Observation, streams: Streams) -> Act:
        if observation.step == 0:
            self._policy.begin(self._setting)
        turn = self._policy.act(observation, streams)
        try:
            turn.send(None)
        except StopIteration as done:
            act: Act = done.value
            return act
        raise RuntimeError("the policy of the others waits for something, which no trainer can give it")


def make_env(seed: int) -> SingleAgentEnv:
    """The player in the middle of a star."""

    def world(streams: Streams) -> World:
        spokes = np.setdiff1d(np.arange(SIZE), [PLAYER])
        middle = np.full(SIZE - 1, PLAYER)
        return Commons(Network.from_edges(SIZE, np.r_[middle, spokes], np.r_[spokes, middle]), Axes())

    # With `Learning` in place of `Mechanistic` the others would learn as well.
    affect = Affect(relaxation=0.3, contagion=0.5, spillover=-3.0)
    units = {choice: float(k) for k, choice in enumerate(Commons.choices)}
    others = Others(Mechanistic(affect=affect, preference=units, slant=units))
    return SingleAgentEnv(world, agent=PLAYER, background=others, max_steps=STEPS, text=False, seed=seed)


def returns(env: SingleAgentEnv, decide: Callable[[Any], Any], episodes: int, seed: int) -> list[float]:
    """The sum of rewards of each episode; the seed is that of the first."""
    sums = []
    for episode in range(episodes):
        seen, _ = env.reset(seed=seed if episode == 0 else None)
        total, over = 0.0, False
        while not over:
            seen, reward, terminated, truncated, _ = env.step(decide(seen))
            total, over = total + reward, terminated or truncated
        sums.append(total)
    return sums


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12_000, help="steps of training")
    parser.add_argument("--episodes", type=int, default=30, help="episodes of each comparison")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        from stable_baselines3 import PPO
    except ImportError as error:
        raise SystemExit('this example needs Stable-Baselines3: pip install "contagium[train]"') from error

    model = PPO("MlpPolicy", make_env(options.seed), n_steps=512, batch_size=128, gamma=0.98, seed=options.seed, device="cpu")
    model.learn(options.steps)
    trial = make_env(options.seed)
    trial.action_space.seed(options.seed)
    print("| actions | mean return | standard error |\n| --- | ---: | ---: |")
    for name, decide in (
        ("random", lambda seen: trial.action_space.sample()),
        ("trained", lambda seen: model.predict(seen, deterministic=True)[0]),
    ):
        earned = returns(trial, decide, options.episodes, options.seed + 1)
        print(f"| {name} | {np.mean(earned):.1f} | {np.std(earned, ddof=1) / np.sqrt(len(earned)):.1f} |")


if __name__ == "__main__":
    main()
