"""The maximum of a likelihood, and how far from it the data allow each parameter to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.fit.likelihood import AXES, SMALLEST, Fit, Form, Likelihood, Rows, Values

HALF_WIDTH = 1.9207
"""A 95% profile-likelihood interval holds what is less than this below the maximum: half of the 95% point of χ² with 1 degree."""

Objective = Callable[[Values], tuple[float, Values]]


def descend(objective: Objective, start: Values, bounds: Sequence[tuple[float, float]]) -> tuple[Values, float]:
    """Where an objective with gradient is least from `start` on, and how much it is there, by damped Newton steps.

    Second derivatives come from differences of the gradient. With half a dozen parameters this is quicker than a library's
    quasi-Newton search, and makes no use of threads. Source: Marquardt 1963.
    """
    low, high = np.array(bounds).reshape(-1, 2).T
    at = np.clip(start, low, high)
    (value, slope), damping = objective(at), 1e-4
    for _ in range(MOST_STEPS):
        free = np.flatnonzero(~(((at <= low) & (slope > 0)) | ((at >= high) & (slope < 0))))
        if not len(free) or np.abs(slope[free]).max() < 1e-6:
            break
        bent, axes = np.linalg.eigh(curvature(objective, at, slope, free))
        gained = 0.0
        while damping < 1e9:
            step = axes @ ((axes.T @ slope[free]) / (np.maximum(np.abs(bent), 1e-9) * (1 + damping) + damping * 1e-3))
            there = at.copy()
            there[free] -= np.clip(step, -LONGEST, LONGEST)
            there = np.clip(there, low, high)
            found, tilt = objective(there)
            if found < value:
                gained, at, value, slope, damping = value - found, there, found, tilt, max(damping / 10, 1e-7)
                break
            damping *= 10
        if gained < 1e-9:
            break
    return at, value


MOST_STEPS, LONGEST = 100, 1.5
"""Steps of a search, and how far one may go along a parameter, most of which are logarithms."""


def curvature(objective: Objective, at: Values, slope: Values, free: NDArray[np.int64]) -> Values:
    """Second derivatives along the parameters `free` (f,), shape (f, f)."""
    bend, size = np.empty((len(free), len(free))), 1e-5
    for row, place in enumerate(free):
        there = at.copy()
        there[place] += size
        bend[row] = (objective(there)[1][free] - slope[free]) / size
    return (bend + bend.T) / 2


def starts(like: Likelihood) -> list[Values]:
    """Where to begin the search: at the crude rate of events for the typical dose, with a curve of half a dozen shapes."""
    rows, names = like.rows, like.names
    crude = math.log(max(rows.events, 0.5) / max(float((rows.count * rows.elapsed).sum()), 1.0))
    shapes = (
        [(like.typical + off, power) for off in (-0.7, 0.7, 3.0) for power in (0.0, 1.0)] if "half" in names else [(0.0, 0.0)]
    )
    begin = []
    for half, power in shapes:
        typical = like.typical if like.form.name == "linear" else 0.0
        typical = -np.logaddexp(0.0, math.exp(power) * (half - like.typical)) if "half" in names else typical
        level = {"spontaneous": crude - 1.5, "transmission": crude + 0.5 - typical, "half": half, "power": power}
        begin.append(np.array([level.get(name, 0.0) for name in names]))
    return begin if "power" in names else begin[::2]


def maximise(rows: Rows, form: Form) -> Fit:
    """A form at its maximum likelihood."""
    like = Likelihood(rows, form)
    at, least = min((descend(like, start, like.bounds) for start in starts(like)), key=lambda found: found[1])
    return Fit(form, at, -least, round(float(rows.count.sum())))


class Searched(Protocol):
    """An objective that knows its parameters."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def bounds(self) -> list[tuple[float, float]]: ...

    def __call__(self, at: Values) -> tuple[float, Values]: ...


def profile(objective: Searched, at: Values, name: str) -> tuple[float | None, float | None]:
    """The ends of the 95% profile-likelihood interval of one parameter around the minimum `at`; None: the data set none.

    Source: Venzon & Moolgavkar 1988.
    """
    from scipy.optimize import brentq

    place, bounds = objective.names.index(name), objective.bounds
    others = np.array([k for k in range(len(at)) if k != place], dtype=np.int64)
    (least, slope), reach = objective(at), math.sqrt(2 * HALF_WIDTH)
    bent = curvature(objective, at, slope, np.arange(len(at)))
    error = math.sqrt(max(float(np.linalg.pinv(bent, rcond=1e-9)[place, place]), 1e-6))
    memory, known = at[others], {float(at[place]): -reach}
    curved = "half" in objective.names  # more than one valley: look from the maximum, too

    def above(x: float) -> float:
        # The signed root is nearly a straight line, which the root finder is quick with.
        nonlocal memory
        if x not in known:

            def part(rest: Values) -> tuple[float, Values]:
                value, slope = objective(np.insert(rest, place, x))
                return value, slope[others]

            begin = (memory, at[others]) if curved else (memory,)
            found = [descend(part, start, [bounds[k] for k in others]) for start in begin]
            memory, value = min(found, key=lambda pair: pair[1])
            known[x] = math.sqrt(max(2 * (value - least), 0.0)) - reach
        return known[x]

    ends: list[float | None] = []
    for sign, limit in zip((-1.0, 1.0), bounds[place], strict=True):
        memory, inside, step = at[others], float(at[place]), reach * min(error, 1.0)
        while True:
            x = max(inside + sign * step, limit) if sign < 0 else min(inside + sign * step, limit)
            if above(x) > 0:
                ends.append(float(brentq(above, *sorted((inside, x)), xtol=0.005 * min(error, 1.0))))
                break
            if x == limit:
                ends.append(None)
                break
            inside, step = x, 2 * step
    return ends[0], ends[1]


METHOD = "maximum likelihood, profile interval"


def estimated(objective: Searched, at: Values, name: str, n: int, method: str = METHOD) -> Estimate:
    """A parameter as it is meant, with its interval. Without a plateau in sight a curve's highest rate has no upper end."""
    low, high = profile(objective, at, name)
    if name == "transmission" and "half" in objective.names and profile(objective, at, "half")[1] is None:
        high = None
    value = float(at[objective.names.index(name)])
    if name not in AXES:
        low, high = (None if end is None else math.exp(end) for end in (low, high))
        value = math.exp(value) * (value > math.log(SMALLEST) + 0.01)
    if low is None and name in ("spontaneous", "transmission"):
        low = 0.0
    missing = [word for word, end in (("below", low), ("above", high)) if end is None]
    return Estimate(value, low, high, method, n, f"not bounded from {' or '.join(missing)}" if missing else None)
