"""A commons: a pasture that everybody takes from, among neighbours who talk."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagium.envs.message import Axes, Exposures, Mail, Messages
from contagium.envs.neighbours import heard_from_neighbours
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

FORTUNE = {"gain": "A windfall: you gained {units:g} units.", "loss": "A loss: {units:g} of your units are gone."}
STARVED = "You have no energy left and can take nothing any more."


class Shocks(BaseModel):
    """Units that agents are given or lose by chance, from outside the pasture.

    at: steps after which everybody has one; or rate: expected ones per step and agent, who then has one with probability
    1 − exp(−rate). sizes: units, each as likely. windfalls: the share of them that are gains; at a half, losses are as frequent
    and as large.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: tuple[Annotated[int, Field(ge=0)], ...] = ()
    rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    sizes: Annotated[tuple[Positive, ...], Field(min_length=1)] = (2.0,)
    windfalls: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _has_a_time(self) -> Shocks:
        if bool(self.at) == bool(self.rate):
            raise ValueError("give shocks either at (steps) or a rate above 0")
        return self


class Energy(BaseModel):
    """What each agent lives on: at most `capacity` units, `start` at first, and each step costs `cost`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Positive = 10.0
    start: Positive = 5.0
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> Energy:
        if self.start > self.capacity:
            raise ValueError(f"start must be at most capacity ({self.capacity}), got {self.start}")
        return self


class Commons(World):
    """A shared pasture. In each step everybody says something and takes 0 to 3 units; no valid choice takes none.

    stock: units for each agent at the start, which is also the most the pasture holds. regrowth: what is left after a step grows
    by this share. Where more is wanted than there is, all get the same share of what they wanted. Reward: units taken.
    Terminated: the stock is empty, for all and for good. Everybody hears all that those the network lets it hear said in the last
    step, and answers one of these messages, each as likely. Source: Hardin 1968; Ostrom 1990.

    At the start up to stock × regrowth / (1 + regrowth) units for each agent and step can be taken for ever.

    shocks: windfalls and losses, which add to the reward. energy: a budget, to which all units go; who has none left starves,
    takes nothing any more and is terminated. appraisal: push on valence for each unit by which an agent's fortune changes (units
    taken, windfalls and losses, less what the step costs), cut to [−1, 1]; aversion: by how much more a loss pushes than a gain
    of the same size (Kahneman & Tversky 1979).

    Outcomes: `took`, units taken; `gain` and `loss`, units, of those who had one; `energy` and `starved` (0 or 1), of those who
    had energy before.
    """

    choices = ("leave", "take 1", "take 2", "take 3")
    ordered = True

    def __init__(
        self,
        network: Network,
        axes: Axes,
        stock: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0,
        regrowth: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1,
        shocks: Shocks | None = None,
        energy: Energy | None = None,
        appraisal: Annotated[float, Field(ge=0, le=1)] = 0.0,
        aversion: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0,
    ) -> None:
        super().__init__(network, axes)
        for name, value, fits in (("stock", stock, stock > 0), ("regrowth", regrowth, regrowth >= 0)):
            if not (fits and np.isfinite(value)):
                raise ValueError(f"{name} must be {'positive' if name == 'stock' else 'at least 0'} and finite, got {value}")
        self._capacity, self._regrowth = stock * network.size, regrowth
        self._shocks, self._budget = shocks, energy
        self._appraisal, self._aversion = appraisal, aversion

    def start(self) -> None:
        self.stock = self._capacity
        self.energy = np.full(self.network.size, np.inf if self._budget is None else self._budget.start)

    def allowed(self, step: int, agents: Ints) -> NDArray[np.bool_] | None:
        fed = self.energy[agents] > 0
        if fed.all():
            return None
        return fed[:, None] | (np.arange(len(self.choices)) == 0)

    def consequence(self, act: Act) -> Consequence:
        if np.any(act.choice >= len(self.choices)):
            raise ValueError(f"a choice must be below {len(self.choices)}, got {act.choice.max()}")
        fed = self.energy > 0
        taken, shock = self._take(act, fed), self._shock(fed)
        reward = taken if shock is None else taken + shock
        outcomes: dict[str, tuple[Ints, Floats]] = {"took": (act.agents, taken[act.agents])}
        news: dict[int, str] = {}
        if shock is not None:
            for name, hit in (("gain", np.flatnonzero(shock > 0)), ("loss", np.flatnonzero(shock < 0))):
                size = np.abs(shock[hit])
                outcomes[name] = hit, size
                for units in np.unique(size).tolist():
                    news |= dict.fromkeys(hit[size == units].tolist(), FORTUNE[name].format(units=units))
        if self._budget is not None:
            self.energy[fed] = np.clip(self.energy[fed] + reward[fed] - self._budget.cost, 0, self._budget.capacity)
            before, left = np.flatnonzero(fed), self.energy[fed]
            outcomes |= {"energy": (before, left), "starved": (before, (left <= 0).astype(np.float64))}
            news |= {agent: f"{news.get(agent, '')} {STARVED}".strip() for agent in before[left <= 0].tolist()}
        ended = (self.energy <= 0) | (self.stock <= 0)
        return Consequence(reward, ended, self._felt(reward, fed), news, outcomes)

    def _take(self, act: Act, fed: NDArray[np.bool_]) -> Floats:
        """The units that each agent gets from the pasture, (N,), which then regrows."""
        wanted = np.zeros(self.network.size)
        wanted[act.agents] = np.maximum(act.choice, 0)
        wanted[~fed] = 0
        total = float(wanted.sum())
        taken = wanted if total <= self.stock else wanted * (self.stock / total)
        self.stock = min(self._capacity, max(0.0, self.stock - total) * (1 + self._regrowth))
        return taken

    def _shock(self, fed: NDArray[np.bool_]) -> Floats | None:
        """The units by chance that come to each agent (below 0: go from it) in this step, (N,); None: there are none."""
        shocks, size, step = self._shocks, self.network.size, self.step
        if shocks is None or (shocks.at and step not in shocks.at):
            return None
        hit = fed if shocks.at else fed & (self.streams.generator("shock", step).random(size) < -np.expm1(-shocks.rate))
        units = np.array(shocks.sizes)[self.streams.generator("shock size", step).integers(len(shocks.sizes), size=size)]
        gains = self.streams.generator("shock sign", step).random(size) < shocks.windfalls
        return np.where(hit, np.where(gains, units, -units), 0.0)

    def _felt(self, reward: Floats, fed: NDArray[np.bool_]) -> Floats | None:
        """What the change of its fortune does to the affect of each agent, (N, 3)."""
        if not self._appraisal:
            return None
        change = (reward if self._budget is None else reward - self._budget.cost) * fed
        push = np.zeros((self.network.size, 3))
        push[:, 0] = np.clip(self._appraisal * np.where(change < 0, self._aversion, 1.0) * change, -1, 1)
        return push

    def describe(self, agent: int) -> str:
        return (
            f"You share a pasture with {self.network.size - 1} others. It holds {self.stock:.1f} of {self._capacity:.1f} units; "
            f"what is left after a step grows by {self._regrowth:.0%}. Each step you say one short thing and take 0 to 3 units. "
            f"Last step you got {self.settled.reward[agent]:.1f}.{self._lives(agent)}"
        )

    def _lives(self, agent: int) -> str:
        """What an agent lives on, in words."""
        if self._budget is None:
            return ""
        if self.energy[agent] <= 0:
            return f" {STARVED}"
        budget = self._budget
        return f" You have {self.energy[agent]:.1f} of {budget.capacity:g} units of energy; each step costs {budget.cost:g}."

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        return mail.one(sender, self.streams.uniform("reply to", step, sender))

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        return heard_from_neighbours(self, step, board, readers)
