"""Networks from files: edge lists, GraphML, contacts by step, and degrees. Pickles are refused: reading one may run anything."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from contagium.envs import growth
from contagium.envs.edges import Network, NetworkError, Row
from contagium.envs.rng import Streams
from contagium.envs.temporal import Contacts

CSV_BYTES, GRAPHML_BYTES = 60, 40
"""Most memory that reading a file takes, by byte of it."""
MOST_STEPS = 2**20
"""Steps in which contacts may be: there is a pointer to each."""
PICKLE_NAMES = {".pickle", ".pkl", ".gpickle", ".p", ".pck", ".joblib", ".dill"}
PICKLE = re.compile(rb"\x80[\x01-\x05]|c[A-Za-z_][\w.]*\r?\n[A-Za-z_]\w*\r?\n|\([dl]p\d")
"""How a pickle begins: the mark of protocols 1 to 5, or the first operations of protocol 0."""
NO_PICKLES = "reading one can run anything, so none is read; write an edge list (CSV) or GraphML instead"


def from_file(size: int, streams: Streams, path: str, directed: bool = False) -> Network:
    """From a CSV with the header `source,target[,weight][,layer]` and agent ids 0…size−1; a layer is any name.

    directed=False: each edge is heard both ways. Errors name file, line and value.
    """
    edges: list[Row] = []
    header = [["source", "target", *more] for more in ([], ["weight"], ["layer"], ["weight", "layer"])]
    for line, cell in _rows(path, header, "'source,target', and may go on with 'weight' and 'layer'"):
        with _told(path, line):
            edges.append(_edge(cell, size))
    with _told(path, both_ways=not directed):
        return Network.from_rows(size, edges, mutual=not directed)


def from_contacts(size: int, streams: Streams, path: str, directed: bool = False, repeat: bool = False) -> Network:
    """Contacts by step, from a CSV with the header `step,source,target[,weight]`: a tie carries in the steps it is listed for.

    directed=False: each is heard both ways. repeat: after the last step with a contact they begin anew; otherwise nothing carries
    from then on. A tie has one weight, the same in all its contacts. Errors name file, line and value.
    """
    weights: dict[tuple[int, int], float] = {}
    contacts: dict[tuple[int, int, int], None] = {}  # in the order of the file
    header = [["step", "source", "target"], ["step", "source", "target", "weight"]]
    for line, cell in _rows(path, header, "'step,source,target', and may go on with 'weight'"):
        with _told(path, line):
            step, (source, target, weight, _) = int(cell["step"]), _edge(cell, size)
            if not 0 <= step < MOST_STEPS:
                raise ValueError(f"steps are 0 to {MOST_STEPS - 1}, got {step}")
            for one, other in ((source, target),) if directed else ((source, target), (target, source)):
                if (step, one, other) in contacts:
                    raise ValueError(f"the contact {one} -> {other} at step {step} is given twice")
                if weights.setdefault((one, other), weight) != weight:
                    raise ValueError(f"the tie {one} -> {other} had weight {weights[one, other]:g} before, now {weight:g}")
                contacts[step, one, other] = None
    with _told(path):
        ends = np.array(list(weights), dtype=np.int64).reshape(-1, 2)
        network = Network.from_edges(size, ends[:, 0], ends[:, 1], list(weights.values()))
    when, heard, by = np.array(list(contacts), dtype=np.int64).reshape(-1, 3).T
    place = np.searchsorted(network.target * size + network.source, by * size + heard)
    order = np.argsort(when, kind="stable")
    last = int(when.max(initial=-1)) + 1
    indptr = np.searchsorted(when[order], np.arange(last + 1)).astype(np.int64)
    return replace(network, times=Contacts(len(weights), indptr, place[order], repeat))


def from_graphml(size: int, streams: Streams, path: str) -> Network:
    """From a GraphML file; whether edges are directed, their `weight` and `layer` are read from it.

    Where the nodes are called 0 to size − 1, these are the ids; otherwise nodes are numbered in the order of the file. A document
    type declaration is refused, as no graph needs one, and entities are declared there.
    """
    data = _read(path, GRAPHML_BYTES, "GraphML")
    _refuse_declarations(path, data)
    try:
        graph = nx.read_graphml(io.BytesIO(data))
    except (nx.NetworkXError, SyntaxError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise NetworkError(f"network.path: {path} is not readable GraphML: {' '.join(str(error).split())}") from error
    names = list(graph)
    if len(names) != size:
        raise NetworkError(f"network.path: {path} has {len(names)} nodes, but population.size is {size}")
    ids = {name: k for k, name in enumerate(names)}
    if set(names) == {str(k) for k in range(size)}:
        ids = {name: int(name) for name in names}
    with _told(path, both_ways=not graph.is_directed()):
        rows = [(ids[u], ids[v], _weight(of.get("weight", 1)), of.get("layer")) for u, v, of in graph.edges(data=True)]
        return Network.from_rows(size, rows, mutual=not graph.is_directed())


def read_degrees(path: str, size: int) -> NDArray[np.int64]:
    """Degrees of all agents, (N,), from one a line, agent 0 first, or from a CSV with the header `agent,degree` in any order."""
    lines = _read_csv(path)
    if lines and [cell.strip() for cell in lines[0]] == ["agent", "degree"]:
        rows = [(line, row) for line, row in enumerate(lines[1:], start=2) if row]
    else:
        given = [(line, row) for line, row in enumerate(lines, start=1) if row]
        rows = [(line, [str(agent), *row]) for agent, (line, row) in enumerate(given)]
    degree = np.full(size, -1)
    for line, row in rows:
        with _told(path, line):
            if len(row) != 2:
                raise ValueError("either one degree a line, or the header 'agent,degree' and two columns")
            agent, value = _agent(row[0], size), int(row[1])
            if degree[agent] >= 0:
                raise ValueError(f"agent {agent} is given twice")
            if not 0 <= value < size:
                raise ValueError(f"degrees are 0 to {size - 1} (population.size={size}), got {value}")
            degree[agent] = value
    if np.any(degree < 0):
        agent = int(np.argmax(degree < 0))
        raise NetworkError(f"network.path: {path} has no degree of agent {agent} (population.size={size})")
    return degree


@contextmanager
def _told(path: str, line: int | None = None, both_ways: bool = False) -> Iterator[None]:
    """What is wrong, as one line that names the file and the line in it."""
    try:
        yield
    except ValueError as error:
        hint = " (each tie is heard both ways; otherwise network.directed=true)" if both_ways and "twice" in str(error) else ""
        raise NetworkError(f"network.path: {path}{'' if line is None else f' line {line}'}: {error}{hint}") from error


def _rows(path: str, headers: list[list[str]], rule: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line of a CSV that is not empty: its number, and its cells by column. headers: those it may have."""
    lines = _read_csv(path)
    header = [cell.strip() for cell in lines[0]] if lines else []
    if header not in headers:
        raise NetworkError(f"network.path: {path} line 1 must read {rule}")
    for line, row in enumerate(lines[1:], start=2):
        with _told(path, line):
            if row and len(row) != len(header):
                raise ValueError(f"{len(header)} columns expected, got {len(row)}")
        if row:
            yield line, dict(zip(header, row, strict=True))


