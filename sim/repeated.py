"""Whether a run that is repeated repeats itself: new rows of its log held against those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import isclose
from typing import Any

from contagium.sim.packed import alike
from contagium.sim.schema import TIMES, columns

Row = Sequence[Any]


def difference(table: str, rows: Sequence[Row], held: Sequence[Row]) -> tuple[str, str] | None:
    """What the log holds and what came instead, of the first row that is not the same; None where all are."""
    kept = [k for k, name in enumerate(columns(table)) if name not in TIMES.get(table, ())]
    for new, old in zip_longest(rows, held):
        if new is None or old is None or not all(_same(new[k], old[k]) for k in kept):
            return _shown(old), _shown(new)
    return None


def _same(new: object, held: object) -> bool:
    """Whether two values are equal, but for what another version of a numerical library may do to the last digits."""
    if isinstance(new, float) and isinstance(held, float):
        return isclose(new, held, rel_tol=1e-5, abs_tol=1e-7)
    if isinstance(new, bytes) and isinstance(held, bytes):
        return alike(new, held)
    return new == held


def _shown(row: Row | None) -> str:
    if row is None:
        return "None"
    return str(tuple(f"{len(value)} bytes" if isinstance(value, bytes) else value for value in row))
