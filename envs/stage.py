"""A world under pressure, episode after episode: what the PettingZoo and Gymnasium environments play on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Messages
from contagium.envs.pressure import PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

MakeWorld = Callable[[Streams], World]
MakePressure = Callable[[int, Streams], PressureSchedule]
"""From the number of agents."""


class Stage:
    """The first episode after a seed has the streams of that seed, each later one streams derived from it.

    live: (N,) bool, who has not been terminated. active: (N,) bool, who of them has the turn. said: the last step's
    messages. ValueError: max_steps below 1, an unknown render_mode, worlds that differ in size or axes.
    """

    def __init__(
        self,
        make_world: MakeWorld,
        make_pressure: MakePressure | None,
        max_steps: int,
        seed: int,
        render_mode: str | None,
    ) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {max_steps}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be 'ansi' or None, got {render_mode!r}")
        self._make_world, self._make_pressure = make_world, make_pressure
        self._max_steps, self._seed, self._episode = max_steps, seed, 0
        self._render_mode = render_mode
        self.world = make_world(Streams(seed))

    def begin(self, seed: int | None) -> None:
        if seed is not None:
            self._seed, self._episode = int(seed), 0
        first = Streams(self._seed)
        self.streams = Streams(first.integer("episode", self._episode)) if self._episode else first
        self._episode += 1
        before, self.world = self.world, self._make_world(self.streams)
        if self.world.network.size != before.network.size or self.world.axes != before.axes:
            raise ValueError("make_world must return worlds of one size and with the same axes")
        self.world.reset(self.streams)
        size = self.world.network.size
        self._schedule = None if self._make_pressure is None else self._make_pressure(size, self.streams)
        self.live = np.ones(size, dtype=bool)
        self.said = Messages.empty(len(self.world.axes))
        self._turn()

    @property
    def over(self) -> bool:
        return self.world.step >= self._max_steps

    def observe(self, agents: NDArray[np.int64]) -> Observation:
        return self.world.observe(agents, self._pressure)

    def mask(self, seen: Observation) -> NDArray[np.int8] | None:
        """Which of the world's choices each of n agents may take, 1 or 0, (n, C); None: a world that never limits them."""
        if type(self.world).allowed is World.allowed:
            return None
        if seen.allowed is None:
            return np.ones((len(seen.agents), len(self.world.choices)), dtype=np.int8)
        return seen.allowed.astype(np.int8)

    def play(self, act: Act) -> None:
        self.said = self.world.send(act)
        self.world.deliver(self.said, act)
        self.live &= ~self.world.settled.terminated
        self._turn()

    def _turn(self) -> None:
        self.active = np.zeros(len(self.live), dtype=bool)
        self.active[self.world.active(self.world.step)] = True
        self.active &= self.live
        self._pressure = None if self._schedule is None else self._schedule.due(self.world.step)

    def render(self) -> str | None:
        """What was said in the last step, a message a line, with all that is not printable escaped."""
        if self._render_mode is None:
            return None
        lines = [f"step {self.world.step}"]
        for i, sender, row in zip(self.said.id.tolist(), self.said.sender.tolist(), self.said.expression, strict=True):
            axes = " ".join(f"{name}={x:+.2f}" for name, x in zip(self.world.axes.names, row, strict=True))
            lines.append(f"agent_{sender}: {self.said.text.get(i, '')!r} {axes}")
        return "\n".join(lines)
