"""Figures of a run. `plot_*` functions draw what they are given on given axes and compute nothing; `draw` makes them all.

Colours are those of Okabe & Ito (2008), which people with any common colour vision tell apart. Names are never read as formulas.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from contagium.sim.analysis.adoption import MISSING, UNREAD, Scores
from contagium.sim.analysis.findings import Findings
from contagium.sim.analysis.layout import ROOTS, NetworkLayout, TreeLayout
from contagium.sim.analysis.text import visible

COLOURS = {"S": "#56B4E9", "E": "#E69F00", "I": "#D55E00", "R": "#009E73"}
NAMES = {"S": "susceptible", "E": "exposed", "I": "infectious", "R": "recovered"}
STYLES = {"S": "-", "E": "-.", "I": "-", "R": "--"}
AFFECT_COLOURS = {"valence": "#0072B2", "arousal": "#D55E00", "dominance": "#009E73"}
AFFECT_STYLES = {"valence": "-", "arousal": "--", "dominance": "-."}
OTHER = "#CC79A7"
DENSE = 500
"""From this many marks on, a vector figure holds them as a picture, or it would grow to megabytes."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "contagium",
    "savefig.dpi": 200,
}


@dataclass(frozen=True)
class Picture:
    """A finished figure. name: of its files. caption: one or two sentences of plain words."""

    name: str
    caption: str
    png: bytes
    svg: bytes


def label(name: str) -> str:
    """A name as a figure shows it: one short line, nothing hidden in it."""
    line = visible(name).replace("\n", " ").replace("\t", " ")
    return line if len(line) <= 24 else f"{line[:23]}…"


def say(axes: Axes, words: str) -> None:
    """State in an empty figure why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color="0.3", parse_math=False)


def legend_below(axes: Axes) -> None:
    """A legend under the axis label, however high the axes are."""
    below = axes.transAxes + ScaledTranslation(0, -32 / 72, axes.figure.dpi_scale_trans)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=3, fontsize=8, borderaxespad=0)


def plot_compartments(axes: Axes, curves: pd.DataFrame) -> None:
    """Agents in each compartment by step, from `compartment_curves`."""
    if curves.empty:
        return say(axes, "No compartments were recorded.")
    for name in curves:
        colour, style, marker = COLOURS.get(name, OTHER), STYLES.get(name, ":"), "o" if len(curves) <= 40 else None
        shown = NAMES.get(name, name)
        axes.plot(curves.index, curves[name], color=colour, linestyle=style, marker=marker, markersize=3, label=shown)
    axes.set(xlabel="step (−1: after seeding)", ylabel="agents", title="Compartments, by the case definition")
    axes.set_ylim(bottom=0)
    axes.legend()
    return None


def plot_affect(axes: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Mean of each affect axis by step, with a band of one standard deviation over messages, from `affect_curves`."""
    if not curves:
        return say(axes, "No affect was read.")
    for axis, curve in curves.items():
        colour = AFFECT_COLOURS.get(axis, OTHER)
        axes.fill_between(curve.index, curve["mean"] - curve["sd"], curve["mean"] + curve["sd"], color=colour, alpha=0.15, lw=0)
        style, marker = AFFECT_STYLES.get(axis, ":"), "o" if len(curve) <= 40 else None
        name = f"{axis} ({curve.attrs['instrument']})"
        axes.plot(curve.index, curve["mean"], color=colour, linestyle=style, marker=marker, markersize=3, label=name)
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.set(xlabel="step", ylabel="reading, −1 to 1", ylim=(-1.05, 1.05), title="Affect in messages: mean ± 1 SD")
    legend_below(axes)
    return None


