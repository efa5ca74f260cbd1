"""Keyed random streams: every draw is named, so its value depends on nothing but its name.

A stream is named by (seed, name, indices). Two different names give independent streams: the name is hashed, and
NumPy's SeedSequence mixes hash and indices into the key of a counter-based generator (Philox). Draws therefore do not
depend on the number of threads, the order of agents, the split into groups or the latency of replies. Source: Salmon et
al. 2011 (Philox).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Streams:
    """All random streams of one run. seed: 0 or more."""

    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")

    def generator(self, name: str, *index: int) -> np.random.Generator:
        """The generator of the stream `name` at non-negative `index`, e.g. `generator("speak", step, agent)`."""
        hashed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        # The index is prefixed by its length, so that ("a", 1) and ("a", 1, 0) differ.
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, hashed, len(index), *index])))

    def key(self, name: str, *index: int) -> int:
        """64 random bits that name the stream `name` at `index`, as the key of a counter-based kernel."""
        return int(self.generator(name, *index).bit_generator.random_raw())

    def uniform(self, name: str, step: int, agents: NDArray[np.int64]) -> NDArray[np.float64]:
        """One draw in [0, 1) for each of `agents` (n,), the same whichever other agents are asked for. Shape (n,)."""
        if not len(agents):
            return np.empty(0)
        # Draw for everybody up to the largest id and pick: an agent's draw must not depend on who else is in the group.
        return self.generator(name, step).random(int(agents.max()) + 1)[agents]

    def integer(self, name: str, *index: int) -> int:
        """One draw in [0, 2³¹), e.g. the sampling seed of a model's reply."""
        return int(self.generator(name, *index).integers(2**31))

    def order(self, name: str, *index: int) -> int:
        """A rank in [0, 2⁶⁴) to sort by, where one of many things has a short name; ten times faster than a draw of `integer`."""
        key = f"{self.seed} {len(index)} {' '.join(map(str, index))} {name}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
