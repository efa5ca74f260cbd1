"""report.html in a browser: it runs without an error or a request, follows slider and keyboard, and hostile text does nothing."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contagium.sim.analysis.findings import find
from contagium.sim.analysis.report.page import VIEWER, report, shell
from contagium.sim.analysis.report.sections import Curve, Line, Section
from contagium.sim.analysis.report.viewer import viewer_data
from contagium.sim.analysis.summary import summarise
from contagium.sim.log import EventLog, open_run

ROOT = Path(__file__).resolve().parents[2]
DRIVER = runpy.run_path(str(ROOT / "benchmarks" / "report_page.py"))

pytestmark = pytest.mark.skipif(DRIVER["chromium"]() is None, reason="needs Chromium")

HOSTILE = (
    "</script><img src=x onerror=\"window.owned='img'\">",
    "<script>window.owned='script'</script>",
    "${window.owned='template'}{{constructor.constructor('window.owned=1')()}}",
    "\u202egnihton\u2066 ]]><!--",
    "javascript:window.owned='link'",
    "</bdi></option></select><svg onload=\"window.owned='svg'\">",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with DRIVER["Browser"]() as one:
        yield one


def scene(directory: Path, agents: int, steps: int, names: tuple[str, ...], words: Callable[[int, int], str | None]) -> Path:
    """A log: a ring of agents, agent 0 seeded; agent k is a case from step k of `steps` on, heard from the one before."""
    log = EventLog(directory / "run.db")
    detection = {"instrument": "expression", "enter": 0.5, "stay": 0.5}
    facts = {
        "scenario": {"yaml": names[0]},
        "name": names[-1],
        "seed": 1,
        "steps": steps,
        "axes": ["spiral"],
        "strains": ["spiral"],
    }
    facts |= {"axis_instruments": {"spiral": ["expression"]}, "detection": {"spiral": detection}, "status": "finished"}
    facts |= {"versions": {names[1]: names[2]}, "command": names[0], "started": "now", "choices": []}
    log.meta(facts)
    log.add("agent", [(a, names[a % len(names)], "talk", "spiral" if a == 0 else None, 1.0, 1.0, 1) for a in range(agents)])
    log.add("edge", [(a, (a + gap) % agents, 1.0) for a in range(agents) for gap in (1, 2)])
    for step in range(steps):
        cases = min(agents, 1 + (step + 1) * agents // steps)
        before = min(agents, 1 + step * agents // steps)
        for a in range(before, cases):
            log.add("transition", [(a, step, step, a, "spiral", "case", "S", "I")])
            log.add("cause", [(a, max(0, step - 1) * agents + a - 1, a - 1, step - 1, 0.9, 0.8)] if a - 1 < before else [])
        log.add("compartment", [(step, "spiral", "case", "S", agents - cases), (step, "spiral", "case", "I", cases)])
        speakers = range(min(agents, 40))
        ids = [step * agents + a for a in speakers]
        log.add("message", [(i, step, a, "board", i, None, 0, words(a, step)) for a, i in zip(speakers, ids, strict=True)])
        scores = [f'{{"spiral": {0.9 if a < cases else 0.1}}}' for a in speakers]
        log.add(
            "reading",
            [(step, "message", i, a, "expression", "ok", None, s) for a, i, s in zip(speakers, ids, scores, strict=True)],
        )
        log.add("exposure", [(step, i, (a + 1) % agents, a, 1.0) for a, i in zip(speakers, ids, strict=True)])
        log.add("step", [(step, len(ids), len(ids), 0, 0, 0.1)])
        log.commit()
    log.close()
    return directory


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole report of six agents over six steps whose every name and word is hostile, with a section of another room."""
    directory = scene(tmp_path_factory.mktemp("hostile"), 6, 6, HOSTILE, lambda a, step: f"{step}: {HOSTILE[(a + step) % 6]}")
    run = open_run(directory)
    found = find(run)
    curve = Curve(HOSTILE[0], HOSTILE[1], "x", (0, 1, 2), (Line(HOSTILE[5], (1.0, 2.0, 1.5), (0.5, 1.0, 1.0), (2.0, 3.0, 2.0)),))
    section = Section("Pace", notes=(HOSTILE[2],), curves=(curve,))
    page = report(run, found, summarise(run, found), [], [section], {("spiral", 0, 1): HOSTILE[1]})
    run.close()
    (directory / "report.html").write_text(page, encoding="utf-8")
    return directory / "report.html"


