"""The likelihood of who became a case when, as a function of what each agent had heard: forms of hazard, maximum and profile.

In a step an agent leaves its compartment with probability 1 − exp(−h). Its hazard h is `spontaneous` for each step that passed,
plus its susceptibility × `rate` × the form's answer to the dose. This is the step law of agents in a world (`Carriage`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FORMS = ("none", "linear", "saturating", "hill", "threshold")
AXES = ("valence", "arousal", "dominance")
SMALLEST, FASTEST = 1e-7, 1e3
"""Rates per step are sought between these: slower is never, faster is at once."""

STEEPEST = 20.0
"""Powers of a Hill curve are sought between 1/20 and 20, where it is a threshold in all but name."""

SHARPEST = 10.0
"""Modifiers of the log-hazard are sought between −10 and 10 for each unit of affect, as wide as agents may have them."""


@dataclass(frozen=True)
class Rows:
    """A row for each turn of an agent in a compartment it may leave, or for `count` turns that are alike. All (m,).

    event: it left in this turn. elapsed: steps since its last turn. dose: Σ weight × dose of what it heard since. heard: weight
    of all it heard since. sources: agents that showed the strain in it. background: the part of the dose that came from agents
    that were no case. scale: its susceptibility. affect: (m, 3), what it last showed itself, NaN where that is not known.
    """

    event: NDArray[np.bool_]
    elapsed: Values
    dose: Values
    heard: Values
    sources: NDArray[np.int64]
    background: Values
    scale: Values
    affect: Values
    count: Values

    def __len__(self) -> int:
        return len(self.event)

    @property
    def events(self) -> int:
        """How often somebody left."""
        return round(float(self.count[self.event].sum()))

    @property
    def share(self) -> Values:
        """The dose as a share of all that was heard, 0 where nothing was."""
        return np.divide(self.dose, self.heard, out=np.zeros(len(self)), where=self.heard > 0)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        return Rows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @cached_property
    def alike(self) -> Rows:
        """Rows that are alike as one, whatever the affect; doses, scales and weights are alike where they agree to 3 digits."""
        columns = [self.event, self.elapsed, self.sources, *map(_digits, (self.dose, self.heard, self.background, self.scale))]
        _, first, which = np.unique(np.column_stack(columns), axis=0, return_index=True, return_inverse=True)
        return replace(self.take(first), count=np.bincount(which.reshape(-1), self.count).astype(np.float64))

    @cached_property
    def felt(self) -> Rows:
        """Rows for the effect of affect: those without a dose, on which it has none, are alike whatever it is."""
        return Rows.join([self.take(self.dose == 0).alike, self.take(self.dose > 0)])


def _digits(values: Values) -> Values:
    """Values to three significant digits."""
    size = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(values), 1e-12))) - 2)
    return np.round(np.round(values / size) * size, 12)


@dataclass(frozen=True)
class Form:
    """How the hazard answers to the dose. name: of `FORMS`. of: whether the dose counts by "weight" or as a "share" of all heard.

    at: of a threshold. spontaneous: whether there is a hazard without any dose. modifiers: which axes of own affect change the
    hazard of what is heard, by a factor exp(k × affect). "hill": dose^power / (half^power + dose^power); "saturating": power 1.
    """

    name: str
    of: str = "weight"
    at: float | None = None
    spontaneous: bool = True
    modifiers: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what is estimated, in order; all but the modifiers are sought as logarithms."""
        shape = {"saturating": ("half",), "hill": ("half", "power")}.get(self.name, ())
        own = () if self.name == "none" else ("transmission", *shape, *self.modifiers)
        return ("spontaneous", *own) if self.spontaneous else own

    @property
    def size(self) -> int:
        """How many numbers are chosen by the data, a threshold included."""
        return len(self.parameters) + (self.name == "threshold")


def reached(dose: Values, at: float) -> NDArray[np.bool_]:
    """Whether doses (k,) have come up to a threshold, up to rounding; no dose never has."""
    return (dose > 0) & (dose >= at * (1 - 1e-9))


