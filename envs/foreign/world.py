"""A game that others wrote as a world: our agents play any PettingZoo environment, and talk beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.foreign.code import ForeignError, function, guarded, printable, words
from contagium.envs.foreign.game import Api, Game, make_game
from contagium.envs.foreign.moves import PASS, legal, moves_of
from contagium.envs.message import Axes, Exposures, Mail, Messages
from contagium.envs.neighbours import heard_from_neighbours
from contagium.envs.network import Network
from contagium.envs.pressure import Pressure
from contagium.envs.world import Act, Consequence, Observation, World

Ints = NDArray[np.int64]


class PettingZoo(World):
    """The players of a PettingZoo environment, each an agent of the run, in the order of `possible_agents`.

    make: an id of PettingZoo (`classic/rps-v2`), a module with `parallel_env` or `env`, a function as package.module.function, or
    the function itself; settings: what it is called with; players: the name of the one of these that says how many play. api:
    which of both kinds, where there are two. actions: names of the actions in their order, or name → action, as spaces other than
    `Discrete` need. idle: the name of what is played for who passes; None: one of its legal actions, each as likely. describe: a
    function (player's name, space, observation) → words, in place of ours. rules: what all are told of the game. again: when an
    episode is over another begins; else everybody talks on, with nothing to choose.

    Who has the turn says one short thing, heard along ties, and chooses an action or passes. In an AEC environment one acts in a
    step, and the others wait, as does who is out until the episode is over. Reward: as the environment has it. Terminated,
    truncated: as there where no episode follows; else nobody, and news and outcomes tell. Outcomes: `passed`, of those who had
    the turn; `ended` (1: its episode is over), of all, and `score`, the sum of rewards in an episode that is over.

    At construction two copies are tried for one step: ValueError in one line for what breaks the protocol, and for copies that
    differ with one seed. ForeignError for what breaks it later. Source: Terry et al. 2021 (PettingZoo).
    """

    def __init__(
        self,
        network: Network,
        axes: Axes,
        make: str | Callable[..., Any],
        settings: dict[str, Any] | None = None,
        players: str | None = None,
        api: Api = "auto",
        actions: tuple[str, ...] | dict[str, Any] | None = None,
        idle: str | None = None,
        describe: str | Callable[..., str] | None = None,
        rules: str = "",
        again: bool = True,
    ) -> None:
        super().__init__(network, axes)
        self._make = make if isinstance(make, str) else getattr(make, "__name__", type(make).__name__)
        size, given = network.size, dict(settings or {}) | ({players: network.size} if players else {})
        self._rules, self._again = rules, again
        try:
            self._describe = None if describe is None else function(describe)
            self._game, twin = make_game(make, api, given), make_game(make, api, given)
            if len(self._game.players) != size:
                found, hint = len(self._game.players), "" if players else "; env.players can name the setting for their number"
                raise ValueError(f"population.size must be {found}, its number of players, got {size}{hint}")
            self.names = self._game.players
            self.choices, self._moves = moves_of(self._game, actions)
            if idle is not None and idle not in self.choices[1:]:
                raise ValueError(f"idle must be one of {', '.join(self.choices[1:])}, got {idle!r}")
            self._idle = self.choices.index(idle) if idle is not None else 0
            self._try(twin)
        except ValueError as error:
            raise ValueError(f"{self._make}: {error}") from error

    def start(self) -> None:
        size = self.network.size
        self._episode, self._turns = 0, list[Ints]()
        self._gained = np.zeros(size)
        self._terminated, self._truncated = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        with guarded(self._make):
            self._begin()
            self._next()

    def seen(self, step: int, agents: Ints, mail: Mail, pressure: Pressure | None) -> Observation:
        seen = super().seen(step, agents, mail, pressure)
        return replace(seen, reward=self._gained[agents], truncated=self._truncated[agents])

    def active(self, step: int) -> Ints:
        """As in `World`; ValueError: a step to come, since the game decides who has the turn then."""
        if step >= len(self._turns):
            raise ValueError(f"who has the turn at step {step} is known when it has come, and this is step {self.step}")
        return self._turns[step]

    def allowed(self, step: int, agents: Ints) -> NDArray[np.bool_]:
        return self._may[agents]

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        return mail.one(sender, self.streams.uniform("reply to", step, sender))

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        return heard_from_neighbours(self, step, board, readers)

    def describe(self, agent: int) -> str:
        others = [name for k, name in enumerate(self.names) if k != agent]
        told = [f"You are {self.names[agent]} in the game {self._game.name}{', with ' if others else ''}{', '.join(others)}."]
        told.append(self._rules)
        if not self._playing:
            told.append("The game is over, and you may talk on: you say one short thing at a time.")
        else:
            stands_in = f"{self.choices[self._idle]} is played for you" if self._idle else "chance plays for you"
            told.append(f"In each turn you say one short thing and choose an action; if you {PASS}, {stands_in}.")
        if agent in self._playing:
            with guarded(self._make):
                told.append(f"What you see now: {self._looks(self._game, agent)}.")
        told.append(f"Your score in this game so far: {self._score[agent]:g}.")
        return " ".join(part for part in told if part)

    def consequence(self, act: Act) -> Consequence:
        size, turn = self.network.size, np.array(self._playing, dtype=np.int64)
        if not len(turn):
            return Consequence(np.zeros(size), self._terminated.copy())
        chosen = np.full(size, -1)
        chosen[act.agents] = act.choice
        moves = {player: self._move(player, int(chosen[player])) for player in self._playing}
        with guarded(f"{self._make}, step {self.step}"):
            result = self._game.play({player: self._moves[player][move] for player, move in moves.items()})
            over = not self._game.turn()
            self._gained[turn] = 0
            self._gained += result.reward
            self._score += result.reward
            self._terminated |= result.terminated & (not self._again)
            self._truncated |= result.truncated & (not self._again)
            ended = (result.terminated | result.truncated | over) & ~self._out
            self._out |= ended
            news = self._news_of(moves, chosen, result.reward, ended, over)
            outcomes = {"passed": (turn, (chosen[turn] < 1).astype(float)), "ended": (self._everyone, ended.astype(float))}
            if ended.any():
                outcomes["score"] = (np.flatnonzero(ended), self._score[ended])
            if over and self._again:
                self._begin()
            self._next()
        return Consequence(result.reward, self._terminated.copy(), news=news, outcomes=outcomes)

    def _begin(self) -> None:
        """A new episode."""
        self._game.begin(self.streams.integer("episode", self._episode))
        self._episode += 1
        self._score, self._out = np.zeros(self.network.size), np.zeros(self.network.size, dtype=bool)

    def _next(self) -> None:
        """Who has the turn in the step to come, and what each may choose."""
        self._playing = self._game.turn()
        self._turns.append(np.array(self._playing, dtype=np.int64) if self._playing else self._everyone)
        self._may = np.zeros((self.network.size, len(self.choices)), dtype=bool)
        self._may[:, 0] = True
        for player in self._playing:
            self._may[player] |= legal(self._game, player, self._moves[player])

    def _move(self, player: int, choice: int) -> int:
        """Which action is played, as a place in `choices`: the one chosen, or what stands in for it."""
        may = self._may[player]
        for wanted in (choice, self._idle):
            if wanted > 0 and may[wanted]:
                return wanted
        left = np.flatnonzero(may[1:]) + 1
        draw = self.streams.uniform("pass", self.step, np.array([player]))[0]
        return int(left[int(draw * len(left))])

    def _news_of(
        self, moves: Mapping[int, int], chosen: Ints, reward: NDArray[np.float64], ended: NDArray[np.bool_], over: bool
    ) -> dict[int, str]:
        """What each is told who moved, was paid, or is out."""
        news: dict[int, str] = {}
        for player in sorted({*moves, *np.flatnonzero((reward != 0) | ended).tolist()}):
            told = []
            if player in moves:
                name = self.choices[moves[player]]
                told.append(f"You played {name}." if chosen[player] > 0 else f"You passed, and {name} was played for you.")
            told.append(f"You got {reward[player]:g}.")
            if ended[player]:
                more = " A new one begins." if over and self._again else ""
                told.append(f"Your game is over, with a score of {self._score[player]:g}.{more}")
            news[player] = " ".join(told)
        return news

    def _looks(self, game: Game, player: int) -> str:
        """What `player` observes, in words."""
        seen, space = game.seen(player)[0], game.shown[player]
        return words(space, seen) if self._describe is None else printable(str(self._describe(game.players[player], space, seen)))

    def _try(self, twin: Game) -> None:
        """Play one step of two copies. ValueError: one breaks the protocol, or they differ with one seed."""
        told: list[list[object]] = []
        try:
            for game in (self._game, twin):
                with guarded("tried for one step, it"):
                    game.begin(0)
                    turn = game.turn()
                    if not turn:
                        raise ForeignError("nobody has the turn after reset")
                    first = {player: int(np.flatnonzero(legal(game, player, self._moves[player]))[0]) for player in turn}
                    seen = [self._looks(game, player) for player in turn]
                    result = game.play({player: self._moves[player][move] for player, move in first.items()})
                    after = [self._looks(game, player) for player in game.turn()]
                    told.append([turn, seen, result.reward.tolist(), game.turn(), after])
            with guarded("to close it"):
                twin.close()
        except ForeignError as error:
            raise ValueError(str(error)) from error
        if told[0] != told[1]:
            raise ValueError(
                "two copies with one seed differ, and a run must be repeatable: reset(seed=…) must decide all chance"
            )
