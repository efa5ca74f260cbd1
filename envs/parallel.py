"""Any world as a PettingZoo environment for many players, and as a Gymnasium environment for one.

Importing this module registers each world with PettingZoo (`contagium/forum-v0`, …) and with Gymnasium (`contagium/Forum-v0`, …),
there also for `make_vec`, as `ArrayEnv`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Annotated, Any, TypeVar, get_type_hints

import gymnasium
import numpy as np
import pettingzoo
from pydantic import ConfigDict, Field, ValidationError, create_model

from contagium.envs.arrays import ArrayEnv
from contagium.envs.commons import Commons
from contagium.envs.companion import Companion
from contagium.envs.dyads import Dyads
from contagium.envs.follow import Follow
from contagium.envs.forum import Forum
from contagium.envs.library import Library
from contagium.envs.message import Axes
from contagium.envs.network import small_world
from contagium.envs.rng import Streams
from contagium.envs.spaces import View
from contagium.envs.stage import MakePressure, MakeWorld, Stage
from contagium.envs.tribunal import Tribunal
from contagium.envs.watched import Watched
from contagium.envs.workshop import Workshop
from contagium.envs.world import Act, Observation, World

WORLDS: dict[str, type[World]] = {
    "forum": Forum,
    "dyads": Dyads,
    "commons": Commons,
    "companion": Companion,
    "follow": Follow,
    "library": Library,
    "tribunal": Tribunal,
    "watched": Watched,
    "workshop": Workshop,
}
Background = Callable[[Observation, Streams], Act]
Env = TypeVar("Env", "WorldParallelEnv", "SingleAgentEnv", ArrayEnv)


class WorldParallelEnv(pettingzoo.ParallelEnv[str, Any, Any]):
    """A world for as many players as it has agents, named agent_0, agent_1, …

    All agents observe and act in each step. Who has no turn (`active` is 0) is shown no message yet, and its action is
    ignored. All are truncated after `max_steps`. Where the world limits choices, the info of each agent holds a `choice_mask`
    (C,), 1 for what it may choose; what it may not counts as no choice. make_world, make_pressure: called at each reset with the
    streams of the episode. slots, max_length, text: see `View`. seed: of the first episode, if `reset` gives none.
    """

    metadata = {"name": "contagium_v0", "render_modes": ["ansi"], "is_parallelizable": True}  # noqa: RUF012

    def __init__(
        self,
        make_world: MakeWorld,
        make_pressure: MakePressure | None = None,
        *,
        slots: int = 4,
        max_steps: int = 50,
        max_length: int = 500,
        text: bool = True,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        self._stage = Stage(make_world, make_pressure, max_steps, seed, render_mode)
        self._view = View(self._stage.world, slots, max_length, text)
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(self._view.size)]
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        return self._view.observation_space

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        return self._view.action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self._stage.begin(seed)
        self._playing = np.arange(self._view.size)
        self.agents = list(self.possible_agents)
        seen, infos = self._show(self._stage.observe(self._playing))
        return seen, infos

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """One step. ValueError: an agent whose turn it is has no action or one outside its space."""
        if not self.agents:
            raise RuntimeError("no agent plays: call reset first")
        turn = np.flatnonzero(self._stage.active)
        missing = [self.possible_agents[i] for i in turn if self.possible_agents[i] not in actions]
        if missing:
            raise ValueError(f"no action for {', '.join(missing[:5])}, whose turn it is")
        self._stage.play(self._view.read(turn, [actions[self.possible_agents[i]] for i in turn]))
        now = self._stage.observe(self._playing)
        seen, infos = self._show(now)
        rewards = dict(zip(self.agents, now.reward.tolist(), strict=True))
        terminations = dict(zip(self.agents, now.terminated.tolist(), strict=True))
        truncations = dict.fromkeys(self.agents, self._stage.over)
        self._playing = np.empty(0, dtype=np.int64) if self._stage.over else np.flatnonzero(self._stage.live)
        self.agents = [self.possible_agents[i] for i in self._playing]
        return seen, rewards, terminations, truncations, infos

    def render(self) -> str | None:
        return self._stage.render()

    def close(self) -> None:
        """Nothing is held open."""

    def _show(self, seen: Observation) -> tuple[dict[str, Any], dict[str, Any]]:
        shown, infos = self._view.show(seen, self._stage.active[seen.agents], self._stage.streams, self._stage.mask(seen))
        return dict(zip(self.agents, shown, strict=True)), dict(zip(self.agents, infos, strict=True))


def silent(observation: Observation, streams: Streams) -> Act:
    """A background that says nothing."""
    return Act.idle(observation.agents, observation.inbox.messages.expression.shape[1])


def echo(observation: Observation, streams: Streams) -> Act:
    """A background in which each agent repeats one of the messages before it, drawn at random, or else is silent.

    All that circulates then began with the player: a voter model with the player as its only source. Source: Holley &
    Liggett 1975.
    """
    inbox = observation.inbox
    count = np.diff(inbox.indptr)
    says = np.flatnonzero(count)
    draw = streams.uniform("echo", observation.step, observation.agents)
    row = inbox.row[(inbox.indptr[:-1] + (draw * count).astype(np.int64))[says]]
    act = silent(observation, streams)
    act.says[says] = True
    act.expression[says] = inbox.messages.expression[row]
    heard = zip(observation.agents[says].tolist(), inbox.messages.id[row].tolist(), strict=True)
    act.text.update({agent: inbox.messages.text[i] for agent, i in heard if i in inbox.messages.text})
    return act


class SingleAgentEnv(gymnasium.Env[Any, Any]):
    """A world for one player, `agent`, among others who act by `background`.

    background: called in each step with the observation of all others whose turn it is and the streams of the episode;
    its texts may be of any length. Where it is not the player's turn its action is ignored. Other arguments as for
    `WorldParallelEnv`.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        make_world: MakeWorld,
        make_pressure: MakePressure | None = None,
        *,
        agent: int = 0,
        background: Background = echo,
        slots: int = 4,
        max_steps: int = 50,
        max_length: int = 500,
        text: bool = True,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        self._stage = Stage(make_world, make_pressure, max_steps, seed, render_mode)
        self._view = View(self._stage.world, slots, max_length, text)
        if not 0 <= agent < self._view.size:
            raise ValueError(f"agent must be 0 to {self._view.size - 1}, got {agent}")
        self._player, self._background = np.array([agent]), background
        self._plays = False
        self.render_mode = render_mode
        self.observation_space, self.action_space = self._view.observation_space, self._view.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._stage.begin(seed)
        self._plays = True
        return self._show(self._stage.observe(self._player))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self._plays:
            raise RuntimeError("no episode is being played: call reset first")
        turn = np.flatnonzero(self._stage.active)
        mine = turn == self._player[0]
        own = self._view.read(turn[mine], [action] * int(mine.sum()))
        others = self._background(self._stage.observe(turn[~mine]), self._stage.streams)
        if np.any(others.agents == self._player[0]):
            raise ValueError(f"the background acts for the player, agent {self._player[0]}")
        self._stage.play(Act.merge([own, others], len(self._view.axes)))
        now = self._stage.observe(self._player)
        seen, info = self._show(now)
        terminated = bool(now.terminated[0])
        self._plays = not (terminated or self._stage.over)
        return seen, float(now.reward[0]), terminated, self._stage.over, info

    def render(self) -> str | None:
        return self._stage.render()

    def _show(self, seen: Observation) -> tuple[Any, dict[str, Any]]:
        shown, infos = self._view.show(seen, self._stage.active[self._player], self._stage.streams, self._stage.mask(seen))
        return shown[0], infos[0]


