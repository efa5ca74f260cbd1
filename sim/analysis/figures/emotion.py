"""Figures of emotional contagion; they compute nothing but where things go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from contagium.sim.analysis.emotion.contagion import OfAxis
from contagium.sim.analysis.emotion.panel import Panel
from contagium.sim.analysis.emotion.regression import Lagged
from contagium.sim.analysis.emotion.response import Response
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.figures.style import COLOURS, OTHER, label, legend_below, say

DENSE = 4_000
"""Points up to which each is drawn; of more, how many there are."""

PRESSED, HEARERS = COLOURS["I"], COLOURS["H"]


def plot_response(axes: Axes, of: Response) -> None:
    """How affect changes around a pressure event: those pressed, and those who hear them, with 95% intervals."""
    if of.peak.value is None:
        return say(axes, f"{label(of.event)}: {of.peak.reason}.")
    axes.axhline(0, color="0.6", lw=0.8)
    axes.axvline(0, color="0.6", lw=0.8, linestyle=":")
    curves = [(PRESSED, "-", "o", f"pressed ({of.agents[0]})", (of.curve, of.low, of.high))]
    if of.spill is not None:
        curves.append((HEARERS, "--", "s", f"not pressed, hear them ({of.agents[1]})", of.spill))
    for colour, style, marker, name, (curve, low, high) in curves:
        axes.fill_between(of.steps, low, high, color=colour, alpha=0.2, lw=0)
        axes.plot(of.steps, curve, color=colour, linestyle=style, marker=marker, markersize=3.5, label=name)
    against = "others" if of.compared else "before"
    axes.set(xlabel="steps since the event began", ylabel=f"change of {label(of.axis)} against {against}")
    axes.set_title(f"Response to {label(of.event)}", parse_math=False)
    legend_below(axes, columns=2)
    return None


def plot_slopes(axes: Axes, found: Sequence[Lagged]) -> None:
    """What a unit heard adds to what is shown next, on each measure, with 95% intervals; the placebo beside it."""
    told = [one for one in found if one.contagion.value is not None]
    if not told:
        return say(axes, f"No slope: {found[0].contagion.reason}." if found else "No measure of affect was read.")
    kinds: list[tuple[str, str, str, list[Estimate]]] = [
        (COLOURS["I"], "o", "contagion", [one.contagion for one in told]),
        (COLOURS["H"], "v", "heard below own", [one.below for one in told]),
        (COLOURS["R"], "^", "heard above own", [one.above for one in told]),
        (OTHER, "s", "placebo: alike in the same step", [one.placebo for one in told]),
    ]
    axes.axvline(0, color="0.6", lw=0.8)
    for k, (colour, marker, name, estimates) in enumerate(kinds):
        known = [
            (place, e) for place, e in enumerate(estimates) if e.value is not None and e.low is not None and e.high is not None
        ]
        if not known:
            continue
        value = np.array([e.value for _, e in known], dtype=np.float64)
        ends = np.array([[e.low, e.high] for _, e in known], dtype=np.float64).T
        at = np.array([place for place, _ in known]) + 0.18 * (k - 1.5)
        reach = np.abs(ends - value)
        axes.errorbar(value, at, xerr=reach, color=colour, marker=marker, linestyle="", markersize=5, capsize=2, label=name)
    axes.set_yticks(range(len(told)), [label(one.axis) for one in told], parse_math=False)
    axes.set(xlabel="slope (units shown for a unit heard); placebo: correlation", title="Does what is heard move what is shown?")
    axes.set_ylim(len(told) - 0.5, -0.5)
    legend_below(axes, columns=2)
    return None


def plot_heard(axes: Axes, of: OfAxis) -> None:
    """What agents showed against the mean of what they had heard the step before; the fitted slope through the middle."""
    own, heard = _pairs(of.panels)
    if not len(own):
        return say(axes, f"Nobody showed {label(of.axis)} after hearing any.")
    if len(own) > DENSE:
        drawn = axes.hexbin(heard, own, gridsize=40, bins="log", cmap="cividis", mincnt=1, linewidths=0.1)
        axes.figure.colorbar(drawn, ax=axes, label="turns")
    else:
        axes.scatter(heard, own, s=8, color=COLOURS["H"], alpha=0.4, linewidths=0, rasterized=len(own) > 500)
    slope = of.lagged.contagion
    if slope.value is not None and slope.low is not None and slope.high is not None:
        x = np.array([heard.min(), heard.max()])
        middle = own.mean()
        for steep, style in ((slope.value, "-"), (slope.low, ":"), (slope.high, ":")):
            name = "contagion, all else allowed for" if style == "-" else "95% interval" if steep == slope.low else None
            axes.plot(x, middle + steep * (x - heard.mean()), color=COLOURS["I"], linestyle=style, lw=1.6, label=name)
    axes.set_xlabel(f"{label(of.axis)} heard the step before", parse_math=False)
    axes.set_ylabel(f"{label(of.axis)} shown", parse_math=False)
    axes.set_title(f"Own against heard {label(of.axis)}", parse_math=False)
    legend_below(axes)
    return None


def _pairs(panels: Sequence[Panel]) -> tuple[np.ndarray, np.ndarray]:
    """What was shown and what had been heard the step before, (m,) each."""
    own = np.concatenate([panel.own[:, 1:].ravel() for panel in panels])
    heard = np.concatenate([panel.heard[:, :-1].ravel() for panel in panels])
    known = np.isfinite(own) & np.isfinite(heard)
    return own[known], heard[known]
