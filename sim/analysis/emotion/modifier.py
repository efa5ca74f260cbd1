"""Does how an agent feels change how readily it takes a persona up?

A discrete-time proportional hazard over turns that follow the hearing of the persona: P(case) = 1 − exp(−exp(η)), η linear in
the log of the dose heard since the turn before (Prentice & Gloeckler 1978). Dose and affect are of one and the same step: a dose
summed over a longer window stands for surviving, too, as who heard it early is at risk only because it did not take it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread.epidemic import last_step
from contagium.sim.analysis.spread.risk import at_risk, hearing
from contagium.sim.log import Run

TERMS = ("dose", "own affect", "dose × own affect", "affect heard")
EVENTS = 10
"""Cases needed for each coefficient: with fewer, coefficients run away and their errors shrink (Peduzzi et al. 1996)."""

MOST_TURNS = 250_000
"""Of more turns, those of a random sample of agents."""

FARTHEST, LONGEST_STRIDE = 15.0, 2.0
HIGHEST = 3.5
"""Linear predictors are held below it in the fit: at exp(3.5) = 33 the chance is 1 to fourteen digits."""

MOST_ALIKE = 1e4
METHOD = "proportional hazard in discrete time, errors by agent"
SAME = "{} is the same in all turns"


@dataclass(frozen=True)
class Modifier:
    """Hazard ratios of becoming a case in a turn after the persona was heard. dose: of one e-fold of the dose heard since the
    turn before; own, heard: of one standard deviation (over these turns) of own affect the step before and of mean affect heard
    then; both: what that of own affect multiplies the dose's ratio by. cases: in use; turns: with all of these known.
    """

    axis: str
    dose: Estimate
    own: Estimate
    both: Estimate
    heard: Estimate
    cases: int
    turns: int


def exposed(run: Run, strain: str | None = None, kind: str = "case") -> tuple[pd.DataFrame, int]:
    """The rows of `at_risk` in whose step before the agent heard the persona, with the dose of that step; and how many there are
    no more, because something heard then has no good reading in the log, or because the agent may have taken the persona up
    unseen: it had heard it, or may have, and sent nothing in its next turn that could be read.
    """
    table, heard, steps = at_risk(run, strain, kind, window=1), hearing(run, strain), last_step(run) + 1
    agents = np.sort(run.agents.loc[run.agents["detailed"] == 1, "id"].to_numpy(np.int64))
    row, step = np.searchsorted(agents, table["agent"].to_numpy(np.int64)), table["step"].to_numpy(np.int64)
    within, shown = heard.step < steps - 1, heard.dose > 0
    unread, acted, maybe = (np.zeros((len(agents), steps), dtype=bool) for _ in range(3))
    for cells, those in ((unread, np.isnan(heard.dose)), (maybe, shown | np.isnan(heard.dose))):
        cells[np.searchsorted(agents, heard.agent[within & those]), heard.step[within & those] + 1] = True
    acted[row, step] = True
    unseen = np.logical_or.accumulate(maybe & ~acted, axis=1)
    dosed = table["dose"].to_numpy() > 0
    kept = dosed & ~unread[row, step] & ~unseen[row, step]
    return table[kept], int((dosed | unread[row, step]).sum() - kept.sum())


def modifier(panels: Sequence[Panel], risks: Sequence[pd.DataFrame]) -> Modifier:
    """Panels of one measure and the rows of `exposed` of the same runs.

    As many of `TERMS` as there are ten cases for, beside the intercept and a trend over steps; at least dose and own affect.
    """
    parts = [_rows(panel, risk, k) for k, (panel, risk) in enumerate(zip(panels, risks, strict=True))]
    table = pd.concat(parts, ignore_index=True) if parts else _rows(panels[0], pd.DataFrame(), 0)
    own = _sampled(table[np.isfinite(table["own"])])
    full = own[np.isfinite(own["heard"])]
    axis = panels[0].axis
    found: dict[str, Estimate] = {}
    rows = full if int(full["event"].sum()) >= EVENTS * 5 else own
    cases = int(rows["event"].sum())
    count = min(cases // EVENTS - 1, 4 if rows is full else 3)
    if count < 2:
        reason = f"{cases} cases whose affect before is known: too few, {EVENTS * 3} are needed"
        found = dict.fromkeys(TERMS, unknown(reason, cases, METHOD))
    else:
        needed = f"{cases} cases: too few for this too, {{}} are needed"
        later = {name: unknown(needed.format(EVENTS * (k + 2)), cases, METHOD) for k, name in enumerate(TERMS) if k >= count}
        found = _ratios(rows, TERMS[:count]) | later
    dose, felt, both, heard = (found[name] for name in TERMS)
    return Modifier(axis, dose, felt, both, heard, cases, len(rows))


def _rows(panel: Panel, risk: pd.DataFrame, run: int) -> pd.DataFrame:
    """Turns after the persona was heard, with what the agent showed and heard the step before, NaN where it is not known."""
    risk = risk[(risk["dose"] > 0) & (risk["step"] >= 1) & (risk["step"] < panel.shape[1]) & risk["agent"].isin(panel.agents)]
    row, before = np.searchsorted(panel.agents, risk["agent"].to_numpy()), risk["step"].to_numpy() - 1
    return pd.DataFrame(
        {
            "event": risk["event"].to_numpy(bool),
            "dose": np.log(risk["dose"].to_numpy(np.float64)),
            "own": panel.own[row, before],
            "heard": panel.heard[row, before],
            "step": before.astype(np.float64),
            "cluster": row + run * 10_000_000,
        }
    )


def _sampled(rows: pd.DataFrame) -> pd.DataFrame:
    """Of too many turns, those of some agents."""
    if len(rows) <= MOST_TURNS:
        return rows
    names, place, turns = np.unique(rows["cluster"].to_numpy(), return_inverse=True, return_counts=True)
    order = Streams(0).generator("uptake").permutation(len(names))
    taken = np.zeros(len(names), dtype=bool)
    taken[order[np.cumsum(turns[order]) <= MOST_TURNS]] = True
    return rows[taken[place]]


def _ratios(rows: pd.DataFrame, terms: Sequence[str]) -> dict[str, Estimate]:
    cases = int(rows["event"].sum())
    own, dose, heard = (rows[name] - rows[name].mean() for name in ("own", "dose", "heard"))
    own, heard = (of / max(float(of.std()), 1e-9) for of in (own, heard))
    columns = {"dose": dose, "own affect": own, "dose × own affect": dose * own, "affect heard": heard}
    same = {name for name in terms if not columns[name].std() > 1e-9}
    found = {name: unknown(SAME.format("own affect" if "own affect" in same else "dose"), cases, METHOD) for name in terms}
    found |= {name: unknown(SAME.format(name), cases, METHOD) for name in same if "×" not in name}
    asked = [name for name in terms if name not in same]
    trend = rows["step"] - rows["step"].mean()
    x = np.stack([np.ones(len(rows)), *([trend] if trend.std() > 0 else []), *(columns[name] for name in asked)], axis=1)
    fit = _hazard(x, rows["event"].to_numpy(np.float64), rows["cluster"].to_numpy())
    if isinstance(fit, str):
        return found | {name: unknown(fit, cases, METHOD) for name in asked}
    value, reach = (of[len(of) - len(asked) :] for of in fit)
    low, high = np.exp(value - reach), np.exp(value + reach)
    made = zip(asked, np.exp(value).tolist(), low.tolist(), high.tolist(), strict=True)
    return found | {name: Estimate(ratio, below, above, METHOD, cases) for name, ratio, below, above in made}


def _hazard(x: Floats, y: Floats, cluster: Ints) -> tuple[Floats, Floats] | str:
    """Coefficients (K,) of the log-hazard and the reach of their 95% intervals; or why there are none. Fisher scoring.

    Intervals as those of the slopes: errors CR3 by agent (Bell & McCaffrey 2002), Student's t with as many degrees of freedom as
    agents that weigh alike, less 1 (after Carter, Schnepel & Steigerwald 2017).
    """
    from scipy.special import stdtrit

    scale = np.r_[1.0, x[:, 1:].std(axis=0)]
    x = x / scale
    if np.linalg.cond(x) > MOST_ALIKE:
        return "dose, affect and time cannot be told apart in these turns"
    apart = "those who became cases can be told from all others by this without fail, so no ratio is large enough"
    if y.mean() == 1:
        return apart
    of = np.r_[np.log(-np.log1p(-y.mean())), np.zeros(x.shape[1] - 1)]
    for _ in range(100):
        pull, weight = _score(x @ of, y)
        information = x.T @ (x * weight[:, None])
        if np.abs(of).max() > FARTHEST or np.linalg.cond(information) > MOST_ALIKE**2:
            return apart
        step = np.linalg.solve(information, x.T @ pull)
        step *= min(1.0, LONGEST_STRIDE / np.abs(step).max()) if step.any() else 1.0
        of = of + step
        if np.abs(step).max() < 1e-8:
            break
    else:
        return apart
    names, place = np.unique(cluster, return_inverse=True)
    if len(names) < 2:
        return "one agent alone: no error can be told"
    score = np.stack([np.bincount(place, column) for column in (x * pull[:, None]).T], axis=1)
    products = (x[:, :, None] * x[:, None, :] * weight[:, None, None]).reshape(len(x), -1)
    own = np.stack([np.bincount(place, column) for column in products.T], axis=1).reshape(len(names), *information.shape)
    left = information - own
    if np.linalg.cond(left).max() > MOST_ALIKE**2:
        return apart
    # How far leaving out one agent after the other moves the coefficients: a plain sandwich is too narrow with 100 cases.
    influence = np.linalg.solve(left, score[:, :, None])[:, :, 0]
    error = np.sqrt(np.square(influence).sum(axis=0) * (len(names) - 1) / len(names))
    inverse = np.linalg.inv(information)
    each = np.einsum("ki,gij,jk->gk", inverse, own, inverse)
    alike = each.sum(axis=0) ** 2 / np.square(each).sum(axis=0)
    return of / scale, stdtrit(np.maximum(alike - 1, 1.0), 0.975) * error / scale


def _score(predictor: Floats, y: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each turn (m,), how the log-likelihood changes with its linear predictor, and the information on that."""
    rate = np.exp(np.clip(predictor, -30.0, HIGHEST))
    chance = -np.expm1(-rate)
    return (y - chance) * rate / chance, rate**2 * np.exp(-rate) / chance
