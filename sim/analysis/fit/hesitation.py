"""Hesitation: a time between catching a strain and showing it, which nobody sees, fitted along with the dose–response.

Each agent at risk is in S or already in E, unseen, and the likelihood of its onset sums over when it may have gone from one to
the other (the forward algorithm of hidden Markov models; Rabiner 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.fit.course import Course, I, S
from contagium.sim.analysis.fit.likelihood import Form, Likelihood, Rows, Values
from contagium.sim.analysis.fit.search import descend, starts

SLOWEST, AT_ONCE = 0.02, 20.0
"""Rates at which a hesitating agent begins to show it, per step, are sought between these: over 50 steps, and at once."""


class Hesitating:
    """The negative log-likelihood of onsets, with the fitted form's parameters and the logarithm of the rate from E to I.

    Who catches it in a turn shows it in a later one at the earliest. Agents are followed up to a turn whose dose is not known.
    """

    def __init__(self, courses: Sequence[Course], form: Form) -> None:
        told = [course.followed for course in courses]
        self._parts = [(c, Likelihood(c.rows(S, I), form), np.nonzero(c.at_risk(S) & c.known)) for c in told]
        self.rows = Rows.join([like.rows for _, like, _ in self._parts]).alike
        whole = Likelihood(self.rows, form)
        self.names, self.bounds = (*form.parameters, "hesitation"), [*whole.bounds, (math.log(SLOWEST), math.log(AT_ONCE))]

    def __call__(self, at: Values) -> tuple[float, Values]:
        """The value at parameters (p,), and its gradient (p,)."""
        shows, total, slope = np.exp(at[-1]), 0.0, np.zeros(len(at))
        for course, like, (step, who) in self._parts:
            hazard, columns = like.hazard(at[:-1])
            caught = np.zeros((len(at), *course.turn.shape))  # the chance to catch it, and then its slopes
            caught[0, step, who] = -np.expm1(-hazard)
            caught[1:, step, who] = np.exp(-hazard) * np.array(columns)
            onset = np.where(course.turn, -np.expm1(-shows), 0.0)
            value, tilt = _forward(course, caught, onset, np.where(course.turn, shows * np.exp(-shows), 0.0))
            total, slope = total + value, slope + tilt
        return -total, -slope


def _forward(course: Course, caught: Values, chance: Values, chance_slope: Values) -> tuple[float, Values]:
    """Log-likelihood of the onsets of a run and its gradient (p,).

    caught: (p, T, n), the chance to catch it in each turn and its slopes along all parameters but the last. chance: (T, n), that
    who has caught it shows it, and its slope along the last.
    """
    parameters, steps, size = caught.shape
    at_risk = (course.state[:-1] == S) & course.known
    onset = at_risk & (course.state[1:] == I)
    # Row 0: the chance to be in S, or in E, given no onset so far; the other rows: its slopes.
    free, waits = np.zeros((2, parameters + 1, size))
    free[0] = 1.0
    total, slope = 0.0, np.zeros(parameters)
    for t in range(1, steps):
        new = free * caught[0, t]
        new[1:-1] += free[0] * caught[1:, t]
        comes = waits * chance[t]
        comes[-1] += waits[0] * chance_slope[t]
        free, waits = free - new, waits - comes + new
        stays = at_risk[t] & ~onset[t]
        for who, seen in ((onset[t], comes), (stays, free + waits)):
            likely = np.maximum(seen[0, who], 1e-12)
            total += float(np.log(likely).sum())
            slope += (seen[1:, who] / likely).sum(axis=1)
        free, waits = _given(free, waits, stays)
        # Who comes to be at risk again begins anew.
        free[0, ~stays] = 1.0
    return total, slope


def _given(free: Values, waits: Values, stays: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Chances and slopes of those who `stays` given that they had no onset; 0 for all others."""
    left = free + waits
    whole = np.where(stays, np.maximum(left[0], 1e-12), 1.0)
    parts = []
    for part in (free, waits):
        share = part / whole
        share[1:] -= share[0] * left[1:] / whole
        parts.append(np.where(stays, share, 0.0))
    return parts[0], parts[1]


def hesitation(courses: Sequence[Course], form: Form) -> tuple[Hesitating, Values, float]:
    """The likelihood of a form with hesitation, where it is highest (p,), and its AIC there."""
    objective = Hesitating(courses, form)
    begin = [start for like in [Likelihood(objective.rows, form)] for start in starts(like)[:2]]
    found = [descend(objective, np.append(start, rate), objective.bounds) for start in begin for rate in (-1.0, 1.0)]
    at, least = min(found, key=lambda pair: pair[1])
    return objective, at, 2 * (form.size + 1) + 2 * least
