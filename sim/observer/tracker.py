"""The case definition at work: from readings to compartments, and from transitions to candidate causes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Exposures, spans
from contagium.sim.observer.case import C, CaseDefinition, E, H, I, R, S, StateDefinition


@dataclass(frozen=True)
class CaseMoves:
    """Who moved, all shape (k,): agent ids, origin and target as indices into COMPARTMENTS, onset.

    onset: for a move into I that readings confirmed the step of the first sign, for any other the step of the move. An agent may
    move twice in a step (S to I to H): in that order.
    """

    agents: NDArray[np.int64]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]
    onset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.agents)

    @classmethod
    def join(cls, parts: Sequence[CaseMoves]) -> CaseMoves:
        """One after the other."""
        columns = ((getattr(part, name) for part in parts) for name in cls.__dataclass_fields__)
        return cls(*(np.concatenate(list(column)) for column in columns))

    @classmethod
    def between(cls, step: int, agents: NDArray[np.int64], origin: NDArray[np.int8], target: int) -> CaseMoves:
        """Moves (k,) at `step` into one compartment, whose onset it is."""
        return cls(agents, origin.copy(), np.full(len(agents), target, dtype=np.int8), np.full(len(agents), step))


@dataclass(frozen=True)
class Candidates:
    """Candidate causes of k transitions, one row each: move (m,) row of the transition, message, source, step, dose, probability.

    probability: the exposure's weight × dose as a share of all of that transition's candidates.
    """

    move: NDArray[np.int64]
    message: NDArray[np.int64]
    source: NDArray[np.int64]
    step: NDArray[np.int64]
    dose: NDArray[np.float64]
    probability: NDArray[np.float64]

    @classmethod
    def none(cls) -> Candidates:
        """Of moves that nothing caused."""
        whole, real = np.empty(0, dtype=np.int64), np.empty(0)
        return cls(whole, whole, whole, whole, real, real)


class CaseTracker:
    """Keeps, for one strain or state, the compartment of each agent as the observer sees it. compartment: (N,) index into
    COMPARTMENTS.

    Exposures are remembered for cause_window + spacing × (window − 1) steps: enough for whoever has a reading every `spacing`
    steps or more often. A case confirmed so late after its first sign that some are forgotten has no candidate causes: those left
    would take all the credit.
    """

    def __init__(self, definition: CaseDefinition | StateDefinition, index_case: NDArray[np.bool_]) -> None:
        self._definition = definition
        size = len(index_case)
        self.compartment = index_case.astype(np.int8)
        # By reading, the oldest first, and agent.
        self._reached = np.zeros((definition.window, size), dtype=bool)
        self._read_at = np.zeros((definition.window, size), dtype=np.int32)
        self._below = np.zeros(size, dtype=np.int32)
        self._heard: deque[tuple[Exposures, NDArray[np.float64]]] = deque(
            maxlen=definition.cause_window + definition.spacing * (definition.window - 1)
        )
        self._shown = (np.empty(0, dtype=np.int64), np.empty(0))
        self._shedding = definition.shedding if isinstance(definition, CaseDefinition) else None
        if self._shedding is not None:
            self._sheds = np.zeros((self._shedding.window, size), dtype=bool)
            self._quiet = np.zeros(size, dtype=np.int32)
        exposed = definition.exposed
        self._showers: deque[NDArray[np.int32]] = deque(maxlen=exposed.within if exposed else 0)

    @property
    def compartments(self) -> tuple[int, ...]:
        """Those that the definition tells apart, as indices into COMPARTMENTS."""
        carrier = self._definition.carrier if isinstance(self._definition, CaseDefinition) else None
        asked = ((E, self._definition.exposed), (C, carrier), (H, self._shedding))
        return (S, I, R, *(code for code, part in asked if part is not None))

    @property
    def is_case(self) -> NDArray[np.bool_]:
        """Whether each agent is one now, shedding or not, (N,)."""
        return (self.compartment == I) | (self.compartment == H)

    def read(
        self,
        step: int,
        agents: NDArray[np.int64],
        reached: NDArray[np.bool_],
        held: NDArray[np.bool_],
        certain: NDArray[np.bool_] | bool = False,
    ) -> CaseMoves:
        """Take one reading each of `agents` (n,) at `step`: whether it reached `enter`, whether it held `stay`.

        Who has none stays put. certain: whether the reading is a statement and not a measurement; then it needs no confirming,
        and one ends a case.
        """
        # A reading of everybody, as in a large population of mechanistic agents, needs no picking: a view will do.
        everybody = len(agents) == len(self.compartment) and bool(np.all(agents[1:] > agents[:-1]))
        rows = slice(None) if everybody else agents
        for earlier, later in pairwise(range(self._definition.window)):
            self._reached[earlier, rows], self._read_at[earlier, rows] = self._reached[later, rows], self._read_at[later, rows]
        self._reached[-1, rows], self._read_at[-1, rows] = reached, step
        self._below[rows] = np.where(held, 0, self._below[rows] + 1)
        now, case = self.compartment[rows].copy(), self._cases(rows)
        confirmed = self._reached[:, rows].sum(axis=0) >= self._definition.confirm
        over = self._below[rows] >= self._definition.recover_after
        enters = ~case & (confirmed | (certain & reached))
        recovers = case & (over | (certain & ~held))
        moved = np.flatnonzero(enters | recovers)
        target = np.where(enters, I, R).astype(np.int8)[moved]
        first = self._reached[:, agents[moved]].argmax(axis=0)
        signed = (target == I) & ~np.broadcast_to(certain, now.shape)[moved]
        onset = np.where(signed, self._read_at[first, agents[moved]], step).astype(np.int64)
        self.compartment[agents[moved]] = target
        # A new episode is judged by its own readings. What let an agent in was held, so `_below` begins at 0 by itself.
        self._reached[:, agents[moved]] = False
        if self._shedding is not None:
            self._sheds[:, agents[moved]] = False
        return CaseMoves(agents[moved], now[moved], target, onset)

    def _cases(self, rows: slice | NDArray[np.int64]) -> NDArray[np.bool_]:
        now = self.compartment[rows]
        return now == I if self._shedding is None else (now == I) | (now == H)

    def shed(self, step: int, agents: NDArray[np.int64], asks: NDArray[np.bool_]) -> CaseMoves:
        """Take one reading each of `agents` (n,): whether its message asks others to spread. Call after `read`."""
        rule = self._shedding
        if rule is None:
            raise ValueError("this case definition has no shedding")
        self._sheds[:-1, agents] = self._sheds[1:, agents]
        self._sheds[-1, agents] = asks
        self._quiet[agents] = np.where(asks, 0, self._quiet[agents] + 1)
        now = self.compartment[agents]
        begins = (now == I) & (self._sheds[:, agents].sum(axis=0) >= rule.confirm)
        ends = (now == H) & (self._quiet[agents] >= rule.end_after)
        self._sheds[:, agents[ends]] = False  # what is over is no sign of shedding again
        return CaseMoves.join([self._move(step, agents[begins], H), self._move(step, agents[ends], I)])

    def asked(self, step: int, agents: NDArray[np.int64], carries: NDArray[np.bool_], clear: NDArray[np.bool_]) -> CaseMoves:
        """Take what `agents` (n,) answered: whether it carries the strain, whether it is clear of it. Call after `read`."""
        now = self.compartment[agents]
        into = carries & np.isin(now, (S, E, R))
        return CaseMoves.join([self._move(step, agents[into], C), self._move(step, agents[clear & (now == C)], R)])

    def _move(self, step: int, agents: NDArray[np.int64], target: int) -> CaseMoves:
        moves = CaseMoves.between(step, agents, self.compartment[agents], target)
        self.compartment[agents] = target
        return moves

    def show(self, messages: NDArray[np.int64], dose: NDArray[np.float64]) -> None:
        """Remember how strongly each message (n,) shows the strain, 0 where it does not. Ids ascending over all calls."""
        shown = dose > 0
        self._shown = np.r_[self._shown[0], messages[shown]], np.r_[self._shown[1], dose[shown]]

    def hear(self, exposures: Exposures, oldest: int) -> CaseMoves:
        """Remember who heard which dose; call once a step, last. Who is exposed by it moves into E, where the definition has it.

        oldest: messages with a smaller id are never heard again.
        """
        ids, doses = self._shown
        dose = _looked_up(ids, doses, exposures.message)
        found = np.flatnonzero(dose > 0)
        self._heard.append((exposures.take(found), dose[found]))
        kept = ids >= oldest
        self._shown = ids[kept], doses[kept]
        self._forget()
        exposed, agents = self._definition.exposed, np.empty(0, dtype=np.int64)
        if exposed is not None:
            self._showers.append(np.bincount(exposures.agent[found], minlength=len(self.compartment)).astype(np.int32))
            agents = np.flatnonzero((np.sum(self._showers, axis=0) >= exposed.messages) & (self.compartment == S))
        return self._move(exposures.step, agents, E)

    def _forget(self) -> None:
        """Drop what is too old to cause any later onset; who has shown a sign and is not confirmed yet may still need it."""
        age = self._definition.cause_window
        if len(self._heard) > age:
            heard, dose = self._heard[-1 - age]
            waits = (self._reached.any(axis=0) & ~self.is_case)[heard.agent]
            self._heard[-1 - age] = heard.take(waits), dose[waits]

    def candidates(self, moves: CaseMoves) -> Candidates:
        """What may have caused each move into I or C: the exposures of the window before onset whose message shows the strain.

        Of a move from H to I, which begins no new case, there are none.
        """
        window = self._definition.cause_window
        caught = np.isin(moves.target, (I, C)) & (moves.origin != H)
        parts = []
        for heard, dose in self._heard:
            remembered = np.maximum(moves.onset - window, 0) >= self._heard[0][0].step
            due = (moves.onset - window <= heard.step) & (heard.step < moves.onset)
            parts.append(_of_step(moves, np.flatnonzero(caught & remembered & due), heard, dose))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.empty(0)] * 6
        move, message, source, step = (c.astype(np.int64) for c in columns[:4])
        dose, share = columns[4], columns[5]
        # Each part, and they one after the other, is sorted by step and message already.
        order = np.argsort(move, kind="stable")
        total = np.bincount(move, share, minlength=len(moves.agents))
        probability = share / total[move] if len(move) else share
        return Candidates(move[order], message[order], source[order], step[order], dose[order], probability[order])


def _looked_up(ids: NDArray[np.int64], values: NDArray[np.float64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The value (n,) of each of `wanted` (m,) among `ids` (n,), ascending; 0 for one that is not there. Shape (m,)."""
    if not len(ids) or not len(wanted):
        return np.zeros(len(wanted))
    first, last = min(ids[0], wanted.min()), max(ids[-1], wanted.max())
    if last - first >= 8 * len(wanted):
        at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        return np.where(ids[at] == wanted, values[at], 0.0)
    table = np.zeros(last - first + 1)  # For many a table is several times faster than a search.
    table[ids - first] = values
    return table[wanted - first]


def _of_step(
    moves: CaseMoves, into: NDArray[np.int64], heard: Exposures, dose: NDArray[np.float64]
) -> tuple[NDArray[np.generic], ...]:
    """Move, message, source, step, dose and weight × dose of the exposures in one step of the agents of moves `into` I (rows)."""
    start = np.searchsorted(heard.agent, moves.agents[into], side="left")
    count = np.searchsorted(heard.agent, moves.agents[into], side="right") - start
    move = np.repeat(into, count)
    _, rows = spans(start, count)
    share = dose[rows] * heard.weight[rows]
    return move, heard.message[rows], heard.source[rows], np.full(len(rows), heard.step), dose[rows], share
