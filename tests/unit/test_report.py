"""What the report and the summary say of several strains, and of the rule by which cases were found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contagium.sim.analysis.estimate import Estimate, unknown
from contagium.sim.analysis.figures.picture import picture
from contagium.sim.analysis.findings import find
from contagium.sim.analysis.report import reliability
from contagium.sim.analysis.report.chapters import over_time
from contagium.sim.analysis.report.page import report
from contagium.sim.analysis.report.parts import most_shown
from contagium.sim.analysis.report.sections import Section, html_section
from contagium.sim.analysis.spread.effective import OverTime
from contagium.sim.analysis.summary import summarise
from contagium.sim.analysis.tables import Table, brief, counted, html_brief, html_table, number
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
        made.step(step, moved={6 + step: ("I", [(step, share)])} if step < 6 else {})
    run = open_run(made.end())
    found = find(run)
    page = report(run, found, summarise(run, found), [])
    assert "How it was taken up" not in page, "nobody used words"
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
    assert "1 message, 1 different, reached the threshold (embedding ≥ 0.5)" in shown
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


def test_a_table_says_why_there_is_no_number_once() -> None:
    few = unknown("3 cases: too few", 3)
    rows = [("a", number(few), "3"), ("b", "1.0", "9"), ("c", number(few), "3"), ("d", number(few), "4")]
    told = brief(Table("T", "Says.", ("of", "value", "n"), tuple(rows)))
    assert isinstance(told, Table)
    assert told.rows == (("a; c", "3 cases: too few", "3"), ("b", "1.0", "9"), ("d", "3 cases: too few", "4"))


def test_a_table_without_any_number_is_a_sentence() -> None:
    few, none = (number(unknown(reason, 3)) for reason in ("3 cases: too few", "not <known>"))
    one = Table("Is it so?", "Says.", ("of", "value"), (("a", few), ("b", few)))
    assert html_brief(one) == '<p class="soft"><b>Is it so?</b> Nothing can be said (3 cases: too few).</p>'
    two = Table("T", "Says.", ("of", "value"), (("a", few), ("b", few), ("c", none)))
    assert brief(two) == "Nothing can be said. A; b: 3 cases: too few. C: not <known>."
    assert "C: not &lt;known&gt;." in html_brief(two)
    known = Table("T", "Says.", ("of", "value", "more"), (("a", number(Estimate(1.0, 0.5, 2.0, "", 9)), few),))
    assert brief(known) == known, "an estimate beside a reason"


def test_the_sentences_of_a_table_stand_outside_of_what_scrolls() -> None:
    html = html_table(Table("Why <i>?", "Says.", ("of",), (("x" * 31,), ("y",))))
    caption, table = html.split('<div class="wide">')
    assert caption == "<figure><figcaption><b>Why &lt;i&gt;?</b> Says.</figcaption>"
    assert '<td class="long">xxx' in table
    assert "<td>y</td>" in table


def test_secondary_tables_and_further_figures_are_folded() -> None:
    first, more = (Table(name, "Says.", ("of",), (("1",),), secondary=name == "More <b>") for name in ("First", "More <b>"))
    pictures = [picture(name, (2, 2), lambda figure: None, name) for name in ("one", "two")]
    open_part, folded = html_section(Section("S", (first, more), pictures, shown=1)).split('<details class="more">')
    assert "First" in open_part
    assert 'alt="one"' in open_part
    assert "<summary>More: More &lt;b&gt;</summary>" in folded
    assert 'alt="two"' in folded


def test_r_stands_at_the_step_it_speaks_of() -> None:
    """Instantaneous at the end of its window, cohort and tree at its beginning, on the page as in the figure."""
    steps, numbers = np.array([0, 1]), np.array([1.5, 2.5])
    part = OverTime(steps, steps + 2, numbers, numbers, numbers, numbers, numbers)
    assert over_time("instantaneous", part, 5).values == [None, None, 1.5, 2.5, None]
    for name in ("cohort", "tree"):
        assert over_time(name, part, 5).low == [1.5, 2.5, None, None, None]


def test_one_of_a_thing_is_no_plural() -> None:
    assert (counted(1, "case"), counted(0, "case"), counted(9000, "message")) == ("1 case", "0 cases", "9,000 messages")


@pytest.mark.parametrize("missing", [{}, {3: "timed out"}])
def test_what_failed_is_open_where_something_did(make: Make, missing: dict[int, str]) -> None:
    made = make()
    made.step(0, missing=missing)
    run = open_run(made.end())
    found = find(run)
    is_open = " open" if missing else ""
    page = report(run, found, summarise(run, found), [])
    assert f'<details class="part"{is_open}><summary><h2 id="what-failed">' in page