def parallel_env(world: str, **settings: Any) -> WorldParallelEnv:
    """What PettingZoo makes: the world named `world` on a small-world network.

    settings: `size`, `strains`, and those of `small_world`, of the world and of `WorldParallelEnv`. ValueError says in
    one line what does not fit.
    """
    return _make(WorldParallelEnv, world, settings)


def single_agent_env(world: str, **settings: Any) -> SingleAgentEnv:
    """What Gymnasium makes: as `parallel_env`, with the settings of `SingleAgentEnv`."""
    return _make(SingleAgentEnv, world, settings)


def array_env(world: str, num_envs: int = 16, **settings: Any) -> ArrayEnv:
    """What Gymnasium's `make_vec` makes: as `parallel_env`, of `num_envs` agents, with the settings of `ArrayEnv`."""
    return _make(ArrayEnv, world, settings | {"size": num_envs})


def _make(kind: type[Env], world: str, settings: dict[str, Any]) -> Env:
    if world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(WORLDS)}, got {world!r}")
    surroundings = WORLDS[world]
    size, strains, ties, rules, view = _check(world, settings, small_world, surroundings.__init__, kind.__init__)
    axes = Axes(strains)
    return kind(lambda streams: surroundings(small_world(size, streams, **ties), axes, **rules), **view)


def _check(world: str, settings: dict[str, Any], *makers: Callable[..., Any]) -> tuple[Any, ...]:
    """Size, strains and the settings of each maker, checked against the annotations of its optional arguments."""
    fields: dict[str, Any] = {"size": (Annotated[int, Field(ge=1)], 16), "strains": (tuple[str, ...], ("spiral",))}
    optional = [[p for p in signature(maker).parameters.values() if p.default is not p.empty] for maker in makers]
    for maker, parameters in zip(makers, optional, strict=True):
        hints = get_type_hints(maker, include_extras=True)
        fields |= {p.name: (hints[p.name], p.default) for p in parameters}
    try:
        checked = create_model(world, __config__=ConfigDict(extra="forbid"), **fields)(**settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{world}: {key}: {first['msg']}, got {first['input']!r}") from error
    parts = ({p.name: getattr(checked, p.name) for p in parameters} for parameters in optional)
    return checked.size, checked.strains, *parts


def _register() -> None:
    for name in WORLDS:
        pettingzoo.register("parallel", f"contagium/{name}-v0", entry_point=f"{__name__}:parallel_env", kwargs={"world": name})
        gymnasium.register(
            f"contagium/{name.capitalize()}-v0",
            entry_point=f"{__name__}:single_agent_env",
            vector_entry_point=f"{__name__}:array_env",
            kwargs={"world": name},
        )


_register()
