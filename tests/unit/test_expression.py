"""Declared expression is read off as it stands."""

import asyncio
import time

import numpy as np

from contagium.envs.message import Axes, Messages
from contagium.sim.observer.instrument import Briefing, Material
from contagium.sim.observer.instruments.expression import Expression

AXES = Axes(("spiral",))


def material(rows: np.ndarray) -> Material:
    ids = np.arange(100, 100 + len(rows))
    same = np.zeros(len(rows), dtype=np.int64)
    return Material(0, Messages(ids, same, same, same.astype(np.int8), ids, same - 1, rows.astype(np.float32)))


def test_a_row_for_each_message_that_declares_something() -> None:
    instrument = Expression()
    instrument.begin(Briefing(AXES, ()))
    nan = np.nan
    (readings,) = asyncio.run(instrument.read(material(np.array([[0.5, -1, 0, 1], [nan] * 4, [nan, nan, nan, 1]]))))
    assert readings.columns == AXES.names
    assert readings.ids.tolist() == [100, 102]
    assert readings.ok.tolist() == [True, False]  # a declaration with holes is no whole reading
    np.testing.assert_array_equal(readings.values, np.array([[0.5, -1, 0, 1], [nan] * 4], dtype=np.float32))


def test_the_messages_stay_as_they_were() -> None:
    instrument = Expression()
    instrument.begin(Briefing(AXES, ()))
    read = material(np.array([[np.nan, 0.5, 0, 1]]))
    asyncio.run(instrument.read(read))
    assert read.messages.expression[0, 1] == 0.5


def test_twenty_thousand_messages_take_no_time() -> None:
    instrument = Expression()
    instrument.begin(Briefing(AXES, ()))
    many = material(np.zeros((20_000, len(AXES))))
    began = time.process_time()
    assert len(asyncio.run(instrument.read(many))[0].ids) == 20_000
    assert time.process_time() - began < 0.1
