"""Pressure events: when, on whom, how hard, and what is refused."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams

NOBODY = np.empty(0, dtype=np.int64)


def schedule(size: int = 10, seed: int = 1, index: Any = NOBODY, **events: PressureEvent) -> PressureSchedule:
    return PressureSchedule(events, size, np.asarray(index), Streams(seed))


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
        ({}, "give at .* or a rate above 0"),
        ({"rate": 0.0}, "give at .* or a rate above 0"),
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
    ],
)
def test_impossible_events_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PressureEvent(**fields)


@pytest.mark.parametrize("targets", [(10,), (-1,), (3, 12)])
def test_targets_that_do_not_exist_are_named(targets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"pressure.events.bad.targets: agents are 0 to 9, got {targets[-1]}"):
        schedule(bad=PressureEvent(at=(0,), targets=targets))
