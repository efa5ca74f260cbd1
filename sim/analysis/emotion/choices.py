"""How affect bears on choices, window by window of a run: what learning or selection does to that link."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagium.agents.strategies import fitted_slope
from contagium.sim.analysis.spread.epidemic import last_step
from contagium.sim.log import LogError, Run


def felt_choices(run: Run) -> pd.DataFrame:
    """Valid choices of the agents logged in detail, each with the valence that the agent showed as it made it.

    Columns: step, agent, choice (its place on the world's list), valence. A choice without a good reading of the message of the
    same turn, as of an agent that was silent, is left out. LogError: the run's world offers nothing to choose.
    """
    names = run.meta.get("choices") or []
    if not names:
        raise LogError(f"{run.path}: its world offers nothing to choose")
    chosen = run.table("choice").dropna(subset=["choice"])
    shown = run.messages.rename(columns={"sender": "agent"})
    both = chosen.merge(shown[["step", "agent", "valence"]].dropna(), on=["step", "agent"])
    return both.assign(choice=both["choice"].map(names.index).astype(np.int64))


def choice_slopes(run: Run, window: int = 10) -> pd.DataFrame:
    """The slope of choices on valence in each `window` of steps: what a unit of valence adds to the log-odds of a choice against
    the one before it on the world's list, as `fitted_slope` estimates it.

    Columns: first and last step, slope, error (its standard error; NaN both where there is no estimate), choices it rests on.
    The error takes choices as independent: agents that differ, and choose again and again, make it too small; repeats with other
    seeds tell. Valence is as shown, so where expressiveness varies among agents the slope is flatter than on what they felt.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1 step, got {window}")
    felt, last = felt_choices(run), last_step(run)
    rows = []
    for first in range(0, last + 1, window):
        here = felt[felt["step"].between(first, first + window - 1)]
        slope, error = fitted_slope(here["choice"].to_numpy(np.int64), here["valence"].to_numpy(np.float64))
        rows.append((first, min(first + window - 1, last), slope, error, len(here)))
    return pd.DataFrame(rows, columns=["first", "last", "slope", "error", "choices"])
