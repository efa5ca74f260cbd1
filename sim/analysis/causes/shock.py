"""What is left of the effect of hearing, once what came over all at the same time is taken off: adjustments side by side."""

from __future__ import annotations

import warnings

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis.causes.evidence import Evidence, codes
from contagium.sim.analysis.causes.permutation import FEW, hazard_ratio
from contagium.sim.analysis.estimate import Estimate, unknown

MOST = 20_000
"""Rows at risk in the Cox model: of more, rows without onset are left out at random within each stratum."""

LARGEST = 10.0  # a log hazard ratio beyond this is a model that ran away: some group has no onset at all


def adjustments(of: Evidence) -> tuple[Estimate, ...]:
    """The ratio of hazards, heard to not heard: raw, by step, by step and stratum, by circle as well, and by a Cox model.

    What a common shock makes falls away from the first to the second, for a shock raises everybody's hazard in the same step;
    what lasting likeness of a circle makes falls away in the fourth, as far as circles hold it.
    """
    heard, event = of.heard > 0, of.event
    circles = () if of.ties.shape[1] > MOST else (_by_circle(of),)
    return (
        hazard_ratio(np.zeros_like(of.at), heard, event, "raw"),
        hazard_ratio(of.at, heard, event, "by step"),
        hazard_ratio(of.strata, heard, event, "by step, group and pressure"),
        *circles,
        cox(of),
    )


def _by_circle(of: Evidence) -> Estimate:
    return hazard_ratio(codes(of.strata, of.circle[of.agent]), of.heard > 0, of.event, "by step, group, pressure and circle")


def cox(of: Evidence) -> Estimate:
    """Hazard ratio of having heard, from a Cox model stratified by step, group and pressure, with the size of the inbox as a
    covariate and ties by Efron (1977). Where there are more than MOST rows, rows without onset are sampled within strata (nested
    case–control: Borgan et al. 1995).
    """
    method = "Cox model, with size of inbox"
    rows = _sampled(of)
    event, heard = of.event[rows], of.heard[rows] > 0
    split = [int(event[heard].sum()), int(event[~heard].sum())]
    if min(split) < FEW:
        reason = f"{split[0]} onsets after hearing, {split[1]} without: {FEW} of each are needed"
        return unknown(reason, sum(split), method)
    inbox = np.log1p(of.inbox[rows].astype(np.float64))
    columns = [heard.astype(np.float64), *([inbox] if np.ptp(inbox) > 0 else [])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is found by its numbers
        from statsmodels.duration.hazard_regression import PHReg

        model = PHReg(np.ones(len(rows)), np.column_stack(columns), status=event, strata=of.strata[rows], ties="efron")
        try:
            fit = model.fit(disp=0)
        except (np.linalg.LinAlgError, ValueError) as error:
            return unknown(f"the model has no solution: {error}", len(rows), method)
    value, spread = float(fit.params[0]), float(fit.bse[0])
    if not np.isfinite([value, spread]).all() or abs(value) > LARGEST or not 0 < spread < LARGEST:
        return unknown("the model does not converge: in no step were some with and some without onset apart", sum(split), method)
    low, high = np.exp(value - 1.959964 * spread), np.exp(value + 1.959964 * spread)
    return Estimate(float(np.exp(value)), float(low), float(high), method, sum(split))


def _sampled(of: Evidence) -> np.ndarray:
    if len(of.at) <= MOST:
        return np.arange(len(of.at))
    others = np.flatnonzero(~of.event)
    kept = Streams(0).generator("controls").permutation(others)[: max(0, MOST - int(of.event.sum()))]
    return np.sort(np.concatenate([np.flatnonzero(of.event), kept]))
