"""One run: binds world, policies and observer, goes through the steps, and commits each to the log."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contagium.agents.backends.backend import Backend, BackendError
from contagium.agents.backends.limit import Limited
from contagium.agents.backends.retry import Retrying
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.agents.weights import WeightsError
from contagium.envs.message import Axes, Messages
from contagium.envs.network import Network
from contagium.envs.pressure import Pressure, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.world import Act, World
from contagium.sim.build import ScenarioError, build
from contagium.sim.calls import Call, Recorded
from contagium.sim.intervention import Intervention, Transit
from contagium.sim.log import EventLog, LogError
from contagium.sim.observer.instrument import Material
from contagium.sim.observer.observer import STATED, Observer
from contagium.sim.populate import populate
from contagium.sim.record import Recorder, facts
from contagium.sim.scenario import Scenario


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step."""

    step: int
    steps: int
    calls: int
    tokens: int
    infectious: int
    seconds: float


@dataclass(frozen=True)
class Laboratory:
    """A scenario, built: everything a run needs, nothing yet started or written."""

    scenario: Scenario
    streams: Streams
    network: Network
    axes: Axes
    population: Population
    world: World
    policies: tuple[Policy, ...]
    backends: tuple[Recorded | None, ...]
    pressure: PressureSchedule
    interventions: dict[str, Intervention]
    observer: Observer

    @property
    def models(self) -> list[Recorded]:
        """The language models that are asked, each once, whichever groups share it."""
        return list(dict.fromkeys(backend for backend in self.backends if backend is not None))


def prepare(scenario: Scenario) -> Laboratory:
    """Build all parts of a scenario. ScenarioError names in one line what does not fit; nothing is started or written."""
    streams = Streams(scenario.seed)
    size, spec = scenario.population.size, scenario.observer
    network: Network = build(scenario.network, "network", size=size, streams=streams)
    axes = Axes((scenario.persona.name,))
    population = populate(scenario, network, streams)
    index = np.flatnonzero(population.strain >= 0)
    instruments = [build(s, f"observer.instruments.{name}", name=name) for name, s in spec.instruments.items()]
    # What a message states outright stands before what its words are read as.
    of_strain = [name for name in (STATED, spec.case.instrument) if name in spec.instruments]
    chosen = dict(spec.axes) | {axes.strains[0]: tuple(dict.fromkeys(of_strain))}
    backends = _backends(scenario)
    policies = _policies(scenario, population, axes, backends)
    speaks = any(policy.speaks for policy in policies)
    with _refused():
        pressure = PressureSchedule(scenario.pressure.events, size, index, streams)
        observer = Observer(instruments, chosen, spec.case, axes, (scenario.persona,), population, speaks)
    return Laboratory(
        scenario=scenario,
        streams=streams,
        network=network,
        axes=axes,
        population=population,
        world=build(scenario.env, "env", network=network, axes=axes),
        policies=policies,
        backends=backends,
        pressure=pressure,
        interventions={n: build(s, f"intervention.{n}", name=n) for n, s in scenario.intervention.items()},
        observer=observer,
    )


@contextmanager
def _refused(where: str = "") -> Iterator[None]:
    """What a part refuses, as a ScenarioError."""
    try:
        yield
    except (ValueError, WeightsError) as error:
        raise ScenarioError(f"{where}{error}") from error


def _policies(
    scenario: Scenario, population: Population, axes: Axes, backends: tuple[Recorded | None, ...]
) -> tuple[Policy, ...]:
    """The policy of each group, told its setting."""
    policies = []
    for g, (name, group) in enumerate(scenario.agents.groups.items()):
        policy: Policy = build(group.policy, f"agents.groups.{name}.policy")
        setting = Setting(
            agents=np.flatnonzero(population.group == g),
            population=population,
            axes=axes,
            personas=(scenario.persona,),
            background=scenario.background,
            name=name_of,
            feelings=tuple(scenario.observer.feelings),
            report_every=scenario.observer.report_every,
            backend=backends[g],
        )
        with _refused(f"agents.groups.{name}: "):
            policy.begin(setting)
        policies.append(policy)
    return tuple(policies)


def _backends(scenario: Scenario) -> tuple[Recorded | None, ...]:
    """The backend of each group, one object for all groups that name the same."""
    built: dict[str, Recorded] = {}
    found: list[Recorded | None] = []
    for name, group in scenario.agents.groups.items():
        if group.backend is None:
            found.append(None)
            continue
        key = repr(sorted(group.backend.items()))
        if key not in built:
            # Named as the user knows it: most scenarios have one backend, that of the group `backend`.
            where = "backend" if group.backend == scenario.backend else f"agents.groups.{name}.backend"
            backend: Backend = build(group.backend, where)
            built[key] = Recorded(Retrying(Limited(backend, backend.concurrency)))
        found.append(built[key])
    return tuple(found)


