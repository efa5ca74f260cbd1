"""Emotional contagion, piece by piece, on panels and logs in which it is known what must be found."""

from __future__ import annotations

import json
import re
import runpy
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion import contagion, convergence, echo, modifier, regression, response, turns
from contagium.sim.analysis.emotion.panel import PERSONA, PRESSURE, Begin, Panel, panels
from contagium.sim.analysis.emotion.transfer import transfer
from contagium.sim.analysis.figures.emotion import plot_heard, plot_response, plot_slopes
from contagium.sim.log import open_run

Make = Callable[..., Any]
NAN = float("nan")
ROOT = Path(__file__).resolve().parents[2]


def ring(size: int, steps: int, *, seed: int = 0, contagion: float = 0.0, inertia: float = 0.5) -> Panel:
    """A panel of agents that hear both neighbours on a ring."""
    rng = Streams(seed).generator("ring")
    x, course = rng.normal(size=size), []
    for _ in range(steps):
        course.append(x)
        x = inertia * x + contagion * (np.roll(x, 1) + np.roll(x, -1)) / 2 + 0.3 * rng.normal(size=size)
    return around(np.array(course).T)


def around(own: NDArray[np.float64]) -> Panel:
    size, steps = own.shape
    agent = np.arange(size)
    hearer, source = np.r_[agent, agent], np.r_[(agent + 1) % size, (agent - 1) % size]
    heard = (np.roll(own, 1, axis=0) + np.roll(own, -1, axis=0)) / 2
    return Panel(
        "valence", agent, own, heard, np.tile(hearer, steps), np.tile(source, steps), np.repeat(np.arange(steps), 2 * size)
    )


def readings(step: int, of: dict[int, float | None], sent: dict[int, int]) -> list[tuple[Any, ...]]:
    return [
        (step, "message", sent[a], a, "lexicon", "failed" if v is None else "ok", None, json.dumps({"valence": v}))
        for a, v in of.items()
    ]


@pytest.fixture
def talk(make: Make) -> Path:
    """Agents 0 and 1 speak in three steps, 2 in the first two; 1 hears 0 and 2, 2 hears 0, and 0 itself."""
    made = make(agents=3, steps=3)
    said = ({0: 0.5, 1: -0.5, 2: 0.1}, {0: 0.4, 1: None, 2: 0.3}, {0: 0.2, 1: 0.6})
    for step, values in enumerate(said):
        # Messages are numbered in the order they are made.
        before = made._messages
        sent = {agent: before + k for k, agent in enumerate(values)}
        heard = [(1, 0), (2, 0), (0, 0)] + ([(1, 2)] if 2 in values else [])
        moved = {2: ("I", [(0, 1.0)])} if step == 1 else None
        pressed = [(1, "rejection", 2, 2, 0.5, "0,2")] if step == 1 else []
        made.step(step, {a: ("", 0.1) for a in values}, heard, moved, reading=readings(step, values, sent), pressure=pressed)
    return made.end()


def test_a_log_becomes_a_panel(talk: Path) -> None:
    panel = panels(open_run(talk))["valence"]
    np.testing.assert_allclose(panel.own, [[0.5, 0.4, 0.2], [-0.5, NAN, 0.6], [0.1, 0.3, NAN]])
    np.testing.assert_allclose(panel.heard, [[NAN] * 3, [0.3, 0.35, 0.2], [0.5, 0.4, 0.2]])
    assert panel.moved[PRESSURE].tolist() == [[0, 0.5, 0], [0, 0, 0], [0, 0.5, 0]]
    assert panel.moved[PERSONA].tolist() == [[1, 1, 1], [0, 0, 0], [0, 1, 1]]
    assert (panel.messages, panel.unread, panel.received, panel.lost) == (8, 1, 8, 0)
    (begin,) = panel.begins
    assert (begin.event, begin.step, begin.pressed.tolist()) == ("rejection", 1, [0, 2])
    assert sorted(zip(*(of.tolist() for of in panel.pairs()), strict=True)) == [(1, 0), (1, 2), (2, 0)]


