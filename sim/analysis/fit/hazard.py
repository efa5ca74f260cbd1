"""Simple or complex: how the hazard of becoming a case answers to the dose, by likelihood.

In simple contagion each exposure acts by itself: the hazard is proportional to the dose, or levels off. In complex contagion a
second source adds more than the first: the curve is steeper than proportional (Centola & Macy 2007; Dodds & Watts 2004).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.fit.course import I, S, UnfitError, course
from contagium.sim.analysis.fit.likelihood import Fit, Form, Likelihood, Rows, Values, hazards, reached
from contagium.sim.analysis.fit.search import HALF_WIDTH, estimated, maximise
from contagium.sim.analysis.tables import Table, number
from contagium.sim.log import Run
from contagium.sim.observer.agreement import Measured, share

FEWEST_ONSETS = 10
"""Onsets below which no dose–response is fitted at all."""

FEWEST_FOR_SHAPE = 30
"""Onsets of exposed agents below which the shape of a curve is not fitted: with fewer the power has no upper bound."""

FEWEST_TOGETHER = 10
"""Turns in which an agent had heard two sources or more, below which one cannot be told from several."""

POWERS = (1.0, 2.0)
"""Of simple contagion, and from where on an interval of the power leaves it open whether contagion is complex."""

RISE, RISE_OF_CURVE = 2.71, 7.81
"""Twice the log-likelihood that a dose–response must gain, in proportion or along a curve: 5% points where there is none."""

CLEAR = 4.0
"""What a form must gain in AIC to be preferred to a simpler one: by its power's interval alone, 6% of simple epidemics of 150
agents were called complex."""

THRESHOLDS = 12
"""Most thresholds that are tried on a scale."""


@dataclass(frozen=True)
class Bin:
    """Turns with a dose between two others: mean dose, turns, onsets, and their observed share with Wilson's 95% interval."""

    dose: float
    turns: int
    onsets: int
    share: Measured


@dataclass(frozen=True)
class Hazard:
    """What likelihood says of the dose–response. fits: the forms that were compared, best first. power: of the Hill curve.

    bins: observed shares by dose. verdict: one word. words: the sentence. threshold: the lowest and the highest as good as the
    best threshold, to within a 95% likelihood interval; None without one. left_out: turns whose dose is not known.
    """

    fits: tuple[Fit, ...]
    power: Estimate
    bins: tuple[Bin, ...]
    verdict: str
    words: str
    threshold: tuple[float, float] | None = None
    left_out: int = 0

    def curves(self, points: int = 60) -> list[tuple[str, Values, Values]]:
        """For figures: name, doses (k,) and the chance of an onset in a step at each, of the simple form and of the curve."""
        dose = np.linspace(0, max((b.dose for b in self.bins), default=0.0), points)
        nothing = np.zeros(points)
        rows = Rows(
            event=nothing > 0,
            elapsed=nothing + 1,
            dose=dose,
            heard=dose,
            sources=nothing.astype(np.int64),
            background=nothing,
            scale=nothing + 1,
            affect=np.zeros((points, 3)),
            count=nothing + 1,
        )
        drawn = {fit.form.name: fit for fit in reversed(self.fits) if fit.form.of == "weight"}
        kept = [drawn[name] for name in ("linear", "hill") if name in drawn]
        return [(told(fit.form), dose, -np.expm1(-hazards(fit, rows))) for fit in kept]


def hazard(runs: Sequence[Run], strain: str | None = None, kind: str = "case") -> Hazard:
    """The dose–response of all runs together: turns of agents that had not been a case, by what they heard since their last.

    Of runs that are too short, or of another kind of model, it says so.
    """
    try:
        courses = [course(run, strain, kind) for run in runs]
    except UnfitError as error:
        return Hazard((), unknown(str(error), 0), (), "unknown", f"Cannot be told: {error}.")
    return compare(Rows.join([one.rows(S, I) for one in courses]), sum(one.left_out for one in courses))


