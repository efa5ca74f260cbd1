"""The reliability report of runs whose readings are made, so that it is known what must be found."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.envs.rng import Streams
from contagium.sim.analysis.report.reliability import main, reliability_section
from contagium.sim.laboratory import prepare
from contagium.sim.log import LogError, Run, open_run
from contagium.sim.observer.reactivity import across, compare, differing_keys, reactivity
from contagium.sim.observer.reliability import Pair, Reliability, reliability, smallest_seen
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

Make = Callable[..., Any]
AGENTS, STEPS = 10, 12
THRESHOLDS = {"embedding": {"enter": 0.5}, "words": {"enter": 0.4}}


def row(
    step: int, message: int, instrument: str, values: dict[str, float | None], channel: str = "message", reason: str = ""
) -> Any:
    """A reading of what agent `message` % AGENTS said; failed where a reason is given."""
    agent = message % AGENTS
    subject = message if channel == "message" else agent
    scores = {name: None if reason else value for name, value in values.items()}
    return (step, channel, subject, agent, instrument, "failed" if reason else "ok", reason or None, json.dumps(scores))


def readings(step: int, draw: np.random.Generator) -> Iterator[Any]:
    """What was read in a step of a run in which everybody speaks.

    lexicon and tone: valence, tone 0.05 a step too high. embedding and words: the strain. Panel: judge.a is apart from judge.b,
    who judges twice; judge.a fails every fourth time. judge reads again what was said two steps ago, 0.1 a step too high.
    """
    for agent in range(AGENTS):
        message = step * AGENTS + agent
        felt, strain = draw.uniform(-0.5, 0.5), draw.uniform()
        yield row(step, message, "lexicon", {"valence": felt, "arousal": 0.1})
        yield row(step, message, "tone", {"valence": felt + 0.05 * step + draw.normal(0, 0.05), "tone.part": 1.0})
        yield row(step, message, "words", {"spiral": 0.8 * strain})
        yield row(step, message, "self_report", {"valence": felt}, "report")
        yield row(step, message, "gap", {"valence": 0.0}, "gap")
        truth = draw.integers(2, 8)
        b = float(np.clip(truth + draw.integers(-2, 3), 0, 10))
        yield row(step, message, "judge.a", {"distress": float(truth)}, reason="no JSON" if message % 4 == 0 else "")
        yield row(step, message, "judge.b.1", {"distress": b})
        yield row(step, message, "judge.b.2", {"distress": b + (agent == 3)})
        yield row(step, message, "judge", {"distress": float(truth)})
        if step > 1:
            again = 0.1 * step + draw.normal(0, 0.1)
            yield row(step, message - 2 * AGENTS, "judge.retest", {"distress": STATED[message - 2 * AGENTS] + again})
        STATED[message] = float(truth)


STATED: dict[int, float] = {}


@pytest.fixture(scope="module")
def whole(made_log: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run in which everything there is to report happened."""
    made = made_log(tmp_path_factory.mktemp("reliability") / "run", agents=AGENTS, steps=STEPS)
    draw = Streams(1).generator("readings")
    for step in range(STEPS):
        said: dict[int, tuple[str, float | None]] = {
            agent: (f"line {step % 6} of {agent}", draw.uniform()) for agent in range(AGENTS)
        }
        made.step(step, said, reading=list(readings(step, draw)))
    persona = {"name": "spiral", "examples": [], "detection": THRESHOLDS}
    made.log.meta({"scenario": {"persona": persona}})
    opened = open_run(made.end())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(whole: Run) -> Reliability:
    return reliability(whole)


def pair(found: Reliability, *raters: str) -> Pair:
    return next(pair for pair in found.pairs if set(pair.raters) == set(raters))


def test_instruments_are_compared_on_what_both_read(found: Reliability) -> None:
    """Each by each on an axis that both measure; never a single judge, a re-reading or a gap, nor the parts of a measure."""
    named = {(one.axis, *sorted(one.raters)) for one in found.pairs}
    said, asked = ("valence", "lexicon", "tone"), "self_report (report)"
    assert named == {("spiral", "embedding", "words"), said, ("valence", "lexicon", asked), ("valence", asked, "tone")}
    same = pair(found, "lexicon", "self_report (report)")
    assert (same.rank.value, same.alpha.value, same.rank.n, same.rank.clusters) == (1, 1, AGENTS * STEPS, AGENTS)
    assert same.called == "9 points"


