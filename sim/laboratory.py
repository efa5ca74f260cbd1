"""From a scenario to a laboratory: everything a run needs, built and checked, with nothing yet started or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from contagium.agents.backends.backend import Backend
from contagium.agents.backends.budget import Budget, Caps, Price
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.policy import Policy, Population, Setting
from contagium.agents.weights import WeightsError
from contagium.envs.message import Axes
from contagium.envs.network import Network
from contagium.envs.pressure import PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.trial import try_out
from contagium.envs.who import Place
from contagium.envs.world import World
from contagium.sim.build import ScenarioError, build, first_error
from contagium.sim.calls import Recorded
from contagium.sim.footprint import must_fit
from contagium.sim.intervention.base import Ground, Intervention, must_have_points
from contagium.sim.intervention.hands import Hands
from contagium.sim.intervention.scope import Scope, Scoped
from contagium.sim.intervention.team import Team
from contagium.sim.observer.instrument import Briefing, Instrument
from contagium.sim.observer.observer import STATED, Observer
from contagium.sim.populate import populate, seeded
from contagium.sim.sample import Sample
from contagium.sim.scenario import GroupSpec, Scenario
from contagium.sim.schedule import refusal

MakeBackend = Callable[[dict[str, Any], str], Backend]
"""Makes the backend of a specification that stands under a key of the scenario."""


@dataclass(frozen=True)
class Laboratory:
    """A scenario, built: everything a run needs, nothing yet started or written.

    directory: where a run will be kept. backends: of each group. models: those of agents and instruments, each once. backend:
    makes the backend of a specification, the same object for all who name the same.
    """

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
    models: tuple[Recorded, ...]
    backend: MakeBackend
    pressure: PressureSchedule
    place: Place
    interventions: Team
    observer: Observer

    def name(self, agent: int) -> str:
        """What an agent is called."""
        return self.world.called(agent)

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
    makes = _Backends(scenario, budget, journal, notice)
    backends = tuple(None if spec is None else makes.of(spec, where) for where, spec in _asked(scenario))
    people = society(scenario, backends)
    if scenario.run.schedule == "dataflow":
        reason = refusal(people.world, people.policies, people.pressure, scenario.intervention)
        if reason is not None:
            raise ScenarioError(f"run.schedule=dataflow: {reason}")
    followed = (*people.axes.strains, *scenario.observer.states)
    with _refused():
        people.pressure.must_be_known(tuple(_measured(scenario, people.axes)), followed)
    interventions = interveners(scenario, people, people.policies, makes.of)
    for line in _never(scenario):
        notice(line)
    return Laboratory(
        scenario=scenario,
        directory=directory,
        journal=journal,
        budget=budget,
        notice=notice,
        backends=backends,
        interventions=interventions,
        observer=_observer(scenario, people, makes.of),
        models=tuple(makes.built),
        backend=makes.of,
        **people._asdict(),
    )


def _never(scenario: Scenario) -> Iterator[str]:
    """Which interventions will not work, because the run ends before they begin."""
    last = scenario.steps - 1
    for name, spec in scenario.intervention.items():
        if isinstance(start := spec.get("start", 0), int) and start > last:
            yield f"intervention.{name} starts in step {start}, and the last step is {last}: it will not work"


class Society(NamedTuple):
    """The part of a laboratory that acts: who lives where, with which minds, under what pressure."""

    streams: Streams
    network: Network
    axes: Axes
    population: Population
    world: World
    policies: tuple[Policy, ...]
    pressure: PressureSchedule
    place: Place


def society(scenario: Scenario, backends: Sequence[Backend | None]) -> Society:
    """Build what acts. backends: of each group. ScenarioError names what does not fit."""
    streams, size = Streams(scenario.seed), scenario.population.size
    built: Network = build(scenario.network, "network", size=size, streams=streams, part=partial(build, size=size))
    network = built.flat  # layers are for worlds that tell them apart
    with _refused("persona, rivals, stances: "):
        axes = Axes(tuple(persona.name for persona in scenario.personas), scenario.stances)
    strain = seeded(scenario, network, streams)
    index = np.flatnonzero(strain >= 0)
    make = partial(build, scenario.env, "env", network=built, axes=axes, index=tuple(index.tolist()))
    world: World = make()
    if not type(world).__module__.startswith("contagium."):
        with _refused("env: "):
            try_out(make, streams)
    population = populate(scenario, strain, streams, world)
    policies = _policies(scenario, population, axes, world, backends)
    with _refused():
        place = Place(size, index, network, population.group, tuple(scenario.agents.groups), world.role, world.roles)
        pressure = PressureSchedule(scenario.pressure.events, place, streams)
    return Society(streams, network, axes, population, world, policies, pressure, place)


def _observer(scenario: Scenario, people: Society, backend: MakeBackend) -> Observer:
    spec, chosen = scenario.observer, _measured(scenario, people.axes)
    built = instruments(scenario, people, backend, spec.instruments)
    with _refused("observer."):
        return Observer(built, chosen, spec.case, people.axes, scenario.personas, people.population, spec.states)


def _measured(scenario: Scenario, axes: Axes) -> dict[str, tuple[str, ...]]:
    """Of what agents show, all that is measured, and the instruments whose readings stand for it, best first."""
    spec = scenario.observer
    # What a message states outright stands before what its words are read as.
    of_strain = [name for name in (STATED, spec.case.instrument) if name in spec.instruments]
    chosen = dict(spec.axes) | {strain: tuple(dict.fromkeys(of_strain)) for strain in axes.strains}
    # No instrument reads opinions in words.
    return chosen | {stance: (STATED,) for stance in axes.stances if STATED in spec.instruments}


def instruments(
    scenario: Scenario, people: Society, backend: MakeBackend, specs: Mapping[str, dict[str, Any]]
) -> list[Instrument]:
    """Instruments, begun, with the language models that each names under `backend`: one, or several by name."""
    told = briefing(scenario, people)
    found = []
    for name, spec in specs.items():
        where, asks = f"observer.instruments.{name}", spec.get("backend") or {}
        named = {"": asks} if "_target_" in asks else asks
        models = {judge: backend(of, f"{where}.backend" + (f".{judge}" if judge else "")) for judge, of in named.items()}
        instrument: Instrument = build({k: v for k, v in spec.items() if k != "backend"}, where, name=name)
        with _refused(f"{where}: "):
            instrument.begin(replace(told, backends=models))
        found.append(instrument)
    return found


def briefing(scenario: Scenario, people: Society) -> Briefing:
    """What instruments are told as they begin."""
    return Briefing(
        axes=people.axes,
        personas=scenario.personas,
        speaks=any(policy.speaks for policy in people.policies),
        choices=people.world.choices,
        items=scenario.observer.interviews,
        streams=people.streams,
    )


def interveners(
    scenario: Scenario, people: Society, policies: Sequence[Policy], backend: MakeBackend, measures: Sequence[str] | None = None
) -> Team:
    """The interventions of a scenario, begun. policies: of each group. measures: of what agents show, those known at each step;
    None: all that the observer has. ScenarioError: one of them cannot work here."""
    followed = people.axes.strains if measures is not None else (*people.axes.strains, *scenario.observer.states)
    known = tuple(_measured(scenario, people.axes) if measures is None else measures)
    works = []
    for name, spec in scenario.intervention.items():
        where = f"intervention.{name}"
        with _refused(f"{where}: "):
            try:
                of_scope, rest = Scope.split(spec)
                scope = Scope.model_validate(of_scope)
            except ValidationError as error:
                raise ScenarioError(first_error(error, where)) from error
            asks = rest.pop("backend", None)
            made = build(rest, where)
            if not isinstance(made, Intervention):
                raise ValueError(f"an intervention must be an Intervention, got {type(made).__name__}")
            work = Scoped(name, made, scope, people.place, people.streams)
            work.must_be_known(known, followed)
            model = None if asks is None else backend(asks, f"{where}.backend")
            ground = _ground(scenario, people, policies, work, model, known)
            must_have_points(ground, made)
            made.begin(ground)
        works.append(work)
    with _refused("intervention: "):
        return Team(works, Hands(people.world, policies, people.population.group))


def _ground(
    scenario: Scenario,
    people: Society,
    policies: Sequence[Policy],
    work: Scoped,
    model: Backend | None,
    measures: tuple[str, ...],
) -> Ground:
    group = people.population.group
    return Ground(
        name=work.name,
        among=work.can,
        world=people.world,
        axes=people.axes,
        personas=scenario.personas,
        population=people.population,
        speaks=np.array([policy.speaks for policy in policies])[group],
        undergoes=lambda deed: np.array([deed in policy.undergoes for policy in policies])[group],
        model=model,
        briefing=briefing(scenario, people),
        measures=measures,
    )


def prices(scenario: Scenario) -> dict[str, Price]:
    """What each model costs, as far as the scenario says."""
    return {model: Price(price.input, price.output) for model, price in scenario.budget.prices.items()}


def _budget(scenario: Scenario) -> Budget:
    spec = scenario.budget
    return Budget(Caps(spec.calls, spec.tokens, spec.cost, spec.wall_time), prices(scenario))


def _journal(scenario: Scenario, directory: Path) -> Journal | None:
    """The journal of a run that asks a language model."""
    parts = (*scenario.observer.instruments.values(), *scenario.intervention.values())
    if all(spec is None for _, spec in _asked(scenario)) and not any(part.get("backend") for part in parts):
        return None
    cache = scenario.calls.cache
    return Journal(directory / "journal.db", cache=Path(cache).expanduser() if cache else None)


@contextmanager
def _refused(where: str = "") -> Iterator[None]:
    """What a part refuses, as a ScenarioError."""
    try:
        yield
    except ScenarioError:
        raise  # it names its key already
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
            name=world.called,
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


def _asked(scenario: Scenario) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """For each group the backend it asks, and the key under which the user knows it: most name that of the group `backend`."""
    for name, group in scenario.agents.groups.items():
        yield "backend" if group.backend == scenario.backend else f"agents.groups.{name}.backend", group.backend


class _Backends:
    """Makes backends, one object for all who name the same."""

    def __init__(self, scenario: Scenario, budget: Budget, journal: Journal | None, notice: Callable[[str], None]) -> None:
        self._rules = CallRules(**scenario.calls.model_dump(exclude={"cache"}))
        self._budget, self._journal, self._notice = budget, journal, notice
        self._by_spec: dict[str, Recorded] = {}

    @property
    def built(self) -> list[Recorded]:
        return list(self._by_spec.values())

    def of(self, spec: dict[str, Any], where: str) -> Recorded:
        """The backend of a specification, which stands under the key `where`."""
        key = repr(sorted(spec.items()))
        if key not in self._by_spec:
            endpoints: Backend | list[Backend] = build(spec, where)
            with _refused(f"{where}: "):
                backend = assemble(endpoints, self._rules, self._budget, self._journal, self._notice)
            if self._budget.caps.cost is not None and backend.model and backend.model not in self._budget.prices:
                raise ScenarioError(f"budget.cost: no price for {backend.model}; give one in budget.prices")
            self._by_spec[key] = Recorded(backend)
        return self._by_spec[key]
