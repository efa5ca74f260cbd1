"""How infectious a case is by the steps since its onset, from who may have caused whom: what growth and R0 rest on.

A life table: expected secondary cases at each age over the cases that could have caused one then. It corrects for the end of what
is looked at (a case of the last step had no time to cause any) and, as if contacts were mixed at random, for agents that are
no longer susceptible. Index cases count as sources no more than as targets: they are often made to shed steadily.
Sources: Wallinga & Lipsitch 2007 (growth and intervals), Lin & Wei 1989 (errors by source).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contagium.sim.analysis.trees.tree import Chains

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cases:
    """First cases of n agents out of `size`, by arrays. onset, index, spontaneous: (n,); the onset of index cases is −1.

    source, target, probability: (m,), candidate links between places in these arrays, the target's onset after the source's.
    spontaneous: cases no case can have caused; they come from outside. last: the last step done.
    """

    onset: Ints
    index: NDArray[np.bool_]
    spontaneous: NDArray[np.bool_]
    source: Ints
    target: Ints
    probability: Floats
    size: int
    last: int

    def __post_init__(self) -> None:
        if len(self.target) and int((self.onset[self.target] - self.onset[self.source]).min()) < 1:
            raise ValueError("the onset of a target must be after its source's")

    @property
    def exposed(self) -> int:
        """Agents that were susceptible at the start."""
        return self.size - int(self.index.sum())

    @cached_property
    def new(self) -> Ints:
        """New cases in each step, index cases left out, (T,)."""
        return np.bincount(self.onset[~self.index], minlength=self.last + 1)[: self.last + 1]

    @cached_property
    def susceptible(self) -> Floats:
        """Share of those once susceptible that had not been a case before each step, (T,)."""
        before = np.r_[0, np.cumsum(self.new)[:-1]] if len(self.new) else np.empty(0)
        return np.asarray(1 - before / max(self.exposed, 1))

    @cached_property
    def share(self) -> Floats:
        """What each source takes of its target, (m,): of one target they add up to 1, however much of it is unexplained."""
        explained = np.bincount(self.target, self.probability, minlength=len(self.onset))[self.target]
        return np.divide(self.probability, explained, out=np.zeros(len(explained)), where=explained > 0)

    @cached_property
    def caused(self) -> Floats:
        """New cases in each step that cases other than index cases caused, (T,). Spontaneous cases do not count."""
        among = ~self.index[self.source]
        caused = np.bincount(self.onset[self.target[among]], self.share[among], minlength=self.last + 1)
        return np.asarray(caused[: self.last + 1], dtype=np.float64)


def cases_of(found: Chains, size: int, last: int) -> Cases:
    """The cases of a run in arrays. size: agents. last: the last step done."""
    cases, links = found.cases, found.links
    source, target = found.ends
    index, spontaneous = (cases[name].to_numpy(bool) for name in ("index", "spontaneous"))
    probability = links["probability"].to_numpy(np.float64)
    return Cases(cases["onset"].to_numpy(np.int64), index, spontaneous, source, target, probability, size, last)


class Infectivity:
    """Expected secondary cases of a case `a` steps after its onset among all susceptible, `value` (A,), from steps up to `until`.

    Bias: low, where cases go on causing others for longer than was looked at. links: cases these rest on.
    """

    def __init__(self, cases: Cases, until: int) -> None:
        seen = (cases.onset[cases.target] <= until) & ~cases.index[cases.source]
        inside = (cases.onset <= until) & ~cases.index
        self._source, self._share = cases.source[seen], cases.share[seen]
        self._gap = (cases.onset[cases.target] - cases.onset[cases.source])[seen]
        self._onset, self._inside = cases.onset, np.flatnonzero(inside)
        self.until, self.links = until, float(self._share.sum())
        ages = int(self._gap.max(initial=0)) + 1
        self._susceptible = cases.susceptible[: until + 1]
        begun = cases.new[: until + 1].astype(np.float64)
        due = [0.0, *(float(begun[: until + 1 - a] @ self._susceptible[a:]) for a in range(1, ages))]
        self.due: Floats = np.array(due)
        caused = np.bincount(self._gap, self._share, minlength=ages)
        self.value: Floats = np.divide(caused, self.due, out=np.zeros(ages), where=self.due > 0)

    @property
    def total(self) -> float:
        """Secondary cases of a case, at all ages."""
        return float(self.value.sum())

    @cached_property
    def rate(self) -> float:
        """The rate r at which cases grow or decline in the long run: Σ value(a) exp(−r a) = 1 (Lotka 1907)."""
        age, rate = np.arange(len(self.value)), 0.0
        for _ in range(200):
            left = self.value * np.exp(-rate * age)
            step = math.log(left.sum()) * left.sum() / (left @ age)
            rate += min(max(step, -1.0), 1.0)
            if abs(step) < 1e-12:
                break
        return rate

    def variance(self, effect: Floats) -> tuple[float, float]:
        """Variance of a number that changes by `effect` (A,) with the value at each age, and its degrees of freedom.

        Sources vary independently of each other, however unevenly they infect and however long; so does whom an unsure link
        joins. Degrees of freedom: Satterthwaite's, few where few sources caused most.
        """
        part = np.divide(effect, self.due, out=np.zeros_like(effect), where=self.due > 0)
        got = np.bincount(self._source, self._share * part[self._gap], minlength=len(self._onset))
        ages = np.arange(len(self.value))
        expected = np.zeros(self.until + 1)
        for step in range(self.until + 1):
            seen = ages[: self.until - step + 1]
            expected[step] = (part * self.value)[seen] @ self._susceptible[step + seen]
        residual = got[self._inside] - expected[self._onset[self._inside]]
        unsure = float((self._share * (1 - self._share) * part[self._gap] ** 2).sum())
        variance = float(residual @ residual) + unsure
        fourth = float((residual**4).sum())
        return variance, 2 * variance**2 / fourth if fourth else math.inf

    def scatter(self, caused: Floats, new: Ints) -> float | None:
        """How much more than Poisson counts new cases by step scatter around what was expected, 1 at the least; None: unknown.

        caused, new: (T,), as of `Cases`. Steps are joined until a case is expected.
        """
        expected = np.convolve(new, self.value)[: self.until + 1] * self._susceptible
        reached = np.cumsum(expected) - expected
        group = np.minimum(reached, max(expected.sum() - 1, 0)).astype(np.int64)
        means, counts = np.bincount(group, expected), np.bincount(group, caused[: self.until + 1])
        means, counts = means[means > 0], counts[means > 0]
        if len(means) < 3:
            return None
        return max(1.0, float(((counts - means) ** 2 / means).sum()) / (len(means) - 1))
