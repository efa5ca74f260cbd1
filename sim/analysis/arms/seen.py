"""What outcomes are told of: one run, and what of it several of them need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from contagium.sim.analysis.emotion.affect import affect_curves
from contagium.sim.analysis.spread.epidemic import CASES, INFECTIOUS, compartment_curves, last_step
from contagium.sim.analysis.trees.tree import Chains, chains
from contagium.sim.reading import Run


class UndefinedError(Exception):
    """An outcome that a run does not have; the message says why."""


def known(of: float | None, reason: str) -> float:
    if of is None:
        raise UndefinedError(reason)
    return of


@dataclass(frozen=True)
class Seen:
    """One run, and of which strain and kind of cases its outcomes are told."""

    run: Run
    strain: str
    kind: str = "case"

    @cached_property
    def chains(self) -> Chains:
        return chains(self.run, self.strain, self.kind)

    @cached_property
    def last(self) -> int:
        return last_step(self.run)

    @cached_property
    def caught(self) -> pd.DataFrame:
        """Cases that were not seeded."""
        return self.chains.cases[~self.chains.cases["index"]]

    @cached_property
    def affect(self) -> dict[str, pd.DataFrame]:
        return affect_curves(self.run)

    @cached_property
    def steps(self) -> pd.DataFrame:
        return self.run.table("step")

    @cached_property
    def prevalence(self) -> pd.Series:
        """Agents that are a case after each step, as a share of all; empty where no compartments are logged."""
        curves = compartment_curves(self.run, self.strain, self.kind)
        cases = [name for name in (CASES if self.kind == "case" else (INFECTIOUS,)) if name in curves]
        return curves[cases].sum(axis=1) / curves.sum(axis=1) if cases else pd.Series(dtype=float)

    def readings(self, axis: str) -> pd.DataFrame:
        """Messages logged in detail with a good reading of an axis or measure: value, agent and step, by id.

        Where several instruments stand for it the first of them that read a message counts. UndefinedError: there are none.
        """
        standing = None
        for instrument in self.run.meta["axis_instruments"].get(axis, ()):
            found = self.run.read(instrument, axis).dropna(subset=["value"]).set_index("id")[["value", "agent", "step"]]
            standing = found if standing is None else standing.combine_first(found)
        if standing is None or standing.empty:
            raise UndefinedError(f"no good reading of {axis}")
        return standing