def test_too_little_is_said_and_not_estimated(talk: Path) -> None:
    found = contagion.emotional_contagion(open_run(talk))
    (of,) = found.of
    for told in (of.lagged.contagion, of.lagged.placebo, of.convergence.change, of.responses[0].peak):
        assert told.value is None
        assert told.reason
        assert "too few" in told.reason
    assert of.transfer.reason
    assert of.modifier is not None
    assert of.modifier.cases < 30
    assert of.modifier.dose.value is None
    text = repr(list(contagion.tables(found)))
    assert "nan" not in text
    assert "1 of 8 messages said have no good reading" in found.notes[0]


def test_a_run_without_steps_or_readings_gives_a_statement(make: Make) -> None:
    found = contagion.emotional_contagion(open_run(make(agents=2).end()))
    assert found.of == ()
    assert found.notes == ("No message has a reading of valence.",)
    assert list(contagion.tables(found)) == []


def test_a_measure_that_is_not_read_is_named(talk: Path) -> None:
    assert contagion.emotional_contagion(open_run(talk), axes=["joy"]).notes == ("No message has a reading of joy.",)


def test_no_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1 run, got 0"):
        contagion.emotional_contagion([])


def test_within_is_least_squares_on_dummies() -> None:
    rng = Streams(1).generator("dummies")
    agent, step = rng.integers(0, 6, 80), rng.integers(0, 5, 80)
    x = rng.normal(size=(80, 2))
    dummies = np.c_[agent[:, None] == np.arange(6), step[:, None] == np.arange(5)].astype(float)
    left = regression.within(x, agent, step)
    assert left is not None
    np.testing.assert_allclose(left, x - dummies @ np.linalg.lstsq(dummies, x, rcond=None)[0], atol=1e-6)


def test_the_bias_of_a_short_panel_is_worked_out_exactly() -> None:
    """Against the expected score by its definition: the trace of every regressor's response to every error, means taken off."""
    size, turns, inertia, taken = 6, 7, 0.4, 0.3
    panel = ring(size, turns + 1)
    share = np.zeros((size, size))
    share[panel.hearer, panel.source] = 0.5
    step = inertia * np.eye(size) + taken * share
    off_steps = np.eye(size) - 1 / size
    own = heard = 0.0
    for t in range(turns):
        for s in range(turns):
            # The error of turn s is in what was shown before turn t from then on; its agent's mean holds all of them.
            power = np.linalg.matrix_power(step, t - s - 1) if s < t else np.zeros((size, size))
            own -= np.trace(off_steps @ power) / turns
            heard -= np.trace(off_steps @ share @ power) / turns
    agent, turn = (of.ravel() for of in np.mgrid[:size, :turns])
    found = echo.nickell(inertia, taken, echo.distances(agent, turn), echo.moments([panel]), size)
    assert found == pytest.approx((own, heard), abs=1e-10)


def test_paths_of_many_agents_are_estimated() -> None:
    few, many = echo.moments([ring(40, 2)]), echo.moments([ring(2_000, 2)])
    assert few[:3] == pytest.approx([1, 0, 0.5], abs=1e-12)
    np.testing.assert_allclose(many[:6], few[:6], atol=0.05)


def test_what_follows_without_noise_is_found_exactly() -> None:
    """y = 0.5 own + 0.3 heard: nothing is left unexplained, so no bias is taken off and the placebo has nothing to look at."""
    course = [Streams(2).generator("start").normal(size=12)]
    for _ in range(11):
        course.append(0.5 * course[-1] + 0.15 * (np.roll(course[-1], 1) + np.roll(course[-1], -1)))
    found = regression.lagged([around(np.array(course).T)])
    assert (found.contagion.value, found.inertia.value) == pytest.approx((0.3, 0.5), abs=1e-5)
    assert found.asymmetry.value == pytest.approx(0, abs=1e-5)
    assert found.placebo.value is None
    assert found.placebo.reason == "hardly anything is left unexplained that could be alike"