def forms(rows: Rows) -> list[Form]:
    """The forms that are compared, each with a spontaneous hazard, and without one where no onset speaks against it."""
    shapes = [Form("none"), Form("linear"), Form("linear", "share"), Form("saturating"), Form("hill"), Form("hill", "share")]
    for of, scale in (("weight", rows.dose), ("share", rows.share)):
        # The lowest dose is no threshold: it has been reached by whoever got any.
        seen = np.unique(np.round(scale[scale > 0], 9))[1:]
        tried = seen if len(seen) <= THRESHOLDS else np.unique(np.quantile(seen, np.linspace(0, 1, THRESHOLDS)))
        shapes += [Form("threshold", of, at) for at in tried.tolist()]
    hit = rows.take(rows.event)
    alone = [
        Form(form.name, form.of, form.at, spontaneous=False)
        for form in shapes
        if form.name != "none" and reached(hit.share if form.of == "share" else hit.dose, form.at or 0.0).all()
    ]
    return [*shapes, *alone]


def compare(rows: Rows, left_out: int = 0) -> Hazard:
    """Fit every form to rows of agents at risk, and say which contagion it is and how many turns were left out of the rows."""
    found, every = _compared(rows.alike), left_out + round(float(rows.count.sum()))
    if not left_out:
        return found
    why = "before which a message was heard that has no good reading in the log"
    words = f"{found.words} Left out are {left_out:,} of {every:,} turns, {why}."
    return replace(found, words=words, left_out=left_out)


def _compared(rows: Rows) -> Hazard:
    exposed = rows.take(rows.dose > 0)
    together = float(exposed.count[exposed.sources >= 2].sum())
    found = bins(rows)
    if rows.events < FEWEST_ONSETS or exposed.events < FEWEST_ONSETS // 2:
        few = f"{rows.events} onsets, {exposed.events} of them of exposed agents: too few for a dose–response"
        return Hazard((), unknown(few, rows.events), found, "unknown", f"Cannot be told: {few}, {FEWEST_ONSETS} are needed.")
    fits = sorted((maximise(rows, form) for form in forms(rows)), key=lambda fit: fit.aic)
    # Of thresholds only the best on each scale.
    kept: dict[tuple[str, str, bool], Fit] = {}
    for fit in fits:
        kept.setdefault((fit.form.name, fit.form.of, fit.form.spontaneous), fit)
    best = tuple(kept.values())
    # A rate at the edge of what it can be: half the weight of the test lies there (Self & Liang 1987).
    none, linear, hill = (kept[name, "weight", True] for name in ("none", "linear", "hill"))
    if 2 * (linear.value - none.value) < RISE and 2 * (hill.value - none.value) < RISE_OF_CURVE:
        words = f"No dose–response: {rows.events} onsets do not follow what was heard."
        return Hazard(best, unknown("no dose–response", rows.events), found, "none", words)
    power = _power(rows, hill, exposed.events, together)
    verdict, words = _verdict(best, kept, power)
    return Hazard(best, power, found, verdict, words, _reach(fits))


def _power(rows: Rows, hill: Fit, onsets: int, together: float) -> Estimate:
    if together < FEWEST_TOGETHER:
        few = f"two sources at once were heard in {together:.0f} turns, {FEWEST_TOGETHER} are needed"
        return unknown(few, onsets)
    if onsets < FEWEST_FOR_SHAPE:
        return unknown(
            f"{onsets} onsets of exposed agents: too few for the shape of the curve, {FEWEST_FOR_SHAPE} are needed", onsets
        )
    return estimated(Likelihood(rows, hill.form), hill.at, "power", onsets)


def _verdict(fits: tuple[Fit, ...], kept: dict[tuple[str, str, bool], Fit], power: Estimate) -> tuple[str, str]:
    """One word and a sentence. Complex only where the 95% interval of the power lies above 1 and the AIC gains by `CLEAR`."""
    gain = min(kept["linear", "weight", True].aic, kept["saturating", "weight", True].aic) - kept["hill", "weight", True].aic
    if power.value is None:
        return "unknown", f"The hazard rises with the dose; whether simple or complex cannot be told: {power.reason}."
    told = f"Hill power {number(power)}"
    if power.low is not None and power.low > POWERS[0] and gain > CLEAR:
        first = fits[0].form
        threshold = f"; best of all: a threshold at {_dose(first)}" if first.name == "threshold" else ""
        return "complex", f"Complex: {told}, ΔAIC {gain:.1f} over simple{threshold}."
    if power.high is not None and power.high < POWERS[1]:
        return "simple", f"Simple: each exposure acts by itself; {told}, ΔAIC of a complex curve {gain:z.1f}."
    return "open", f"Simple fits, and complex is not ruled out: {told}, ΔAIC of a complex curve {gain:z.1f}."


