"""Dose–response: how an outcome goes with an ordered, numeric setting, from one point for each run.

Curves are fitted on grids over what is not linear in them, so that no fit can fail to converge; the interval of the half dose
holds all doses whose profile likelihood is no lower than chance explains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.arms.chance import Chance, trend
from contagium.sim.analysis.arms.intervals import ALIKE, NOUGHT, Floats
from contagium.sim.analysis.estimate import Estimate, unknown

LEVELS, RUNS = 3, 8
"""Fewest doses and runs to say anything."""

HILL_LEVELS, HILL_RUNS = 5, 10
"""Fewest for a Hill curve, which has four parameters."""

MOST_LOGIT = 30.0
"""The log-odds at the lowest and at the highest dose are sought between this and its negative."""

CHI_SQUARE = 3.841459
"""So far may twice the log-likelihood fall within an interval: 95% of χ² with one degree of freedom."""

BEYOND = "not within the doses that were tried"
MARGIN = 2.0
"""In AICc: a curve this much better than a simpler one is better."""


@dataclass(frozen=True)
class Dose:
    """An outcome along a setting. doses, values: of the runs, (n,). within: other settings that these share.

    slope: per unit of the setting, of an event in log-odds. half: dose of half the effect, of an event that at which it happens
    in half the runs. curves: name → AICc, the lower the better. best: the simplest within MARGIN of the lowest. line: doses and
    values of the best curve, (2, 101).
    """

    outcome: str
    setting: str
    within: str
    doses: Floats
    values: Floats
    chance: Chance
    slope: Estimate
    half: Estimate
    curves: dict[str, float]
    best: str
    line: Floats


@dataclass(frozen=True)
class _Fit:
    aicc: float
    line: Floats
    half: Estimate


def dose_response(
    outcome: str, setting: str, within: str, doses: Floats, values: Floats, event: bool, rng: np.random.Generator
) -> Dose | None:
    """doses, values: (n,), one for each run that has the outcome. None: too few doses or runs, or all alike."""
    if len(np.unique(doses)) < LEVELS or len(doses) < RUNS or np.ptp(values) < NOUGHT:
        return None
    grid = np.linspace(doses.min(), doses.max(), 101)
    slope, fits = (_events if event else _numbers)(doses, values, grid)
    lowest = min(fit.aicc for fit in fits.values())
    best = next(name for name, fit in fits.items() if fit.aicc <= lowest + MARGIN)
    half = (
        fits["logistic" if event else "Hill"].half
        if best != "constant"
        else unknown("no curve but a constant is called for", len(doses))
    )
    curves = {name: fit.aicc for name, fit in fits.items() if np.isfinite(fit.aicc)}
    line = np.stack([grid, fits[best].line])
    return Dose(outcome, setting, within, doses, values, trend(doses, values, rng), slope, half, curves, best, line)


def _aicc(deviance: float, parameters: int, n: int) -> float:
    """deviance: −2 log-likelihood. Source: Hurvich & Tsai 1989."""
    left = n - parameters - 1
    return deviance + 2 * parameters + 2 * parameters * (parameters + 1) / left if left > 0 else np.inf


def _numbers(doses: Floats, values: Floats, grid: Floats) -> tuple[Estimate, dict[str, _Fit]]:
    """Least squares. Interval of the slope: robust to spreads that differ between doses (HC3, MacKinnon & White 1985)."""
    from scipy.special import stdtrit

    n, centred = len(doses), doses - doses.mean()
    square = float((centred**2).sum())
    slope = float(centred @ values / square)
    fitted = values.mean() + slope * centred
    leverage = 1 / n + centred**2 / square
    error = float(np.sqrt((centred**2 * ((values - fitted) / (1 - leverage)) ** 2).sum())) / square
    reach = float(stdtrit(n - 2, 0.975)) * error
    told = "least squares, HC3"
    found = (
        Estimate(slope, slope - reach, slope + reach, told, n) if error > NOUGHT else Estimate(slope, None, None, told, n, ALIKE)
    )

    def score(residual: Floats, parameters: int) -> float:
        return _aicc(n * float(np.log(max((residual**2).mean(), NOUGHT * values.var()))), parameters + 1, n)

    none = unknown("no half dose of this curve", n)
    fits = {
        "constant": _Fit(score(values - values.mean(), 1), np.full(len(grid), values.mean()), none),
        "linear": _Fit(score(values - fitted, 2), values.mean() + slope * (grid - doses.mean()), none),
        "Hill": _hill(doses, values, grid, score),
    }
    return found, fits


def _hill(doses: Floats, values: Floats, grid: Floats, score: Callable[[Floats, int], float]) -> _Fit:
    """bottom + (top − bottom) · dose^h / (half^h + dose^h); bottom and top by least squares for each half and h of a grid."""
    from scipy.special import fdtri

    n, method = len(doses), "Hill curve, profile likelihood"
    levels, which = np.unique(doses, return_inverse=True)
    if len(levels) < HILL_LEVELS or levels[0] < 0 or n < HILL_RUNS:
        reason = f"{HILL_LEVELS} doses of 0 or more and {HILL_RUNS} runs are needed"
        return _Fit(np.inf, np.full(len(grid), np.nan), unknown(reason, n, method))
    lowest, of, total = float(doses[doses > 0].min()), np.bincount(which), float(((values - values.mean()) ** 2).sum())
    sums = np.bincount(which, values - values.mean())

    def residual(halves: Floats, powers: Floats) -> Floats:
        shape = _rise(levels, halves[:, None, None], powers[None, :, None])
        away = shape - (shape @ of / n)[..., None]
        return total - (away @ sums) ** 2 / np.maximum((away**2) @ of, 1e-300)

    halves, powers = np.geomspace(lowest / 10, levels[-1] * 10, 161), np.geomspace(0.25, 16, 49)
    bound = 1 + float(fdtri(1, n - 4, 0.95)) / (n - 4)
    for _ in range(2):
        # The second time closer, or the ends would be as coarse as the grid.
        found = residual(halves, powers)
        i, j = np.unravel_index(found.argmin(), found.shape)
        inside = np.flatnonzero((found <= bound * found[i, j]).any(axis=1))
        best, power, ends = float(halves[i]), float(powers[j]), (float(halves[inside[0]]), float(halves[inside[-1]]))
        halves = _closer(halves, inside)
    shape = _rise(doses, best, power)
    rise, bottom = np.polyfit(shape, values, 1)
    half = _half(best, *ends, levels, n, method)
    return _Fit(score(values - bottom - rise * shape, 4), bottom + rise * _rise(grid, best, power), half)


def _rise(dose: Floats, half: Floats | float, power: Floats | float) -> Floats:
    with np.errstate(divide="ignore", over="ignore"):
        return 1 / (1 + (half / np.asarray(dose, dtype=np.float64)) ** power)


def _events(doses: Floats, values: Floats, grid: Floats) -> tuple[Estimate, dict[str, _Fit]]:
    """Logistic regression by the log-odds at the lowest and at the highest dose; intervals by profile likelihood (χ²)."""
    n, method = len(doses), "logistic, profile likelihood"
    levels, which = np.unique(doses, return_inverse=True)
    happened, of, span = np.bincount(which, values), np.bincount(which), float(levels[-1] - levels[0])
    share, place = values.mean(), (levels - levels[0]) / span
    first = last = np.linspace(-MOST_LOGIT, MOST_LOGIT, 241)
    for _ in range(2):
        # The second time closer, or the ends would be as coarse as the grid.
        odds = first[:, None, None] + (last[None, :, None] - first[:, None, None]) * place
        likelihood = (happened * odds - of * np.logaddexp(0, odds)).sum(axis=-1)
        i, j = np.unravel_index(likelihood.argmax(), likelihood.shape)
        inside = 2 * (likelihood[i, j] - likelihood) <= CHI_SQUARE
        rows, columns = np.nonzero(inside)
        low, high, rise = first[rows], last[columns], (last[columns] - first[rows]) / span
        ends = float(first[i]), float(last[j])
        first, last = _closer(first, rows), _closer(last, columns)
    best = (ends[1] - ends[0]) / span
    half = unknown("the slope may be 0", n, method)
    if rise.min() * rise.max() > 0:
        middle = levels[0] - low / rise
        half = _half(float(levels[0] - ends[0] / best), float(middle.min()), float(middle.max()), levels, n, method)
    open_ended = max(-low.min(), -high.min(), low.max(), high.max()) >= MOST_LOGIT
    slope = _slope(best, float(rise.min()), float(rise.max()), bool(open_ended), method, n)
    flat = -2 * n * float(share * np.log(share) + (1 - share) * np.log1p(-share))
    line = 1 / (1 + np.exp(-(ends[0] + best * (grid - levels[0]))))
    return slope, {
        "constant": _Fit(_aicc(flat, 1, n), np.full(len(grid), share), unknown("no half dose of this curve", n)),
        "logistic": _Fit(_aicc(-2 * float(likelihood[i, j]), 2, n), line, half),
    }


def _half(at: float, low: float, high: float, levels: Floats, n: int, method: str) -> Estimate:
    """No number is given for doses that were not tried."""
    if not levels[0] <= at <= levels[-1] or (low < levels[0] and high > levels[-1]):
        return unknown(BEYOND, n, method)
    if low < levels[0]:
        return unknown(f"at most {high:.3g}", n, method)
    return unknown(f"at least {low:.3g}", n, method) if high > levels[-1] else Estimate(at, low, high, method, n)


def _closer(axis: Floats, inside: NDArray[np.int64]) -> Floats:
    """An axis of the grid over what is inside and one place more at either end."""
    low, high = max(int(inside.min()) - 1, 0), min(int(inside.max()) + 1, len(axis) - 1)
    return np.linspace(axis[low], axis[high], len(axis))


def _slope(best: float, low: float, high: float, open_ended: bool, method: str, n: int) -> Estimate:
    """With its profile interval; a bound where the likelihood is still high at the edge of the grid."""
    if open_ended:
        bound = f"at least {low:.2g}" if low > 0 else f"at most {high:.2g}" if high < 0 else "of either sign"
        return unknown(f"{bound}: the doses part the runs too well to say more", n, method)
    return Estimate(best, low, high, method, n)
