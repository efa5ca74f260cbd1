"""Dyads: agents talk in pairs, turn by turn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Channel, Exposures, Mail, Messages
from contagium.envs.network import Network
from contagium.envs.world import World

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Matching:
    """Who talks with whom from the step `since` on: `partner` (N,) is −1 for who is left over; `opens` (N,) says who begins."""

    since: int
    partner: Ints
    opens: NDArray[np.bool_]

    def turn(self, step: int) -> NDArray[np.bool_]:
        """Whose turn it is at `step`, (N,)."""
        return (self.partner >= 0) & (self.opens == ((step - self.since) % 2 == 0))


class Dyads(World):
    """Pairs are matched along the network's edges; the two take turns, one message each step.

    redraw: steps after which partners are drawn anew, 0 keeps the first ones for good. An agent left without a partner
    waits. Only the agent whose turn it is acts; its message is heard by its partner alone.
    """

    channel = Channel.DIRECT

    def __init__(self, network: Network, axes: Axes, redraw: Annotated[int, Field(ge=0)] = 0) -> None:
        super().__init__(network, axes)
        self._redraw = redraw

    def start(self) -> None:
        # A schedule that runs ahead asks for a few steps at once, most of them of one or two matchings.
        self._matched = lru_cache(4)(self._match)

    def matching(self, step: int) -> Matching:
        """The matching at `step`."""
        return self._matched(step - step % self._redraw if self._redraw else 0)

    def active(self, step: int) -> Ints:
        return np.flatnonzero(self.matching(step).turn(step))

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        heard = mail.newest(sender)
        # A newly matched agent may still have words of an earlier partner before it: what it says now is no answer to
        # those.
        known = np.flatnonzero(heard >= 0)
        stranger = heard[known] % self.network.size != self.matching(step).partner[sender[known]]
        heard[known[stranger]] = -1
        return heard

    def describe(self, agent: int) -> str:
        return "You are talking with one other person and say one short thing at a time."

    def sources(self, step: int, reader: int) -> Ints:
        matching = self.matching(step)
        partner = matching.partner[reader : reader + 1]
        return partner[(partner >= 0) & (matching.opens[reader] != ((step - matching.since) % 2 == 0))]

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        partner = self.matching(step).partner
        now = np.flatnonzero(board.step == step)
        hearer = partner[board.sender[now]]
        if len(readers) < self.network.size:
            mine = np.isin(hearer, readers)
            now, hearer = now[mine], hearer[mine]
        order = np.argsort(hearer, kind="stable")
        now, hearer = now[order], hearer[order]
        sender = board.sender[now]
        return Exposures(step, hearer, board.id[now], sender, self._tie(sender, hearer))

    def _tie(self, source: Ints, target: Ints) -> NDArray[np.float64]:
        """Weight (n,) of the edge along which `target` hears `source`, or else of the opposite edge."""
        net = self.network
        key = net.target * net.size + net.source
        there, back = target * net.size + source, source * net.size + target
        at = np.minimum(np.searchsorted(key, there), len(key) - 1)
        missing = key[at] != there
        at[missing] = np.searchsorted(key, back[missing])
        return net.weight[at]

    def _match(self, step: int) -> Matching:
        """Draw a random maximal matching: edges in random order, each taken if both ends are still free."""
        net = self.network
        rank = self.streams.generator("match", step).permutation(len(net.source))
        partner = np.full(net.size, -1)
        edges = np.arange(len(net.source))
        while len(edges):
            # An edge that comes before all others at both its ends is taken, as it would be one by one.
            best = np.full(net.size, len(net.source))
            np.minimum.at(best, net.source[edges], rank[edges])
            np.minimum.at(best, net.target[edges], rank[edges])
            won = edges[(best[net.source[edges]] == rank[edges]) & (best[net.target[edges]] == rank[edges])]
            partner[net.source[won]] = net.target[won]
            partner[net.target[won]] = net.source[won]
            edges = edges[(partner[net.source[edges]] < 0) & (partner[net.target[edges]] < 0)]
        coin = self.streams.generator("opens", step).random(net.size) < 0.5
        # Both ends of a pair go by the coin of the one with the lower id.
        return Matching(step, partner, np.where(np.arange(net.size) < partner, coin, ~coin[partner]))
