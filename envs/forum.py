"""A forum: everybody posts on a shared board with threads and reads a bounded selection of it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Exposures, row_pointer
from contagium.envs.network import Network
from contagium.envs.world import World

Share = Annotated[float, Field(ge=0, le=1)]


class Forum(World):
    """Before each step an agent is shown at most `reads` recent posts, oldest first.

    Of these, at most `board_reads` come from the whole board, the others from those the network lets it hear; each
    selection is a random one of the posts of the last `window` steps, and never the agent's own. With probability
    `reply_share` a post answers one of the posts that its author read, each as likely (the newest would be that of the
    agent with the highest id), and joins that thread; otherwise it begins one.
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

    def describe(self, agent: int) -> str:
        return f"You are one of {self.network.size} members of an online forum and post one short message at a time."

    def answer(self, sender: NDArray[np.int64]) -> NDArray[np.int64]:
        replies = self.streams.uniform("reply", self.step, sender) < self._reply_share
        return np.where(replies, self.one_heard(sender, self.streams.uniform("reply to", self.step, sender)), -1)

    def route(self) -> Exposures:
        from_board = self._from_board()
        from_neighbours = self._from_neighbours()
        reader = np.concatenate([from_neighbours[0], from_board[0]])
        post = np.concatenate([from_neighbours[1], from_board[1]])
        weight = np.concatenate([from_neighbours[2], np.ones(len(from_board[0]))])
        # Sorted by reader, then post. A post that came both ways is read once, with the weight of the tie.
        _, first = np.unique(reader * max(len(self.board), 1) + post, return_index=True)
        reader, post = reader[first], post[first]
        return Exposures(self.step, reader, self.board.id[post], self.board.sender[post], weight[first])

    def _from_neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Reader, post (row of the board), weight: a random selection of recent posts along edges."""
        net, board = self.network, self.board
        row = np.full((self._memory, net.size), -1)
        row[self.step - board.step, board.sender] = np.arange(len(board))
        along = row[:, net.source].T
        edge, age = np.nonzero(along >= 0)
        # One draw for every edge and age, post or no post: a post withheld must not change what others read.
        draw = self.streams.generator("read neighbours", self.step).integers(2**32, size=along.shape)
        kept = _first_of_each(net.target[edge], draw[edge, age], self._reads - self._board_reads, net.size)
        edge, age = edge[kept], age[kept]
        return net.target[edge], along[edge, age], net.weight[edge]

    def _from_board(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Reader and post (row of the board): a random selection of the whole board for every agent."""
        size, posts = self.network.size, len(self.board)
        if not posts or not self._board_reads:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        drawn = self.streams.generator("read board", self.step).integers(posts, size=(size, self._board_reads))
        reader = np.repeat(np.arange(size), self._board_reads)
        post = drawn.reshape(-1)
        foreign = self.board.sender[post] != reader
        return reader[foreign], post[foreign]


def _first_of_each(group: NDArray[np.int64], key: NDArray[np.int64], most: int, size: int) -> NDArray[np.int64]:
    """Row numbers of the `most` smallest keys (below 2³²) in every group; `group` ascends, below `size`."""
    # Sorting one integer made of both is many times faster than sorting by two columns.
    order = np.argsort((group << 32) | key, kind="stable")
    rank = np.arange(len(group)) - row_pointer(group, size)[group]
    return order[rank < most]
