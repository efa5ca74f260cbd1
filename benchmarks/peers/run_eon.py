"""EoN's SIR in continuous time (`fast_SIR`) or in generations (`discrete_SIR`), by the third argument; it tells curves alone.

In generations each agent is infectious for one step; with the probability b / (b + g − bg) that a tie passes the infection on
before recovery, the final size is that of the others.
"""

from __future__ import annotations

import sys

import EoN
import networkx as nx
import numpy as np
from outbreak import B, G, graph, measure, ties

size, indptr, source, seeds = graph()
network = nx.empty_graph(size)
network.add_edges_from(zip(*(ends.tolist() for ends in ties(indptr, source)), strict=True))
infectious = seeds.tolist()


def run(rng: np.random.Generator) -> float:
    if sys.argv[3] == "fast_SIR":
        return float(EoN.fast_SIR(network, B, G, initial_infecteds=infectious, rng=rng)[3][-1])
    return float(EoN.basic_discrete_SIR(network, B / (B + G - B * G), initial_infecteds=infectious, rng=rng)[3][-1])


measure(np.random.default_rng, run, size)
