"""What an agent did, as numbers."""

import asyncio

import numpy as np
import pytest

from contagium.envs.commons import Commons
from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.choice import Choice

POSITIONS = {"leave": {"cooperation": 1.0}, "TAKE  3": {"cooperation": -1.0, "haste": 0.5}, "burn": {"spite": 1.0}}


def read(
    choices: dict[int, int], positions: dict[str, dict[str, float]] | None = None, offered: tuple[str, ...] = Commons.choices
) -> list[Readings]:
    instrument = Choice(positions)
    instrument.begin(Briefing(Axes(), (), choices=offered))
    return asyncio.run(instrument.read(Material(0, Messages.empty(3), choices=choices)))


def test_a_choice_is_its_place_on_the_worlds_list() -> None:
    (readings,) = read({9: 3, 2: 0, 4: -1, 5: 1})
    assert (readings.channel, readings.columns, readings.ids.tolist()) == ("act", ("choice",), [2, 4, 5, 9])
    np.testing.assert_allclose(readings.values[:, 0], [0, np.nan, 1 / 3, 1], rtol=1e-6)
    assert (readings.ok.tolist(), readings.reasons) == ([True, False, True, True], {1: "no valid choice"})


def test_each_named_axis_speaks_of_the_choices_that_have_a_value_on_it() -> None:
    _, cooperation, haste = read({1: 0, 2: 1, 3: 3, 4: -1}, POSITIONS)
    assert (cooperation.columns, cooperation.ids.tolist()) == (("cooperation",), [1, 3, 4])
    np.testing.assert_array_equal(cooperation.values[:, 0], [1, -1, np.nan])
    assert (haste.columns, haste.ids.tolist(), haste.ok.tolist()) == (("haste",), [3, 4], [True, False])


def test_a_world_of_talk_alone_has_nothing_to_read() -> None:
    assert read({}, POSITIONS) == []
    assert read({1: 0}, POSITIONS, offered=()) == []


def test_positions_of_another_world_are_refused() -> None:
    with pytest.raises(ValueError, match=r"offers none of \['leave', 'take 3', 'burn'\], only \['stay', 'go'\]"):
        read({}, POSITIONS, offered=("stay", "go"))
    with pytest.raises(ValueError, match="finite number, got cooperation: nan"):
        Choice({"leave": {"cooperation": float("nan")}})


def test_provenance_tells_positions_apart() -> None:
    assert Choice({"a": {"x": 1, "y": 2}}).provenance == Choice({"A ": {"y": 2, "x": 1}}).provenance
    assert Choice({"a": {"x": 1}}).provenance != Choice({"a": {"x": 2}}).provenance
