"""Who was at risk when, and of what dose."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contagium.sim.analysis.spread.risk import at_risk, hearing
from contagium.sim.log import open_run

Maker = Callable[..., Any]


@pytest.fixture
def log(make: Maker) -> Any:
    """Agent 0 is the index case; 1 hears it twice and is a case in step 2, then heard by 2; 3 hears what could not be read."""
    made = make(agents=4, index=(0,), steps=4)
    quiet = ("calm", 0.0)
    made.step(0, {0: ("spiral", 1.0), 1: quiet, 2: quiet, 3: quiet}, heard=[(1, 0), (2, 3)])
    made.step(1, {0: ("spiral", 0.45), 1: quiet, 2: quiet, 3: quiet}, heard=[(1, 0), (2, 1)])
    made.step(
        2,
        {0: ("spiral", None), 1: ("spiral", 0.8), 2: quiet, 3: quiet},
        heard=[(1, 0), (2, 1), (3, 0)],
        moved={1: ("I", [(0, 1.0)])},
    )
    made.step(3, {0: quiet, 1: quiet, 2: ("?", None), 3: quiet}, missing={})
    return open_run(made.end())


def test_doses_are_on_the_scale_of_outright_expressions(log: Any) -> None:
    found = hearing(log)
    assert found.agent.tolist() == [1, 2, 1, 2, 1, 2, 3]
    # 1.0 and 0.8 reach twice and 1.6 times the threshold of 0.5, 0.45 lies between stay and enter, and one reading failed.
    np.testing.assert_allclose(found.dose, [1.0, 0.0, 0.45, 0.0, np.nan, 0.8, np.nan], rtol=1e-6)


def test_rows_hold_what_was_heard_before(log: Any) -> None:
    rows = at_risk(log, window=2).set_index(["agent", "step"])
    # The index case is never at risk, a case no more after its onset, nor is who said nothing that could be read.
    assert sorted(rows.index) == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2), (3, 3)]
    assert rows.index[rows["event"]].tolist() == [(1, 2)]
    assert rows.loc[(1, 2), ["dose", "sources", "heard"]].tolist() == pytest.approx([1.45, 1, 2])
    assert rows.loc[(1, 0), ["dose", "sources", "heard"]].tolist() == [0, 0, 0]
    assert rows.loc[(2, 2), ["dose", "sources", "heard"]].tolist() == [0, 0, 2]
    assert rows.loc[(3, 3), ["dose", "heard", "unread"]].tolist() == [0, 1, 1]
    assert rows["unread"].sum() == 1


def test_a_window_forgets(log: Any) -> None:
    rows = at_risk(log, window=1).set_index(["agent", "step"])
    assert rows.loc[(1, 2), "dose"] == pytest.approx(0.45)
    with pytest.raises(ValueError, match="window must be at least 1 step, got 0"):
        at_risk(log, window=0)
