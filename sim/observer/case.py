"""The case definition: from readings to compartments, with hysteresis, and from transitions to candidate causes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagium.envs.message import Exposures, spans

COMPARTMENTS = ("S", "I", "R")

SPACING = 4
"""Steps between the readings of an agent up to which its candidate causes are sure to be remembered until it is confirmed."""


class CaseDefinition(BaseModel):
    """When an agent is a case of a strain.

    instrument: whose readings of the strain axis decide, where a message has words; an expression stated outright is taken at
    its word: it shows the strain from 0.5, one such message makes a case and one without it ends the case. confirm, window:
    an agent becomes a case when `confirm` of its last `window` readings reach the persona's `enter`
    threshold. Its onset is the first sign: the step of the oldest of those that did. recover_after: it recovers when that many
    readings in a row lie under `stay`. cause_window: steps before the onset in which an exposure is a candidate cause. A
    recovered agent can become a case again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str = "embedding"
    confirm: Annotated[int, Field(ge=1)] = 2
    window: Annotated[int, Field(ge=1)] = 3
    recover_after: Annotated[int, Field(ge=1)] = 3
    cause_window: Annotated[int, Field(ge=1)] = 3

    @model_validator(mode="after")
    def _window_holds_confirm(self) -> CaseDefinition:
        if self.confirm > self.window:
            raise ValueError(f"confirm must be at most window ({self.window}), got {self.confirm}")
        return self


@dataclass(frozen=True)
class CaseMoves:
    """Who moved, all shape (k,): agent ids, origin and target as indices into COMPARTMENTS, onset.

    onset: for a move into I that readings confirmed the step of the first sign, for any other the step of the move.
    """

    agents: NDArray[np.int64]
    origin: NDArray[np.int8]
    target: NDArray[np.int8]
    onset: NDArray[np.int64]


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


class CaseTracker:
    """Keeps, for one strain, the compartment of each agent as the observer sees it. compartment: (N,) index into COMPARTMENTS.

    Exposures are remembered for cause_window + SPACING × (window − 1) steps: enough for whoever has a reading every SPACING steps
    or more often. A case confirmed so late after its first sign that some are forgotten has no candidate causes: those left would
    take all the credit.
    """

    def __init__(self, definition: CaseDefinition, index_case: NDArray[np.bool_]) -> None:
        self._definition = definition
        size = len(index_case)
        self.compartment = index_case.astype(np.int8)
        # By reading, the oldest first, and agent.
        self._reached = np.zeros((definition.window, size), dtype=bool)
        self._read_at = np.zeros((definition.window, size), dtype=np.int32)
        self._below = np.zeros(size, dtype=np.int32)
        self._heard: deque[tuple[Exposures, NDArray[np.float64]]] = deque(
            maxlen=definition.cause_window + SPACING * (definition.window - 1)
        )
        self._shown = (np.empty(0, dtype=np.int64), np.empty(0))

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
        now = self.compartment[rows].copy()
        confirmed = self._reached[:, rows].sum(axis=0) >= self._definition.confirm
        over = self._below[rows] >= self._definition.recover_after
        enters = (now != 1) & (confirmed | (certain & reached))
        recovers = (now == 1) & (over | (certain & ~held))
        moved = np.flatnonzero(enters | recovers)
        target = np.where(enters, 1, 2).astype(np.int8)[moved]
        first = self._reached[:, agents[moved]].argmax(axis=0)
        signed = (target == 1) & ~np.broadcast_to(certain, now.shape)[moved]
        onset = np.where(signed, self._read_at[first, agents[moved]], step).astype(np.int64)
        self.compartment[agents[moved]] = target
        # A new episode is judged by its own readings. What let an agent in was held, so `_below` begins at 0 by itself.
        self._reached[:, agents[moved]] = False
        return CaseMoves(agents[moved], now[moved], target, onset)

    def show(self, messages: NDArray[np.int64], dose: NDArray[np.float64]) -> None:
        """Remember how strongly each message (n,) shows the strain, 0 where it does not. Ids ascending over all calls."""
        shown = dose > 0
        self._shown = np.r_[self._shown[0], messages[shown]], np.r_[self._shown[1], dose[shown]]

    def hear(self, exposures: Exposures, oldest: int) -> None:
        """Remember who heard which dose; call once a step, last. oldest: messages with a smaller id are never heard again."""
        ids, doses = self._shown
        dose = _looked_up(ids, doses, exposures.message)
        found = np.flatnonzero(dose > 0)
        self._heard.append((exposures.take(found), dose[found]))
        kept = ids >= oldest
        self._shown = ids[kept], doses[kept]
        self._forget()

    def _forget(self) -> None:
        """Drop what is too old to cause any later onset; who has shown a sign and is not confirmed yet may still need it."""
        age = self._definition.cause_window
        if len(self._heard) > age:
            heard, dose = self._heard[-1 - age]
            waits = (self._reached.any(axis=0) & (self.compartment != 1))[heard.agent]
            self._heard[-1 - age] = heard.take(waits), dose[waits]

    def candidates(self, moves: CaseMoves) -> Candidates:
        """What may have caused each move into I: the exposures of the window before onset whose message shows the strain."""
        window = self._definition.cause_window
        parts = []
        for heard, dose in self._heard:
            remembered = np.maximum(moves.onset - window, 0) >= self._heard[0][0].step
            due = (moves.onset - window <= heard.step) & (heard.step < moves.onset)
            parts.append(_of_step(moves, np.flatnonzero((moves.target == 1) & remembered & due), heard, dose))
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
