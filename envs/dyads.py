"""Dyads: agents talk in pairs, turn by turn."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Channel, Exposures
from contagium.envs.network import Network
from contagium.envs.world import World


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
        self._match(0)

    def active(self) -> NDArray[np.int64]:
        first_speaks = (self.step - self._matched_at) % 2 == 0
        return np.flatnonzero((self.partner >= 0) & (self.opens == first_speaks))

    def answer(self, sender: NDArray[np.int64]) -> NDArray[np.int64]:
        heard = self.last_heard(sender)
        # A newly matched agent may still have words of an earlier partner before it: what it says now is no answer to
        # those.
        known = np.flatnonzero(heard >= 0)
        stranger = self.board.sender[self.board.rows(heard[known])] != self.partner[sender[known]]
        heard[known[stranger]] = -1
        return heard

    def describe(self, agent: int) -> str:
        return "You are talking with one other person and say one short thing at a time."

    def route(self) -> Exposures:
        now = np.flatnonzero(self.board.step == self.step)
        sender = self.board.sender[now]
        hearer = self.partner[sender]
        order = np.argsort(hearer, kind="stable")
        sender, hearer = sender[order], hearer[order]
        if self._redraw and (self.step + 1) % self._redraw == 0:
            self._match(self.step + 1)
        return Exposures(self.step, hearer, self.board.id[now][order], sender, self._tie(sender, hearer))

    def _tie(self, source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.float64]:
        """Weight (n,) of the edge along which `target` hears `source`, or else of the opposite edge."""
        net = self.network
        key = net.target * net.size + net.source
        there, back = target * net.size + source, source * net.size + target
        at = np.minimum(np.searchsorted(key, there), len(key) - 1)
        missing = key[at] != there
        at[missing] = np.searchsorted(key, back[missing])
        return net.weight[at]

    def _match(self, step: int) -> None:
        """Draw a random maximal matching: edges in random order, each taken if both ends are still free.

        `partner` (N,) is −1 for who is left over; `opens` (N,) says who of a pair speaks first.
        """
        net = self.network
        rank = self.streams.generator("match", step).permutation(len(net.source))
        self.partner = np.full(net.size, -1)
        edges = np.arange(len(net.source))
        while len(edges):
            # An edge that comes before all others at both its ends is taken, as it would be one by one.
            best = np.full(net.size, len(net.source))
            np.minimum.at(best, net.source[edges], rank[edges])
            np.minimum.at(best, net.target[edges], rank[edges])
            won = edges[(best[net.source[edges]] == rank[edges]) & (best[net.target[edges]] == rank[edges])]
            self.partner[net.source[won]] = net.target[won]
            self.partner[net.target[won]] = net.source[won]
            edges = edges[(self.partner[net.source[edges]] < 0) & (self.partner[net.target[edges]] < 0)]
        coin = self.streams.generator("opens", step).random(net.size) < 0.5
        # Both ends of a pair go by the coin of the one with the lower id.
        self.opens = np.where(np.arange(net.size) < self.partner, coin, ~coin[self.partner])
        self._matched_at = step
