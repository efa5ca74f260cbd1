"""What agents say and who hears it, as tables; and the axes on which what is said is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contagium.envs.compiled import compiled

INTERPRETED = 1_000
"""Messages read up to which the compiler is not worth the half second that it takes to start."""

AFFECT = ("valence", "arousal", "dominance")
"""The affect axes, each in [-1, 1]. Source: Mehrabian & Russell 1974 (pleasure, arousal, dominance)."""

SHOWN = 0.5
"""From here on a message's strain axis counts as showing the strain."""


def row_pointer(group: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """CSR row pointer (size + 1,) of rows sorted by `group` (ids below size): rows p[g]:p[g + 1] are those of g."""
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=size))])


def spans(start: NDArray[np.int64], count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows start[k] … start[k] + count[k] − 1 for each of n spans, one span after the other.

    Their row pointer (n + 1,), with which span k is rows pointer[k]:pointer[k + 1], and the rows, shape (sum of count,).
    """
    pointer = np.concatenate([[0], np.cumsum(count)])
    return pointer, np.repeat(start - pointer[:-1], count) + np.arange(pointer[-1])


class Channel(IntEnum):
    """How a message travels: to one agent, to a group, or to a board everybody may read."""

    DIRECT = 0
    GROUP = 1
    BOARD = 2


@dataclass(frozen=True)
class Axes:
    """The named columns of an expression row: three of affect, one per strain, and one per stance, an opinion in [-1, 1]."""

    strains: tuple[str, ...] = ()
    stances: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"axis names must differ, got {self.names}")

    @property
    def names(self) -> tuple[str, ...]:
        return AFFECT + self.strains + self.stances

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Column of the axis `name`; ValueError names the axes there are."""
        if name not in self.names:
            raise ValueError(f"no axis {name!r}: the axes are {', '.join(self.names)}")
        return self.names.index(name)


COLUMNS = ("id", "sender", "step", "channel", "thread", "reply_to", "expression")
"""The columns of `Messages` that are arrays."""


@dataclass(frozen=True)
class Messages:
    """A table of n messages.

    id: (n,) int64, ascending and unique in a run: step × number of agents + sender, whoever else spoke, so with gaps. sender:
    (n,) agent ids. step: (n,). channel: (n,) Channel. thread: (n,) id of the message that began the thread. reply_to: (n,)
    message id or −1. expression: (n, D) float32 on the run's axes, NaN where not known (a text nobody has read yet). text: by
    message id; a message of a mechanistic agent may have none.
    """

    id: NDArray[np.int64]
    sender: NDArray[np.int64]
    step: NDArray[np.int64]
    channel: NDArray[np.int8]
    thread: NDArray[np.int64]
    reply_to: NDArray[np.int64]
    expression: NDArray[np.float32]
    text: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def empty(cls, axes: int) -> Messages:
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, none.astype(np.int8), none, none, np.empty((0, axes), dtype=np.float32))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Messages:
        """The messages at these row numbers or where the mask holds, in that order."""
        text = {int(i): self.text[int(i)] for i in self.id[rows] if int(i) in self.text} if self.text else {}
        return Messages(**{name: getattr(self, name)[rows] for name in COLUMNS}, text=text)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of the messages `ids`, all of which must be here."""
        if not len(self):
            return np.zeros(len(ids), dtype=np.int64)
        first, span = self.id[0], int(self.id[-1] - self.id[0]) + 1
        if span == len(self):
            return ids - first  # No gaps: everybody spoke.
        if span > 8 * len(ids):
            return np.searchsorted(self.id, ids)
        # For many ids a table is several times faster than a search.
        table = np.zeros(span, dtype=np.int64)
        table[self.id - first] = np.arange(len(self))
        return table[ids - first]

    def concat(self, other: Messages) -> Messages:
        """These messages, then the `other` ones."""
        if not len(self):
            return other
        return Messages.join((self, other))

    @classmethod
    def join(cls, parts: Sequence[Messages]) -> Messages:
        """The messages of all parts, at least one, in that order."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        return cls(**columns, text={i: words for part in parts for i, words in part.text.items()})


@dataclass(frozen=True)
class Exposures:
    """Who received what: agent[k] received message[k] of sender source[k] at `step`, with weight[k]. All shape (m,).

    Sorted by agent, then by message, oldest first, which is the reading order. An exposure is not a transmission: it
    may cause one.
    """

    step: int
    agent: NDArray[np.int64]
    message: NDArray[np.int64]
    source: NDArray[np.int64]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.agent)

    @classmethod
    def none(cls, step: int) -> Exposures:
        empty = np.empty(0, dtype=np.int64)
        return cls(step, empty, empty, empty, np.empty(0))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Exposures:
        """The exposures at these row numbers or where the mask holds."""
        return Exposures(self.step, self.agent[rows], self.message[rows], self.source[rows], self.weight[rows])

    def concat(self, other: Exposures) -> Exposures:
        """These and the `other` ones, sorted by agent and then by message, what is in both once; the step is the other's."""
        if not len(self):
            return other
        agent, message = np.r_[self.agent, other.agent], np.r_[self.message, other.message]
        order = np.lexsort((message, agent))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(agent[order]) != 0) | (np.diff(message[order]) != 0)
        order = order[new]
        source, weight = np.r_[self.source, other.source], np.r_[self.weight, other.weight]
        return Exposures(other.step, agent[order], message[order], source[order], weight[order])


