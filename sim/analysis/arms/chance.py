"""How often chance alone would do as much: permutation tests, and p-values corrected for how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations, permutations
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.arms.intervals import NOUGHT, Floats

MOST_EXACT = 20_000
"""Arrangements of runs up to which all of them are looked at."""

DRAWN, DRAWN_TRENDS = 9_999, 1_999
"""Arrangements drawn where there are more."""

SLACK = 1 - 1e-9
"""Arrangements that tie but for rounding count as ties."""


@dataclass(frozen=True)
class Chance:
    """p: two-sided, never 0. least: the smallest p that runs so few could have given. method: exact, or how many were drawn."""

    p: float
    least: float
    method: str


def unpaired(values: Floats, baseline: Floats, rng: np.random.Generator) -> Chance:
    """Runs (n,) and (m,) put into arms at random; statistic: Welch's t, so that unequal spreads do not pass for unequal means
    (Janssen 1997)."""
    n, both = len(values), np.concatenate([values, baseline])
    ways = comb(len(both), n)
    if ways <= MOST_EXACT:
        places = np.fromiter(chain.from_iterable(combinations(range(len(both)), n)), np.int64).reshape(-1, n)
        # The first of all combinations is the arrangement seen.
        return _exact(_welch(both, places), 2 if n == len(baseline) else 1)
    order = rng.permuted(np.tile(np.arange(len(both)), (DRAWN, 1)), axis=1)[:, :n]
    return _drawn(_welch(both, np.concatenate([np.arange(n)[None], order])))


def _welch(both: Floats, places: NDArray[np.int64]) -> Floats:
    """|t| for each choice of places (w, n) of the first arm, (w,); infinite where neither arm varies, but they differ."""
    n, total, squares = places.shape[1], both.sum(), (both**2).sum()
    m, first = len(both) - places.shape[1], both[places]
    one, one_squares = first.sum(axis=1), (first**2).sum(axis=1)
    gap = np.abs(one / n - (total - one) / m)
    spread = np.maximum(one_squares - one**2 / n, 0) / max(n * (n - 1), 1)
    spread += np.maximum(squares - one_squares - (total - one) ** 2 / m, 0) / max(m * (m - 1), 1)
    scale = max(float(np.abs(both).max()), NOUGHT)
    gap[gap < 1e-9 * scale] = 0
    error = np.sqrt(spread)
    error[error < 1e-7 * scale] = 0
    return np.divide(gap, error, out=np.where(gap > 0, np.inf, 0.0), where=error > 0)


def paired(differences: Floats, rng: np.random.Generator) -> Chance:
    """Differences of pairs (n,), each with its sign turned or not at random; statistic: their sum."""
    n = len(differences)
    if 2**n <= MOST_EXACT:
        turned = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return _exact(np.abs((1 - 2 * turned) @ differences), 2)
    signs = rng.choice((-1.0, 1.0), size=(DRAWN, n))
    return _drawn(np.abs(np.concatenate([np.ones((1, n)), signs]) @ differences))


def events(happened: Floats, baseline: Floats) -> Chance:
    """Of 0 and 1, (n,) and (m,): Fisher's exact test, which is the permutation test of such data."""
    from scipy.stats import fisher_exact

    a, b, n, m = int(happened.sum()), int(baseline.sum()), len(happened), len(baseline)
    return Chance(float(fisher_exact([[a, n - a], [b, m - b]]).pvalue), (1 + (n == m)) / comb(n + m, n), "exact (Fisher)")


def paired_events(happened: Floats, baseline: Floats) -> Chance:
    """Of pairs of 0 and 1, both (n,): McNemar's test, exact."""
    from scipy.stats import binomtest

    up, down = int((happened > baseline).sum()), int((happened < baseline).sum())
    p = float(binomtest(up, up + down).pvalue) if up + down else 1.0
    return Chance(p, min(2.0 ** (1 - len(happened)), 1.0), "exact (McNemar)")


def trend(doses: Floats, values: Floats, rng: np.random.Generator) -> Chance:
    """Does an outcome rise, or fall, all along with the dose? Both (n,). Jonckheere–Terpstra, doses given to runs at random.

    Statistic: pairs of runs of different doses in which the outcome rises, less those in which it falls; ties count nothing.
    """
    n = len(doses)
    if factorial(n) <= MOST_EXACT:
        orders = np.array(list(permutations(range(n))))
        return _exact(np.abs(_rises(doses, values, orders)), 2)
    orders = np.concatenate([np.arange(n)[None], rng.permuted(np.tile(np.arange(n), (DRAWN_TRENDS, 1)), axis=1)])
    return _drawn(np.abs(_rises(doses, values, orders)))


def _rises(doses: Floats, values: Floats, orders: NDArray[np.int64]) -> Floats:
    """The statistic for each order (w, n) of the values."""
    first, second = np.nonzero(doses[:, None] < doses)
    sign = np.sign(values[None] - values[:, None]).astype(np.int8)
    part = max(1, 20_000_000 // max(len(first), 1))
    parts = [
        sign[o[:, first], o[:, second]].sum(axis=1, dtype=np.int64) for o in np.split(orders, range(part, len(orders), part))
    ]
    return np.concatenate(parts).astype(np.float64)


def _exact(found: Floats, extreme: int) -> Chance:
    """found: of every arrangement, the one seen first. extreme: how many share the largest value at the least."""
    return Chance(float((found >= found[0] * SLACK).mean()), extreme / len(found), f"exact, {len(found):,} arrangements")


def _drawn(found: Floats) -> Chance:
    """found: of the arrangement seen, then of those drawn."""
    p = float((found >= found[0] * SLACK).mean())
    return Chance(p, 1 / len(found), f"{len(found) - 1:,} arrangements drawn")


def corrected(p: Sequence[float]) -> tuple[list[float], list[float]]:
    """For each of these p-values, Holm's (1979), which bounds the chance of any false alarm, and the q of Benjamini & Hochberg
    (1995), which bounds the expected share of false ones among those called."""
    from statsmodels.stats.multitest import multipletests

    if not p:
        return [], []
    holm, q = (multipletests(p, method=method)[1] for method in ("holm", "fdr_bh"))
    return holm.tolist(), q.tolist()
