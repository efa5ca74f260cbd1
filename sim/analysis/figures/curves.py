"""Figures of an epidemic's course: curves, R over time, dose. They draw what they are given and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from contagium.sim.analysis.figures.style import COLOURS, OTHER, label, legend_below, say
from contagium.sim.analysis.spread.curves import Curve
from contagium.sim.analysis.spread.dose import Attack, DoseResponse
from contagium.sim.analysis.spread.effective import Effective, OverTime
from contagium.sim.analysis.spread.replicates import Band, Replicates

LINES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
MARKS = ("o", "s", "^")
FEW = 40
"""Up to this many points each has a mark."""


def plot_incidence(axes: Axes, found: Sequence[Curve]) -> None:
    """New cases by step, a line for each strain and state."""
    drawn = [one for one in found if len(one.steps)]
    if not drawn:
        return say(axes, "No step was done.")
    for k, one in enumerate(drawn):
        _line(axes, k, one.steps, one.new, label(one.strain))
    axes.set(xlabel="step", ylabel="new cases a step", title="New cases by the step of their first sign", ylim=(0, None))
    return legend_below(axes) if len(drawn) > 1 else None


def plot_prevalence(axes: Axes, found: Sequence[Curve]) -> None:
    """Agents that are cases after each step, a line for each strain and state."""
    drawn = [one for one in found if one.prevalence is not None and len(one.steps)]
    if not drawn:
        return say(axes, "No compartments were recorded.")
    for k, one in enumerate(drawn):
        assert one.prevalence is not None  # those without are not drawn
        _line(axes, k, one.steps, one.prevalence, label(one.strain))
    axes.set(xlabel="step", ylabel="agents", title="Agents that are cases after each step", ylim=(0, None))
    return legend_below(axes) if len(drawn) > 1 else None


def _line(axes: Axes, k: int, x: NDArray[Any], y: NDArray[Any], name: str) -> None:
    how: dict[str, Any] = {"color": LINES[k % len(LINES)], "linestyle": DASHES[k % len(DASHES)], "label": name}
    axes.plot(x, y, marker=MARKS[k % len(MARKS)] if len(x) <= FEW else None, markersize=3, **how)


def plot_replicates(axes: Axes, found: Replicates, which: str = "incidence") -> None:
    """The curves of single runs, their mean and its 95% band. which: "incidence" or "prevalence"."""
    band: Band | None = found.incidence if which == "incidence" else found.prevalence
    if band is None:
        return say(axes, f"{len(found.curves)} runs: too few for a band, or no {which} was recorded.")
    for one in found.curves:
        counts = one.new if which == "incidence" else one.prevalence
        if counts is not None:
            axes.plot(one.steps, counts, color=OTHER, lw=0.5, alpha=0.6)
    axes.plot([], [], color=OTHER, lw=0.5, label="a run")
    axes.fill_between(found.steps, band.low, band.high, color=COLOURS["I"], alpha=0.25, lw=0, label="95% of the mean")
    axes.plot(found.steps, band.mean, color=COLOURS["I"], label=f"mean of {len(found.curves)} runs")
    title = {"incidence": ("new cases a step", "New cases"), "prevalence": ("agents", "Agents that are cases")}[which]
    axes.set(xlabel="step", ylabel=title[0], title=f"{title[1]}, {label(found.strain)}", ylim=(0, None))
    return legend_below(axes)


def plot_rt(axes: Axes, found: Effective) -> None:
    """R over time with 95% bands: instantaneous at the end of its window, cohort and tree at its beginning."""
    parts = (("instantaneous", found.instantaneous), ("cohort", found.cohort), ("tree", found.tree))
    if found.reason is not None:
        return say(axes, f"R over time is not known:\n{found.reason}.")
    for k, (name, part) in enumerate(parts):
        if part is not None:
            _band(axes, k, name, part, part.last if name == "instantaneous" else part.first)
    axes.axhline(1, color="0.5", lw=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.set(
        xlabel="step", ylabel="R, cases that a case causes", title=f"Effective R, windows of {found.width} steps", ylim=(0, None)
    )
    return legend_below(axes)


def _band(axes: Axes, k: int, name: str, part: OverTime, steps: NDArray[np.int64]) -> None:
    axes.fill_between(steps, part.low, part.high, color=LINES[k], alpha=0.15, lw=0)
    _line(axes, k, steps, part.value, name)


def plot_dose(axes: Axes, found: DoseResponse, by: str = "sources") -> None:
    """The chance of an onset in a step by what was heard, with 95% intervals. by: "sources" or "doses"."""
    attacks: tuple[Attack, ...] = found.sources if by == "sources" else found.doses
    known = [one for one in attacks if one.rate.value is not None]
    if not known:
        return say(axes, f"The response to a dose is not known:\n{found.reason or 'too few agent-steps at risk'}.")
    x = [one.middle for one in known]
    y, low, high = (np.array([getattr(one.rate, end) for one in known]) for end in ("value", "low", "high"))
    axes.errorbar(x, y, yerr=(y - low, high - y), fmt="o-", color=COLOURS["I"], ecolor="0.4", capsize=3, markersize=4)
    for one, place, top in zip(known, x, high, strict=True):
        axes.annotate(f"{one.turns}", (place, top), (0, 3), textcoords="offset points", ha="center", fontsize=7)
    what = "different agents heard that showed it" if by == "sources" else "dose heard"
    told = f"{what}, last {found.window} steps\n(numbers: agent-steps at risk)"
    axes.set(xlabel=told, ylabel="chance of an onset in a step", ylim=(0, None), title="Response to the dose")
    return None