@dataclass(frozen=True)
class Inbox:
    """What a group reads now: the messages of each agent as CSR.

    Messages of the k-th observed agent are rows indptr[k]:indptr[k + 1] of `row`, which points into `messages`;
    `weight` stands beside `row`. A message heard by many is held once.
    """

    messages: Messages
    indptr: NDArray[np.int64]
    row: NDArray[np.int64]
    weight: NDArray[np.float64]

    @property
    def reader(self) -> NDArray[np.int64]:
        """For each message in the inbox, which observed agent (k) reads it, beside `row`: (m,)."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def mean(self, axes: int) -> NDArray[np.float64]:
        """Weighted mean that each observed agent reads on the first `axes` columns of expressions, of what is known; NaN where
        nothing is. Shape (n, axes)."""
        if len(self.row) <= INTERPRETED:
            return self._mean_of_few(axes)
        found = np.empty((len(self.indptr) - 1, axes))
        compiled(_average)(self.indptr, self.row, self.weight, self.messages.expression, found)
        return found

    def _mean_of_few(self, axes: int) -> NDArray[np.float64]:
        """The same to the bit: sums are taken in the same order."""
        shape = len(self.indptr) - 1, axes
        value = self.messages.expression[self.row, :axes].astype(np.float64)
        known = value == value  # not NaN
        weight = self.weight[:, None] * known
        cell = (self.reader[:, None] * axes + np.arange(axes)).reshape(-1)
        weights, total = (
            np.bincount(cell, part.reshape(-1), axes * shape[0]).reshape(shape)
            for part in (weight, weight * np.where(known, value, 0))
        )
        return np.divide(total, weights, out=np.full(shape, np.nan), where=weights > 0)

    def of(self, k: int) -> Messages:
        """The messages of the k-th observed agent, in reading order."""
        return self.messages.take(self.row[self.indptr[k] : self.indptr[k + 1]])


def _average(
    indptr: NDArray[np.int64],
    row: NDArray[np.int64],
    weight: NDArray[np.float64],
    expression: NDArray[np.float32],
    found: NDArray[np.float64],
) -> None:
    """Write to `found` (n, k) the weighted means of expression[row] in each of n spans of rows, NaN left out."""
    for reader in range(len(indptr) - 1):
        for column in range(found.shape[1]):
            total = weights = 0.0
            for place in range(indptr[reader], indptr[reader + 1]):
                value = np.float64(expression[row[place], column])
                if not np.isnan(value):
                    total += weight[place] * value
                    weights += weight[place]
            found[reader, column] = total / weights if weights > 0 else np.nan


@dataclass(frozen=True)
class Mail:
    """What lies before each of `size` agents: exposures not yet read, to messages of `board`."""

    board: Messages
    heard: Exposures
    size: int

    @classmethod
    def none(cls, axes: int, size: int) -> Mail:
        return cls(Messages.empty(axes), Exposures.none(0), size)

    def newest(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Id of the newest message that each of `agents` (n,) has before it, −1 for none. Shape (n,)."""
        start, count = self._of(agents)
        return self._picked(start + count - 1, count)

    def one(self, agents: NDArray[np.int64], draw: NDArray[np.float64]) -> NDArray[np.int64]:
        """Id of one of the messages that each of `agents` (n,) has before it, as `draw` (n,) in [0, 1) picks it; −1 for none."""
        start, count = self._of(agents)
        return self._picked(start + (draw * count).astype(np.int64), count)

    def unread(self, turn: NDArray[np.bool_]) -> Exposures:
        """What waits for those who have no turn now; turn: (size,)."""
        if turn.all():
            return Exposures.none(self.heard.step)
        return self.heard.take(~turn[self.heard.agent])

    def inbox(self, agents: NDArray[np.int64]) -> Inbox:
        """What `agents` (n,) read now."""
        if len(agents) == self.size and np.all(agents[1:] > agents[:-1]):
            return Inbox(self.board, self._pointer, self.board.rows(self.heard.message), self.heard.weight)
        indptr, rows = spans(*self._of(agents))
        return Inbox(self.board, indptr, self.board.rows(self.heard.message[rows]), self.heard.weight[rows])

    @cached_property
    def _pointer(self) -> NDArray[np.int64]:
        return row_pointer(self.heard.agent, self.size)

    def _of(self, agents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the exposures of each of `agents` begin, and how many there are. Both (n,)."""
        if len(agents) == 1:  # For one agent a pointer over all of them does not pay.
            start, stop = (self.heard.agent.searchsorted(agents, side) for side in ("left", "right"))
        else:
            start, stop = self._pointer[agents], self._pointer[agents + 1]
        return start, stop - start

    def _picked(self, row: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
        picked = np.full(len(row), -1)
        some = count > 0
        picked[some] = self.heard.message[row[some]]
        return picked
