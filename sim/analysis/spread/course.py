"""The course of one run's epidemic: curves, growth, R0 three ways, R over time and dose, put together for a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.spread import basic, curves, dose, effective
from contagium.sim.analysis.spread.basic import Basic, from_final_size, from_growth
from contagium.sim.analysis.spread.curves import Curve, curve
from contagium.sim.analysis.spread.dose import DoseResponse, dose_response
from contagium.sim.analysis.spread.effective import Effective
from contagium.sim.analysis.spread.epidemic import chosen_strain, last_step
from contagium.sim.analysis.spread.growth import Growth, early_growth
from contagium.sim.analysis.spread.infectivity import cases_of
from contagium.sim.analysis.tables import Table, counted, number
from contagium.sim.analysis.trees.reproduction import estimate
from contagium.sim.analysis.trees.tree import Chains, chains
from contagium.sim.log import Run


@dataclass(frozen=True)
class Course:
    """What the cases of one strain did over time. curves: of all strains and states, `strain` among them."""

    strain: str
    curves: tuple[Curve, ...]
    growth: Growth
    basic: Basic
    effective: Effective
    dose: DoseResponse

    @property
    def curve(self) -> Curve:
        """Of the strain that all else is about."""
        return next(one for one in self.curves if one.strain == self.strain)


def course(
    run: Run,
    strain: str | None = None,
    kind: str = "case",
    found: Chains | None = None,
    tree: Estimate | None = None,
) -> Course:
    """The course of one strain. found, tree: its chains and their R0, if they are at hand. LogError: no such strain."""
    strain, last = chosen_strain(run, strain), last_step(run)
    found = chains(run, strain, kind) if found is None else found
    tree = estimate(found, last) if tree is None else tree
    cases = cases_of(found, run.size, last)
    every = tuple(curve(run, name, kind, found.cases if name == strain else None) for name in run.meta["strains"])
    growth = early_growth(cases)
    own = next(one for one in every if one.strain == strain)
    new, index = own.attack.count, own.index
    size = (
        from_final_size(new, index, run.size, own.still)
        if own.still is not None
        else unknown("nothing says who still was a case", new)
    )
    return Course(
        strain,
        every,
        growth,
        Basic(tree, from_growth(cases, growth), size),
        effective.effective(cases),
        dose_response(run, strain, kind),
    )


def tables(found: Course) -> Iterator[Table]:
    """All that the course says, in the order to read it."""
    yield from curves.tables(found.curves)
    yield growth_table(found.growth)
    yield from basic.tables(found.basic)
    yield from effective.tables(found.effective)
    yield from dose.tables(found.dose)


def growth_table(found: Growth) -> Table:
    """How fast cases grow at first."""
    says = (
        f"Growth of new cases among all susceptible, from steps 0 to {found.until}: up to the step in which a tenth of those "
        "susceptible at the start, or 30 agents, but at most half, had been a case. Index cases and what they caused are left "
        "out. On a network of tight circles early growth is not exponential, and this number says little."
    )
    says += f" It rests on {counted(found.new, 'new case')}."
    if found.scatter is not None:
        says += f" New cases scatter {found.scatter:.1f} times as much as Poisson counts."
    rows = (
        ("growth rate a step", number(found.rate, "z.3f")),
        ("doubling time, steps", number(found.doubling, "z.1f")),
    )
    return Table("Early growth", says, ("of", "value (95%)"), rows)
