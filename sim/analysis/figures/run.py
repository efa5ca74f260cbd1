"""Figures of a run. `plot_*` functions draw what they are given on given axes and compute nothing; `draw` makes them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from contagium.sim.analysis.figures.layout import Event, NetworkLayout, TreeLayout
from contagium.sim.analysis.figures.picture import Picture, picture
from contagium.sim.analysis.figures.style import (
    AFFECT_COLOURS,
    AFFECT_STYLES,
    COLOURS,
    DOUBLE,
    HALO,
    OTHER,
    OTHER_SHAPE,
    SHAPES,
    SINGLE,
    STYLES,
    called,
    label,
    legend_below,
    say,
)
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.spread.adoption import MISSING, SILENT, UNREAD, Scores
from contagium.sim.sample import ROOTS

DENSE = 500
"""From this many marks on, a vector figure holds them as a picture, or it would grow to megabytes."""


def plot_compartments(axes: Axes, curves: pd.DataFrame, title: str = "Compartments, by the case definition") -> None:
    """Agents in each compartment by step, from `compartment_curves`."""
    if curves.empty:
        return say(axes, "No compartments were recorded.")
    for name in curves:
        colour, style, marker = COLOURS.get(name, OTHER), STYLES.get(name, ":"), "o" if len(curves) <= 40 else None
        shown = called(name, curves)
        axes.plot(curves.index, curves[name], color=colour, linestyle=style, marker=marker, markersize=3, label=shown)
    axes.set(xlabel="step (−1: after seeding)", ylabel="agents", title=title)
    axes.set_ylim(bottom=0)
    legend_below(axes)
    return None


def plot_affect(
    axes: Axes,
    curves: dict[str, pd.DataFrame],
    instruments: dict[str, list[str]] | None = None,
    limits: tuple[float, float] = (-1.05, 1.05),
    events: Sequence[Event] = (),
) -> None:
    """Mean of each affect axis by step, with a band of one standard deviation over messages, from `affect_curves`.

    instruments: axis → those that read it, as far as they are to be named. events: the begin of each is a vertical line.
    """
    if not curves:
        return say(axes, "No affect was read.")
    for axis, curve in curves.items():
        colour = AFFECT_COLOURS.get(axis, OTHER)
        axes.fill_between(curve.index, curve["mean"] - curve["sd"], curve["mean"] + curve["sd"], color=colour, alpha=0.15, lw=0)
        style, marker = AFFECT_STYLES.get(axis, ":"), "o" if len(curve) <= 40 else None
        read_by = (instruments or {}).get(axis)
        name = f"{axis} ({', '.join(map(label, read_by))})" if read_by else axis
        axes.plot(curve.index, curve["mean"], color=colour, linestyle=style, marker=marker, markersize=3, label=name)
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.set(xlabel="step", ylabel="reading, −1 to 1", ylim=limits)
    rows = _mark_events(axes, events)
    axes.set_title("Affect in messages: mean ± 1 SD", pad=6 + 10 * rows)
    pressure = Line2D([], [], color="0.45", lw=0.7, linestyle=(0, (4, 3)), label="a pressure event begins")
    legend_below(axes, more=[pressure] if events else [])
    return None


def plot_measure(axes: Axes, name: str, curve: pd.DataFrame, instruments: list[str], events: Sequence[Event] = ()) -> None:
    """Mean of a measure by step, with a band of one standard deviation over messages, from `affect_curves`."""
    axes.fill_between(curve.index, curve["mean"] - curve["sd"], curve["mean"] + curve["sd"], color=COLOURS["I"], alpha=0.15, lw=0)
    marker = "o" if len(curve) <= 40 else None
    axes.plot(curve.index, curve["mean"], color=COLOURS["I"], marker=marker, markersize=3)
    for step in (step for event in events for step in event.steps):
        axes.axvline(step, color="0.45", lw=0.7, linestyle=(0, (4, 3)), zorder=0)
    axes.set(xlabel="step", ylabel=label(name), title=f"{label(name)} ({', '.join(map(label, instruments))})")


def _mark_events(axes: Axes, events: Sequence[Event]) -> int:
    """A thin line where each event begins, its name above. How many rows the names take."""
    top = axes.get_xaxis_transform()
    for event in events:
        for step in event.steps:
            axes.axvline(step, color="0.45", lw=0.7, linestyle=(0, (4, 3)), zorder=0)
        for step, row in event.named:
            how: dict[str, Any] = {"ha": "center", "fontsize": 7, "color": "0.3", "parse_math": False}
            axes.annotate(label(event.name), (step, 1), (0, 3 + 10 * row), top, "offset points", **how)
    return 1 + max((row for event in events for _, row in event.named), default=-1)


def plot_network(axes: Axes, layout: NetworkLayout, state: NDArray[np.object_], title: str) -> None:
    """The network with agents coloured and shaped by compartment; index cases have a black rim."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_title(title)
    lines = LineCollection(list(layout.position[layout.edges]), colors="0.75", linewidths=0.5, zorder=1)
    lines.set_rasterized(len(layout.edges) > DENSE)
    axes.add_collection(lines)
    size = 60 if len(layout.agents) <= 60 else 14
    for compartment in dict.fromkeys([*COLOURS, *state]):
        here = state == compartment
        if here.any():
            rim = ["black" if index else "white" for index in layout.index[here]]
            width = np.where(layout.index[here], 1.4, 0.4).tolist()
            x, y = layout.position[here].T
            mark, colour = SHAPES.get(compartment, OTHER_SHAPE), COLOURS.get(compartment, OTHER)
            axes.scatter(x, y, s=size, marker=mark, c=colour, edgecolors=rim, linewidths=width, zorder=2)
    axes.margins(0.08)


