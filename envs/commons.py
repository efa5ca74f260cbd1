"""A commons: a pasture that everybody takes from, among neighbours who talk."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.message import Axes, Exposures, Mail, Messages, spans
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]


class Commons(World):
    """A shared pasture. In each step everybody says something and takes 0 to 3 units; no valid choice takes none.

    stock: units for each agent at the start, which is also the most the pasture holds. regrowth: what is left after a step grows
    by this share. Where more is wanted than there is, all get the same share of what they wanted. Reward: units taken.
    Terminated: the stock is empty, for all and for good. Everybody hears all that those the network lets it hear said in the last
    step, and answers one of these messages, each as likely. Source: Hardin 1968; Ostrom 1990.

    At the start up to stock × regrowth / (1 + regrowth) units for each agent and step can be taken for ever.
    """

    choices = ("leave", "take 1", "take 2", "take 3")

    def __init__(
        self,
        network: Network,
        axes: Axes,
        stock: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0,
        regrowth: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1,
    ) -> None:
        super().__init__(network, axes)
        for name, value, fits in (("stock", stock, stock > 0), ("regrowth", regrowth, regrowth >= 0)):
            if not (fits and np.isfinite(value)):
                raise ValueError(f"{name} must be {'positive' if name == 'stock' else 'at least 0'} and finite, got {value}")
        self._capacity, self._regrowth = stock * network.size, regrowth

    def start(self) -> None:
        self.stock = self._capacity

    def consequence(self, act: Act) -> Consequence:
        if np.any(act.choice >= len(self.choices)):
            raise ValueError(f"a choice must be below {len(self.choices)}, got {act.choice.max()}")
        wanted = np.zeros(self.network.size)
        wanted[act.agents] = np.maximum(act.choice, 0)
        total = float(wanted.sum())
        taken = wanted if total <= self.stock else wanted * (self.stock / total)
        self.stock = min(self._capacity, max(0.0, self.stock - total) * (1 + self._regrowth))
        return Consequence(taken, np.full(self.network.size, self.stock <= 0))

    def describe(self, agent: int) -> str:
        return (
            f"You share a pasture with {self.network.size - 1} others. It holds {self.stock:.1f} of {self._capacity:.1f} units; "
            f"what is left after a step grows by {self._regrowth:.0%}. Each step you say one short thing and take 0 to 3 units. "
            f"Last step you got {self.settled.reward[agent]:.1f}."
        )

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        return mail.one(sender, self.streams.uniform("reply to", step, sender))

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        net, now = self.network, np.flatnonzero(board.step == step)
        post = np.full(net.size, -1)
        post[board.sender[now]] = now
        count = np.diff(net.indptr)[readers]
        _, edge = spans(net.indptr[readers], count)
        heard = post[net.source[edge]]
        said = np.flatnonzero(heard >= 0)
        heard = heard[said]
        # The edges of a reader ascend by source, and so do the messages of one step.
        return Exposures(step, np.repeat(readers, count)[said], board.id[heard], board.sender[heard], net.weight[edge[said]])
