"""Quarantine withholds messages of cases, with the stated probability, each draw its own."""

import numpy as np
import pytest

from contagium.envs.message import Messages
from contagium.envs.rng import Streams
from contagium.sim.intervention import Quarantine, Transit

SIZE = 4000


def transit(step: int, sender: np.ndarray, cases: np.ndarray) -> Transit:
    zero = np.zeros(len(sender), dtype=np.int64)
    blank = np.zeros((len(sender), 4), dtype=np.float32)
    messages = Messages(np.arange(len(sender)), sender, zero, zero.astype(np.int8), zero, zero - 1, blank)
    return Transit(step, messages, cases)


EVERYONE, EVEN = np.arange(SIZE), np.arange(SIZE) % 2 == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_cases_is_withheld_and_nobody_else(share: float) -> None:
    stopped = Quarantine(share).withhold(transit(0, EVERYONE, EVEN), Streams(1))
    assert not stopped[~EVEN].any()
    assert stopped[EVEN].mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / EVEN.sum()))


def test_it_works_from_its_first_step_on() -> None:
    quarantine = Quarantine(start=2)
    assert [quarantine.withhold(transit(step, EVERYONE, EVEN), Streams(1)).any() for step in range(4)] == [
        False,
        False,
        True,
        True,
    ]


def test_what_becomes_of_a_message_does_not_depend_on_who_else_sends() -> None:
    some = EVERYONE[::7]
    quarantine = Quarantine(0.5)
    whole = quarantine.withhold(transit(3, EVERYONE, EVEN), Streams(1))
    assert np.array_equal(quarantine.withhold(transit(3, some, EVEN), Streams(1)), whole[::7])


def test_two_quarantines_withhold_independently() -> None:
    one, two = (Quarantine(0.5, name=name).withhold(transit(0, EVERYONE, EVEN), Streams(1))[EVEN] for name in ("one", "two"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(EVEN.sum())
