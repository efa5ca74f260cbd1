"""A run in progress: one step after another, each read and committed whole."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from contagium.agents.backends.backend import BackendError, Completion
from contagium.agents.policy import Answer
from contagium.envs.world import Act
from contagium.sim.calls import Call
from contagium.sim.interview import Interviews
from contagium.sim.laboratory import Laboratory
from contagium.sim.log import EventLog
from contagium.sim.observer.instrument import Material
from contagium.sim.observer.watch import Watch
from contagium.sim.record import REFUSED, Happened, Recorder
from contagium.sim.schedule import Dataflow, Rounds, Schedule

GRACE = 10.0
"""Seconds for which a run that ends early waits for what is being read of its last step."""

FEWEST_TURNS = 10
"""Turns without which the share of missing ones says little."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step. tokens: written since this start, so without what the journal knew."""

    step: int
    steps: int
    calls: int
    tokens: int
    infectious: int
    seconds: float


def _logprobs(calls: list[Call]) -> dict[int, tuple[float, ...]]:
    """By agent the log-probability of each token it said, where the backend told."""
    done = {call.request.agent: call.outcome for call in calls if call.request.purpose == "speak"}
    return {
        agent: tuple(token.logprob for token in said.logprobs)
        for agent, said in done.items()
        if isinstance(said, Completion) and said.logprobs is not None
    }