def _reach(fits: Sequence[Fit]) -> tuple[float, float] | None:
    """The thresholds on the scale and with the spontaneous hazard of the best one that lie in its 95% likelihood interval."""
    best = next((fit for fit in fits if fit.form.name == "threshold"), None)
    if best is None:
        return None
    like = [f for f in fits if (f.form.name, f.form.of, f.form.spontaneous) == ("threshold", best.form.of, best.form.spontaneous)]
    good = [f.form.at for f in like if f.form.at is not None and f.value > best.value - HALF_WIDTH]
    return min(good), max(good)


def bins(rows: Rows, most: int = 8) -> tuple[Bin, ...]:
    """Observed shares of turns with an onset by dose: no dose, then bins with about as many turns each."""
    exposed = rows.dose[rows.dose > 0]
    distinct = np.unique(np.round(exposed, 6))
    if len(distinct) > most:
        order = np.argsort(exposed)
        turns = np.cumsum(rows.count[rows.dose > 0][order])
        at = np.searchsorted(turns, np.linspace(0, turns[-1], most + 1)[1:-1])
        edges = np.unique(exposed[order][at])
    else:
        edges = (distinct[1:] + distinct[:-1]) / 2
    place = np.where(rows.dose > 0, 1 + np.searchsorted(edges, rows.dose), 0)
    return tuple(_bin(rows.take(place == k)) for k in np.unique(place))


def _bin(rows: Rows) -> Bin:
    turns, onsets = round(float(rows.count.sum())), rows.events
    return Bin(float(np.average(rows.dose, weights=rows.count)), turns, onsets, share(onsets, turns))


def _dose(form: Form) -> str:
    at = form.at or 0.0
    return f"{at:.0%} of what is heard" if form.of == "share" else f"a dose of {at:.3g}"


def told(form: Form) -> str:
    """A form in words."""
    names = {"none": "no contagion", "linear": "simple, proportional", "saturating": "simple, levels off", "hill": "curve"}
    name = f"threshold at {_dose(form)}" if form.name == "threshold" else names[form.name]
    scale = " to the share" if form.of == "share" and form.name == "linear" else ", by share" if form.of == "share" else ""
    return name + (scale if form.name != "threshold" else "") + (" + spontaneous" if form.spontaneous else "")


def _told_apart(values: Sequence[float]) -> list[str]:
    """Different numbers with as many digits as it takes to tell them apart, two at least."""
    for digits in range(2, 9):
        told = [f"{value:.{digits}f}" for value in values]
        if len(set(told)) == len(told):
            break
    return told


def tables(found: Hazard) -> Iterator[Table]:
    """Observed onsets by dose, and the forms compared."""
    doses = _told_apart([b.dose for b in found.bins])
    rows = [(dose, f"{b.turns:,}", f"{b.onsets:,}", number(b.share, ".1%")) for dose, b in zip(doses, found.bins, strict=True)]
    yield Table(
        "Onsets by dose",
        f"{found.words} How often an agent that had not been a case became one in its next turn, by how much of the strain it "
        "had heard since the last (1: one outright message over a tie of weight 1); Wilson's 95% intervals. Agents differ and "
        "choose whom they hear: a rise alone proves no contagion.",
        ("dose", "turns", "onsets", "share"),
        tuple(rows),
    )
    if found.fits:
        best, least = found.fits[0].aic, min(fit.bic for fit in found.fits)
        yield Table(
            "Simple or complex contagion",
            "Forms of the dose–response by maximum likelihood: ΔAIC is how much worse than the best (2 is nothing, 10 is clear). "
            "A form without spontaneous onsets is listed where each onset had its dose. Differences between agents in "
            "susceptibility make a curve look flatter than it is.",
            ("form", "spontaneous, per step", "transmission rate", "half", "power", "ΔAIC", "ΔBIC"),
            tuple(_row(fit, best, least) for fit in found.fits),
        )


def _row(fit: Fit, aic: float, bic: float) -> tuple[str, ...]:
    own = fit.form.parameters
    shown = [f"{fit.of(name):.3g}" if name in own else "–" for name in ("spontaneous", "transmission", "half", "power")]
    return (told(fit.form), *shown, f"{fit.aic - aic:.1f}", f"{fit.bic - bic:.1f}")
