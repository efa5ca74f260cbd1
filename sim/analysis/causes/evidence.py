"""What the tests of contagion look at: who was at risk when, who heard what from whom, and what else may have made them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.envs.rng import Streams
from contagium.sim.analysis.spread.risk import NEVER

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_ROWS = 200_000
"""Rows at risk that are worked on: of more, agents are drawn at random and kept with all their rows."""

MOST_TIES = 300_000
"""Ties among which circles are sought."""


@dataclass(frozen=True)
class Evidence:
    """n agents by their place, 0 to n − 1, over `steps` steps.

    onset: (n,) first sign of each; −1 for index cases, NEVER for who was no case. at, agent, event, inbox: (rows,) the steps in
    which an agent acted and had not been a case, whether it became one in it, and messages it had received in the `window` steps
    before. step, hearer, source, dose: (m,) what was received, and how strongly it showed the strain (0: not, or not known).
    chance: (m,) whether the world drew it at random from what everybody said. ties: (2, E) pairs of source and hearer, each
    once, by source: along which all else was received. apart: (n,) agents that are only compared with their like: policy
    group and whether pressure ever fell on some of them alone. pressed: (rows,) whether it did in the window. traits: name → (n,)
    what is known of agents from before they heard anything, NaN where nothing is. drawn: why the index cases were not drawn at
    random, empty where they were. eligible: (n,) agents that might have been. fixed: whether the ties stood before the run.
    unread: (rows,) messages received in the window whose dose is not known; None: there are none.
    """

    steps: int
    window: int
    onset: Ints
    at: Ints
    agent: Ints
    event: Bools
    inbox: Ints
    step: Ints
    hearer: Ints
    source: Ints
    dose: Floats
    chance: Bools
    ties: Ints
    apart: Ints
    pressed: Bools
    traits: Mapping[str, Floats]
    drawn: str
    eligible: Bools
    fixed: bool = True
    unread: Ints | None = None

    @property
    def size(self) -> int:
        return len(self.onset)

    @property
    def cases(self) -> int:
        """Agents that became a case during the run."""
        return int(((self.onset >= 0) & (self.onset < NEVER)).sum())

    @cached_property
    def heard(self) -> Floats:
        """Dose received in the window before each row, (rows,)."""
        return self.before(self.hearer, self.dose)

    @cached_property
    def strata(self) -> Ints:
        """Rows that are compared with each other: same step, kept apart from none, equally pressed. (rows,)"""
        return codes(self.at, self.apart[self.agent], self.pressed)

    @cached_property
    def circle(self) -> Ints:
        """The circle (n,) each agent belongs to: a community of the ties (Louvain: Blondel et al. 2008), split as by `apart`."""
        import networkx as nx

        graph = nx.Graph()
        graph.add_nodes_from(range(self.size))
        graph.add_edges_from(self.ties.T.tolist())
        circle = np.zeros(self.size, dtype=np.int64)
        found = nx.community.louvain_communities(graph, seed=Streams(0).integer("circles"))
        for k, members in enumerate(found):
            circle[list(members)] = k
        return codes(circle, self.apart)

    @cached_property
    def mutual(self) -> Bools:
        """Whether each tie (E,) runs both ways."""
        source, hearer = self.ties
        return np.isin(source * self.size + hearer, hearer * self.size + source)

    def before(self, hearer: Ints, dose: Floats, ahead: int = 0) -> Floats:
        """Σ dose that each row (rows,) would have received in the window before it, had `hearer` (m,) received it.

        ahead: steps by which the window is moved into the future.
        """
        cell = np.bincount(self.step * self.size + hearer, dose, minlength=self.steps * self.size)
        total = np.vstack([np.zeros((1, self.size)), np.cumsum(cell.reshape(self.steps, self.size), axis=0)])
        end = np.minimum(self.at + ahead, self.steps)
        found = total[end, self.agent] - total[np.maximum(self.at + ahead - self.window, 0), self.agent]
        return np.where(found > 1e-9, found, 0.0)  # the rounding of sums, not a dose


def codes(*columns: ArrayLike) -> Ints:
    """Equal numbers, from 0, where all of `columns` (n,) are equal. Shape (n,)."""
    found: Ints = np.zeros(np.shape(columns[0]), dtype=np.int64)
    for column in columns:
        values, code = np.unique(np.asarray(column), return_inverse=True)
        found = np.unique(found * len(values) + code, return_inverse=True)[1]
    return found


def thinned(of: Evidence, most: int = MOST_ROWS) -> Evidence:
    """`of` with at most some `most` rows at risk, those of agents drawn at random: all their rows or none, so that no comparison
    within a step is bent (nested case–control sampling is for less: Borgan et al. 1995)."""
    if len(of.at) <= most:
        return of
    kept = Streams(0).generator("agents at risk").random(of.size) < most / len(of.at)
    return _some(of, kept[of.agent])


def read_in_full(of: Evidence) -> Evidence:
    """`of` without the rows before which a message was received whose dose is not known: taken for 0, it would make onsets look
    spontaneous that were not. Tests against chance keep them, as the same is missing of everybody; how large an effect is can
    not be said with them."""
    return of if of.unread is None else _some(of, of.unread == 0)


def _some(of: Evidence, rows: Bools) -> Evidence:
    """With these rows at risk alone."""
    names = ("at", "agent", "event", "inbox", "pressed", *(() if of.unread is None else ("unread",)))
    return replace(of, **{name: getattr(of, name)[rows] for name in names})
