"""Transmission trees drawn at random from the candidates of each case: how far what is said depends on who infected whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.places import places
from contagium.sim.analysis.trees.tree import Chains, cohorts, generations

TREES = 200
FEWEST = 20
AT_MOST = 5_000_000
"""Trees that are drawn: `TREES`, of large epidemics as many as have `AT_MOST` cases together, but never fewer than `FEWEST`."""

CERTAIN = 1 - 1e-9
METHOD = "sampled trees"


@dataclass(frozen=True)
class Sampled:
    """S trees of n cases. parent: (S, n), place of the source among the cases; link: (S, n), row of `Chains.links`; −1 for none.

    onset: (n,). Where no case has a choice of sources, all trees are one and S is 1.
    """

    onset: NDArray[np.int64]
    parent: NDArray[np.int32]
    link: NDArray[np.int32]

    @property
    def certain(self) -> bool:
        return len(self.parent) == 1


def sample(found: Chains, trees: int | None = None) -> Sampled:
    """Trees in which each case draws its source from its candidates, each with its probability; with what is missing to 1, none.

    Cases draw independently of each other. The same chains give the same trees. trees: at least 1.
    """
    agent, share = found.cases["agent"].to_numpy(np.int64), found.links["probability"].to_numpy(np.float64)
    source, target = found.ends
    if trees is None:
        trees = 1 if np.all(share >= CERTAIN) else int(np.clip(AT_MOST // max(len(agent), 1), FEWEST, TREES))
    link = np.full((trees, len(agent)), -1, dtype=np.int32)
    if len(share):
        order = np.argsort(target, kind="stable")
        caused, start, many = np.unique(target[order], return_index=True, return_counts=True)
        # Each case has a unit of the line to itself, on which its candidates hold a part each: one search serves all draws.
        total = np.cumsum(share[order])
        within = total - np.repeat((total - share[order])[start], many)
        line = np.repeat(np.arange(len(caused)), many) + np.minimum(within, 1.0)
        draw = Streams(0).generator("sampled trees")
        for tree in link:
            hit = np.searchsorted(line, np.arange(len(caused)) + draw.random(len(caused)) * CERTAIN, side="right")
            tree[caused] = np.where(hit < start + many, order[np.minimum(hit, len(order) - 1)], -1)
    parent = np.append(source, -1).astype(np.int32)[link]
    return Sampled(found.cases["onset"].to_numpy(np.int64), parent, link)


def descendants(sampled: Sampled) -> NDArray[np.int64]:
    """Cases below each case, its children's children among them, (S, n)."""
    trees, n = sampled.parent.shape
    below: NDArray[np.int64] = np.zeros(trees * n, dtype=np.int64)
    offset = (np.arange(trees) * n)[:, None]
    for same in reversed(cohorts(sampled.onset)):
        parent = sampled.parent[:, same]
        own = (offset + np.arange(n)[same])[parent >= 0]
        np.add.at(below, (offset + parent)[parent >= 0], 1 + below[own])
    return below.reshape(trees, n)


def expected_descendants(found: Chains) -> NDArray[np.float64]:
    """Mean over all trees of the cases below each case, (n,): exact, for whom a case draws does not depend on whom it infects."""
    agent, onset = (found.cases[name].to_numpy(np.int64) for name in ("agent", "onset"))
    source, target = found.ends
    order = np.argsort(target, kind="stable")
    source, target, share = source[order], target[order], found.links["probability"].to_numpy(np.float64)[order]
    below = np.zeros(len(agent))
    for same in reversed(cohorts(onset)):
        part = slice(*np.searchsorted(target, [same.start, same.stop]))
        np.add.at(below, source[part], share[part] * (1 + below[target[part]]))
    return below


@dataclass(frozen=True)
class Measure:
    """Something that a tree has: of the likeliest tree, and over sampled trees their mean and where 95% of them lie."""

    name: str
    likeliest: float
    sampled: Estimate


def shape(found: Chains, sampled: Sampled) -> tuple[Measure, ...]:
    """Roots, depth (generations after the first), width (cases of the largest generation) and the largest family (cases).

    The intervals say how far these depend on who infected whom, and nothing of how another epidemic would have gone.
    """
    agent, parent = (found.cases[name].to_numpy(np.int64) for name in ("agent", "parent"))
    likeliest = Sampled(sampled.onset, places(agent, parent)[None].astype(np.int32), sampled.link[:1])
    caught = int((~found.cases["index"]).sum())
    told = []
    for name, of in _MEASURES.items():
        if not caught:
            told.append(Measure(name, _of(of, likeliest), unknown("nobody but index cases: there is no tree", 0, METHOD)))
            continue
        values = of(sampled)
        low, high = np.quantile(values, (0.025, 0.975), method="inverted_cdf")
        told.append(Measure(name, _of(of, likeliest), Estimate(float(values.mean()), float(low), float(high), METHOD, caught)))
    return tuple(told)


def _of(of: Callable[[Sampled], NDArray[np.int64]], tree: Sampled) -> float:
    return float(of(tree)[0]) if tree.parent.size else 0.0


def _width(sampled: Sampled) -> NDArray[np.int64]:
    generation = generations(sampled.onset, sampled.parent)
    trees, most = len(generation), int(generation.max()) + 1
    place = generation + most * np.arange(trees)[:, None]
    return np.bincount(place.ravel(), minlength=trees * most).reshape(trees, most).max(axis=1)


_MEASURES: dict[str, Callable[[Sampled], NDArray[np.int64]]] = {
    "roots": lambda s: (s.parent < 0).sum(axis=1),
    "depth": lambda s: generations(s.onset, s.parent).max(axis=1),
    "width": _width,
    "largest family": lambda s: np.where(s.parent < 0, descendants(s) + 1, 0).max(axis=1),
}
