"""New cases and cases at a time, step by step, of every strain and emotional state of a run: counts, for it is one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.sim.analysis.spread.epidemic import (
    CASES,
    INFECTIOUS,
    Share,
    chosen_strain,
    compartment_curves,
    last_step,
    onsets,
)
from contagium.sim.analysis.tables import Table
from contagium.sim.log import Run

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """One strain of one run. steps: (T,) from 0. new: (T,), agents whose first case began in each step, index cases left out.

    prevalence: (T,), agents that were cases after each step, as logged: from the step that confirmed them; None where no
    compartments are logged. index: index cases. size: agents.
    """

    strain: str
    kind: str
    steps: Ints
    new: Ints
    prevalence: Ints | None
    index: int
    size: int

    @property
    def cumulative(self) -> Ints:
        """Agents that were a case by the end of each step, index cases included, (T,)."""
        return np.asarray(self.index + np.cumsum(self.new))

    @property
    def attack(self) -> Share:
        """Of those susceptible at the start, who became a case."""
        return Share(int(self.new.sum()), self.size - self.index)

    @property
    def final(self) -> Share:
        """Of all agents, who ever were a case."""
        return Share(self.index + int(self.new.sum()), self.size)

    @property
    def still(self) -> int | None:
        """Agents that were cases after the last step."""
        return None if self.prevalence is None or not len(self.prevalence) else int(self.prevalence[-1])


def curve(run: Run, strain: str | None = None, kind: str = "case", cases: pd.DataFrame | None = None) -> Curve:
    """The curves of one strain. cases: what `onsets` gave for it, if it is at hand."""
    strain = chosen_strain(run, strain)
    steps = np.arange(last_step(run) + 1)
    cases = onsets(run, strain, kind) if cases is None else cases
    index, onset = cases["index"].to_numpy(bool), cases["onset"].to_numpy(np.int64)
    new = np.bincount(onset[~index], minlength=len(steps))[: len(steps)]
    logged = compartment_curves(run, strain, kind)
    names = [name for name in (CASES if kind == "case" else (INFECTIOUS,)) if name in logged]
    prevalence = logged[names].sum(axis=1).reindex(steps).to_numpy(np.float64) if names else np.full(len(steps), np.nan)
    known = bool(names) and not np.isnan(prevalence).any()
    counted = prevalence.astype(np.int64) if known else None
    return Curve(strain, kind, steps, new.astype(np.int64), counted, int(index.sum()), run.size)


def curves(run: Run, kind: str = "case") -> tuple[Curve, ...]:
    """Those of all strains and emotional states, in the order of the run."""
    chosen_strain(run)
    return tuple(curve(run, strain, kind) for strain in run.meta["strains"])


def tables(found: Iterable[Curve]) -> Iterator[Table]:
    """How far each strain got."""
    says = (
        "How far each strain and each emotional state that was followed got in this run. These are counts: agents influence each "
        "other, so only replicates tell how much such numbers vary."
    )
    rows = []
    for one in found:
        attack, final, most = one.attack, one.final, one.new
        top = f"{int(most.max())} in step {int(most.argmax())}" if most.any() else "none"
        still = "not logged" if one.still is None else str(one.still)
        rows.append((one.strain, str(one.index), str(attack.count), _percent(attack), _percent(final), top, still))
    head = ("of", "index cases", "new cases", "attack rate", "final size", "most in a step", "cases at the end")
    yield Table("New cases", says, head, tuple(rows))


def _percent(share: Share) -> str:
    return "nobody to catch it" if share.value is None else f"{share.value:.1%}"
