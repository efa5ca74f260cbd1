"""Dyads: agents talk in pairs, turn by turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Channel, Exposures, Mail, Messages
from contagium.envs.network import Network
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Observation, World

Ints = NDArray[np.int64]


def pairs(size: int, streams: Streams) -> Network:
    """Agent 0 and agent 1 hear each other, and so do 2 and 3, …; nobody hears anybody else."""
    first = np.arange(0, size - 1, 2)
    return Network.from_edges(size, np.concatenate([first, first + 1]), np.concatenate([first + 1, first]))


@dataclass(frozen=True)
class Matching:
    """Who talks with whom from the step `since` on.

    partner: (N,), −1 for who is left over. opens: (N,), who speaks at `since`. fresh: (N,), who did not have this partner before.
    """

    since: int
    partner: Ints
    opens: NDArray[np.bool_]
    fresh: NDArray[np.bool_]

    def turn(self, step: int) -> NDArray[np.bool_]:
        """Whose turn it is at `step`, (N,)."""
        return (self.partner >= 0) & (self.opens == ((step - self.since) % 2 == 0))


class Dyads(World):
    """Pairs are matched along the network's edges; the two take turns, one message each step.

    redraw: steps after which partners are drawn anew, 0 keeps the first ones for good. drift: the chance with which a pair parts
    then; all others talk on where they were, and who has parted or was left over is matched anew. An agent left without a partner
    waits. Only the agent whose turn it is acts; its message is heard by its partner alone.

    same: agents are told that they talk with another instance of themselves, as where one model talks with itself. name: what all
    are called, empty: each by a name of its own. opening: what an agent is told that begins a conversation with a new partner.
    """

    channel = Channel.DIRECT

    def __init__(
        self,
        network: Network,
        axes: Axes,
        redraw: Annotated[int, Field(ge=0)] = 0,
        drift: Annotated[float, Field(ge=0, le=1)] = 1.0,
        same: bool = False,
        name: str = "",
        opening: str = "",
    ) -> None:
        super().__init__(network, axes)
        if drift < 1 and not redraw:
            raise ValueError(f"drift is about partners that are drawn anew: give redraw above 0, got 0 and drift {drift}")
        self._redraw, self._drift, self._same, self._opening = redraw, drift, same, opening
        self.names = (name,) * network.size if name else ()

    def start(self) -> None:
        # A schedule that runs ahead asks for a few steps at once, most of them of one or two matchings.
        self._matched = lru_cache(4)(self._match)
        self._last: Matching | None = None

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
        other = "another instance of yourself" if self._same else "one other person"
        return f"You are talking with {other} and say one short thing at a time."

    def seen(self, step: int, agents: Ints, mail: Mail, pressure: Pressure | None) -> Observation:
        seen = super().seen(step, agents, mail, pressure)
        matching = self.matching(step) if self._opening else None
        if matching is None or step != matching.since:
            return seen
        begins = agents[(matching.fresh & matching.opens)[agents]]
        return replace(seen, news={**seen.news, **dict.fromkeys(begins.tolist(), self._opening)})

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
        sender, tied = board.sender[now], self.tied(step)
        edge = self._edge(sender, hearer)
        heard = Exposures(step, hearer, board.id[now], sender, self.network.weight[edge])
        return heard if tied is None else heard.take(tied[edge])

    def _edge(self, source: Ints, target: Ints) -> Ints:
        """The edge (n,) along which `target` hears `source`, or else the opposite edge."""
        net = self.network
        key = net.target * net.size + net.source
        there, back = target * net.size + source, source * net.size + target
        at = np.minimum(np.searchsorted(key, there), len(key) - 1)
        missing = key[at] != there
        at[missing] = np.searchsorted(key, back[missing])
        return at

    def _match(self, since: int) -> Matching:
        """The matching from the step `since` on."""
        if self._drift == 1 or since == 0:
            return self._drawn(since, None)
        # What pairs stay depends on all matchings before.
        matching = self._last if self._last is not None and self._last.since <= since else self._drawn(0, None)
        while matching.since < since:
            matching = self._drawn(matching.since + self._redraw, matching)
        self._last = matching
        return matching

    def _drawn(self, step: int, before: Matching | None) -> Matching:
        """Draw a random maximal matching of those who do not stay together: edges in random order, each taken if both ends are
        still free."""
        net = self.network
        rank = self.streams.generator("match", step).permutation(len(net.source))
        tied = self.tied(step)
        edges = np.arange(len(net.source)) if tied is None else np.flatnonzero(tied)
        stays = np.zeros(net.size, dtype=bool) if before is None else self._staying(step, before, tied)
        partner = np.full(net.size, -1) if before is None else np.where(stays, before.partner, -1)
        edges = edges[~(stays[net.source[edges]] | stays[net.target[edges]])]
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
        # Both ends of a pair go by the coin of the one with the lower id; a pair that stays goes on in its turns.
        opens = np.where(np.arange(net.size) < partner, coin, ~coin[partner])
        if before is not None:
            opens = np.where(stays, before.turn(step), opens)
        return Matching(step, partner, opens, (partner >= 0) & ~stays)

    def _staying(self, step: int, before: Matching, tied: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Who keeps its partner at `step`, (N,): of the pairs that are still tied, each but with the chance `drift`."""
        low = np.flatnonzero(before.partner > self._everyone)
        high = before.partner[low]
        stays = self.streams.uniform("part", step, low) >= self._drift
        if tied is not None:
            stays &= tied[self._edge(low, high)] | tied[self._edge(high, low)]
        found = np.zeros(self.network.size, dtype=bool)
        found[low[stays]] = found[high[stays]] = True
        return found
