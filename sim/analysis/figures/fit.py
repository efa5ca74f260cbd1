"""Figures of a fitted model: onsets by dose with the fitted curve, held-out curves in their band, a predicted epidemic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contagium.sim.analysis.figures.picture import picture
from contagium.sim.analysis.figures.style import COLOURS, DOUBLE, OTHER, SINGLE, label, legend_below, say
from contagium.sim.analysis.fit.hazard import Hazard
from contagium.sim.analysis.fit.likelihood import Values
from contagium.sim.analysis.fit.model import Fitted
from contagium.sim.analysis.fit.predict import Check, Prediction, span

LINES = (("I", "-"), ("H", "--"), ("R", "-."))
"""Colour and line of the forms that are drawn."""


def plot_hazard(axes: Axes, found: Hazard, curves: Sequence[tuple[str, Values, Values]] = ()) -> None:
    """Observed share of turns with an onset by dose, with Wilson's intervals, and fitted curves: name, dose and chance (k,)."""
    if not found.bins:
        return say(axes, "Nobody was at risk.")
    dose, share = [b.dose for b in found.bins], [b.share.value or 0.0 for b in found.bins]
    down = [value - (b.share.low or 0.0) for b, value in zip(found.bins, share, strict=True)]
    up = [(b.share.high or 0.0) - value for b, value in zip(found.bins, share, strict=True)]
    axes.errorbar(
        dose, share, (down, up), fmt="o", color="black", ms=4, lw=1, capsize=2, label="observed, 95% interval", zorder=3
    )
    for (name, x, y), (colour, line) in zip(curves, LINES, strict=False):
        axes.plot(x, y, color=COLOURS[colour], linestyle=line, label=name)
    axes.set(xlabel="dose heard since the last turn", ylabel="share with an onset", ylim=(0, None), title="Onsets by dose")
    legend_below(axes, columns=1)
    return None


def plot_band(
    axes: Axes, band: tuple[Values, Values, Values], what: str, title: str, observed: NDArray[np.int64] | None = None
) -> None:
    """A predicted curve, low, middle and high (T,), with the observed one where there is any."""
    steps = np.arange(len(band[1]))
    axes.fill_between(steps, band[0], band[2], color=COLOURS["S"], alpha=0.4, lw=0, label=what)
    axes.plot(steps, band[1], color=OTHER, linestyle="--", label="predicted, median")
    if observed is not None:
        axes.plot(steps, observed, color=COLOURS["I"], marker="o", ms=3, label="observed")
    axes.set(
        xlabel="step", ylabel="cases" if observed is not None else "share of agents that are cases", ylim=(0, None), title=title
    )
    legend_below(axes)


def write_figures(output: Path, fitted: Fitted, checks: Sequence[Check], prediction: Prediction | None) -> None:
    """The figures of a fit, as files of every format in a directory."""
    plot: Callable[[Axes], None] = partial(plot_hazard, found=fitted.hazard, curves=fitted.hazard.curves())
    _save(output, "hazard", SINGLE, plot, "Onsets by dose, observed and fitted.")
    for k, one in enumerate(checks):
        band, title = (one.low, one.middle, one.high), f"Held out: {label(one.path.name)}"
        plot = partial(plot_band, band=band, what="predicted, 90%", title=title, observed=one.observed.prevalence)
        _save(output, f"held_out_{k + 1}", DOUBLE, plot, "A run the model has not seen, in the band it predicts.")
    if prediction is not None:
        band, title = (prediction.low, prediction.middle, prediction.high), f"Predicted for {prediction.agents:,} agents"
        plot = partial(plot_band, band=band, what=f"predicted, {span(prediction.draws)}", title=title)
        _save(output, "predicted", DOUBLE, plot, "The predicted epidemic.")


def _save(output: Path, name: str, width: float, plot: Callable[[Axes], None], caption: str) -> None:
    made = picture(name, (width, 3.2), lambda figure: plot(_axes(figure)), caption)
    for suffix, data in (("png", made.png), ("svg", made.svg), ("pdf", made.pdf)):
        (output / f"{name}.{suffix}").write_bytes(data)


def _axes(figure: Figure) -> Axes:
    return figure.subplots()
