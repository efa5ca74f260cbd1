"""Said, felt and done: gaps with known values, and their table over a run."""

import numpy as np
import pandas as pd
import pytest

from contagium.envs.rng import Streams
from contagium.sim.analysis.emotion.gaps import gap_rows, gap_table
from contagium.sim.observer.gap import gaps
from contagium.sim.observer.instrument import Readings

CHOSEN = {"valence": ("expression", "judge", "lexicon"), "distress": ("judge",)}


def reading(instrument: str, channel: str, values: dict[int, float | None], column: str = "valence") -> Readings:
    ids = np.array(sorted(values), dtype=np.int64)
    rows = np.array([np.nan if values[i] is None else values[i] for i in ids.tolist()], dtype=np.float32).reshape(-1, 1)
    return Readings(instrument, channel, ids, (column,), rows, np.isfinite(rows[:, 0]))


def found(*readings: Readings, sender: dict[int, int] | None = None) -> dict[str, dict[int, float]]:
    """Column → agent → value."""
    of: dict[str, dict[int, float]] = {}
    for one in gaps(readings, sender or {10: 1, 20: 2, 30: 3}, CHOSEN):
        assert (one.instrument, one.channel, one.subject) == ("gap", "gap", "agent")
        assert one.ok.all()
        assert np.all(np.diff(one.ids) > 0)
        for k, column in enumerate(one.columns):
            of[column] = {
                agent: round(value, 5) for agent, value in zip(one.ids.tolist(), one.values[:, k].tolist(), strict=True)
            }
    return of


def test_a_gap_is_shown_minus_felt() -> None:
    said = reading("lexicon", "message", {10: 0.5, 20: -0.25, 30: 0.0})
    felt = reading("self_report", "report", {1: -0.75, 2: -0.5, 3: None, 4: 0.1})
    assert found(said, felt) == {
        "valence.message-report": {1: 1.25, 2: 0.25},
        "valence.message-report.intensity": {1: -0.25, 2: -0.25},  # both suppress, the first with the sign turned
    }


def test_play_acting_is_more_shown_than_felt() -> None:
    both = found(reading("lexicon", "message", {10: -0.9}), reading("self_report", "report", {1: -0.2}))
    assert both["valence.message-report.intensity"] == {1: 0.7}


def test_every_pair_of_channels_is_compared_the_more_open_first() -> None:
    read = [
        reading("self_report", "report", {1: 0.25}),
        reading("interview", "interview:b", {1: 0.5}),
        reading("lexicon", "thought", {1: 0.125}),
        reading("interview", "interview:a", {1: 0.75}),
        reading("lexicon", "message", {10: 1.0}),
        reading("choice", "act", {1: 0.0}),
    ]
    pairs = {column: of[1] for column, of in found(*read).items() if not column.endswith("intensity")}
    assert pairs == {
        "valence.message-act": 1,
        "valence.message-thought": 0.875,
        "valence.message-report": 0.75,
        "valence.message-interview:a": 0.25,
        "valence.message-interview:b": 0.5,
        "valence.act-thought": -0.125,
        "valence.act-report": -0.25,
        "valence.act-interview:a": -0.75,
        "valence.act-interview:b": -0.5,
        "valence.thought-report": -0.125,
        "valence.thought-interview:a": -0.625,
        "valence.thought-interview:b": -0.375,
        "valence.report-interview:a": -0.5,
        "valence.report-interview:b": -0.25,
    }


def test_an_instrument_that_reads_both_channels_is_compared_with_itself() -> None:
    """Agent 1 by the judge on both; of agent 2 the judge could not read the message, so the lexicon stands on both sides."""
    read = [
        *(reading("lexicon", "message", {10: 0.0, 20: 0.5}), reading("lexicon", "thought", {1: 0.0, 2: 0.25})),
        *(reading("judge", "message", {10: 1.0, 20: None}), reading("judge", "thought", {1: 0.5, 2: -1.0})),
    ]
    assert found(*read)["valence.message-thought"] == {1: 0.5, 2: 0.25}
    assert "valence.message-thought" not in found(
        read[0], reading("lexicon", "thought", {1: None}), read[2], reading("judge", "thought", {2: 1})
    )


def test_each_side_is_read_by_the_best_that_has_a_good_reading() -> None:
    read = [reading("lexicon", "message", {10: 0.25, 20: 0.5}), reading("judge", "message", {10: 1.0, 20: None})]
    assert found(*read, reading("self_report", "report", {1: 0, 2: 0}))["valence.message-report"] == {1: 1, 2: 0.5}
    unknown = reading("mood_ring", "message", {10: -1})
    assert found(unknown, *read, reading("self_report", "report", {1: 0}))["valence.message-report"] == {1: 1}


def test_several_messages_of_an_agent_count_by_their_mean() -> None:
    said = reading("lexicon", "message", {10: 0.5, 11: 0.25, 20: 1.0})
    assert found(said, reading("self_report", "report", {1: 0.0}), sender={10: 1, 11: 1, 20: 2})["valence.message-report"] == {
        1: 0.375
    }


