"""A world's observations and actions as Gymnasium spaces, and `Utterance`, the space of things said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from numpy.typing import NDArray

from contagium.envs.message import AFFECT, Axes
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

SITUATION = 100_000
"""Characters that a description of an agent's situation may have."""
BAD_ACTION = (KeyError, IndexError, TypeError, ValueError)
_SAMPLED = tuple("aeinorst AEINORST019.,?!'\"{}$<>&\\\n“”‘’—äßéλжعआ中한🌀🙂")  # noqa: RUF001


class Utterance(Space[str]):
    """Any Unicode text of at most `max_length` characters (code points), except lone surrogates.

    `gymnasium.spaces.Text` holds a fixed alphabet and so no emoji or curly quotes. Samples have at most 40 characters.
    """

    def __init__(self, max_length: int = 500, seed: int | np.random.Generator | None = None) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        self.max_length = max_length
        super().__init__(dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: None = None, probability: None = None) -> str:
        if mask is not None or probability is not None:
            raise ValueError("an Utterance is sampled without mask or probability")
        length = self.np_random.integers(min(self.max_length, 40) + 1)
        return "".join(_SAMPLED[i] for i in self.np_random.integers(len(_SAMPLED), size=length))

    def contains(self, x: object) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length and _is_unicode(x)

    def fit(self, text: str) -> str:
        """The nearest text in the space: a lone surrogate becomes U+FFFD, what is too long loses its end."""
        whole = text if _is_unicode(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole[: self.max_length]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Utterance) and self.max_length == other.max_length

    def __repr__(self) -> str:
        return f"Utterance({self.max_length})"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class View:
    """How one agent of a world sees and acts, as spaces that all agents share.

    slots: messages shown at once: the newest, and of those of one step a random choice. max_length: characters of a
    message. text: with words, as `Dict` spaces; without, both spaces are one flat float32 `Box` each, which every trainer takes:
      observation: in-use flags (S), weights (S), expressions (S·D), known flags (S·D), pressure (3), active (1);
      action: expression (D), `says` if above 0 (1), and one score per choice (C) where there is more than one: the
      highest wins.
    """

    def __init__(self, world: World, slots: int = 4, max_length: int = 500, text: bool = True) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, got {slots}")
        self.size, self.axes, self.choices = world.network.size, world.axes, world.choices
        self.text = text
        self._slots = slots
        self._utterance = Utterance(max_length)
        # Ties of one network compare with each other and with 1, the weight of what is read without a tie.
        self._heaviest = max(1.0, float(world.network.weight.max(initial=0.0)))
        self._low, self._high = bounds(self.axes)
        self.observation_space: Space[Any] = Dict(self._numbers() | self._words()) if text else _flat(self._numbers())
        self.action_space: Space[Any] = self._actions()

    def _numbers(self) -> dict[str, Space[Any]]:
        n, d = self._slots, len(self.axes)
        return {
            "mask": MultiBinary(n),
            "weight": Box(0, 1, (n,), np.float32),
            "heard": Box(np.tile(self._low, (n, 1)), np.tile(self._high, (n, 1))),
            "known": MultiBinary((n, d)),
            "pressure": Box(-1, 1, (3,), np.float32),
            "active": MultiBinary(1),
        }

    def _words(self) -> dict[str, Space[Any]]:
        return {
            "sender": Box(-1, self.size - 1, (self._slots,), np.int64),
            "messages": Tuple([Utterance(self._utterance.max_length) for _ in range(self._slots)]),
            "situation": Utterance(SITUATION),
        }

    def _actions(self) -> Space[Any]:
        choices = len(self.choices)
        if not self.text:
            more = 1 + (choices if choices > 1 else 0)
            return Box(np.r_[self._low, -np.ones(more, np.float32)], np.r_[self._high, np.ones(more, np.float32)])
        expression = Box(self._low, self._high)
        return Dict(text=self._utterance, expression=expression, says=Discrete(2), choice=Discrete(max(1, choices)))

    def show(
        self, seen: Observation, active: NDArray[np.bool_], streams: Streams, mask: NDArray[np.int8] | None = None
    ) -> tuple[list[Any], list[dict[str, Any]]]:
        """Observations and infos of the n agents of `seen`. active: (n,), whose turn it is; others' messages wait. mask: (n, C),
        for the infos: which choices each may take."""
        n, inbox = len(seen.agents), seen.inbox
        waiting = np.diff(inbox.indptr)
        count = np.where(active, np.minimum(waiting, self._slots), 0)
        who = np.repeat(np.arange(n), count)
        slot = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
        at = (inbox.indptr[1:] - count)[who] + slot
        if np.any(active & (waiting > self._slots)):
            at = self._chosen(seen, streams)[at]
            at = at[np.lexsort((at, who))]
        unseen = zip(active.tolist(), (waiting - count).tolist(), strict=True)
        infos: list[dict[str, Any]] = [{"active": turn, "unseen": left} for turn, left in unseen]
        if mask is not None:
            for info, may in zip(infos, mask, strict=True):
                info["choice_mask"] = may
        numbers = self._fill(seen, (who, slot), at, active)
        if not self.text:
            return list(np.concatenate([part.reshape(n, -1) for part in numbers], axis=1, dtype=np.float32)), infos
        sender = np.full((n, self._slots), -1)
        sender[who, slot] = inbox.messages.sender[inbox.row[at]]
        columns = (*numbers, sender, self._read(seen, who, inbox.row[at]), self._situations(seen))
        names = (*self._numbers(), *self._words())
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)], infos

    def _chosen(self, seen: Observation, streams: Streams) -> NDArray[np.int64]:
        """Entries of the inbox, each reader's in the order in which they leave a full view, the newest step last.

        Within a step by lot, the same for all readers: by their numbers, messages of agents with low ids would never be shown.
        """
        inbox = seen.inbox
        row = inbox.row
        reader = inbox.reader
        lot = streams.uniform("slots", seen.step, inbox.messages.sender[row])
        return np.lexsort((lot, inbox.messages.step[row], reader))

    def _fill(
        self, seen: Observation, place: tuple[NDArray[np.int64], ...], at: NDArray[np.int64], active: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], ...]:
        """The arrays named in `_numbers`, in that order. place: agent and slot of the entries `at` of the inbox."""
        n, inbox = len(seen.agents), seen.inbox
        given = inbox.messages.expression[inbox.row[at]]
        mask = np.zeros((n, self._slots), dtype=np.int8)
        weight = np.zeros((n, self._slots), dtype=np.float32)
        heard = np.zeros((n, self._slots, len(self.axes)), dtype=np.float32)
        known = np.zeros(heard.shape, dtype=np.int8)
        mask[place] = 1
        weight[place] = np.minimum(inbox.weight[at] / self._heaviest, 1)
        heard[place] = np.clip(np.nan_to_num(given), self._low, self._high)
        known[place] = ~np.isnan(given)
        push = np.zeros((n, 3)) if seen.pressure is None else seen.pressure.push
        pressure = np.clip(push, -1, 1).astype(np.float32)
        return mask, weight, heard, known, pressure, active[:, None].astype(np.int8)

    def _read(self, seen: Observation, who: NDArray[np.int64], row: NDArray[np.int64]) -> list[tuple[str, ...]]:
        said = seen.inbox.messages
        words = [self._utterance.fit(said.text.get(i, "")) for i in said.id.tolist()]
        read: list[list[str]] = [[] for _ in seen.agents]
        for k, r in zip(who.tolist(), row.tolist(), strict=True):
            read[k].append(words[r])
        return [(*texts, *[""] * (self._slots - len(texts))) for texts in read]

    def _situations(self, seen: Observation) -> list[str]:
        """What a speaking agent is told, what its last act brought about, and the news of pressure, a line each."""
        room = Utterance(SITUATION)
        told = [seen.describe(agent) for agent in seen.agents.tolist()]
        if seen.news:
            news = ("\n" + seen.news[agent] if agent in seen.news else "" for agent in seen.agents.tolist())
            told = [text + new for text, new in zip(told, news, strict=True)]
        if seen.pressure is None:
            return [room.fit(text) for text in told]
        return [room.fit("\n".join((text, *seen.pressure.news(k)))) for k, text in enumerate(told)]

    def read(self, agents: NDArray[np.int64], actions: Sequence[Any] | NDArray[Any]) -> Act:
        """The actions of `agents` (n,) as one act. ValueError names an agent whose action is out of space."""
        if not len(agents):
            return Act.idle(agents, len(self.axes))
        try:
            return self._act(agents, actions)
        except BAD_ACTION as error:
            # All are checked at once, which is many times faster; one by one only to say whose is wrong.
            pairs = zip(agents.tolist(), actions, strict=True)
            agent, action = next((agent, action) for agent, action in pairs if not self._fits(action))
            raise ValueError(f"the action of agent {agent} is not in {self.action_space}: {action!r:.200}") from error

    def _fits(self, action: object) -> bool:
        try:
            self._act(np.zeros(1, dtype=np.int64), [action])
        except BAD_ACTION:
            return False
        return True

    def _act(self, agents: NDArray[np.int64], actions: Sequence[Any] | NDArray[Any]) -> Act:
        n, axes, choices = len(agents), len(self.axes), max(1, len(self.choices))
        text: dict[int, str] = {}
        if self.text:
            text = {agent: action["text"] for agent, action in zip(agents.tolist(), actions, strict=True)}
            expression = np.array([action["expression"] for action in actions], dtype=np.float32)
            said = np.array([action["says"] for action in actions]).astype(np.int64, casting="safe")
            choice = np.array([action["choice"] for action in actions]).astype(np.int64, casting="safe")
        else:
            table = np.array(actions, dtype=np.float32)
            if table.shape[1:] != self.action_space.shape or not np.all(np.abs(table) <= 1):
                raise ValueError("not rows of the table of actions")
            expression, said = table[:, :axes], (table[:, axes] > 0).astype(np.int64)
            choice = table[:, axes + 1 :].argmax(axis=1) if choices > 1 else np.zeros(n, dtype=np.int64)
        inside = expression.shape == (n, axes) and np.all((expression >= self._low) & (expression <= self._high))
        if not (inside and np.all((said | 1) == 1) and np.all((choice >= 0) & (choice < choices))):
            raise ValueError("out of bounds")
        if not all(words in self._utterance for words in text.values()):
            raise ValueError("not an utterance")
        return Act(agents, said == 1, expression, choice, text)


def bounds(axes: Axes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Affect and stances are in [−1, 1], a strain in [0, 1]. Both (D,)."""
    low = np.repeat(np.array([-1, 0, -1], dtype=np.float32), [len(AFFECT), len(axes.strains), len(axes.stances)])
    return low, np.ones(len(axes), dtype=np.float32)


def _flat(parts: Mapping[str, Space[Any]]) -> Box:
    """Boxes and binaries in a row, in their order, as one float32 box."""
    boxes = [part if isinstance(part, Box) else Box(0, 1, part.shape) for part in parts.values()]
    return Box(np.concatenate([b.low.reshape(-1) for b in boxes]), np.concatenate([b.high.reshape(-1) for b in boxes]))
