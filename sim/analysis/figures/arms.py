"""Figures of a comparison of arms. `plot_*` draw what they are given and compute nothing; `draw_arms` makes them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from contagium.sim.analysis.arms.compare import Cell, Comparison, Difference
from contagium.sim.analysis.arms.curves import Band, bands
from contagium.sim.analysis.arms.dose import Dose
from contagium.sim.analysis.figures.picture import Picture, picture
from contagium.sim.analysis.figures.style import DOUBLE, label, legend_below, say
from contagium.sim.analysis.text import visible

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
ARM = 34
"""Characters of the name of an arm or a setting, at most."""

MOST = 12
"""Panels of a figure, at most; the tables have all."""


def plot_outcome(axes: Axes, cells: Sequence[Cell]) -> None:
    """One outcome: every run a dot, the mean of each arm with its interval."""
    if not any(len(cell.values) for cell in cells):
        return say(axes, f"{label(cells[0].outcome.name)}: no run has it.")
    for row, cell in enumerate(cells):
        colour, n = PALETTE[row % len(PALETTE)], len(cell.values)
        # Above the bar; dots that would hide each other stand in a slant, in the order of their seeds.
        rows = [row - 0.28 + 0.24 * ((k + 0.5) / n - 0.5) for k in range(n)]
        axes.plot(cell.values, rows, "o", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
        _bar(axes, cell.estimate.value, cell.estimate.low, cell.estimate.high, row + 0.1, "black")
    _rows(axes, [cell.arm for cell in cells])
    axes.set(xlabel=label(cells[0].outcome.name))
    return None


def plot_differences(axes: Axes, differences: Sequence[Difference]) -> None:
    """One outcome: each arm less the baseline, with its interval; the line is no difference."""
    if all(one.estimate.value is None for one in differences):
        return say(axes, f"{label(differences[0].outcome.name)}: nothing to compare.")
    axes.axvline(0, color="0.6", lw=0.8, zorder=0)
    for row, one in enumerate(differences):
        _bar(axes, one.estimate.value, one.estimate.low, one.estimate.high, row, PALETTE[0])
    _rows(axes, [one.arm for one in differences])
    axes.set(xlabel=f"{label(differences[0].outcome.name)}, less the baseline")
    return None


def arm_label(name: str) -> str:
    """The name of an arm or a setting in one short line, cut at its beginning: what stands at the end tells arms apart."""
    line = " ".join(visible(name).split())
    return line if len(line) <= ARM else f"…{line[1 - ARM :]}"


def _bar(axes: Axes, value: float | None, low: float | None, high: float | None, row: float, colour: str) -> None:
    if value is None:
        axes.annotate("no value", (0.02, row), xycoords=axes.get_yaxis_transform(), va="center", fontsize=7, color="0.4")
        return
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=colour, lw=1.6, solid_capstyle="butt")
    axes.plot([value], [row], "D" if low is not None else "x", color=colour, markersize=5)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [arm_label(name) for name in names], fontsize=7, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)


def plot_dose(axes: Axes, of: Dose) -> None:
    """An outcome along a setting: every run a dot, and the simplest curve that fits."""
    axes.plot(of.doses, of.values, "o", color=PALETTE[0], alpha=0.45, markersize=4, markeredgewidth=0)
    axes.plot(*of.line, color=PALETTE[1], lw=1.6)
    if of.half.value is not None and of.half.low is not None and of.half.high is not None:
        axes.axvspan(of.half.low, of.half.high, color="0.9", zorder=0)
        axes.axvline(of.half.value, color="0.5", lw=0.8, linestyle="--", zorder=0)
        axes.set_xlim(*_around(of))
    axes.set(xlabel=arm_label(of.setting), ylabel=label(of.outcome))
    axes.set_title(label(f"{of.best}{f', {of.within}' if of.within else ''}"), fontsize=8)


def _around(of: Dose) -> tuple[float, float]:
    low, high = float(of.line[0, 0]), float(of.line[0, -1])
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def plot_epidemics(axes: Axes, curves: Sequence[Band]) -> None:
    """Share of agents that are a case, by step and arm: mean over runs, and the band that holds 95% of them."""
    if not curves:
        return say(axes, "No compartments were recorded.")
    for k, band in enumerate(curves):
        colour = PALETTE[k % len(PALETTE)]
        axes.fill_between(band.step, band.low, band.high, color=colour, alpha=0.12, lw=0)
        name = f"{arm_label(band.arm)} ({band.runs})"
        axes.plot(band.step, band.mean, color=colour, linestyle=LINES[k % len(LINES)], label=name)
    axes.set(xlabel="step (−1: after seeding)", ylabel="share of agents infectious", ylim=(0, None))
    legend_below(axes, columns=2)
    return None


def draw_arms(found: Comparison) -> list[Picture]:
    """Figures of the first outcomes that have something to show; the same comparison gives the same bytes."""
    cells = [[found.cells[arm.name, outcome.name] for arm in found.arms] for outcome in found.outcomes][:MOST]
    apart = [[d for d in found.differences if d.outcome is outcome] for outcome in found.outcomes][:MOST]
    height = 0.55 + 0.24 * len(found.arms)
    curves = bands(found.arms)
    plots: list[tuple[str, tuple[float, float], Callable[[Figure], None], str]] = [
        (
            "epidemics",
            (DOUBLE, 3.8),
            lambda f: plot_epidemics(f.subplots(), curves),
            "Share of agents that are a case after each step, by arm (in brackets: runs): mean, and a band with 95% of runs.",
        ),
        (
            "outcomes",
            (DOUBLE, max(1.6, height * len(cells))),
            lambda f: _panels(f, plot_outcome, cells),
            "Each outcome by arm: every run is a dot, the black mark is the mean with its 95% interval.",
        ),
    ]
    if len(found.arms) > 1:
        says = f"Each outcome by arm, less the baseline ({found.baseline}), with 95% intervals."
        plots.append(
            ("differences", (DOUBLE, max(1.6, height * len(apart))), lambda f: _panels(f, plot_differences, apart), says)
        )
    if found.doses:
        shown = found.doses[:MOST]
        rows = -(-len(shown) // 3)
        says = "Outcomes along a setting: every run a dot, the line the simplest curve that fits, grey the half dose's interval."
        plots.append(("doses", (DOUBLE, 0.4 + 2.1 * rows), lambda f: _grid(f, shown, rows), says))
    return [picture(name, size, plot, caption) for name, size, plot, caption in plots]


def _panels(figure: Figure, plot: Callable[[Axes, Any], None], of: Sequence[Any]) -> None:
    for axes, one in zip(figure.subplots(max(len(of), 1), 1, squeeze=False)[:, 0], of, strict=False):
        plot(axes, one)


def _grid(figure: Figure, doses: Sequence[Dose], rows: int) -> None:
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes, one in zip(panels, doses, strict=False):
        plot_dose(axes, one)
    for axes in panels[len(doses) :]:
        axes.set_axis_off()
