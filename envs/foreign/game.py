"""Other people's games under one roof: a PettingZoo environment of either kind as a `Game`.

Whatever breaks the protocol of PettingZoo 1.27 is a `ForeignError` of one line, with the rule that is broken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pettingzoo
from gymnasium import Space
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from contagium.envs.foreign.code import MASK, ForeignError, function, located, printable

Api = Literal["auto", "parallel", "aec"]


@dataclass(frozen=True)
class Result:
    """What actions brought, for N players. reward (N,); terminated, truncated (N,) bool: whose part is over, and how."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class Game(ABC):
    """An environment that others wrote, its players by number. Call `begin`, then `play` as long as somebody has the turn.

    players: their names. actions, shown: the action and observation space of each. ValueError: they are not told.
    """

    def __init__(self, env: pettingzoo.ParallelEnv[Any, Any, Any] | pettingzoo.AECEnv[Any, Any, Any]) -> None:
        try:
            self._ids = list(env.possible_agents)
        except AttributeError as error:
            raise ValueError("it does not name its players in possible_agents before it begins") from error
        self.players = tuple(printable(str(player)) for player in self._ids)
        if len(set(self.players)) < len(self.players) or not all(self.players):
            raise ValueError(f"players must have different names, got {', '.join(self.players)}")
        self._place = {player: k for k, player in enumerate(self._ids)}
        try:
            self.actions = [self._space(env.action_space(player)) for player in self._ids]
            self.shown = [self._space(env.observation_space(player)) for player in self._ids]
        except Exception as error:
            raise ValueError(f"it does not tell the spaces of its players: {type(error).__name__} {error}") from error
        self.name = printable(str((env.metadata or {}).get("name", env)))

    @staticmethod
    def _space(space: object) -> Space[Any]:
        if not isinstance(space, Space):
            raise TypeError(f"{space!r:.80} is no Space")
        return space

    @abstractmethod
    def begin(self, seed: int) -> None:
        """A new episode."""

    @abstractmethod
    def turn(self) -> list[int]:
        """The players whose turn it is, ascending; none: the episode is over."""

    @abstractmethod
    def seen(self, player: int) -> tuple[Any, Any]:
        """What `player`, whose turn it is, observes, and the info beside it."""

    @abstractmethod
    def play(self, actions: Mapping[int, Any]) -> Result:
        """An action of each player whose turn it is."""

    @abstractmethod
    def close(self) -> None: ...

    def mask(self, player: int) -> NDArray[np.bool_] | None:
        """Which actions of its space, a `Discrete`, `player` may take now, (n,); None: all."""
        space = self.actions[player]
        for told in self.seen(player):
            if isinstance(space, Discrete) and isinstance(told, Mapping) and told.get(MASK) is not None:
                mask = np.asarray(told[MASK]).astype(bool)
                if mask.shape != (space.n,) or not mask.any():
                    raise ForeignError(f"a mask of {space.n} actions must allow one of them, got {np.asarray(told[MASK])}")
                return mask
        return None

    def _result(
        self, reward: Mapping[Any, Any], ended: Mapping[Any, Any], truncated: Mapping[Any, Any], who: list[Any]
    ) -> Result:
        """The result for the players `who` out of what the environment tells of each."""
        size, at = len(self._ids), [self._place[player] for player in who]
        result = Result(np.zeros(size), np.zeros(size, dtype=bool), np.zeros(size, dtype=bool))
        named = (("rewards", reward, result.reward), ("terminations", ended, result.terminated))
        for name, told, column in (*named, ("truncations", truncated, result.truncated)):
            if not isinstance(told, Mapping) or (missing := [player for player in who if player not in told]):
                raise ForeignError(f"{name} must name every player, got none for {missing if isinstance(told, Mapping) else who}")
            column[at] = [told[player] for player in who]
        if not np.all(np.isfinite(result.reward)):
            player = int(np.flatnonzero(~np.isfinite(result.reward))[0])
            raise ForeignError(f"a reward must be finite, got {result.reward[player]} for {self.players[player]}")
        return result

    def _known(self, players: object) -> list[Any]:
        """Players in play, all of them known from the start."""
        found = list(players) if isinstance(players, (list, tuple)) else None
        if found is None or (new := [player for player in found if player not in self._place]):
            told = f"got {players!r:.80}" if found is None else f"and {new[0]} is not among possible_agents"
            raise ForeignError(f"agents must list who plays, {told}")
        return found


