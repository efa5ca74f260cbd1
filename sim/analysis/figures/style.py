"""How all figures look: colours, type, names and legends.

Colours are those of Okabe & Ito (2008), which people with any common colour vision tell apart. Names are never read as formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from contagium.sim.analysis.figures.layout import NAME
from contagium.sim.analysis.text import visible

COLOURS = {"S": "#56B4E9", "E": "#E69F00", "C": "#CC79A7", "I": "#D55E00", "H": "#0072B2", "R": "#009E73"}
NAMES = {"S": "susceptible", "E": "exposed", "C": "carrier", "I": "infectious", "H": "shedding", "R": "recovered"}
SHAPES = {"S": "o", "E": "^", "C": "D", "I": "s", "H": "P", "R": "v"}
"""A compartment's mark, so that colour is never the only sign: circle, triangle, diamond, square, cross, triangle down."""

STYLES = {"S": "-", "E": "-.", "C": ":", "I": "-", "H": (0, (1, 1)), "R": "--"}
AFFECT_COLOURS = {"valence": "#0072B2", "arousal": "#D55E00", "dominance": "#009E73"}
AFFECT_STYLES = {"valence": "-", "arousal": "--", "dominance": "-."}
OTHER, OTHER_SHAPE = "#7F7F7F", "X"
SINGLE, DOUBLE = 3.5, 7.2
"""Width in inches of one and of two columns of a journal's page (89 and 183 mm)."""

HALO = [withStroke(linewidth=2.5, foreground="white")]

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "contagium",
    # Letters as outlines that every program reads, and that a journal's checks accept: TrueType, not Type 3.
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}


def label(name: str) -> str:
    """A name as a figure shows it: one short line, nothing hidden in it."""
    line = visible(name).replace("\n", " ").replace("\t", " ")
    return line if len(line) <= NAME else f"{line[: NAME - 1]}…"


def called(compartment: str, beside: Iterable[str]) -> str:
    """A compartment's name. beside: all those shown, for where shedding is one of them, the infectious are the others."""
    more = ", not shedding" if compartment == "I" and "H" in beside else ""
    return NAMES.get(compartment, compartment) + more


def say(axes: Axes, words: str) -> None:
    """State in an empty figure why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color="0.3", parse_math=False)


def legend_below(axes: Axes, columns: int | None = None, more: Sequence[Any] = ()) -> None:
    """A legend under the axis label, however high the axes are. more: handles of what carries no label itself.

    columns: None for as many as the width of the figure takes.
    """
    root = axes.figure.get_figure(root=True)
    assert root is not None  # axes that are drawn on stand in a figure
    columns = columns or max(1, int(root.get_figwidth() / DOUBLE * 3))
    below = axes.transAxes + ScaledTranslation(0, -32 / 72, axes.figure.dpi_scale_trans)
    handles, names = axes.get_legend_handles_labels()
    handles, names = [*handles, *more], [*names, *(h[0].get_label() if isinstance(h, tuple) else h.get_label() for h in more)]
    if handles:
        axes.legend(
            handles,
            names,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            ncols=columns,
            fontsize=8,
            borderaxespad=0,
            handlelength=2.6,
            handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
        )