def network_legend(figure: Figure, compartments: Sequence[str], columns: int = 5) -> None:
    """Legend of all panels, below them."""
    marks = [_dot(COLOURS.get(c, OTHER), called(c, compartments), marker=SHAPES.get(c, OTHER_SHAPE)) for c in compartments]
    rim = _dot("white", "index case (black rim)", "black")
    figure.legend(handles=[*marks, rim], loc="outside lower center", ncols=columns)


def _dot(face: str, name: str, edge: str = "white", marker: str = "o") -> Line2D:
    return Line2D([], [], marker=marker, linestyle="", markersize=7, markerfacecolor=face, markeredgecolor=edge, label=name)


def plot_tree(axes: Axes, layout: TreeLayout, names: dict[int, str]) -> None:
    """Cases by generation; the more probable a link, the darker and wider; dotted links are less likely candidates."""
    cases = layout.cases
    if cases.empty:
        return say(axes, "No cases: there is no transmission tree.")
    few = len(cases) <= 40
    for chosen, style in ((~layout.parent, ":"), (layout.parent, "-")):
        share = layout.probability[chosen]
        ends = [line for line, drawn in zip(layout.links, chosen, strict=True) if drawn]
        colours, width = [_grey(p) for p in share], [_width(p) for p in share]
        lines = LineCollection(ends, colors=colours, linewidths=width, linestyles=style)
        lines.set_rasterized(len(share) > DENSE)
        axes.add_collection(lines)
    groups = (
        (cases["index"], "black", "s", "index case"),
        (cases["spontaneous"], "white", "D", "no known source"),
        (~cases["index"] & ~cases["spontaneous"], COLOURS["I"], "o", "case with a candidate source"),
    )
    for chosen, face, marker, name in groups:
        if not chosen.any():
            continue
        x, y = layout.position[chosen.to_numpy(bool)].T
        axes.scatter(x, y, s=36 if few else 10, c=face, marker=marker, edgecolors="black", linewidths=0.7, label=name, zorder=3)
    if few:
        for agent, (x, y) in zip(cases["agent"], layout.position, strict=True):
            how: dict[str, Any] = {"ha": "center", "fontsize": 7, "path_effects": HALO, "zorder": 4}
            axes.annotate(label(names[agent]), (x, y), (0, 6), textcoords="offset points", parse_math=False, **how)
    cut = f"\n({len(cases)} of {layout.total} cases, largest families)"
    part = cut if len(cases) < layout.total else ""
    axes.set(xlabel="generation", yticks=[], title=f"Transmission tree by likeliest source{part}")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.spines["left"].set_visible(False)
    axes.margins(0.08)
    axes.invert_yaxis()
    legend_below(axes, more=_links_legend(layout))
    return None