class Running:
    """A run in progress: `step` takes it one step further."""

    def __init__(self, laboratory: Laboratory, log: EventLog) -> None:
        self._lab = laboratory
        self._recorder = Recorder(log, laboratory)
        self._models = laboratory.models
        self._begun = time.perf_counter()
        self._answered = False
        # What pressed on agents that have had no turn since.
        self._missed: Pressure | None = None
        laboratory.world.reset(laboratory.streams)
        self._recorder.seeded()

    async def step(self) -> Progress:
        """One step, in the order that docs/design.md gives; it is in the log whole or not at all."""
        lab, world, began = self._lab, self._lab.world, time.perf_counter()
        step = world.step
        pressure = lab.pressure.due(step)
        act = await self._act(world.active(), pressure if self._missed is None else pressure.plus(self._missed))
        sent = world.send(act)
        withheld = self._intervene(sent)
        exposures = world.deliver(sent.take(~withheld), act)
        seen = lab.observer.observe(Material(step, sent, act.report))
        world.annotate(sent.id, seen.expression)
        lab.observer.hear(exposures, int(world.board.id[0]) if len(world.board) else 0)
        calls = [call for backend in self._models for call in backend.take()]
        self._recorder.step(
            step, pressure, act, sent, withheld, exposures, world.settled, seen, calls, time.perf_counter() - began
        )
        self._stop_if_unanswered(act, calls)
        return Progress(
            step=step + 1,
            steps=lab.scenario.steps,
            calls=sum(backend.done for backend in self._models),
            tokens=sum(backend.tokens for backend in self._models),
            infectious=int(lab.observer.is_case().sum()),
            seconds=time.perf_counter() - self._begun,
        )

    def _stop_if_unanswered(self, act: Act, calls: list[Call]) -> None:
        """BackendError if no call of this run ever gave a message: it would go through its steps with nobody speaking."""
        asked = {call.request.agent for call in calls if call.request.purpose == "speak"}
        self._answered |= bool(asked - act.missing.keys())
        if asked and not self._answered:
            counts = Counter(act.missing[agent] for agent in asked).most_common()
            reasons = ", ".join(f"{count} × {reason}" for reason, count in counts)
            raise BackendError(f"the language model answered none of the first {len(calls)} calls ({reasons})", reason="rejected")

    async def _act(self, active: np.ndarray, pressure: Pressure) -> Act:
        """All groups observe and act at the same time; pressure on who has no turn waits for it, as messages do."""
        lab = self._lab
        self._missed = pressure.without(active)
        turns = []
        async with asyncio.TaskGroup() as tasks:
            for g, policy in enumerate(lab.policies):
                mine = active[lab.population.group[active] == g]
                if len(mine):
                    observation = lab.world.observe(mine, pressure)
                    turns.append(tasks.create_task(policy.act(observation, lab.streams)))
        return Act.merge([turn.result() for turn in turns], len(lab.axes))

    def _intervene(self, sent: Messages) -> np.ndarray:
        """Which messages are withheld, (n,) bool; each intervention's doing is logged under its name."""
        withheld = np.zeros(len(sent), dtype=bool)
        for name, intervention in self._lab.interventions.items():
            transit = Transit(self._lab.world.step, sent, self._lab.observer.is_case())
            stopped = intervention.withhold(transit, self._lab.streams)
            self._recorder.intervened(self._lab.world.step, name, sent, stopped)
            withheld |= stopped
        return withheld


async def run(
    laboratory: Laboratory, directory: Path, command: str, watch: Callable[[Progress], None], opened: Callable[[], None]
) -> None:
    """Run a laboratory to its end and leave `run.db` in `directory`.

    opened: called once the models are there and the log is open, before the first step. An exception before that leaves no log; a
    later one ends the run with status "interrupted" (Ctrl-C, cancellation) or "failed" in the log, whose committed steps stay
    readable. Either is raised again.
    """
    async with AsyncExitStack() as stack:
        for backend in laboratory.models:
            await stack.enter_async_context(backend)
        # Only now, when nothing can be wrong with the setting any more, is anything written.
        directory.mkdir(parents=True, exist_ok=True)
        log = EventLog(directory / "run.db")
        began = time.perf_counter()
        try:
            log.meta(facts(laboratory, command))
            running = Running(laboratory, log)
            opened()
        except BaseException:
            log.remove()
            raise
        try:
            for _ in range(laboratory.scenario.steps):
                watch(await running.step())
            log.meta({"status": "finished", "wall_seconds": time.perf_counter() - began})
        except BaseException as error:
            stopped = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt))
            status, reason = ("interrupted", "stopped by Ctrl-C") if stopped else ("failed", first_line(root(error)))
            _close_failed(log, status, reason, time.perf_counter() - began)
            raise
        log.close()


def _close_failed(log: EventLog, status: str, reason: str, seconds: float) -> None:
    log.discard()
    # On a full disk this fails too; the error that ended the run is the one to tell.
    with suppress(LogError):
        log.meta({"status": status, "reason": reason, "wall_seconds": seconds})
    log.close()


def root(error: BaseException) -> BaseException:
    """An error out of the groups that tasks put it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
