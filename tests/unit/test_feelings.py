"""Outcomes of feelings, of runs whose course is written out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from contagium.sim.analysis.arms import feelings
from contagium.sim.analysis.arms.seen import UndefinedError


def course(*means: float | None) -> Any:
    """A run with these means of valence; None: nothing was read."""
    read = [0 if mean is None else 4 for mean in means]
    return SimpleNamespace(affect={"valence": pd.DataFrame({"mean": list(means), "messages": read}, dtype=float)})


def spoken(by_agent: Mapping[int, Sequence[float]], index: Sequence[int] = ()) -> Any:
    """A run in which agents spoke with these readings of distress, one a step; `index` were seeded, and agent 9 caught it."""
    rows = [(value, agent, step) for agent, values in by_agent.items() for step, value in enumerate(values)]
    read = pd.DataFrame(rows, columns=["value", "agent", "step"])
    cases = pd.DataFrame({"agent": [*index, 9], "index": [True] * len(index) + [False]})
    return SimpleNamespace(readings=lambda axis: read, chains=SimpleNamespace(cases=cases))


def test_a_shock_goes_by() -> None:
    shocked = course(0.2, None, 0.3, -0.6, -0.4, None, -0.1, 0.0)
    assert feelings.swing("valence", shocked) == pytest.approx(0.8)
    assert feelings.half_life("valence", shocked) == 3
    assert feelings.returned("valence", shocked) == pytest.approx(0.75)


def test_a_shock_upwards_counts_alike_and_may_be_overshot() -> None:
    assert feelings.swing("valence", course(0.0, 0.8, -0.2)) == pytest.approx(0.8)
    assert feelings.half_life("valence", course(0.0, 0.8, -0.2)) == 1
    assert feelings.returned("valence", course(0.0, 0.8, -0.2)) == pytest.approx(1.25)


def test_what_stays_has_no_half_life() -> None:
    with pytest.raises(UndefinedError, match="less than half"):
        feelings.half_life("valence", course(0.0, -0.8, -0.7))
    with pytest.raises(UndefinedError, match="never moved"):
        feelings.returned("valence", course(0.1, 0.1))
    with pytest.raises(UndefinedError, match="never read"):
        feelings.swing("valence", course(None))


def test_who_comes_out_of_distress_and_who_falls_back() -> None:
    run = spoken({0: (0, 6, 2, 1), 1: (7, 1, 5, 0), 2: (1, 0, 5, 6), 3: (0, 0, 0, 4.9), 4: (5, 0, 0, 8)})
    assert feelings.recovered(run) == pytest.approx(2 / 4), "agents 0 and 1 of the four that were distressed"
    assert feelings.relapsed(run) == pytest.approx(2 / 3), "agents 1 and 4 of the three that came out"
    assert feelings.distressed(run) == pytest.approx(7 / 20)


@pytest.mark.parametrize("shows", [(0, 1), (6, 7)])
def test_without_distress_nobody_recovers_and_without_recovery_nobody_relapses(shows: Sequence[float]) -> None:
    with pytest.raises(UndefinedError, match="nobody came out"):
        feelings.relapsed(spoken({0: shows}))
    if shows[0] == 0:
        with pytest.raises(UndefinedError, match="nobody showed"):
            feelings.recovered(spoken({0: shows}))


def test_others_are_all_but_the_seeded() -> None:
    assert feelings.others("distress", spoken({0: (9, 9), 1: (1, 2), 9: (3, 6)}, index=[0])) == pytest.approx(3)
    with pytest.raises(UndefinedError, match="index cases"):
        feelings.others("distress", spoken({0: (1,)}, index=[0]))


def test_answers_and_their_drift() -> None:
    asked = pd.DataFrame({"step": [1, 1, 5, 5, 9], "value": [0.0, 1.0, 1.0, float("nan"), 1.0]})
    run: Any = SimpleNamespace(run=SimpleNamespace(read=lambda instrument, column, channel: asked))
    assert feelings.answers("test", "suspicion", run) == pytest.approx(0.75)
    assert feelings.drift("test", "suspicion", run) == pytest.approx(0.5)


def test_the_lead_is_told_of_who_showed_distress_first() -> None:
    run = spoken({0: (6, 0, 0, 0), 1: (0, 0, 0, 7), 2: (0, 0, 0, 0), 3: (5, 9, 0, 0)})
    did = pd.DataFrame({"name": "cheated", "agent": [0, 0, 1, 2, 3, 3], "step": [1, 3, 2, 1, 0, 1], "value": [0, 1, 1, 1, 1, 1]})
    run.run = SimpleNamespace(table=lambda name: did)
    assert feelings.lead("cheated", run) == pytest.approx(3 / 2), "agent 0 after 3 steps, agent 3 at once; 1 showed it too late"
    with pytest.raises(UndefinedError, match="before blamed"):
        feelings.lead("blamed", run)
