"""Other people's games: both kinds of PettingZoo environment are played by their rules, and what breaks the protocol is named."""

import re
import sys
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple
from pettingzoo.utils.conversions import parallel_to_aec

from contagium.envs.foreign.code import ForeignError, located, words
from contagium.envs.foreign.world import PettingZoo
from contagium.envs.message import Axes
from contagium.envs.network import complete
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()
UNLIKE = cycle((0, 1))
"""Seeds of which the first shows 2 and the other 1."""


class Match(pettingzoo.ParallelEnv[str, Any, Any]):
    """Who names the number that is shown gets it; 0 costs one, and is not allowed to the last. Three steps an episode.

    fault: what it does wrong.
    """

    metadata = {"name": "match \x1b[31m"}  # noqa: RUF012
    render_mode = None

    def __init__(self, count: int = 2, space: Space[Any] | None = None, fault: str = "", leaves: bool = False) -> None:
        self.possible_agents = [f"p{k}" for k in range(count)]
        self._space, self._fault, self._leaves = space or Discrete(3), fault, leaves

    def observation_space(self, agent: str) -> Space[Any]:
        return Dict(shown=Discrete(3), action_mask=MultiBinary(3))

    def action_space(self, agent: str) -> Space[Any]:
        if self._fault == "spaces":
            raise NotImplementedError
        return self._space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        # With that fault the second of two copies shows another number than the first, and not by chance.
        self._rng = np.random.default_rng(next(UNLIKE) if self._fault == "seed" else seed)
        self.agents, self._step = [] if self._fault == "empty" else self.possible_agents[:], 0
        return self._show() if self._fault == "reset" else (self._show(), {a: {} for a in self.agents})

    def step(self, actions: dict[str, Any]) -> Any:
        who, right = self.agents, self._right
        if self._fault == "late" and self._step == 1:
            raise ZeroDivisionError("a bug\nof two lines")
        rewards = {a: float(right if int(actions[a]) == right else 0) - (int(actions[a]) == 0) for a in who}
        if self._fault == "nan":
            rewards[who[-1]] = np.nan
        self._step += 1
        over = self._step == 3
        ended = {a: over or (self._leaves and a == "p0") for a in who}
        self.agents = [a for a in who if not ended[a]]
        told = (self._show(), rewards, ended, dict.fromkeys(who, False), {a: {} for a in who})
        if self._fault == "missing":
            del rewards[who[0]]
        return told[:4] if self._fault == "four" else told

    def _show(self) -> dict[str, Any]:
        self._right = int(self._rng.integers(1, 3))
        masks = {a: [int(self._fault != "mask"), 1, 1] for a in self.possible_agents}
        masks[self.possible_agents[-1]] = [0] * 3 if self._fault == "mask" else [0, 1, 1]
        return {a: {"shown": self._right, "action_mask": np.array(masks[a])} for a in self.possible_agents}


def world(make: Callable[..., Any] | str = Match, size: int = 2, seed: int = 0, **settings: Any) -> PettingZoo:
    made = PettingZoo(complete(size, Streams(0)), AXES, make, **settings)
    made.reset(Streams(seed))
    return made


def play(now: PettingZoo, *choices: int) -> list[float]:
    """One step in which those whose turn it is choose; their rewards."""
    act = Act.idle(now.active(now.step), len(AXES))
    act.says[:], act.choice[:] = True, choices
    act.text.update(dict.fromkeys(act.agents.tolist(), "Hm."))
    now.deliver(now.send(act), act)
    return now.settled.reward.tolist()


def shown(now: PettingZoo, agent: int = 0) -> int:
    told = re.search(r"What you see now: shown: (\d) \(of 0 to 2\)\.", now.describe(agent))
    assert told, now.describe(agent)
    return int(told[1])


def test_players_see_choose_and_are_paid() -> None:
    now = world(actions=("none", "one", "two"), rules="Name what is shown.")
    assert now.choices == ("pass", "none", "one", "two")
    assert now.names == ("p0", "p1")
    assert now.describe(1).startswith("You are p1 in the game match [31m, with p0. Name what is shown. In each turn you say ")
    assert now.observe(now.active(0)).allowed.tolist() == [[True] * 4, [True, False, True, True]]
    right = shown(now)
    assert play(now, right + 1, 4 - right) == [right, 0]
    seen = now.observe(np.arange(2))
    assert seen.reward.tolist() == [right, 0]
    assert seen.news[0] == f"You played {('one', 'two')[right - 1]}. You got {right}."
    assert len(now.observe(np.arange(2)).inbox.of(1)) == 1, "they also talk"
    assert f"Your score in this game so far: {right}." in now.describe(0)


