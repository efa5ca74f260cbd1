"""NDlib's SIR in steps: the graph and the number of runs as arguments, JSON as output. It does not tell who infected whom."""

from __future__ import annotations

import ndlib.models.epidemics as epidemics
import ndlib.models.ModelConfig as configuration
import networkx as nx
import numpy as np
from outbreak import B, G, graph, measure, ties

size, indptr, source, seeds = graph()
network = nx.empty_graph(size)
network.add_edges_from(zip(*(ends.tolist() for ends in ties(indptr, source)), strict=True))


def prepare(seed: int) -> epidemics.SIRModel:
    # It draws from NumPy's global generator.
    np.random.seed(seed)
    model = epidemics.SIRModel(network)
    settings = configuration.Configuration()
    settings.add_model_parameter("beta", B)
    settings.add_model_parameter("gamma", G)
    settings.add_model_initial_configuration("Infected", seeds.tolist())
    model.set_initial_status(settings)
    return model


def run(model: epidemics.SIRModel) -> float:
    count = {1: len(seeds)}
    while count[1]:
        count = model.iteration(node_status=False)["node_count"]
    return float(count[2])


measure(prepare, run, size)
