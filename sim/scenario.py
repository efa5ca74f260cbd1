"""The scenario: one frozen, typed value that says all that a run depends on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from contagium.agents.persona import Persona
from contagium.envs.pressure import PressureEvent
from contagium.sim.build import ScenarioError, first_error
from contagium.sim.credentials import refusals
from contagium.sim.observer.case import CaseDefinition, StateDefinition
from contagium.sim.observer.instruments.interview import Item


def _names_a_target(spec: dict[str, Any]) -> dict[str, Any]:
    if "_target_" not in spec:
        raise ValueError("a component needs a _target_")
    return spec


Component = Annotated[dict[str, Any], AfterValidator(_names_a_target)]
"""A `_target_` and its arguments; checked against the target when it is built."""


def _without_nulls(parts: object) -> object:
    return {name: part for name, part in parts.items() if part is not None} if isinstance(parts, dict) else parts


NullsDropped = BeforeValidator(_without_nulls)
"""An entry that is set to null is left out, so that one of several can be switched off."""


NoneIsEmpty = BeforeValidator(lambda given: {} if given is None else given)
"""A null is an empty dictionary: Hydra replaces a null by a dictionary, but adds no new keys to an empty one."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PopulationSpec(Strict):
    """size: number of agents. susceptibility_sd, expressiveness_sd: spread of these traits over agents (lognormal, mean 1).

    affect_sd: spread over agents of the baseline of their affect (normal, on each axis); for agents that have one.
    """

    size: Annotated[int, Field(ge=1)]
    susceptibility_sd: Annotated[float, Field(ge=0)] = 0.0
    expressiveness_sd: Annotated[float, Field(ge=0)] = 0.0
    affect_sd: Annotated[float, Field(ge=0, le=1)] = 0.0


class GroupSpec(Strict):
    """A group of agents that share a policy.

    size: how many; or share: their part of what is left once sized groups are filled. role: in worlds with roles, whose role its
    agents have; None: any that no group names. backend: the language model it asks.
    """

    policy: Component
    size: Annotated[int, Field(ge=0)] | None = None
    share: Annotated[float, Field(gt=0)] | None = None
    role: str | None = None
    backend: Component | None = None

    @model_validator(mode="after")
    def _size_or_share(self) -> GroupSpec:
        if (self.size is None) == (self.share is None):
            raise ValueError("give either size or share")
        return self


class AgentsSpec(Strict):
    groups: Annotated[dict[str, GroupSpec], NullsDropped, Field(min_length=1)]


class SeedingSpec(Strict):
    """Index cases: `agents` by id, or `count` of them, at random, by degree (most hearers first), or all of one community.

    community: which one, by number; None: drawn among those that are large enough. Each rival strain has `count` others, in a
    community of its own that is drawn.
    """

    count: Annotated[int, Field(ge=0)] = 1
    method: Literal["random", "degree", "community"] = "random"
    community: Annotated[int, Field(ge=0)] | None = None
    agents: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _community_is_used(self) -> SeedingSpec:
        if self.community is not None and (self.method != "community" or self.agents is not None):
            instead = "seeding.agents is given" if self.agents is not None else f"seeding.method is {self.method}"
            raise ValueError(f"community: only with method=community and without agents, but {instead}")
        return self


class PressureSpec(Strict):
    events: Annotated[dict[str, PressureEvent], NullsDropped] = Field(default_factory=dict)


class ObserverSpec(Strict):
    """instruments: name → what reads. axes: affect axis, or other measure, → instruments whose readings stand for it, best first.

    feelings: label → position on valence, arousal, dominance, the closed list of the
    self-report. report_every: steps from one self-report to the next, 0 for none. interviews: name → question asked out of band.
    case: when readings make a case of a persona. states: emotional state → when readings make a case of it, null for none.
    """

    instruments: Annotated[dict[str, Component], NullsDropped, Field(min_length=1)]
    axes: dict[str, tuple[str, ...]]
    feelings: dict[str, tuple[float, float, float]] = Field(default_factory=dict)
    report_every: Annotated[int, Field(ge=0)] = 0
    interviews: Annotated[dict[str, Item], NullsDropped] = Field(default_factory=dict)
    case: CaseDefinition
    states: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")], StateDefinition], NullsDropped, NoneIsEmpty] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _instruments_are_there(self) -> ObserverSpec:
        case = self.case
        wanted = [(name, f"axes.{axis}") for axis, names in self.axes.items() for name in names]
        wanted += [(case.instrument, "case.instrument")]
        parts = {"case.carrier": case.carrier, "case.shedding": case.shedding}
        wanted += [(part.instrument, f"{key}.instrument") for key, part in parts.items() if part is not None]
        if unknown := [(name, key) for name, key in wanted if name not in self.instruments]:
            name, key = unknown[0]
            raise ValueError(f"{key}: no instrument {name}; the observer has {', '.join(self.instruments)}")
        for name, state in self.states.items():
            if state.axis not in self.axes:
                raise ValueError(f"states.{name}: no measure {state.axis}; observer.axes has {', '.join(self.axes)}")
        if case.carrier is not None and (missing := [item for item in case.carrier.items if item not in self.interviews]):
            there = ", ".join(self.interviews) or "none (observer=interview brings some)"
            raise ValueError(f"case.carrier: no interview item {missing[0]}; there are: {there}")
        if self.report_every and not self.feelings:
            raise ValueError("report_every is set, but the list of feelings is empty")
        return self


