"""Three ways to speak, laid over each other: to one in private, to one's group, and on a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs import growth
from contagium.envs.message import Axes, Channel, Exposures, Mail, Messages, spans
from contagium.envs.network import Network
from contagium.envs.world import Act, World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Heard = tuple[Ints, Ints, Floats]
"""Who hears, which row of the board, and with what weight; all (m,)."""
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
WAYS = {Channel.DIRECT: "private", Channel.GROUP: "group", Channel.BOARD: "board"}
TOLD = {
    (Channel.DIRECT, False): "What you say now is private: one person you know will read it, and nobody else.",
    (
        Channel.DIRECT,
        True,
    ): "What you say now is a private answer to somebody who wrote to you alone, and nobody else will read it.",
    (Channel.GROUP, False): "What you say now goes to all of your group, and to nobody else.",
    (Channel.GROUP, True): "What you say now answers somebody of your group, and all of your own group will read it.",
    (Channel.BOARD, False): "What you say now stands on the public board, where anybody may read it.",
    (Channel.BOARD, True): "What you say now answers a post on the public board, where anybody may read it.",
}


@dataclass(frozen=True)
class Way:
    """The ties of a layer, by speaker: those who hear agent i are target[indptr[i]:indptr[i + 1]].

    weight, place: (E,) of each tie, and where it stands in the whole network. key: (E,) target × N + source, ascending; at: (E,)
    where the tie of each key stands here.
    """

    indptr: Ints
    target: NDArray[np.int32]
    weight: Floats
    place: Ints
    key: Ints
    at: Ints

    @classmethod
    def of(cls, network: Network, layer: str) -> Way:
        part, place = _part(network, layer)
        indptr, target, edge = growth.transpose(part.indptr, part.source)
        at = np.empty(len(edge), dtype=np.int64)
        at[edge] = np.arange(len(edge))
        return cls(indptr, target, part.weight[edge], place[edge], part.target * network.size + part.source, at)

    def drawn(self, speaker: Ints, draw: Floats, tied: NDArray[np.bool_] | None) -> tuple[Ints, Ints]:
        """For each speaker (m,) and draw (m, k) in [0, 1) one of its ties that carry: which speaker, and which tie; both (r,)."""
        carries = None if tied is None else np.flatnonzero(tied[self.place])
        pointer = self.indptr if carries is None else np.searchsorted(carries, self.indptr)
        count = np.diff(pointer)[speaker]
        some = np.flatnonzero(count)
        tie = (pointer[speaker[some]][:, None] + (draw[some] * count[some][:, None]).astype(np.int64)).reshape(-1)
        return np.repeat(some, draw.shape[1]), tie if carries is None else carries[tie]

    def between(self, speaker: Ints, hearer: Ints) -> Ints:
        """The tie along which each hearer (m,) hears its speaker, −1 for none. Shape (m,)."""
        if not len(self.key):
            return np.full(len(speaker), -1)
        wanted = hearer * (len(self.indptr) - 1) + speaker
        at = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where(self.key[at] == wanted, self.at[at], -1)


class Layered(World):
    """Each message goes one way: to one person in private, to a group, or on a board. Layers of the network say who can hear it:
    `private`, `group` and `board`, of which any may be missing; without a layer the board is open to everybody.

    private, group, board: how often a new message goes each way, relative to each other, among those ways on which somebody hears
    its author. A private one goes to one of those, each as likely, one to the group to all of them, and one on the board to
    `readers` of them at most, drawn with replacement. With probability `reply_share` a message answers one of those its author
    read, each as likely, and goes the same way; a private answer goes to whom it answers.
    """

    layered = True

    def __init__(
        self,
        network: Network,
        axes: Axes,
        private: Share = 0.4,
        group: Share = 0.4,
        board: Share = 0.2,
        readers: Annotated[int, Field(ge=1)] = 3,
        reply_share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__(network, axes)
        shares = {Channel.DIRECT: private, Channel.GROUP: group, Channel.BOARD: board}
        _must_fit(network, shares, readers, reply_share)
        self._private, self._board = (Way.of(network, name) for name in ("private", "board"))
        self._group, self._group_place = _part(network, "group")
        self._open = "board" not in network.layers
        self._readers, self._reply_share = readers, reply_share
        of_group = np.bincount(self._group.source, minlength=network.size)
        on_board = np.diff(self._board.indptr) + self._open
        heard = np.stack([np.diff(self._private.indptr), of_group, on_board], axis=1) > 0
        # Up to which draw a message goes each way: one whom nobody hears on any way speaks on the board.
        weight = heard * np.array(list(shares.values()))
        total = weight.sum(axis=1, keepdims=True)
        self._limit = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0).cumsum(axis=1)[:, :2]

    def start(self) -> None:
        self._planned: tuple[int, Ints, Ints] | None = None
        self._new = lru_cache(2)(self._draw_ways)

    def describe(self, agent: int) -> str:
        if self._planned is None or self._planned[0] != self.step:
            answered = self.answer(self.step, self._everyone, self.mail)
            self._planned = self.step, answered, self._way(self.step, self._everyone, answered, self.mail)
        _, answered, way = self._planned
        return f"You are one of {self.network.size} people. {TOLD[Channel(way[agent]), bool(answered[agent] >= 0)]}"

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        whether, which = (self.streams.uniform(name, step, sender) for name in ("reply", "reply to"))
        answered = np.where(whether < self._reply_share, mail.one(sender, which), -1)
        # Where the other cannot hear one in private, there is no answer.
        known = np.flatnonzero(answered >= 0)
        known = known[mail.board.channel[mail.board.rows(answered[known])] == Channel.DIRECT]
        tie = self._private.between(sender[known], answered[known] % self.network.size)
        answered[known[tie < 0]] = -1
        return answered

    def said(self, step: int, act: Act, mail: Mail) -> Messages:
        sent = super().said(step, act, mail)
        return replace(sent, channel=self._way(step, sent.sender, sent.reply_to, mail).astype(np.int8))

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        now, tied = np.flatnonzero(board.step == step), self.tied(step)
        private, group, open_to_all = (now[board.channel[now] == way] for way in WAYS)
        # The long part comes sorted, so that sorting all of it is quick.
        parts = (
            self._in_group(board, group, tied, readers),
            self._in_private(step, board, private, tied),
            self._on_board(step, board, open_to_all, tied),
        )
        agent, row, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        if len(readers) < self.network.size:
            mine = np.isin(agent, readers)
            agent, row, weight = agent[mine], row[mine], weight[mine]
        # One message a speaker and step: rows ascend as ids do. What was drawn twice is read once.
        _, order = np.unique(agent * max(1, len(board)) + row, return_index=True)
        row = row[order]
        return Exposures(step, agent[order], board.id[row], board.sender[row], weight[order])

    def _way(self, step: int, sender: Ints, answered: Ints, mail: Mail) -> Ints:
        """Which way the message of each sender (n,) goes, given what it answers (n,), −1 for nothing. Shape (n,)."""
        way = self._new(step)[sender]
        known = np.flatnonzero(answered >= 0)
        way[known] = mail.board.channel[mail.board.rows(answered[known])]
        return way

    def _draw_ways(self, step: int) -> Ints:
        """Which way each agent would say something new, (N,)."""
        draw = self.streams.generator("way", step).random(self.network.size)
        return (draw[:, None] >= self._limit).sum(axis=1)

    def _in_private(self, step: int, board: Messages, row: Ints, tied: NDArray[np.bool_] | None) -> Heard:
        way, speaker, answered = self._private, board.sender[row], board.reply_to[row]
        new, old = np.flatnonzero(answered < 0), np.flatnonzero(answered >= 0)
        one, tie = way.drawn(speaker[new], self.streams.uniform("to whom", step, speaker[new])[:, None], tied)
        back = way.between(speaker[old], answered[old] % self.network.size)
        at, tie = np.concatenate([new[one], old]), np.concatenate([tie, back])
        if tied is not None:
            carries = tied[way.place[tie]]
            at, tie = at[carries], tie[carries]
        return way.target[tie].astype(np.int64), row[at], way.weight[tie]

    def _in_group(self, board: Messages, row: Ints, tied: NDArray[np.bool_] | None, readers: Ints) -> Heard:
        net, post = self._group, np.full(self.network.size, -1)
        post[board.sender[row]] = row
        count = np.diff(net.indptr)[readers]
        _, edge = spans(net.indptr[readers], count)
        heard = post[net.source[edge]]
        said = np.flatnonzero(heard >= 0 if tied is None else (heard >= 0) & tied[self._group_place[edge]])
        return np.repeat(readers, count)[said], heard[said], net.weight[edge[said]]

    def _on_board(self, step: int, board: Messages, row: Ints, tied: NDArray[np.bool_] | None) -> Heard:
        way, speaker, size = self._board, board.sender[row], self.network.size
        draw = self.streams.generator("read board", step).random((size, self._readers))[speaker]
        if not self._open:
            one, tie = way.drawn(speaker, draw, tied)
            return way.target[tie].astype(np.int64), row[one], way.weight[tie]
        if size == 1:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
        reader = (draw * (size - 1)).astype(np.int64)
        reader += reader >= speaker[:, None]
        return reader.reshape(-1), np.repeat(row, self._readers), np.ones(reader.size)


def _part(network: Network, layer: str) -> tuple[Network, Ints]:
    """The ties of a layer and their places; none, where there is no such layer."""
    if layer in network.layers:
        return network.part(layer)
    none = np.empty(0, dtype=np.int64)
    return Network.from_edges(network.size, none, none), none


def _must_fit(network: Network, shares: dict[Channel, float], readers: int, reply_share: float) -> None:
    there = ", ".join(network.layers) or "none"
    if unknown := [name for name in network.layers if name not in WAYS.values()]:
        raise ValueError(f"layers of the network must be private, group or board, got {unknown[0]}")
    if not network.layers:
        raise ValueError("a layered world needs a network with layers, and this one has none: choose network=layers")
    for way, share in shares.items():
        if not 0 <= share < np.inf:
            raise ValueError(f"{WAYS[way]} must be at least 0 and finite, got {share}")
        if share > 0 and way != Channel.BOARD and WAYS[way] not in network.layers:
            raise ValueError(f"{WAYS[way]} is {share:g}, but the network has no such layer; it has: {there}")
    if sum(shares.values()) <= 0:
        raise ValueError("one of private, group and board must be positive, got 0 for all")
    if readers < 1:
        raise ValueError(f"readers must be at least 1, got {readers}")
    if not 0 <= reply_share <= 1:
        raise ValueError(f"reply_share must be a share in [0, 1], got {reply_share}")
