"""Trying out a world: each broken rule is one line, and a world that keeps them passes."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import complete
from contagium.envs.rng import Streams
from contagium.envs.trial import try_out
from contagium.envs.world import Act, Consequence, World

CLOCK = count()


class NoWorld:
    """Takes what worlds take."""

    def __init__(self, network: object, axes: object) -> None: ...


class Short(Forum):
    def consequence(self, act: Act) -> Consequence:
        return Consequence(np.zeros(3), np.zeros(3, dtype=bool))


class Empty(Forum):
    def consequence(self, act: Act) -> Consequence:
        return None  # type: ignore[return-value]


class Endless(Forum):
    def consequence(self, act: Act) -> Consequence:
        return replace(super().consequence(act), reward=np.full(4, np.inf))


class Stray(Forum):
    def consequence(self, act: Act) -> Consequence:
        return replace(super().consequence(act), outcomes={"won": (np.array([2, 1]), np.zeros(2))})


class Wordless(Forum):
    def consequence(self, act: Act) -> Consequence:
        return replace(super().consequence(act), news={0: 1})  # type: ignore[dict-item]


class Deaf(Forum):
    def hear(self, step: int, board: Messages, readers: Any) -> Exposures:
        return ()  # type: ignore[return-value]


class Backwards(Forum):
    def hear(self, step: int, board: Messages, readers: Any) -> Exposures:
        heard = super().hear(step, board, readers)
        return heard.take(np.arange(len(heard))[::-1])


class Forger(Forum):
    def hear(self, step: int, board: Messages, readers: Any) -> Exposures:
        heard = super().hear(step, board, readers)
        return replace(heard, source=(heard.source + 1) % 4)


class Twice(Forum):
    choices = ("wait", "wait")


class Forbidding(Forum):
    choices = ("wait", "go")

    def allowed(self, step: int, agents: Any) -> Any:
        return np.zeros((len(agents), 2), dtype=bool)


class Silent(Forum):
    def describe(self, agent: int) -> str:
        return None  # type: ignore[return-value]


class Raising(Forum):
    def describe(self, agent: int) -> str:
        raise KeyError("oops")


class Clocked(Forum):
    def consequence(self, act: Act) -> Consequence:
        return replace(super().consequence(act), reward=np.full(4, float(next(CLOCK))))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (NoWorld, "NoWorld breaks the rules of a world: it must be a World"),
        (Short, r"consequence: reward must have the shape \(4,\), got \(3,\)"),
        (Empty, "consequence must give a Consequence, got NoneType"),
        (Endless, "consequence: reward must be finite"),
        (Stray, "agents of the outcome won must be ids, ascending"),
        (Wordless, "news must be texts by agent, got 0: 1"),
        (Deaf, "hear must give Exposures, got tuple"),
        (Backwards, "sorted by agent, then by message"),
        (Forger, "source must be who sent the message"),
        (Twice, "choices must be a tuple of different names"),
        (Forbidding, "everybody must always be allowed the first choice, 'wait'"),
        (Silent, "describe must give a text, got NoneType"),
        (Raising, r"^Raising raised KeyError: 'oops' \(.*test_trial.py line \d+\)$"),
        (Clocked, "chance must come from self.streams, state from start"),
    ],
)
def test_each_broken_rule_is_one_line(kind: type[World], line: str) -> None:
    with pytest.raises(ValueError, match=line) as refused:
        try_out(lambda: kind(complete(4, Streams(7)), Axes()), Streams(7))
    assert "\n" not in str(refused.value)


def test_a_world_that_keeps_the_rules_passes() -> None:
    try_out(lambda: Forum(complete(4, Streams(7)), Axes()), Streams(7))
