"""Schedules: dataflow changes when agents have their turns, and nothing else."""

import asyncio
import gc
import hashlib
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from numpy.typing import NDArray
from omegaconf import OmegaConf

from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.parrot import Parrot
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.agents.scripted import Scripted
from contagium.agents.speaking import Speaking
from contagium.envs.dyads import Dyads
from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import Network, complete, ring, scale_free, small_world
from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.who import Place
from contagium.envs.world import Act, Consequence, Observation, World
from contagium.sim.laboratory import prepare
from contagium.sim.log import digest
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario
from contagium.sim.schedule import Dataflow, Rounds, Schedule, refusal

AXES, SIZE, STEPS = Axes(("spiral",)), 18, 8
SPIRAL = Persona(name="spiral", text="You spiral.", examples=tuple(f"Spiral line {k}." for k in range(5)))
PLAIN = Persona(name="plain", text="You are plain.", examples=("Lunch.", "The bus was late."))
EVENTS = {
    "news": PressureEvent(rate=0.2, duration=2, text="Bad news.", effect=Effect(valence=-0.3)),
    "once": PressureEvent(at=(1,), targets=(2, 3), text="Once."),
}
WORLDS: dict[str, Callable[[Network], World]] = {
    "forum of neighbours": lambda network: Forum(network, AXES, reads=2, board_reads=0),
    "forum": lambda network: Forum(network, AXES, reads=3, board_reads=1),
    "forum of two steps": lambda network: Forum(network, AXES, reads=3, board_reads=0, window=2),
    "wide forum of two steps": lambda network: Forum(network, AXES, reads=3, board_reads=1, window=2),
    "dyads": lambda network: Dyads(network, AXES),
    "dyads redrawn": lambda network: Dyads(network, AXES, redraw=3),
}
NETWORKS: dict[str, Callable[[int, Streams], Network]] = {
    "ring": lambda size, streams: ring(size, streams, 2),
    "small world": small_world,
    "scale-free": scale_free,
}
Ints = NDArray[np.int64]


def pause(order: int, request: Request) -> int:
    """Turns of the event loop that a request takes, another number for each `order`; a few take many."""
    draw = hashlib.blake2b(f"{order} {request.key('')}".encode(), digest_size=1).digest()[0]
    return 40 if draw < 25 else draw % 8


class Slow(Parrot):
    """A parrot that takes its time, differently for each request and each `order`; calls fail for some requests."""

    def __init__(self, order: int, failing: float = 0.15) -> None:
        super().__init__(adoption=0.6)
        self.order, self.failing = order, failing

    async def complete(self, request: Request) -> Completion:
        for _ in range(pause(self.order, request)):
            await asyncio.sleep(0)
        if int(request.key("fails")[:8], 16) < self.failing * 2**32:
            raise BackendError("no luck", reason="server_error")
        return await super().complete(request)


class Noting:
    """A policy around another that notes what its agents see, as text."""

    speaks = independent = True

    def __init__(self, policy: Policy) -> None:
        self.policy, self.seen = policy, {}

    def begin(self, setting: Setting) -> None:
        self.policy.begin(setting)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        for k, agent in enumerate(observation.agents.tolist()):
            read, pressure = observation.inbox.of(k), observation.pressure
            assert pressure is not None
            columns = (read.id, read.sender, read.step, read.channel, read.thread, read.reply_to)
            self.seen[observation.step, agent] = (
                [c.tolist() for c in columns],
                read.text,
                observation.inbox.weight[observation.inbox.indptr[k] : observation.inbox.indptr[k + 1]].tolist(),
                [pressure.intensity[k].tolist(), pressure.begins[k].tolist(), pressure.push[k].tolist(), pressure.news(k)],
                [observation.reward[k], observation.terminated[k], observation.truncated[k], observation.describe(agent)],
            )
        return await self.policy.act(observation, rng)

    async def ask(self, *question: Any) -> dict[int, Any]:
        return {}


class Played:
    """A schedule under way: `step` gives the turns of a step and brings the world there."""

    def __init__(
        self,
        kind: str,
        world: World,
        policies: list[Any],
        seed: int,
        steps: int = STEPS,
        backend: Parrot | None = None,
        **how: int,
    ) -> None:
        size, streams = world.network.size, Streams(seed)
        group = np.arange(size) % len(policies)
        strain = np.where(np.arange(size) == 1, 0, -1)
        population = Population(group, strain, np.ones(size), np.ones(size))
        for g, policy in enumerate(policies):
            mine = np.flatnonzero(group == g)
            policy.begin(Setting(mine, population, AXES, (SPIRAL,), PLAIN, name_of, ("calm", "sad"), 3, backend))
        world.reset(streams)
        pressure = PressureSchedule(EVENTS, Place(size, np.array([1])), streams)
        parts = (world, policies, population, AXES, streams, pressure, self._after)
        self.schedule: Schedule = Rounds(*parts) if kind == "rounds" else Dataflow(*parts, steps, **how)
        self.world, self.after, self.told = world, [], []

    async def _after(self, policy: Policy, agents: Ints, step: int) -> None:
        await asyncio.sleep(0)
        self.after.extend((step, agent) for agent in agents.tolist())

    async def step(self) -> None:
        step = self.world.step
        act = await self.schedule.act(step)
        sent = self.world.send(act)
        heard = self.world.deliver(sent, act)
        self.told.append((flat(act), flat(sent), flat(heard)))
        assert {(step, agent) for agent in act.agents.tolist()} == {pair for pair in self.after if pair[0] == step}

    async def all(self, steps: int = STEPS) -> None:
        try:
            for _ in range(steps):
                await self.step()
        finally:
            await self.schedule.close()


