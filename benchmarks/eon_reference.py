"""Outbreaks on small graphs by EoN (Kiss, Miller & Simon 2017), with which tests/limits/test_epidemic_limits.py compares ours.

EoN is no dependency. In an environment of its own: `pip install EoN==2.0`, then
`python benchmarks/eon_reference.py > tests/limits/eon_reference.json`. Takes about half a minute.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import EoN
import networkx as nx
import numpy as np

RUNS = 20_000
INDEX = 16
"""The index case: of the karate club, a member with two friends, from whom many outbreaks die out at once."""


def counts(values: list[int], size: int) -> list[int]:
    """How many of the runs had each number of agents, 0…size."""
    return np.bincount(values, minlength=size + 1).tolist()


def main() -> None:
    """Histograms over runs: who was ever infected (SIR), how many are infectious at a time (SIS)."""
    karate, torus = nx.karate_club_graph(), nx.convert_node_labels_to_integers(nx.grid_2d_graph(8, 8, periodic=True))
    rng = np.random.default_rng(2)
    seeds = {"initial_infecteds": [INDEX], "rng": rng}
    found = {
        "fast_SIR karate": [int(EoN.fast_SIR(karate, 0.5, 1.0, **seeds)[3][-1]) for _ in range(RUNS)],
        "fast_SIR torus": [int(EoN.fast_SIR(torus, 1.0, 1.0, **seeds)[3][-1]) for _ in range(RUNS)],
        "Gillespie_SIS karate": [int(EoN.Gillespie_SIS(karate, 0.4, 1.0, tmax=3.0, **seeds)[2][-1]) for _ in range(RUNS)],
        "discrete_SIR karate": [int(EoN.basic_discrete_SIR(karate, 0.3, **seeds)[3][-1]) for _ in range(RUNS)],
    }
    result = {name: counts(values, 64 if "torus" in name else 34) for name, values in found.items()}
    json.dump({"EoN": version("EoN"), "runs": RUNS, "index": INDEX, "histograms": result}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
