"""A forum: everybody posts on a shared board with threads and reads a bounded selection of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.compiled import compiled
from contagium.envs.message import Axes, Exposures, Mail, Messages
from contagium.envs.network import Network
from contagium.envs.world import World

Share = Annotated[float, Field(ge=0, le=1)]
Ints = NDArray[np.int64]
KEPT_DRAWS = 2**22
"""Draws kept so that readers can be asked one by one without drawing a step anew for each (8 bytes each)."""

EVERY_TIE = np.empty(0, dtype=np.bool_)

INTERPRETED = 256
"""Readers up to whom reading is not worth the second that the compiler takes to start."""


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
        row = np.full((self.memory, self.network.size), -1, dtype=np.int32)
        recent = np.flatnonzero((board.step > step - self.memory) & (board.step <= step))
        row[step - board.step[recent], board.sender[recent]] = recent
        net, most = self.network, len(readers) * self._reads
        draws = self._draw_of_edges(step), self._draw_of_members(step)
        tied = self.tied(step)
        tied = EVERY_TIE if tied is None else tied
        reader, post, weight = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most)
        select = compiled(_select) if len(readers) > INTERPRETED else _select
        count = select(
            readers, net.indptr, net.source, net.weight, tied, *draws, row, self._reads - self._board_reads, reader, post, weight
        )
        reader, post, weight = reader[:count], post[:count], weight[:count]
        # Without gaps, as where everybody posts, a number is a sum, which is many times faster than looking it up.
        gapless = len(board) and board.id[-1] - board.id[0] == len(board) - 1
        message = post + board.id[0] if gapless else board.id[post]
        whole = gapless and len(board) == net.size and board.sender[0] == 0
        return Exposures(step, reader, message, post if whole else board.sender[post], weight)

    def _draw_edges(self, step: int) -> NDArray[np.uint32]:
        """One draw for every edge and age (E, window), post or no post: a post withheld must not change what others read."""
        shape = len(self.network.source), self.memory
        return self.streams.generator("read neighbours", step).integers(2**32, size=shape, dtype=np.uint32)

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


def _select(
    readers: Ints,
    indptr: Ints,
    source: NDArray[np.int32],
    weight: NDArray[np.float64],
    tied: NDArray[np.bool_],
    draw: NDArray[np.uint32],
    members: Ints,
    row: NDArray[np.int32],
    most: int,
    reader: Ints,
    post: Ints,
    tie: NDArray[np.float64],
) -> int:
    """Who reads which post, written to the first rows of `reader`, `post`, `tie`, sorted by reader and post; how many there are.

    readers: (n,) agents. indptr, source, weight: whom each agent hears. tied: (E,) which of these ties carry now, (0,) for all.
    draw: (E, ages); the `most` smallest along a reader's edges are read. members: (N, b) age × N + member, read besides, with
    weight 1. row: (ages, N) row of the board, −1 where there is no post. A post that came both ways is read once, with the weight
    of the tie.
    """
    ages, flat = len(row), row.reshape(-1)
    key = np.empty(most + 1, dtype=np.uint32)
    end = 0
    for k in range(len(readers)):
        agent, begin = readers[k], end
        for edge in range(indptr[agent], indptr[agent + 1]):
            if len(tied) and not tied[edge]:
                continue
            for age in range(ages):
                at = row[age, source[edge]]
                if at < 0 or most == 0 or (end - begin == most and draw[edge, age] >= key[most - 1]):
                    continue
                # The rows of this reader are kept sorted by their draws; a row too many falls off the end.
                i = min(end - begin, most - 1)
                end = begin + i + 1
                while i > 0 and key[i - 1] > draw[edge, age]:
                    key[i], post[begin + i], tie[begin + i] = key[i - 1], post[begin + i - 1], tie[begin + i - 1]
                    i -= 1
                key[i], post[begin + i], tie[begin + i] = draw[edge, age], at, weight[edge]
        for column in range(members.shape[1]):
            at = flat[members[agent, column]]
            new = at >= 0
            for i in range(begin, end):
                new = new and post[i] != at
            if new:
                post[end], tie[end] = at, 1.0
                end += 1
        for i in range(begin, end):
            reader[i] = agent
            at, of, j = post[i], tie[i], i
            while j > begin and post[j - 1] > at:
                post[j], tie[j] = post[j - 1], tie[j - 1]
                j -= 1
            post[j], tie[j] = at, of
    return end
