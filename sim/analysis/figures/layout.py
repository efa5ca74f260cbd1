"""Where things stand in a figure: computed here, with a seed, so that drawing computes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.figures.placing import place
from contagium.sim.analysis.trees.tree import Chains
from contagium.sim.log import Run
from contagium.sim.sample import NEAR, ROOTS

TREE_LIMIT = 200
BULGE = 0.3
"""How far the longest link within a generation swings out, in generations."""

NAME = 24
"""Letters of a name that a figure shows at most."""

LETTER = 0.0105
"""Width of a letter of an event's name, as a share of the axes it stands over."""


@dataclass(frozen=True)
class NetworkLayout:
    """agents: (n,) ids drawn, of `total`. position: (n, 2). edges: (m, 2) rows of `agents`, each pair once. index: (n,) bool."""

    agents: NDArray[np.int64]
    position: NDArray[np.float64]
    edges: NDArray[np.int64]
    index: NDArray[np.bool_]
    total: int


def network_layout(run: Run, index: NDArray[np.int64], seed: int, limit: int = NEAR) -> NetworkLayout:
    """All agents in the log, or the first `limit` that a walk from ROOTS of the index cases meets, each in its place."""
    pairs = run.edges[["source", "target"]].to_numpy(np.int64)
    # The log of a sample holds ties of agents that are not in it.
    ids = np.union1d(run.agents["id"].to_numpy(np.int64), pairs)
    chosen = ids if len(ids) <= limit else breadth_first(ids, pairs, index[:ROOTS], limit)
    inside = np.isin(pairs, chosen).all(axis=1)
    order = np.argsort(chosen)
    edges = order[np.searchsorted(chosen, np.sort(pairs[inside], axis=1), sorter=order)].reshape(-1, 2)
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
    return NetworkLayout(chosen, place(len(chosen), edges, seed), edges, np.isin(chosen, index), run.size)


