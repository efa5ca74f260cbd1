"""Affect over time, as the observer read it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagium.sim.analysis.spread.epidemic import last_step
from contagium.sim.log import Run


def affect_curves(run: Run) -> dict[str, pd.DataFrame]:
    """Axis → mean and standard deviation over the messages of each step, and how many were read.

    Index: step, from 0 to the last one done; NaN (messages 0) where nothing was read. Columns: mean, sd, messages; attribute
    `instrument`. Where several instruments read an axis, the one logged first counts. An axis that was never read is left out.
    """
    table = run.affect
    steps = pd.RangeIndex(last_step(run) + 1, name="step")
    curves = {}
    for axis in table["axis"].drop_duplicates():
        rows = table[table["axis"] == axis]
        instrument = rows["instrument"].iloc[0]
        curve = rows[rows["instrument"] == instrument].set_index("step")[["mean", "sd", "messages"]].reindex(steps)
        curve["messages"] = curve["messages"].fillna(0).astype(np.int64)
        curve.attrs["instrument"] = instrument
        curves[str(axis)] = curve
    return curves
