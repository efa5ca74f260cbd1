"""Any world as arrays: one call steps all its agents, for trainers that share one policy among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from contagium.envs.message import AFFECT, Inbox
from contagium.envs.spaces import View, bounds
from contagium.envs.stage import MakePressure, MakeWorld, Stage
from contagium.envs.world import Act, Observation

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
OWN = ("active", "reward", *(f"pressure on {axis}" for axis in AFFECT), "heard")
"""The first columns of an observation."""


class ArrayEnv(VectorEnv[Floats, Any, NDArray[Any]]):
    """A world of N agents as N environments, which one policy can play at once. No Python runs for single agents.

    Observations (N, F) float32, the columns named in `columns`: whether it is the agent's turn; its reward since its last act;
    the pressure on its affect, cut to [−1, 1]; how many messages it reads; then on each axis the mean of what it reads, weighted
    by ties, 0 where nothing is known. Who has no turn reads nothing, and its action is ignored.

    Actions: a mapping of `expression` (N, D), `choice` (N,) whole numbers and, if not everybody speaks, `says` (N,); with
    flat=True one array (N, D + 1 + C) as in `View`: the expression, `says` if above 0, and a score for each of several choices.
    Where the world limits choices, the info holds `choice_mask` (N, C), 1 for what each may choose; the rest counts as no choice.

    The agents share one world, so they begin together and are truncated together, after `max_steps`. Who is terminated before
    stays so, with reward 0. Once all are done, the next step ignores its actions and begins the next episode (autoreset mode
    NEXT_STEP). make_world, make_pressure, seed: as for `WorldParallelEnv`. ValueError: num_envs, if given, is not the number of
    agents; an action is out of its space.
    """

    def __init__(
        self,
        make_world: MakeWorld,
        make_pressure: MakePressure | None = None,
        *,
        max_steps: int = 50,
        flat: bool = False,
        seed: int = 0,
    ) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self._stage = Stage(make_world, make_pressure, max_steps, seed, None)
        self._view = View(self._stage.world, text=False)
        self.num_envs, self._flat = self._view.size, flat
        self._everyone = np.arange(self.num_envs)
        axes, self._choices = self._view.axes, max(1, len(self._view.choices))
        self.columns = (*OWN, *axes.names)
        self._low, self._high = bounds(axes)
        self._lowest = np.r_[np.array([0, -np.inf, -1, -1, -1, 0], dtype=np.float32), self._low]
        self._highest = np.r_[np.array([1, np.inf, 1, 1, 1, np.inf], dtype=np.float32), self._high]
        self.single_observation_space = Box(self._lowest, self._highest)
        columns = Dict(expression=Box(self._low, self._high), choice=Discrete(self._choices), says=Discrete(2))
        self.single_action_space = self._view.action_space if flat else columns
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._over: bool | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Begin an episode: the first after a seed is the same each time, later ones follow from it."""
        super().reset(seed=seed)
        self._stage.begin(seed)
        self._over = False
        now = self._stage.observe(self._everyone)
        return self._show(now), self._info(now)

    def step(self, actions: Any) -> tuple[Floats, NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        if self._over is None:
            raise RuntimeError("no episode is being played: call reset first")
        never = np.zeros(self.num_envs, dtype=bool)
        if self._over:
            shown, info = self.reset()
            return shown, np.zeros(self.num_envs), never, never.copy(), info
        playing = self._stage.live.copy()
        turn = np.flatnonzero(self._stage.active)
        act = self._view.read(turn, np.asarray(actions)[turn]) if self._flat else self._read(turn, actions)
        self._stage.play(act)
        now, over = self._stage.observe(self._everyone), self._stage.over
        self._over = over or not self._stage.live.any()
        return self._show(now), np.where(playing, now.reward, 0.0), ~self._stage.live, never | over, self._info(now)

    def _read(self, turn: NDArray[np.int64], actions: Mapping[str, NDArray[Any]]) -> Act:
        """The act of those whose turn it is."""
        n, axes = self.num_envs, len(self._low)
        expression = np.asarray(actions["expression"], dtype=np.float32)
        choice = np.asarray(actions["choice"]).astype(np.int64, casting="safe")
        says = np.asarray(actions.get("says", np.ones(n, dtype=bool))).astype(np.int64, casting="safe")
        for name, given, shape in (("expression", expression, (n, axes)), ("choice", choice, (n,)), ("says", says, (n,))):
            if given.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {given.shape}")
        expression, choice, says = expression[turn], choice[turn], says[turn]
        rules = (
            ("expression", expression, (expression >= self._low) & (expression <= self._high)),
            ("choice", choice, (choice >= 0) & (choice < self._choices)),
            ("says", says, (says | 1) == 1),
        )
        for name, given, fits in rules:
            if not fits.all():
                first = np.argwhere(~fits)[0][0]
                raise ValueError(f"{name} of agent {turn[first]} is out of its space: {given[first]}")
        return Act(turn, says == 1, expression, choice)

    def _info(self, seen: Observation) -> dict[str, Any]:
        mask = self._stage.mask(seen)
        return {} if mask is None else {"choice_mask": mask}

    def _show(self, seen: Observation) -> Floats:
        """The observations of all agents."""
        active = self._stage.active
        shown = np.zeros((self.num_envs, len(self.columns)), dtype=np.float32)
        shown[:, 0], shown[:, 1] = active, seen.reward
        if seen.pressure is not None:
            shown[:, 2:5] = np.clip(seen.pressure.push, -1, 1)
        shown[:, 5] = np.where(active, np.diff(seen.inbox.indptr), 0)
        shown[:, len(OWN) :] = np.where(active[:, None], mean_read(seen.inbox), 0)
        return np.clip(shown, self._lowest, self._highest, out=shown)


def mean_read(inbox: Inbox) -> NDArray[np.float64]:
    """Mean expression of what each of n readers has before it, weighted by ties, (n, D); 0 where nothing is known."""
    mean = inbox.mean(inbox.messages.expression.shape[1])
    return np.where(np.isnan(mean), 0.0, mean)
