"""What a world says came of acts, and what interventions did: counted, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.arms.feelings import DISTRESS, OPEN
from contagium.sim.analysis.arms.seen import Seen, UndefinedError
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.tables import Table, number
from contagium.sim.observer.agreement import share
from contagium.sim.reading import Run

CLUSTERED = "ratio, by agents"
FEWEST = 3
"""Agents without which no interval is given."""


def outcomes(run: Run) -> pd.DataFrame:
    """What the world of a run reports (table `outcome`), one row a name.

    Columns: name; agents and turns it concerned, everybody counted; mean, over these turns; low and high, the 95% interval from
    agents logged in detail, who are taken as independent of each other though they talk; reason, where there is none.
    """
    totals = run.table("outcome_sum").groupby("name", sort=True)[["agents", "total"]].sum()
    told = run.table("outcome")
    rows = []
    for name, turns, total in totals.itertuples():
        mine = told[told["name"] == name]
        per_agent = mine.groupby("agent")["value"].agg(["sum", "count"])
        counts = (per_agent["sum"].to_numpy(np.float64), per_agent["count"].to_numpy(np.float64))
        found = ratio(*counts, shares=bool(mine["value"].isin((0, 1)).all()))
        rows.append((name, len(per_agent), int(turns), total / turns, found.low, found.high, found.reason))
    return pd.DataFrame(rows, columns=["name", "agents", "turns", "mean", "low", "high", "reason"])


def ratio(total: NDArray[np.float64], count: NDArray[np.float64], shares: bool = False) -> Estimate:
    """Σ total / Σ count over clusters (n,), with its 95% interval; Wilson's (1927), by clusters, where it is 0 or 1 throughout.

    shares: what is added up is 0 or 1 each time, so that the interval is Wilson's, and stays within 0 and 1, for as many
    independent turns as would have the same error, and no more than there are.
    Sources: Cochran 1977, the ratio estimator of cluster sampling; Student's t with n − 1 degrees of freedom; Dean & Pagano 2015,
    Wilson's interval with an effective number.
    """
    from scipy.special import stdtrit

    n = len(total)
    if n < FEWEST:
        return unknown(f"fewer than {FEWEST} agents", n, CLUSTERED)
    value = float(total.sum() / count.sum())
    if np.all(total == 0) or np.array_equal(total, count):
        found = share(n if value else 0, n)
        return Estimate(value, found.low, found.high, "Wilson, by agents", n)
    error = float(np.sqrt(n / (n - 1) * ((total - value * count) ** 2).sum()) / count.sum())
    t = float(stdtrit(n - 1, 0.975))
    if not shares:
        return Estimate(value, value - t * error, value + t * error, CLUSTERED, n)
    worth = min(value * (1 - value) / error**2 if error else np.inf, float(count.sum()))
    middle, reach = value + t**2 / (2 * worth), t * (value * (1 - value) / worth + (t / (2 * worth)) ** 2) ** 0.5
    low, high = ((middle + side * reach) / (1 + t**2 / worth) for side in (-1, 1))
    return Estimate(value, low, high, CLUSTERED, n)


def distressed(run: Run, strain: str) -> Estimate:
    """Share of the messages logged in detail whose distress reads `OPEN` or more, of those that have a good reading."""
    try:
        read = Seen(run, strain).readings(DISTRESS) if DISTRESS in run.meta["axis_instruments"] else None
    except UndefinedError as error:
        return unknown(str(error), 0)
    if read is None:
        return unknown("distress is not measured", 0)
    per_agent = (read["value"] >= OPEN).groupby(read["agent"]).agg(["sum", "count"])
    total, count = (per_agent[name].to_numpy(np.float64) for name in ("sum", "count"))
    found = ratio(total, count, shares=True)
    return (
        found
        if found.value is not None
        else Estimate(float(total.sum() / count.sum()), None, None, CLUSTERED, len(total), found.reason)
    )


def interventions(run: Run) -> pd.DataFrame:
    """What interventions did: name, action, first and last step, agents it was done to, and how often."""
    done = run.table("intervention")
    found = done.groupby(["name", "action"], sort=False, observed=True).agg(
        first=("step", "min"), last=("step", "max"), agents=("agent", "nunique"), times=("step", "size")
    )
    return found.reset_index()


def tables(run: Run) -> list[Table]:
    """Both, as far as there is anything."""
    found = []
    if len(came := outcomes(run)):
        rows = tuple((row.name, _mean(row), f"{row.turns:,}", f"{row.agents:,}") for row in came.itertuples())
        says = (
            "By the world's own names: the mean over all agents and steps that it concerned, which is a share where it is 0 or 1 "
            "each time. The interval takes agents as independent, which those who talk to each other are not: compare runs."
        )
        found.append(Table("What came of acts", says, ("outcome", "mean (95% interval)", "turns", "agents"), rows))
    if len(done := interventions(run)):
        counts = tuple(
            (row.name, row.action, f"{row.first} to {row.last}", f"{row.agents:,}", f"{row.times:,}") for row in done.itertuples()
        )
        head = ("intervention", "did", "steps", "to agents", "times")
        says = "Deeds, counted. What holds for a while (instructed, pinned, clamped, cut) is counted as it begins."
        found.append(Table("What interventions did", says, head, counts))
    return found


def told(run: Run) -> dict[str, Any]:
    """For summary.json."""
    came = {
        row["name"]: {key: _plain(row[key]) for key in ("mean", "low", "high", "turns", "agents")}
        for row in outcomes(run).to_dict("records")
    }
    done: dict[str, dict[str, int]] = {}
    for row in interventions(run).to_dict("records"):
        done.setdefault(str(row["name"]), {})[str(row["action"])] = int(row["times"])
    return {"outcomes": came, "interventions": done}


def _mean(row: Any) -> str:
    low, high = _plain(row.low), _plain(row.high)
    return number(Estimate(row.mean, low, high, CLUSTERED, row.agents, row.reason if low is None else None))


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value