def test_what_moved_affect_beside_hearing_is_allowed_for() -> None:
    """A persona lifts affect for good: taken for hearing, unless allowed for. Index cases, always one, change nothing."""
    rng = Streams(11).generator("persona")
    onset = np.r_[0, 2 + np.arange(19)]
    case = (np.arange(24) >= onset[:, None]).astype(float)
    x, course = rng.normal(size=20), []
    for step in range(24):
        course.append(x)
        x = 0.4 * x + 0.2 * (np.roll(x, 1) + np.roll(x, -1)) / 2 + 0.05 * rng.normal(size=20)
        x += case[:, min(step + 1, 23)]
    panel = around(np.array(course).T)
    blind, told = (regression.lagged([replace(panel, moved=moved)]).contagion for moved in ({}, {PERSONA: case}))
    assert told.value == pytest.approx(0.2, abs=0.03)
    assert blind.value is not None
    assert abs(blind.value - 0.2) > 0.1
    index = (np.arange(20) < 3)[:, None] * np.ones(24)
    same = regression.lagged([replace(panel, moved={PRESSURE: index, PERSONA: case})]).contagion
    assert same.value == pytest.approx(told.value, abs=1e-9)


def test_negative_weighs_more_where_it_does() -> None:
    """What is heard below one's own pulls with 0.5, above it with 0.1."""
    rng = Streams(3).generator("asymmetry")
    x, course = rng.normal(size=60), []
    for _ in range(40):
        course.append(x)
        away = (np.roll(x, 1) + np.roll(x, -1)) / 2 - x
        x = 0.6 * x + 0.5 * np.minimum(away, 0) + 0.1 * np.maximum(away, 0) + 0.3 * rng.normal(size=60)
    found = regression.lagged([around(np.array(course).T)])
    for told, truth in ((found.below, 0.5), (found.above, 0.1), (found.asymmetry, 0.4)):
        assert told.value is not None
        assert told.low is not None
        assert told.high is not None
        assert told.value == pytest.approx(truth, abs=3 * (told.high - told.low) / 4)
    assert found.asymmetry.low is not None
    assert found.asymmetry.low > 0


def test_several_runs_count_together() -> None:
    parts = [ring(12, 14, seed=seed, contagion=0.3, inertia=0.4) for seed in range(6)]
    one, all_ = regression.lagged(parts[:1]), regression.lagged(parts)
    assert (all_.agents, all_.steps) == (72, 6 * 13)
    width = [float(np.subtract(of.contagion.high, of.contagion.low)) for of in (one, all_)]
    assert width[1] < 0.6 * width[0]


def test_runs_do_not_hear_each_other() -> None:
    """Levels that differ between runs, in all their steps, change nothing: step effects are of each run."""
    parts = [ring(12, 14, seed=seed, contagion=0.3) for seed in range(2)]
    moved = [parts[0], replace(parts[1], own=parts[1].own + 5, heard=parts[1].heard + 5)]
    a, b = regression.lagged(parts), regression.lagged(moved)
    assert a.contagion.value == pytest.approx(b.contagion.value, abs=1e-6)
    assert a.placebo.value == pytest.approx(b.placebo.value, abs=1e-6)


@pytest.mark.parametrize(
    ("panel", "reason"),
    [
        (around(np.zeros((12, 14))), "does not vary"),
        (around(Streams(4).generator("one").normal(size=(1, 30))), "too few"),
        (replace(ring(12, 14), heard=np.full((12, 14), NAN)), "too few"),
        (replace(ring(12, 14), heard=np.tile(ring(12, 14).own.mean(axis=0), (12, 1))), "tells nothing|cannot be told from"),
        (around(np.where(np.arange(14) % 2, NAN, ring(12, 14).own)), "too few"),
    ],
    ids=["constant", "one agent", "nothing heard", "all hear the same", "every other turn"],
)
def test_where_nothing_can_be_said_of_a_slope_there_is_a_reason(panel: Panel, reason: str) -> None:
    found = regression.lagged([panel])
    for told in (found.contagion, found.inertia, found.below, found.asymmetry, found.placebo):
        assert (told.value, told.low, told.high) == (None, None, None)
        assert told.reason
        assert re.search(reason, told.reason)


