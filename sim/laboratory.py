"""From a scenario to a laboratory: everything a run needs, built and checked, with nothing yet started or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.backends.budget import Budget, Caps, Price
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.agents.weights import WeightsError
from contagium.envs.message import Axes
from contagium.envs.network import Network
from contagium.envs.pressure import PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.world import World
from contagium.sim.build import ScenarioError, build
from contagium.sim.calls import Recorded
from contagium.sim.footprint import must_fit
from contagium.sim.intervention import Intervention
from contagium.sim.observer.observer import STATED, Observer
from contagium.sim.populate import populate
from contagium.sim.sample import Sample
from contagium.sim.scenario import GroupSpec, Scenario
from contagium.sim.schedule import refusal


@dataclass(frozen=True)
class Laboratory:
    """A scenario, built: everything a run needs, nothing yet started or written. directory: where a run will be kept."""

    scenario: Scenario
    directory: Path
    journal: Journal | None
    budget: Budget
    notice: Callable[[str], None]
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

    @cached_property
    def sample(self) -> Sample:
        """Of whom the log tells everything."""
        asks = np.array([backend is not None for backend in self.backends])
        return Sample.draw(self.scenario.log, self.population, self.network, asks[self.population.group], self.streams)


def silent(line: str) -> None:
    """Nobody is told."""


def prepare(scenario: Scenario, directory: Path, notice: Callable[[str], None] = silent) -> Laboratory:
    """Build all parts of a scenario, to be run in `directory`. ScenarioError names in one line what does not fit.

    Nothing is started or written. notice: told what a person who waits should know, such as that a server is down.
    """
    must_fit(scenario)
    budget, journal = _budget(scenario), _journal(scenario, directory)
    backends = _backends(scenario, budget, journal, notice)
    people = society(scenario, backends)
    interventions = {n: build(s, f"intervention.{n}", name=n) for n, s in scenario.intervention.items()}
    reason = refusal(people.world, people.policies, interventions) if scenario.run.schedule == "dataflow" else None
    if reason is not None:
        raise ScenarioError(f"run.schedule=dataflow: {reason}")
    return Laboratory(
        scenario=scenario,
        directory=directory,
        journal=journal,
        budget=budget,
        notice=notice,
        backends=backends,
        interventions=interventions,
        observer=_observer(scenario, people),
        **people._asdict(),
    )


class Society(NamedTuple):
    """The part of a laboratory that acts: who lives where, with which minds, under what pressure."""

    streams: Streams
    network: Network
    axes: Axes
    population: Population
    world: World
    policies: tuple[Policy, ...]
    pressure: PressureSchedule


def society(scenario: Scenario, backends: Sequence[Backend | None]) -> Society:
    """Build what acts. backends: of each group. ScenarioError names what does not fit."""
    streams, size = Streams(scenario.seed), scenario.population.size
    built: Network = build(scenario.network, "network", size=size, streams=streams)
    network = built.flat  # in a world one hears another or does not, in whatever layer
    with _refused("persona, rivals, stances: "):
        axes = Axes(tuple(persona.name for persona in scenario.personas), scenario.stances)
    population = populate(scenario, network, streams)
    world: World = build(scenario.env, "env", network=network, axes=axes)
    policies = _policies(scenario, population, axes, world, backends)
    with _refused():
        index = np.flatnonzero(population.strain >= 0)
        pressure = PressureSchedule(scenario.pressure.events, size, index, streams)
    return Society(streams, network, axes, population, world, policies, pressure)


def _observer(scenario: Scenario, people: Society) -> Observer:
    spec = scenario.observer
    instruments = [build(s, f"observer.instruments.{name}", name=name) for name, s in spec.instruments.items()]
    # What a message states outright stands before what its words are read as.
    of_strain = [name for name in (STATED, spec.case.instrument) if name in spec.instruments]
    chosen = dict(spec.axes) | {strain: tuple(dict.fromkeys(of_strain)) for strain in people.axes.strains}
    # No instrument reads opinions in words.
    chosen |= {stance: (STATED,) for stance in people.axes.stances if STATED in spec.instruments}
    speaks = any(policy.speaks for policy in people.policies)
    with _refused():
        return Observer(instruments, chosen, spec.case, people.axes, scenario.personas, people.population, speaks)


def prices(scenario: Scenario) -> dict[str, Price]:
    """What each model costs, as far as the scenario says."""
    return {model: Price(price.input, price.output) for model, price in scenario.budget.prices.items()}


def _budget(scenario: Scenario) -> Budget:
    spec = scenario.budget
    return Budget(Caps(spec.calls, spec.tokens, spec.cost, spec.wall_time), prices(scenario))


def _journal(scenario: Scenario, directory: Path) -> Journal | None:
    """The journal of a run that asks a language model."""
    if all(group.backend is None for group in scenario.agents.groups.values()):
        return None
    cache = scenario.calls.cache
    return Journal(directory / "journal.db", cache=Path(cache).expanduser() if cache else None)


@contextmanager
def _refused(where: str = "") -> Iterator[None]:
    """What a part refuses, as a ScenarioError."""
    try:
        yield
    except (ValueError, WeightsError) as error:
        raise ScenarioError(f"{where}{error}") from error


def _policies(
    scenario: Scenario, population: Population, axes: Axes, world: World, backends: Sequence[Backend | None]
) -> tuple[Policy, ...]:
    """The policy of each group, told its setting."""
    listened = _listened(world, [backend is not None for backend in backends], population)
    policies = []
    for g, (name, group) in enumerate(scenario.agents.groups.items()):
        policy = _policy(scenario, name, group)
        setting = Setting(
            agents=np.flatnonzero(population.group == g),
            population=population,
            axes=axes,
            personas=scenario.personas,
            background=scenario.background,
            name=name_of,
            feelings=tuple(scenario.observer.feelings),
            report_every=scenario.observer.report_every,
            choices=world.choices,
            backend=backends[g],
            listened=listened,
        )
        with _refused(f"agents.groups.{name}: "):
            policy.begin(setting)
        policies.append(policy)
    return tuple(policies)


def _policy(scenario: Scenario, name: str, group: GroupSpec) -> Policy:
    """The policy of a group. What is wrong with a part that the scenario names for all groups is told under that name."""
    try:
        policy: Policy = build(group.policy, f"agents.groups.{name}.policy")
    except ScenarioError as error:
        told = str(error)
        for part in ("memory", "model", "affect", "coupling", "belief"):
            if group.policy.get(part) == getattr(scenario, part):
                told = told.replace(f"agents.groups.{name}.policy.{part}", part)
        raise ScenarioError(told) from error
    return policy


def _listened(world: World, asks: Sequence[bool], population: Population) -> Callable[[int], NDArray[np.int64] | None]:
    """For a step, the agents whose messages may come before one who reads words: who is of a group that asks a model."""
    readers = np.flatnonzero(np.array(asks)[population.group]).tolist()
    if not readers or type(world).sources is World.sources:
        return lambda step: None

    def at(step: int) -> NDArray[np.int64]:
        later = range(step, step + world.memory)
        return np.unique(np.concatenate([world.sources(s, reader) for s in later for reader in readers]))

    return at


def _backends(
    scenario: Scenario, budget: Budget, journal: Journal | None, notice: Callable[[str], None]
) -> tuple[Recorded | None, ...]:
    """The backend of each group, one object for all groups that name the same."""
    rules = CallRules(**scenario.calls.model_dump(exclude={"cache"}))
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
            endpoints: Backend | list[Backend] = build(group.backend, where)
            with _refused(f"{where}: "):
                backend = assemble(endpoints, rules, budget, journal, notice)
            if budget.caps.cost is not None and backend.model and backend.model not in budget.prices:
                raise ScenarioError(f"budget.cost: no price for {backend.model}; give one in budget.prices")
            built[key] = Recorded(backend)
        found.append(built[key])
    return tuple(found)
