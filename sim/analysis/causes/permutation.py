"""Who heard it, and who is next: inboxes exchanged among those at risk in the same step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from contagium.sim.analysis.blind.uptake import risk_ratio
from contagium.sim.analysis.causes.evidence import Bools, Evidence, Floats, Ints
from contagium.sim.analysis.estimate import Estimate, unknown

FEW = 5
"""Onsets that could have told something, under which nothing is tested."""

CELLS = 4_000_000
"""Draws held in memory at once."""

TIES = 1e-9  # sums that differ by less, for they were added up in another order, are equal


@dataclass(frozen=True)
class Finding:
    """One test. p: one-sided, None where nothing can be told, for a `reason`. observed: its statistic; null: (R,) the same where
    the null hypothesis holds. n: what it rests on. words: the effect as people read it.
    """

    name: str
    p: float | None
    observed: float = float("nan")
    null: Floats = field(default_factory=lambda: np.empty(0))
    n: int = 0
    words: str = ""
    reason: str = ""


def finding(name: str, observed: float, null: Floats, n: int, words: str) -> Finding:
    """A test whose p counts draws that reach what was observed, itself among them: never 0 (Phipson & Smyth 2010)."""
    p = (1 + int((null >= observed - TIES).sum())) / (1 + len(null))
    return Finding(name, p, float(observed), null, n, words)


def untold(name: str, reason: str, n: int = 0) -> Finding:
    return Finding(name, None, n=n, reason=reason)


def heard_more(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """Had those with an onset heard more of the strain than the others at risk in the same step?

    Statistic: over onsets, log(1 + dose) less what the others of the stratum, and the size of the inbox, let expect. The score
    of a log-rank test with a covariate that changes (Mantel 1966; Cox 1972). Null: within a stratum the inboxes are exchanged,
    whole, so that nobody hears itself. Keeps its level under shocks that a stratum shares; not under homophily.
    """
    return _tested("heard more than others at risk", of, of.heard, of.inbox, permutations, rng)


def heard_by_chance(of: Evidence, permutations: int, rng: np.random.Generator) -> Finding:
    """The same of that alone which the world drew for an agent at random, from what anybody said to whom it has no tie.

    A natural experiment: neither likeness nor shocks decide what is drawn. It is a little cautious under homophily, for who
    has many cases among its ties has fewer among all others.
    """
    name = "heard more by chance"
    if not of.chance.any():
        return untold(name, "nobody was shown messages drawn at random from everybody")
    inbox = of.before(of.hearer, of.chance.astype(np.float64))
    return _tested(name, of, of.before(of.hearer, of.dose * of.chance), inbox, permutations, rng)


def _tested(name: str, of: Evidence, heard: Floats, inbox: Ints | Floats, permutations: int, rng: np.random.Generator) -> Finding:
    value = excess(of.strata, np.log1p(heard), np.log1p(inbox))
    observed, null, n = exchanged(of.strata, value, of.event, permutations, rng)
    if n < FEW:
        return untold(name, f"{n} onsets in steps in which some at risk had heard more than others: {FEW} are needed", n)
    ratio = hazard_ratio(of.strata, heard > 0, of.event)
    if ratio.value is not None:
        return finding(name, observed, null, n, f"{ratio.value:.1f} times as likely once heard")
    return finding(name, observed, null, n, f"{score(observed, null)}; no ratio: {ratio.reason}")


def score(observed: float, null: Floats) -> str:
    """A statistic without a unit in words, beside what 95% of its null distribution are."""
    low, high = np.quantile(null, [0.025, 0.975])
    return f"score {observed:z.2f}, by chance {null.mean():z.2f} ({low:z.2f} to {high:z.2f})"


def excess(strata: Ints, value: Floats, inbox: Floats) -> Floats:
    """`value` (rows,) less its least-squares line on the size of the inbox within each stratum."""
    value, inbox = _centred(strata, value), _centred(strata, inbox)
    over = np.bincount(strata, inbox * inbox).astype(float)  # of no rows at all the sums would be whole numbers
    slope = np.divide(np.bincount(strata, inbox * value), over, out=np.zeros_like(over), where=over > TIES)
    left = value - slope[strata] * inbox
    left[np.abs(left) < TIES] = 0.0
    return left


def _centred(strata: Ints, value: Floats) -> Floats:
    return value - (np.bincount(strata, value) / np.bincount(strata))[strata]


def exchanged(
    strata: Ints, value: Floats, event: Bools, permutations: int, rng: np.random.Generator
) -> tuple[float, Floats, int]:
    """The sum of `value` over events, the same for events drawn at random from each stratum (R,), and how many events tell.

    Strata without event, with nothing but events or in which all values are equal tell nothing.
    """
    count = np.bincount(strata)
    events = np.bincount(strata, event)
    tells = (events > 0) & (events < count) & (np.bincount(strata, np.abs(value)) > 0)
    rows = np.flatnonzero(tells[strata])
    rows = rows[np.argsort(strata[rows], kind="stable")]
    null = np.zeros(permutations)
    for part in np.split(rows, np.flatnonzero(np.diff(strata[rows])) + 1) if len(rows) else ():
        drawn, at_once = int(event[part].sum()), max(1, CELLS // len(part))
        for start in range(0, permutations, at_once):
            some = null[start : start + at_once]
            keys = rng.random((len(some), len(part)), dtype=np.float32)
            some += value[part][np.argpartition(keys, drawn - 1, axis=1)[:, :drawn]].sum(axis=1)
    return float(value[rows] @ event[rows]), null, int(event[rows].sum())


def hazard_ratio(strata: Ints, heard: Bools, event: Bools, method: str = "Mantel–Haenszel, by step") -> Estimate:
    """How many times likelier an onset is in a step for who had heard, with the interval of Greenland & Robins (1985).

    Half an onset is added on either side in a stratum of two, so that the ratio stays finite.
    """
    n, n1 = np.bincount(strata).astype(float), np.bincount(strata, heard)
    d, a = np.bincount(strata, event), np.bincount(strata, heard & event)
    n0, b = n - n1, d - a
    tells = (n0 > 0) & (n1 > 0) & (d > 0)  # among them no stratum of nobody
    n, n1, d, a, n0, b = (column[tells] for column in (n, n1, d, a, n0, b))
    onsets = int(d.sum())
    if onsets < FEW:
        reason = f"{onsets} onsets in steps in which some at risk had heard it and some had not: {FEW} are needed"
        return unknown(reason, onsets, method)
    parts = np.stack([a * n0 / n, b * n1 / n, (n1 * n0 * d - a * b * n) / n**2])
    value, low, high = risk_ratio(parts.sum(axis=1))
    return Estimate(float(value), float(low), float(high), method, onsets)


def attributable(strata: Ints, heard: Bools, event: Bools) -> Estimate:
    """The share of all onsets that would not have been without what was heard, were all of the ratio its effect.

    Share of onsets after hearing × (1 − 1/ratio) (Miettinen 1974); the interval is that of the ratio, and 0 where that holds 1.
    """
    method = "Miettinen, from the Mantel–Haenszel ratio"
    ratio = hazard_ratio(strata, heard, event)
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return unknown(str(ratio.reason), ratio.n, method)
    after = float(heard[event].mean())
    value, low, high = (after * max(0.0, 1 - 1 / r) for r in (ratio.value, ratio.low, ratio.high))
    return Estimate(value, low, high, method, int(event.sum()))