def test_all_hearing_all_cannot_be_told_from_ones_own() -> None:
    """What others say on average is what all say less one's own: no regression tells the two apart."""
    own = ring(12, 14).own
    found = regression.lagged([replace(ring(12, 14), heard=(own.sum(axis=0) - own) / 11)])
    assert found.contagion.reason == "what is heard cannot be told from what is shown: everybody hears much the same"


def test_distances_are_those_of_all_pairs() -> None:
    x = Streams(5).generator("distances").normal(size=30)
    np.testing.assert_allclose(convergence._distances(x), np.abs(x[:, None] - x).sum(axis=1))


def test_the_change_of_distance_is_that_of_every_pair() -> None:
    panel = ring(14, 12, seed=6)
    early, late = panel.own[:, :4].mean(axis=1), panel.own[:, -4:].mean(axis=1)
    change = np.abs(late[:, None] - late) - np.abs(early[:, None] - early)
    tied = np.zeros((14, 14), dtype=bool)
    tied[panel.hearer, panel.source] = True
    apart = ~tied & ~np.eye(14, dtype=bool)
    found = convergence.convergence([panel])
    assert found.change.value == pytest.approx(change[tied].mean() - change[apart].mean())
    assert found.pairs == 14


def test_constant_affect_neither_converges_nor_flows() -> None:
    still = around(np.ones((20, 30)))
    assert convergence.convergence([still]).change.reason == "no distance changes: affect is constant"
    assert transfer([still]).reason == "affect is constant: nothing flows that could be seen"


def test_who_leads_stands_out() -> None:
    """Agent 1 says what 0 said before; nobody else hears anything of interest."""
    own = Streams(7).generator("leads").normal(size=(60, 80))
    own[1, 1:] = 0.9 * own[0, :-1] + 0.1 * own[1, 1:]
    found = transfer([around(own)])
    assert found.found == ((0, 1),)
    assert found.pairs == 120


def pressed_panel(last: float, spill: float = 0.0) -> Panel:
    """Thirty agents: 10 are pressed by −0.6 in step 6, of which the share `last` is left each step; the next 10 hear them."""
    rng = Streams(8).generator("pressed")
    own = 0.02 * rng.normal(size=(30, 24))
    own[:10, 6:] -= 0.6 * last ** np.arange(18)
    own[10:20, 7:] -= spill
    hearer, steps = np.arange(10, 20), np.arange(24)
    at = np.repeat(steps, 10)
    moved = np.zeros((30, 24))
    moved[:10, 6] = 1.0
    begins = (Begin("rejection", 6, np.arange(10)),)
    return Panel(
        "valence", np.arange(30), own, np.full_like(own, NAN), np.tile(hearer, 24), np.tile(hearer - 10, 24), at,
        {PRESSURE: moved}, begins,
    )  # fmt: skip


def test_a_response_has_a_peak_a_half_life_and_a_spill_over() -> None:
    (found,) = response.responses([pressed_panel(last=0.5, spill=0.1)])
    assert found.agents == (10, 10, 10)
    assert found.compared
    assert found.peak.value == pytest.approx(-0.6, abs=0.03)
    assert (found.delay.value, found.delay.low, found.delay.high) == (0, 0, 0)
    assert found.half_life.value == pytest.approx(1.0, abs=0.15)
    assert found.spill_over.value == pytest.approx(-0.1, abs=0.02)
    assert found.spill_over.high is not None
    assert found.spill_over.high < 0
    assert np.all((found.low <= found.curve) & (found.curve <= found.high))


