"""Figures of contagion or not: each test against its null, and the ratio of hazards by adjustment."""

from __future__ import annotations

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from contagium.sim.analysis.causes.contagion import Contagion
from contagium.sim.analysis.figures.style import COLOURS, OTHER, label, say

WIDE = 26  # characters in a line of a row's name


def plot_tests(axes: Axes, found: Contagion) -> None:
    """The null distribution of each test, in its standard deviations, and what was observed."""
    told = [one for one in found.tests if one.p is not None and one.null.std() > 0]
    if not told:
        say(axes, "No test of contagion could be made: too few cases.")
        return
    for row, one in enumerate(reversed(told)):
        centre, spread = one.null.mean(), one.null.std()
        axes.violinplot((one.null - centre) / spread, [row], orientation="horizontal", widths=0.8, showextrema=False, points=100)[
            "bodies"
        ][0].set(facecolor=OTHER, alpha=0.5)  # type: ignore[index]
        axes.plot((one.observed - centre) / spread, row, "D", color=COLOURS["I"], markersize=6)
        axes.annotate(f"p = {one.p:.3f}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set_yticks(range(len(told)), [fill(one.name, WIDE) for one in reversed(told)])
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlabel("standard deviations from chance (grey: permutations, diamond: observed)")
    axes.set_title(f"Contagion of {label(found.strain)}, or not?")


def plot_ratios(axes: Axes, found: Contagion) -> None:
    """The ratio of hazards, heard to not heard, by adjustment and for what cannot be a cause, with 95% intervals."""
    told = [one for one in found.ratios if one.value is not None and one.low is not None and one.high is not None]
    if not told:
        say(axes, "No ratio of hazards can be said: too few cases, or all had heard the same.")
        return
    for row, one in enumerate(reversed(told)):
        axes.plot((one.low, one.high), (row, row), color=COLOURS["H"], linewidth=1.6)  # type: ignore[arg-type]
        axes.plot(one.value, row, "o", color=COLOURS["H"], markersize=5)  # type: ignore[arg-type]
    axes.set_yticks(range(len(told)), [fill(one.method, WIDE) for one in reversed(told)])
    axes.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("hazard of an onset in a step, heard to not heard (95% interval)")
    axes.set_title(f"Hearing {label(found.strain)} and becoming a case")
