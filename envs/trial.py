"""Whether a world keeps the rules of `World`: tried before it is lived in, so that a mistake is told before it costs anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from traceback import extract_tb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Exposures, Messages
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Consequence, World

STEPS = 2
WORDY = 3
"""Steps that are played, and agents who speak in words in them and are told their situation."""


class BrokenRule(ValueError):
    """A rule that a world breaks: what it did, and where."""


def try_out(make: Callable[[], World], streams: Streams) -> None:
    """Play a few steps twice, in worlds of their own. make: a new world of the kind, at each call.

    ValueError, in one line: what is made is no `World`, or breaks its rules, or raises, or does not do the same again with the
    same seed.
    """
    name = "an environment"
    try:
        world, again = make(), make()
        name = type(world).__name__
        _must(isinstance(world, World), "it must be a World")
        _stands(world)
        once, twice = list(_played(world, streams)), list(_played(again, streams))
    except BrokenRule as error:
        raise ValueError(f"{name} breaks the rules of a world: {error}") from error
    except Exception as error:
        at = extract_tb(error.__traceback__)[-1]
        raise ValueError(f"{name} raised {type(error).__name__}: {error} ({at.filename} line {at.lineno})") from error
    if not (len(once) == len(twice) and all(map(np.array_equal, once, twice))):
        raise ValueError(
            f"{name} does another thing when it is begun again: chance must come from self.streams, state from start"
        )


def _stands(world: World) -> None:
    """What must hold of a world before anything happens in it."""
    size, choices, roles = world.network.size, world.choices, world.roles
    texts = isinstance(choices, tuple) and all(isinstance(choice, str) and choice for choice in choices)
    _must(texts and len(set(choices)) == len(choices), f"choices must be a tuple of different names, got {choices!r}")
    _must(len(world.names) in (0, size), f"names must be none or {size}, got {len(world.names)}")
    _array("role", world.role, (size,), "iu")
    _must(_within(world.role, max(1, len(roles))), f"role must hold places in roles, of which there are {len(roles)}")


def _played(world: World, streams: Streams) -> Iterator[NDArray[Any]]:
    """What happens in a few steps, as arrays, each thing checked as it comes."""
    size, consequence = world.network.size, world.consequence
    world.reset(streams)
    # The base class uses a consequence at once: it is looked at between the two.
    world.consequence = lambda act: _settled(world, consequence(act))  # type: ignore[method-assign]
    for step in range(STEPS):
        agents = world.active(step)
        _array("active", agents, (len(agents),), "iu")
        _must(_within(agents, size) and bool(np.all(np.diff(agents) > 0)), "active must give ids of agents, ascending")
        act = _act(world, step, agents, world.allowed(step, agents))
        for agent in agents[:WORDY].tolist():
            told = world.describe(agent)
            _must(isinstance(told, str), f"describe must give a text, got {type(told).__name__}")
        world.observe(agents)
        known = np.append(world.board.id, -1)
        sent = world.send(act)
        _must(bool(np.isin(sent.reply_to, known).all()), "answer must give ids of messages on the board, or -1")
        board = world.board.concat(sent)
        heard = world.hear(step, board, np.arange(size))
        _heard(heard, board, size)
        world.deliver(sent, act)
        yield from (agents, heard.agent, heard.message, world.settled.reward)


def _act(world: World, step: int, agents: NDArray[np.int64], may: NDArray[np.bool_] | None) -> Act:
    """Everybody speaks, and does one of the things it may do."""
    act, kinds = Act.idle(agents, len(world.axes)), len(world.choices)
    act.says[:] = True
    act.expression[:] = 0.5
    act.text.update(dict.fromkeys(agents[:WORDY].tolist(), "Good morning."))
    if kinds:
        act.choice[:] = (agents + step) % kinds
    if may is not None:
        _array("allowed", may, (len(agents), kinds), "b")
        _must(bool(may[:, 0].all()), f"everybody must always be allowed the first choice, {world.choices[0]!r}")
        act.choice[~may[np.arange(len(agents)), act.choice]] = 0
    return act


def _heard(heard: object, board: Messages, size: int) -> None:
    if not isinstance(heard, Exposures):
        raise BrokenRule(f"hear must give Exposures, got {type(heard).__name__}")
    for name, kind in (("agent", "iu"), ("message", "iu"), ("source", "iu"), ("weight", "iuf")):
        _array(f"hear: {name}", getattr(heard, name), (len(heard.agent),), kind)
    _must(_within(heard.agent, size), "hear: agent must hold ids of agents")
    reader, message = np.diff(heard.agent), np.diff(heard.message)
    ordered = (reader > 0) | ((reader == 0) & (message > 0))
    _must(bool(ordered.all()), "hear: exposures must be sorted by agent, then by message, each once")
    there = np.isin(heard.message, board.id)
    _must(bool(there.all()), "hear: messages must be on the board")
    _must(bool(np.all(board.sender[board.rows(heard.message)] == heard.source)), "hear: source must be who sent the message")


def _settled(world: World, given: object) -> Consequence:
    if not isinstance(given, Consequence):
        raise BrokenRule(f"consequence must give a Consequence, got {type(given).__name__}")
    size = world.network.size
    _array("consequence: reward", given.reward, (size,), "iuf")
    _array("consequence: terminated", given.terminated, (size,), "b")
    if given.push is not None:
        _array("consequence: push", given.push, (size, 3), "iuf")
    for agent, text in given.news.items():
        _must(0 <= agent < size and isinstance(text, str), f"consequence: news must be texts by agent, got {agent!r}: {text!r}")
    for name, (agents, values) in given.outcomes.items():
        _array(f"consequence: agents of the outcome {name}", agents, (len(agents),), "iu")
        ascend = _within(agents, size) and bool(np.all(np.diff(agents) > 0))
        _must(ascend, f"consequence: agents of the outcome {name} must be ids, ascending")
        _array(f"consequence: values of the outcome {name}", values, (len(agents),), "biuf")
    return given


def _array(what: str, value: object, shape: tuple[int, ...], kinds: str) -> None:
    """kinds: of numpy's types, by letter: b, i, u, f."""
    if not isinstance(value, np.ndarray):
        raise BrokenRule(f"{what} must be an array, got {type(value).__name__}")
    _must(value.shape == shape, f"{what} must have the shape {shape}, got {value.shape}")
    _must(value.dtype.kind in kinds, f"{what} has the wrong type, {value.dtype}")
    _must(bool(np.isfinite(value).all()), f"{what} must be finite")


def _within(ids: NDArray[np.int64], size: int) -> bool:
    return bool(np.all((ids >= 0) & (ids < size)))


def _must(holds: bool, rule: str) -> None:
    if not holds:
        raise BrokenRule(rule)
