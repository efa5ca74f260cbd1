"""A library: nobody talks; documents are written, stay, and are read, also long after."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Exposures, Mail, Messages
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Selection = Literal["random", "recent", "popular", "tied"]
WRITE = 0


class Library(World):
    """Documents stay for `keeps` steps. Before each step an agent is shown at most `reads` of them, never its own.

    Each is drawn from all that are there, so the same one may be shown again, but not twice at once. by: "random", each as
    likely; "recent", half as likely for each `half_life` steps of age; "popular", as likely as 1 and the documents there that
    answer it (Price 1976); "tied", each as likely of those written by whom the network lets the reader hear.

    Everybody drafts a document in each step and then chooses whether it is put on the shelf (`write`) or not (`only read`); no
    valid choice does not. With probability `cites` a document answers one that its author read, each as likely. index: agents who
    write whatever they choose; leave: the step from which on they are gone and only what they wrote is left, null: never.

    Outcomes: `wrote`, for each who had a turn. Reward: none. Terminated: never.
    """

    choices = ("write", "only read")

    def __init__(
        self,
        network: Network,
        axes: Axes,
        reads: Annotated[int, Field(ge=1)] = 3,
        keeps: Annotated[int, Field(ge=1)] = 12,
        by: Selection = "random",
        half_life: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0,
        cites: Annotated[float, Field(ge=0, le=1)] = 0.5,
        leave: Annotated[int, Field(ge=1)] | None = None,
        index: tuple[int, ...] = (),
    ) -> None:
        super().__init__(network, axes, memory=keeps)
        if any(not 0 <= agent < network.size for agent in index):
            raise ValueError(f"index must be ids below {network.size}, got {index}")
        self.heeds_ties = by == "tied"
        self._reads, self._by, self._half_life, self._cites, self._leave = reads, by, half_life, cites, leave
        self._index = np.zeros(network.size, dtype=bool)
        self._index[list(index)] = True

    def start(self) -> None:
        # A schedule may ask for a step reader by reader.
        self._draw = lru_cache(2)(lambda step: self.streams.generator("shown", step).random((self.network.size, self._reads)))

    def active(self, step: int) -> Ints:
        return self._everyone if self._leave is None or step < self._leave else np.flatnonzero(~self._index)

    def describe(self, agent: int) -> str:
        return (
            f"You are one of {self.network.size} people who use a library. Nobody talks there. In each step you are shown up to "
            f"{self._reads} documents that others left, you draft one of your own, and you choose whether to put it on the "
            "shelf, where it can be read long after, or to keep it to yourself."
        )

    def said(self, step: int, act: Act, mail: Mail) -> Messages:
        return super().said(step, replace(act, says=self._writes(act)), mail)

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        cites = self.streams.uniform("cites", step, sender) < self._cites
        return np.where(cites, mail.one(sender, self.streams.uniform("cited", step, sender)), -1)

    def consequence(self, act: Act) -> Consequence:
        wrote = act.agents[act.present], self._writes(act)[act.present].astype(np.float64)
        return replace(super().consequence(act), outcomes={"wrote": wrote})

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        there = np.flatnonzero((board.step > step - self.memory) & (board.step <= step))
        if self._leave is not None and step + 1 >= self._leave:
            readers = readers[~self._index[readers]]
        draw = self._draw(step)[readers]
        if self._by == "tied":
            row, weight = self._of_neighbours(step, board.sender[there], readers, draw)
        else:
            row, weight = self._of_all(step, board, there, draw), np.ones(draw.shape)
        order = np.argsort(row, axis=1, kind="stable")
        row, weight = np.take_along_axis(row, order, 1), np.take_along_axis(weight, order, 1)
        shown = row >= 0
        shown[:, 1:] &= row[:, 1:] != row[:, :-1]
        reader, row, weight = np.broadcast_to(readers[:, None], row.shape)[shown], there[row[shown]], weight[shown]
        other = board.sender[row] != reader
        row = row[other]
        return Exposures(step, reader[other], board.id[row], board.sender[row], weight[other])

    def _writes(self, act: Act) -> NDArray[np.bool_]:
        """Whose draft is put on the shelf, (n,)."""
        return act.says & ((act.choice == WRITE) | self._index[act.agents])

    def _of_all(self, step: int, board: Messages, there: Ints, draw: Floats) -> Ints:
        """For each of `draw` (n, k) in [0, 1), the place in `there`, rows of the board, of a document; −1 where there is none."""
        count = len(there)
        if not count:
            return np.full(draw.shape, -1)
        if self._by == "recent":
            steps, first, each = np.unique(board.step[there], return_index=True, return_counts=True)
            upto = np.cumsum(each * np.exp2((steps - step) / self._half_life))
            block = np.minimum(np.searchsorted(upto, draw * upto[-1], side="right"), len(steps) - 1)
            within = (draw * upto[-1] - np.r_[0, upto][block]) / np.diff(upto, prepend=0)[block]
            return first[block] + np.clip((within * each[block]).astype(np.int64), 0, each[block] - 1)
        if self._by == "random":
            return (draw * count).astype(np.int64)
        # Each document stands once for itself and once for each that answers it.
        ids, answers = board.id[there], board.reply_to[there]
        at = np.minimum(np.searchsorted(ids, answers), count - 1)
        stands = np.concatenate([np.arange(count), at[ids[at] == answers]])
        found: Ints = stands[(draw * len(stands)).astype(np.int64)]
        return found

    def _of_neighbours(self, step: int, author: Ints, readers: Ints, draw: Floats) -> tuple[Ints, Floats]:
        """For each of `draw` (n, k), the place in `author` (m,) of a document of whom the reader hears, −1: none; and its tie."""
        net, tied = self.network, self.tied(step)
        order = np.argsort(author, kind="stable")
        wrote = np.bincount(author, minlength=net.size)
        shelf = np.cumsum(wrote) - wrote
        along = wrote[net.source] if tied is None else wrote[net.source] * tied
        upto = np.concatenate([[0], np.cumsum(along)])
        low, high = upto[net.indptr[readers]], upto[net.indptr[readers + 1]]
        which = low[:, None] + (draw * (high - low)[:, None]).astype(np.int64)
        none = np.broadcast_to((high == low)[:, None], which.shape)
        edge = np.where(none, 0, np.searchsorted(upto, which, side="right") - 1)
        if not upto[-1]:
            return np.full(which.shape, -1), np.ones(which.shape)
        row = order[np.where(none, 0, shelf[net.source[edge]] + which - upto[edge])]
        return np.where(none, -1, row), net.weight[edge]
