"""Epidemic curves of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contagium.sim.analysis.arms.intervals import Floats
from contagium.sim.analysis.arms.runs import Arm


@dataclass(frozen=True)
class Band:
    """The share of agents that are a case, by step (s,), over `runs` runs: mean, and the quantiles 2.5% and 97.5% of the runs."""

    arm: str
    runs: int
    step: Floats
    mean: Floats
    low: Floats
    high: Floats


def bands(arms: Sequence[Arm]) -> list[Band]:
    """Of the arms with a curve; a run counts in the steps it has, so one that was cut short says nothing of what it missed."""
    found = []
    for arm in arms:
        curves = [run.curve.rename(place) for place, run in enumerate(arm.runs) if len(run.curve)]
        if curves:
            table = pd.concat(curves, axis=1).sort_index()
            low, high = table.quantile(0.025, axis=1), table.quantile(0.975, axis=1)
            numbers = (table.index, table.mean(axis=1), low, high)
            found.append(Band(arm.name, len(curves), *(np.asarray(one, dtype=np.float64) for one in numbers)))
    return found