def _read_csv(path: str) -> list[list[str]]:
    data = _read(path, CSV_BYTES, "CSV")
    try:
        # Spreadsheets begin UTF-8 with a byte order mark, which utf-8-sig takes off.
        return list(csv.reader(data.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NetworkError(f"network.path: {path} is not a readable CSV: {error}") from error


def _read(path: str, takes: int, kind: str) -> bytes:
    """What a file holds. takes: memory by byte of it."""
    try:
        file = Path(path).expanduser()
        if {suffix.lower() for suffix in file.suffixes} & PICKLE_NAMES:
            raise NetworkError(f"network.path: {path} is a pickle by its name: {NO_PICKLES}")
        if not file.is_file():
            raise NetworkError(f"network.path: no such file: {path}")
        needs, free = file.stat().st_size * takes, growth.memory_available()
        if needs > free:
            raise NetworkError(f"network.path: {path} takes {needs / 1e6:,.0f} MB to read, but {free / 1e6:,.0f} MB are free")
        data = file.read_bytes()
    except (OSError, RuntimeError) as error:
        raise NetworkError(f"network.path: {path} is not a readable {kind}: {error}") from error
    if PICKLE.match(data):
        raise NetworkError(f"network.path: {path} holds a pickle: {NO_PICKLES}")
    if kind == "CSV" and data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise NetworkError(f"network.path: {path} is XML and no CSV; GraphML is read with network=graphml")
    return data


def _refuse_declarations(path: str, data: bytes) -> None:
    def refuse(*_: object) -> None:
        raise NetworkError(f"network.path: {path} has a document type declaration (<!DOCTYPE), which is not read")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise NetworkError(f"network.path: {path} is not readable GraphML: {error}") from error


def _edge(cell: Mapping[str, str], size: int) -> Row:
    """The edge that cells tell of; ValueError says what is wrong with it."""
    source, target, weight = _agent(cell["source"], size), _agent(cell["target"], size), _weight(cell.get("weight", 1.0))
    layer = cell["layer"].strip() if "layer" in cell else None
    if layer == "":
        raise ValueError("an edge has no layer")
    return source, target, weight, layer


def _agent(cell: str, size: int) -> int:
    agent = int(cell)
    if not 0 <= agent < size:
        raise ValueError(f"agent ids are 0 to {size - 1} (population.size={size}), got {agent}")
    return agent


def _weight(cell: str | float) -> float:
    weight = float(cell)
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"weights must be positive and finite, got {weight}")
    return weight