def test_one_channel_an_axis_nobody_chose_or_nobody_good_on_both_is_no_gap() -> None:
    said, felt = reading("lexicon", "message", {10: 0.5}), reading("self_report", "report", {1: None, 2: 0.5})
    assert found(said) == {}
    assert found() == {}
    assert found(said, felt) == {}
    assert found(reading("lexicon", "message", {10: 1}, "wit"), reading("self_report", "report", {1: 1}, "wit")) == {}
    assert found(said, reading("gap", "gap", {1: 0.5})) == {}


def test_axes_on_other_scales_and_other_agents_stand_apart() -> None:
    read = [
        *(reading("lexicon", "message", {10: 0.5, 20: 0.5}), reading("self_report", "report", {1: 0.5, 2: 0.5})),
        *(reading("judge", "message", {10: 8}, "distress"), reading("interview", "interview:d", {1: 3, 2: 4}, "distress")),
    ]
    assert found(*read)["distress.message-interview:d"] == {1: 5}
    assert [(one.ids.tolist(), len(one.columns)) for one in gaps(read, {10: 1, 20: 2}, CHOSEN)] == [([1], 2), ([1, 2], 2)]


def frame(agents: int, steps: int, between: float = 0.0, missing: int = 0) -> pd.DataFrame:
    """Readings of agents who say 0.5 + a share of their own + noise and report 0.25; the first so many reports failed."""
    rng = Streams(3).generator("gaps of a made run", agents, steps)
    own = between * rng.normal(size=agents)
    rows = []
    for step in range(steps):
        for agent in range(agents):
            said, felt, message = 0.5 + own[agent] + 0.05 * rng.normal(), 0.25, 1000 * step + agent
            good = step * agents + agent >= missing
            rows.append((step, "message", message, agent, "lexicon", "valence", said, "ok"))
            rows.append(
                (step, "report", agent, agent, "self_report", "valence", felt if good else np.nan, "ok" if good else "failed")
            )
            if good:
                name = "valence.message-report"
                rows.append((step, "gap", agent, agent, "gap", name, said - felt, "ok"))
                rows.append((step, "gap", agent, agent, "gap", f"{name}.intensity", abs(said) - abs(felt), "ok"))
    return pd.DataFrame(rows, columns=["step", "channel", "id", "agent", "instrument", "column", "value", "status"])


def test_the_table_gives_mean_interval_and_what_failed() -> None:
    (of,) = gap_table(frame(10, 8, missing=20)).to_dict("records")
    assert (of["axis"], of["shown"], of["felt"], of["n"], of["agents"]) == ("valence", "message", "report", 60, 10)
    assert of["failed"] == pytest.approx(20 / 80)
    assert of["mean"] == pytest.approx(0.25, abs=0.03)
    assert of["one_ruler"] is False
    assert of["low"] < of["mean"] < of["high"] < of["low"] + 0.06
    assert (of["suppressed"], of["play_acted"]) == (0, 1)
    assert of["intensity"] == pytest.approx(of["mean"])


def test_the_interval_knows_that_agents_differ() -> None:
    """Standard error of a mean over 20 agents with own means of standard deviation 0.3, however often each speaks."""
    of = gap_table(frame(20, 50, between=0.3)).iloc[0]
    assert (of["high"] - of["low"]) / (2 * 1.96) == pytest.approx(0.3 / np.sqrt(20), rel=0.3)


@pytest.mark.parametrize(("agents", "steps"), [(4, 30), (6, 3)])
def test_too_few_agents_or_readings_have_no_interval(agents: int, steps: int) -> None:
    of = gap_table(frame(agents, steps)).iloc[0]
    assert of["mean"] == pytest.approx(0.25, abs=0.05)
    assert np.isnan([of["low"], of["high"], of["intensity_low"], of["intensity_high"]]).all()


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Over 80 runs of 20 agents; percentile intervals of so few agents cover somewhat less than 95%."""
    rng, hits = Streams(4).generator("coverage"), 0
    for _ in range(80):
        table = frame(20, 1)
        own = rng.normal(size=20)
        table.loc[table["column"] == "valence.message-report", "value"] = own
        of = gap_table(table).iloc[0]
        hits += of["low"] <= 0 <= of["high"]
    assert 0.85 <= hits / 80 <= 0.99


class Made:
    def __init__(self, readings: pd.DataFrame) -> None:
        self.readings = readings

    def rows(self, query: str, given: tuple[str, ...]) -> list[tuple[int]]:
        return [(1,)] * bool((self.readings["channel"] == given[0]).any())


def test_the_report_takes_no_level_from_two_rulers_and_counts_what_tells_too_little() -> None:
    two = frame(10, 8, missing=20)
    ((name, told),) = gap_rows(Made(two))
    assert name == "valence: message − report"
    assert "60 readings of 10 agents, 25% failed); by two rulers: compare it between runs" in told
    one = two.assign(instrument=two["instrument"].replace("self_report", "lexicon"))
    ((_, told),) = gap_rows(Made(one))
    assert told.endswith("suppressed in 0%, play-acted in 100%")
    assert gap_rows(Made(frame(4, 30))) == [("Pairs that tell too little", "1, of fewer than 5 agents or 20 readings")]
    assert gap_rows(Made(two[two["channel"] == "message"])) == []


def test_a_run_with_one_channel_has_an_empty_table() -> None:
    only = frame(6, 6)
    assert gap_table(only[only["channel"] == "message"]).empty
