"""The case definition against a plain model: one agent at a time, written as its docstring says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagium.envs.message import Exposures
from contagium.sim.observer.case import CaseDefinition, CaseTracker

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=120)
SIZE, ENTER, STAY = 4, 0.6, 0.3


@st.composite
def definitions(draw: st.DrawFn) -> CaseDefinition:
    window = draw(st.integers(1, 4))
    numbers = {name: draw(st.integers(1, 3)) for name in ("recover_after", "cause_window")}
    return CaseDefinition(confirm=draw(st.integers(1, window)), window=window, **numbers)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[dict[int, float], list[tuple[int, int, float]]]]:
    """Step by step: readings by agent (its message has the id SIZE·step + agent), and exposures (agent, message, weight)."""
    steps = []
    for step in range(draw(st.integers(1, 9))):
        readings = draw(st.dictionaries(st.integers(0, SIZE - 1), st.sampled_from([0.0, 0.2, 0.3, 0.6, 0.9]), min_size=2))
        said = [SIZE * s + a for s, (known, _) in enumerate([*steps, (readings, [])]) if s > step - 2 for a in known]
        heard = draw(st.sets(st.tuples(st.integers(0, SIZE - 1), st.sampled_from(said)))) if said else set()
        steps.append((readings, [(a, m, draw(st.sampled_from([0.5, 1.0, 2.0]))) for a, m in sorted(heard)]))
    return steps


class Plain:
    """The same rules for one agent, in words."""

    def __init__(self, definition: CaseDefinition, case: bool) -> None:
        self.definition, self.compartment, self.episode = definition, int(case), []

    def read(self, step: int, value: float, certain: bool) -> tuple[int, int, int] | None:
        """Origin, target and onset, if it moves."""
        rule, before, onset = self.definition, self.compartment, step
        self.episode.append((step, value))
        if before != 1:
            signs = [s for s, v in self.episode[-rule.window :] if v >= ENTER]
            self.compartment = 1 if value >= ENTER and (len(signs) >= rule.confirm or certain) else before
            onset = signs[0] if self.compartment == 1 and not certain else step
        else:
            over = len(self.episode) >= rule.recover_after and all(v < STAY for _, v in self.episode[-rule.recover_after :])
            self.compartment = 2 if over or (certain and value < STAY) else before
        if self.compartment == before:
            return None
        self.episode = []
        return before, self.compartment, onset


@LAW
@given(definitions(), histories(), st.booleans(), st.sets(st.integers(0, SIZE - 1)))
def test_moves_and_candidate_causes_are_those_of_the_plain_rules(definition, history, index, certain) -> None:
    tracker = CaseTracker(definition, np.array([index, False, False, False]))
    plain = [Plain(definition, index and a == 0) for a in range(SIZE)]
    value: dict[int, float] = {}
    for step, (readings, heard) in enumerate(history):
        agents = np.array(sorted(readings), dtype=np.int64)
        read = np.array([readings[a] for a in agents.tolist()])
        value |= {SIZE * step + a: readings[a] for a in readings}
        tracker.show(SIZE * step + agents, np.where(read >= STAY, read, 0.0))
        moves = tracker.read(step, agents, read >= ENTER, read >= STAY, np.isin(agents, list(certain)))
        expected = {a: move for a in agents.tolist() if (move := plain[a].read(step, readings[a], a in certain)) is not None}
        moved = zip(*(c.tolist() for c in (moves.origin, moves.target, moves.onset)), strict=True)
        assert dict(zip(moves.agents.tolist(), moved, strict=True)) == expected
        assert tracker.compartment.tolist() == [p.compartment for p in plain]
        found = tracker.candidates(moves)
        rows = list(zip(*(c.tolist() for c in (found.move, found.message, found.source, found.step, found.dose)), strict=True))
        wanted = [
            (row, message, message % SIZE, s, value[message])
            for row, agent in enumerate(moves.agents.tolist())
            if moves.target[row] == 1 and remembered(definition, step, onset := expected[agent][2])
            for s in range(max(0, onset - definition.cause_window), onset)
            for a, message, _ in history[s][1]
            if a == agent and value[message] >= STAY
        ]
        assert rows == sorted(wanted, key=lambda r: (r[0], r[3], r[1]))
        weights = [dict(((a, m), w) for a, m, w in history[s][1]) for s in range(step)]
        share = np.array([d * weights[s][int(moves.agents[k]), m] for k, m, _, s, d in rows])
        total = np.bincount([r[0] for r in rows], share, minlength=1) if rows else np.zeros(1)
        assert found.probability == pytest.approx(share / total[[r[0] for r in rows]] if rows else share)
        table = [np.array([h[k] for h in heard], dtype=np.int64) for k in (0, 1)]
        tracker.hear(Exposures(step, table[0], table[1], table[1] % SIZE, np.array([h[2] for h in heard])), SIZE * step)


def remembered(definition: CaseDefinition, step: int, onset: int) -> bool:
    """Whether all exposures before the onset, back to the first of the window, are remembered at `step`."""
    return max(0, onset - definition.cause_window) >= step - definition.cause_window - 4 * (definition.window - 1)


@pytest.mark.parametrize(("gap", "causes"), [(1, [0, 1]), (2, [0, 1]), (4, [0, 1]), (5, [])])
def test_what_is_heard_between_first_sign_and_confirmation_is_no_cause(gap: int, causes: list[int]) -> None:
    """Agent 1 hears agent 0 in every step, shows a sign at step 3 and the next `gap` steps later, when it is confirmed."""
    tracker = CaseTracker(CaseDefinition(confirm=2, window=2, cause_window=2), np.array([True, False]))
    one = np.array([1])
    for step in range(3 + gap + 1):
        tracker.show(np.array([step]), np.array([1.0]))
        if step in (3, 3 + gap):
            moves = tracker.read(step, one, np.array([True]), np.array([True]))
        found = tracker.candidates(moves) if step == 3 + gap else None
        tracker.hear(Exposures(step, one, np.array([step]), np.array([0]), np.ones(1)), step)
    assert (moves.agents.tolist(), moves.onset.tolist()) == ([1], [3])
    assert found is not None
    assert found.step.tolist() == [1 + k for k in causes]
    assert found.probability.tolist() == [0.5] * len(causes)


def test_only_who_waits_for_confirmation_keeps_what_is_older_than_the_window() -> None:
    """Of three hearers only agent 1 has shown a sign; the memory of the other two is as long as the window."""
    tracker = CaseTracker(CaseDefinition(confirm=2, window=3, cause_window=1), np.array([True, False, False]))
    everybody = np.arange(3)
    for step in range(4):
        reached = np.array([True, step == 0, False])
        tracker.read(step, everybody, reached, reached)
        tracker.show(np.array([step]), np.array([1.0]))
        tracker.hear(Exposures(step, everybody, np.full(3, step), np.zeros(3, dtype=np.int64), np.ones(3)), step)
    # The reading of step 0 has left the window of three by step 3.
    assert [heard.agent.tolist() for heard, _ in tracker._heard] == [[1], [1], [], [0, 1, 2]]


def test_a_recovered_agent_relapses_only_by_new_readings() -> None:
    assert (
        follow(CaseDefinition(confirm=2, window=3, recover_after=2), 0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.4, 0.1, 0.1) == "IRRRIIIIR"
    )
    # What it said while it was a case does not count towards the next time.
    assert follow(CaseDefinition(confirm=2, window=3, recover_after=1), 0.9, 0.1, 0.9, 0.9) == "IRRI"


def follow(definition: CaseDefinition, *values: float) -> str:
    """Compartments of an index case after each of these readings."""
    tracker, one = CaseTracker(definition, np.array([True])), np.array([0])
    path = []
    for step, value in enumerate(values):
        tracker.read(step, one, np.array([value >= ENTER]), np.array([value >= STAY]))
        path.append("SIR"[tracker.compartment[0]])
    return "".join(path)


def test_who_has_no_reading_stays_put() -> None:
    tracker = CaseTracker(CaseDefinition(recover_after=1), np.array([True, False]))
    none = np.empty(0, dtype=bool)
    assert len(tracker.read(0, np.empty(0, dtype=np.int64), none, none).agents) == 0
    assert tracker.compartment.tolist() == [1, 0]


def test_bad_definitions_are_named() -> None:
    with pytest.raises(ValidationError, match=r"confirm must be at most window \(2\), got 3"):
        CaseDefinition(confirm=3, window=2)
    for name in ("confirm", "window", "recover_after", "cause_window"):
        with pytest.raises(ValidationError, match=name):
            CaseDefinition(**{name: 0})