def test_who_passes_or_may_not_has_a_legal_action_played_for_it_and_the_log_knows() -> None:
    now = world(actions=("none", "one", "two"), idle="none")
    right = shown(now)
    assert play(now, 0, 1)[0] == -1, "idle=none is played for the first; the last may not, so that chance plays for it"
    assert now.settled.reward[1] in (0, right)
    assert now.settled.outcomes["passed"][1].tolist() == [1, 1]
    assert now.settled.news[0] == "You passed, and none was played for you. You got -1."
    drawn = [world(seed=seed, size=2) for seed in range(40)]
    by_chance = [play(one, 0, 0) for one in drawn]
    assert {reward[1] for reward in by_chance} == {0, 1, 2}
    assert min(reward[0] for reward in by_chance) == -1
    assert min(reward[1] for reward in by_chance) == 0, "never an action that the mask forbids"


def test_when_an_episode_is_over_another_begins_or_all_talk_on() -> None:
    on, once = world(), world(again=False)
    for now in (on, once):
        for _ in range(3):
            assert not now.settled.terminated.any()
            total = now.describe(0)
            play(now, shown(now) + 1, 2)
        assert now.settled.outcomes["ended"][1].tolist() == [1, 1]
        agents, score = now.settled.outcomes["score"]
        assert agents.tolist() == [0, 1]
        before = re.search(r"so far: (\d+)\.", total)
        assert before is not None
        assert score[0] == int(before[1]) + now.settled.reward[0]
    assert on.settled.news[0].endswith("A new one begins.")
    assert not on.settled.terminated.any()
    assert play(on, shown(on) + 1, 2)[0] > 0
    assert once.settled.terminated.all()
    assert "The game is over" in once.describe(0)
    assert once.observe(np.arange(2)).allowed.tolist() == [[True, False, False, False]] * 2
    assert play(once, 0, 0) == [0, 0]
    assert once.settled.terminated.all()


def test_who_is_out_waits_until_the_episode_is_over() -> None:
    now = world(settings={"leaves": True}, size=3, players="count")
    turns = []
    for _ in range(5):
        turns.append(now.active(now.step).tolist())
        play(now, *[2] * len(turns[-1]))
    assert turns == [[0, 1, 2], [1, 2], [1, 2], [0, 1, 2], [1, 2]]
    with pytest.raises(ValueError, match="turn at step 6 is known when it has come, and this is step 5"):
        now.active(6)


def test_one_after_another_each_is_paid_since_its_last_turn() -> None:
    """The same game as an AEC environment: the same rewards come about, and whoever waits has them kept for it."""
    together, turns = world(), world(lambda: parallel_to_aec(Match()))
    for _ in range(4):
        right = shown(together)
        paid = play(together, right + 1, 2)
        assert turns.active(turns.step).tolist() == [0]
        assert shown(turns) == right
        assert play(turns, right + 1) == [0, 0]
        assert turns.active(turns.step).tolist() == [1]
        assert play(turns, 2) == paid
        assert turns.seen(turns.step, np.arange(2), turns.mail, None).reward.tolist() == paid


def test_the_same_seed_gives_the_same_game_and_another_one_another() -> None:
    def told(seed: int) -> list[int]:
        now = world(seed=seed)
        return [(shown(now), play(now, 0, 0))[0] for _ in range(12)]

    assert told(1) == told(1)
    assert told(1) != told(2)


@pytest.mark.parametrize(
    ("space", "actions"),
    [
        (MultiDiscrete([2, 3]), {"left": [0, 1], "right": [1, 2]}),
        (Box(-1, 1, (2,)), {"left": [-1, 0.5], "right": [1, 0]}),
        (Discrete(4, start=2), {"left": 3, "right": 5}),
    ],
)
def test_actions_by_name(space: Space[Any], actions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []

    def step(self: Match, given: dict[str, Any]) -> Any:
        done.append(list(given.values()))
        return self._show(), dict.fromkeys(given, 0.0), dict.fromkeys(given, False), dict.fromkeys(given, False), {}

    monkeypatch.setattr(Match, "step", step)
    monkeypatch.setattr(Match, "_show", lambda self: {a: {"shown": 1} for a in self.possible_agents})
    now = world(settings={"space": space}, actions=actions)
    play(now, 2, 1)
    assert [np.asarray(action).tolist() for action in done[-1]] == [actions["right"], actions["left"]]
    assert all(space.contains(action) for action in done[-1])


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("spaces", "it does not tell the spaces of its players: NotImplementedError"),
        ("seed", "two copies with one seed differ"),
        ("empty", "nobody has the turn after reset"),
        ("reset", "reset must return observations and infos, got dict"),
        ("four", "step must return observations, rewards, terminations, truncations, infos, got 4 values"),
        ("missing", "rewards must name every player, got none for ['p0']"),
        ("nan", "a reward must be finite, got nan for p1"),
        ("mask", "a mask of 3 actions must allow one of them, got [0 0 0]"),
    ],
)
def test_what_breaks_the_protocol_is_said_at_the_start_in_one_line(fault: str, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)) as raised:
        world(settings={"fault": fault})
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("Match: ")


