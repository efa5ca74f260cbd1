"""One turn of one agent, many times: all that it saw before as it was, or with a message changed, and the reply drawn anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from contagium.agents.backends.backend import Backend, BackendError, Completion, Request
from contagium.agents.backends.journal import Journal, JournalError
from contagium.agents.backends.wrapper import Wrapper
from contagium.agents.speaking import Speaking
from contagium.envs.rng import Streams
from contagium.envs.world import Observation
from contagium.sim.counterfactual.tape import Swaps, Tape, edited

SUMMARY = "summary"
SPOKEN = ("think", "speak")
"""Calls of a turn whose outcome is drawn anew; a summary, which comes before them, is what the agent made of what it saw."""

Recorded = Mapping[tuple[int, str], Sequence[str]]
"""What an agent was answered: by step and purpose the keys of its calls in the journal; the last one stood."""


class Told(Wrapper):
    """Answers as the run was answered, whatever stands in the request: what an agent said before stays said.

    Only a summary of something else than was summed up is asked for.
    """

    def __init__(self, backend: Backend, journal: Journal, recorded: Recorded) -> None:
        super().__init__(backend)
        self._journal, self._recorded = journal, recorded

    async def complete(self, request: Request) -> Completion:
        keys = self._recorded.get((request.step, request.purpose))
        if request.purpose == SUMMARY or not keys:
            return await self.backend.complete(request)
        match self._journal.recall(key := keys[-1]):
            case None:
                raise JournalError(f"{self._journal.path}: the call {key[:12]} of step {request.step} is missing")
            case BackendError() as error:
                raise error
            case Completion() as reply:
                return reply


class Drawn(Wrapper):
    """Asks what the agent says with another sampling seed, the same for all requests of the same sample; no more than that.

    sample: 0, 1, … expected: keys, one of which the first request must have before its seed is changed; None for any.
    """

    def __init__(self, backend: Backend, sample: int, expected: Sequence[str] | None = None) -> None:
        super().__init__(backend)
        self._sample, self._expected = sample, expected

    async def complete(self, request: Request) -> Completion:
        if request.purpose == SUMMARY:
            return await self.backend.complete(request)
        if request.purpose not in SPOKEN:
            raise BackendError("asked for nothing but words", reason="stopped")
        if self._expected is not None and request.key(self.model) not in self._expected:
            raise JournalError(f"what agent {request.agent} is asked in step {request.step} is not what it was asked in the run")
        self._expected = None
        return await self.backend.complete(drawn(request, self._sample))


def drawn(request: Request, sample: int) -> Request:
    """The request with the sampling seed of a sample."""
    seed = Streams(request.seed).integer("counterfactual", sample)
    return Request(
        request.messages, request.sampling, seed, request.replicate, request.purpose, None, request.agent, request.step
    )


class Turn:
    """A turn of an agent. policy: before its first turn. past: all that came before this one; now: what it was shown in it."""

    def __init__(
        self,
        policy: Speaking,
        backend: Backend,
        journal: Journal,
        past: Tape,
        now: Observation,
        recorded: Recorded,
        rng: Streams,
    ) -> None:
        self._policy, self._backend, self._told = policy, backend, Told(backend, journal, recorded)
        self._past, self._now, self._rng = past, now, rng
        step = now.step
        self._expected = recorded.get((step, "think")) or recorded.get((step, "speak"), ())

    async def replies(self, samples: int, swaps: Swaps | None = None) -> list[str | None]:
        """What the agent says, once for each sample, where `swaps` were before it; None where it says nothing."""
        past = self._policy.fork(self._told)
        for one_before in self._past:
            if isinstance(one_before, Observation):
                await past.act(edited(one_before, swaps or {}), self._rng)
            else:
                past.undergo(one_before)
        now = edited(self._now, swaps or {})
        expected = None if swaps else self._expected

        async def one(sample: int) -> str | None:
            act = await past.fork(Drawn(self._backend, sample, expected)).act(now, self._rng)
            return act.text.get(int(now.agents[0]))

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one(sample)) for sample in range(samples)]
        return [task.result() for task in asked]
