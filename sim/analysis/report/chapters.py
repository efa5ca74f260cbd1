"""A study of a run as sections of its report: tables, curves whose values can be read off, and figures for print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from contagium.sim.analysis.causes import contagion as causes
from contagium.sim.analysis.emotion import contagion as emotion
from contagium.sim.analysis.figures.causes import plot_ratios, plot_tests
from contagium.sim.analysis.figures.curves import plot_dose, plot_rt
from contagium.sim.analysis.figures.emotion import plot_response, plot_slopes
from contagium.sim.analysis.figures.fit import plot_hazard
from contagium.sim.analysis.figures.picture import Picture, picture
from contagium.sim.analysis.figures.style import DOUBLE
from contagium.sim.analysis.figures.transmission import plot_intervals, plot_offspring
from contagium.sim.analysis.fit import hazard
from contagium.sim.analysis.report.sections import Curve, Line, Section
from contagium.sim.analysis.spread import course
from contagium.sim.analysis.spread.effective import Effective, OverTime
from contagium.sim.analysis.study import Study
from contagium.sim.analysis.tables import Table
from contagium.sim.analysis.trees import transmission
from contagium.sim.analysis.trees.transmission import STRENGTH, Transmission
from contagium.sim.counterfactual import rerun, results

T = TypeVar("T")


def sections(found: Study) -> list[Section]:
    """One section for each question, in the order in which to read them."""
    made = (_course(found), _transmission(found), _causes(found), _emotion(found), _counterfactual(found))
    return [section for section in made if section is not None]


def _course(found: Study) -> Section:
    of = found.course
    figures = []
    if of.effective.reason is None:
        words = "Effective R over time by three estimators, with 95% intervals; 1 is the line between growth and decline."
        figures.append(_picture("effective", plot_rt, of.effective, words))
    if found.hazard.fits:
        figures.append(picture("dose", (DOUBLE, 3.4), lambda figure: _doses(figure, found), DOSES))
    # By sources is what most want to see; by dose, and which form fits, are folded.
    tables = (*course.tables(of), *(replace(table, secondary=True) for table in hazard.tables(found.hazard)))
    return Section("How fast, and by what dose", tables, tuple(figures), curves=tuple(_curves(found)))


DOSES = (
    "The chance of an onset in a step by how many agents were heard to show the strain, and by dose with the fitted curves of a "
    "simple and of a complex contagion; 95% intervals."
)


def _doses(figure: Figure, found: Study) -> None:
    left, right = figure.subplots(1, 2)
    plot_dose(left, found.course.dose)
    plot_hazard(right, found.hazard, found.hazard.curves())


def _curves(found: Study) -> Iterator[Curve]:
    drawn = [one for one in found.course.curves if len(one.steps)]
    if not drawn:
        return
    steps = drawn[0].steps.tolist()
    new = [Line(one.strain, one.new.tolist()) for one in drawn]
    yield Curve("New cases", "First signs of cases in each step, index cases left out.", "agents a step", steps, new)
    if over := _parts(found.course.effective):
        says = (
            "Cases that a case causes, by three estimators with 95% intervals: instantaneous at the last step of its window, "
            "cohort and tree at the first."
        )
        yield Curve("Effective R", says, "cases", steps, [over_time(name, part, len(steps)) for name, part in over])


def _parts(of: Effective) -> list[tuple[str, OverTime]]:
    parts = (("instantaneous", of.instantaneous), ("cohort", of.cohort), ("tree", of.tree))
    return [(name, part) for name, part in parts if part is not None]


def over_time(name: str, part: OverTime, steps: int) -> Line:
    """R at the step of each window that it speaks of: instantaneous the last, cohort and tree the first."""
    at = part.last if name == "instantaneous" else part.first
    columns: list[list[float | None]] = []
    for values in (part.value, part.low, part.high):
        column: list[float | None] = [None] * steps
        for step, value in zip(at.tolist(), values.tolist(), strict=True):
            column[step] = value
        columns.append(column)
    return Line(name, *columns)


def _transmission(found: Study) -> Section:
    of = found.transmission
    figures = []
    if of.offspring is not None and of.offspring.fitted:

        def panels(figure: Figure) -> None:
            left, right = figure.subplots(1, 2)
            plot_offspring(left, of.offspring)
            plot_intervals(right, of.serial)

        words = "How many others each case caused, with the fitted negative binomial, and how long it took, with the fitted law."
        figures.append(picture("offspring", (DOUBLE, 3.6), panels, words))
    tables = tuple(table for table in transmission.tables(of) if not all_alike(of, table))
    return Section("Who infected whom", tables, tuple(figures))


def all_alike(of: Transmission, table: Table) -> bool:
    """Whether the table is that of the strength by generation, and there is nothing to see in it."""
    strength = of.mutation.strength
    return table.title == STRENGTH and strength is not None and len({f"{mean:.2f}" for *_, mean in strength.generations}) == 1


def _causes(found: Study) -> Section:
    of, figures = found.contagion, []
    if of.p is not None:

        def panels(figure: Figure) -> None:
            above, below = figure.subplots(2, 1)
            plot_tests(above, of)
            plot_ratios(below, of)

        words = "Above: what each test observed against what chance gives. Below: the ratio of hazards, heard to not heard."
        figures.append(picture("contagion", (DOUBLE, 6.4), panels, words))
    return Section("Contagion, or not?", tuple(causes.tables(of)), tuple(figures))


def _emotion(found: Study) -> Section | None:
    of = found.emotional
    if not of.of:
        return None
    figures = []
    # What most want to know first; the other questions are folded.
    told = [replace(table, secondary=k > 0) for k, table in enumerate(emotion.tables(of))]
    slopes = [one.lagged for one in of.of]
    if any(one.contagion.value is not None for one in slopes):
        words = "What a unit of heard affect adds to what is shown next, with 95% intervals, and a placebo that should be 0."
        figures.append(_picture("emotional_contagion", plot_slopes, slopes, words))
    shown = len(figures)
    for k, response in enumerate(one for part in of.of for one in part.responses if one.peak.value is not None):
        words = f"Change of {response.axis} around the pressure event, with 95% intervals."
        figures.append(_picture(f"response_{k + 1}", plot_response, response, words))
    return Section("Emotional contagion", told, tuple(figures), of.notes, shown=shown)


def _counterfactual(found: Study) -> Section | None:
    tables = (*results.tables(found.edges), *rerun.tables(found.reruns))
    return Section("What would have been: replayed turns and worlds", tables) if tables else None


def _picture(name: str, plot: Callable[[Axes, T], None], of: T, words: str) -> Picture:
    return picture(name, (DOUBLE, 3.6), lambda figure: plot(figure.subplots(), of), words)