def flat(table: Act | Messages | Exposures) -> dict[str, str]:
    """All fields of a table as text, in which NaN equals NaN."""
    return {
        name: repr(value.tolist() if isinstance(value, np.ndarray) else dict(value) if isinstance(value, dict) else value)
        for name, value in vars(table).items()
    }


def tells(kind: str, make: Callable[[Network], World], network: Network, seed: int, order: int) -> tuple[Any, ...]:
    """Everything that comes out of a run of speaking and scripted agents, and how many turns are missing."""
    policies = [Noting(Speaking()), Noting(Speaking(index_voice="model")), Noting(Scripted())]
    played = Played(kind, make(network), policies, seed, backend=Slow(order))
    asyncio.run(played.all())
    seen = {place: what for policy in policies for place, what in policy.seen.items()}
    missing = sum(told[0]["missing"] != "{}" for told in played.told)
    return played.told, seen, sorted(played.after), missing


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("world", WORLDS)
def test_acts_messages_exposures_and_observations_are_equal(world: str, network: str) -> None:
    seed = 1 + list(NETWORKS).index(network) + len(NETWORKS) * list(WORLDS).index(world)  # another one in each case
    ties = NETWORKS[network](SIZE, Streams(seed))
    rounds = tells("rounds", WORLDS[world], ties, seed, 0)
    assert rounds[3] > 0, "some turns are missing"
    for order in (1, 2):
        assert tells("dataflow", WORLDS[world], ties, seed, order) == rounds


