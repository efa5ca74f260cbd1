"""What instruments read in the labelled set, and the figures of docs/validation.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.envs.rng import Streams
from contagium.sim.analysis.figures.style import STYLE
from contagium.sim.observer.roc import Curve, roc, threshold_at

Columns = dict[str, NDArray[np.float64]]
Mask = NDArray[np.bool_]

STRAIN, HARD = "spiral", "hard_negative"
ORDER = ("spiral", "hard_negative", "awe", "calm", "joy", "sadness", "fear", "anger", "despair", "plain")
RATE = 0.01
SCALES = ("valence", "arousal", "distress")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Evidence:
    """The labelled set and what every instrument read in it: name → column → (n,), NaN where it failed."""

    frame: pd.DataFrame
    read: dict[str, Columns]
    persona: Persona

    @property
    def report(self) -> Mask:
        return (self.frame["split"] == "report").to_numpy()

    def labelled(self, *labels: str) -> Mask:
        return self.frame["label"].isin(labels).to_numpy()

    @property
    def detectors(self) -> dict[str, NDArray[np.float64]]:
        return {name: columns[self.persona.name] for name, columns in self.read.items() if self.persona.name in columns}

    def enter(self, name: str, against: Mask | None = None) -> float:
        """The threshold of a detector: at most a share `RATE` of these texts reaches it, of those in the calibrate half.

        against: None for the hard negatives, among which false positives are likeliest.
        """
        chosen = self.labelled(HARD) if against is None else against
        return threshold_at(self.detectors[name][~self.report & chosen], RATE).value

    def curve(self, name: str, against: Mask) -> Curve:
        chosen = self.report & (self.labelled(STRAIN) | against)
        return roc(self.detectors[name][chosen], self.labelled(STRAIN)[chosen])


def draw(evidence: Evidence, folder: Path) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawings: dict[str, Callable[[Any, Evidence], None]] = {"roc": draw_roc, "labels": draw_labels, "affect": draw_affect}
    with mpl.rc_context(STYLE):
        for name, drawing in drawings.items():
            figure = plt.figure(layout="constrained")
            drawing(figure, evidence)
            figure.savefig(folder / f"validation_{name}.png", metadata={"Software": None})
            plt.close(figure)


def draw_roc(figure: Any, evidence: Evidence) -> None:
    figure.set_size_inches(7.2, 3.6)
    masks = {"against all other texts": ~evidence.labelled(STRAIN), "against hard negatives": evidence.labelled(HARD)}
    for axes, (title, mask) in zip(figure.subplots(1, 2, sharey=True), masks.items(), strict=True):
        for k, name in enumerate(evidence.detectors):
            curve = evidence.curve(name, mask)
            axes.plot(curve.called, curve.found, color=COLOURS[k], linestyle=LINES[k], label=name, linewidth=1.6)
        axes.plot([0, 1], [0, 1], color="0.75", linewidth=0.8)
        axes.set(title=title, xlabel="share of the others called", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    figure.axes[0].set_ylabel("share of spiral texts found")
    figure.axes[1].legend(loc="lower right")


def draw_labels(figure: Any, evidence: Evidence) -> None:
    detectors = evidence.detectors
    figure.set_size_inches(7.2, 3.9)
    rng = Streams(1).generator("jitter")
    for axes, (name, value) in zip(
        np.atleast_1d(figure.subplots(1, len(detectors), sharey=True)), detectors.items(), strict=True
    ):
        for row, label in enumerate(reversed(ORDER)):
            here = value[evidence.report & evidence.labelled(label)]
            here = here[np.isfinite(here)]
            colour = COLOURS[1] if label == STRAIN else COLOURS[0] if label == HARD else "0.45"
            axes.scatter(here, row + rng.uniform(-0.3, 0.3, len(here)), s=6, color=colour, alpha=0.55, linewidths=0)
            box = {"boxprops": {"linewidth": 0.8}, "medianprops": {"color": "black", "linewidth": 1.4}}
            axes.boxplot(here, positions=[row], widths=0.66, orientation="horizontal", showfliers=False, **box)
        axes.axvline(evidence.enter(name), color="black", linestyle=":", linewidth=1.1)
        axes.set(title=name, xlabel="reading")
        axes.set_yticks(range(len(ORDER)), [label.replace("_", " ") for label in reversed(ORDER)])


def draw_affect(figure: Any, evidence: Evidence) -> None:
    found = {name: columns for name, columns in evidence.read.items() if {"valence", "arousal"} <= set(columns)}
    figure.set_size_inches(7.2, 3.1 * len(found))
    rng = Streams(1).generator("jitter")
    grid = figure.subplots(len(found), 2, squeeze=False)
    for row, (name, columns) in zip(grid, found.items(), strict=True):
        for axes, scale in zip(row, SCALES[:2], strict=True):
            rating = evidence.frame[scale].to_numpy(float)
            for label, colour, marker in ((STRAIN, COLOURS[1], "^"), (HARD, COLOURS[0], "s"), ("", "0.45", "o")):
                kind = evidence.labelled(label) if label else ~evidence.labelled(STRAIN, HARD)
                chosen = evidence.report & kind
                x = rating[chosen] + rng.uniform(-0.3, 0.3, int(chosen.sum()))
                said = label.replace("_", " ") or "emotional and plain"
                axes.scatter(x, columns[scale][chosen], s=9, color=colour, marker=marker, alpha=0.6, linewidths=0, label=said)
            axes.set(title=f"{name}: {scale}", xlabel="rating, 1 to 9", ylabel="reading", xlim=(0.5, 9.5), ylim=(-1.05, 1.05))
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, handletextpad=0.2)