def _grey(probability: float) -> str:
    """Even the least probable link stays visible."""
    return f"{0.55 * (1 - min(probability, 1.0)):.3f}"


def _width(probability: float) -> float:
    return 0.7 + 1.3 * probability


def _links_legend(layout: TreeLayout) -> list[Any]:
    """What the style and the darkness of links mean, of those there are."""
    if not layout.links:
        return []
    kinds: tuple[tuple[NDArray[np.bool_], Any, str], ...] = (
        (layout.parent, "-", "likeliest source"),
        (~layout.parent, ":", "another candidate"),
    )
    marks: list[Any] = [Line2D([], [], color="0.2", lw=1.3, linestyle=s, label=name) for has, s, name in kinds if has.any()]
    shades = [Line2D([], [], color=_grey(p), lw=_width(p), label="probability 0, ½, 1") for p in (0.0, 0.5, 1.0)]
    return [*marks, tuple(shades)]


def plot_scores(axes: Axes, scores: Scores, names: dict[int, str], index: set[int], thresholds: dict[str, float]) -> None:
    """Persona score of what each agent said in each step; a missing turn and a failed reading are marked, silence is grey.

    thresholds: instrument → the score from which it shows the persona, marked on the scale.
    """
    if not scores.score.size:
        return say(axes, "Nothing was said.")
    score, state, agents = scores.score, scores.state, scores.agents
    axes.set_facecolor("0.92")
    edges = np.arange(len(scores.steps) + 1) - 0.5, np.arange(len(agents) + 1) - 0.5
    high = max(np.nanmax(score, initial=0.0, where=~np.isnan(score)), *thresholds.values(), 1e-6)
    low = np.nanmin(score, initial=0.0, where=~np.isnan(score))
    mesh = axes.pcolormesh(*edges, score, cmap="cividis", vmin=low, vmax=high, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, label="persona score", pad=0.02)
    marks = []
    styles: tuple[Any, ...] = ("-", (0, (1, 1)))
    for (name, threshold), style in zip(thresholds.items(), styles, strict=False):
        bar.ax.axhline(threshold, color="white", lw=4)
        bar.ax.axhline(threshold, color=COLOURS["I"], lw=2, linestyle=style)
        words = f"case threshold, {label(name)}: {threshold:.2g}"
        marks.append(Line2D([], [], color=COLOURS["I"], lw=2, linestyle=style, label=words))
    for kind, marker, name in ((MISSING, "x", "missing turn"), (UNREAD, "d", "said, reading failed")):
        y, x = np.nonzero(state == kind)
        if len(x):
            axes.scatter(x, y, s=18, marker=marker, c="0.35", linewidths=0.9, label=name, rasterized=len(x) > DENSE)
    if (state == SILENT).any():
        axes.plot([], [], "s", color="0.92", markeredgecolor="0.6", label="nothing said")
    part = f"\n({len(agents)} of {scores.total} logged agents, evenly by onset)" if len(agents) < scores.total else ""
    axes.set(xlabel="step", ylabel="agent, by onset (index cases: ▶)", title=f"Who said what: persona score{part}")
    shown = [f"▶ {label(names[a])}" if a in index else label(names[a]) for a in agents.tolist()]
    axes.set_yticks(range(len(agents)), shown, fontsize=6.5 if len(agents) > 30 else 8, parse_math=False)
    axes.invert_yaxis()
    legend_below(axes, more=marks)
    return None


def draw(found: Findings, curves: Mapping[str, pd.DataFrame] | None = None, width: float = DOUBLE) -> list[Picture]:
    """All figures of a run; the same findings give the same bytes.

    curves: strain or state → its `compartment_curves`, a panel each; None: of the one that `found` is about. width: inches, of a
    column or a page.
    """
    curves = curves or {found.strain: found.curves}
    return [
        picture(name, (width, height), plot, caption)
        for name, height, plot, caption in (
            compartments(curves),
            _affect(found),
            *([_measures(found)] if found.measures else []),
            _network(found, width),
            _tree(found),
            _scores(found),
        )
    ]


