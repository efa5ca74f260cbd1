"""The agenda of the continuous-time kernels against a plain dictionary that is searched every time."""

from __future__ import annotations

import numpy as np
import pytest

from contagium.agents.mechanistic.engine.agenda import agenda, enter, make_room, ready, take
from contagium.envs.rng import Streams


@pytest.mark.parametrize(("size", "scale"), [(40, 0.0), (40, 1.0), (3000, 0.1), (3000, 30.0)])
def test_whoever_is_due_first_is_taken_first(size: int, scale: float) -> None:
    """Agents are entered anew, sooner and later, by waits that span many orders of magnitude, thousands of times.

    scale 0: all waits are whole numbers, so that many are due at once.
    """
    rng = Streams(5).generator("agenda")

    def wait() -> float:
        return float(np.exp(scale * rng.standard_normal())) if scale else float(rng.integers(0, 3))

    due = np.where(rng.random(size) < 0.7, [wait() for _ in range(size)], np.inf)
    expected = {agent: time for agent, time in enumerate(due.tolist()) if time < np.inf}
    a, now, taken = agenda(due, 5), 0.0, 0
    while ready(a):
        agent, time = take(a)
        assert time == min(expected.values())
        assert expected.pop(agent) == time
        assert time >= now
        now, taken = time, taken + 1
        make_room(a, 5)
        for other in rng.integers(size, size=5 if taken < 2000 else 0).tolist():
            expected[other] = now + wait()
            enter(a, other, expected[other])
    assert not expected
    assert taken > 2000
