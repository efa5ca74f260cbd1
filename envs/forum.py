"""A forum: everybody posts on a shared board with threads and reads a bounded selection of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Exposures, Mail, Messages, row_pointer, spans
from contagium.envs.network import Network
from contagium.envs.world import World

Share = Annotated[float, Field(ge=0, le=1)]
Ints = NDArray[np.int64]
KEPT_DRAWS = 2**22
"""Draws kept so that readers can be asked one by one without drawing a step anew for each (8 bytes each)."""


class Forum(World):
    """Before each step an agent is shown at most `reads` recent posts, oldest first, and never its own.

    At most `board_reads` come from the whole board: so many times another member and one of the last `window` steps are drawn,
    each as likely, and what that member posted then, if anything, is read. The others come from those the network lets it hear: a
    random selection of their posts of the last `window` steps. No post withheld changes what else is read from the board.

    With probability `reply_share` a post answers one of the posts that its author read, each as likely (the newest would be
    that of the agent with the highest id), and joins that thread; otherwise it begins one.
    """

    def __init__(
        self,
        network: Network,
        axes: Axes,
        reads: Annotated[int, Field(ge=1)] = 4,
        board_reads: Annotated[int, Field(ge=0)] = 1,
        window: Annotated[int, Field(ge=1)] = 1,
        reply_share: Share = 0.5,
    ) -> None:
        super().__init__(network, axes, memory=window)
        if board_reads > reads:
            raise ValueError(f"board_reads must be at most reads ({reads}), got {board_reads}")
        self._reads, self._board_reads, self._reply_share = reads, board_reads, reply_share

    def start(self) -> None:
        size = self.network.size
        edges, members = len(self.network.source) * self.memory, size * self._board_reads
        self._draw_of_edges = lru_cache(max(1, KEPT_DRAWS // max(1, edges)))(self._draw_edges)
        self._draw_of_members = lru_cache(max(1, KEPT_DRAWS // max(1, members)))(self._draw_members)
        self._draw_of_replies = lru_cache(max(1, KEPT_DRAWS // (2 * size)))(self._draw_replies)

    def describe(self, agent: int) -> str:
        return f"You are one of {self.network.size} members of an online forum and post one short message at a time."

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        whether, which = self._draw_of_replies(step)
        return np.where(whether[sender] < self._reply_share, mail.one(sender, which[sender]), -1)

    def sources(self, step: int, reader: int) -> Ints:
        return np.union1d(self.network.neighbours(reader), self._draw_of_members(step)[reader] % self.network.size)

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        row = np.full((self.memory, self.network.size), -1)
        recent = np.flatnonzero((board.step > step - self.memory) & (board.step <= step))
        row[step - board.step[recent], board.sender[recent]] = recent
        parts = self._from_neighbours(step, row, readers), self._from_board(step, row, readers)
        k, post, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        # Sorted by reader, then post. A post that came both ways is read once, with the weight of the tie.
        _, first = np.unique(k * max(len(board), 1) + post, return_index=True)
        k, post = k[first], post[first]
        return Exposures(step, readers[k], board.id[post], board.sender[post], weight[first])

    def _from_neighbours(self, step: int, row: Ints, readers: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Place in `readers`, row of the board, weight: a random selection of the posts along edges. row: by age and member."""
        net, draw = self.network, self._draw_of_edges(step)
        reader, source, weight = net.target, net.source, net.weight
        if len(readers) < net.size:
            count = net.in_degree[readers]
            edges = spans(net.indptr[readers], count)[1]
            reader, source, weight, draw = np.repeat(np.arange(len(readers)), count), source[edges], weight[edges], draw[edges]
        along = row[:, source].T
        edge, age = np.nonzero(along >= 0)
        kept = _first_of_each(reader[edge], draw[edge, age], self._reads - self._board_reads, len(readers))
        edge, age = edge[kept], age[kept]
        return reader[edge], along[edge, age], weight[edge]

    def _from_board(self, step: int, row: Ints, readers: Ints) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Place in `readers`, row of the board, weight 1: what the members drawn for a reader posted. row: by age and member."""
        drawn = self._draw_of_members(step)
        post = row.reshape(-1)[drawn if len(readers) == self.network.size else drawn[readers]].reshape(-1)
        found = np.flatnonzero(post >= 0)
        return found // max(1, self._board_reads), post[found], np.ones(len(found))

    def _draw_edges(self, step: int) -> Ints:
        """One draw for every edge and age (E, window), post or no post: a post withheld must not change what others read."""
        return self.streams.generator("read neighbours", step).integers(2**32, size=(len(self.network.source), self.memory))

    def _draw_members(self, step: int) -> Ints:
        """The other members whom each agent reads and the age of the post, as age × N + member. Shape (N, board_reads)."""
        size = self.network.size
        shape = size, self._board_reads if size > 1 else 0
        rng = self.streams.generator("read board", step)
        member = rng.integers(max(1, size - 1), size=shape)
        member += member >= self._everyone[:, None]
        return member + size * rng.integers(min(self.memory, step + 1), size=shape)

    def _draw_replies(self, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each agent, whether it replies, and to which post that it read. Both (N,) in [0, 1)."""
        size = self.network.size
        return self.streams.generator("reply", step).random(size), self.streams.generator("reply to", step).random(size)


def _first_of_each(group: Ints, key: Ints, most: int, size: int) -> Ints:
    """Row numbers of the `most` smallest keys (below 2³²) in every group; `group` ascends, below `size`."""
    # Sorting one integer made of both is many times faster than sorting by two columns.
    order = np.argsort((group << 32) | key, kind="stable")
    rank = np.arange(len(group)) - row_pointer(group, size)[group]
    return order[rank < most]
