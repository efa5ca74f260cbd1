"""graph-tool's SIR in steps, one thread: the graph and the number of runs as arguments, JSON as output.

Debian's python3-graph-tool belongs to /usr/bin/python3. It records the states, not who infected whom.
"""

from __future__ import annotations

import graph_tool as gt
import numpy as np
from graph_tool.dynamics import SIRState
from outbreak import B, G, graph, measure, ties

gt.openmp_set_num_threads(1)
size, indptr, source, seeds = graph()
network = gt.Graph(directed=False)
network.add_vertex(size)
network.add_edge_list(np.column_stack(ties(indptr, source)))


def prepare(seed: int) -> SIRState:
    gt.seed_rng(seed)
    start = network.new_vertex_property("int32_t", val=0)
    start.a[seeds] = 1
    return SIRState(network, beta=B, gamma=G, s=start)


def run(state: SIRState) -> float:
    while np.any(state.get_state().a == 1):
        state.iterate_sync(niter=5)
    return float(np.count_nonzero(state.get_state().a))


measure(prepare, run, size)