def test_what_does_not_pass_is_said_not_to() -> None:
    (found,) = response.responses([pressed_panel(last=1.0)])
    assert found.half_life.reason == "half of it not gone within 10 steps, or by the next event"
    assert found.spill_over.low is not None
    assert found.spill_over.high is not None
    assert found.spill_over.low < 0 < found.spill_over.high


def test_where_all_are_pressed_there_is_nobody_to_compare() -> None:
    panel = pressed_panel(last=0.5)
    everybody = np.arange(30)
    (found,) = response.responses(
        [replace(panel, begins=(Begin("rejection", 6, everybody),), own=panel.own[np.tile(np.arange(10), 3)])]
    )
    assert not found.compared
    assert found.peak.value == pytest.approx(-0.6, abs=0.03)
    assert found.spill_over.reason == "0 agents not pressed heard one who was, 0 did not: 8 each are needed"


def test_a_second_event_ends_the_first_ones_course() -> None:
    panel = pressed_panel(last=0.9)
    again = replace(panel, begins=(*panel.begins, Begin("praise", 9, np.arange(10))))
    first = response.responses([again])[0]
    assert np.isfinite(first.curve[: response.BEFORE + 3]).all()
    assert np.isnan(first.curve[response.BEFORE + 3 :]).all()


def uptake(cases: float, own: float, seed: int = 9) -> tuple[Panel, pd.DataFrame]:
    """Affect of 200 agents and turns after the persona was heard, in which a unit of own affect adds `own` to the log-hazard."""
    rng = Streams(seed).generator("uptake")
    panel = Panel("valence", np.arange(200), rng.normal(size=(200, 20)), rng.normal(size=(200, 20)))
    step, agent = (of.ravel() for of in np.mgrid[1:20, 0:200])
    dose = rng.exponential(size=len(step))
    hazard = cases / len(step) * np.exp(own * panel.own[agent, step - 1]) * dose**0.8
    event = rng.random(len(step)) < 1 - np.exp(-hazard)
    return panel, pd.DataFrame({"step": step, "agent": agent, "event": event, "dose": dose})


def test_affect_that_opens_the_door_is_found() -> None:
    panel, risk = uptake(cases=200, own=-0.7)
    found = modifier.modifier([panel], [risk])
    assert found.turns == 19 * 200
    for told, truth in ((found.own, np.exp(-0.7)), (found.dose, np.exp(0.8)), (found.both, 1.0), (found.heard, 1.0)):
        assert told.low is not None
        assert told.high is not None
        assert told.low < truth < told.high
    assert found.own.high is not None
    assert found.own.high < 1


def test_as_many_terms_as_there_are_cases_for() -> None:
    panel, risk = uptake(cases=45, own=0.0)
    found = modifier.modifier([panel], [risk])
    assert 30 <= found.cases < 40
    assert found.own.value is not None
    assert found.both.reason == f"{found.cases} cases: too few for this too, 40 are needed"


def test_a_dose_that_is_the_same_for_all_leaves_affect_to_be_asked() -> None:
    panel, risk = uptake(cases=200, own=-0.7)
    found = modifier.modifier([panel], [risk.assign(dose=1.0)])
    assert (found.dose.reason, found.both.reason) == ("dose is the same in all turns",) * 2
    assert found.own.high is not None
    assert found.own.high < 1
    of = replace(contagion._axis("valence", (panel,), []), modifier=found)
    (table,) = (t for t in contagion.tables(contagion.Emotional((of,), ())) if "taken up" in t.title)
    assert table.rows[0][3] == table.rows[0][5] == "dose is the same in all turns"


