"""Does how an agent feels change how readily it takes a persona up?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.panel import Floats, Ints, Panel
from contagium.sim.analysis.estimate import Estimate, unknown

TERMS = ("dose", "own affect", "dose × own affect", "affect heard")
EVENTS = 10
"""Cases needed for each coefficient: with fewer, coefficients run away and their errors shrink (Peduzzi et al. 1996)."""

MOST_ROWS = 100_000
"""Of more turns at risk without a case, a random sample: it changes the intercept alone (King & Zeng 2001)."""

FARTHEST = 15.0
MOST_ALIKE = 1e4
METHOD = "logistic hazard, errors by agent"


@dataclass(frozen=True)
class Modifier:
    """Odds ratios of becoming a case in a turn. dose: of one e-fold of 1 + dose heard; own, heard: of one standard deviation
    (over turns at risk) of own affect the step before and of mean affect heard then; both: what that of own affect multiplies the
    dose's ratio by. cases: in use; turns: at risk with all of these known.
    """

    axis: str
    dose: Estimate
    own: Estimate
    both: Estimate
    heard: Estimate
    cases: int
    turns: int


def modifier(panels: Sequence[Panel], risks: Sequence[pd.DataFrame]) -> Modifier:
    """Panels of one measure and the rows of `at_risk` of the same runs.

    As many of `TERMS` as there are ten cases for, beside the intercept and a trend over steps; at least dose and own affect.
    """
    parts = [_rows(panel, risk, k) for k, (panel, risk) in enumerate(zip(panels, risks, strict=True))]
    table = pd.concat(parts, ignore_index=True) if parts else _rows(panels[0], pd.DataFrame(), 0)
    own = table[np.isfinite(table["own"])]
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
    """Turns at risk with what the agent showed and heard the step before, NaN where it is not known."""
    risk = risk[(risk["step"] >= 1) & (risk["step"] < panel.shape[1]) & risk["agent"].isin(panel.agents)]
    row, before = np.searchsorted(panel.agents, risk["agent"].to_numpy()), risk["step"].to_numpy() - 1
    return pd.DataFrame(
        {
            "event": risk["event"].to_numpy(bool),
            "dose": np.log1p(risk["dose"].to_numpy(np.float64)),
            "own": panel.own[row, before],
            "heard": panel.heard[row, before],
            "step": before.astype(np.float64),
            "cluster": row + run * 10_000_000,
        }
    )


def _ratios(rows: pd.DataFrame, terms: Sequence[str]) -> dict[str, Estimate]:
    cases = int(rows["event"].sum())
    rest = np.flatnonzero(~rows["event"])
    if len(rest) > MOST_ROWS:
        rest = Streams(0).generator("at risk").choice(rest, MOST_ROWS, replace=False)
    rows = rows.iloc[np.sort(np.r_[np.flatnonzero(rows["event"]), rest])]
    own, dose, heard = (rows[name] - rows[name].mean() for name in ("own", "dose", "heard"))
    own, heard = (of / max(float(of.std()), 1e-9) for of in (own, heard))
    columns = {"dose": dose, "own affect": own, "dose × own affect": dose * own, "affect heard": heard}
    x = np.stack([np.ones(len(rows)), rows["step"] - rows["step"].mean(), *(columns[name] for name in terms)], axis=1)
    varied = x[:, 1:].std(axis=0) > 1e-9
    if not varied[1:].all():
        name = terms[int(np.argmin(varied[1:]))]
        return dict.fromkeys(terms, unknown(f"{name} is the same in all turns at risk", cases, METHOD))
    fit = _logistic(x[:, np.r_[True, varied]], rows["event"].to_numpy(np.float64), rows["cluster"].to_numpy())
    if isinstance(fit, str):
        return dict.fromkeys(terms, unknown(fit, cases, METHOD))
    value, error = (of[-len(terms) :] for of in fit)
    low, high = np.exp(value - 1.96 * error), np.exp(value + 1.96 * error)
    made = zip(terms, np.exp(value).tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: Estimate(ratio, below, above, METHOD, cases) for name, ratio, below, above in made}


def _logistic(x: Floats, y: Floats, cluster: Ints) -> tuple[Floats, Floats] | str:
    """Coefficients of a logistic regression and their errors, clustered; or why there are none. Newton's method."""
    scale = np.r_[1.0, x[:, 1:].std(axis=0)]
    x = x / scale
    if np.linalg.cond(x) > MOST_ALIKE:
        return "dose, affect and time cannot be told apart in these turns"
    apart = "those who became cases can be told from all others by this without fail, so no ratio is large enough"
    of = np.r_[np.log(y.mean() / (1 - y.mean())), np.zeros(x.shape[1] - 1)]
    for _ in range(50):
        chance = 0.5 * (1 + np.tanh(0.5 * (x @ of)))
        information = x.T @ (x * (chance * (1 - chance))[:, None])
        if np.abs(of).max() > FARTHEST or np.linalg.cond(information) > MOST_ALIKE**2:
            return apart
        step = np.linalg.solve(information, x.T @ (y - chance))
        of = of + step
        if np.abs(step).max() < 1e-8:
            break
    else:
        return apart
    names, place = np.unique(cluster, return_inverse=True)
    score = np.stack([np.bincount(place, column) for column in (x * (y - chance)[:, None]).T], axis=1)
    inverse = np.linalg.inv(information)
    covariance = inverse @ (score.T @ score) @ inverse * len(names) / max(len(names) - 1, 1)
    return of / scale, np.sqrt(np.diag(covariance)) / scale