def test_a_ruler_that_drifts_apart_is_seen(found: Reliability) -> None:
    drift = pair(found, "lexicon", "tone").drift
    assert drift.low < -0.05 < drift.high < 0
    none = pair(found, "embedding", "words").drift
    assert none.low < 0 < none.high
    assert 0 < smallest_seen(none) < 0.05


def test_strain_readings_are_compared_as_they_are_called(found: Reliability) -> None:
    """Draws that have nothing to do with each other agree by chance only."""
    strain = pair(found, "embedding", "words")
    assert strain.called == "called or not"
    for number in (strain.rank, strain.alpha, strain.kappa):
        assert number.low < 0 < number.high


def test_judges_and_repeats(found: Reliability) -> None:
    whole, repeated = found.panels
    assert whole.judges == ("judge.a", "judge.b.1", "judge.b.2")
    assert repeated.judges == ("judge.b.1", "judge.b.2")
    assert repeated.single.value > 0.95 > whole.single.value
    assert whole.single.value < whole.mean.value
    assert 1 < whole.effective.low < whole.effective.value < 2
    # Where judge.a failed, the others still count for alpha, but a gap has no ICC.
    assert (whole.alpha.n, whole.single.n) == (AGENTS * STEPS, AGENTS * STEPS * 3 // 4)
    assert repeated.kappa.value > 0.95


def test_reading_again_shows_the_drift_of_a_judge(found: Reliability) -> None:
    (again,) = found.reread
    assert (again.instrument, again.axis, again.icc.n) == ("judge", "distress", AGENTS * (STEPS - 2))
    assert again.drift.low < 0.1 < again.drift.high
    assert again.drift.low > 0.05
    assert again.change.low < 0.1 * np.mean(range(2, STEPS)) < again.change.high


def test_the_same_words_twice(found: Reliability) -> None:
    """Each line was said again six steps later; what drifts reads it otherwise, arousal is in the same reading as valence."""
    by_name = {one.instrument: one.same for one in found.twice}
    assert all(same.n == AGENTS * STEPS // 2 for name, same in by_name.items() if name != "judge.a")
    assert by_name["tone"].value == 0
    assert 0 < by_name["judge"].value < 0.5
    assert "judge.retest" not in by_name


def test_failures_are_counted_with_their_reasons(found: Reliability) -> None:
    judge = next(one for one in found.failed if one.instrument == "judge.a")
    assert (judge.share.value, judge.share.n, judge.reasons) == (0.25, AGENTS * STEPS, (("no JSON", AGENTS * STEPS // 4),))
    assert {one.channel for one in found.failed} == {"message", "report", "gap"}
    assert all(one.share.value == 0 < one.share.high for one in found.failed if one.instrument != "judge.a")


def test_parts_are_compared_on_demand(make: Make) -> None:
    made = make(agents=AGENTS)
    both = [row(0, agent, name, {"tone.part": agent / 10}) for agent in range(AGENTS) for name in ("one", "two")]
    made.step(0, {agent: ("hm", 0.1) for agent in range(AGENTS)}, reading=both)
    run = open_run(made.end())
    assert reliability(run).pairs == ()
    assert [one.axis for one in reliability(run, parts=True).pairs] == ["tone.part"]


def test_without_a_threshold_only_the_order_is_compared(make: Make) -> None:
    made = make(agents=AGENTS)
    for step in range(3):
        more = [row(step, step * AGENTS + agent, "words", {"spiral": agent / 10}) for agent in range(AGENTS)]
        made.step(step, {agent: ("hm", agent / 20) for agent in range(AGENTS)}, reading=more)
    (only,) = reliability(open_run(made.end())).pairs
    assert only.rank.value == pytest.approx(1)
    assert only.kappa.reason == only.alpha.reason == "no threshold of embedding and words"


def test_few_agents_and_one_instrument_have_nothing_to_say(make: Make) -> None:
    made = make(agents=3)
    for step in range(8):
        more = [row(step, step * AGENTS + agent, "words", {"spiral": 0.1}) for agent in range(3)]
        made.step(step, {agent: (None, 0.5) for agent in range(3)}, reading=more)
    found = reliability(open_run(made.end()))
    assert found.pairs == () or found.pairs[0].rank.reason.startswith("too few to say")
    assert [note for note in found.notes if "judged more than once" in note]


def test_a_run_without_a_step_says_so(make: Make) -> None:
    run = open_run(make(agents=3).end("failed", "gone"))
    assert reliability(run).notes == ("Nothing was read, so there is nothing to compare.",)
    assert reliability_section(run) == '<p class="soft">Nothing was read, so there is nothing to compare.</p>'


def test_the_section_shows_every_table_and_escapes_all(whole: Run, make: Make) -> None:
    section = reliability_section(whole)
    assert section.count("<table>") == 5
    assert re.search(
        r"<td>judge.a</td><td>message</td><td>120</td><td>25.0% \(18.1% to 33.4%\)</td><td>30 × no JSON</td>", section
    )
    made = make(agents=2)
    made.step(0, {}, reading=[row(0, 0, "<script>", {"valence": 0}, reason="</td><script>alert(1)")])
    hostile = reliability_section(open_run(made.end()))
    assert "<script>" not in hostile
    assert html.escape("</td><script>alert(1)") in hostile


def spoken(directory: Path, **asking: Any) -> Path:
    """A real run of parrots; asking: keys of its observer."""
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", ["observer=lexicon", "backend=parrot", "steps=6"])
    whole: Any = OmegaConf.to_container(config, resolve=True)
    whole["observer"] |= asking
    if asking:
        whole["observer"]["instruments"]["again"] = whole["observer"]["instruments"]["lexicon"]
    asyncio.run(run(prepare(make_scenario(whole), directory), "test", lambda progress: None, lambda: None))
    return directory


def test_twins_of_a_real_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asking a parrot how it feels changes nothing."""
    asked, twin = spoken(tmp_path / "asked", report_every=2), spoken(tmp_path / "twin")
    assert main([str(asked), "--twin", str(twin), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reactivity"]["differs"] == ["observer.instruments.again", "observer.report_every"]
    assert told["reactivity"]["first"] == [None]
    assert told["reactivity"]["effects"]["spiral: attack rate"]["value"] == 0
    same = next(one for one in told["runs"][str(asked)]["pairs"] if one["raters"] == ["lexicon", "again"])
    assert (same["rank"]["value"], same["alpha"]["value"]) == (pytest.approx(1), 1)
    assert main([str(asked), "--twin", str(twin)]) == 0
    shown = capsys.readouterr().out
    assert "Everybody said the same" in shown
    assert main([str(asked), "--twin", str(asked)]) == 2
    assert "in both, agents are asked the same" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("contagium: no run at ")


def twins(make_one: Any, tmp_path: Path, name: str, asked: bool, cases: int) -> Run:
    """Everybody speaks for six steps; if asked, odd agents say something else from step 3 on, and `cases` fall ill."""
    made = make_one(tmp_path / name, agents=AGENTS, steps=6)
    for step in range(6):
        moved = {agent: ("I", []) for agent in range(1, 1 + cases)} if step == 4 else {}
        said = {a: (f"{step} {a} {'hm' if asked and step > 2 and a % 2 else ''}", 0.1) for a in range(AGENTS)}
        made.step(step, said, moved=moved)
    made.log.meta({"scenario": {"observer": {"interviews": {"wish": {"every": 1}} if asked else {}}}})
    return open_run(made.end())


def test_asking_that_changes_what_follows_is_seen(made_log: Any, tmp_path: Path) -> None:
    asked, twin = twins(made_log, tmp_path, "asked", True, 4), twins(made_log, tmp_path, "twin", False, 0)
    one = compare(asked, twin)
    assert (one.first, one.differs) == (3, ("observer.interviews.wish",))
    found = reactivity([asked], [twin])
    assert found.reactive
    assert found.differing.value == pytest.approx(0.25)
    assert found.differing.low < 0.25 < found.differing.high
    attack = found.effects["spiral: attack rate"]
    assert (attack.value, attack.n) == (pytest.approx(4 / 9), AGENTS - 1)
    assert 0 < attack.low < 4 / 9 < attack.high < 1
    asked.meta["scenario"]["seed"] = 8
    with pytest.raises(LogError, match=r"they differ in seed$"):
        compare(asked, twin)
    with pytest.raises(LogError, match="each run needs one twin, got 1 runs and 0 twins"):
        reactivity([asked], [])


def test_several_pairs_are_replicates() -> None:
    found = across([0.1, 0.2, 0.3])
    assert (found.value, found.low, found.high) == pytest.approx((0.2, -0.0484, 0.4484), abs=1e-4)
    assert across([0.1, 0.2]).reason == "too few to say: 2 pairs of runs"


def test_differing_keys_are_told_by_their_path() -> None:
    one = {"a": {"b": 1, "c": [1]}, "d": None}
    assert sorted(differing_keys(one, {"a": {"b": 2, "c": [1]}, "e": 3, "d": None})) == ["a.b", "e"]


def test_all_of_it_is_plain_json(found: Reliability) -> None:
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["panels"][0]["axis"] == "distress"
