"""Shares of what did happen among what could have, their differences, and p-values of several tests together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.observer.agreement import share

Floats = NDArray[np.float64]

NEWCOMBE = "Newcombe"


def proportion(happened: Floats) -> Estimate:
    """The share of replicates (n,) of 0 and 1 in which something happened; Wilson's interval (1927)."""
    found = share(int(happened.sum()), len(happened))
    return Estimate(found.value, found.low, found.high, "Wilson", found.n, None if found.n else "no run has it")


def proportion_difference(happened: Floats, baseline: Floats) -> Estimate:
    """Of shares of replicates (n,) and (m,) of 0 and 1. Interval: Newcombe 1998, his method 10, from Wilson's of both."""
    n = len(happened) + len(baseline)
    if not len(happened) or not len(baseline):
        return unknown("no run has it", n)
    return _square_and_add(happened, baseline, 0.0, n, NEWCOMBE)


def paired_proportion_difference(happened: Floats, baseline: Floats) -> Estimate:
    """As above, pair by pair, both (n,). Interval: Newcombe 1998 ("paired data"), his method 10."""
    n = len(happened)
    if not n:
        return unknown("no run has it", n)
    both, neither = float((happened * baseline).sum()), float(((1 - happened) * (1 - baseline)).sum())
    first, second = float((happened * (1 - baseline)).sum()), float(((1 - happened) * baseline).sum())
    cross = both * neither - first * second
    below = (both + first) * (second + neither) * (both + second) * (first + neither)
    # A positive correlation is taken as a little smaller than seen: continuity correction of the source.
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / np.sqrt(below) if below else 0.0
    return _square_and_add(happened, baseline, float(phi), n, f"{NEWCOMBE} of pairs")


def _square_and_add(first: Floats, second: Floats, phi: float, n: int, method: str) -> Estimate:
    a, b = share(int(first.sum()), len(first)), share(int(second.sum()), len(second))
    # Both have a number: neither is empty.
    p, q = float(a.value or 0), float(b.value or 0)
    down, up = (p - float(a.low or 0), float(b.high or 0) - q), (q - float(b.low or 0), float(a.high or 0) - p)
    reach = [float(np.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))) for x, y in (down, up)]
    return Estimate(p - q, p - q - reach[0], p - q + reach[1], method, n)


def holm(p: Sequence[float | None]) -> tuple[float | None, ...]:
    """p-values that hold for all that could be told, together (Holm 1979)."""
    known = sorted((value, k) for k, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    least = 0.0
    for place, (value, k) in enumerate(known):
        adjusted[k] = least = max(least, min(1.0, (len(known) - place) * value))
    return tuple(adjusted)