class Likelihood:
    """The negative log-likelihood of rows under a form, with its gradient."""

    def __init__(self, rows: Rows, form: Form) -> None:
        self.rows, self.form, self.names = rows, form, form.parameters
        dose = rows.share if form.of == "share" else rows.dose
        self._hit = np.flatnonzero((dose > 0) if form.at is None else reached(dose, form.at))
        self._log = np.log(dose[self._hit])
        self._scale = rows.scale[self._hit]
        self._affect = np.nan_to_num(rows.affect[self._hit][:, [AXES.index(axis) for axis in form.modifiers]])
        self.typical = float(np.average(self._log, weights=rows.count[self._hit])) if len(self._hit) else 0.0
        low, high = (self._log.min() - 3, self._log.max() + 5) if len(self._hit) else (-3.0, 3.0)
        ranges = {
            "spontaneous": (math.log(SMALLEST), math.log(FASTEST)),
            "transmission": (math.log(SMALLEST), 4 * math.log(FASTEST)),
            "half": (low, high),
            "power": (-math.log(STEEPEST), math.log(STEEPEST)),
        }
        self.bounds = [ranges.get(name, (-SHARPEST, SHARPEST)) for name in self.names]

    def __call__(self, at: Values) -> tuple[float, Values]:
        """The negative log-likelihood at parameters (p,), and its gradient (p,)."""
        rows, (hazard, columns) = self.rows, self.hazard(at)
        event = rows.event
        level = np.where(event, np.log(-np.expm1(-hazard)), -hazard)
        weight = rows.count * np.where(event, 1.0 / np.expm1(np.minimum(hazard, 500.0)), -1.0)
        # Sums of products, for a library's dot product of this length may wake threads that cost more than it.
        return -float((rows.count * level).sum()), -np.array([(weight * column).sum() for column in columns])

    def hazard(self, at: Values) -> tuple[Values, list[Values]]:
        """The hazard of each row (m,) at parameters (p,), and its slope along each of them, p times (m,)."""
        rows, hazard = self.rows, np.full(len(self.rows), 1e-12)
        columns: list[Values] = []
        given = dict(zip(self.names, at.tolist(), strict=True))
        if self.form.spontaneous:
            own = math.exp(given["spontaneous"]) * rows.elapsed
            hazard = hazard + own
            columns.append(own)
        if self.form.name != "none":
            by, slopes = self._answer(given, at)
            hazard[self._hit] += by
            for slope in slopes:
                column = np.zeros(len(rows))
                column[self._hit] = by * slope
                columns.append(column)
        return hazard, columns

    def _answer(self, given: dict[str, float], at: Values) -> tuple[Values, list[Values | float]]:
        """What the dose adds to the hazard of who got one, and the slope of its logarithm along each parameter of it."""
        level, slopes = self._shape(self._log, given)
        modified = (self._affect * at[len(at) - len(self.form.modifiers) :]).sum(axis=1)
        by = self._scale * np.exp(np.minimum(given["transmission"] + level + modified, 50.0))
        return by, [1.0, *slopes, *self._affect.T]

    def _shape(self, log: Values, given: dict[str, float]) -> tuple[Values, list[Values]]:
        """Logarithm of the form's answer to doses of this logarithm, and its slopes along the parameters of the shape."""
        name = self.form.name
        if name == "threshold":
            return np.zeros(len(log)), []
        if name == "linear":
            return log, []
        power, off = math.exp(given.get("power", 0.0)), given["half"] - log
        lost = 1.0 / (1.0 + np.exp(np.clip(-power * off, -500, 500)))  # 1 − answer
        level = -np.logaddexp(0.0, power * off)
        slopes = [-power * lost, -power * off * lost]
        return level, slopes if name == "hill" else slopes[:1]


@dataclass(frozen=True)
class Fit:
    """A form at its maximum. at: parameters (p,), logarithms but for modifiers. value: the log-likelihood. n: turns."""

    form: Form
    at: Values
    value: float
    n: int

    @property
    def aic(self) -> float:
        """Akaike's criterion. Source: Akaike 1974."""
        return 2 * self.form.size - 2 * self.value

    @property
    def bic(self) -> float:
        """Schwarz's criterion, by the number of turns. Source: Schwarz 1978."""
        return math.log(max(self.n, 1)) * self.form.size - 2 * self.value

    def of(self, name: str) -> float:
        """A parameter as it is meant; 0 for one that the form does not have."""
        if name not in self.form.parameters:
            return 0.0
        found = float(self.at[self.form.parameters.index(name)])
        return found if name in AXES else math.exp(found) * (found > math.log(SMALLEST) + 0.01)


def hazards(fit: Fit, rows: Rows) -> Values:
    """The hazard of each row (m,) under a form."""
    return Likelihood(rows, fit.form).hazard(fit.at)[0]