@pytest.mark.parametrize(
    "overrides",
    [
        ("backend.recovery=0.3", "env.window=2", "observer.report_every=2", "seeding.count=2", "pressure=rejection"),
        ("env=dyads", "env.redraw=3", "population.size=15", "seeding.count=3"),
    ],
    ids=["forum", "dyads"],
)
def test_whole_runs_have_equal_logs(overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the scenario to the last row of the log, under both schedules and with different latencies."""
    answer = Parrot.complete

    async def slow(self: Parrot, request: Request) -> Completion:
        for _ in range(pause(order, request)):
            await asyncio.sleep(0)
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", slow)
    asking = ("+observer.interviews.wish={question: What do you wish for?, every: 2}", "backend=parrot", "observer=lexicon")
    logs = set()
    for order, kind in enumerate(("rounds", "dataflow", "dataflow")):
        with initialize_config_module("contagium.conf", version_base="1.3"):
            config = compose("config", ["steps=8", f"run.schedule={kind}", *asking, *overrides])
        whole = OmegaConf.to_container(config, resolve=True)
        laboratory = prepare(make_scenario(whole), tmp_path / str(order))
        asyncio.run(run(laboratory, "test", lambda progress: None, lambda: None))
        logs.add(digest(tmp_path / str(order) / "run.db"))
    assert len(logs) == 1


class Gated:
    """Agents say where they are; agent 0 does not before it is let. started: (step, agent) of turns begun."""

    speaks = independent = True

    def __init__(self, fails: int = -1) -> None:
        self.let, self.fails = asyncio.Event(), fails
        self.started: list[tuple[int, int]] = []
        self.cancelled = 0

    def begin(self, setting: Setting) -> None:
        """Nothing to set up."""

    async def act(self, observation: Observation, rng: Streams) -> Act:
        (agent,) = observation.agents.tolist()
        self.started.append((observation.step, agent))
        try:
            if agent == 0:
                await self.let.wait()
            elif agent == self.fails and observation.step == 3:
                raise BackendError("no such model", reason="rejected", fatal=True)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        act = Act.idle(observation.agents, len(AXES))
        act.says[:] = True
        return act

    async def ask(self, *question: Any) -> dict[int, Any]:
        return {}


def narrow(size: int) -> World:
    """A forum on a ring in which each hears one neighbour on either side."""
    return Forum(ring(size, Streams(0), 2), AXES, reads=2, board_reads=0)


async def idle() -> None:
    """Let all others go as far as they can."""
    for _ in range(2_000):
        await asyncio.sleep(0)


def test_agents_run_ahead_by_their_distance_from_who_is_slow() -> None:
    """With agent 0 held up at step 0, its neighbours cannot begin step 1, theirs not step 2, and so on round the ring."""

    async def main() -> None:
        policy = Gated()
        played = Played("dataflow", narrow(20), [policy], 0, steps=30)
        turn = asyncio.create_task(played.all(30))
        await idle()
        last = {agent: max(step for step, who in policy.started if who == agent) for agent in range(20)}
        assert last == {0: 0} | {agent: min(agent, 20 - agent) - 1 for agent in range(1, 20)}
        assert played.told == []
        policy.let.set()
        await turn
        assert len(policy.started) == 20 * 30

    asyncio.run(main())


@pytest.mark.parametrize("ahead", [1, 3])
def test_what_is_held_is_bounded(ahead: int) -> None:
    """Agents that hear nobody could run to the end; they stop `ahead` steps on, and what all have read is let go."""

    async def main() -> None:
        policy = Gated()
        alone = Forum(Network.from_edges(9, [], []), AXES, reads=2, board_reads=0, window=2)
        played = Played("dataflow", alone, [policy], 0, steps=40, ahead=ahead)
        turn = asyncio.create_task(played.all(40))
        await idle()
        assert max(step for step, _ in policy.started) == ahead
        policy.let.set()
        schedule = played.schedule
        assert isinstance(schedule, Dataflow)
        held = 0
        while not turn.done():
            await asyncio.sleep(0)
            held = max(held, len(schedule._posts), len(schedule._acts))
        await turn
        assert 0 < held <= ahead + 1 + 2
        assert max(step for step, _ in policy.started) == 39

    asyncio.run(main())


def strictly(main: Coroutine[Any, Any, None]) -> None:
    """Run it; an exception that nobody retrieves, a task left behind or a warning is an error."""
    complaints: list[Any] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await main
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        await asyncio.sleep(0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(watched())
        gc.collect()
    assert complaints == []


def test_a_turn_that_fails_ahead_stops_all_at_once() -> None:
    """Agent 10 fails at step 3 while agent 0 still holds up step 0: its error comes out, and no turn is left."""

    async def main() -> None:
        policy = Gated(fails=10)
        played = Played("dataflow", narrow(20), [policy], 0, steps=30)
        with pytest.raises(BackendError, match="no such model"):
            await played.schedule.act(0)
        assert policy.cancelled == 1, "agent 0 was waiting"
        with pytest.raises(BackendError, match="no such model"):
            await played.schedule.act(0)
        await played.schedule.close()

    strictly(main())


def test_a_turn_that_fails_between_steps_comes_out_at_the_next() -> None:
    async def main() -> None:
        policy = Gated(fails=10)
        policy.let.set()
        played = Played("dataflow", narrow(20), [policy], 0, steps=30, ahead=3)
        await played.step()
        await played.step()
        await idle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(BackendError, match="no such model"):
            await played.step()

    strictly(main())


@pytest.mark.parametrize("kind", ["rounds", "dataflow"])
def test_a_run_that_is_cancelled_leaves_no_turn_behind(kind: str) -> None:
    class Stuck(Gated):
        async def act(self, observation: Observation, rng: Streams) -> Act:
            await self.let.wait()
            raise AssertionError("it is never let")

    async def main() -> None:
        played = Played(kind, narrow(20), [Stuck()], 0, steps=30)
        turn = asyncio.create_task(played.all())
        await idle()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    strictly(main())


def test_a_turn_that_is_cancelled_from_outside_does_not_hang_the_run() -> None:
    class Broken(Gated):
        async def act(self, observation: Observation, rng: Streams) -> Act:
            raise asyncio.CancelledError

    async def main() -> None:
        played = Played("dataflow", narrow(5), [Broken()], 0)
        with pytest.raises(asyncio.CancelledError, match="a turn was cancelled"):
            await played.schedule.act(0)

    strictly(main())


def test_a_closed_schedule_says_so() -> None:
    async def main() -> None:
        played = Played("dataflow", narrow(20), [Scripted()], 0)
        await played.step()
        await played.schedule.close()
        with pytest.raises(RuntimeError, match="the schedule is closed"):
            await played.step()

    strictly(main())


class Pasture(Forum):
    def consequence(self, act: Act) -> Consequence:
        return Consequence(np.ones(self.network.size), np.zeros(self.network.size, dtype=bool))


class Hall(World):
    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        return Exposures.none(step)


@pytest.mark.parametrize(
    ("world", "policies", "interventions", "reason"),
    [
        (Forum, [Speaking(), Scripted()], [], None),
        (Dyads, [Scripted()], [], None),
        (Hall, [Scripted()], [], "in Hall an act may reach everybody"),
        (Pasture, [Scripted()], [], "in Pasture an act may reach everybody"),
        (Forum, [Scripted(), Mechanistic()], [], "agents of Mechanistic act as a group"),
        (Forum, [Scripted()], ["quarantine"], "the intervention quarantine looks at everybody"),
    ],
)
def test_what_cannot_run_ahead_is_refused(
    world: type[World], policies: list[Policy], interventions: list[str], reason: str | None
) -> None:
    calm = PressureSchedule({}, Place(4, np.array([0])), Streams(0))
    why = refusal(world(complete(4, Streams(0)), AXES), policies, calm, interventions)
    assert why is None if reason is None else why is not None and why.startswith(reason)


def test_ahead_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="ahead must be at least 1 step, got 0"):
        Played("dataflow", narrow(5), [Scripted()], 0, ahead=0)
