"""The course of an epidemic from a log: curves, growth, R over time and dose worked by hand, figures, and what cannot be said."""

from __future__ import annotations

import math
import re
import runpy
import sqlite3
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import contagium
from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.figures.curves import plot_dose, plot_incidence, plot_prevalence, plot_replicates, plot_rt
from contagium.sim.analysis.spread.basic import from_final_size
from contagium.sim.analysis.spread.course import Course, course, tables
from contagium.sim.analysis.spread.curves import curve
from contagium.sim.analysis.spread.dose import clustered_share, dose_response, from_table
from contagium.sim.analysis.spread.effective import effective
from contagium.sim.analysis.spread.growth import doubling, early_growth
from contagium.sim.analysis.spread.infectivity import Cases, Infectivity
from contagium.sim.analysis.spread.renewal import cohort_reproduction, instantaneous_reproduction
from contagium.sim.analysis.spread.replicates import band, mean, replicates
from contagium.sim.analysis.spread.replicates import tables as replicate_tables
from contagium.sim.log import LogError, Run
from contagium.sim.observer.agreement import share

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "statistics.md"


@cache
def doubling_cases(generations: int, size: int = 10**9) -> Cases:
    """One index case; each case causes one case after one step and one after two, for ever: 1, 2, 3, 5, 8, … new cases."""
    onset, source = [-1], [-1]
    for k in range(100_000):
        if k == len(onset) or onset[k] >= generations:
            break
        for later in (1, 2):
            onset.append(onset[k] + later)
            source.append(k)
        order = np.argsort(onset, kind="stable")
        if (order != np.arange(len(onset))).any():
            place = np.argsort(order)
            onset, source = [onset[i] for i in order], [-1 if source[i] < 0 else int(place[source[i]]) for i in order]
    kept = [i for i, at in enumerate(onset) if at <= generations]
    target = np.array(kept[1:])
    begun = np.array(onset)[kept]
    nobody = np.zeros(len(kept), dtype=bool)
    return Cases(begun, begun < 0, nobody, np.array(source)[target], target, np.ones(len(target)), size, generations)


def test_growth_of_fibonacci_s_rabbits_is_the_golden_ratio() -> None:
    cases = doubling_cases(12)
    assert cases.new[:6].tolist() == [1, 2, 3, 5, 8, 13]
    grown = early_growth(cases)
    assert grown.until == 12
    assert grown.infectivity is not None
    assert grown.infectivity.value == pytest.approx([0, 1, 1], abs=1e-6)
    assert grown.rate.value == pytest.approx(math.log((1 + 5**0.5) / 2), abs=1e-6)
    assert grown.doubling.value == pytest.approx(math.log(2) / math.log((1 + 5**0.5) / 2), abs=1e-5)


def test_the_window_ends_at_a_tenth_and_depletion_is_corrected_for() -> None:
    assert early_growth(doubling_cases(12, size=401)).until == int(np.searchsorted(np.cumsum(doubling_cases(12).new), 40))
    assert early_growth(doubling_cases(12, size=31)).until == int(np.searchsorted(np.cumsum(doubling_cases(12).new), 15))
    # Half of all gone: the same new cases tell of twice the infectiousness.
    onset = np.array([-1, -1, 0, 0, 1])
    links = (np.array([2]), np.array([4]), np.ones(1))
    found = Infectivity(Cases(onset, onset < 0, np.zeros(5, bool), *links, 6, 1), 1)
    assert found.due.tolist() == [0, 2 * 0.5]
    assert found.value.tolist() == [0, 1.0]


def test_unsure_links_share_a_case_and_widen_the_interval() -> None:
    sure = doubling_cases(9)
    n = len(sure.target)
    # Each case hangs between its source and the first case of the same onset.
    other = np.array([int(np.argmax(sure.onset == begun)) for begun in sure.onset[sure.source]])
    both = (np.r_[sure.source, other], np.r_[sure.target, sure.target], np.full(2 * n, 0.4))
    unsure = Cases(sure.onset, sure.index, sure.spontaneous, *both, sure.size, sure.last)
    assert unsure.caused == pytest.approx(sure.caused)
    a, b = early_growth(sure), early_growth(unsure)
    assert a.rate.value == pytest.approx(b.rate.value, abs=1e-9)
    assert Infectivity(unsure, 9).variance(np.ones(3))[0] > Infectivity(sure, 9).variance(np.ones(3))[0]


