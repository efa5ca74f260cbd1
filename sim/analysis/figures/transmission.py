"""Figures of who infected whom: secondary cases, intervals, influence, facets. They draw what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from contagium.sim.analysis.figures.style import COLOURS, OTHER, label, legend_below, say
from contagium.sim.analysis.tables import number
from contagium.sim.analysis.trees.influence import Influence
from contagium.sim.analysis.trees.intervals import Intervals
from contagium.sim.analysis.trees.mutation import Survival
from contagium.sim.analysis.trees.offspring import Offspring

SEEN, FITTED = COLOURS["S"], COLOURS["I"]


def plot_offspring(axes: Axes, found: Offspring | None) -> None:
    """Share of cases that caused 0, 1, 2, … others, and the fitted negative binomial."""
    if found is None:
        return say(axes, "No case could be followed.")
    axes.bar(list(found.seen), list(found.seen.values()), color=SEEN, label="mean of sampled trees")
    if found.fitted:
        told = f"negative binomial, k: {number(found.k)}"
        axes.plot(list(found.fitted), list(found.fitted.values()), color=FITTED, marker="o", markersize=3, label=told)
    axes.set(xlabel="secondary cases of a case", ylabel="share of followed cases", title="How many each case caused")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(axes, columns=1)
    return None


def plot_intervals(axes: Axes, found: Intervals, name: str = "serial interval") -> None:
    """Share of observed intervals by their length, and the fitted law, which the end of the run does not cut short."""
    if found.observed is None:
        return say(axes, f"No {name} was seen.")
    length = len(found.seen)
    axes.bar(np.arange(length), found.seen, color=SEEN, label="as observed")
    if found.weights is not None:
        told = f"fitted, mean: {number(found.mean)}"
        axes.plot(np.arange(len(found.weights)), found.weights, color=FITTED, marker="o", markersize=3, label=told)
    axes.set(xlabel=f"{name} (steps)", ylabel="share", title=name.capitalize(), xlim=(0, length + 1))
    legend_below(axes, columns=1)
    return None


def plot_influence(axes: Axes, found: Sequence[Influence], names: Mapping[int, str]) -> None:
    """Expected cases caused in all, and directly, with the range of 95% of sampled trees; most first."""
    if not found:
        return say(axes, "Nobody is known to have caused a case.")
    for k, one in enumerate(found):
        for shift, of, colour, mark in ((-0.12, one.total, COLOURS["I"], "o"), (0.12, one.direct, COLOURS["H"], "s")):
            if of.value is not None and of.low is not None and of.high is not None:
                axes.plot([of.low, of.high], [k + shift] * 2, color=colour, lw=1.5)
                axes.plot(of.value, k + shift, color=colour, marker=mark, markersize=4, linestyle="none")
    told = [names[one.agent] if one.message is None else f"{names[one.agent]}, message {one.message}" for one in found]
    axes.set_yticks(range(len(found)), [label(name) for name in told])
    axes.plot([], [], color=COLOURS["I"], marker="o", markersize=4, label="in all")
    axes.plot([], [], color=COLOURS["H"], marker="s", markersize=4, label="directly")
    axes.set(xlabel="cases caused (expected; bar: 95% of sampled trees)", title="Most influential", xlim=(0, None))
    axes.invert_yaxis()
    legend_below(axes)
    return None


def plot_facets(axes: Axes, found: Sequence[Survival]) -> None:
    """How much likelier a case shows a facet after a message that did than after one that did not, with 95% intervals."""
    told = [(one.facet, one.difference, one.difference.value) for one in found if one.difference.value is not None]
    if not told:
        return say(axes, "No facet was shown, and not shown, by enough sources.")
    axes.axvline(0, color="0.8", lw=0.8, zorder=0)
    for k, (_, of, value) in enumerate(told):
        if of.low is not None and of.high is not None:
            axes.plot([of.low, of.high], [k, k], color=OTHER, lw=1.5)
        axes.plot(value, k, color=COLOURS["I"], marker="o", markersize=4)
    axes.set_yticks(range(len(told)), [label(facet) for facet, _, _ in told])
    axes.set(xlabel="P(shown | source showed it) − P(shown | it did not)", title="Which facets are handed on", xlim=(-1.05, 1.05))
    axes.invert_yaxis()
    return None
