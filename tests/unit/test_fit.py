"""Fitting: rows from logs, forms and their maxima, the model that is written, what too little data is told to be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.response import Hill, Linear, Threshold
from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.figures.fit import plot_band, plot_hazard
from contagium.sim.analysis.fit import command
from contagium.sim.analysis.fit.compose import Rates, compose
from contagium.sim.analysis.fit.course import Course, I, R, S, UnfitError, course
from contagium.sim.analysis.fit.hazard import compare, hazard, tables
from contagium.sim.analysis.fit.hesitation import hesitation
from contagium.sim.analysis.fit.likelihood import Form, Likelihood, Rows, hazards
from contagium.sim.analysis.fit.predict import Prediction, prediction_table
from contagium.sim.analysis.fit.sampling import sample
from contagium.sim.analysis.fit.search import descend, estimated, maximise
from contagium.sim.build import build
from contagium.sim.log import open_run

CURVES = {name: Estimate(0.5, 0.1, 0.9, "", 5) for name in ("attack", "peak", "peak_step")}


def rows(dose: np.ndarray, event: np.ndarray, affect: np.ndarray | None = None) -> Rows:
    """Turns of agents that heard three messages each."""
    ones = np.ones(len(dose))
    felt = np.zeros((len(dose), 3)) if affect is None else affect
    return Rows(event, ones, dose, 3 * ones, np.ceil(dose).astype(np.int64), 0 * ones, ones, felt, ones)


def drawn(hazard_of: Callable[[np.ndarray], np.ndarray], turns: int = 4000, name: str = "rows") -> Rows:
    """Turns with doses of 0 to 3 and onsets by a hazard."""
    rng = Streams(5).generator(name)
    dose = rng.integers(0, 4, turns).astype(float)
    return rows(dose, rng.random(turns) < -np.expm1(-hazard_of(dose)))


def test_doses_turns_and_moves_are_read_off_a_log(make: Callable[..., Any]) -> None:
    log = make(agents=3, index=(0,))
    log.step(0, {0: ("spiral", 0.9), 1: ("plain", 0.1), 2: ("plain", 0.1)}, heard=[(1, 0), (2, 1)])
    log.step(1, {0: ("spiral", 0.9), 1: ("spiral", 0.6)}, heard=[(2, 0), (2, 1)], moved={1: ("I", [(0, 1.0)])})
    log.step(2, {0: ("plain", 0.1), 1: ("spiral", 0.6), 2: (None, None)}, heard=[(2, 1)], moved={0: ("R", [])})
    log.step(3, {0: ("plain", 0.1), 1: ("spiral", 0.6), 2: ("spiral", 0.5)}, moved={2: ("I", [(1, 1.0)])})
    found = course(open_run(log.end()))
    assert found.state[:, 0].tolist() == [I, I, I, R, R]
    assert found.state[:, 2].tolist() == [S, S, S, S, I]
    # Agent 2 was silent in step 1 and had no good reading in step 2: all it heard until then waits for its turn in step 3.
    at_risk = found.rows(S, I)
    assert at_risk.event.tolist() == [True, True]
    assert at_risk.elapsed.tolist() == [1, 3]
    assert at_risk.sources.tolist() == [1, 2]
    # A reading of 0.9 where 0.5 enters is a dose of 0.9, two of 0.6 are 0.6 each.
    assert at_risk.dose == pytest.approx([0.9, 0.9 + 0.6 + 0.6], abs=1e-6)
    assert found.rows(I, R).events == 1
    assert found.left_out == 0


def test_turns_whose_dose_is_not_known_are_left_out(make: Callable[..., Any]) -> None:
    log = make(agents=4, index=(0,), steps=5)
    all_of_them = {agent: ("plain", 0.1) for agent in (1, 2, 3)}
    log.step(0, {0: ("spiral", None), **all_of_them}, heard=[(1, 0), (2, 3)])
    # A message of an agent that is not logged in detail: it was heard, and is not in the log.
    log.step(1, {0: ("spiral", 0.9), **all_of_them}, exposure=[(1, 990, 2, 3, 1.0)], moved={1: ("I", [(0, 1.0)])})
    log.step(2, {0: ("spiral", 0.9), **all_of_them}, heard=[(3, 0)], moved={2: ("I", [(0, 1.0)])})
    log.step(3, {0: ("spiral", 0.9), 1: ("plain", 0.1), 2: ("plain", 0.1), 3: ("spiral", 0.9)}, moved={3: ("I", [(0, 1.0)])})
    run = open_run(log.end())
    found = course(run)
    first = found.rows(S, I)
    # Of agents 1 and 2 the turns with their onsets, after a failed reading and a message that is nowhere.
    assert (first.events, len(first), found.left_out) == (1, 4, 2)
    assert first.dose[first.event] == pytest.approx(0.9)
    assert not first.event[first.dose == 0].any()
    assert found.followed.rows(S, I).events == 1
    assert found.rows(I, R).count.sum() > 0  # what was heard does not matter to who recovers
    told = hazard([run])
    assert told.left_out == 2
    assert "1 onsets, 1 of them of exposed agents: too few" in told.words
    assert "Left out are 2 of 6 turns" in told.words


def test_doses_that_are_close_have_rows_of_their_own() -> None:
    dose = np.repeat([0.0, 0.516, 0.524, 1.0], 50)
    (table,) = tables(compare(rows(dose, dose > 9)))
    assert [row[0] for row in table.rows] == ["0.000", "0.516", "0.524", "1.000"]


def test_few_draws_have_a_range_and_no_interval() -> None:
    band = np.zeros(3)
    few, enough = (prediction_table(Prediction(9, 90, 3, band, band, band, CURVES, draws)) for draws in (5, 40))
    assert few.head[1] == "predicted (range of 5 draws)"
    assert "for a 95% interval 40 are needed" in few.says
    assert enough.head[1] == "predicted (95%)"
    assert "the intervals hold" in enough.says


def test_the_maximum_is_the_closed_form_where_there_is_one() -> None:
    given = drawn(lambda dose: 0.3 * (dose > 0))
    fit = maximise(given, Form("none"))
    assert fit.of("spontaneous") == pytest.approx(-math.log1p(-given.events / len(given)), rel=1e-5)
    fit = maximise(given, Form("threshold", at=1.0, spontaneous=False))
    exposed = given.take(given.dose > 0)
    assert fit.of("transmission") == pytest.approx(-math.log1p(-exposed.events / len(exposed)), rel=1e-5)


@pytest.mark.parametrize(
    "form",
    [
        Form("linear", modifiers=("valence", "arousal")),
        Form("saturating"),
        Form("hill", "share", modifiers=("dominance",)),
        Form("threshold", at=2.0, spontaneous=False),
    ],
    ids=lambda form: form.name,
)
def test_gradients_are_slopes(form: Form) -> None:
    rng = Streams(5).generator("gradient")
    given = rows(rng.random(50) * 3, rng.random(50) < 0.4, rng.normal(0, 0.3, (50, 3)))
    given = given.take(~given.event | (given.dose >= 2)) if form.name == "threshold" else given
    like = Likelihood(given, form)
    at = rng.normal(-0.5, 0.4, len(form.parameters))
    slope = [(like(at + h)[0] - like(at - h)[0]) / 2e-5 for h in 1e-5 * np.eye(len(at))]
    assert like(at)[1] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_alike_rows_are_counted_and_change_nothing() -> None:
    given = drawn(lambda dose: 0.02 + 0.2 * dose)
    assert len(given.alike) <= 8
    one, all_of_them = (Likelihood(part, Form("linear")) for part in (given.alike, given))
    at = np.log([0.03, 0.1])
    assert one(at)[0] == pytest.approx(all_of_them(at)[0], rel=1e-10)
    assert one(at)[1] == pytest.approx(all_of_them(at)[1], rel=1e-9)


def test_the_search_ends_at_a_bound_where_the_best_lies_beyond() -> None:
    at, value = descend(lambda x: (float((x**2).sum()), 2 * x), np.array([3.0, 2.0]), [(1.0, 5.0), (-5.0, 5.0)])
    assert at == pytest.approx([1.0, 0.0], abs=1e-5)
    assert value == pytest.approx(1.0)


def test_a_rate_with_no_event_has_a_lowest_value_of_zero_and_a_highest() -> None:
    given = drawn(lambda dose: 0.3 * dose)
    fit = maximise(given, Form("linear"))
    found = estimated(Likelihood(given, fit.form), fit.at, "spontaneous", given.events)
    assert found.value == found.low == 0
    # None of the turns without a dose: −log L rises by 1.92 at 1.92 / turns, or a little lower for the rest of the turns.
    assert found.high == pytest.approx(1.92 / (given.dose == 0).sum(), rel=0.1)


def test_complex_contagion_is_told_from_simple() -> None:
    simple = compare(drawn(lambda dose: 0.01 + 0.2 * dose, 12_000))
    steep = compare(drawn(lambda dose: 0.01 + 0.8 * dose**3 / (8 + dose**3), 12_000))
    assert simple.verdict in ("simple", "open")
    assert steep.verdict == "complex"
    assert steep.power.low is not None
    assert steep.power.low > 1
    assert "ΔAIC" in steep.words
    threshold = compare(drawn(lambda dose: 0.02 + 0.4 * (dose >= 2), 12_000))
    assert threshold.verdict == "complex"
    assert threshold.fits[0].form.name == "threshold"
    assert threshold.threshold == (2.0, 2.0)


def test_figures_draw_what_was_found() -> None:
    found = compare(drawn(lambda dose: 0.02 + 0.2 * dose, 2000))
    axes = Figure().subplots()
    plot_hazard(axes, found, found.curves())
    assert [line.get_linestyle() for line in axes.lines[-2:]] == ["-", "--"]
    x, y = axes.lines[-2].get_data()
    linear = next(fit for fit in found.fits if fit.form == Form("linear"))
    assert np.asarray(y)[-1] == pytest.approx(-math.expm1(-linear.of("spontaneous") - 3 * linear.of("transmission")), rel=1e-6)
    assert np.asarray(x)[-1] == 3
    band = (np.zeros(4), np.ones(4), 2 * np.ones(4))
    plot_band(axes, band, "predicted", "held out", observed=np.array([1, 2, 3, 4]))
    assert axes.get_ylabel() == "cases"
    empty = Figure().subplots()
    plot_hazard(empty, compare(drawn(lambda dose: dose, 0)))
    assert [text.get_text() for text in empty.texts] == ["Nobody was at risk."]


def test_onsets_that_follow_no_dose_are_no_contagion() -> None:
    found = compare(drawn(lambda dose: 0.05 + 0 * dose, 6000))
    assert found.verdict == "none"


def test_never_two_sources_at_once_leaves_it_untold() -> None:
    rng = Streams(5).generator("alone")
    dose = rng.integers(0, 2, 3000).astype(float)
    found = compare(rows(dose, rng.random(3000) < -np.expm1(-0.2 * dose)))
    assert found.verdict == "unknown"
    assert found.power.value is None
    assert "two sources at once were heard in 0 turns" in str(found.power.reason)


def test_few_onsets_give_a_statement_and_no_fit() -> None:
    found = compare(drawn(lambda dose: 0.002 * dose, 600))
    assert found.fits == ()
    assert found.words.startswith("Cannot be told:")
    (only,) = tables(found)
    assert sum(int(row[2]) for row in only.rows) < 10


def hesitant(agents: int, steps: int) -> Course:
    """Agents that catch it at 0.2 for each dose, and show it at 0.4 a step from then on; nobody sees who has caught it."""
    rng = Streams(5).generator("hesitant")
    dose = rng.integers(0, 3, (steps, agents)).astype(float)
    state, caught, shows = np.zeros((steps + 1, agents), dtype=np.int8), np.zeros(agents, bool), np.zeros(agents, bool)
    for step in range(1, steps):
        comes = caught & ~shows & (rng.random(agents) < -math.expm1(-0.4))
        caught |= rng.random(agents) < -np.expm1(-0.2 * dose[step])
        shows |= comes
        state[step + 1] = np.where(shows, I, S)
    all_of_them, whole = np.ones((steps, agents), dtype=bool), np.zeros((steps, agents), dtype=np.int64)
    affect, one = np.zeros((steps, agents, 3)), np.ones((steps, agents))
    return Course(
        agents, "case", state, all_of_them, one, dose, 3 * one, whole, 0 * dose, affect, np.ones(agents), dose[0], all_of_them
    )


def test_hesitation_is_found_though_nobody_sees_it() -> None:
    seen = hesitant(400, 15)
    objective, at, aic = hesitation([seen], Form("linear"))
    found = {name: estimated(objective, at, name, 400) for name in objective.names}
    for name, truth in (("transmission", 0.2), ("hesitation", 0.4)):
        low, high = found[name].low, found[name].high
        assert low is not None
        assert high is not None
        assert low < truth < high, name
        assert high / low < 5  # with doses that come and go at random the two rates look much alike
    at_once = maximise(seen.rows(S, I).alike, Form("linear"))
    assert aic < at_once.aic - 20
    away = at + 0.1
    slope = [(objective(away + h)[0] - objective(away - h)[0]) / 2e-5 for h in 1e-5 * np.eye(len(at))]
    assert objective(away)[1] == pytest.approx(slope, rel=1e-4)


def test_draws_spread_as_the_likelihood_does() -> None:
    given = drawn(lambda dose: 0.02 + 0.2 * dose).alike
    fit = maximise(given, Form("linear"))
    like = Likelihood(given, fit.form)
    found = np.exp(sample(like, fit.at, 200, Streams(1).generator("draws")))
    again = np.exp(sample(like, fit.at, 200, Streams(1).generator("draws")))
    assert np.array_equal(found, again)
    for column, name in enumerate(like.names):
        bounds = estimated(like, fit.at, name, given.events)
        assert bounds.low is not None
        assert bounds.high is not None
        width = bounds.high - bounds.low
        assert np.quantile(found[:, column], (0.025, 0.975)) == pytest.approx([bounds.low, bounds.high], abs=0.25 * width)


@pytest.mark.parametrize(
    "rates",
    [
        Rates(0.3, 0.01, recovery=0.2, relapse=0.02, reinfection=0.1),
        Rates(0.9, form=Form("hill"), half=1.5, power=2.5, hesitation=0.4, recovery=0.1, waning=0.05),
        Rates(0.7, form=Form("threshold", "share", at=0.4), recovery=0.2, lasting=False),
        Rates(0.5, form=Form("linear", "share"), modifiers=(0.4, 0.0, -0.1)),
    ],
    ids=["relapse", "hill", "threshold", "share"],
)
def test_a_model_comes_back_from_its_configuration(rates: Rates, tmp_path: Path) -> None:
    settings = {k: v for k, v in rates.arguments.items() if v is not None}
    kind = type(rates.response)
    settings["response"] = {"_target_": f"{kind.__module__}.{kind.__name__}", **vars(rates.response)}
    spec = yaml.safe_load(yaml.safe_dump({"_target_": f"{compose.__module__}.compose", **settings}))
    assert build(spec, "model") == rates.model


def test_responses_are_those_of_the_forms() -> None:
    dose = np.array([0.5, 1.0, 2.0])
    assert Rates(1.0).response == Linear()
    assert Rates(1.0, form=Form("threshold", at=2.0)).response == Threshold(2.0, "weight")
    share = Rates(1.0, form=Form("linear", "share"))
    bent = share.response
    assert isinstance(bent, Hill)
    rate = share.arguments["transmission_rate"]
    assert isinstance(rate, float)
    assert rate * 0.6 / (bent.half + 0.6) == pytest.approx(0.6, rel=1e-3)
    found = hazards(maximise(drawn(lambda d: 0.1 * d), Form("linear", spontaneous=False)), rows(dose, dose > 9))
    assert found / found[1] == pytest.approx(dose)


def test_a_model_without_recovery_or_by_itself_has_no_such_compartment() -> None:
    assert compose(0.1) == ContagionModel(("S", "I"), compose(0.1).transmissions)
    assert compose(0.1, recovery_rate=0.2, lasting=False).compartments == ("S", "I")
    assert compose(0.1, 0.05, hesitation_rate=0.5, recovery_rate=0.2).compartments == ("S", "E", "I", "R")


def test_thin_and_foreign_logs_get_a_line(make: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = make(agents=3, index=(0,))
    log.step(0, {0: ("spiral", 0.9)})
    short = log.end()
    assert command.main([str(short)]) == 2
    assert "1 steps were done, 3 are needed" in capsys.readouterr().err
    assert command.main([str(tmp_path / "nowhere")]) == 2
    assert "no run at" in capsys.readouterr().err
    assert command.main([str(short), "--draws", "0"]) == 2
    assert "--draws must be at least 1, got 0" in capsys.readouterr().err
    (told,) = tables(hazard([open_run(short)]))
    assert "Cannot be told" in told.says
    assert told.rows == ()


def test_no_cases_give_a_line(make: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    log = make(agents=3, index=(), steps=4)
    for step in range(4):
        log.step(step, {agent: ("plain", 0.1) for agent in range(3)}, heard=[(0, 1)])
    path = log.end()
    assert command.main([str(path)]) == 2
    assert "0 onsets, 0 of them of exposed agents" in capsys.readouterr().err
    found = hazard([open_run(path)])
    assert found.verdict == "unknown"
    assert json.loads(json.dumps([found.words]))[0].startswith("Cannot be told")


def test_compartments_that_no_fitted_model_has_are_refused(make: Callable[..., Any]) -> None:
    log = make(agents=3, index=(0,))
    for step in range(3):
        log.step(step, {0: ("spiral", 0.9)}, transition=[(90 + step, step, step, 1, "spiral", "latent", "Y", "H")])
    with pytest.raises(UnfitError, match="latent compartments H, Y: only models of S, E, I, R are fitted"):
        course(open_run(log.end()), kind="latent")
