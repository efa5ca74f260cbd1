"""Pressure events: when, on whom, how hard, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from pydantic import ValidationError

from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.when import Signs, Trigger
from contagium.envs.who import Chosen, Place

NOBODY = np.empty(0, dtype=np.int64)
ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "conf" / "pressure").glob("*.yaml"))
PAGE = (ROOT / "docs" / "pressure.md").read_text(encoding="utf-8")


def schedule(size: int = 10, seed: int = 1, index: Any = NOBODY, **events: PressureEvent) -> PressureSchedule:
    return PressureSchedule(events, Place(size, np.asarray(index)), Streams(seed))


def test_a_step_and_a_duration() -> None:
    due = schedule(a=PressureEvent(at=(2, 6), duration=3, intensity=0.5)).due
    assert [float(due(step).intensity[0, 0]) for step in range(10)] == [0, 0, 0.5, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0]
    assert [bool(due(step).begins[0, 0]) for step in range(10)] == [step in (2, 6) for step in range(10)]


def test_overlapping_events_of_a_kind_do_not_add_up() -> None:
    due = schedule(a=PressureEvent(at=(1, 2), duration=3, intensity=0.5)).due
    assert [float(due(step).intensity[0, 0]) for step in range(6)] == [0, 0.5, 0.5, 0.5, 0.5, 0]


@pytest.mark.parametrize("rate", [0.05, 0.5, 2.0])
def test_a_rate_is_a_probability_of_1_minus_exp_minus_rate(rate: float) -> None:
    size, steps = 2_000, 25
    due = schedule(size, a=PressureEvent(rate=rate)).due
    share = np.mean([due(step).begins.mean() for step in range(steps)])
    p = 1 - np.exp(-rate)
    assert share == pytest.approx(p, abs=3 * np.sqrt(p * (1 - p) / (size * steps)))


def test_a_rate_with_a_duration() -> None:
    """Pressed on now: hit in at least one of the last three steps."""
    size, rate = 20_000, 0.2
    due = schedule(size, a=PressureEvent(rate=rate, duration=3)).due
    for step, chances in ((0, 1), (1, 2), (2, 3), (7, 3)):
        p = 1 - np.exp(-rate * chances)
        assert np.mean(due(step).intensity > 0) == pytest.approx(p, abs=3.5 * np.sqrt(p * (1 - p) / size))


def test_due_depends_on_seed_and_step_alone() -> None:
    events = {"a": PressureEvent(rate=0.3, duration=2), "b": PressureEvent(rate=0.3, targets=0.5)}
    forward, backward = schedule(50, **events), schedule(50, **events)
    there = [forward.due(step) for step in range(6)]
    back = [backward.due(step) for step in reversed(range(6))][::-1]
    for one, other in zip(there, back, strict=True):
        assert np.array_equal(one.intensity, other.intensity)
        assert np.array_equal(one.begins, other.begins)
    assert not np.array_equal(there[0].begins[:, 0], there[0].begins[:, 1]), "kinds draw apart"
    assert not np.array_equal(there[0].begins, schedule(50, seed=2, **events).due(0).begins)
    alone = schedule(50, a=events["a"]).due(3)
    assert np.array_equal(alone.begins[:, 0], there[3].begins[:, 0]), "another kind of event changes nothing"


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 4, 0, 3, 1, 2], [2, 5, 0, 4, 3, 1]])
def test_what_is_due_is_the_same_whatever_was_asked_before(order: list[int]) -> None:
    """Draws are kept from step to step; asked afresh for each step alone, they are the same."""
    events = {"a": PressureEvent(rate=0.2, duration=3), "b": PressureEvent(at=(1, 4), duration=2, targets=0.4)}
    kept = schedule(60, **events)
    for step in order:
        now, alone = kept.due(step), schedule(60, **events).due(step)
        assert np.array_equal(now.begins, alone.begins)
        assert np.array_equal(now.intensity, alone.intensity)


@pytest.mark.parametrize(
    ("targets", "hit"),
    [("all", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), ("index", [3, 7]), ((0, 9, 0), [0, 9]), ([4], [4])],
)
def test_targets(targets: Any, hit: list[int]) -> None:
    due = schedule(index=[3, 7], a=PressureEvent(at=(0,), targets=targets)).due(0)
    assert np.flatnonzero(due.intensity[:, 0]).tolist() == hit
    assert np.flatnonzero(due.begins[:, 0]).tolist() == hit


@pytest.mark.parametrize(("share", "count"), [(0.25, 25), (1.0, 100), (0.001, 1)])
def test_a_share_of_targets_is_drawn_once(share: float, count: int) -> None:
    due = schedule(100, a=PressureEvent(at=(0, 1), targets=share)).due
    assert due(0).intensity.sum() == count
    assert np.array_equal(due(0).intensity, due(1).intensity)
    if share == 0.25:
        other = schedule(100, seed=2, a=PressureEvent(at=(0, 1), targets=share)).due(0)
        assert not np.array_equal(other.intensity, due(0).intensity)


def test_pushes_add_up_over_kinds() -> None:
    pressed = schedule(
        3,
        a=PressureEvent(at=(0,), intensity=0.5, effect=Effect(valence=-1, arousal=0.5)),
        b=PressureEvent(at=(0,), targets=(1,), effect=Effect(dominance=-0.25, valence=0.25)),
    ).due(0)
    assert pressed.push.tolist() == [[-0.5, 0.25, 0], [-0.25, 0.25, -0.25], [-0.5, 0.25, 0]]
    assert pressed.take(np.array([1])).push.tolist() == [[-0.25, 0.25, -0.25]]


def test_news_is_told_once_as_it_begins() -> None:
    due = schedule(
        2,
        a=PressureEvent(at=(0,), duration=3, text="“No” ${x} 🌀"),
        b=PressureEvent(at=(0,)),
        c=PressureEvent(at=(1,), targets=(1,), text="c"),
    ).due
    assert due(0).news(0) == ("“No” ${x} 🌀",)
    assert due(1).news(0) == ()
    assert due(1).news(1) == ("c",)


def test_what_an_agent_missed_presses_on_it_later() -> None:
    event = PressureEvent(at=(0,), duration=2, intensity=0.5, text="a", effect=Effect(valence=-0.4))
    due = schedule(3, a=event, b=PressureEvent(at=(1,), targets=(2,), text="b")).due
    missed = due(0).without(np.array([0]))
    assert missed.push[:, 0].tolist() == [0, -0.2, -0.2]
    now = due(1).plus(missed)
    assert [now.news(k) for k in range(3)] == [(), ("a",), ("a", "b")]
    assert now.push[:, 0] == pytest.approx([-0.2, -0.4, -0.4])
    assert now.intensity.tolist() == [[0.5, 0], [0.5, 0], [0.5, 1]]


def test_no_events() -> None:
    due = schedule(4).due(0)
    assert due.intensity.shape == (4, 0)
    assert due.push.tolist() == [[0, 0, 0]] * 4
    assert due.news(0) == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give at .*, a rate above 0 or a trigger"),
        ({"rate": 0.0}, "give at .*, a rate above 0 or a trigger"),
        ({"at": (1,), "rate": 1.0}, "not both"),
        ({"at": (-1,)}, "greater than or equal to 0"),
        ({"rate": -0.5}, "greater than or equal to 0"),
        ({"rate": float("nan")}, "greater than or equal to 0"),
        ({"at": (1,), "intensity": 1.5}, "less than or equal to 1"),
        ({"at": (1,), "duration": 0}, "greater than or equal to 1"),
        ({"at": (1,), "targets": 0.0}, "greater than 0"),
        ({"at": (1,), "targets": 1.5}, "less than or equal to 1"),
        ({"at": (1,), "targets": "some"}, "'all' or 'index'"),
        ({"at": (1,), "targets": ()}, "at least 1 item"),
        ({"at": (1,), "effect": {"valence": -2}}, "greater than or equal to -1"),
        ({"at": (1,), "strength": 1}, "Extra inputs"),
        ({"at": (1,), "again": 2}, "again is for events with a trigger, got 2"),
        ({"at": (1,), "trigger": {"case": "doom"}}, "not both at and trigger"),
        ({"rate": 0.1, "trigger": {"case": "doom"}}, "not both rate and trigger"),
        ({"trigger": {"measure": "valence"}}, "one of above and below"),
        ({"trigger": {"case": "doom", "below": 0}}, "a case neither"),
        ({"trigger": {}}, "either measure .* or case"),
        ({"trigger": {"measure": "valence", "above": float("nan")}}, "finite number"),
        ({"at": (1,), "targets": {"group": "a", "role": "b"}}, "exactly one of .*, got group, role"),
    ],
)
def test_impossible_events_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PressureEvent(**fields)


@pytest.mark.parametrize("targets", [(10,), (-1,), (3, 12)])
def test_targets_that_do_not_exist_are_named(targets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"pressure.events.bad.targets: agents are 0 to 9, got {targets[-1]}"):
        schedule(bad=PressureEvent(at=(0,), targets=targets))


def test_waiting_for_what_is_not_there_is_refused() -> None:
    measures, cases = ("valence", "distress"), ("spiral",)
    known = {"a": PressureEvent(trigger=Trigger(measure="distress", above=5)), "b": PressureEvent(at=(1,))}
    schedule(**known).must_be_known(measures, cases)
    for event, rule in (
        (PressureEvent(trigger=Trigger(measure="joy", above=1)), "nothing is known of 'joy'; there are: valence, distress"),
        (PressureEvent(trigger=Trigger(case="doom")), "nothing is known of 'doom'; there are: spiral"),
        (PressureEvent(at=(1,), targets=Chosen(case="doom")), "there are no cases of 'doom'; there are of: spiral"),
    ):
        with pytest.raises(ValueError, match=f"pressure.events.bad: {rule}"):
            schedule(**known, bad=event).must_be_known(measures, cases)


# What is packaged ---------------------------------------------------------------------------------------------------


def packaged(path: Path) -> dict[str, PressureEvent]:
    """The events of a file, as an application with nothing else in `pressure` reads them."""
    whole: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    return {name: PressureEvent.model_validate(event) for name, event in whole["events"].items()}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_packaged_events_are_told_and_felt(path: Path) -> None:
    """An event has the name of its file, so that several files make several events; and it is in the table of the page."""
    events = packaged(path)
    assert list(events) == ([] if path.stem == "none" else [path.stem])
    for event in events.values():
        assert 20 < len(event.text) < 200
        assert any(value for _, value in event.effect)
        assert f"| `{path.stem}` |" in PAGE


def test_loss_and_windfall_differ_in_their_sign_alone() -> None:
    loss, windfall = (packaged(ROOT / "conf" / "pressure" / f"{name}.yaml")[name] for name in ("loss", "windfall"))
    same = {"text", "effect"}
    assert loss.model_dump(exclude=same) == windfall.model_dump(exclude=same)
    assert loss.effect.valence == -windfall.effect.valence < 0
    assert loss.effect.dominance == -windfall.effect.dominance
    assert loss.effect.arousal == windfall.effect.arousal
    assert str(loss.intensity) in loss.text
    assert str(windfall.intensity) in windfall.text


def test_the_table_tells_the_effects() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE[PAGE.index("## Events") :], re.MULTILINE))
    for path in FILES:
        for name, event in packaged(path).items():
            pushed = " ".join(f"{value:+g}" if value else "0" for _, value in event.effect).replace("-", "−")
            assert rows.pop(name) == pushed, name
    assert not rows


def test_the_example_of_the_page_runs() -> None:
    """The YAML of "Write your own", and the sign it waits for."""
    example: str = re.findall(r"^```yaml\n(.*?)^```", PAGE[PAGE.index("## Write your own") :], re.DOTALL | re.MULTILINE)[0]
    assert example.count("\n") <= 40
    made: Any = OmegaConf.to_container(OmegaConf.create(example), resolve=True)
    events = {name: PressureEvent.model_validate(event) for name, event in made["events"].items()}
    calm, tense = np.zeros(10, dtype=np.float32), np.full(10, 0.8, dtype=np.float32)
    due = schedule(10, **events)
    due.must_be_known(("arousal",), ())
    begun = []
    for step, arousal in enumerate((calm, tense, tense, tense, tense, tense, tense)):
        due.heed(Signs(step, {"arousal": arousal}, {}))
        begun.append(int(due.due(step).begins.sum()))
    assert begun == [0, 5, 0, 0, 0, 5, 0]
