"""A comparison as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from contagium.sim.analysis.arms.advice import Advice
from contagium.sim.analysis.arms.compare import Cell, Comparison, Difference
from contagium.sim.analysis.arms.dose import Dose
from contagium.sim.analysis.arms.runs import Arm
from contagium.sim.analysis.tables import Reason, Table, number


def tables(found: Comparison) -> Iterator[Table]:
    """The tables that have a row."""
    every = (_arms(found), _outcomes(found), _differences(found), _doses(found), _advice(found))
    yield from (table for table in every if table.rows)


def form(kind: str, signed: bool = False) -> str:
    """How numbers of this form of outcome are written."""
    return ("+" if signed else "") + ("z.2f" if kind in ("number", "ratio") else "z.1%")


def _arms(found: Comparison) -> Table:
    rows = tuple(_arm(arm, arm.name == found.baseline) for arm in found.arms)
    says = "What the arms consist of. Missing turns and failed readings are means over runs: an arm that fails more shows less."
    return Table("Arms", says, ("arm", "runs", "finished", "seeds", "missing turns", "failed readings"), rows)


def _arm(arm: Arm, baseline: bool) -> tuple[str, ...]:
    finished = sum(run.status == "finished" for run in arm.runs)
    seeds = [str(seed) for seed in sorted(arm.seeds)]
    shown = ", ".join(seeds if len(seeds) <= 8 else [*seeds[:3], "…", *seeds[-1:]])
    name = f"{arm.name} (baseline)" if baseline else arm.name
    return name, str(len(arm.runs)), str(finished), shown, _rate(arm, "missing_turns"), _rate(arm, "failed_readings")


def _rate(arm: Arm, name: str) -> str:
    values = [value for run in arm.runs if (value := run.by_name[name].value) is not None]
    return f"{np.mean(values):.1%}" if values else "not known"


def _outcomes(found: Comparison) -> Table:
    says = (
        "Means over runs with 95% intervals over replicates; of what happened or did not, the share of runs. Runs without an "
        "outcome are left out of its mean and counted: where arms differ in that, their means are of different kinds of runs."
    )
    cells = [found.cells[arm.name, outcome.name] for outcome in found.outcomes for arm in found.arms]
    first = found.arms[0].name
    rows = tuple(
        (c.outcome.name, c.outcome.says if c.arm == first else "", c.arm, str(len(c.values)), told(c), without(c)) for c in cells
    )
    return Table("Outcomes", says, ("outcome", "what it is", "arm", "runs", "mean", "runs without it"), rows)


def told(cell: Cell) -> str:
    """The mean; of events how many, and how rare or common they may be in truth."""
    n = len(cell.values)
    if cell.outcome.form != "event" or not n:
        return number(cell.estimate, form(cell.outcome.form))
    count, of = int(cell.values.sum()), cell.estimate
    if not count:
        return f"0 of {n}: at most {of.high:.1%}"
    if count == n:
        return f"{n} of {n}: at least {of.low:.1%}"
    return f"{count} of {n}: {number(of, form('event'))}"


def without(cell: Cell) -> str:
    return "; ".join(f"{n} × {why}" for why, n in cell.without.items())


def _differences(found: Comparison) -> Table:
    says = (
        f"Less the baseline, {found.baseline}, with 95% intervals over replicates. p: how often chance alone would do as much, "
        "by permuting runs. Holm: p corrected over all rows, so that any one under 0.05 is a finding; q: expected share of false "
        "ones among all rows with a q as small. An interval that holds 0 is no proof of no difference."
    )
    rows = tuple(_difference(d) for d in found.differences)
    head = ("outcome", "arm", "runs", "difference", "by", "p", "Holm", "q")
    return Table("Differences", says, head, rows)


def _difference(of: Difference) -> tuple[str, ...]:
    runs = f"{of.estimate.n} pairs" if of.paired else str(of.estimate.n)
    p = ("too few runs", "", "") if of.chance is None else tuple(map(probability, (of.chance.p, of.holm, of.q)))
    return of.outcome.name, of.arm, runs, number(of.estimate, form(of.outcome.form, signed=True)), of.estimate.method, *p


def probability(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"


def _doses(found: Comparison) -> Table:
    says = (
        "Along a setting. Slope: change of the outcome per unit of it, of events in log-odds. p: does it rise, or fall, all "
        "along (Jonckheere–Terpstra, by permutation; not corrected for the number of rows). Curve: the simplest whose AICc is "
        "within 2 of the lowest. Half dose: of a Hill curve where half the effect is reached, of events where they happen in "
        "half the runs."
    )
    rows = tuple(_dose(dose) for dose in found.doses)
    head = ("outcome", "along", "runs", "doses", "slope", "p", "curve (AICc)", "half dose")
    return Table("Dose and response", says, head, rows)


def _dose(of: Dose) -> tuple[str, ...]:
    along = f"{of.setting} ({of.within})" if of.within else of.setting
    curves = ", ".join(f"{name} {aicc:.1f}" for name, aicc in of.curves.items())
    levels = str(len(np.unique(of.doses)))
    slope, half = number(of.slope, "+z.3g"), number(of.half, "z.3g")
    return of.outcome, along, str(len(of.doses)), levels, slope, probability(of.chance.p), f"{of.best} ({curves})", half


def _advice(found: Comparison) -> Table:
    says = (
        "Runs an arm to see an outcome of the baseline halved, with 80% power at the 5% level, if runs go on varying as much as "
        "now; in brackets what the 95% interval of that spread makes of it. By runs: compared as if their seeds had nothing in "
        "common. By pairs: runs of the same seeds in both arms, of which the differences count."
    )
    kinds = {outcome.name: outcome.form for outcome in found.outcomes}
    rows = tuple(_needed(one, form(kinds[one.outcome])) for one in found.advice)
    return Table("How many runs it takes", says, ("outcome", "to see", "by", "how many an arm"), rows)


def _needed(of: Advice, shape: str) -> tuple[str, str, str, str]:
    value: Any = of.value
    to_see = "" if of.value is None else f"{value:{shape}} halved"
    by = "pairs" if of.paired else "runs"
    if of.n is None:
        return of.outcome, to_see, by, Reason(of.reason)
    high = f"{of.high:,}" if of.high is not None else "no end"
    return of.outcome, to_see, by, f"{of.n:,} ({of.low:,} to {high})"
