"""A network in which agents choose whom to follow."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Exposures, Mail, Messages, row_pointer
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]
KEEP, FOLLOW, UNFOLLOW = range(3)


class Follow(World):
    """Everybody posts, reads what those it follows posted in the last step and up to `board_reads` other posts, drawn from the
    whole board, and may change whom it follows.

    At the start agents follow those the network lets them hear. In each step one of the posts before an agent is drawn, each as
    likely: it may unfollow the author if it follows it, else follow it, up to `most` beside those it could hear at first;
    ties of the network that were given up can be taken up again, with their weight; others have weight 1. Ties that an
    intervention cuts or that do not carry in a step are followed in vain. A post answers one of those its author read, each as
    likely. No rewards, no end. Outcomes: `followed` and `unfollowed` (0 or 1, of those who could), `following` (how many are
    followed). Sources, for networks that follow the states of those in them: Gross, D'Lima & Blasius 2006; Holme & Newman 2006.
    """

    choices = ("keep", "follow", "unfollow")

    def __init__(
        self,
        network: Network,
        axes: Axes,
        board_reads: Annotated[int, Field(ge=0)] = 1,
        most: Annotated[int, Field(ge=0)] = 8,
    ) -> None:
        super().__init__(network, axes)
        for name, value in (("board_reads", board_reads), ("most", most)):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        self._board_reads, self._most = board_reads, most
        self._key = network.target * network.size + network.source

    def start(self) -> None:
        """kept: (E,) which ties of the network are followed. new: (N, most) whom else each agent follows, −1 for nobody.

        following: (N,) how many each agent follows. focal: (N,) the author of the post that it may act upon, −1 for none.
        """
        size = self.network.size
        self.kept = np.ones(len(self.network.source), dtype=bool)
        self.new, self._added = np.full((size, self._most), -1), np.zeros(size, dtype=np.int64)
        self.following = self.network.in_degree.copy()
        self.focal = self._edge = np.full(size, -1)
        self._may = np.tile([True, False, False], (size, 1))

    def followings(self) -> Network:
        """Who follows whom now; weights as at the start, 1 for new ones."""
        net, (agent, slot) = self.network, np.nonzero(self.new >= 0)
        source = np.concatenate([net.source[self.kept], self.new[agent, slot]])
        target = np.concatenate([net.target[self.kept], agent])
        return Network.from_edges(net.size, source, target, np.concatenate([net.weight[self.kept], np.ones(len(agent))]))

    def allowed(self, step: int, agents: Ints) -> NDArray[np.bool_]:
        return self._may[agents]

    def describe(self, agent: int) -> str:
        told = f"You are one of {self.network.size} members of a network, where you read those you follow and a few others."
        if self.focal[agent] < 0:
            return told
        now = "You follow" if self._may[agent, UNFOLLOW] else "You do not follow"
        # By name, since a reader has its posts in an order of its own, and perhaps not all of them.
        return f"{told} {now} {self.called(int(self.focal[agent]))}, who wrote one of the posts you have just read."

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        return mail.one(sender, self.streams.uniform("reply to", step, sender))

    def consequence(self, act: Act) -> Consequence:
        # A turn without a result neither did nor left undone.
        size, agents, chosen = self.network.size, act.agents[act.present], act.choice[act.present]
        could = self.allowed(self.step, agents)
        follows, unfollows = (could[:, choice] & (chosen == choice) for choice in (FOLLOW, UNFOLLOW))
        self._follow(agents[follows])
        self._unfollow(agents[unfollows])
        self._look(self.step + 1)
        outcomes = {
            "followed": (agents[could[:, FOLLOW]], follows[could[:, FOLLOW]].astype(float)),
            "unfollowed": (agents[could[:, UNFOLLOW]], unfollows[could[:, UNFOLLOW]].astype(float)),
            "following": (self._everyone, self.following.astype(float)),
        }
        return Consequence(np.zeros(size), np.zeros(size, dtype=bool), outcomes=outcomes)

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        net, now, tied = self.network, np.flatnonzero(board.step == step), self.tied(step)
        post = np.full(net.size, -1)
        post[board.sender[now]] = now
        edge = np.flatnonzero(self.kept if tied is None else self.kept & tied)
        if len(readers) < net.size:
            edge = edge[np.isin(net.target[edge], readers)]
        row = post[net.source[edge]]
        edge, row = edge[row >= 0], row[row >= 0]
        heard = [(net.target[edge], row, net.weight[edge])]
        more = readers[self._added[readers] > 0]
        for whose, who in ((more, self.new[more]), (readers, self._members(step)[readers])):
            row = np.where(who >= 0, post[who], -1)
            at, column = np.nonzero(row >= 0)
            heard.append((whose[at], row[at, column], np.ones(len(at))))
        reader, row, weight = (np.concatenate(columns) for columns in zip(*heard, strict=True))
        # A post that came in several ways is read once, with the weight of the tie, which is the first.
        _, first = np.unique(reader * max(1, len(board)) + row, return_index=True)
        row = row[first]
        return Exposures(step, reader[first], board.id[row], board.sender[row], weight[first])

    def _members(self, step: int) -> Ints:
        """Whose posts each agent reads from the whole board, (N, board_reads)."""
        size = self.network.size
        member = self.streams.generator("read board", step).integers(max(1, size - 1), size=(size, self._board_reads))
        member += member >= self._everyone[:, None]
        return np.where(member < size, member, -1)

    def _look(self, step: int) -> None:
        """Draw the post that each agent may act upon at `step`, from what was just heard."""
        heard, size = self.mail.heard, self.network.size
        start = row_pointer(heard.agent, size)
        count = np.diff(start)
        nth = (self.streams.uniform("which", step, self._everyone) * count).astype(np.int64)
        self.focal = np.full(size, -1)
        some = np.flatnonzero(count)
        self.focal[some] = heard.source[start[some] + nth[some]]
        self._edge = self._tie_to(self.focal)
        followed = (self._edge >= 0) & (self.kept[self._edge] if len(self.kept) else False)
        more = np.flatnonzero((self._added > 0) & (self._edge < 0) & (self.focal >= 0))
        followed[more] = (self.new[more] == self.focal[more, None]).any(axis=1)
        room = (self._edge >= 0) | (self._added < self._most)
        read = self.focal >= 0
        self._may[:, FOLLOW], self._may[:, UNFOLLOW] = read & ~followed & room, followed

    def _tie_to(self, other: Ints) -> Ints:
        """The tie of the network along which each agent can hear the `other` (N,), −1 for none."""
        if not len(self._key):
            return np.full(len(other), -1)
        wanted = self._everyone * self.network.size + other
        at = np.minimum(np.searchsorted(self._key, wanted), len(self._key) - 1)
        return np.where((self._key[at] == wanted) & (other >= 0), at, -1)

    def _follow(self, agents: Ints) -> None:
        edge = self._edge[agents]
        self.kept[edge[edge >= 0]] = True
        new = agents[edge < 0]
        if len(new):
            self.new[new, np.argmax(self.new[new] < 0, axis=1)] = self.focal[new]
        self._added[new] += 1
        self.following[agents] += 1

    def _unfollow(self, agents: Ints) -> None:
        edge = self._edge[agents]
        self.kept[edge[edge >= 0]] = False
        new = agents[edge < 0]
        self.new[new] = np.where(self.new[new] == self.focal[new, None], -1, self.new[new])
        self._added[new] -= 1
        self.following[agents] -= 1
