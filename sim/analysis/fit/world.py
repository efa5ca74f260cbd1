"""A fitted model in the world it was measured in, or in a larger one of its kind: epidemic curves, without observer or log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend
from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.carriage import Carriage
from contagium.agents.mechanistic.contagion import ContagionModel
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.policy import Answer, Deed, Policy, Question, Setting, nothing_to_undergo
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.world import Act, Observation
from contagium.sim.analysis.fit.compose import Rates
from contagium.sim.build import ScenarioError, build, must_be_ours
from contagium.sim.intervention.team import Team
from contagium.sim.laboratory import Society, interveners, society
from contagium.sim.log import Run
from contagium.sim.scenario import Scenario, make_scenario

MECHANISTIC = {"mechanistic": {"share": 1, "policy": {"_target_": "contagium.agents.mechanistic.policy.Mechanistic"}}}


@dataclass(frozen=True)
class Curves:
    """An epidemic as it is compared. prevalence, ever: (T,), cases after each step, and agents that were one up to then."""

    size: int
    index: int
    prevalence: NDArray[np.int64]
    ever: NDArray[np.int64]

    @property
    def attack(self) -> float:
        """Attack rate: the share of all but the index cases that ever were a case."""
        return float(self.ever[-1] - self.index) / max(self.size - self.index, 1)

    @property
    def peak(self) -> float:
        """The highest share of agents that were a case at one time."""
        return float(self.prevalence.max()) / self.size

    @property
    def peak_step(self) -> float:
        """The first step at which it was reached."""
        return float(self.prevalence.argmax())


@dataclass(frozen=True)
class Stage:
    """A world with its network and index cases, on which epidemics of mechanistic agents are played.

    team: the interventions, for these policies. felt: whether there are any, which may work on what agents feel or go by it.
    """

    scenario: Scenario
    people: Society
    team: Callable[[Sequence[Policy]], Team]
    felt: bool

    async def play(self, rates: Rates, streams: Streams, steps: int) -> Curves:
        """One epidemic. streams: of what is read and what happens; network and index cases are those of the scenario."""
        people, size = self.people, self.scenario.population.size
        mind = self._mind(rates)
        people.world.reset(streams)
        # Of several strains the first is followed, the one that was fitted.
        strain, code = people.axes.strains[0], rates.model.code("I")
        team, nobody = self.team((mind,)), np.zeros(size, dtype=bool)
        ever = people.population.strain == 0
        showing = ever.copy()
        index, prevalence, cases = int(ever.sum()), np.zeros(steps, dtype=np.int64), np.zeros(steps, dtype=np.int64)
        for step in range(steps):
            signs = Signs(step, {}, {name: showing if name == strain else nobody for name in people.axes.strains})
            people.pressure.heed(signs)
            team.before(signs)
            seen = team.shown(people.world.observe(people.world.active(step), people.pressure.due(step)))
            act = await mind.act(seen, streams)
            moved = act.latent.get(strain)
            if moved is not None:
                ever[moved.agent[moved.target == "I"]] = True
            showing = mind.compartment[:, 0] == code
            heard, _ = await team.transit(people.world.send(act))
            people.world.deliver(heard, act, team.late if team.delays else None)
            team.take()
            prevalence[step], cases[step] = showing.sum(), ever.sum()
        return Curves(size, index, prevalence, cases)

    def _mind(self, rates: Rates) -> Mechanistic | Unfeeling:
        people, scenario = self.people, self.scenario
        law: Affect = build(scenario.affect, "affect")
        felt = self.felt or any(rates.modifiers) or law.activity < 1
        mind = Mechanistic(rates.model, law, rates.coupling) if felt else Unfeeling(rates.model)
        mind.begin(
            Setting(
                agents=np.arange(scenario.population.size),
                population=people.population,
                axes=people.axes,
                personas=scenario.personas,
                background=scenario.background,
                name=people.world.called,
                choices=people.world.choices,
                feelings=(),
                report_every=0,
                backend=None,
            )
        )
        return mind


class Unfeeling:
    """Agents that carry a strain by a contagion model, as `Mechanistic` ones do, and have no affect: in a third of the time.

    Where affect acts on nothing, epidemics are the same.
    """

    speaks = False
    independent = False
    undergoes: tuple[type[Deed], ...] = ()

    def __init__(self, model: ContagionModel) -> None:
        self._model = model

    def begin(self, setting: Setting) -> None:
        self._setting, self._carriage = setting, Carriage(self._model, setting)
        self._acted = np.zeros(len(setting.agents), dtype=np.int64)

    @property
    def compartment(self) -> NDArray[np.int8]:
        return self._carriage.compartment

    async def act(self, observation: Observation, rng: Streams) -> Act:
        people, agents = self._setting.population, observation.agents
        elapsed = (observation.step - self._acted[agents]).astype(np.float64)
        self._acted[agents] = observation.step
        act = Act.idle(agents, len(self._setting.axes))
        act.says[:] = True
        act.latent.update(self._carriage.step(agents, elapsed, people.susceptibility[agents, None], observation, rng))
        strains = slice(3, 3 + len(self._setting.axes.strains))
        act.expression[:, strains] = self._carriage.expression(self._carriage.strength(agents), people.expressiveness[agents])
        return act

    async def ask(self, agents: NDArray[np.int64], question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: they are numbers and have no words of their own."""
        return {}

    def undergo(self, deed: Deed) -> None:
        nothing_to_undergo(self, deed)


@contextmanager
def stored(run: Run) -> Iterator[dict[str, Any]]:
    """The scenario in a run's log, to be played: it may come from anybody. ScenarioError: it is not as a run writes it."""
    try:
        yield run.meta["scenario"]
    except (AttributeError, KeyError, TypeError) as error:
        raise ScenarioError(f"{run.path}: its scenario is not as a run writes it: {error}") from error
    except ScenarioError as error:
        raise ScenarioError(f"{run.path}: {error}") from error


def stage(composed: Mapping[str, Any], agents: int | None = None) -> Stage:
    """The world of a run's scenario, as its log holds it, with mechanistic agents in place of whoever acted.

    agents: another number of them; index cases grow in proportion and are drawn as the scenario says, not taken by name.
    ScenarioError: the scenario has no world to play in, or none of this size, or names what `must_be_ours` refuses.
    """
    told = dict(composed) | {"agents": {"groups": MECHANISTIC}, "rivals": {}, "stances": (), "belief": None}
    must_be_ours(told)
    scenario = make_scenario(told)
    if agents is not None and agents != scenario.population.size:
        seeding, size = scenario.seeding, scenario.population.size
        count = seeding.count if seeding.agents is None else len(seeding.agents)
        grown = seeding.model_copy(update={"count": max(1, round(count * agents / size)) if count else 0, "agents": None})
        population = scenario.population.model_copy(update={"size": agents})
        scenario = scenario.model_copy(update={"population": population, "seeding": grown})
    people = society(scenario, [None])
    try:
        people.pressure.must_be_known((), people.axes.strains)
    except ValueError as error:
        raise ScenarioError(f"{error}: a prediction knows only who is a case") from error
    make = partial(interveners, scenario, people, backend=_no_model, measures=())
    # What cannot work here is said before anything is played.
    return Stage(scenario, people, make, felt=len(make(people.policies)) > 0)


def _no_model(spec: dict[str, Any], where: str) -> Backend:
    raise ScenarioError(f"{where}: a prediction asks no language model")
