"""Of whom a log tells everything, and of whom it counts only: the rule by which the log of a large population stays small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Population
from contagium.envs.message import spans
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.sim.scenario import LogSpec

MANY = 20_000
"""Agents above which, with `log.detail=auto`, a log holds only a sample of them."""

NEAR = 300
"""Agents of a large network that are drawn, and whose ties are therefore logged."""

ROOTS = 3
"""Index cases from which the walk over a large network begins: from more, a bounded sample would hold no neighbourhoods."""


@dataclass(frozen=True)
class Sample:
    """detailed: (N,) bool, whose messages, exposures and readings are logged.

    everybody: whether `agent`, `edge` and `reward` hold everybody, and transitions, causes and interventions are rows of their
    own; else those tables are of the detailed agents alone, and the others packed into arrays. tied: ids, ascending, of those
    along whose ties `edge` tells who is heard.
    """

    detailed: NDArray[np.bool_]
    everybody: bool
    tied: NDArray[np.int64]

    @classmethod
    def draw(cls, spec: LogSpec, population: Population, network: Network, asks: NDArray[np.bool_], streams: Streams) -> Sample:
        """A random sample with the index cases first, and besides every agent that `asks` (N,) a language model: its words were
        paid for and cannot be had again."""
        size = population.size
        shuffled = streams.generator("detailed").permutation(size)
        first = shuffled[np.argsort(population.strain[shuffled] < 0, kind="stable")]
        detailed = asks.copy()
        detailed[first[: spec.detailed_agents]] = True
        if spec.detail == "full" or size <= MANY:
            return cls(detailed, True, np.arange(size))
        near = _near(network, np.flatnonzero(population.strain >= 0)[:ROOTS])
        return cls(detailed, False, np.union1d(np.flatnonzero(detailed), near))

    @property
    def facts(self) -> dict[str, Any] | None:
        """What `meta` says of it; None where nothing but words, exposures and readings is sampled."""
        if self.everybody:
            return None
        count, of = int(self.detailed.sum()), len(self.detailed)
        rule = (
            f"agent, message, exposure, reading, reward and choice are of {count:,} of {of:,} agents, the index cases and "
            f"others drawn at random; edge holds whom these and the {NEAR} around {ROOTS} index cases hear; all other tables "
            "cover everybody"
        )
        return {"agents": of, "detailed": count, "rule": rule}


def _near(network: Network, roots: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first `NEAR` agents that a walk from `roots` to those they hear, and to those whom these hear, meets."""
    met = ring = roots
    while len(ring) and len(met) < NEAR:
        _, edge = spans(network.indptr[ring], network.indptr[ring + 1] - network.indptr[ring])
        ring = np.setdiff1d(network.source[edge], met)
        met = np.concatenate([met, ring])[:NEAR]
    return met
