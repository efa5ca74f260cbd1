"""Who and what spread the most: cases that agents and messages caused, at first hand and in all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.places import places
from contagium.sim.analysis.trees.forest import Sampled, descendants, expected_descendants
from contagium.sim.analysis.trees.tree import Chains

MOST = 5
METHOD = "expected over trees, 95% of sampled trees"


@dataclass(frozen=True)
class Influence:
    """Cases that one agent, or one message of `agent`, caused: direct, and total with all below them.

    Both are expected over trees; their intervals hold 95% of the sampled trees. message: None for an agent.
    """

    agent: int
    message: int | None
    direct: Estimate
    total: Estimate


def agents(found: Chains, sampled: Sampled, most: int = MOST) -> tuple[Influence, ...]:
    """The agents with the most expected descendants, most first."""
    agent = found.cases["agent"].to_numpy(np.int64)
    source, _ = found.ends
    direct = np.bincount(source, found.links["probability"].to_numpy(np.float64), minlength=len(agent))
    total = expected_descendants(found)
    top = [k for k in np.lexsort((agent, -direct, -total))[:most].tolist() if total[k] > 0]
    if not top:
        return ()
    below = descendants(sampled)[:, top]
    caused = np.array([(sampled.parent == k).sum(axis=1) for k in top]).T
    told = []
    for at, k in enumerate(top):
        direct_k, total_k = _told(direct[k], caused[:, at], len(agent)), _told(total[k], below[:, at], len(agent))
        told.append(Influence(int(agent[k]), None, direct_k, total_k))
    return tuple(told)


def messages(found: Chains, sampled: Sampled, causes: pd.DataFrame, most: int = MOST) -> tuple[Influence, ...]:
    """The messages with the most expected cases below them, most first. causes: from `candidates`.

    Which message of a source did it is drawn too, in proportion to their probabilities.
    """
    agent = found.cases["agent"].to_numpy(np.int64)
    target = places(agent, causes["target"].to_numpy(np.int64))
    share = causes["probability"].to_numpy(np.float64)
    ids, which = np.unique(causes["message"].to_numpy(np.int64), return_inverse=True)
    direct = np.bincount(which, share, minlength=len(ids))
    total = np.bincount(which, share * (1 + expected_descendants(found)[target]), minlength=len(ids))
    top = [k for k in np.lexsort((ids, -direct, -total))[:most].tolist() if total[k] > 0]
    if not top:
        return ()
    below, source = descendants(sampled), places(agent, causes["source"].to_numpy(np.int64))
    linked = _linked(found, source, target)
    told = []
    for k in top:
        rows = np.flatnonzero(which == k)
        hit = sampled.parent[:, target[rows]] == source[rows]
        hit &= Streams(0).generator("sampled message", int(ids[k])).random(hit.shape) * linked[rows] < share[rows]
        drawn = hit.sum(axis=1), (hit * (1 + below[:, target[rows]])).sum(axis=1)
        both = [_told(of[k], values, len(agent)) for of, values in zip((direct, total), drawn, strict=True)]
        told.append(Influence(int(agent[source[rows[0]]]), int(ids[k]), *both))
    return tuple(told)


def _linked(found: Chains, source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability of the link that each candidate message (m,) belongs to."""
    size, ends = len(found.cases), found.ends
    key = ends[0] * size + ends[1]
    order = np.argsort(key)
    probability = found.links["probability"].to_numpy(np.float64)[order]
    return np.asarray(probability[np.searchsorted(key[order], source * size + target)])


def _told(expected: float, sampled: NDArray[np.int64], cases: int) -> Estimate:
    low, high = np.quantile(sampled, (0.025, 0.975), method="inverted_cdf")
    value = float(expected)
    return Estimate(value, min(float(low), value), max(float(high), value), METHOD, cases)