class Running:
    """A run in progress: `step` takes it one step further."""

    def __init__(self, laboratory: Laboratory, log: EventLog) -> None:
        lab = self._lab = laboratory
        self._recorder = Recorder(log, lab)
        self._models = lab.models
        self._begun = time.perf_counter()
        self._tokens = -self._written()
        self._interviews = Interviews(lab.scenario.observer.interviews, lab.streams)
        self._turns: deque[tuple[int, Counter[str]]] = deque()
        self._answered = False
        self._observing: asyncio.Task[None] | None = None
        self._team = lab.interventions
        self._heedful = bool(self._team) or lab.pressure.heeds
        self._watch = Watch(lab.observer, lab.population.size)
        # Where nobody acts on what is read, it is read while the next step is being spoken.
        self._behind = not self._heedful and all(policy.independent for policy in lab.policies)
        lab.world.reset(lab.streams)
        parts = (lab.world, lab.policies, lab.population, lab.axes, lab.streams, lab.pressure, self._interviews.ask)
        dataflow = lab.scenario.run.schedule == "dataflow"
        self._schedule: Schedule = Dataflow(*parts, lab.scenario.steps) if dataflow else Rounds(*parts, self._team.shown)
        self._recorder.seeded()

    async def step(self) -> Progress:
        """One step, in the order that docs/design.md gives; it is in the log whole or not at all, after all earlier ones.

        It may be read, and committed, only while the next one is under way; `close` waits for the last.
        """
        lab, world, began = self._lab, self._lab.world, time.perf_counter()
        lab.budget.check()
        step = world.step
        if self._heedful:
            signs = self._watch.signs(step)
            lab.pressure.heed(signs)
            self._team.before(signs)
        act = await self._schedule.act(step)
        await self._observed()
        calls = self._take_calls(step)
        self._stop_if_missing(act, calls)
        answers = self._interviews.take(step)
        sent = world.send(act)
        heard, withheld = await self._team.transit(sent)
        calls += self._take_calls(step)
        exposures = world.deliver(heard, act, self._team.late if self._team.delays else None)
        happened = Happened(step, act, sent, withheld, exposures, world.settled, lab.pressure.due(step), answers)
        self._observing = asyncio.create_task(self._observe(happened, calls, began))
        if not self._behind or world.step == lab.scenario.steps:
            await self._observed()
        return Progress(
            step=step + 1,
            steps=lab.scenario.steps,
            calls=sum(backend.done for backend in self._models),
            tokens=self._tokens + self._written(),
            infectious=int(lab.observer.is_case().sum()),
            seconds=time.perf_counter() - self._begun,
        )

    async def _observe(self, happened: Happened, calls: list[Call], began: float) -> None:
        """Read a step, and commit it."""
        lab, world, step = self._lab, self._lab.world, happened.step
        seen = await lab.observer.observe(self._material(happened, calls))
        world.annotate(happened.sent.id, seen.expression(lab.axes))
        if self._heedful:
            self._watch.see(happened.sent, seen)
            self._team.after(happened.sent, seen)
            self._recorder.intervened(step, self._team.take())
        exposed = lab.observer.hear(happened.exposures, int(world.board.id[0]) if len(world.board) else 0)
        calls = [*calls, *self._take_calls(step)]
        self._recorder.step(happened, seen, exposed, calls, time.perf_counter() - began)

    async def _observed(self) -> None:
        """Wait until the step before is read and committed."""
        if self._observing is None:
            return
        try:
            # To be cancelled while waiting does not undo the reading: `close` waits for it again.
            await asyncio.shield(self._observing)
        except Exception:
            self._observing = None
            raise
        self._observing = None

    def _material(self, happened: Happened, calls: list[Call]) -> Material:
        act, sample, items = happened.act, self._lab.sample.detailed, self._lab.scenario.observer.interviews
        answers: dict[str, dict[int, Answer]] = {}
        for agent, item, answer in happened.answers:
            answers.setdefault(item, {})[agent] = answer
        told = sample[act.agents] if self._lab.world.choices else np.zeros(len(act.agents), dtype=bool)
        return Material(
            step=happened.step,
            messages=happened.sent,
            reports=act.report,
            thoughts=act.thought,
            answers=answers,
            open_items=frozenset(name for name in answers if items[name].open),
            choices=dict(zip(act.agents[told].tolist(), act.choice[told].tolist(), strict=True)),
            logprobs=_logprobs(calls),
        )

    def _take_calls(self, step: int) -> list[Call]:
        return [call for backend in self._models for call in backend.take(step)]

    def _written(self) -> int:
        """Tokens that models have written for this run, those of an earlier start included."""
        return sum(spent.completion_tokens for spent in self._lab.budget.spent.values())

    async def close(self) -> None:
        """Leave no turn under way, and commit the last step, if it can be read within `GRACE` seconds.

        What reading it raises, this raises: it comes before whatever ended the step after.
        """
        await self._schedule.close()
        if self._observing is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._observing, GRACE)

    def _stop_if_missing(self, act: Act, calls: list[Call]) -> None:
        """BackendError if too many turns have no result: such a run would measure the server, not its agents.

        It is raised before the step is in the log, so that a resumed run asks again for what is missing.
        """
        asked = {call.request.agent for call in calls if call.request.purpose == "speak"}
        if not asked:
            return
        missing = Counter(act.missing[agent] for agent in asked & act.missing.keys())
        self._answered |= missing.total() < len(asked)
        if not self._answered:
            errors = [first_line(call.outcome) for call in calls if isinstance(call.outcome, BackendError)]
            example = f"; e.g. {errors[0]}" if errors else ""
            message = f"the language model answered none of the first {len(calls)} calls ({_listed(missing)}){example}"
            raise BackendError(message, reason="missing", fatal=True)
        self._turns.append((len(asked), missing))
        while sum(count for count, _ in self._turns) - self._turns[0][0] >= FEWEST_TURNS:
            self._turns.popleft()
        turns, most = sum(count for count, _ in self._turns), self._lab.scenario.run.max_missing
        lost = sum((counts for _, counts in self._turns), Counter[str]())
        if turns >= FEWEST_TURNS and lost.total() > most * turns:
            message = f"{lost.total()} of the last {turns} turns are missing ({_listed(lost)}), above run.max_missing={most:g}"
            if any(reason in REFUSED or reason.startswith("empty_") for reason in lost):
                message += "; a resumed run asks again for what failed, but not for what was answered by nothing or a refusal"
            raise BackendError(message, reason="missing", fatal=True)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in counts.most_common())


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
