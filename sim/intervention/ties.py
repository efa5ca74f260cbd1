"""Ties cut: the most central ones, those between communities, or all of some agents."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.betweenness import edge_betweenness
from contagium.envs.edges import Network
from contagium.envs.rng import Streams
from contagium.sim.intervention.base import Ground, Intervention, Moment, Point
from contagium.sim.intervention.hands import Hands

By = Literal["betweenness", "degree", "communities", "random"]
NEVER = -1.0
"""Score of a tie that is not to be cut at all."""


class _Closed:
    """What an intervention keeps closed of a network."""

    def __init__(self, network: Network) -> None:
        self._closed = np.zeros(len(network.source), dtype=bool)

    def be(self, wanted: NDArray[np.bool_], hands: Hands) -> None:
        """These edges (E,) and no others are closed from now on."""
        hands.open(np.flatnonzero(self._closed & ~wanted))
        hands.close(np.flatnonzero(wanted & ~self._closed))
        self._closed = wanted


class Isolate(Intervention):
    """Agents in the scope hear nobody along ties, and nobody hears them. Logged: `cut`, and `mended` when they leave it.

    What a world brings besides, as a forum's board does, still reaches them. of: only what they hear, or only what they say.
    """

    points: ClassVar[tuple[Point, ...]] = ("network",)

    def __init__(self, of: Literal["both", "hearing", "speaking"] = "both") -> None:
        self._of = of

    def begin(self, ground: Ground) -> None:
        self._network, self._closed = ground.world.network, _Closed(ground.world.network)

    def before(self, moment: Moment, hands: Hands) -> None:
        if moment.fresh.any() or moment.gone.any():
            hears, speaks = moment.among[self._network.target], moment.among[self._network.source]
            self._closed.be({"both": hears | speaks, "hearing": hears, "speaking": speaks}[self._of], hands)


class CutTies(Intervention):
    """Cuts a share of the ties of agents in the scope, both ways: those that come first `by` a measure. Logged: `cut`, `mended`.

    betweenness: how many shortest ways between agents go along the tie; of more than `roots` agents (None: as many as take some
    seconds), to a sample of so many. degree: how many ties each of its ends has, multiplied. communities: only ties from one
    community to another. random: any tie, the control. Equal ties come in random order. All are mended as the scope ends.
    Sources: Girvan & Newman 2002 (betweenness); Holme, Kim, Yoon & Han 2002 (degree).
    """

    points: ClassVar[tuple[Point, ...]] = ("network",)

    def __init__(
        self,
        by: By = "betweenness",
        share: Annotated[float, Field(gt=0, le=1)] = 0.1,
        roots: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        self._by, self._share, self._roots = by, share, roots

    def begin(self, ground: Ground) -> None:
        self._network, self._closed = ground.world.network, _Closed(ground.world.network)
        self._tie, streams = self._network.ties, ground.briefing.streams
        score = _scores(self._by, self._network, self._tie, streams, self._roots)
        if not (score[self._tie[self._at(ground.among)]] > NEVER).any():
            raise ValueError(f"agents in its scope have no ties to cut by {self._by}")
        draw = streams.generator(f"intervention:{ground.name}:ties").random(len(score))
        order = np.lexsort((draw, -score))
        self._order = order[score[order] > NEVER]

    def before(self, moment: Moment, hands: Hands) -> None:
        if not (moment.fresh.any() or moment.gone.any()):
            return
        eligible, cut = np.zeros((2, int(self._tie.max()) + 1), dtype=bool)
        eligible[self._tie[self._at(moment.among)]] = True
        found = self._order[eligible[self._order]]
        cut[found[: int(np.ceil(self._share * len(found)))]] = True
        self._closed.be(cut[self._tie], hands)

    def _at(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which edges lie at agents in `among` (N,), (E,)."""
        return among[self._network.source] | among[self._network.target]


def _scores(by: By, network: Network, tie: NDArray[np.int64], streams: Streams, roots: int | None) -> NDArray[np.float64]:
    """How soon each tie (T,) is cut: the highest first."""
    source, target = network.source, network.target
    if by == "betweenness":
        return np.bincount(tie, edge_betweenness(network, streams, roots)).astype(np.float64)
    score = np.zeros(int(tie.max(initial=-1)) + 1)
    if by == "degree":
        degree = np.bincount(source, minlength=network.size) + network.in_degree
        score[tie] = degree[source] * degree[target]
    elif by == "communities":
        from contagium.envs.communities import communities  # networkx is slow to load, and few cut by community

        home = communities(network, streams)
        score[tie] = np.where(home[source] == home[target], NEVER, 0)
    return score