def test_what_breaks_later_is_one_line_that_names_the_step() -> None:
    now = world(settings={"fault": "late"})
    play(now, 2, 2)
    with pytest.raises(ForeignError, match=r"^Match, step 1 raised ZeroDivisionError: a bug$"):
        play(now, 2, 2)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"size": 3}, "population.size must be 2, its number of players, got 3; env.players can name"),
        ({"make": "nowhere.at.all"}, "cannot import nowhere.at.all"),
        ({"make": "json.loads"}, "it cannot be made: TypeError"),
        ({"make": "json"}, "the module json has no parallel_env or env"),
        ({"make": "no/such-v0"}, "it cannot be made: NamespaceNotFound"),
        ({"make": dict}, "it must be a pettingzoo.ParallelEnv or AECEnv, got dict"),
        ({"settings": {"colour": 1}}, "it cannot be made: TypeError"),
        ({"actions": ("a", "b")}, "env.actions must name all 3 actions, got 2: a, b"),
        ({"actions": ("a", "b", "Pass")}, "env.actions must be different words, none of them pass"),
        ({"actions": {"a": 1, "b": 7}}, "env.actions.b is an action of no player, got 7"),
        ({"settings": {"space": Box(0, 1, (2,))}}, "no closed list: name some"),
        ({"idle": "stay"}, "idle must be one of 0, 1, 2, got 'stay'"),
        ({"describe": "json.nothing"}, "cannot import json.nothing"),
        ({"describe": lambda player, space, seen: 1 / 0}, "raised ZeroDivisionError"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        world(**settings)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    for name in [name for name in sys.modules if name.startswith("pettingzoo.classic.rps")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=r"cannot import pettingzoo\.classic\.rps\.rps: import of pygame halted"):
        located("pettingzoo.classic.rps.rps")
    with pytest.raises(ValueError, match=re.escape("pip install 'pettingzoo[classic]'")):
        world("classic/rps-v2")


def test_what_is_seen_is_told_in_words() -> None:
    long = np.arange(100, dtype=np.float32).reshape(4, 25) / 4
    assert words(Discrete(3), np.int64(2)) == "2 (of 0 to 2)"
    assert words(Discrete(3, start=5), 6) == "6 (of 5 to 7)"
    assert words(MultiDiscrete([2, 3]), np.array([1, 2])) == "[1, 2]"
    assert words(MultiBinary((2, 2)), np.eye(2, dtype=np.int8)) == "[[1, 0], [0, 1]]"
    assert words(Box(0, 1, (2,)), np.array([0.1, 2 / 3], dtype=np.float32)) == "[0.1, 0.667]"
    assert words(Text(9), "two\n\x1b[31mlines ") == "two [31mlines"
    assert words(Tuple((Discrete(2), Text(3))), (1, "a")) == "1 (of 0 to 1); a"
    assert words(Dict(action_mask=MultiBinary(1), a=Text(2)), {"a": "x", "action_mask": np.ones(1)}) == "a: x"
    told = words(Box(0, 99, (4, 25)), long)
    assert told.startswith("0, 0.25, 0.5, ")
    assert told.endswith("15.75, … (4 × 25 numbers in all)")
    assert len(words(Text(9000), "x" * 9000)) == 2002


def test_a_function_of_the_users_describes_instead() -> None:
    now = world(describe=lambda player, space, seen: f"{player} sees\n{seen['shown']}")
    assert re.search(r"What you see now: p1 sees [12]\. Your", now.describe(1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_games_that_come_with_pettingzoo() -> None:
    pytest.importorskip("pygame")
    now = world("classic/rps-v2", settings={"num_actions": 5}, actions=("rock", "paper", "scissors", "spock", "lizard"))
    assert now.names == ("player_0", "player_1")
    assert play(now, 1, 2) == [-1, 1]
    assert "What you see now: 1 (of 0 to 5)." in now.describe(0)
    board = world("classic/tictactoe-v3")
    assert board.choices == ("pass", *map(str, range(9)))
    for cell in (0, 3, 1, 4):
        assert play(board, cell + 1) == [0, 0]
        assert not board.observe(board.active(board.step)).allowed[0, cell + 1]
    assert play(board, 3) == [1, -1]
    assert board.settled.outcomes["score"][1].tolist() == [1, -1]
    assert board.observe(board.active(board.step)).allowed.all(), "an empty board again"
