"""A population that learns by reward while a run goes on, and whose strategies say how its affect bears on what it does.

Whether learning or selection amplifies or damps the link from affect to behaviour is read from `Learning.slopes`, the truth the
agents carry, and from `strategies.fitted_slope`, an estimate from what they felt and did. Both are in log-odds of a choice
against the one before it, for each unit of valence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.agents.mechanistic.affect import Affect, Feeling, Held, permitted
from contagium.agents.policy import Answer, Clamp, Deed, Question, Release, Setting, nothing_to_undergo
from contagium.agents.strains import refuse_gates
from contagium.agents.strategies import Bandit, Draws, Energy, Imitation, Lesson
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Learning:
    """Agents that choose by what they feel and what has paid. They learn from each reward before they choose again.

    rule: `Bandit` (from one's own rewards) or `Imitation` (from others'). affect: how affect moves; its spill-over, of slant 0, 1
    and so on in the order of the choices, adds to what is learnt and is not itself learnt. surprise: valence felt for each unit
    by which a reward exceeds the running mean of earlier ones (Rutledge et al. 2014). recency: weight of the newest reward in
    that mean. energy: a budget, or none. Nothing is learnt after termination.

    Agents speak as their affect has it, and show it; index cases show their strain too, for good. ValueError: the world offers
    nothing to choose.
    """

    speaks = False
    independent = False
    undergoes: tuple[type[Deed], ...] = (Clamp, Release)

    def __init__(
        self,
        rule: Bandit | Imitation | None = None,
        affect: Affect | None = None,
        surprise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.2,
        recency: Annotated[float, Field(gt=0, le=1)] = 0.2,
        energy: Energy | None = None,
    ) -> None:
        self._rule = rule or Bandit()
        self._affect = affect or Affect()
        self._surprise, self._recency, self._budget = surprise, recency, energy

    def begin(self, setting: Setting) -> None:
        refuse_gates(setting)
        if len(setting.choices) < 2:
            raise ValueError("learning agents need something to choose, and this world offers talk alone: take env=commons")
        self._setting, agents = setting, setting.agents
        self._place = np.full(setting.population.size, -1)
        self._place[agents] = np.arange(len(agents))
        size, signals = len(agents), 1 if self._budget is None else 2
        strain = setting.population.strain[agents]
        # The background stands last, where the strain −1 of all but index cases points.
        self._baseline = np.asarray([p.affect for p in (*setting.personas, setting.background)], dtype=np.float64)[strain]
        self._shows = (strain[:, None] == np.arange(len(setting.personas))).astype(np.float32)
        self.feeling, self._held = Feeling.at(self._baseline.copy()), Held(size)
        self.energy = np.full(size, np.nan if self._budget is None else self._budget.capacity / 2)
        self.strategy = self._rule.start(size, signals, len(setting.choices))
        self.expected = np.full(size, np.nan)
        self.choice = np.full(size, -1)
        self._signals = np.zeros((size, signals))
        self._acted = np.zeros(size, dtype=np.int64)
        self._ended = np.zeros(size, dtype=bool)
        self._step = -1

    def slopes(self) -> Floats:
        """Slope on valence, and on energy where there is a budget, of each agent's strategy now, (n, K)."""
        return self._rule.slopes(self.strategy)

    async def act(self, observation: Observation, rng: Streams) -> Act:
        agents, step = observation.agents, observation.step
        rows = self._place[agents]
        if step != self._step and self._rule.imitates:
            # Others are imitated as they were when the step began, whoever of them has acted since.
            self._step, self._before, self._expected_before = step, self.strategy.copy(), self.expected.copy()
        elapsed = (step - self._acted[rows]).astype(np.float64)
        surprise = self._learn(rows, elapsed, observation, rng)
        self._feel(rows, elapsed, surprise, observation)
        self._ended[rows] |= observation.terminated
        self._acted[rows] = step
        act = Act.idle(agents, len(self._setting.axes))
        chance = self._affect.speaks(self.feeling.affect[rows], self._baseline[rows])
        act.says[:] = rng.uniform("learning:speak", step, agents) < chance
        act.choice[:] = self._choose(rows, rng.uniform("learning:choose", step, agents), observation.allowed)
        strength = self._setting.population.expressiveness[agents][:, None]
        act.expression[:, :3] = np.clip(self.feeling.affect[rows] * strength, -1, 1)
        act.expression[:, 3 : 3 + self._shows.shape[1]] = self._shows[rows]
        return act

    async def ask(self, agents: Ints, question: Question, step: int, rng: Streams) -> dict[int, Answer]:
        """No answers: they are numbers and have no words of their own."""
        return {}

    def undergo(self, deed: Deed) -> None:
        rows = np.searchsorted(self._setting.agents, deed.agents)
        match deed:
            case Clamp(affect=affect):
                self._held.hold(rows, affect)
                self.feeling.affect[rows] = self._held.apply(rows, self.feeling.affect[rows])
            case Release():
                self._held.release(rows)
            case _:
                nothing_to_undergo(self, deed)

    def _choose(self, rows: Ints, draw: Floats, allowed: NDArray[np.bool_] | None) -> Ints:
        """What each feels now and, by that and its strategy, does."""
        valence, choices = self.feeling.affect[rows, 0], len(self._setting.choices)
        self._signals[rows, 0] = valence
        if self._budget is not None:
            self._signals[rows, 1] = 2 * self.energy[rows] / self._budget.capacity - 1
        scores = self._rule.scores(self.strategy[rows], self._signals[rows], choices)
        chance = self._affect.chooses(scores, np.arange(choices, dtype=np.float64), valence)
        below = permitted(chance, allowed).cumsum(axis=1)
        self.choice[rows] = (draw[:, None] >= below[:, :-1]).sum(axis=1)
        return self.choice[rows]

    def _learn(self, rows: Ints, elapsed: Floats, observation: Observation, rng: Streams) -> Floats:
        """Learn from what the last choice paid. By how much that exceeds what was expected, (n,), 0 for who expected nothing."""
        rule, agents = self._rule, observation.agents
        first = np.flatnonzero(self.choice[rows] < 0)
        if len(first):
            self.strategy[rows[first]] = rule.vary(self.strategy[rows[first]], _draws(observation, first, rng))
        paid = np.flatnonzero((self.choice[rows] >= 0) & ~self._ended[rows])
        mine, reward, expected = rows[paid], observation.reward[paid], self.expected[rows[paid]]
        if self._budget is not None:
            self.energy[mine] = self._budget.after(self.energy[mine], reward, elapsed[paid])
        model, model_expected = self.strategy[mine], np.full(len(mine), np.nan)
        if rule.imitates:
            found, mean = self._models(observation, rng.uniform("learning:model", observation.step, agents))
            model, model_expected = self._before[found[paid]], mean[paid]
        lesson = Lesson(
            signals=self._signals[mine],
            choice=self.choice[mine],
            reward=reward,
            expected=expected,
            starved=self.energy[mine] <= 0,
            model=model,
            model_expected=model_expected,
        )
        self.strategy[mine] = rule.learn(self.strategy[mine], lesson, _draws(observation, paid, rng))
        surprise = np.zeros(len(rows))
        surprise[paid] = np.nan_to_num(reward - expected)
        self.expected[mine] = np.where(np.isnan(expected), reward, expected + self._recency * surprise[paid])
        return surprise

    def _models(self, observation: Observation, draw: Floats) -> tuple[Ints, Floats]:
        """The row of one agent of this group whom each has heard, and its mean reward, NaN where there is none. Both (n,)."""
        inbox, count = observation.inbox, np.diff(observation.inbox.indptr)
        row, mean = np.zeros(len(count), dtype=np.int64), np.full(len(count), np.nan)
        heard = np.flatnonzero(count)
        sender = inbox.messages.sender[inbox.row[(inbox.indptr[:-1] + (draw * count).astype(np.int64))[heard]]]
        at = self._place[sender]
        known = at >= 0
        row[heard[known]] = at[known]
        mean[heard[known]] = self._expected_before[at[known]]
        return row, mean

    def _feel(self, rows: Ints, elapsed: Floats, surprise: Floats, observation: Observation) -> None:
        heard = observation.inbox.mean(3)
        push = np.zeros((len(rows), 3)) if observation.pressure is None else observation.pressure.push.copy()
        push[:, 0] += self._surprise * surprise
        susceptibility = self._setting.population.susceptibility[observation.agents]
        now = self._affect.step(self.feeling.take(rows), self._baseline[rows], heard, susceptibility, push, elapsed)
        self.feeling.put(rows, replace(now, affect=self._held.apply(rows, now.affect)))


def _draws(observation: Observation, some: Ints, rng: Streams) -> Draws:
    """Draws for those of the observed agents that are at the places `some`."""
    agents = observation.agents[some]
    return lambda name: rng.uniform(f"learning:{name}", observation.step, agents)
