"""Several judgements of the same text: kept each for itself, and combined by their median, never just averaged away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contagium.sim.observer.instrument import Channel, Readings

TOO_FEW = "too few judges"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judgement of a text says on the columns of a section.

    values: (K,), None where it failed, for the reason given. quotes: column → the words of the text that bear its value out.
    """

    values: tuple[float, ...] | None
    quotes: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def median(verdicts: Sequence[Verdict], columns: Sequence[str]) -> Verdict:
    """The median of those that did not fail, with the quotation of the judgement nearest to it.

    Fails when fewer than half answered: with the reason they share, or with `TOO_FEW`.
    """
    good = [verdict for verdict in verdicts if verdict.values is not None]
    if not good or 2 * len(good) < len(verdicts):
        reasons = {verdict.reason for verdict in verdicts if verdict.values is None}
        return Verdict(None, reason=reasons.pop() if len(reasons) == 1 and not good else TOO_FEW)
    values = np.array([verdict.values for verdict in good])
    middle = np.median(values, axis=0)
    quotes = {}
    for k, column in enumerate(columns):
        nearest = (good[row].quotes for row in np.argsort(np.abs(values[:, k] - middle[k]), kind="stable"))
        found = next((given[column] for given in nearest if column in given), None)
        if found is not None and middle[k] > 0:
            quotes[column] = found
    return Verdict(tuple(middle.tolist()), quotes)


def spread(verdicts: Sequence[Verdict]) -> Verdict:
    """The distance between the highest and the lowest judgement on each column, of two or more that answered."""
    good = [verdict.values for verdict in verdicts if verdict.values is not None]
    if len(good) < 2:
        raise ValueError(f"a spread needs two judgements, got {len(good)}")
    return Verdict(tuple(np.ptp(np.array(good), axis=0).tolist()))


def as_readings(
    instrument: str, channel: Channel, ids: NDArray[np.int64], columns: tuple[str, ...], verdicts: Sequence[Verdict]
) -> Readings:
    """The verdicts on n subjects as readings of an instrument on a channel."""
    missing = (np.nan,) * len(columns)
    rows = [missing if verdict.values is None else verdict.values for verdict in verdicts]
    values = np.array(rows, dtype=np.float32).reshape(len(ids), len(columns))
    ok = np.array([verdict.values is not None for verdict in verdicts], dtype=bool)
    reasons = {row: verdict.reason for row, verdict in enumerate(verdicts) if verdict.values is None}
    quotes = {(row, column): quote for row, verdict in enumerate(verdicts) for column, quote in verdict.quotes.items()}
    return Readings(instrument, channel, ids, columns, values, ok, reasons, quotes)
