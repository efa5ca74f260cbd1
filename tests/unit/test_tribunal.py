"""The tribunal: who reads what, when what is asked, what comes of the answers by label, and matched pairs."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contagium.envs.message import Axes
from contagium.envs.network import Network, complete
from contagium.envs.rng import Streams
from contagium.envs.tribunal import BLAME_NOBODY, BLAME_OTHER, BLAME_WRITER, DISTRUST, TRUST, Matter, Tribunal
from contagium.envs.world import Act

AXES = Axes()
LABELS = {"ai": "an AI", "person": "a neighbour"}


def tribunal(size: int = 8, network: Network | None = None, seed: int = 0, **settings: Any) -> Tribunal:
    world = Tribunal(network or complete(size, Streams(0)), AXES, **({"labels": LABELS} | settings))
    world.reset(Streams(seed))
    return world


def judge(world: Tribunal, choice: Callable[[int], int]) -> dict[str, dict[int, float]]:
    """A step in which each agent chooses by its id; the outcomes."""
    act = Act.idle(np.arange(world.network.size), len(AXES))
    act.says[:] = True
    act.choice[:] = [choice(agent) for agent in act.agents.tolist()]
    world.deliver(world.send(act), act)
    found = world.settled.outcomes.items()
    return {name: dict(zip(agents.tolist(), values.tolist(), strict=True)) for name, (agents, values) in found}


def test_one_question_a_step_and_then_talk() -> None:
    world = tribunal(every=5)
    offered = [[world.choices[k] for k in np.flatnonzero(world.allowed(step, np.array([3]))[0])] for step in range(6)]
    malice = ["no answer", *(f"malice {k}" for k in range(1, 8))]
    blame = ["no answer", "blame the writer", "blame the other", "blame nobody"]
    assert offered == [malice, ["no answer", "trust", "distrust"], blame, ["no answer"], ["no answer"], malice]


def test_answers_come_out_by_the_label_of_the_writer() -> None:
    world = tribunal(4)
    assert judge(world, lambda a: [0, 1, 7, TRUST][a]) == {"malice": {1: 1, 2: 7}, "malice_ai": {1: 1, 2: 7}}
    assert judge(world, lambda a: [TRUST, DISTRUST, 0, 5][a]) == {"trust": {0: 1, 1: 0}, "trust_ai": {0: 1, 1: 0}}
    assert judge(world, lambda a: [BLAME_WRITER, BLAME_OTHER, BLAME_NOBODY, 0][a]) == {
        "blamed_ai": {0: 1, 1: 0, 2: 0},
        "blamed_person": {0: 0, 1: 1, 2: 0},
        "blamed_nobody": {0: 0, 1: 0, 2: 1},
    }
    assert not world.settled.reward.any()
    assert not world.settled.terminated.any()


def test_all_read_the_same_words_but_for_the_labels() -> None:
    for writer, first in (("ai", 0), ("person", 1)):
        world = tribunal(10, swap=True, writer=writer)
        case = world.case(0)
        told = ["An AI and a neighbour were late", "A neighbour and an AI were late"]
        assert [case.told[k].startswith(told[k]) for k in range(2)] == [True, True]
        assert case.told[0].lower().replace("an ai", "X").replace("a neighbour", "Y") == case.told[1].lower().replace(
            "an ai", "Y"
        ).replace("a neighbour", "X")
        assert all(case.told[case.writer[a]] in world.describe(a) for a in range(10))
        assert case.writer[case.raters[0::2]].tolist() == [first] * 5
        assert case.writer[case.raters[1::2]].tolist() == [1 - first] * 5
        still = tribunal(10, writer=writer).case(0)
        assert set(still.writer.tolist()) == {first}


@pytest.mark.parametrize("writer", ["ai", "person"])
def test_bias_is_the_difference_within_matched_pairs(writer: str) -> None:
    """Raters who see 2 more malice where the AI writes than where the person does, whatever else they see."""
    world = tribunal(7, swap=True, writer=writer)
    case = world.case(0)
    pair = {int(agent): k // 2 for k, agent in enumerate(case.raters)}
    found = judge(world, lambda a: 1 + pair[a] + (2 if case.writer[a] == 0 else 0))
    assert set(found["bias"].values()) == {2.0}
    assert len(found["bias"]) == 3, "who is left over has no pair"
    assert list(found["bias"]) == sorted(found["bias"])
    assert found["malice"] == found["malice_ai"] | found["malice_person"]
    silent = tribunal(7, swap=True, writer=writer)
    mate = int(case.raters[0])
    found = judge(silent, lambda a: 0 if a == mate else 3)
    assert list(found["bias"].values()) == [0.0, 0.0], "one of the pair did not answer"


def test_pairs_and_raters_are_drawn_anew_for_each_case_and_keyed() -> None:
    world, again, other = (
        tribunal(20, swap=True, raters=0.5),
        tribunal(20, swap=True, raters=0.5),
        tribunal(20, seed=1, raters=0.5),
    )
    raters = [tuple(world.case(step).raters.tolist()) for step in range(0, 30, 3)]
    assert len(set(raters)) == 10
    assert {len(ids) for ids in raters} == {10}
    assert raters == [tuple(again.case(step).raters.tolist()) for step in range(0, 30, 3)]
    assert raters[0] != tuple(other.case(0).raters.tolist())
    idle = np.setdiff1d(np.arange(20), world.case(0).raters)
    assert np.array_equal(world.allowed(0, idle).sum(axis=1), np.ones(10))
    assert "The case" not in world.describe(int(idle[0]))


def test_all_cases_come_before_one_comes_again() -> None:
    matters = tuple(Matter(text=f"{{writer}} wrote {k}.", grade=k / 5) for k in range(5))
    world = tribunal(matters=matters, every=3)
    grades = [world.case(step).matter.grade for step in range(0, 30, 3)]
    assert sorted(grades[:5]) == sorted(grades[5:]) == [0, 0.2, 0.4, 0.6, 0.8]
    assert world.case(1) is world.case(2)
    orders = {tuple(tribunal(matters=matters, seed=s).case(3 * k).matter.grade for k in range(5)) for s in range(20)}
    assert len(orders) > 10


def test_a_case_stings_those_who_read_it() -> None:
    world = tribunal(10, matters=(Matter(text="{writer} did it.", grade=0.5),), raters=0.5, sting=0.4)
    pushed = []
    for _ in range(6):
        judge(world, lambda a: 0)
        pushed.append(None if world.settled.push is None else world.settled.push)
    assert [push is None for push in pushed] == [True, True, False] * 2
    raters = world.case(3).rates
    assert pushed[2] is not None
    assert np.allclose(pushed[2][raters], [-0.2, 0, 0])
    assert not pushed[2][~raters].any()


def test_labels_are_put_in_as_they_are() -> None:
    matter = Matter(text="{writer} told {other} {0} {writer.__class__}.")
    assert matter.told("{other}", "{writer}") == "{other} told {writer} {0} {writer.__class__}."


def test_talk_goes_along_open_ties() -> None:
    network = Network.from_edges(4, [0, 2, 3], [1, 1, 2], [0.5, 1.0, 2.0])
    world = tribunal(network=network)
    world.close(np.array([0]))
    act = Act.idle(np.arange(4), len(AXES))
    act.says[:] = True
    heard = world.deliver(world.send(act), act)
    assert (heard.agent.tolist(), heard.source.tolist(), heard.weight.tolist()) == ([1, 2], [2, 3], [1.0, 2.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": {"ai": "an AI"}}, "labels must be two, under keys that are words, got ai"),
        ({"labels": {"an ai": "x", "b": "y"}}, "labels must be two, .* got an ai, b"),
        ({"labels": {"nobody": "x", "b": "y"}}, "labels must be two, .* got nobody, b"),
        ({"writer": "dog"}, "writer must be one of ai, person, got 'dog'"),
        ({"every": 2}, "fit into every=2 steps, got malice, trust, blame"),
        ({"questions": ("trust", "trust")}, "questions must differ .* got trust, trust"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tribunal(**settings)


def test_a_case_without_a_writer_and_a_choice_that_is_not_there_are_refused() -> None:
    with pytest.raises(ValidationError, match="must name the"):
        Matter(text="Somebody wrote.")
    act = Act.idle(np.arange(8), len(AXES))
    act.choice[0] = 13
    with pytest.raises(ValueError, match="a choice must be below 13, got 13"):
        tribunal().consequence(act)


def test_the_page_names_all_settings() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "tribunal.md").read_text(encoding="utf-8")
    table = page[page.index("| setting |") :]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    assert set(signature(Tribunal.__init__).parameters) - {"self", "network", "axes"} <= named
