"""This package's SIR with the whole forest, in continuous time or in steps of 1, as the third argument says. JSON as output."""

from __future__ import annotations

import math
import sys

import numpy as np
from outbreak import B, G, graph, measure

from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.engine.discrete import discrete
from contagium.agents.mechanistic.models import sir
from contagium.envs.network import Network
from contagium.envs.rng import Streams

UNTIL = 100.0

size, indptr, source, seeds = graph()
network = Network(size, indptr, source, np.broadcast_to(1.0, len(source)))
# Both directions of each tie are there, as the generator knew that made them.
network.__dict__["hearers"] = indptr, source, None
start = np.zeros(size, dtype=np.int8)
start[seeds] = 1


def run(streams: Streams) -> float:
    if sys.argv[3] == "continuous":
        outbreak = continuous(sir(B, G), network, start, UNTIL, streams, np.arange(UNTIL + 1))
    else:
        # Hazards whose probabilities per step are those of the others.
        outbreak = discrete(sir(-math.log1p(-B), -math.log1p(-G)), network, start, UNTIL, 1.0, streams)
    caught = int(outbreak.counts[-1, 1:].sum())
    if len(outbreak.forest.agent) + len(seeds) != caught:
        raise RuntimeError("the forest does not hold every infection")
    return float(caught)


measure(Streams, run, size)