Plan = tuple[str, float, Callable[[Figure], None], str]
"""Of a figure: name, height in inches, what draws it, caption."""


def compartments(curves: Mapping[str, pd.DataFrame]) -> Plan:
    """A panel for each strain or state of `curves`."""

    def plot(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(len(curves), 1, sharex=True))
        for axes, (strain, curve) in zip(panels, curves.items(), strict=True):
            plot_compartments(axes, curve, label(strain) if len(curves) > 1 else "Compartments, by the case definition")
            axes.label_outer()
        if len(curves) > 1:  # one legend for all, of every compartment that any of them has
            for legend in filter(None, (axes.get_legend() for axes in panels)):
                legend.remove()
            marks = {name: line for axes in panels for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
            figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=3, fontsize=8)

    each = f" A panel for each of {len(curves)} strains and states." if len(curves) > 1 else ""
    says = "Agents in each compartment after each step, by the observer's case definition; a case counts once it is confirmed."
    return "compartments", 1.2 + 2.4 * len(curves), plot, says + each


def _affect(found: Findings) -> Plan:
    says = (
        "Affect read in the messages of each step: mean, and a band of one standard deviation over messages. "
        "The instruments that read them are in brackets. Vertical lines: a pressure event begins."
    )

    def plot(figure: Figure) -> None:
        plot_affect(figure.subplots(), found.affect, found.instruments, found.affect_limits, found.events)

    return "affect", 3.6, plot, says


def _measures(found: Findings) -> Plan:
    def plot(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(len(found.measures), 1, sharex=True))
        for axes, (name, curve) in zip(panels, found.measures.items(), strict=True):
            plot_measure(axes, name, curve, found.instruments.get(name, []), found.events)
            axes.label_outer()

    says = (
        "What else was read in the messages of each step: mean, and a band of one standard deviation over messages. "
        "The instruments that may stand for it are in brackets. Vertical lines: a pressure event begins."
    )
    return "measures", 2.4 * len(found.measures), plot, says


def _network(found: Findings, width: float) -> Plan:
    part, many, index = found.network, len(found.shown), int(found.chains.cases["index"].sum())
    cut = f"{len(part.agents)} of {part.total} agents, breadth first around {min(ROOTS, index)} index cases"
    which = cut if len(part.agents) < part.total else ""
    # In one column three panels would be too small to tell marks apart.
    across = many if width > SINGLE else 1

    def plot(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(many // across, across)).ravel()
        for axes, state, step in zip(panels, found.states, found.shown, strict=True):
            place = "start" if step == found.shown[0] else "end" if step == found.shown[-1] else "middle"
            plot_network(axes, part, state, f"{place}: after {f'step {step}' if step >= 0 else 'seeding'}")
        present = [c for c in found.curves if any((state == c).any() for state in found.states)]
        network_legend(figure, present, columns=5 if width > SINGLE else 2)
        figure.suptitle("Network" + f"\n({which})" * bool(which), x=0.01, ha="left", fontsize=10)

    says = f"The network at the start, in the middle and at the end, coloured by compartment. {which}".strip()
    return "network", 0.9 + 2.7 * (many // across), plot, says


def _tree(found: Findings) -> Plan:
    says = (
        "Who may have infected whom. Solid links lead to the likeliest source, dotted ones to other candidates; "
        "the darker, the more probable. Arcs join cases of the same generation. "
        "Sources are candidates, not confirmed causes."
    )
    return "tree", 5.0, lambda figure: plot_tree(figure.subplots(), found.tree, found.names), says


def _scores(found: Findings) -> Plan:
    index = set(found.chains.cases.loc[found.chains.cases["index"], "agent"].tolist())

    def plot(figure: Figure) -> None:
        plot_scores(figure.subplots(), found.scores, found.names, index, found.thresholds)

    says = (
        "The highest persona score among each agent's messages in each step. "
        "Lines on the scale are case thresholds, each for what its instrument read."
        f"{f' Known of {found.sample}.' if found.sample else ''}"
    )
    return "scores", max(2.8, 1.6 + 0.12 * len(found.scores.agents)), plot, says
