"""All interventions of a run, in the order in which the scenario names them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import Exposures, Messages
from contagium.envs.when import Signs
from contagium.envs.world import Observation
from contagium.sim.intervention.base import Intervention, Moment
from contagium.sim.intervention.hands import Done, Hands
from contagium.sim.intervention.scope import Scoped
from contagium.sim.observer.observer import Seen

NEVER = -1


class Team:
    """Has each intervention do its work at its point of a step, and keeps what was done for the log.

    works: begun. ValueError: two of them hold the same of one agent in one step, or memories are too small for their notes.
    """

    def __init__(self, works: Sequence[Scoped], hands: Hands) -> None:
        self._works, self._hands = works, hands
        self._moments: list[Moment] = []
        for one, other in combinations([work for work in works if work.intervention.holds], 2):
            what = one.intervention.holds
            if what == other.intervention.holds and one.may_overlap(other):
                raise ValueError(f"{one.name} and {other.name} both hold the {what} of the same agents at the same time")
        hands.must_hold([(work.can, text) for work in works for text in work.intervention.notes])
        self._between = [
            k
            for k, work in enumerate(works)
            if type(work.intervention).stops is not Intervention.stops
            or type(work.intervention).delays is not Intervention.delays
        ]

    def __len__(self) -> int:
        return len(self._works)

    def before(self, signs: Signs) -> None:
        """Before agents act in the step `signs.step`."""
        self._hands.next_step()
        self._moments = [work.moment(signs) for work in self._works]
        # Whoever lets an agent go does so before another takes hold of it.
        for work, moment in sorted(zip(self._works, self._moments, strict=True), key=lambda pair: not pair[1].gone.any()):
            self._hands.name = work.name
            work.intervention.before(moment, self._hands)

    def shown(self, seen: Observation) -> Observation:
        """What agents see, with all that interventions tell them."""
        return self._hands.shown(seen)

    async def transit(self, sent: Messages) -> tuple[Messages, NDArray[np.bool_]]:
        """The messages that will be heard, as they will be, and which of the n sent are not, (n,) bool.

        Each intervention sees what those before it have let pass.
        """
        left = sent
        for work, moment in zip(self._works, self._moments, strict=True):
            passage = await work.intervention.transit(moment, left)
            self._note(work.name, "withheld", left, passage.withheld)
            if other := _edited(left, passage.messages):
                self._note(work.name, "edited", left, np.isin(left.id, list(other)) & ~passage.withheld, other)
            left = passage.messages.take(~passage.withheld) if passage.withheld.any() else passage.messages
        every = len(left) == len(sent)
        return left, np.zeros(len(sent), dtype=bool) if every else ~np.isin(sent.id, left.id)

    @property
    def delays(self) -> bool:
        """Whether any of them stands between single agents."""
        return bool(self._between)

    def late(self, exposures: Exposures) -> NDArray[np.int64]:
        """By how many steps each of m exposures comes late, (m,); −1: it does not come about.

        Each intervention sees what those before it have let pass.
        """
        late, left = np.zeros(len(exposures), dtype=np.int64), np.arange(len(exposures))
        for k in self._between:
            work, moment = self._works[k], self._moments[k]
            seen = exposures if len(left) == len(exposures) else exposures.take(left)
            stops = work.intervention.stops(moment, seen)
            waits = np.where(stops, 0, work.intervention.delays(moment, seen))
            for action, some in (("stopped", stops), ("delayed", waits > 0)):
                if some.any():
                    self._hands.done.append(Done(work.name, action, seen.agent[some], seen.message[some]))
            late[left] += waits
            late[left[stops]] = NEVER
            left = left[~stops]
        return late

    def after(self, sent: Messages, seen: Seen) -> None:
        """After the observer has read the step. sent: its messages."""
        for work, moment in zip(self._works, self._moments, strict=True):
            self._hands.name = work.name
            work.intervention.after(moment, sent, seen, self._hands)

    def take(self) -> list[Done]:
        """What has been done since this was last asked for."""
        return self._hands.take()

    def _note(self, name: str, action: str, sent: Messages, some: NDArray[np.bool_], detail: dict[int, str] | str = "") -> None:
        if some.any():
            self._hands.done.append(Done(name, action, sent.sender[some], sent.id[some], detail))


def _edited(before: Messages, after: Messages) -> dict[int, str]:
    """The texts that are others now, by message, and "" for a message of which only the expression is."""
    if after is before:
        return {}
    changed = {i: text for i, text in after.text.items() if before.text.get(i) != text}
    if after.expression is not before.expression:
        same = np.all((after.expression == before.expression) | np.isnan(before.expression), axis=1)
        changed = dict.fromkeys(before.id[~same].tolist(), "") | changed
    return changed