def plot_network(axes: Axes, layout: NetworkLayout, state: NDArray[np.object_], step: int) -> None:
    """The network with agents coloured by compartment; index cases have a black rim."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_title("after seeding" if step < 0 else f"after step {step}")
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
            axes.scatter(x, y, s=size, c=COLOURS.get(compartment, OTHER), edgecolors=rim, linewidths=width, zorder=2)
    axes.margins(0.08)


def network_legend(figure: Figure, compartments: Sequence[str]) -> None:
    """Legend of all panels, below them."""
    marks = [_dot(COLOURS.get(c, OTHER), NAMES.get(c, c)) for c in compartments]
    figure.legend(handles=[*marks, _dot("white", "index case (black rim)", "black")], loc="outside lower center", ncols=5)


def _dot(face: str, name: str, edge: str = "white", marker: str = "o") -> Line2D:
    return Line2D([], [], marker=marker, linestyle="", markersize=7, markerfacecolor=face, markeredgecolor=edge, label=name)


def plot_tree(axes: Axes, layout: TreeLayout, names: dict[int, str]) -> None:
    """Cases by generation; the width and darkness of a link is its probability, dotted links are less likely candidates."""
    cases = layout.cases
    if cases.empty:
        return say(axes, "No cases: there is no transmission tree.")
    few = len(cases) <= 40
    for chosen, style in ((~layout.parent, ":"), (layout.parent, "-")):
        share = layout.probability[chosen]
        colours = np.column_stack([np.zeros((len(share), 3)), np.clip(share, 0.08, 1.0)])
        ends, width = list(layout.position[layout.links[chosen]]), 0.3 + 1.2 * share
        lines = LineCollection(ends, colors=colours, linewidths=width, linestyles=style)
        lines.set_rasterized(len(share) > DENSE)
        axes.add_collection(lines)
    groups = (
        (cases["index"], "black", "s", "index case"),
        (cases["spontaneous"], "white", "D", "no known source"),
        (~cases["index"] & ~cases["spontaneous"], COLOURS["I"], "o", "case with a candidate source"),
    )
    for chosen, face, marker, name in groups:
        x, y = layout.position[chosen.to_numpy(bool)].T
        axes.scatter(x, y, s=36 if few else 10, c=face, marker=marker, edgecolors="black", linewidths=0.7, label=name, zorder=3)
    if few:
        for agent, (x, y) in zip(cases["agent"], layout.position, strict=True):
            axes.annotate(label(names[agent]), (x, y), (5, 4), textcoords="offset points", fontsize=7, parse_math=False)
    cut = f" ({len(cases)} of {layout.total} cases, largest families)"
    part = cut if len(cases) < layout.total else ""
    axes.set(xlabel="generation", yticks=[], title=f"Transmission tree by likeliest source{part}")
    axes.set_xticks(range(int(layout.position[:, 0].max()) + 1))
    axes.spines["left"].set_visible(False)
    axes.margins(0.08)
    axes.invert_yaxis()
    legend_below(axes)
    return None


def plot_scores(axes: Axes, scores: Scores, names: dict[int, str], index: set[int], threshold: float | None) -> None:
    """Persona score of what each agent said in each step; a missing turn and a failed reading are marked, silence is grey."""
    if not scores.score.size:
        return say(axes, "Nothing was said.")
    score, state, agents = scores.score, scores.state, scores.agents
    axes.set_facecolor("0.92")
    edges = np.arange(len(scores.steps) + 1) - 0.5, np.arange(len(agents) + 1) - 0.5
    high = max(np.nanmax(score, initial=0.0, where=~np.isnan(score)), threshold or 0.0, 1e-6)
    low = np.nanmin(score, initial=0.0, where=~np.isnan(score))
    mesh = axes.pcolormesh(*edges, score, cmap="cividis", vmin=low, vmax=high, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, label="persona score", pad=0.02)
    if threshold is not None:
        bar.ax.axhline(threshold, color=COLOURS["I"], lw=2)
    for kind, marker, name in ((MISSING, "x", "missing turn"), (UNREAD, "d", "said, reading failed")):
        y, x = np.nonzero(state == kind)
        axes.scatter(x, y, s=18, marker=marker, c="0.35", linewidths=0.9, label=name, rasterized=len(x) > DENSE)
    axes.plot([], [], "s", color="0.92", markeredgecolor="0.6", label="nothing said")
    part = f" ({len(agents)} of {scores.total} logged agents, evenly by onset)" if len(agents) < scores.total else ""
    axes.set(xlabel="step", ylabel="agent, by onset (index cases: ▶)", title=f"Who said what: persona score{part}")
    shown = [f"▶ {label(names[a])}" if a in index else label(names[a]) for a in agents.tolist()]
    axes.set_yticks(range(len(agents)), shown, fontsize=6 if len(agents) > 20 else 8, parse_math=False)
    axes.invert_yaxis()
    legend_below(axes)
    return None


def draw(found: Findings) -> list[Picture]:
    """All figures of a run, each as PNG (200 dots per inch) and SVG; the same findings give the same bytes."""
    index = set(found.chains.cases.loc[found.chains.cases["index"], "agent"].tolist())
    part = found.network
    cut = f"{len(part.agents)} of {part.total} agents, breadth first around {min(ROOTS, len(index))} index cases"
    which = cut if len(part.agents) < part.total else ""

    def network(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(1, len(found.shown)))
        for axes, state, step in zip(panels, found.states, found.shown, strict=True):
            plot_network(axes, part, state, step)
        network_legend(figure, [c for c in found.curves if any((state == c).any() for state in found.states)])
        figure.suptitle(f"Network{f' ({which})' if which else ''}", x=0.01, ha="left", fontsize=10)

    plots: list[tuple[str, tuple[float, float], Callable[[Figure], None], str]] = [
        (
            "compartments",
            (6.4, 3.6),
            lambda f: plot_compartments(f.subplots(), found.curves),
            "Agents in each compartment after each step, by the observer's case definition.",
        ),
        (
            "affect",
            (6.4, 3.6),
            lambda f: plot_affect(f.subplots(), found.affect),
            "Affect read in the messages of each step: mean, and a band of one standard deviation over messages. "
            "The instruments are in brackets.",
        ),
        (
            "network",
            (3.2 * len(found.shown), 3.8),
            network,
            f"The network at the start, in the middle and at the end, coloured by compartment. {which}".strip(),
        ),
        (
            "tree",
            (6.4, 5.0),
            lambda f: plot_tree(f.subplots(), found.tree, found.names),
            "Who may have infected whom. Solid links lead to the likeliest source; their darkness is its probability. "
            "Sources are candidates, not confirmed causes.",
        ),
        (
            "scores",
            (7.2, max(2.8, 1.6 + 0.12 * len(found.scores.agents))),
            lambda f: plot_scores(f.subplots(), found.scores, found.names, index, found.threshold),
            "The highest persona score among each agent's messages in each step. The line on the scale is the case threshold.",
        ),
    ]
    return [_picture(name, size, plot, caption) for name, size, plot, caption in plots]


def _picture(name: str, size: tuple[float, float], plot: Callable[[Figure], None], caption: str) -> Picture:
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A name may hold characters the font lacks; they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=size, layout="constrained")
        plot(figure)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", metadata={"Software": None})
        # The layout is done: doing it again would take as long as drawing.
        figure.set_layout_engine("none")
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return Picture(name, caption, png.getvalue(), svg.getvalue())
