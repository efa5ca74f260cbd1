"""Trees drawn together with the dispersion of secondary cases: who has caused many is the likelier source of one more.

Drawing each source by its candidates' probabilities alone spreads cases evenly over candidates, which hides how uneven
transmission is: k comes out too large. Here a case's source is drawn given all others, a candidate that caused c counting
(k + c) / (k + e) times its probability, e being what it would cause on average as long as it was followed; k is drawn in turn
from its likelihood given the tree (Gibbs sampling with data augmentation, Tanner & Wong 1987; the gamma–Poisson mixture of
Lloyd-Smith et al. 2005).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contagium.envs.compiled import compiled
from contagium.envs.rng import Streams
from contagium.sim.analysis.trees.forest import CERTAIN, Sampled, sample
from contagium.sim.analysis.trees.offspring import Counts
from contagium.sim.analysis.trees.tree import Chains

BURN_IN = 30
TREES = 100
"""Trees at most."""

FEW = 100
"""Fewer cases with a choice of sources are not worth loading a compiler."""

GRID = np.geomspace(0.05, 100, 40)
"""The dispersions that are drawn."""


def jointly(found: Chains, last: int, window: int, cohort: NDArray[np.bool_]) -> Sampled:
    """Trees like those of `forest.sample`, drawn with k. cohort: (n,), cases whose secondary cases in `window` steps tell k."""
    begun = sample(found)
    if begun.certain:
        return begun
    agent, share = found.cases["agent"].to_numpy(np.int64), found.links["probability"].to_numpy(np.float64)
    source, target = found.ends
    free = np.flatnonzero(np.bincount(target, share < CERTAIN, minlength=len(agent)) > 0)
    order = np.argsort(target, kind="stable")
    start, end = (np.searchsorted(target[order], free, side=side) for side in ("left", "right"))
    seen = cohort & (begun.onset + window <= last)
    expected = _expected(begun.onset, source, target, share, last)
    draw, redraw = Streams(0).generator("joint trees"), compiled(_redraw) if len(free) > FEW else _redraw
    near = np.append(begun.onset[target] - begun.onset[source] <= window, False)
    link, caused = begun.link[0].copy(), np.append(source, -1)
    count = np.bincount(source[link[link >= 0]], minlength=len(agent))
    k, kept = 1.0, begun.link[:TREES].copy()
    for sweep in range(-BURN_IN, len(kept)):
        redraw(link, count, free, start, end, order, source, share, expected, k, draw.random(len(free)))
        within = caused[link[near[link]]]
        k = _draw(Counts.of(np.bincount(within, minlength=len(agent))[seen]), draw) if seen.any() else k
        if sweep >= 0:
            kept[sweep] = link
    return replace(begun, link=kept, parent=caused[kept].astype(np.int32))


def _expected(
    onset: NDArray[np.int64], source: NDArray[np.int64], target: NDArray[np.int64], share: NDArray[np.float64], last: int
) -> NDArray[np.float64]:
    """Mean secondary cases of a case that was followed for as long as each (n,) was, by the intervals that were seen."""
    steps = onset[target] - onset[source]
    reached = np.bincount(steps, share, minlength=last + 3).cumsum() / share.sum()
    followed = reached[np.clip(last - onset, 0, last + 2)]
    return np.asarray(followed * share.sum() / followed.sum())


def _draw(counts: Counts, draw: np.random.Generator) -> float:
    """A dispersion from its likelihood at the mean there is."""
    fit = counts.log_likelihood(np.array([max(counts.mean, 1e-6)]), GRID)[0, 0]
    weight = np.exp(fit - fit.max()).cumsum()
    return float(GRID[np.searchsorted(weight, draw.random() * weight[-1])])


def _redraw(
    link: NDArray[np.int32],
    count: NDArray[np.int64],
    free: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    order: NDArray[np.int64],
    source: NDArray[np.int64],
    share: NDArray[np.float64],
    expected: NDArray[np.float64],
    k: float,
    unit: NDArray[np.float64],
) -> None:
    """Draw the link (n,) of each free case anew, one after the other, and keep count (n,) of what each source caused.

    start, end: of its candidates among `order`, rows of source and share. unit: a draw in [0, 1) for each.
    """
    for i in range(len(free)):
        case = free[i]
        if link[case] >= 0:
            count[source[link[case]]] -= 1
        total, known = 0.0, 0.0
        for j in range(start[i], end[i]):
            row = order[j]
            known += share[row]
            total += share[row] * (k + count[source[row]]) / (k + expected[source[row]])
        left = unit[i] * (total + max(1 - known, 0.0))
        link[case] = -1 if known < 1 - 1e-9 else order[end[i] - 1]
        for j in range(start[i], end[i]):
            row = order[j]
            left -= share[row] * (k + count[source[row]]) / (k + expected[source[row]])
            if left < 0:
                link[case] = row
                break
        if link[case] >= 0:
            count[source[link[case]]] += 1
