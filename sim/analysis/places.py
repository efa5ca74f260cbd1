"""Where ids stand: what a join of data frames does, for millions of them in a tenth of the time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SPARSE = 4
"""Ids up to so many times their number are looked up in a table, others are searched."""


def places(keys: Ints, wanted: Ints) -> Ints:
    """The place in `keys` (n,) of each of `wanted` (m,), −1 for one that is not there and for negative ones. Shape (m,).

    keys: different from each other, but for negative ones, which stand for none.
    """
    most = max(int(keys.max(initial=-1)), int(wanted.max(initial=-1)))
    known = np.flatnonzero(keys >= 0)
    if most <= SPARSE * (len(keys) + len(wanted)):
        place = np.full(most + 2, -1)  # the last is what −1 points at
        place[keys[known]] = known
        return place[np.maximum(wanted, -1)]
    order = known[np.argsort(keys[known])]
    if not len(order):
        return np.full(len(wanted), -1)
    at = order[np.minimum(np.searchsorted(keys[order], wanted), len(order) - 1)]
    return np.where(keys[at] == wanted, at, -1)