def quiet(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """What a page did that it must not: errors, refused scripts, requests."""
    told = [
        str(given)
        for method, given in events
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    ]
    asked = [str(given["request"]["url"]) for method, given in events if method == "Network.requestWillBeSent"]
    return told + [url for url in asked if not url.startswith(("data:", "file:"))]


def test_a_page_full_of_hostile_text_shows_it_and_is_used_by_keyboard_alone(browser: Any, hostile: Path) -> None:
    browser.events.clear()
    browser.open(hostile)
    count = "document.querySelector('[data-compartment=I] b').textContent"
    # The slider starts at the peak; Home goes to the seeding and arrows move step by step.
    browser.run("document.getElementById('step').focus()")
    browser.press("Home")
    assert browser.run("document.querySelector('.now').textContent") == "after seeding"
    counts = []
    for _ in range(4):
        browser.press("ArrowRight")
        counts.append(int(browser.run(count)))
    assert counts == [2, 3, 4, 5]
    # In the network arrows move the selection, Enter reads about it: the case, its evidence, what it said and heard.
    browser.run("document.getElementById('network').focus()")
    browser.press("Escape")
    browser.press("ArrowDown")
    title = "document.querySelector('#agent h3').textContent"
    assert browser.run(title) == HOSTILE[0]
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    assert browser.run(title) in HOSTILE[1:]
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "agent"
    browser.run("document.getElementById('tree').focus()")
    for key in ("ArrowUp",) * 6 + ("ArrowDown",):
        browser.press(key)
    panel = browser.run("document.getElementById('agent').textContent")
    assert "Why it was called a case" in panel
    assert f"3: {HOSTILE[3]}".replace("\u202e", "[U+202E]").replace("\u2066", "[U+2066]") in browser.run(
        "document.body.textContent"
    )
    browser.press("ArrowLeft")
    assert browser.run(title) == HOSTILE[0]
    # Nothing acted: no marker, no element from a text, no error, no request.
    assert browser.run("typeof window.owned") == "undefined"
    assert browser.run("document.querySelectorAll('img, iframe, script').length") == 2
    assert browser.run("document.querySelector('svg:not(.sign)')") is None
    assert quiet(browser.events) == []
    assert (
        browser.run("[...document.querySelectorAll('canvas, input, select, button')].filter((e) => e.tabIndex < 0).length") == 0
    )


def test_a_page_is_readable_at_a_phones_width_and_in_print(browser: Any, hostile: Path) -> None:
    browser.open(hostile)
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
    assert browser.run("document.documentElement.scrollWidth") <= 400
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.getElementById('viewer')).display") == "none"
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((part) => part.open)")
    browser.call("Emulation.setEmulatedMedia", media="")


def test_two_thousand_agents_and_two_hundred_steps_open_and_slide_quickly(browser: Any, tmp_path: Path) -> None:
    """In time of the page's own thread, which other work on the machine does not stretch as it does the clock's."""
    run = open_run(scene(tmp_path, 2000, 200, ("Ada", "Ben", "Cai"), lambda a, step: None))
    data = viewer_data(run, find(run))
    run.close()
    assert (data["drawn"], len(data["strains"][0]["moves"]["step"])) == (2000, 1999)
    page = tmp_path / "report.html"
    page.write_text(shell("large", VIEWER, data), encoding="utf-8")
    browser.events.clear()
    browser.call("Performance.enable")

    def spent() -> float:
        told = browser.call("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in told if one["name"] == "ThreadTime"))

    browser.open(page)
    assert spent() < 2
    before = spent()
    moves = browser.run(DRIVER["SLIDE"])
    assert (spent() - before) / len(moves) < 0.1
    assert quiet(browser.events) == []
    assert page.stat().st_size < 15e6
