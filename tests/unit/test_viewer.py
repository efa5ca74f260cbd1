"""What the viewer of the report is given: all of a small log, the most telling part of a large one, nothing that could act."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contagium.sim.analysis.figures.placing import place
from contagium.sim.analysis.findings import Findings, find
from contagium.sim.analysis.report.assets import packed
from contagium.sim.analysis.report.cases import readings_of
from contagium.sim.analysis.report.sections import Curve, Line, Section, html_section
from contagium.sim.analysis.report.viewer import NONE, Limits, evenly, viewer_data
from contagium.sim.analysis.spread.epidemic import states
from contagium.sim.analysis.tables import Table
from contagium.sim.log import Run, open_run

Make = Callable[..., Any]
LINE = "The spiral turns in me."


def talk(make: Make) -> tuple[Run, Findings]:
    """Ada (0) is seeded. Ben (1) hears her in step 0 and shows it in step 1; Cai (2) hears both, shows it, and recovers."""
    made = make(agents=4, index=(0,), steps=5)
    made.log.meta({"scenario": {"observer": {"case": {"confirm": 1, "window": 1}}}})
    made.step(0, said={0: (LINE, 0.9), 1: ("The report is done.", 0.1)}, heard=[(1, 0)])
    made.step(1, said={0: (LINE, 0.9), 1: ("It turns in me too.", 0.8)}, heard=[(2, 1), (2, 0)], moved={1: ("I", [(0, 0.7)])})
    made.step(2, said={2: ("<b>\u202ewoken", 0.6)}, moved={2: ("I", [(1, 0.6), (0, 0.3)])}, missing={3: "timeout"})
    made.step(3, said={1: ("Quiet.", None)}, moved={2: ("R", [])}, report=[(3, 2, "calm", "ok", None)])
    made.step(4, pressure=[(4, "praise", 3, 3, 0.5, "all")])
    run = open_run(made.end())
    return run, find(run)


def test_a_case_is_told_with_its_rule_its_readings_and_its_causes(make: Make) -> None:
    run, found = talk(make)
    data = viewer_data(run, found, confirmed={("spiral", 0, 1): "confirmed: +0.4 (0.2 to 0.6)"})
    (strain,) = data["strains"]
    cases = {case["agent"]: case for case in strain["cases"]}
    assert strain["rule"] == "One sign makes a case: embedding ≥ 0.5."
    assert (cases[0]["index"], cases[0]["readings"], cases[0]["causes"]) == (True, [], [])
    (reading,) = cases[1]["readings"]
    assert reading[:4] == (1, 0.8, "embedding", True)
    assert data["texts"][reading[4]] == "It turns in me too."
    (cause,) = cases[1]["causes"]
    assert (cause[0], cause[2], cause[5]) == (0, 0.7, "confirmed: +0.4 (0.2 to 0.6)")
    assert data["texts"][cause[4]] == LINE
    assert [(source, probability, words) for source, _, probability, _, _, words in cases[2]["causes"]] == [
        (1, 0.6, ""),
        (0, 0.3, ""),
    ]
    assert (cases[2]["parent"], cases[2]["explained"]) == (1, 0.9)
    assert strain["onsets"] == [0, 1, 1, 0, 0]


def test_moves_give_everybody_the_compartment_of_the_log_after_every_step(make: Make) -> None:
    run, found = talk(make)
    data = viewer_data(run, found)
    (strain,), codes = data["strains"], [kind["code"] for kind in data["compartments"]]
    assert codes == ["S", "I", "R"]
    now = np.full(4, strain["susceptible"])
    now[strain["index"]] = strain["infectious"]
    moves, next_ = strain["moves"], 0
    for step, truth in zip(range(-1, 5), states(run, range(-1, 5), agents=np.array(data["agents"]["id"])), strict=True):
        while next_ < len(moves["step"]) and moves["step"][next_] <= step:
            now[moves["agent"][next_]] = moves["target"][next_]
            next_ += 1
        assert [codes[code] for code in now] == truth.tolist()
        assert [strain["counts"]["of"][code][step + 1] for code in codes] == [int((truth == code).sum()) for code in codes]
    assert next_ == 4


def test_everybody_has_what_it_said_heard_and_felt(make: Make) -> None:
    run, found = talk(make)
    data = viewer_data(run, found)
    row, messages, heard = {agent: k for k, agent in enumerate(data["agents"]["id"])}, data["messages"], data["heard"]

    def said(agent: int) -> list[tuple[int, str, int]]:
        mine = range(messages["start"][row[agent]], messages["start"][row[agent] + 1])
        return [(messages["step"][m], data["texts"][messages["text"][m]], messages["values"][-1][m]) for m in mine]

    assert said(1) == [(0, "The report is done.", 10), (1, "It turns in me too.", 80), (3, "Quiet.", NONE)]
    assert said(2) == [(2, "<b>[U+202E]woken", 60)]
    got = range(heard["start"][row[2]], heard["start"][row[2] + 1])
    assert [(heard["step"][k], data["texts"][messages["text"][heard["what"][k]]]) for k in got] == [
        (1, "It turns in me too."),
        (1, LINE),
    ]
    assert data["remarks"] == {str(row[3]): [(2, "missing", "timeout")], str(row[2]): [(3, "feels", "calm")]}
    assert data["pressure"] == [(4, "praise presses on 3 agents")]
    assert data["left"] == {"said": [], "heard": []}


def crowd(make: Make, agents: int = 60) -> tuple[Run, Findings]:
    """Everybody says 50 letters in each of four steps and hears its neighbour; agent 40 becomes a case."""
    made = make(agents=agents, index=(0,), steps=4)
    for step in range(4):
        texts = {a: (f"{a:3d} in step {step} ".ljust(50, "."), 0.9 if a in (0, 40) and step > 1 else 0.1) for a in range(agents)}
        moved = {40: ("I", [(39, 1.0)])} if step == 2 else {}
        made.step(step, said=texts, heard=[(a, (a - 1) % agents) for a in range(agents)], moved=moved)
    run = open_run(made.end())
    return run, find(run)


def test_of_what_does_not_fit_cases_and_their_evidence_stay_and_the_rest_is_said_to_be_left_out(make: Make) -> None:
    run, found = crowd(make)
    whole = viewer_data(run, found)
    assert (len(whole["texts"]), len(whole["heard"]["what"])) == (240, 240)
    data = viewer_data(run, found, limits=Limits(messages=100, exposures=100, letters=1000))
    ids = data["agents"]["id"]
    assert len(data["texts"]) == 20
    assert 100 <= len(data["messages"]["id"]) <= 102  # and the evidence
    assert len(data["heard"]["what"]) == 100
    for kind in ("said", "heard"):
        assert len(data["left"][kind]) == 35
        assert not {ids.index(0), ids.index(40)} & set(data["left"][kind])
    (case,) = [case for case in data["strains"][0]["cases"] if case["agent"] == 40]
    assert data["texts"][case["readings"][0][4]].startswith(" 40 in step 2")
    assert data["texts"][case["causes"][0][4]].startswith("  0 in step 0")  # all causes of the made log name message 0
    assert -2 in data["messages"]["text"]


def test_an_order_is_even_wherever_it_is_cut() -> None:
    for cut in (5, 50, 500):
        first = np.sort(evenly(1000)[:cut])
        assert np.diff(first, prepend=0, append=1000).max() < 3 * 1000 / cut
    assert sorted(evenly(1000)) == list(range(1000))


def test_packed_data_are_read_back_and_hold_no_markup() -> None:
    hostile = {"text": "</script><img src=x onerror=alert(1)>\u2028", "n": [1, None, 0.5]}
    text = packed(hostile)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert json.loads(gzip.decompress(base64.b64decode(text))) == hostile
    assert packed(hostile) == text
    with pytest.raises(ValueError, match="JSON compliant"):
        packed({"x": float("nan")})


def test_a_network_is_unfolded_and_nobody_stands_on_anybody() -> None:
    ring = np.column_stack([np.arange(400), (np.arange(400) + 1) % 400])
    position = place(400, ring, seed=1)
    assert (place(400, ring, seed=1) == position).all()
    length = np.linalg.norm(position[ring[:, 0]] - position[ring[:, 1]], axis=1)
    apart = np.linalg.norm(position - np.roll(position, 200, axis=0), axis=1)
    assert length.mean() < 0.1 * apart.mean()
    every = np.linalg.norm(position[:, None] - position[None], axis=2) + 9 * np.eye(400)
    assert every.min() > 0.01
    lonely = place(5, np.array([[0, 1]]), seed=1)
    assert np.isfinite(lonely).all()
    assert len(np.unique(lonely.round(3), axis=0)) == 5
    assert [place(n, np.empty((0, 2), dtype=np.int64), seed=1).shape for n in (0, 1, 2)] == [(0, 2), (1, 2), (2, 2)]


def test_a_section_shows_its_tables_notes_and_places_for_its_curves() -> None:
    table = Table("How fast", "Says <i>.", ("what", "value"), (("R & more", "1.8 (1.1 to 2.9)"),))
    curve = Curve("Rt", "By step.", "cases a case", (0, 1), (Line("Rt", (1.5, float("nan")), (1.0, None), (2.0, None)),))
    html = html_section(Section("Pace", tables=(table,), notes=("A <note>.",), curves=(curve,)), first_curve=3)
    assert "<td>R &amp; more</td><td>1.8 (1.1 to 2.9)</td>" in html
    assert "A &lt;note&gt;." in html
    assert 'data-curve="3"' in html


def test_curves_of_sections_reach_the_viewer_with_gaps_where_there_is_no_number(make: Make) -> None:
    run, found = talk(make)
    curve = Curve("Rt", "By step.", "cases a case", (0, 1), (Line("Rt", (1.5, float("nan")), (1.0, None), (2.0, None)),))
    (told,) = viewer_data(run, found, curves=[curve])["curves"]
    assert (told["lines"][0]["y"], told["lines"][0]["low"], told["x"]) == ([1.5, None], [1.0, None], [0, 1])


@pytest.mark.parametrize("options", [{"agents": 0, "index": (), "edges": False}, {"agents": 1, "edges": False}, {"index": ()}])
def test_runs_in_which_nothing_happened_have_a_page_too(make: Make, options: dict[str, Any]) -> None:
    made = make(**options)
    run = open_run(made.end("interrupted", "stopped"))
    data = viewer_data(run, find(run))
    assert data["steps"] == 0
    assert len(data["agents"]["id"]) == options.get("agents", 12)
    assert len(packed(data)) > 100


def test_low_states_are_told_by_readings_that_are_low(make: Make) -> None:
    """A state of values at most −0.5: a reading of −0.7 is a sign, one of 0.2 is none."""
    made = make(index=())
    rule = {"instrument": "lexicon", "axis": "valence", "enter": -0.5, "stay": -0.3, "false_positive_rate": None}
    made.log.meta({"strains": ["gloom"], "detection": {"gloom": rule}, "axis_instruments": {"valence": ["lexicon"]}})
    made.step(0, said={1: ("All is lost.", None), 2: ("Fine.", None)})
    made.log.add("reading", [made.reading(0, m, m + 1, "lexicon", "valence", v) for m, v in ((0, -0.7), (1, 0.2))])
    made.log.add("transition", [(1, 0, 0, 1, "gloom", "case", "S", "I")])
    made.log.commit()
    run = open_run(made.end())
    (strain,) = viewer_data(run, find(run))["strains"]
    assert strain["rule"] == "lexicon ≤ -0.5."
    (case,) = strain["cases"]
    assert [(r[1], r[3]) for r in case["readings"]] == [(-0.7, True)]


def test_readings_that_count_are_those_of_the_case_instrument_and_statements_come_first(make: Make) -> None:
    made = make()
    made.log.meta({"axis_instruments": {"spiral": ["expression", "embedding"]}})
    made.step(0, said={1: ("One.", 0.2), 2: ("Two.", 0.6)})
    made.log.add("reading", [made.reading(0, 0, 1, "expression", "spiral", 0.9)])
    made.log.commit()
    run = open_run(made.end())
    read = readings_of(run, find(run), "spiral").set_index("agent")
    assert read[["value", "instrument"]].to_dict("index") == {
        1: {"value": 0.9, "instrument": "expression"},
        2: {"value": 0.6, "instrument": "embedding"},
    }
    assert read["reached"].all()