def breadth_first(ids: NDArray[np.int64], pairs: NDArray[np.int64], roots: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """The first `limit` of `ids` that a walk over `pairs` (m, 2), either way, meets from `roots`, then from whoever is left."""
    met: NDArray[np.int64] = roots[:limit]
    ring = met
    while len(met) < limit:
        touching = np.r_[pairs[np.isin(pairs[:, 0], ring), 1], pairs[np.isin(pairs[:, 1], ring), 0]]
        ring = np.setdiff1d(touching, met)
        if not len(ring):
            ring = np.setdiff1d(ids, met)[:1]
        met = np.r_[met, ring][:limit]
    return met


@dataclass(frozen=True)
class TreeLayout:
    """cases: those drawn, of `total`. position: (n, 2), generation and place. links: m lines of (k, 2) points, source to target.

    probability: (m,). parent: (m,) bool, whether the link is of the tree itself.
    """

    cases: pd.DataFrame
    position: NDArray[np.float64]
    links: list[NDArray[np.float64]]
    probability: NDArray[np.float64]
    parent: NDArray[np.bool_]
    total: int


def tree_layout(found: Chains, limit: int = TREE_LIMIT) -> TreeLayout:
    """Cases by generation from left to right; families keep together, so that the tree's own edges do not cross.

    Of more than `limit` cases the largest families are drawn, and of one that does not fit its earliest cases, so that nobody is
    shown without the parent.
    """
    cases = found.cases if len(found.cases) <= limit else _largest_families(found.cases).head(limit)
    agent, parent = cases["agent"].to_numpy(np.int64), cases["parent"].to_numpy(np.int64)
    row = pd.Series(np.arange(len(cases)), index=agent)
    links = found.links[found.links["source"].isin(agent) & found.links["target"].isin(agent)]
    ends = np.column_stack([row[links["source"]], row[links["target"]]]).astype(np.int64).reshape(-1, 2)
    children: dict[int, list[int]] = {}
    for k, source in enumerate(parent.tolist()):
        children.setdefault(-1 if source < 0 else int(row[source]), []).append(k)
    position = np.column_stack([cases["generation"].to_numpy(float), _places(len(cases), children)])
    is_parent = parent[ends[:, 1]] == agent[ends[:, 0]]
    probability = links["probability"].to_numpy(float)
    return TreeLayout(cases, position, _lines(position[ends]), probability, is_parent, len(found.cases))


def _lines(ends: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A line for each link of `ends` (m, 2, 2): straight, but within a generation an arc beside the column of its cases."""
    height = np.abs(ends[:, 1, 1] - ends[:, 0, 1])
    swing = BULGE * (0.4 + 0.6 * height / max(height.max(initial=0.0), 1.0))
    angle = np.linspace(0, np.pi, 25)
    rise, out = (1 - np.cos(angle)) / 2, np.sin(angle)
    return [
        np.column_stack([x - b * out, y + (z - y) * rise]) if x == u else np.array([[x, y], [u, z]])
        for ((x, y), (u, z)), b in zip(ends.tolist(), swing.tolist(), strict=True)
    ]


def _largest_families(cases: pd.DataFrame) -> pd.DataFrame:
    """Cases by the size of the family they descend from, then by family, then by onset."""
    root: dict[int, int] = {}
    for agent, parent in zip(cases["agent"].tolist(), cases["parent"].tolist(), strict=True):
        root[agent] = agent if parent < 0 else root[parent]
    family = cases["agent"].map(root)
    size = family.map(family.value_counts())
    return cases.iloc[np.lexsort((np.arange(len(cases)), family, -size))]


def _places(count: int, children: dict[int, list[int]]) -> NDArray[np.float64]:
    """The height of each case: leaves one below the other, every other case midway between its first and last child."""
    place = np.zeros(count)
    leaves = 0
    order: list[int] = []
    waiting = children.get(-1, [])[::-1]
    while waiting:
        case = waiting.pop()
        order.append(case)
        if case in children:
            waiting.extend(children[case][::-1])
        else:
            place[case] = leaves
            leaves += 1
    for case in reversed(order):
        if case in children:
            place[case] = (place[children[case][0]] + place[children[case][-1]]) / 2
    return place


@dataclass(frozen=True)
class Event:
    """Steps at which a pressure event begins for anyone, in order, and those of them where its name stands, row upon row."""

    name: str
    steps: list[int]
    named: list[tuple[int, int]]


def event_layout(begins: dict[str, list[int]], steps: int) -> list[Event]:
    """Where the names of events stand over axes of `steps` steps: each at its first beginning, and wherever there is room.

    begins: event → steps, in order. A name is shown with at most `NAME` letters.
    """
    taken: list[tuple[int, float, float]] = []
    events = []
    for name, when in begins.items():
        half = LETTER * steps * (min(len(name), NAME) + 1) / 2
        named: list[tuple[int, int]] = []
        for step in when:
            # Again in a row of its own would tell nothing new.
            rows: Iterable[int] = named[0][1:] if named else itertools.count()
            low, high = step - half, step + half
            row = next((row for row in rows if not any(row == r and low < h and g < high for r, g, h in taken)), None)
            if row is not None:
                named.append((step, row))
                taken.append((row, low, high))
        events.append(Event(name, when, named))
    return events


def affect_range(curves: dict[str, pd.DataFrame], span: float = 0.5) -> tuple[float, float]:
    """Limits that hold 0 and all means with their bands, at least `span` apart, within the −1 to 1 of affect and a margin."""
    low, high = 0.0, 0.0
    for curve in curves.values():
        low = min(low, float((curve["mean"] - curve["sd"]).min()))
        high = max(high, float((curve["mean"] + curve["sd"]).max()))
    margin = max(0.05 * (high - low), (span - (high - low)) / 2)
    return max(low - margin, -1.05), min(high + margin, 1.05)
