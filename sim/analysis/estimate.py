"""What every statistic of the analysis says: a number with its interval, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval. n: what it rests on, mostly cases. reason: why there is no value, which is then None."""

    value: float | None
    low: float | None
    high: float | None
    method: str
    n: int
    reason: str | None = None


def unknown(reason: str, n: int, method: str = "") -> Estimate:
    """An estimate that cannot be given, and why."""
    return Estimate(None, None, None, method, n, reason)
