"""What one agent was shown and underwent, turn by turn, so that its turns can be had again with something else before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from contagium.agents.policy import Deed, Policy
from contagium.envs.message import Inbox
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation
from contagium.sim.counterfactual.around import Around

Swaps = Mapping[int, str | None]
"""Message → what stands in its place, None for nothing."""

Tape = Sequence[Observation | Deed]
"""What one agent was shown and what interventions did to it, in the order in which it came."""


class Taped(Around):
    """A policy that keeps what some of its agents are shown and undergo. agents: whose. tapes: by agent, the oldest first."""

    def __init__(self, policy: Policy, agents: Collection[int]) -> None:
        super().__init__(policy)
        self._agents = frozenset(agents)
        self.tapes: defaultdict[int, list[Observation | Deed]] = defaultdict(list)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        for k, agent in enumerate(observation.agents.tolist()):
            if agent in self._agents:
                self.tapes[agent].append(alone(observation, k))
        return await super().act(observation, rng)

    def undergo(self, deed: Deed) -> None:
        for agent in self._agents.intersection(deed.agents.tolist()):
            self.tapes[agent].append(replace(deed, agents=np.array([agent])))
        super().undergo(deed)


def alone(observation: Observation, k: int) -> Observation:
    """What the k-th observed agent sees, for itself; what it is told of its situation is told now."""
    row, inbox = np.array([k]), observation.inbox
    rows = slice(inbox.indptr[k], inbox.indptr[k + 1])
    told = observation.describe(int(observation.agents[k]))
    return replace(
        observation,
        agents=observation.agents[row],
        inbox=Inbox(inbox.of(k), np.array([0, rows.stop - rows.start]), np.arange(rows.stop - rows.start), inbox.weight[rows]),
        pressure=None if observation.pressure is None else observation.pressure.take(row),
        reward=observation.reward[row],
        terminated=observation.terminated[row],
        truncated=observation.truncated[row],
        describe=lambda agent: told,
    )


def edited(observation: Observation, swaps: Swaps) -> Observation:
    """An observation that `alone` made, with messages swapped or left out."""
    messages, weight = observation.inbox.messages, observation.inbox.weight
    stays = ~np.isin(messages.id, [message for message, text in swaps.items() if text is None])
    kept = messages.take(stays)
    other = {message: text for message, text in swaps.items() if text is not None and message in kept.text}
    kept = replace(kept, text=kept.text | other)
    inbox = Inbox(kept, np.array([0, len(kept)]), np.arange(len(kept)), weight[stays])
    return replace(observation, inbox=inbox)
