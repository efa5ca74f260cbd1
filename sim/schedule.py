"""When each agent has its turn: step by step, or as soon as what it reads is there. What it reads and says is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Policy, Population
from contagium.envs.message import Axes, Mail, Messages
from contagium.envs.pressure import Pressure, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

AfterTurn = Callable[[Policy, NDArray[np.int64], int], Awaitable[None]]
"""Called with a policy, those of its agents who had their turn, and the step, before any of them has its next."""


class Schedule(Protocol):
    """Gives the agents of a world their turns. Call `act` for steps 0, 1, …, deliver each act before the next, `close` at last.

    What a turn raises, `act` raises; then no turn is under way any more.
    """

    async def act(self, step: int) -> Act:
        """What all whose turn it is at `step` do."""

    async def close(self) -> None:
        """Stop the turns that are under way."""


def refusal(world: World, policies: Sequence[Policy], pressure: PressureSchedule, interventions: Collection[str]) -> str | None:
    """Why these cannot run as dataflow, in one line; None where they can. interventions: names."""
    kind = type(world)
    if kind.sources is World.sources or kind.consequence is not World.consequence:
        return f"in {kind.__name__} an act may reach everybody at once, so that nobody can go ahead"
    for policy in policies:
        if not policy.independent:
            return f"agents of {type(policy).__name__} act as a group, so that none can go ahead"
    if pressure.heeds:
        return "a pressure event waits for what agents show, so that nobody can go ahead"
    if interventions:
        return f"the intervention {next(iter(interventions))} looks at everybody after each step, so that nobody can go ahead"
    return None


class _Turns:
    """What both schedules work with.

    world: after its reset. population: its groups are those of `policies`. shown: what interventions make of what agents see;
    there are none where agents go ahead.
    """

    def __init__(
        self,
        world: World,
        policies: Sequence[Policy],
        population: Population,
        axes: Axes,
        streams: Streams,
        pressure: PressureSchedule,
        after_turn: AfterTurn,
        shown: Callable[[Observation], Observation] = lambda seen: seen,
    ) -> None:
        self._world, self._policies, self._group = world, policies, population.group
        self._axes, self._streams, self._pressure, self._after_turn = axes, streams, pressure, after_turn
        self._shown = shown


class Rounds(_Turns):
    """All groups observe and act at the same time, and the next step begins when the last of them is done."""

    # What pressed on agents that have had no turn since: it waits for them, as messages do.
    _missed: Pressure | None = None

    async def act(self, step: int) -> Act:
        pressure, active = self._pressure.due(step), self._world.active(step)
        pressure = pressure if self._missed is None else pressure.plus(self._missed)
        self._missed = None if len(active) == len(self._group) else pressure.without(active)
        turns = []
        async with asyncio.TaskGroup() as tasks:
            for g, policy in enumerate(self._policies):
                mine = active[self._group[active] == g]
                if len(mine):
                    turns.append(tasks.create_task(self._turn(policy, mine, pressure)))
        return Act.merge([turn.result() for turn in turns], len(self._axes))

    async def close(self) -> None:
        """Nothing is under way between steps."""

    async def _turn(self, policy: Policy, agents: NDArray[np.int64], pressure: Pressure) -> Act:
        seen = self._shown(self._world.observe(agents, pressure))
        act = await policy.act(seen, self._streams)
        await self._after_turn(policy, agents, seen.step)
        return act


class Dataflow(_Turns):
    """An agent's turn begins as soon as its own last one and those of its sources are over, ahead of the world if need be.

    What it reads is put together from the messages of its sources alone, as the world would deliver them; but on what is measured
    in messages (`annotate`) no turn waits, so that expressions not stated outright are NaN. steps: of the run. ahead: steps, at
    least 1, that a turn may be ahead of the step asked for, which bounds the acts and messages held. For what `refusal` lets
    pass. Source: the idea, Xie et al. 2024 (AI Metropolis, arXiv 2411.03519).
    """

    def __init__(
        self,
        world: World,
        policies: Sequence[Policy],
        population: Population,
        axes: Axes,
        streams: Streams,
        pressure: PressureSchedule,
        after_turn: AfterTurn,
        steps: int,
        ahead: int = 32,
    ) -> None:
        super().__init__(world, policies, population, axes, streams, pressure, after_turn)
        if ahead < 1:
            raise ValueError(f"ahead must be at least 1 step, got {ahead}")
        self._steps, self._ahead, self._size = steps, ahead, population.size
        self._due = lru_cache(ahead + 2)(pressure.due)
        self._has_turn = lru_cache(ahead + 2)(self._turns_at)
        # Agents by the steps they are through with, and last, at `size`, the caller of `act` by the steps it has asked for.
        self._progress = _Progress(self._size + 1)
        self._posts: dict[int, dict[int, Messages]] = {}  # by step and sender, each a table of one message
        self._acts: dict[int, list[Act]] = {}
        self._left: dict[int, int] = {}  # step → agents who are not through with it
        self._tasks: list[asyncio.Task[None]] = []
        self._arrived = asyncio.Event()
        self._awaited = 0
        self._failure: BaseException | None = None

    async def act(self, step: int) -> Act:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._live(agent)) for agent in range(self._size)]
            for task in self._tasks:
                task.add_done_callback(self._ended)
        self._awaited = step
        self._progress.reached(self._size, step + 1)
        while self._failure is None and self._left.get(step, self._size):
            self._arrived.clear()
            await self._arrived.wait()
        if self._failure is not None:
            await self.close()
            raise self._failure
        # Everybody is through with this step, and what is heard at it may still be asked for, but not at the steps before.
        self._posts.pop(step - self._world.memory, None)
        del self._left[step]
        return Act.merge(self._acts.pop(step, []), len(self._axes))

    async def close(self) -> None:
        self._fail(RuntimeError("the schedule is closed"))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, agent: int) -> None:
        """All turns of one agent."""
        world, me, policy = self._world, np.array([agent]), self._policies[self._group[agent]]
        nothing = Mail.none(len(self._axes), self._size)
        mail, missed = nothing, None
        for step in range(self._steps):
            await self._progress.reach(self._size, step + 1 - self._ahead)
            if step:
                mail = await self._listen(me, step - 1, mail)
            pressure = self._due(step).take(me)
            pressure = pressure if missed is None else pressure.plus(missed)
            if not self._has_turn(step)[agent]:
                missed = pressure
                self._progress.reached(agent, step + 1)
                self._through(step)
                continue
            act = await policy.act(world.seen(step, me, mail, pressure), self._streams)
            if len(said := world.said(step, act, mail)):
                self._posts.setdefault(step, {})[agent] = said
            mail, missed = nothing, None
            self._progress.reached(agent, step + 1)
            await self._after_turn(policy, me, step)
            self._acts.setdefault(step, []).append(act)
            self._through(step)

    async def _listen(self, reader: NDArray[np.int64], step: int, mail: Mail) -> Mail:
        """The mail of `reader` (1,) with what it hears at `step`, once its sources are through with that."""
        world = self._world
        sources = world.sources(step, int(reader[0])).tolist()
        for source in sources:
            await self._progress.reach(source, step + 1)
        recent = [self._posts.get(s, {}) for s in range(step - world.memory + 1, step + 1)]
        posts = [said[source] for said in recent for source in sources if source in said]
        if not posts:
            return mail
        board = Messages.join(posts)
        heard = world.hear(step, board, reader)
        board = board.take(np.isin(board.id, heard.message))
        if len(mail.board):
            # A message may have been heard before and not yet read.
            both = mail.board.concat(board)
            board = both.take(np.unique(both.id, return_index=True)[1])
        return Mail(board, mail.heard.concat(heard), self._size)

    def _turns_at(self, step: int) -> NDArray[np.bool_]:
        turn = np.zeros(self._size, dtype=bool)
        turn[self._world.active(step)] = True
        return turn

    def _through(self, step: int) -> None:
        """One more agent has nothing more to do at `step`."""
        self._left[step] = self._left.get(step, self._size) - 1
        if step == self._awaited and not self._left[step]:
            self._arrived.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError("a turn was cancelled") if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """All turns end, for the first error that there is."""
        if self._failure is None:
            self._failure = error
            self._arrived.set()
        for task in self._tasks:
            task.cancel()


class _Progress:
    """How far each of n has come, and a way to wait for it."""

    def __init__(self, n: int) -> None:
        self._count = [0] * n
        self._waited: dict[tuple[int, int], asyncio.Event] = {}

    async def reach(self, who: int, count: int) -> None:
        """Wait until `who` has come to `count`."""
        if self._count[who] < count:
            await self._waited.setdefault((who, count), asyncio.Event()).wait()

    def reached(self, who: int, count: int) -> None:
        """`who`, which was one below, has come to `count`."""
        self._count[who] = count
        if (event := self._waited.pop((who, count), None)) is not None:
            event.set()