def test_of_too_many_turns_those_of_some_agents_count(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, risk = uptake(cases=200, own=0.0)
    monkeypatch.setattr(modifier, "MOST_TURNS", 1_910)
    assert modifier.modifier([panel], [risk]).turns == 1_900


def test_the_dose_is_of_the_step_in_which_affect_was_heard(make: Make) -> None:
    """1 hears the persona, no more, and again, and takes it up. 2 is silent after it heard it. 3 hears what cannot be read."""
    made = make(agents=5, steps=4)
    quiet = ("", 0.1)
    made.step(0, {0: ("", 0.9), 1: quiet, 2: quiet, 3: quiet, 4: ("", None)}, [(1, 0), (2, 0), (3, 4)])
    made.step(1, {0: ("", 0.9), 1: quiet, 3: quiet}, [(2, 0), (3, 0)])
    made.step(2, {0: ("", 0.9), 1: quiet, 2: quiet, 3: quiet}, [(1, 0)])
    made.step(3, {0: ("", 0.9), 1: ("", 0.9), 2: quiet}, [], {1: ("I", [(0, 1.0)])})
    run = open_run(made.end())
    turns, left = modifier.exposed(run)
    rows = zip(turns["agent"], turns["step"], turns["event"], strict=True)
    assert sorted(rows) == [(1, 1, False), (1, 3, True), (3, 2, False)]
    assert turns["dose"].nunique() == 1  # of one message each
    assert left == 2
    assert "Affect and uptake: 2 of 5 turns" in repr(contagion.Emotional((), contagion._left([(turns, left)])).notes)


def sampled(directory: Path, kept: list[int]) -> Path:
    """The log as it would be had only these agents been logged in detail."""
    with sqlite3.connect(directory / "run.db") as log:
        names = ",".join(map(str, kept))
        log.execute(f"UPDATE agent SET detailed = 0 WHERE id NOT IN ({names})")
        log.execute(f"DELETE FROM reading WHERE agent NOT IN ({names})")
        log.execute(f"DELETE FROM message WHERE sender NOT IN ({names})")
        log.execute(f"DELETE FROM exposure WHERE agent NOT IN ({names})")
    return directory


@pytest.fixture
def ringed(make: Make) -> Path:
    """0.5 of what 40 agents on a ring showed and 0.3 of the mean of both neighbours make what they show next."""
    made = make(agents=40, steps=12)
    x, around_ = Streams(2).generator("start").normal(size=40), np.arange(40)
    heard = [(i, j % 40) for i in around_.tolist() for j in (i - 1, i + 1)]
    for step in range(12):
        sent = {agent: made._messages + agent for agent in range(40)}
        said = readings(step, dict(enumerate(x.tolist())), sent)
        made.step(step, {agent: ("", 0.1) for agent in range(40)}, heard, reading=said)
        x = 0.5 * x + 0.15 * (np.roll(x, 1) + np.roll(x, -1))
    return made.end()


def test_in_a_sample_only_whole_inboxes_count(ringed: Path) -> None:
    run = open_run(sampled(ringed, [i for i in range(40) if i % 10]))
    panel = panels(run)["valence"]
    assert (panel.received, panel.listened, panel.partly) == (12 * 64, 12 * 36, 12 * 8)
    slope = regression.lagged([panel]).contagion
    assert slope.value == pytest.approx(0.3, abs=1e-5)
    assert slope.n == 11 * 28
    note, *_ = contagion.emotional_contagion(run).notes
    assert "In 96 of 432 agent-steps messages were heard that are not in the log" in note


def test_a_sample_without_whole_inboxes_says_so(ringed: Path) -> None:
    slope = regression.lagged([panels(open_run(sampled(ringed, list(range(0, 40, 2)))))["valence"]]).contagion
    assert slope.value is None
    assert slope.reason is not None
    assert re.search("too few.* in 240 of 240 agent-steps messages were heard that are not in the log", slope.reason)


def test_a_slope_beside_a_placebo_that_is_not_0_says_so() -> None:
    """Neighbours struck alike: the slope is not to be read as contagion, in the table and wherever else the estimate goes."""
    rng = Streams(12).generator("struck")
    x, course = rng.normal(size=40), []
    for _ in range(30):
        course.append(x)
        struck = rng.normal(size=40)
        x = 0.5 * x + 0.3 * (struck + np.roll(struck, 1))
    of = contagion._axis("valence", (around(np.array(course).T),), [])
    assert of.lagged.placebo.low is not None
    assert of.lagged.placebo.low > 0
    table = next(contagion.tables(contagion.Emotional((of,), ())))
    assert table.rows[0][3].endswith("), but the placebo is not 0: not to be read as contagion")
    assert of.lagged.contagion.reason == regression.WARNING
    assert regression.lagged([ring(40, 30, contagion=0.3)]).contagion.reason is None


def test_tables_speak_of_pairs_and_not_of_dyads(talk: Path) -> None:
    assert "dyad" not in repr(list(contagion.tables(contagion.emotional_contagion(open_run(talk)))))


def test_cases_that_are_told_without_fail_give_no_ratio() -> None:
    panel, risk = uptake(cases=100, own=0.0)
    own = panel.own[risk["agent"], risk["step"] - 1]
    found = modifier.modifier([panel], [risk.assign(event=own > 1.5)])
    assert found.own.value is None
    assert found.own.reason
    assert "without fail" in found.own.reason


@pytest.fixture(scope="module")
def drawn() -> contagion.OfAxis:
    panel = replace(pressed_panel(last=0.5, spill=0.1), heard=ring(30, 24, seed=10).own)
    return contagion._axis("valence", (panel,), [])


def test_figures_say_what_was_found(drawn: contagion.OfAxis) -> None:
    axes = Figure().subplots(3)
    plot_response(axes[0], drawn.responses[0])
    plot_slopes(axes[1], [drawn.lagged])
    plot_heard(axes[2], drawn)
    assert "steps since" in axes[0].get_xlabel()
    assert len(axes[0].collections) == 2  # the bands of both curves
    assert [text.get_text() for text in axes[1].get_yticklabels()] == ["valence"]
    slope = drawn.lagged.contagion
    assert slope.value == pytest.approx(np.divide(*np.diff(axes[2].lines[0].get_xydata(), axis=0)[0][::-1]))
    axes[0].figure.canvas.draw()


def test_figures_say_why_they_are_empty() -> None:
    still = around(np.zeros((2, 3)))
    of = contagion._axis("valence", (replace(still, heard=np.full((2, 3), NAN), begins=(Begin("praise", 1, np.arange(2)),)),), [])
    for plot, given in ((plot_response, of.responses[0]), (plot_slopes, [of.lagged]), (plot_slopes, []), (plot_heard, of)):
        axes = Figure().subplots()
        plot(axes, given)  # type: ignore[operator]
        assert not axes.axison
        assert axes.texts[0].get_text()


def test_of_too_many_turns_a_sample_of_agents_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = ring(60, 20, contagion=0.3, inertia=0.4)
    monkeypatch.setattr(turns, "MOST_TURNS", 600)
    found = regression.lagged([panel])
    assert (found.agents, found.of, found.contagion.n) == (31, 60, 31 * 19)
    assert found.contagion.low is not None
    assert found.contagion.high is not None
    assert found.contagion.low < 0.3 < found.contagion.high


def test_the_pages_example_and_command_run(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example on a made log; the command's coverage part on one panel a line, which all but shows that it holds the truth."""
    page = (ROOT / "docs" / "emotion.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "outputs" / "2026-11-21").mkdir(parents=True)
    (tmp_path / "outputs" / "2026-11-21" / "10-00-00").symlink_to(talk)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/emotion.md", "exec"), {})
    assert "Does what is heard move what is shown?\n('valence', " in capsys.readouterr().out
    assert "python benchmarks/emotion.py" in page
    script = runpy.run_path(str(ROOT / "benchmarks" / "emotion.py"))
    assert len(list(script["coverage"](1))) == 10
