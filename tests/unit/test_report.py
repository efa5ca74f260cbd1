"""What the report and the summary say of several strains, and of the rule by which cases were found."""

from collections.abc import Callable
from typing import Any

import pytest

from contagium.sim.analysis.findings import find
from contagium.sim.analysis.report import reliability
from contagium.sim.analysis.report.page import report
from contagium.sim.analysis.report.parts import most_shown
from contagium.sim.analysis.summary import summarise
from contagium.sim.analysis.tables import Table
from contagium.sim.log import open_run

Make = Callable[..., Any]


def test_each_strain_of_a_run_has_its_row_and_its_numbers(make: Make) -> None:
    """Agent 0 is seeded with "spiral", agent 1 with its rival, who infects 2 and 3 of the eleven others."""
    made = make(index=(0,))
    made.log.meta({"strains": ["spiral", "calm <b>"]})
    rival = [(100, -1, -1, 1, "calm <b>", "case", "S", "I")]
    counts = [(-1, "calm <b>", "case", c, n) for c, n in (("S", 11), ("I", 1))]
    made.step(0, moved={5: ("I", [(0, 1.0)])}, transition=rival, compartment=counts)
    caught = [(101 + k, 1, 1, 2 + k, "calm <b>", "case", "S", "I") for k in range(2)]
    counts = [(1, "calm <b>", "case", c, n) for c, n in (("S", 9), ("I", 3))]
    made.step(1, transition=caught, compartment=counts)
    made.log._connection.execute("UPDATE agent SET strain = 'calm <b>' WHERE id = 1")
    run = open_run(made.end())
    found = find(run)
    summary = summarise(run, found)
    spiral, calm = summary["strains"]["spiral"], summary["strains"]["calm <b>"]
    assert [spiral[key] for key in ("attack_rate", "cases", "index_cases")] == [1 / 11, 1, 1]
    assert all(spiral[key] == summary[key] for key in spiral), "all else is about the first"
    assert calm["attack_rate"] == 2 / 11
    assert calm["index_cases"] == 1
    assert (calm["peak_prevalence"], calm["peak_step"]) == (3 / 12, 1)
    page = report(run, found, summary, [])
    assert "<td>calm &lt;b&gt;</td><td>1</td><td>18.2% (2 of 11 susceptible agents)</td><td>25.0% after step 1</td>" in page
    assert "All else on this page is about the first, spiral." in page


def test_the_report_names_the_threshold_by_which_cases_were_found(make: Make) -> None:
    """A run without words is judged by what its messages state, not by the thresholds of an instrument that read nothing."""
    made = make()
    made.log.meta({"axis_instruments": {"spiral": ["expression", "embedding"]}})
    reading = [made.reading(0, k, k, "expression", "spiral", float(k == 0)) for k in range(12)]
    made.step(0, reading=reading)
    run = open_run(made.end())
    found = find(run)
    page = report(run, found, summarise(run, found), [])
    assert "<th>Case threshold of what a message states outright</th><td>0.5</td>" in page
    assert "Case threshold of words" not in page


@pytest.mark.parametrize(("share", "warned"), [(0.3, True), (0.95, False)])
def test_a_reproduction_number_from_few_known_causes_is_called_biased(make: Make, share: float, warned: bool) -> None:
    made = make(index=range(6))
    for step in range(12):
        made.step(step, moved={6: ("I", [(0, share)])} if step == 1 else {})
    run = open_run(made.end())
    found = find(run)
    page = report(run, found, summarise(run, found), [])
    assert "An early case led to" in page
    assert (f"It is biased low, for candidate sources explain only {share:.0%} of what caused cases." in page) == warned


def test_a_reproduction_number_below_one_beside_a_high_attack_rate_is_explained(make: Make) -> None:
    made = make(agents=12, index=(0, 1, 2, 3))
    for step in range(12):
        made.step(step, moved={4 + step: ("I", [(step % 4, 1.0)])} if step < 8 else {})
    run = open_run(made.end())
    found = find(run)
    assert found.spread.r0.value is not None
    assert found.spread.r0.value < 1
    assert "cases without index cases over all cases, here 8 of 12" in report(run, found, summarise(run, found), [])


def test_only_messages_that_reached_the_threshold_are_said_to_show_it(make: Make) -> None:
    made = make()
    made.step(
        0, said={0: ("Seeded words.", 0.99), 1: ("I am the spiral.", 0.8), 2: ("A nearly spiral day.", 0.45), 3: ("Tea.", 0.0)}
    )
    run = open_run(made.end())
    found = find(run)
    shown = most_shown(run, found)
    assert "1 messages, 1 different, reached the threshold (embedding ≥ 0.5)" in shown
    assert "I am the spiral." in shown
    assert not any(words in shown for words in ("Seeded words.", "nearly", "Tea."))


def test_where_no_message_reached_the_threshold_the_page_says_so(make: Make) -> None:
    made = make()
    made.step(0, said={0: ("Seeded words.", 0.99), 3: ("Tea.", 0.2)})
    run = open_run(made.end())
    assert most_shown(run, find(run)) == (
        "<p>No message of any agent but the index cases reached the threshold (embedding ≥ 0.5).</p>"
    )


def test_long_tables_of_agreement_are_folded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    long, short = (Table(name, "Says.", ("a",), (("x",),) * rows) for name, rows in (("Long", 11), ("Short", 10)))
    monkeypatch.setattr(reliability, "tables", lambda found: [long, short])
    made = make()
    made.step(0)
    html = reliability.reliability_section(open_run(made.end()))
    assert "<summary>Long: 11 rows</summary>" in html
    assert html.count("<details>") == 1
