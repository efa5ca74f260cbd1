"""From a world's closed list of choices to the actions of somebody else's game."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from contagium.envs.foreign.code import ForeignError
from contagium.envs.foreign.game import Game

PASS = "pass"
"""The choice that is no action, and harmless."""

Moves = list[list[Any]]
"""For each player the action that each choice is; None: none of its own."""


def moves_of(game: Game, actions: tuple[str, ...] | dict[str, Any] | None) -> tuple[tuple[str, ...], Moves]:
    """The choices, of which the first is to pass, and what each is for each player.

    actions: as for `PettingZoo`. ValueError: they do not fit the spaces of actions.
    """
    names, moves = _given(game, actions) if isinstance(actions, dict) else _listed(game, actions)
    if len({name.strip().casefold() for name in (PASS, *names)} - {""}) <= len(names):
        raise ValueError(f"env.actions must be different words, none of them {PASS}, got {', '.join(names)}")
    for player, space, own in zip(game.players, game.actions, moves, strict=True):
        if all(move is None for move in own):
            raise ValueError(f"none of env.actions is an action of {player}, which has {space!r:.80}")
    return (PASS, *names), [[None, *own] for own in moves]


def legal(game: Game, player: int, moves: list[Any]) -> NDArray[np.bool_]:
    """Which of the choices are legal actions of `player` now, (C,); to pass is none. ForeignError: no choice is."""
    mask, space = game.mask(player), game.actions[player]
    may = np.array([move is not None for move in moves])
    if mask is not None and isinstance(space, Discrete):
        may[may] = [mask[move - int(space.start)] for move in moves if move is not None]
    if not may.any():
        raise ForeignError(f"none of env.actions is legal for {game.players[player]} now")
    return may


def _given(game: Game, actions: dict[str, Any]) -> tuple[tuple[str, ...], Moves]:
    moves = [[_action(space, value) for value in actions.values()] for space in game.actions]
    for k, (name, value) in enumerate(actions.items()):
        if all(own[k] is None for own in moves):
            raise ValueError(f"env.actions.{name} is an action of no player, got {value!r:.80} for {game.actions[0]!r:.80}")
    return tuple(actions), moves


def _listed(game: Game, actions: tuple[str, ...] | None) -> tuple[tuple[str, ...], Moves]:
    spaces = [space for space in game.actions if isinstance(space, Discrete)]
    if len(spaces) < len(game.actions):
        player, space = next(pair for pair in zip(game.players, game.actions, strict=True) if not isinstance(pair[1], Discrete))
        raise ValueError(
            f"the actions of {player} are {space!r:.80}, no closed list: name some, env.actions= {{left: [0, 1], right: [1, 0]}}"
        )
    most = max(int(space.n) for space in spaces)
    names = tuple(map(str, range(most))) if actions is None else actions
    if len(names) != most:
        raise ValueError(f"env.actions must name all {most} actions, got {len(names)}: {', '.join(names)}")
    return names, [[int(space.start) + k if k < space.n else None for k in range(most)] for space in spaces]


def _action(space: Space[Any], value: Any) -> Any:
    """`value` as an action of `space`, None where it is none."""
    try:
        if isinstance(space, Discrete):
            action = value
        else:
            action = value if space.dtype is None or space.shape is None else np.asarray(value, dtype=space.dtype)
        return action if space.contains(action) else None
    except (TypeError, ValueError, OverflowError):
        return None