def test_a_link_back_in_time_is_refused() -> None:
    onset, nobody = np.array([-1, 2, 2]), np.zeros(3, bool)
    with pytest.raises(ValueError, match="onset of a target must be after"):
        Cases(onset, onset < 0, nobody, np.array([1]), np.array([2]), np.ones(1), 10, 5)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (Estimate(0.1, 0.05, 0.2, "", 50), None),
        (Estimate(0.1, -0.05, 0.2, "", 50), "not told from no growth: rate -0.050 to 0.200 a step"),
        (Estimate(-0.1, -0.2, -0.05, "", 50), "cases halve in 6.9 steps (3.5 to 13.9)"),
        (unknown("too few", 3), "too few"),
    ],
)
def test_doubling_time_in_numbers_or_in_words(rate: Estimate, said: str | None) -> None:
    found = doubling(rate)
    assert found.reason == said
    if said is None:
        assert (found.low, found.value, found.high) == pytest.approx((math.log(2) / 0.2, math.log(2) / 0.1, math.log(2) / 0.05))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((50, 1, 100, 3), "not over: 3 agents were cases after the last step"),
        ((19, 1, 100, 0), "19 cases: too few, 20 are needed"),
        ((99, 1, 100, 0), "every agent became a case: R0 has no upper end"),
        ((0, 1, 1, 0), "0 cases: too few, 20 are needed"),
    ],
)
def test_what_the_final_size_cannot_say(given: tuple[int, int, int, int], said: str) -> None:
    assert from_final_size(*given).reason == said


def test_r_over_time_counts_local_cases_and_widens_with_scatter() -> None:
    cases, weights = [4, 4, 4, 8, 8, 8], [0, 1.0]
    plain = instantaneous_reproduction(cases, weights, [(1, 5)])
    half = instantaneous_reproduction(cases, weights, [(1, 5)], local=[0, 2, 2, 4, 4, 4])
    wide = instantaneous_reproduction(cases, weights, [(1, 5)], scatter=4.0)
    assert half.cases.tolist() == [16]
    assert half.mean[0] == pytest.approx((1 + 16) / (0.2 + 28))
    assert wide.high - wide.low > 1.8 * (plain.high - plain.low)
    assert cohort_reproduction(cases, weights, local=[0, 2, 2, 4, 4, 4]).value[:5] == pytest.approx([0.5, 0.5, 1, 0.5, 0.5])
    for wrong in ([0, 5, 0, 0, 0, 0], [0, -1, 0, 0, 0, 0], [1, 2]):
        with pytest.raises(ValueError, match="local cases must be 0 to the cases"):
            instantaneous_reproduction(cases, weights, [(1, 5)], local=wrong)
    with pytest.raises(ValueError, match="scatter must be at least 1"):
        instantaneous_reproduction(cases, weights, [(1, 5)], scatter=0.5)


def test_r_over_time_of_rabbits_is_two_and_its_end_is_not_told() -> None:
    found = effective(doubling_cases(12))
    assert found.reason is None
    assert found.instantaneous is not None
    assert found.cohort is not None
    assert found.tree is not None
    assert (found.width, found.mean) == (3, pytest.approx(1.5))
    followed = found.tree.followed >= 0.95
    assert followed[:-2].all()
    assert not followed[-2:].any()
    assert found.tree.value[1:-2] == pytest.approx(2)
    assert np.isnan(found.tree.value[-2:]).all()
    assert found.cohort.value[3:-2] == pytest.approx(2, rel=0.02)
    assert found.instantaneous.value[-1] == pytest.approx(2, rel=0.02)


def test_too_few_cases_give_no_r_over_time() -> None:
    found = effective(doubling_cases(2))
    assert found.instantaneous is None
    assert found.reason is not None
    assert "too few to say" in found.reason


