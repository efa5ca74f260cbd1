"""Whom something is for: every way to choose agents, and what is said where it chooses nobody."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from contagium.envs.network import star, stochastic_block
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.who import Chosen, Place, Who, must_be_known, now, who_mask

SIZE, CHOICE = 12, TypeAdapter(Who)
PLACE = Place(
    size=SIZE,
    index=np.array([3, 7]),
    network=star(SIZE, Streams(1)),
    group=np.arange(SIZE) // 6,
    groups=("old", "new"),
    role=np.arange(SIZE) % 2,
    roles=("assistant", "person"),
)


def chosen(given: Any, place: Place = PLACE, stream: str = "who", seed: int = 1) -> list[int]:
    return np.flatnonzero(who_mask(CHOICE.validate_python(given), place, Streams(seed), stream)).tolist()


@pytest.mark.parametrize(
    ("given", "agents"),
    [
        ("all", list(range(SIZE))),
        ("index", [3, 7]),
        ([5, 2, 5], [2, 5]),
        (1, list(range(SIZE))),
        ({"ids": [5, 2]}, [2, 5]),
        ({"group": "new"}, [6, 7, 8, 9, 10, 11]),
        ({"role": "person"}, [1, 3, 5, 7, 9, 11]),
        ({"degree": 0.01}, [0]),
        ({"case": "doom"}, list(range(SIZE))),
    ],
)
def test_agents_by_a_mark(given: Any, agents: list[int]) -> None:
    assert chosen(given) == agents


def test_among_those_with_as_many_hearers_the_lot_decides() -> None:
    given = {"degree": 0.25}
    drawn = [chosen(given, seed=seed) for seed in range(8)]
    assert all(len(agents) == 3 and agents[0] == 0 for agents in drawn), "the hub of the star, and two of its leaves"
    assert len(set(map(tuple, drawn))) > 4
    assert chosen(given) == chosen(given)


@pytest.mark.parametrize("given", [0.25, {"share": 0.25}])
def test_a_share_is_drawn_by_seed_and_stream(given: Any) -> None:
    some = chosen(given)
    assert len(some) == 3
    assert some == chosen(given)
    assert some != chosen(given, seed=2)
    assert some != chosen(given, stream="other")


def test_communities_are_the_blocks_of_a_network_of_blocks() -> None:
    network = stochastic_block(40, Streams(3), blocks=2, inside=8.0, between=0.0)
    place = Place(40, np.empty(0, dtype=np.int64), network)
    first, second = (set(chosen({"community": k}, place)) for k in (0, 1))
    assert first.isdisjoint(second)
    assert not any((int(a) in first) != (int(b) in first) for a, b in zip(network.source, network.target, strict=True))
    with pytest.raises(ValueError, match="nobody is chosen by community=39"):
        chosen({"community": 39}, place)


def test_cases_are_chosen_anew_each_time() -> None:
    who, everybody = Chosen(case="doom"), np.ones(3, dtype=bool)
    for cases in ([True, False, False], [False, False, True], [False] * 3):
        signs = Signs(1, {}, {"doom": np.array(cases)})
        assert now(who, everybody, signs).tolist() == cases
        assert now("all", everybody, signs) is everybody
    must_be_known(who, ("doom",))
    with pytest.raises(ValueError, match="there are no cases of 'doom'; there are of: none"):
        must_be_known(who, ())


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"group": "odd"}, "no group 'odd'; there are: old, new"),
        ({"role": "judge"}, "no role 'judge'; there are: assistant, person"),
        ([12], "agents are 0 to 11, got 12"),
        ({"ids": [-1, 3, 40]}, "agents are 0 to 11, got -1, 40"),
    ],
)
def test_what_is_not_there_is_named(given: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        chosen(given)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("index", "the index cases, and there are none"),
        ({"group": "new"}, "no group 'new'; there are: none"),
        ({"role": "person"}, "no role 'person'; there are: none"),
        ({"community": 0}, "nothing is known here of a network"),
        ({"degree": 0.5}, "nothing is known here of a network"),
    ],
)
def test_where_little_is_known_little_can_be_chosen_by(given: Any, rule: str) -> None:
    bare = Place(3, np.empty(0, dtype=np.int64), group=np.zeros(3, dtype=np.int64), role=np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match=rule):
        chosen(given, bare)


def test_a_group_without_members_is_nobody() -> None:
    place = Place(2, np.array([0]), group=np.zeros(2, dtype=np.int64), groups=("here", "gone"))
    with pytest.raises(ValueError, match="nobody is chosen by group=gone"):
        chosen({"group": "gone"}, place)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("some", "'all' or 'index'"),
        (True, "'all' or 'index'"),
        (0, "greater than 0"),
        (1.5, "less than or equal to 1"),
        (float("nan"), "less than or equal to 1"),
        ([], "at least 1 item"),
        ({}, "exactly one of group, role, community, degree, share, ids, case, got none"),
        ({"role": "a", "case": "b"}, "exactly one of .*, got role, case"),
        ({"share": 0}, "greater than 0"),
        ({"community": -1}, "greater than or equal to 0"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_an_error_is_about_the_kind_of_choice_that_was_made(given: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule) as caught:
        CHOICE.validate_python(given)
    assert caught.value.error_count() == 1
