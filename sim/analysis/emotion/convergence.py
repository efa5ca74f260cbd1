"""Do those who hear each other grow more alike than those who do not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel, distinct
from contagium.sim.analysis.estimate import Estimate, unknown

FEWEST_AGENTS = 8
FEWEST_STEPS = 6
FEWEST_PAIRS = 8
MOST_AGENTS = 3_000
"""Of more agents of a run that many are drawn, and the pairs among them compared."""

RELABELLINGS = 999
WORK = 20_000_000
"""Differences taken in all relabellings together: on a network of many ties there are fewer of these, though at least 99."""

METHOD = "change of distance, pairs that hear each other less pairs that do not; error over pairs with an agent in common"


@dataclass(frozen=True)
class Convergence:
    """change: of |x(i) − x(j)| from the first to the last third of the run, in pairs that hear each other less in those that do
    not: below 0 they grow alike. p: that it is 0; the larger of the share of relabelled networks with a change as far from 0 and
    of Student's t, as neighbours alike from the start make the former too small. None without an estimate.
    """

    axis: str
    change: Estimate
    p: float | None
    pairs: int


@dataclass(frozen=True)
class _Part:
    """One run: agents' means in the first and last third (n,), low and high ends of pairs that hear each other (e,).

    ties: (n,) how many of these an agent is in. all: (n,) sum of the changes of distance over all its pairs, tied or not.
    """

    early: Floats
    late: Floats
    low: Ints
    high: Ints
    ties: Ints
    all: Floats


def convergence(panels: Sequence[Panel]) -> Convergence:
    """Panels of one measure. Homophily alone, neighbours alike from the start, changes nothing and does not count.

    p: agents change places in the network, each with its own course of affect (Krackhardt 1988), each run by itself.
    """
    parts = [part for part in map(_part, panels) if part is not None]
    agents, pairs = sum(len(part.early) for part in parts), sum(len(part.low) for part in parts)
    others = sum(len(part.early) * (len(part.early) - 1) // 2 for part in parts) - pairs
    axis = panels[0].axis
    if agents < FEWEST_AGENTS or min(pairs, others) < FEWEST_PAIRS:
        reason = (
            f"too few to say: {agents} agents with readings in the first and the last third of {FEWEST_STEPS} steps or more, "
            f"{pairs} pairs that hear each other and {others} that do not; {FEWEST_AGENTS} and {FEWEST_PAIRS} each are needed"
        )
        return Convergence(axis, unknown(reason, pairs, METHOD), None, pairs)
    value, error = _change(parts, [np.arange(len(part.early)) for part in parts])
    if error == 0:
        return Convergence(axis, unknown("no distance changes: affect is constant", pairs, METHOD), None, pairs)
    from scipy.special import stdtr, stdtrit

    reach = float(stdtrit(agents - 1, 0.975) * error)
    p = max(
        _p(parts, value / error, panels[0].streams.generator("convergence")), float(2 * stdtr(agents - 1, -abs(value) / error))
    )
    return Convergence(axis, Estimate(value, value - reach, value + reach, METHOD, pairs), p, pairs)


def _part(panel: Panel) -> _Part | None:
    size, steps = panel.shape
    if steps < FEWEST_STEPS or not size:
        return None
    third = steps // 3
    early, late = _means(panel.own[:, :third]), _means(panel.own[:, -third:])
    known = np.isfinite(early) & np.isfinite(late)
    if (having := np.flatnonzero(known)).size > MOST_AGENTS:
        known[:] = False
        known[panel.streams.generator("convergence agents").choice(having, MOST_AGENTS, replace=False)] = True
    hearer, source = panel.pairs()
    both = known[hearer] & known[source]
    place = np.cumsum(known) - 1
    low, high = place[np.minimum(hearer, source)[both]], place[np.maximum(hearer, source)[both]]
    codes = distinct(low * size + high)
    low, high, early, late = codes // size, codes % size, early[known], late[known]
    ties = np.bincount(np.r_[low, high], minlength=len(early))
    return _Part(early, late, low, high, ties, _distances(late) - _distances(early))


def _means(table: Floats) -> Floats:
    """Mean of the good values in each row, NaN where there are none."""
    good = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(good, table, 0.0).sum(axis=1) / good.sum(axis=1)
    return mean


def _change(parts: Sequence[_Part], places: Sequence[Ints]) -> tuple[float, float]:
    """The change, and its standard error, with agents of each run at these places of its network.

    The error adds up what pairs with an agent in common have in common (Aronow, Samii & Assenova 2015).
    """
    tied, ties, apart, pairs, squares = [], [], [], [], 0.0
    moved = []
    for part, place in zip(parts, places, strict=True):
        size, early, late = len(part.early), part.early[place], part.late[place]
        change = np.abs(late[part.low] - late[part.high]) - np.abs(early[part.low] - early[part.high])
        moved.append(change)
        tied.append(np.bincount(part.low, change, minlength=size) + np.bincount(part.high, change, minlength=size))
        ties.append(part.ties)
        apart.append(part.all[place] - tied[-1])
        pairs.append(size - 1 - part.ties)
    t, k, a, u = (np.concatenate(of) for of in (tied, ties, apart, pairs))
    number, others = k.sum() / 2, u.sum() / 2
    mean, other = t.sum() / 2 / number, a.sum() / 2 / others
    each = (t - k * mean) / number - (a - u * other) / others
    squares = float(np.square(np.concatenate(moved) - mean).sum()) / number**2
    size = len(each)
    variance = max(float(each @ each) - squares, squares)
    return float(mean - other), (variance * size / (size - 1)) ** 0.5


def _distances(x: Floats) -> Floats:
    """Σ |x(i) − x(j)| over all others j, for each i, without looking at every pair."""
    order = np.argsort(x)
    ranked, size = x[order], len(x)
    below = np.concatenate([[0.0], np.cumsum(ranked)])
    rank = np.arange(size)
    found = np.empty(size)
    found[order] = ranked * (2 * rank - size) + below[-1] - 2 * below[rank]
    return found


def _p(parts: Sequence[_Part], ratio: float, rng: np.random.Generator) -> float:
    """Share of relabelled networks whose change is as many of its standard errors from 0.

    As a ratio, for homophily makes pairs that hear each other unlike others (after Chung & Romano 2013).
    """
    rounds = int(np.clip(WORK // sum(len(part.low) + len(part.early) for part in parts), 99, RELABELLINGS))
    beyond = 0
    for _ in range(rounds):
        value, error = _change(parts, [rng.permutation(len(part.early)) for part in parts])
        beyond += int(abs(value) >= abs(ratio) * error * (1 - 1e-12))
    return (1 + beyond) / (1 + rounds)
