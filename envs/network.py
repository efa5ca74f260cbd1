"""Networks by name: generators, and files. The class `Network` itself is in `contagium.envs.edges`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import networkx as nx

from contagium.envs import growth
from contagium.envs.edges import Network as Network
from contagium.envs.edges import NetworkError as NetworkError
from contagium.envs.edges import Row
from contagium.envs.rng import Streams

EDGE_BYTES, AGENT_BYTES = 12, 45
"""Most memory that making a network takes, by edge and agent, measured at 1,000,000 to 10,000,000 agents."""
CSV_BYTES = 60
"""The same by byte of a network file."""
NETWORKX_UP_TO = 10_000
"""Agents up to which networkx makes small worlds; more take it too long and too much memory, and a kernel makes them."""


def _must_fit(size: int, edges: float, kind: str) -> None:
    """Refuse what cannot be made, before memory runs out. edges: expected number, both directions counted."""
    if size < 1:
        raise NetworkError(f"population.size must be at least 1, got {size}")
    takes, free = edges * EDGE_BYTES + size * AGENT_BYTES, growth.memory_available()
    if takes > free:
        raise NetworkError(
            f"a {kind} network of {size:,} agents has {edges:,.0f} edges and takes {takes / 1e6:,.0f} MB while it is made, but "
            f"{free / 1e6:,.0f} MB are free: choose another network or a smaller population.size"
        )


def complete(size: int, streams: Streams) -> Network:
    """Everybody hears everybody."""
    _must_fit(size, size * (size - 1), "complete")
    return Network.mutual(*growth.independent_pairs(size, 1.0, streams.generator("network")))


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
    if rewire > 0 and size <= NETWORKX_UP_TO:
        return Network.from_networkx(nx.watts_strogatz_graph(size, neighbours, rewire, streams.integer("network")))
    return Network.mutual(*growth.rewired_pairs(size, neighbours, rewire, streams.generator("network")))


def erdos_renyi(size: int, streams: Streams, mean_degree: float = 4.0) -> Network:
    """Each pair joined with equal probability, `mean_degree` others on average. Source: Erdős & Rényi 1959; Gilbert 1959."""
    if not 0 <= mean_degree <= max(size - 1, 0):
        raise NetworkError(f"network.mean_degree must be in [0, population.size - 1], got {mean_degree}")
    _must_fit(size, size * mean_degree, "random")
    p = mean_degree / max(size - 1, 1)
    return Network.mutual(*growth.independent_pairs(size, p, streams.generator("network")))


def scale_free(size: int, streams: Streams, attach: int = 2) -> Network:
    """Newcomers attach to `attach` others in proportion to degree. Source: Barabási & Albert 1999."""
    if not 1 <= attach < size:
        raise NetworkError(f"network.attach must be in [1, population.size), got {attach}")
    _must_fit(size, 2 * size * attach, "scale-free")
    return Network.mutual(*growth.preferential_pairs(size, attach, streams.generator("network")))


def from_file(size: int, streams: Streams, path: str, directed: bool = False) -> Network:
    """From a CSV with the header `source,target[,weight][,layer]` and agent ids 0…size−1; a layer is any name.

    directed=False: each edge is heard both ways. Errors name file, line and value.
    """
    rows = _read_csv(path)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header not in [["source", "target", *more] for more in ([], ["weight"], ["layer"], ["weight", "layer"])]:
        raise NetworkError(f"network.path: {path} line 1 must read 'source,target', and may go on with 'weight' and 'layer'")
    edges: list[Row] = []
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            edges.append(_edge(row, header, size))
        except ValueError as error:
            raise NetworkError(f"network.path: {path} line {line}: {error}") from error
    try:
        return Network.from_rows(size, edges, mutual=not directed)
    except NetworkError as error:
        hint = " (each tie is heard both ways; otherwise network.directed=true)" if "twice" in str(error) and not directed else ""
        raise NetworkError(f"network.path: {path}: {error}{hint}") from error


def _read_csv(path: str) -> list[list[str]]:
    try:
        file = Path(path).expanduser()
        if not file.is_file():
            raise NetworkError(f"network.path: no such file: {path}")
        takes, free = file.stat().st_size * CSV_BYTES, growth.memory_available()
        if takes > free:
            raise NetworkError(f"network.path: {path} takes {takes / 1e6:,.0f} MB to read, but {free / 1e6:,.0f} MB are free")
        # Spreadsheets begin UTF-8 with a byte order mark, which utf-8-sig takes off.
        return list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error, OSError, RuntimeError) as error:
        raise NetworkError(f"network.path: {path} is not a readable CSV: {error}") from error


def _edge(row: list[str], header: list[str], size: int) -> Row:
    """One line of a network file; ValueError says what is wrong with it."""
    if len(row) != len(header):
        raise ValueError(f"{len(header)} columns expected, got {len(row)}")
    cell = dict(zip(header, row, strict=True))
    source, target, weight = int(cell["source"]), int(cell["target"]), float(cell.get("weight", 1.0))
    for agent in (source, target):
        if not 0 <= agent < size:
            raise ValueError(f"agent ids are 0 to {size - 1} (population.size={size}), got {agent}")
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"weights must be positive and finite, got {weight}")
    layer = cell["layer"].strip() if "layer" in cell else None
    if layer == "":
        raise ValueError("an edge has no layer")
    return source, target, weight, layer
