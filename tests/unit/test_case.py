"""The case definition against a plain model: one agent at a time, written as its docstring says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagium.envs.message import Exposures
from contagium.sim.observer.case import (
    COMPARTMENTS,
    C,
    Carrier,
    CaseDefinition,
    E,
    Exposed,
    H,
    I,
    R,
    S,
    Shedding,
    StateDefinition,
)
from contagium.sim.observer.tracker import Candidates, CaseMoves, CaseTracker

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=80)
SIZE, ENTER, STAY = 4, 0.6, 0.3


@st.composite
def definitions(draw: st.DrawFn) -> CaseDefinition:
    def windowed() -> dict[str, int]:
        window = draw(st.integers(1, 4))
        return {"confirm": draw(st.integers(1, window)), "window": window}

    numbers = {name: draw(st.integers(1, 3)) for name in ("recover_after", "cause_window")}
    parts: dict[str, Any] = {}
    if draw(st.booleans()):
        parts["exposed"] = Exposed(messages=draw(st.integers(1, 3)), within=draw(st.integers(1, 3)))
    if draw(st.booleans()):
        parts["shedding"] = Shedding(**windowed(), end_after=draw(st.integers(1, 3)))
    if draw(st.booleans()):
        parts["carrier"] = Carrier(items=("mood",), instrument="embedding")
    return CaseDefinition(**windowed(), **numbers, **parts)


VALUES = st.sampled_from([0.0, 0.2, 0.3, 0.6, 0.9])
AGENTS = st.integers(0, SIZE - 1)


@dataclass(frozen=True)
class Told:
    """A step: readings by agent (its message has the id SIZE·step + agent), who asks others to spread, answers by agent, and
    exposures (agent, message, weight).
    """

    readings: dict[int, float]
    asks: set[int]
    answers: dict[int, float]
    heard: list[tuple[int, int, float]]


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    steps: list[Told] = []
    for step in range(draw(st.integers(1, 9))):
        readings = draw(st.dictionaries(AGENTS, VALUES, min_size=2))
        said = [SIZE * s + a for s in (step - 1, step) if s >= 0 for a in (readings if s == step else steps[s].readings)]
        heard = draw(st.sets(st.tuples(AGENTS, st.sampled_from(said))))
        weighted = [(a, m, draw(st.sampled_from([0.5, 1.0, 2.0]))) for a, m in sorted(heard)]
        steps.append(
            Told(readings, draw(st.sets(st.sampled_from(sorted(readings)))), draw(st.dictionaries(AGENTS, VALUES)), weighted)
        )
    return steps


Move = tuple[int, int, int]
"""Origin, target, onset."""


class Plain:
    """The same rules for one agent, in words."""

    def __init__(self, definition: CaseDefinition, case: bool) -> None:
        self.definition, self.compartment, self.moves = definition, I if case else S, list[Move]()
        self.episode: list[tuple[int, float]] = []
        self.asked: list[bool] = []
        self.received: list[int] = []

    def goes(self, target: int, onset: int) -> None:
        self.moves.append((self.compartment, target, onset))
        self.compartment = target

    def read(self, step: int, value: float, certain: bool) -> None:
        rule, before = self.definition, len(self.moves)
        self.episode.append((step, value))
        if self.compartment not in (I, H):
            signs = [s for s, v in self.episode[-rule.window :] if v >= ENTER]
            if value >= ENTER and (len(signs) >= rule.confirm or certain):
                self.goes(I, step if certain else signs[0])
        else:
            over = len(self.episode) >= rule.recover_after and all(v < STAY for _, v in self.episode[-rule.recover_after :])
            if over or (certain and value < STAY):
                self.goes(R, step)
        if len(self.moves) > before:
            self.episode, self.asked = [], []

    def says(self, step: int, asks: bool) -> None:
        if (rule := self.definition.shedding) is None:
            return
        self.asked.append(asks)
        if self.compartment == I and sum(self.asked[-rule.window :]) >= rule.confirm:
            self.goes(H, step)
        elif self.compartment == H and len(self.asked) >= rule.end_after and not any(self.asked[-rule.end_after :]):
            self.goes(I, step)
            self.asked = []

    def answers(self, step: int, value: float) -> None:
        if self.compartment in (S, E, R) and value >= ENTER:
            self.goes(C, step)
        elif self.compartment == C and value < STAY:
            self.goes(R, step)

    def hears(self, step: int, shown: int) -> None:
        self.received.append(shown)
        rule = self.definition.exposed
        if rule is not None and self.compartment == S and sum(self.received[-rule.within :]) >= rule.messages:
            self.goes(E, step)


def rows(moves: CaseMoves) -> dict[int, list[Move]]:
    """By agent its moves, in order."""
    found: dict[int, list[Move]] = {}
    for agent, *move in zip(*(c.tolist() for c in (moves.agents, moves.origin, moves.target, moves.onset)), strict=True):
        found.setdefault(agent, []).append(tuple(move))
    return found


def take(plain: list[Plain]) -> dict[int, list[Move]]:
    """The moves since the last time, by agent."""
    found = {a: p.moves for a, p in enumerate(plain) if p.moves}
    for p in plain:
        p.moves = []
    return found


@LAW
@given(definitions(), histories(), st.booleans(), st.sets(AGENTS))
def test_moves_and_candidate_causes_are_those_of_the_plain_rules(definition, history, index, certain) -> None:
    tracker = CaseTracker(definition, np.array([index, False, False, False]))
    plain = [Plain(definition, index and a == 0) for a in range(SIZE)]
    value: dict[int, float] = {}
    for step, told in enumerate(history):
        agents = np.array(sorted(told.readings), dtype=np.int64)
        read = np.array([told.readings[a] for a in agents.tolist()])
        value |= {SIZE * step + a: told.readings[a] for a in told.readings}
        tracker.show(SIZE * step + agents, np.where(read >= STAY, read, 0.0))
        parts = [tracker.read(step, agents, read >= ENTER, read >= STAY, np.isin(agents, list(certain)))]
        if definition.shedding is not None:
            parts.append(tracker.shed(step, agents, np.isin(agents, list(told.asks))))
        if definition.carrier is not None:
            asked = np.array(sorted(told.answers), dtype=np.int64)
            answer = np.array([told.answers[a] for a in asked.tolist()])
            parts.append(tracker.asked(step, asked, answer >= ENTER, answer < STAY))
        moves = CaseMoves.join(parts)
        for a in agents.tolist():
            plain[a].read(step, told.readings[a], a in certain)
            plain[a].says(step, a in told.asks)
        for a in sorted(told.answers) if definition.carrier is not None else ():
            plain[a].answers(step, told.answers[a])
        assert rows(moves) == take(plain)
        assert_causes(definition, history, step, value, moves, tracker.candidates(moves))
        table = [np.array([h[k] for h in told.heard], dtype=np.int64) for k in (0, 1)]
        weight = np.array([h[2] for h in told.heard])
        exposed = tracker.hear(Exposures(step, table[0], table[1], table[1] % SIZE, weight), SIZE * step)
        for a in range(SIZE):
            plain[a].hears(step, sum(value[m] >= STAY for agent, m, _ in told.heard if agent == a))
        assert rows(exposed) == take(plain)
        assert tracker.compartment.tolist() == [p.compartment for p in plain]
        assert set(tracker.compartment.tolist()) <= set(tracker.compartments)


def assert_causes(
    definition: CaseDefinition, history: list[Told], step: int, value: dict[int, float], moves: CaseMoves, found: Candidates
) -> None:
    """A new case and a new carrier have the exposures before their onset as causes; nobody else has any."""
    every = list(zip(*(c.tolist() for c in (found.move, found.message, found.source, found.step, found.dose)), strict=True))
    columns = (moves.agents, moves.origin, moves.target, moves.onset)
    wanted = [
        (row, message, message % SIZE, s, value[message])
        for row, (agent, origin, target, onset) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
        if (target == C or (target == I and origin != H)) and remembered(definition, step, onset)
        for s in range(max(0, onset - definition.cause_window), onset)
        for a, message, _ in history[s].heard
        if a == agent and value[message] >= STAY
    ]
    assert every == sorted(wanted, key=lambda r: (r[0], r[3], r[1]))
    weights = [dict(((a, m), w) for a, m, w in told.heard) for told in history[:step]]
    share = np.array([d * weights[s][int(moves.agents[k]), m] for k, m, _, s, d in every])
    total = np.bincount([r[0] for r in every], share, minlength=1) if every else np.zeros(1)
    assert found.probability == pytest.approx(share / total[[r[0] for r in every]] if every else share)


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


def test_a_bout_of_shedding_that_is_over_is_no_sign_of_the_next() -> None:
    """Two messages of three that ask begin a bout, and one that does not ends it; both are in the window of the next then."""
    rule = Shedding(confirm=2, window=3, end_after=1)
    tracker, one = CaseTracker(CaseDefinition(shedding=rule), np.array([True])), np.array([0])
    path = ""
    for step, asks in enumerate((True, True, False, True, True)):
        tracker.shed(step, one, np.array([asks]))
        path += COMPARTMENTS[tracker.compartment[0]]
    assert path == "IHIIH"


def test_what_was_asked_in_one_episode_is_no_sign_in_the_next() -> None:
    """It recovers with a message that has no reading of what it asks for."""
    tracker, one = CaseTracker(CaseDefinition(shedding=Shedding(window=2)), np.array([True])), np.array([0])
    tracker.shed(0, one, np.array([True]))
    tracker.read(1, one, np.array([False]), np.array([False]), certain=True)
    tracker.read(2, one, np.array([True]), np.array([True]), certain=True)
    tracker.shed(2, one, np.array([False]))
    assert COMPARTMENTS[tracker.compartment[0]] == "I"


def test_shedding_is_read_only_where_the_definition_has_it() -> None:
    tracker = CaseTracker(CaseDefinition(), np.array([True]))
    assert tracker.compartments == (S, I, R)
    with pytest.raises(ValueError, match="no shedding"):
        tracker.shed(0, np.array([0]), np.array([True]))


@pytest.mark.parametrize(("enter", "stay"), [(0.5, 0.6), (0.5, 0.0), (0.5, -0.1), (-0.5, -0.6), (-0.5, 0.0), (0.0, 0.0)])
def test_the_thresholds_of_a_state_lie_on_one_side_of_nothing(enter: float, stay: float) -> None:
    with pytest.raises(ValidationError, match=rf"stay must lie between 0 and enter \({enter}\)"):
        StateDefinition(axis="valence", enter=enter, stay=stay)


def test_bad_definitions_are_named() -> None:
    with pytest.raises(ValidationError, match=r"confirm must be at most window \(2\), got 3"):
        CaseDefinition(confirm=3, window=2)
    for name in ("confirm", "window", "recover_after", "cause_window"):
        with pytest.raises(ValidationError, match=name):
            CaseDefinition(**{name: 0})
    with pytest.raises(ValidationError, match=r"confirm must be at most window \(1\), got 2"):
        Shedding(confirm=2)
    with pytest.raises(ValidationError, match=r"stay must be at most enter \(0.3\), got 0.4"):
        Carrier(items=("mood",), instrument="embedding", enter=0.3, stay=0.4)
    with pytest.raises(ValidationError, match="items"):
        Carrier(items=(), instrument="embedding")
    with pytest.raises(ValidationError, match="messages"):
        Exposed(messages=0)
