"""Communities of a network: those it was made of, or those that can be found in it."""

from __future__ import annotations

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from contagium.envs.edges import Network, NetworkError
from contagium.envs.rng import Streams

MOST_EDGES = 500_000
"""Edges up to which communities are looked for; 160,000 of them take 17 s."""


def communities(network: Network, streams: Streams) -> NDArray[np.int64]:
    """The community of each agent, (N,), numbered from 0.

    The blocks that the network was made of, where it has some. Otherwise what the Louvain method finds in the ties, whatever
    their direction, weighted and seeded: the largest community is 0, and of equal ones that of the lowest id comes first.
    NetworkError: there are too many edges to search. Source: Blondel, Guillaume, Lambiotte & Lefebvre 2008.
    """
    if network.blocks is not None:
        return network.blocks
    if len(network.source) > MOST_EDGES:
        raise NetworkError(
            f"communities are looked for in up to {MOST_EDGES:,} edges, and this network has {len(network.source):,}: choose one "
            "that has communities from the start, such as network=blocks"
        )
    graph = nx.Graph()
    graph.add_nodes_from(range(network.size))
    for source, target, weight in zip(*(a.tolist() for a in (network.source, network.target, network.weight)), strict=True):
        tied = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=tied + weight)
    found = nx.community.louvain_communities(graph, seed=streams.integer("communities"))
    number = np.empty(network.size, dtype=np.int64)
    for k, members in enumerate(sorted(found, key=lambda members: (-len(members), min(members)))):
        number[list(members)] = k
    return number