class CallsSpec(Strict):
    """How language models are called, see `CallRules`. cache: a journal shared by runs, None: each run pays for itself."""

    attempts: Annotated[int, Field(ge=1)] = 5
    base_delay: Annotated[float, Field(ge=0)] = 0.5
    max_delay: Annotated[float, Field(ge=0)] = 60.0
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None
    patience: Annotated[float, Field(ge=0)] = 300.0
    cache: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _delays_ascend(self) -> CallsSpec:
        if self.base_delay > self.max_delay:
            raise ValueError(f"calls.base_delay must be at most calls.max_delay ({self.max_delay:g}), got {self.base_delay:g}")
        return self


class PriceSpec(Strict):
    """In any currency, per million tokens read (input) and written (output)."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class BudgetSpec(Strict):
    """The most a run may spend, null: no cap. `Caps` explains each; wall_time is in seconds.

    prices: by model. estimate: say what the run would cost at most, and do not run it.
    """

    calls: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    wall_time: Annotated[float, Field(gt=0)] | None = None
    prices: Annotated[dict[str, PriceSpec], NoneIsEmpty] = Field(default_factory=dict)
    estimate: bool = False


class RunSpec(Strict):
    """schedule: "rounds" (everybody waits for the slowest) or "dataflow" (an agent goes on once those it hears have spoken).

    max_missing: share of missing turns, of the last ten or more, above which the run stops, to be resumed.
    """

    schedule: Literal["rounds", "dataflow"] = "rounds"
    max_missing: Annotated[float, Field(ge=0, le=1)] = 0.25


class LogSpec(Strict):
    """detailed_agents: agents whose messages, exposures and readings are logged in full; the others count in the aggregates.

    detail: "full": agents, ties and rewards of everybody, and a row for each transition and cause; "auto": of a large population
    (`MANY`) only of the detailed agents, with transitions and causes of everybody as arrays.
    """

    detailed_agents: Annotated[int, Field(ge=1)] = 256
    detail: Literal["auto", "full"] = "auto"


class Scenario(Strict):
    """Everything a run depends on. Two runs of equal scenarios with deterministic agents have equal logs.

    memory, model, affect, coupling, belief stand here for the groups of agents to name. stances: what opinions are about, one
    axis of expressions each.
    """

    name: Annotated[str, Field(pattern=r"^[\w .-]+$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    steps: Annotated[int, Field(ge=1)]
    env: Component
    network: Component
    population: PopulationSpec
    agents: AgentsSpec
    backend: Component
    persona: Persona
    background: Persona
    rivals: Annotated[dict[str, Persona], NullsDropped, NoneIsEmpty] = Field(default_factory=dict)
    seeding: SeedingSpec
    pressure: PressureSpec
    intervention: Annotated[dict[str, Component], NullsDropped]
    observer: ObserverSpec
    log: LogSpec
    memory: Component = Field(default_factory=lambda: {"_target_": "contagium.agents.memory.Window"})
    model: Component = Field(default_factory=lambda: {"_target_": "contagium.agents.mechanistic.models.sir"})
    affect: Component = Field(default_factory=lambda: {"_target_": "contagium.agents.mechanistic.affect.Affect"})
    coupling: Component = Field(default_factory=lambda: {"_target_": "contagium.agents.mechanistic.coupling.Coupling"})
    belief: Component | None = None
    stances: tuple[str, ...] = ()
    run: RunSpec = RunSpec()
    calls: CallsSpec = CallsSpec()
    budget: BudgetSpec = BudgetSpec()

    @property
    def personas(self) -> tuple[Persona, ...]:
        """The personas that spread, one a strain."""
        return (self.persona, *self.rivals.values())

    @model_validator(mode="after")
    def _fits_together(self) -> Scenario:
        size = self.population.size
        chosen = self.seeding.agents or ()
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"seeding.agents: each agent once, got {', '.join(map(str, chosen))}")
        wrong = [agent for agent in self.seeding.agents or () if not 0 <= agent < size]
        if wrong:
            raise ValueError(f"seeding.agents: agents are 0 to {size - 1}, got {', '.join(map(str, wrong))}")
        seeds = (self.seeding.count if self.seeding.agents is None else len(chosen)) + self.seeding.count * len(self.rivals)
        if seeds > size:
            raise ValueError(f"seeding.count: at most population.size ({size}) index cases, got {seeds}")
        instrument = self.observer.case.instrument
        for persona in self.personas:
            if instrument not in persona.detection:
                measured = ", ".join(persona.detection) or "none"
                raise ValueError(
                    f"persona.detection: persona {persona.name} has no thresholds for observer.case.instrument={instrument} "
                    f"(it has: {measured})"
                )
        carrier, strains = self.observer.case.carrier, {persona.name for persona in self.personas}
        for name in carrier.items if carrier is not None else ():
            item = self.observer.interviews[name]
            if not item.open and not strains & set(item.columns):
                raise ValueError(
                    f"observer.case.carrier: answers to {name} are neither in free words nor on the axis of a persona"
                )
        twice = [name for name in self.observer.states if name in {persona.name for persona in self.personas}]
        if twice:
            raise ValueError(f"observer.states: {twice[0]} is the name of a persona")
        groups = self.agents.groups.values()
        sized = sum(group.size or 0 for group in groups)
        if sized > size:
            raise ValueError(f"agents.groups: sizes add up to {sized}, more than population.size ({size})")
        if sized < size and all(group.share is None and group.role is None for group in groups):
            raise ValueError(f"agents.groups: sizes add up to {sized}, less than population.size ({size})")
        return self


def make_scenario(composed: object) -> Scenario:
    """The scenario of a resolved configuration; ScenarioError says in one line what is wrong with it."""
    for reason in refusals(composed):
        raise ScenarioError(reason)
    try:
        return Scenario.model_validate(composed)
    except ValidationError as error:
        raise ScenarioError(first_error(error)) from error