def at_risk(rows: list[tuple[int, bool, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["agent", "event", "dose", "sources"])


def test_dose_response_by_sources_and_by_dose() -> None:
    rows = [(k, False, 0.0, 0) for k in range(100)] + [(k, k < 10, 1.0, 1) for k in range(40)]
    rows += [(k, k < 15, 2.5, 2) for k in range(30)] + [(k, True, 9.0, 7) for k in range(3)]
    found = from_table(at_risk(rows), 3)
    assert [(one.name, one.onsets, one.turns) for one in found.sources] == [("0", 0, 100), ("1", 10, 40), ("2 to 7", 18, 33)]
    assert [(one.onsets, one.turns) for one in found.doses] == [(0, 100), (10, 40), (18, 33)]
    spontaneous, one = found.sources[0].rate, found.sources[1].rate
    assert (spontaneous.value, spontaneous.low) == (0, 0)
    assert spontaneous.high == pytest.approx(share(0, 100).high)
    assert (one.low, one.high) == pytest.approx((share(10, 40).low, share(10, 40).high))
    one_end = [(k, False, dose, 1) for dose in (0.521, 1.034, 1.036, 2.0) for k in range(25)]
    assert [one.name for one in from_table(at_risk(one_end), 3).doses] == ["0.52", "1.03", "1.04", "2.00"]
    one_end = [(k, False, dose, 1) for dose in (0.5, 2.068, 2.069, 2.0721) for k in range(25)]
    assert [one.name for one in from_table(at_risk(one_end), 3).doses] == ["0.50", "2.07", "> 2.07", "> 2.07"]
    few = from_table(at_risk(rows[:5]), 3)
    assert few.reason is not None
    assert "5 agent-steps at risk" in few.reason


def test_alike_turns_of_an_agent_count_for_less() -> None:
    event, agent = np.repeat([True, False, False, True, False, False], 10), np.repeat(np.arange(6), 10)
    found, naive = clustered_share(event, agent), share(20, 60)
    assert found.value == pytest.approx(1 / 3)
    assert found.low is not None
    assert found.high is not None
    # The agents are of one mind each: 60 turns are worth 5.08.
    assert (found.low, found.high) == pytest.approx((0.0876, 0.7225), abs=1e-4)
    assert naive.low is not None
    assert found.low < naive.low


def test_known_doses_alone_count(make: Callable[..., Any]) -> None:
    """Agent 2 hears a message whose reading failed: of its next three steps nobody knows the dose."""
    made = make(agents=4)
    for step in range(30):
        said = {agent: ("so", 0.0) for agent in range(1, 4)} | {0: ("I turn", 0.9 if step != 10 else None)}
        made.step(step, said=said, heard=[(1, 0), (2, 0)] if step != 10 else [(2, 0)])
    found = dose_response(contagium.open_run(made.end()))
    assert found.unread == 3
    assert [(one.name, one.turns) for one in found.sources] == [("0", 32), ("1", 55)]
    assert found.onsets == 0


@pytest.fixture(scope="module")
def runs(made_log: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three small replicates: two outbreaks in which each case infects the next, and one in which nothing happens."""
    found = []
    for k, cases in enumerate((11, 8, 0)):
        made = made_log(tmp_path_factory.mktemp("replicate") / "run")
        for step in range(14):
            said = {agent: ("words", 0.9 if agent <= step and agent <= cases else 0.0) for agent in range(12)}
            moved = {step: ("I", [(step - 1, 1.0)])} if 1 <= step <= cases else {}
            made.step(step, said=said, heard=[((agent + 1) % 12, agent) for agent in range(12)], moved=moved)
        made.log.meta({"seed": k})
        found.append(contagium.open_run(made.end()))
    return found


def test_the_course_of_a_run(runs: list[Run]) -> None:
    found = course(runs[1])
    assert found.curve.new.tolist() == [0, *[1] * 8, *[0] * 5]
    assert found.curve.prevalence is not None
    assert found.curve.prevalence.tolist() == [1, *range(2, 10), *[9] * 5]
    assert found.curve.cumulative[-1] == 9
    assert (found.curve.attack.count, found.curve.attack.of, found.curve.final.count) == (8, 11, 9)
    assert found.basic.size.reason == "not over: 9 agents were cases after the last step"
    assert found.growth.rate.reason == "5 cases that others than index cases caused, up to step 6: too few, 10 are needed"
    told = {table.title: table for table in tables(found)}
    assert len(told) == 6
    assert told["New cases"].rows == (("spiral", "1", "8", "72.7%", "75.0%", "1 in step 1", "9"),)
    assert not any("nan" in cell.lower() for table in told.values() for row in table.rows for cell in row)
    assert all(len(row) == len(table.head) for table in told.values() for row in table.rows)


def test_replicates_give_means_with_intervals(runs: list[Run]) -> None:
    found = replicates(runs)
    assert found.attack.value == pytest.approx((11 + 8 + 0) / 33)
    assert found.outbreak.value == pytest.approx(2 / 3)
    assert found.incidence is not None
    assert found.incidence.mean[1:9] == pytest.approx(2 / 3)
    assert (found.incidence.low <= found.incidence.mean).all()
    assert found.reproduction.value is not None
    assert found.growth.reason == "known of 0 of 3 runs: too few, 3 are needed"
    table = next(replicate_tables(found))
    assert table.rows[0][1].startswith("57.6% (0.0% to 100.0%)")
    figure = Figure(layout="constrained")
    for axes, which in zip(figure.subplots(1, 2), ("incidence", "prevalence"), strict=True):
        plot_replicates(axes, found, which)
        assert axes.get_ylabel()
    figure.canvas.draw()


def test_band_holds_the_mean_as_often_as_it_says() -> None:
    rng, hits = np.random.Generator(np.random.Philox(7)), []
    for k in range(100):
        found = band(rng.exponential(size=(8, 4)), f"curve {k}")
        assert found is not None
        hits.append((found.low <= 1) & (found.high >= 1))
    assert 0.88 < np.mean(hits) < 0.99
    few = mean([0.2, None], "x")
    assert (few.value, few.reason) == (None, "known of 1 of 2 runs: too few, 3 are needed")
    assert mean([0.1, 0.1, 0.1], "x", 0, 1).low == pytest.approx(0.1)
    assert mean([1.0, 2.0, 4.0], "x", scale="log").value == pytest.approx(2.0)


def test_runs_of_different_conditions_are_no_replicates(runs: list[Run], make: Callable[..., Any]) -> None:
    other = make(steps=12)
    other.step(0)
    other.log.meta({"scenario": {"persona": {"name": "spiral", "examples": []}}, "seed": 9})
    with pytest.raises(LogError, match=r"no replicates: .* differ in persona.examples"):
        replicates([*runs, contagium.open_run(other.end())])
    with pytest.raises(LogError, match="have the same seed, 0"):
        replicates([runs[0], runs[0].__class__(runs[0].path)])
    with pytest.raises(LogError, match="no runs"):
        replicates([])


@pytest.mark.parametrize(
    "case", ["no step", "no cases", "all cases at once", "one agent", "stopped", "no readings", "no compartments"]
)
def test_whatever_is_in_the_log_gives_a_statement(case: str, make: Callable[..., Any], tmp_path: Path) -> None:
    made = make(agents=1 if case == "one agent" else 5, index=range(5) if case == "all cases at once" else (0,), steps=20)
    for step in range({"no step": 0, "stopped": 2}.get(case, 6)):
        said = {k: ("words", None if case == "no readings" else 0.1) for k in range(made.agents)}
        made.step(step, said=said, heard=[(k, 0) for k in range(1, made.agents)])
    path = made.end("stopped" if case == "stopped" else "finished")
    if case == "no compartments":
        with sqlite3.connect(path / "run.db") as log:
            log.execute("DELETE FROM compartment")
    found = course(contagium.open_run(path))
    assert isinstance(found, Course)
    assert found.growth.rate.value is None
    assert found.growth.rate.reason
    assert found.effective.reason
    cells = [cell for table in tables(found) for row in table.rows for cell in row]
    assert not any("nan" in cell.lower() for cell in cells)
    figure = Figure(layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    plot_incidence(axes[0], found.curves)
    plot_prevalence(axes[1], found.curves)
    plot_rt(axes[2], found.effective)
    plot_dose(axes[3], found.dose)
    figure.canvas.draw()
    assert curve(contagium.open_run(path)).attack.count == 0


def test_figures_show_what_they_are_given() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots(1, 2)
    found = effective(doubling_cases(12))
    plot_rt(axes[0], found)
    lines = {line.get_label(): line.get_ydata() for line in axes[0].lines}
    assert found.tree is not None
    assert np.array_equal(lines["tree"], found.tree.value, equal_nan=True)
    rows = [(k, k < 10, 1.0, 1) for k in range(40)] + [(k, False, 0.0, 0) for k in range(100)]
    plot_dose(axes[1], from_table(at_risk(rows), 3), by="doses")
    assert axes[1].get_xlabel() == "dose heard, last 3 steps\n(numbers: agent-steps at risk)"
    assert axes[1].containers[0].lines[0].get_ydata().tolist() == [0.0, 0.25]
    figure.canvas.draw()
    figure.set_size_inches(7.2, 3.4)
    figure.canvas.draw()
    assert axes[1].title.get_window_extent().width < axes[1].get_window_extent().width, "it does not run into its neighbour"


def test_the_example_of_the_page_runs(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for k, place in enumerate(("2026-11-21/10-00-00", "calm/0", "calm/1", "calm/2")):
        link = tmp_path / "outputs" / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(runs[max(k - 1, 0)].path.parent.absolute())
    example = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(example) == 1
    names: dict[str, Any] = {}
    exec(compile(example[0], "docs/statistics.md", "exec"), names)
    assert len(names["several"].curves) == 3
    assert "Basic reproduction number R0" in capsys.readouterr().out


def test_the_study_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "python benchmarks/coverage_curves.py --epidemics 1000" in PAGE.read_text(encoding="utf-8")
    study = runpy.run_path(str(ROOT / "benchmarks" / "coverage_curves.py"))
    for name, kept in (("BRANCHES", ((2.0, 1.0, 20, 100),)), ("NETS", ((300, 5),)), ("EVERYBODY", ((100, 5, 2.0),))):
        monkeypatch.setitem(study["main"].__globals__, name, kept)
    monkeypatch.setattr(sys, "argv", ["coverage_curves.py", "--epidemics", "6"])
    study["main"]()
    rows = [line for line in capsys.readouterr().out.splitlines() if "**" in line]
    assert len(rows) == 2 + 2 + 1 + 12
    assert all(re.search(r"\*\*(?:\d+\.\d%)\*\*", row) for row in rows)
