"""Who hears whom: a network as edge arrays, its generators and its files."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from contagium.envs.rng import Streams

MOST_EDGES = 50_000_000
"""Edges above which a network is refused before memory runs out (24 bytes an edge, twice that while it is sorted)."""


class NetworkError(ValueError):
    """A network that cannot be built: the message names the rule and the value."""


@dataclass(frozen=True)
class Network:
    """A directed, weighted network: along each edge, `target` hears `source`.

    size: number of agents N ≥ 1. source, target: agent ids, shape (E,), int64. weight: positive, shape (E,), float64,
    relative strength of hearing. Edges are kept sorted by (target, source); self-loops and duplicate edges are refused.
    """

    size: int
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise NetworkError(f"network size must be at least 1, got {self.size}")
        if not len(self.source) == len(self.target) == len(self.weight):
            raise NetworkError("source, target and weight must have equal length")
        ends = np.concatenate([self.source, self.target])
        if len(ends) and (ends.min() < 0 or ends.max() >= self.size):
            raise NetworkError(f"edge ends must be agent ids 0 to {self.size - 1}, got {ends.min()} to {ends.max()}")
        if np.any(self.source == self.target):
            raise NetworkError(f"no agent may hear itself, but agent {self.source[self.source == self.target][0]} does")
        wrong = ~(np.isfinite(self.weight) & (self.weight > 0))
        if np.any(wrong):
            raise NetworkError(f"edge weights must be positive and finite, got {self.weight[wrong][0]}")
        order = np.lexsort((self.source, self.target))
        for name in ("source", "target", "weight"):
            object.__setattr__(self, name, getattr(self, name)[order])
        twice = (np.diff(self.source) == 0) & (np.diff(self.target) == 0)
        if np.any(twice):
            at = int(np.flatnonzero(twice)[0])
            raise NetworkError(f"edge {self.source[at]} -> {self.target[at]} is given twice")

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """CSR row pointer: edges heard by agent i are indptr[i]:indptr[i + 1]. Shape (N + 1,)."""
        return np.searchsorted(self.target, np.arange(self.size + 1)).astype(np.int64)

    @property
    def in_degree(self) -> NDArray[np.int64]:
        """How many others each agent hears, shape (N,)."""
        return np.diff(self.indptr)

    def neighbours(self, agent: int) -> NDArray[np.int64]:
        """Whom `agent` hears, ascending."""
        return self.source[self.indptr[agent] : self.indptr[agent + 1]]

    @classmethod
    def from_edges(cls, size: int, source: object, target: object, weight: object = None) -> Network:
        """From edge ends as anything NumPy reads as whole numbers; weights default to 1."""
        src = _ids(source)
        return cls(
            size,
            src,
            _ids(target),
            np.ones(len(src)) if weight is None else np.asarray(weight, dtype=np.float64).reshape(-1),
        )

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> Network:
        """From a networkx graph with nodes 0…N−1; an undirected edge is heard both ways; `weight` is honoured."""
        table = [(u, v, data.get("weight", 1.0)) for u, v, data in graph.edges(data=True) if u != v]
        columns = tuple(zip(*table, strict=True)) or ((), (), ())
        source, target, weight = (np.asarray(c) for c in columns)
        if not graph.is_directed():
            source, target, weight = np.r_[source, target], np.r_[target, source], np.r_[weight, weight]
        return cls.from_edges(graph.number_of_nodes(), source, target, weight)

    def to_networkx(self) -> nx.DiGraph:
        """As a networkx digraph with every agent as node and `weight` on edges."""
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.size))
        graph.add_weighted_edges_from(zip(self.source.tolist(), self.target.tolist(), self.weight.tolist(), strict=True))
        return graph


def _ids(values: object) -> NDArray[np.int64]:
    given = np.asarray(values).reshape(-1)
    if len(given) and not np.issubdtype(given.dtype, np.integer):
        raise NetworkError(f"agent ids must be whole numbers, got {given[0]!r}")
    return given.astype(np.int64)


def _must_fit(size: int, edges: float, kind: str) -> None:
    if edges > MOST_EDGES:
        raise NetworkError(
            f"a {kind} network of {size:,} agents has {edges:,.0f} edges, more than the {MOST_EDGES:,} that fit in "
            "memory: choose another network or a smaller population.size"
        )


def _generated(size: int, streams: Streams, make: Callable[[int], nx.Graph], rule: str) -> Network:
    """Build by a networkx generator with a seed of the run; its complaint becomes a NetworkError that names `rule`."""
    if size < 1:
        raise NetworkError(f"population.size must be at least 1, got {size}")
    try:
        return Network.from_networkx(make(streams.integer("network")))
    except nx.NetworkXException as error:
        raise NetworkError(f"{rule} with population.size={size}: {error}") from error


def complete(size: int, streams: Streams) -> Network:
    """Everybody hears everybody."""
    _must_fit(size, size * (size - 1), "complete")
    heard, hearer = np.divmod(np.arange(size * size), size)
    return Network.from_edges(size, heard[heard != hearer], hearer[heard != hearer])


def ring(size: int, streams: Streams, neighbours: int = 4) -> Network:
    """Each agent hears the `neighbours` nearest others on a circle (even number)."""
    return small_world(size, streams, neighbours, rewire=0.0)


def small_world(size: int, streams: Streams, neighbours: int = 4, rewire: float = 0.1) -> Network:
    """A ring of `neighbours` each with a share `rewire` of edges rewired at random. Source: Watts & Strogatz 1998."""
    if not 0 <= rewire <= 1:
        raise NetworkError(f"network.rewire must be a share in [0, 1], got {rewire}")
    if neighbours < 0 or neighbours % 2:
        raise NetworkError(f"network.neighbours must be even and at least 0, got {neighbours}")
    # A population smaller than the neighbourhood is a complete network, so that size=2 and size=20000 share a
    # configuration.
    if size <= neighbours + 1:
        return complete(size, streams)
    _must_fit(size, size * neighbours, "small-world")
    rule = f"small world of {neighbours} neighbours"
    return _generated(size, streams, lambda seed: nx.watts_strogatz_graph(size, neighbours, rewire, seed), rule)


def erdos_renyi(size: int, streams: Streams, mean_degree: float = 4.0) -> Network:
    """Each pair joined with equal probability, `mean_degree` others on average. Source: Erdős & Rényi 1959."""
    if not 0 <= mean_degree <= max(size - 1, 0):
        raise NetworkError(f"network.mean_degree must be in [0, population.size - 1], got {mean_degree}")
    _must_fit(size, size * mean_degree, "random")
    p = mean_degree / max(size - 1, 1)
    return _generated(size, streams, lambda seed: nx.fast_gnp_random_graph(size, p, seed), "random network")


def scale_free(size: int, streams: Streams, attach: int = 2) -> Network:
    """Newcomers attach to `attach` others in proportion to degree. Source: Barabási & Albert 1999."""
    if not 1 <= attach < max(size, 2):
        raise NetworkError(f"network.attach must be in [1, population.size), got {attach}")
    _must_fit(size, 2 * size * attach, "scale-free")
    return _generated(size, streams, lambda seed: nx.barabasi_albert_graph(size, attach, seed), "scale-free network")


def from_file(size: int, streams: Streams, path: str, directed: bool = False) -> Network:
    """From a CSV with the header `source,target` or `source,target,weight` and agent ids 0…size−1.

    directed=False: each edge is heard both ways. Errors name file, line and value.
    """
    rows = _read_csv(path)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header not in (["source", "target"], ["source", "target", "weight"]):
        raise NetworkError(f"network.path: {path} line 1 must read 'source,target' or 'source,target,weight'")
    edges: list[tuple[int, int, float]] = []
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            edges.append(_edge(row, len(header), size))
        except ValueError as error:
            raise NetworkError(f"network.path: {path} line {line}: {error}") from error
    source, target, weight = (np.asarray(c) for c in (tuple(zip(*edges, strict=True)) or ((), (), ())))
    if not directed:
        source, target, weight = np.r_[source, target], np.r_[target, source], np.r_[weight, weight]
    try:
        return Network.from_edges(size, source, target, weight)
    except NetworkError as error:
        raise NetworkError(f"network.path: {path}: {error}") from error


def _read_csv(path: str) -> list[list[str]]:
    try:
        file = Path(path).expanduser()
        if not file.is_file():
            raise NetworkError(f"network.path: no such file: {path}")
        # Spreadsheets begin UTF-8 with a byte order mark, which utf-8-sig takes off.
        return list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error, OSError, RuntimeError) as error:
        raise NetworkError(f"network.path: {path} is not a readable CSV: {error}") from error


def _edge(row: list[str], columns: int, size: int) -> tuple[int, int, float]:
    """One line of a network file; ValueError says what is wrong with it."""
    if len(row) != columns:
        raise ValueError(f"{columns} columns expected, got {len(row)}")
    source, target, weight = int(row[0]), int(row[1]), float(row[2]) if columns == 3 else 1.0
    for agent in (source, target):
        if not 0 <= agent < size:
            raise ValueError(f"agent ids are 0 to {size - 1} (population.size={size}), got {agent}")
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"weights must be positive and finite, got {weight}")
    return source, target, weight