class Together(Game):
    """A `ParallelEnv`: all who are still in it act at once."""

    def __init__(self, env: pettingzoo.ParallelEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self._env = env

    def begin(self, seed: int) -> None:
        told = self._env.reset(seed=seed)
        if not (isinstance(told, tuple) and len(told) == 2):
            raise ForeignError(f"reset must return observations and infos, got {_count(told)}")
        self._keep(*told)

    def turn(self) -> list[int]:
        return sorted(self._place[player] for player in self._known(self._env.agents))

    def seen(self, player: int) -> tuple[Any, Any]:
        return self._seen[self._ids[player]], self._info.get(self._ids[player])

    def play(self, actions: Mapping[int, Any]) -> Result:
        who = [self._ids[player] for player in actions]
        told = self._env.step({self._ids[player]: action for player, action in actions.items()})
        if not (isinstance(told, tuple) and len(told) == 5):
            raise ForeignError(f"step must return observations, rewards, terminations, truncations, infos, got {_count(told)}")
        seen, reward, terminated, truncated, info = told
        self._keep(seen, info)
        return self._result(reward, terminated, truncated, who)

    def close(self) -> None:
        self._env.close()

    def _keep(self, seen: Any, info: Any) -> None:
        if not isinstance(seen, Mapping) or (missing := [p for p in self._known(self._env.agents) if p not in seen]):
            raise ForeignError(
                f"observations must name every player, got none for {missing if isinstance(seen, Mapping) else 'any'}"
            )
        self._seen, self._info = seen, info if isinstance(info, Mapping) else {}


class Cycle(Game):
    """An `AECEnv`: one player acts at a time."""

    def __init__(self, env: pettingzoo.AECEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self._env = env

    def begin(self, seed: int) -> None:
        self._env.reset(seed=seed)
        self._bury()

    def turn(self) -> list[int]:
        playing = self._known(self._env.agents)
        return [self._place[player] for player in self._known([self._env.agent_selection])] if playing else []

    def seen(self, player: int) -> tuple[Any, Any]:
        return self._env.observe(self._ids[player]), self._env.infos.get(self._ids[player])

    def play(self, actions: Mapping[int, Any]) -> Result:
        ((_, action),) = actions.items()
        self._env.step(action)
        result = self._result(self._env.rewards, self._env.terminations, self._env.truncations, self._known(self._env.agents))
        self._bury()
        return result

    def close(self) -> None:
        self._env.close()

    def _bury(self) -> None:
        """Give those whose part is over the last turn that PettingZoo wants for each of them."""
        env = self._env
        for _ in range(len(self._ids)):
            player = env.agent_selection if env.agents else None
            if player is None or not (env.terminations[player] or env.truncations[player]):
                return
            env.step(None)
        if env.agents:
            raise ForeignError("a player whose part is over must leave after its last turn, but none left")


def make_game(make: str | Callable[..., Any], api: Api, settings: Mapping[str, Any]) -> Game:
    """The game of the environment that `make` names.

    make: an id of PettingZoo (classic/rps-v2), a module with `parallel_env` or `env`, a function as package.module.function, or
    the function itself. api: which of both there are. ValueError: there is none, or it is no environment of PettingZoo.
    """
    try:
        if isinstance(make, str) and "/" in make:
            known = make in pettingzoo.parallel_registry
            env = pettingzoo.make("aec" if api == "aec" or (api == "auto" and not known) else "parallel", make, **settings)
        else:
            env = _maker(located(make) if isinstance(make, str) else make, api)(**settings)
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise ValueError(f"it cannot be made: {type(error).__name__} {lines[0]:.300}") from error
    if isinstance(env, pettingzoo.ParallelEnv):
        return Together(env)
    if isinstance(env, pettingzoo.AECEnv):
        return Cycle(env)
    raise ValueError(f"it must be a pettingzoo.ParallelEnv or AECEnv, got {type(env).__name__}")


def _maker(found: Any, api: Api) -> Callable[..., Any]:
    if isinstance(found, ModuleType):
        names = {"auto": ("parallel_env", "env"), "parallel": ("parallel_env",), "aec": ("env",)}[api]
        makers = [vars(found)[name] for name in names if name in vars(found)]
        if not makers:
            raise ValueError(f"the module {found.__name__} has no {' or '.join(names)}")
        found = makers[0]
    return function(found)


def _count(told: object) -> str:
    return f"{len(told)} values" if isinstance(told, tuple) else type(told).__name__
