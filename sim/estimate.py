"""What a run would take, before anything is asked: the scenario is gone through with models that answer at once and at length."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contagium.agents.backends.backend import Backend, Completion, PromptForm, Request
from contagium.agents.memory import tokens
from contagium.agents.policy import Policy
from contagium.envs.when import Signs
from contagium.sim.build import build
from contagium.sim.interview import Interviews
from contagium.sim.laboratory import instruments, interveners, prices, society
from contagium.sim.observer.instrument import Material
from contagium.sim.scenario import Scenario
from contagium.sim.schedule import Rounds
from contagium.sim.wording import PARAPHRASE

WORD = "nothing "


@dataclass(frozen=True)
class Estimate:
    """What a run asks of one model, retries aside.

    calls: all of them. prompt_tokens: three bytes counted as one, which is generous for English. completion_tokens: if every
    reply were as long as it may be. cost: of these tokens, None where the scenario states no price for the model.
    """

    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


class _Wordy:
    """Stands in for a model: counts what it is asked, and makes every reply as long as it may be."""

    timeout = None
    seconds_per_call = 0.0
    concurrency = 1

    def __init__(self, model: str, prompt_form: PromptForm) -> None:
        self.model = model
        self.prompt_form: PromptForm = prompt_form
        self.calls = self.prompt_tokens = self.completion_tokens = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        read, written = sum(tokens(turn.content) for turn in request.messages), request.sampling.max_tokens
        self.calls += 1
        self.prompt_tokens += read
        self.completion_tokens += written
        words = WORD * math.ceil(written * len(WORD) / len(WORD.strip()) / 2)
        if request.purpose == PARAPHRASE:
            # Who is to put things in other words must show first that it keeps what they say.
            words = "So: " + re.sub(r"<[^>]*>", " ", request.messages[-1].content)
        return Completion(words, "length", self.model, read, written, latency=0.0)


async def estimate(scenario: Scenario) -> list[Estimate]:
    """What the run of a scenario asks of each of its models, from the scenario alone: no server is reached, no model loaded.

    Nothing is read here: what waits for a sign in what agents say or for cases does not happen, and is not counted.
    ScenarioError says what does not fit.
    """
    stands: dict[str, _Wordy] = {}

    def stand(spec: dict[str, Any], where: str) -> _Wordy:
        built: Backend | list[Backend] = build(spec, where)
        first = built[0] if isinstance(built, list) else built
        model = first.model or "the recorded model"
        return stands.setdefault(model, _Wordy(model, first.prompt_form))

    groups = scenario.agents.groups.items()
    backends = [None if g.backend is None else stand(g.backend, f"agents.groups.{name}.backend") for name, g in groups]
    people = society(scenario, backends)
    asking = {name: spec for name, spec in scenario.observer.instruments.items() if spec.get("backend")}
    judges = instruments(scenario, people, stand, asking)
    team = interveners(scenario, people, people.policies, stand)
    if not stands:
        return []
    interviews = Interviews(scenario.observer.interviews, people.streams)

    async def after_turn(policy: Policy, agents: NDArray[np.int64], step: int) -> None:
        await interviews.ask(policy, agents, step)
        interviews.take(step)

    world = people.world
    world.reset(people.streams)
    parts = (world, people.policies, people.population, people.axes, people.streams, people.pressure, after_turn)
    schedule = Rounds(*parts, team.shown)
    size, followed = scenario.population.size, (*people.axes.strains, *scenario.observer.states)
    unread, nobody = np.full(size, np.nan, dtype=np.float32), np.zeros(size, dtype=bool)
    measures = (*people.axes.names, *scenario.observer.axes)
    for step in range(scenario.steps):
        signs = Signs(step, dict.fromkeys(measures, unread), dict.fromkeys(followed, nobody))
        people.pressure.heed(signs)
        team.before(signs)
        act = await schedule.act(step)
        sent = world.send(act)
        heard, _ = await team.transit(sent)
        world.deliver(heard, act, team.late if team.delays else None)
        team.take()
        for judge in judges:
            await judge.read(Material(step, sent, act.report, act.thought))
    return [_estimate(scenario, stand) for stand in stands.values()]


def _estimate(scenario: Scenario, stand: _Wordy) -> Estimate:
    price = prices(scenario).get(stand.model)
    cost = None if price is None else price.of(stand.prompt_tokens, stand.completion_tokens)
    return Estimate(stand.model, stand.calls, stand.prompt_tokens, stand.completion_tokens, cost)
