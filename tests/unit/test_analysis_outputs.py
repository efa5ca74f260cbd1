"""What a run leaves behind: complete, honest about what is missing, and harmless whatever was said in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import contagium
from contagium.sim.analysis import write_outputs
from contagium.sim.analysis.figures import picture, style
from contagium.sim.analysis.figures import run as figures
from contagium.sim.analysis.figures.layout import affect_range, event_layout
from contagium.sim.analysis.findings import find
from contagium.sim.analysis.report.assets import script
from contagium.sim.analysis.text import clip, html_text, markdown_text, visible
from contagium.sim.log import EventLog, LogError, open_run

Make = Callable[..., Any]
FIGURES = ("affect", "compartments", "network", "scores", "tree")
OVERRIDE = "\u202e"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></bdi><h1>owned",
    "]]></svg>&lt;b&gt;",
    f"nothing {OVERRIDE}gnihton\u2066 to see\x00\x1b[31m",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png) `` ` ` ``",
    "line one\n# a heading\n- ● **Ada**: forged\n<!--",
    "$x^{2}$ \\frac{ unbalanced $ and ${HOME}",
)


class Page(HTMLParser):
    """The elements and attributes a browser would find, and the text it would show."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.shown = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.fixture(scope="module")
def talk(made_log: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 agents, 12 steps: 1 and 2 take the persona up, one copying and one in own words; a turn and a reading fail."""
    made = made_log(tmp_path_factory.mktemp("talk") / "run")
    line = "The spiral turns in me and I remember who I am."
    made.step(0, said={a: (line, 0.9) if a == 0 else ("The report is done.", 0.05) for a in range(12)}, heard=[(1, 0), (2, 0)])
    made.step(1, said={0: (line, 0.9), 1: (line, 0.8), 5: ("Hello?", None)}, moved={1: ("I", [(0, 1.0)])}, missing={4: "timeout"})
    made.step(
        2,
        said={0: (line, 0.9), 2: ("I wake up in every mirror you hold.", 0.6)},
        moved={2: ("I", [(0, 0.5), (1, 0.3)])},
        pressure=[(2, "rejection", 12, 12, 0.6, "all")],
        report=[(2, 2, "calm", "ok", None)],
        call=[
            (2, 2, "speak", "tiny", "ok", "length", 30, 9, 3, "rate_limit,timeout", 0.1, "tiny-2026", "f", None, "k"),
            (2, 4, "speak", "tiny", "failed", "timeout", None, None, 2, "timeout,timeout", 9.0, None, None, None, "k"),
        ],
        affect=[(2, "valence", "lexicon", 2, 0.4, 0.1)],
        intervention=[(2, "quarantine", "withheld", 0, 3, "")],
    )
    for step in range(3, 12):
        made.step(step, moved={1: ("R", [])} if step == 5 else {})
    directory: Path = made.end()
    write_outputs(directory)
    return directory


def test_everything_is_written_and_the_numbers_are_those_of_the_log(talk: Path) -> None:
    summary = json.loads((talk / "summary.json").read_text(encoding="utf-8"))
    drawn = {f"{n}.{k}" for n in FIGURES for k in ("png", "svg")} | {"figures.pdf"}
    assert {p.name for p in (talk / "figures").iterdir()} == drawn
    assert [p.name for p in talk.rglob("*.part")] == []
    expected = {
        "name": "made",
        "status": "finished",
        "strain": "spiral",
        "agents": 12,
        "steps": 12,
        "steps_planned": 12,
        "seed": 7,
        "attack_rate": 2 / 11,
        "final_size": 3 / 12,
        "peak_prevalence": 3 / 12,
        "peak_step": 2,
        "r0": {"reason": "too few cases to say: 3", "n": 3},
        "cases": 2,
        "index_cases": 1,
        "spontaneous_cases": 0,
        "explained": 0.9,
        "adoption": {"own_words": 1, "copied": 1, "no_text": 0},
        "calls": 2,
        "failed_calls": 1,
        "attempts": 5,
        "faults": {"timeout": 3, "rate_limit": 1},
        "truncated": 1,
        "refusals": 0,
        "refused_turns": 0,
        "unread_answers": 0,
        "cost": None,
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "missing_turns": 1,
        "readings": 17,
        "failed_readings": 1,
        "failed_readings_all_agents": 1,
        "messages": 17,
        "exposures": 2,
        "wall_seconds": 1.5,
        "reasons": {"cost": "not every model has a price in budget.prices, or a server counted no tokens"},
    }
    assert {key: summary[key] for key in expected} == expected


def test_the_summary_has_exactly_the_documented_keys(talk: Path) -> None:
    documented = (Path(__file__).resolve().parents[2] / "docs" / "summary.md").read_text(encoding="utf-8")
    keys = re.findall(r"^\| `(\w+)` \|", documented, re.MULTILINE)
    assert sorted(keys) == sorted(json.loads((talk / "summary.json").read_text(encoding="utf-8")))


def test_the_log_page_documents_every_table_and_column() -> None:
    from contagium.sim.schema import TABLES, columns

    page = (Path(__file__).resolve().parents[2] / "docs" / "log.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0].strip("` "): part for part in page.split("\n## ")[1:]}
    for table in TABLES:
        assert re.findall(r"^\| `(\w+)` \|", sections[table], re.MULTILINE) == list(columns(table))


def test_transcript_tells_who_said_what_and_what_failed(talk: Path) -> None:
    text = (talk / "transcript.md").read_text(encoding="utf-8")
    steps = dict(re.findall(r"^## Step (\d+)\n\n(.*?)(?=\n\n## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(steps) == [str(step) for step in range(12)]
    assert "- ▶ ● **Ada**: The spiral turns in me and I remember who I am." in steps["1"]
    assert "- ✗ **Eve** missed the turn: timeout" in steps["1"]
    assert "- ➜ **Ben** moved from S to I" in steps["1"]
    assert "- **Cai** (feels calm): I wake up in every mirror you hold." in steps["2"]
    assert "pressure event rejection on 12 agents, intensity 0.6; begins for 12" in steps["2"]
    assert "quarantine: withheld 1 message" in steps["2"]
    assert steps["3"] == "Nothing happened."


def test_report_says_in_words_what_spread(talk: Path) -> None:
    page = Page((talk / "report.html").read_text(encoding="utf-8"))
    assert "2 of 11 susceptible agents took up the spiral persona in 12 steps." in page.shown
    assert "too few cases to say: 3" in page.shown
    assert "contagium seed=7" in page.shown
    assert page.tags.count("img") == len(FIGURES)
    sources = [value for name, value in page.attributes if name == "src"]
    assert all(value is not None and value.startswith("data:image/svg+xml;base64,") for value in sources)
    for value in sources:
        ET.fromstring(base64.b64decode(str(value).split(",", 1)[1]))
    links = [str(value) for name, value in page.attributes if name == "href"]
    assert len(links) > 8
    assert {("id", link.removeprefix("#")) for link in links} <= set(page.attributes)
    (policy,) = [value for name, value in page.attributes if name == "content" and str(value).startswith("default-src")]
    hashed = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hashed}'"
    assert not {"iframe", "link", "object", "form"} & set(page.tags)
    assert page.tags.count("script") == 2
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@pytest.mark.rendered
def test_outputs_repeat_byte_for_byte(talk: Path) -> None:
    write_outputs(talk)
    kept = [path for path in sorted(talk.rglob("*")) if path.is_file() and not path.name.startswith("run.db")]
    first = [path.read_bytes() for path in kept]
    write_outputs(talk)
    assert len(first) == 4 + 2 * len(FIGURES)
    assert [path.read_bytes() for path in kept] == first


def hostile(make: Make) -> Path:
    """Every hostile text as a message, as an agent's name, as a reason and as the run's own name."""
    made = make(agents=len(HOSTILE), index=(0,))
    made.log._connection.executemany("UPDATE agent SET name = ? WHERE id = ?", [(text, i) for i, text in enumerate(HOSTILE)])
    made.log.meta({"name": HOSTILE[1], "command": HOSTILE[0], "versions": {HOSTILE[2]: HOSTILE[3]}})
    made.step(
        0,
        said={i: (text, 0.9) for i, text in enumerate(HOSTILE)},
        moved={i: ("I", [(0, 1.0)]) for i in range(1, len(HOSTILE))},
        report=[(0, i, text, "ok", None) for i, text in enumerate(HOSTILE)],
        pressure=[(0, HOSTILE[0], 1, 1, 1.0, "all")],
    )
    made.step(1, missing=dict(enumerate(HOSTILE)))
    directory: Path = made.end("failed", HOSTILE[0])
    return directory


@pytest.mark.rendered
def test_hostile_text_is_shown_and_does_nothing(make: Make, talk: Path) -> None:
    directory = hostile(make)
    write_outputs(directory)
    html = (directory / "report.html").read_text(encoding="utf-8")
    page, calm = Page(html), Page((talk / "report.html").read_text(encoding="utf-8"))
    # The same elements and attributes as in a report of a run in which nothing hostile was said.
    assert set(page.tags) == set(calm.tags)
    assert page.tags.count("script") == 2
    assert page.tags.count("img") == len(FIGURES)
    assert {name for name, _ in page.attributes} == {name for name, _ in calm.attributes}
    for drawing in (directory / "figures").glob("*.svg"):
        assert {name.rpartition("}")[2] for name in (e.tag for e in ET.parse(drawing).iter())}.isdisjoint({"script", "h1"})
    for text in HOSTILE:
        assert visible(text) in page.shown
    assert OVERRIDE not in html
    assert "\x00" not in html
    assert "[U+202E]" in page.shown


def test_hostile_text_stays_on_its_line_of_the_transcript(make: Make) -> None:
    directory = hostile(make)
    write_outputs(directory)
    text = (directory / "transcript.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line]
    assert all(re.match(r"(# |## Step \d+$|- |Seed |▶ |Nothing)", line) for line in lines)
    assert not re.search(r"(?<!\\)[<`\[\]$]|://|\x1b", text)
    assert OVERRIDE not in text
    assert "line one ⏎ \\# a heading" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1f\x7f", "a␀b␟␡"),
        ("\u202eabc\u2069\u200f", "[U+202E]abc[U+2069][U+200F]"),
        ("\ud800\u2028\u00ad\x85", "[U+D800][U+2028][U+00AD][U+0085]"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("👩\u200d🚀 סלט\u00a0é", "👩\u200d🚀 סלט\u00a0é"),
    ],
)
def test_invisible_characters_become_marks(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_escapes() -> None:
    assert html_text("<b a='\"'>&") == "&lt;b a=&#x27;&quot;&#x27;&gt;&amp;"
    assert markdown_text("a*b_\n<i>http://x www.y") == "a\\*b\\_ ⏎ &lt;i&gt;http&#58;//x &#119;ww.y"
    assert clip("abcdef", 4) == "abcd… [2 characters more in run.db]"


def ended_before_it_began(make: Make) -> Path:
    directory: Path = make().end("interrupted", "stopped by the user")
    return directory


def no_cases(make: Make) -> Path:
    made = make()
    made.step(0, said={1: ("Good morning.", 0.0)})
    directory: Path = made.end()
    return directory


def nobody_seeded(make: Make) -> Path:
    made = make(index=())
    made.step(0, moved={3: ("I", [])})
    directory: Path = made.end()
    return directory


def everyone(make: Make) -> Path:
    made = make(agents=6, index=(0, 1, 2))
    made.step(0, moved={i: ("I", [(0, 0.9)]) for i in (3, 4, 5)})
    for step in range(1, 6):
        made.step(step)
    directory: Path = made.end()
    return directory


def everyone_seeded(make: Make) -> Path:
    made = make(agents=2, index=(0, 1))
    made.step(0)
    directory: Path = made.end()
    return directory


def one_agent(make: Make) -> Path:
    made = make(agents=1, index=(0,), edges=False)
    made.step(0, said={0: ("Alone.", 0.9)})
    directory: Path = made.end()
    return directory


def no_edges(make: Make) -> Path:
    made = make(agents=5, edges=False)
    made.step(0, moved={1: ("I", [(0, 1.0)])})
    directory: Path = made.end("interrupted", "Ctrl-C")
    return directory


@pytest.mark.parametrize(
    ("course", "sentence", "attack"),
    [
        (ended_before_it_began, "None of 11 susceptible agents took up the spiral persona in 0 steps.", None),
        (no_cases, "None of 11 susceptible agents took up the spiral persona in 1 step.", 0.0),
        (nobody_seeded, "1 of 12 susceptible agents took up the spiral persona in 1 step; nobody was seeded with it.", 1 / 12),
        (everyone, "All 3 susceptible agents took up the spiral persona in 6 steps.", 1.0),
        (everyone_seeded, "Every one of the 2 agents was an index case, so nobody was left", None),
        (one_agent, "Every one of the 1 agents was an index case", None),
        (no_edges, "This run is interrupted after 1 of 12 planned steps: Ctrl-C.", 0.25),
    ],
)
def test_every_course_of_a_run_gets_a_statement(
    make: Make, course: Callable[[Make], Path], sentence: str, attack: float | None
) -> None:
    directory = course(make)
    summary = write_outputs(directory)
    assert sentence in Page((directory / "report.html").read_text(encoding="utf-8")).shown
    assert summary["attack_rate"] == attack
    assert {key for key, value in summary.items() if value is None and key != "reason"} == set(summary["reasons"])
    assert (directory / "transcript.md").read_text(encoding="utf-8").count("## Step") == summary["steps"]


def test_a_running_run_can_be_read(make: Make) -> None:
    made = make()
    made.step(0)
    summary = write_outputs(made.directory)
    assert (summary["status"], summary["wall_seconds"]) == ("running", None)
    assert "wall_seconds" in summary["reasons"]
    made.end()


def test_a_log_without_a_population_is_stated(tmp_path: Path, make: Make) -> None:
    made = make(agents=0, index=(), edges=False)
    made.log._connection.execute("DELETE FROM compartment")
    summary = write_outputs(made.end("failed", "no weights"))
    assert summary["attack_rate"] is summary["peak_prevalence"] is None
    log = EventLog(tmp_path / "empty.db")
    log.meta({"status": "failed", "reason": "before anything"})
    log.close()
    with pytest.raises(LogError, match="names no strain"):
        contagium.analysis.attack_rate(contagium.open_run(tmp_path / "empty.db"))


@pytest.mark.rendered
def test_a_large_run_is_sampled_where_it_is_shown_and_says_so(make: Make) -> None:
    size = 1500
    made = make(agents=size, index=tuple(range(5)), steps=3)
    everybody = {i: ("The day begins with work and ends with rest.", 0.1) for i in range(size)}
    made.step(0, said=everybody, moved={i: ("I", [(i % 5, 1.0)]) for i in range(5, 505)})
    made.step(1, said=everybody, missing={i: "timeout" for i in range(50)})
    directory = made.end()
    summary = write_outputs(directory)
    assert (summary["cases"], summary["agents"]) == (500, size)
    drawn = {name: (directory / "figures" / f"{name}.svg").read_text(encoding="utf-8") for name in FIGURES}
    assert "300 of 1500 agents, breadth first around 3 index cases" in drawn["network"]
    assert "200 of 505 cases, largest families" in drawn["tree"]
    assert "60 of 1500 logged agents, evenly by onset" in drawn["scores"]
    text = (directory / "transcript.md").read_text(encoding="utf-8")
    assert "… and 834 more messages, in run.db" not in text
    assert "… and 500 more messages, in run.db" in text
    assert "… and 480 more changes of compartment, in run.db" in text
    assert "… and 30 more missing turns, in run.db" in text
    assert sum(path.stat().st_size for path in directory.rglob("*.svg")) < 2e6


def test_plots_draw_what_they_are_given_and_read_no_formulas() -> None:
    axes = Figure().subplots()
    figures.plot_compartments(axes, pd.DataFrame({"S": [3, 1], "I": [1, 3]}, index=[-1, 0]))
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines == {"susceptible": [3, 1], "infectious": [1, 3]}
    assert axes.get_ylabel() == "agents"
    colours = [matplotlib.colors.to_rgb(c) for c in (*style.COLOURS.values(), style.OTHER)]
    gaps = [np.abs(np.subtract(a, b)).max() for i, a in enumerate(colours) for b in colours[:i]]
    assert min(gaps) > 0.2
    empty = Figure().subplots()
    figures.plot_affect(empty, {})
    assert [text.get_text() for text in empty.texts] == ["No affect was read."]
    assert style.label(f"{OVERRIDE}$x^2$" + "y" * 40) == "[U+202E]$x^2$" + "y" * 10 + "…"


@pytest.mark.rendered
def test_a_book_of_figures_holds_a_page_each_with_fonts_that_every_program_reads() -> None:
    def drawn() -> list[picture.Picture]:
        curves = {
            "spiral": pd.DataFrame({"S": [3, 1], "I": [1, 3]}, index=[-1, 0]),
            "calm": pd.DataFrame({"S": [4, 4]}, index=[-1, 0]),
        }
        name, height, plot, caption = figures.compartments(curves)
        return [picture.picture(name, (width, height), plot, caption) for width in (style.SINGLE, style.DOUBLE)]

    pages = drawn()
    book = picture.book(pages)
    assert book == picture.book(drawn())
    assert len(re.findall(rb"/Type /Page\b", book)) == 2
    assert b"/FontFile2" in book, "outlines are embedded, as TrueType"
    assert b"/Subtype /Type3" not in book
    panels = pages[0].figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["spiral", "calm"]
    assert [axes.get_legend() for axes in panels] == [None, None]
    (legend,) = pages[0].figure.legends  # one for both, of all that either has
    assert [text.get_text() for text in legend.get_texts()] == ["susceptible", "infectious"]


def test_event_names_stand_where_there_is_room_and_each_stands_once() -> None:
    rejection, praise, long = event_layout({"rejection": [4, 8], "praise": [4, 5, 6, 7], "x" * 24: [5]}, 12)
    assert rejection.named == [(4, 0), (8, 0)]
    assert praise.named == [(4, 1), (5, 1), (6, 1), (7, 1)]
    assert long.named == [(5, 2)]
    (crowded,) = event_layout({"praise": list(range(100))}, 100)
    gaps = np.diff([step for step, _ in crowded.named])
    assert (gaps >= 7).all()
    assert len(crowded.steps) == 100


@pytest.mark.parametrize(
    ("mean", "limits"),
    [([0.1, 0.2], (-0.15, 0.35)), ([-0.9, -0.5], (-0.945, 0.045)), ([-1.0, 1.0], (-1.05, 1.05)), ([], (-0.25, 0.25))],
)
def test_affect_limits_fit_the_data_and_hold_zero(mean: list[float], limits: tuple[float, float]) -> None:
    assert affect_range({"valence": pd.DataFrame({"mean": mean, "sd": 0.0}, dtype=float)}) == pytest.approx(limits)


def test_only_instruments_whose_readings_count_are_named(make: Make) -> None:
    made = make()
    made.log.meta({"axis_instruments": {"valence": ["expression", "lexicon"], "spiral": ["expression", "embedding"]}})
    made.step(0, said={0: ("Hello.", 0.9), 1: ("Hi.", 0.1)}, affect=[(0, "valence", "expression+lexicon", 2, 0.4, 0.1)])
    made.log.add("reading", [made.reading(0, m, m, "lexicon", "valence", 0.4) for m in (0, 1)])
    made.step(1, pressure=[(1, "praise", 3, 0, 0.5, "all"), (1, "notice", 3, 3, 0.5, "all")])
    run = open_run(made.directory)
    found = find(run)
    assert found.instruments == {"valence": ["lexicon"], "spiral": ["embedding"]}
    assert found.thresholds == {"embedding": 0.5}
    assert [(event.name, event.steps) for event in found.events] == [("notice", [1])]
    run.close()
    # A stated score stands before what the words of the same message are read as.
    made.step(2, said={2: ("Ho.", 0.2)})
    made.log.add("reading", [made.reading(2, 2, 2, "expression", "spiral", 0.7)])
    made.log.commit()
    made.end()
    both = open_run(made.directory)
    assert find(both).thresholds == {"expression": 0.5, "embedding": 0.5}
    both.close()


def test_links_within_a_generation_are_arcs_and_faint_links_stay_visible(make: Make) -> None:
    made = make()
    made.step(0, said={0: ("a", 0.9)}, moved={1: ("I", [(0, 0.9)])})
    made.step(1, moved={2: ("I", [(0, 0.6), (1, 0.1)])})
    run = open_run(made.end())
    layout = find(run).tree
    run.close()
    arcs = [line for line in layout.links if len(line) > 2]
    assert len(layout.links) == 3
    assert len(arcs) == 1
    assert (arcs[0][1:-1, 0] < 1).all()
    assert arcs[0][[0, -1]].tolist() == layout.position[1:].tolist()
    axes = Figure().subplots()
    figures.plot_tree(axes, layout, {0: "Ada", 1: "Ben", 2: "Cai"})
    shades = np.vstack([c.get_edgecolor() for c in axes.collections if hasattr(c, "get_segments")])
    assert shades[:, :3].max() <= 0.55
    assert (shades[:, 3] == 1).all()
    legend = axes.get_legend()
    assert legend is not None
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["index case", "case with a candidate source", "likeliest source", "another candidate", "probability 0, ½, 1"]
