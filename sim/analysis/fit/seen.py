"""What was seen of all moves but the first infection: recovery, relapse, waning, and how a case sheds the strain."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.fit.course import Course, E, I, R, S
from contagium.sim.analysis.fit.hazard import FEWEST_ONSETS
from contagium.sim.analysis.fit.likelihood import Fit, Form, Likelihood, Rows, hazards
from contagium.sim.analysis.fit.sampling import sample
from contagium.sim.analysis.fit.search import METHOD, estimated, maximise
from contagium.sim.observer.agreement import share

FEWEST_MOVES = 3
"""Moves below which no rate is given: two have an interval that spans a factor of thirty."""


@dataclass(frozen=True)
class Seen:
    """The courses of the runs that are fitted together."""

    courses: tuple[Course, ...]
    kept: dict[tuple[int, int], Rows] = field(default_factory=dict)

    def rows(self, origin: int, target: int) -> Rows:
        """Turns of agents in `origin`, and whether they left it for `target`, of all runs."""
        if (origin, target) not in self.kept:
            self.kept[origin, target] = Rows.join([c.rows(origin, target) for c in self.courses])
        return self.kept[origin, target]

    def moved(self, origin: int, target: int) -> int:
        return sum(c.moved(origin, target) for c in self.courses)

    @cached_property
    def left_out(self) -> int:
        """Turns of susceptible agents whose dose is not known."""
        return sum(c.left_out for c in self.courses)

    @cached_property
    def caught(self) -> int:
        """Where who catches it goes: to E where that is known."""
        return E if self.moved(S, E) else I

    @cached_property
    def recovers(self) -> int:
        """Where who recovers goes."""
        return S if self.moved(I, S) > self.moved(I, R) else R


def rate(rows: Rows) -> Estimate:
    """The rate at which agents leave a compartment by themselves."""
    if rows.events < FEWEST_MOVES:
        return unknown(f"{rows.events} moves: too few, {FEWEST_MOVES} are needed", rows.events, METHOD)
    form = Form("none")
    return estimated(Likelihood(rows.alike, form), maximise(rows.alike, form).at, "spontaneous", rows.events)


def others(seen: Seen, taken: Fit) -> dict[str, Estimate]:
    """Recovery, waning, and what becomes of who has recovered."""
    found = {"recovery": rate(seen.rows(I, seen.recovers))}
    if seen.recovers == S or not seen.moved(I, R):
        return found
    if seen.moved(R, S):
        return found | {"waning": rate(seen.rows(R, S))}
    again = _again(seen, taken)
    if again.events < FEWEST_ONSETS:
        few = unknown(f"{again.events} second onsets: too few, {FEWEST_ONSETS} are needed", again.events, METHOD)
        return found | {"relapse": few, "reinfection": few}
    both = maximise(again, Form("linear"))
    like = Likelihood(again, both.form)
    parts = {"relapse": "spontaneous", "reinfection": "transmission"}
    return found | {name: estimated(like, both.at, part, again.events) for name, part in parts.items()}


def _again(seen: Seen, taken: Fit) -> Rows:
    """Turns of who has recovered; the dose is the hazard that would move who was never a case."""
    rows = seen.rows(R, I)
    quiet = replace(rows, dose=np.zeros(len(rows)))
    return replace(rows, dose=hazards(taken, rows) - hazards(taken, quiet), scale=np.ones(len(rows))).alike


def shedding(seen: Seen) -> dict[str, Estimate]:
    """The share of a case's messages that show the strain (agents weigh by what they say), and the mean dose of one message."""
    doses = np.concatenate([c.said for c in seen.courses])
    doses = doses[~np.isnan(doses)]
    if len(doses) < FEWEST_ONSETS:
        few = unknown(f"{len(doses)} messages of cases: too few, {FEWEST_ONSETS} are needed", len(doses))
        return {"shedding": few, "strength": few}
    shown = share(int((doses > 0).sum()), len(doses))
    reach = 1.96 * float(doses.std(ddof=1)) / math.sqrt(len(doses))
    mean = float(doses.mean())
    return {
        "shedding": Estimate(shown.value, shown.low, shown.high, "share of messages, Wilson interval", len(doses)),
        "strength": Estimate(mean, max(mean - reach, 0.0), mean + reach, "mean dose of a message, normal interval", len(doses)),
    }


def drawn(seen: Seen, fit: Fit, count: int, rng: np.random.Generator) -> list[dict[str, float]]:
    """The rates of moves that no dose of the strain brings a first time, `count` draws from what was seen of them.

    Rates without a dose by Jeffreys's prior, those of who has recovered by their likelihood.
    """
    found: list[dict[str, float]] = [{} for _ in range(count)]
    for name, origin, target in (("recovery", I, seen.recovers), ("waning", R, S), ("hesitation", E, I)):
        rows = seen.rows(origin, target)
        left, turns = rows.events, float(rows.elapsed.sum())
        if left >= FEWEST_MOVES:
            for one, chance in zip(found, rng.beta(left + 0.5, max(turns - left, 0.0) + 0.5, count), strict=True):
                one[name] = -math.log1p(-chance)
    if not seen.moved(R, S) and (again := _again(seen, fit)).events >= FEWEST_ONSETS:
        both = maximise(again, Form("linear"))
        for one, at in zip(found, sample(Likelihood(again, both.form), both.at, count, rng), strict=True):
            one |= {"relapse": math.exp(at[0]), "reinfection": math.exp(at[1])}
    return found
