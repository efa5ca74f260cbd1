"""Who hears whom: a network as compact edge arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.envs import growth
from contagium.envs.temporal import Chosen, Laid, Merged, Times

if TYPE_CHECKING:
    import networkx as nx

MOST_AGENTS, MOST_LAYERS = 2**28, 2**7
"""The key (target, source, layer) by which edges are sorted has 63 bits."""
BLOCK = 2**20
"""Edges checked at a time."""
Row = tuple[int, int, float, str | None]
"""Source, target, weight, name of the layer or None."""


class NetworkError(ValueError):
    """A network that cannot be built: the message names the rule and the value."""


@dataclass(frozen=True, eq=False)
class Network:
    """A directed, weighted network of N agents and E edges: along each edge, `target` hears `source`. Compressed by target.

    size: N ≥ 1. indptr: (N + 1,) int64; agent i hears source[indptr[i]:indptr[i + 1]], ascending. source: (E,) int32.
    weight: (E,) float64, positive, relative strength of hearing; where all are 1 it is one number shown E times (stride 0), which
    takes no memory. layers: names of the kinds of tie; layer: (E,) int8, the place in `layers` of each edge, None without layers.
    blocks: (N,) int64, the community that each agent was planted in, from 0; None: none were planted. times: when ties carry;
    None: always. Nobody hears itself, or another twice in a layer. `from_edges` takes edges in any order.
    """

    size: int
    indptr: NDArray[np.int64]
    source: NDArray[np.int32]
    weight: NDArray[np.float64]
    layer: NDArray[np.int8] | None = None
    layers: tuple[str, ...] = ()
    blocks: NDArray[np.int64] | None = None
    times: Times | None = None

    def __post_init__(self) -> None:
        _check_size(self.size)
        edges = len(self.source)
        if len(self.weight) != edges or (self.layer is not None and len(self.layer) != edges):
            raise NetworkError("source, target, weight and layer must have equal length")
        if len(self.indptr) != self.size + 1 or self.indptr[0] != 0 or self.indptr[-1] != edges or self.in_degree.min() < 0:
            raise NetworkError(f"the row pointer must lead from 0 to {edges} in {self.size} steps and never fall")
        _check_ends(self.size, self.source)
        for name, kind in (("indptr", np.int64), ("source", np.int32), ("weight", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        if self.weight.strides != (0,) and np.all(self.weight == 1):
            object.__setattr__(self, "weight", _ones(edges))
        wrong = self.weight[:0] if self.unweighted else self.weight[~(np.isfinite(self.weight) & (self.weight > 0))]
        if len(wrong):
            raise NetworkError(f"edge weights must be positive and finite, got {wrong[0]}")
        _check_layers(self.layer, self.layers)
        if self.blocks is not None and (self.blocks.shape != (self.size,) or self.blocks.min() < 0):
            raise NetworkError(f"blocks must be {self.size} numbers of at least 0, one for each agent")
        if self.times is not None and len(self.times.tied(0)) != edges:
            raise NetworkError(f"times must tell of each of {edges} edges, but tell of {len(self.times.tied(0))}")
        # Block by block: the targets of all edges at once would take more memory than the network.
        cuts = np.searchsorted(self.indptr, np.arange(BLOCK, edges, BLOCK))
        for first, last in pairwise([0, *np.unique(cuts).tolist(), self.size]):
            self._check_rows(first, last)

    def _check_rows(self, first: int, last: int) -> None:
        """No self-loop, no edge twice and ascending sources among the edges heard by the agents `first` to `last` − 1."""
        edges = slice(self.indptr[first], self.indptr[last])
        source = self.source[edges]
        target = np.repeat(np.arange(first, last, dtype=np.int32), np.diff(self.indptr[first : last + 1]))
        loop = np.flatnonzero(source == target)
        if len(loop):
            raise NetworkError(f"no agent may hear itself, but agent {source[loop[0]]} does")
        step = np.diff(source)
        falls = step < 0
        twice = step == 0 if self.layer is None else (step == 0) & (np.diff(self.layer[edges]) <= 0)
        wrong = np.flatnonzero((falls | twice) & (target[1:] == target[:-1]))
        if len(wrong):
            at = wrong[0]
            said = f"edge {source[at]} -> {target[at]} is given twice"
            raise NetworkError(f"sources must ascend, but agent {target[at]} hears {source[at]} first" if falls[at] else said)

    @cached_property
    def target(self) -> NDArray[np.int64]:
        """Who hears along each edge, shape (E,), ascending. Made when first asked for: eight bytes an edge."""
        return np.repeat(np.arange(self.size), self.in_degree)

    @property
    def in_degree(self) -> NDArray[np.int64]:
        """How many edges each agent hears along, shape (N,)."""
        return np.diff(self.indptr)

    @property
    def unweighted(self) -> bool:
        """Whether all weights are 1."""
        return self.weight.strides == (0,) and bool(np.all(self.weight[:1] == 1))

    def neighbours(self, agent: int) -> NDArray[np.int32]:
        """Whom `agent` hears, ascending; one it hears in several layers, as many times."""
        return self.source[self.indptr[agent] : self.indptr[agent + 1]]

    def tied(self, step: int) -> NDArray[np.bool_] | None:
        """Which edges carry what is said at `step`, (E,); None: all."""
        return None if self.times is None else self.times.tied(step)

    def part(self, layer: str) -> tuple[Network, NDArray[np.int64]]:
        """The ties of one layer as a network, and the place here of each of its edges. NetworkError: there is no such layer."""
        if layer not in self.layers:
            raise NetworkError(f"the network has no layer {layer}; it has {', '.join(self.layers) or 'none'}")
        place = np.flatnonzero(self.layer == self.layers.index(layer))
        times = None if self.times is None else Chosen(self.times, place)
        indptr = np.searchsorted(place, self.indptr).astype(np.int64)
        return Network(self.size, indptr, self.source[place], self.weight[place], blocks=self.blocks, times=times), place

    @cached_property
    def flat(self) -> Network:
        """The network without layers: ties of a pair in several layers are one, with the sum of their weights."""
        if self.layer is None:
            return self
        new = np.ones(len(self.source), dtype=bool)
        new[1:] = (np.diff(self.source) != 0) | (np.diff(self.target) != 0)
        first = np.flatnonzero(new)
        weight = np.add.reduceat(self.weight, first) if len(first) else self.weight
        times = None if self.times is None else Merged(self.times, first)
        indptr = np.searchsorted(first, self.indptr).astype(np.int64)
        return Network(self.size, indptr, self.source[first], weight, blocks=self.blocks, times=times)

    @property
    def symmetric(self) -> bool:
        """Whether each edge has an opposite one of the same weight and layer."""
        return self.hearers[1] is self.source

    @cached_property
    def hearers(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64] | None]:
        """Who hears each agent: row pointer (N + 1,), target (E,) ascending in each row, and edge (E,), the place of each in
        `weight` and `layer`. In a symmetric network the first two are its own arrays, and edge is None where all weights are 1.
        """
        indptr, target, edge = growth.transpose(self.indptr, self.source)
        same = (
            np.array_equal(indptr, self.indptr)
            and np.array_equal(target, self.source)
            and (self.unweighted or np.array_equal(self.weight[edge], self.weight))
            and (self.layer is None or np.array_equal(self.layer[edge], self.layer))
        )
        return (self.indptr, self.source, None if self.unweighted else edge) if same else (indptr, target, edge)

    @classmethod
    def from_edges(
        cls,
        size: int,
        source: ArrayLike,
        target: ArrayLike,
        weight: ArrayLike | None = None,
        layer: ArrayLike | None = None,
        layers: tuple[str, ...] = (),
    ) -> Network:
        """From edge ends in any order, as anything NumPy reads as whole numbers; weights default to 1."""
        _check_size(size)
        heard, key = _ids(source), _ids(target)
        strength = _ones(len(key)) if weight is None else np.asarray(weight, dtype=np.float64).reshape(-1)
        kind = None if layer is None else _ids(layer)
        if not len(key) == len(heard) == len(strength) or (kind is not None and len(kind) != len(key)):
            raise NetworkError("source, target, weight and layer must have equal length")
        _check_ends(size, heard, key)
        _check_layers(kind, layers)
        key *= size
        key += heard
        if weight is None and kind is None:
            # Sorting the keys in place is several times faster than sorting by them, and takes half the memory.
            key.sort()
        else:
            order = np.argsort(key if kind is None else key * MOST_LAYERS + kind, kind="stable")
            key, strength = key[order], strength[order]
            kind = None if kind is None else kind[order]
        indptr = np.searchsorted(key, np.arange(size + 1) * size)
        key %= size
        return cls(size, indptr, key.astype(np.int32), strength, None if kind is None else kind.astype(np.int8), layers)

    @classmethod
    def from_layers(cls, networks: Mapping[str, Network]) -> Network:
        """Networks of the same agents laid over each other; the names are the layers. Edges in different layers may coincide.

        Blocks are those of the first that has some; each tie carries when it does in its own network.
        """
        parts = list(networks.values())
        if not parts or len({part.size for part in parts}) > 1 or any(part.layers for part in parts):
            had = ", ".join(f"{name}: {part.size}" for name, part in networks.items()) or "none"
            raise NetworkError(f"layers must be networks of equal size that have no layers themselves, got {had}")
        source, target, weight = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("source", "target", "weight")
        )
        layer = np.repeat(np.arange(len(parts)), [len(part.source) for part in parts])
        laid = cls.from_edges(parts[0].size, source, target, weight, layer, tuple(networks))
        times: Times | None = None
        if any(part.times is not None for part in parts):
            times = Laid(tuple((len(part.source), part.times) for part in parts), np.lexsort((layer, source, target)))
        planted = [part.blocks for part in parts if part.blocks is not None]
        return replace(laid, blocks=planted[0] if planted else None, times=times)

    @classmethod
    def mutual(cls, indptr: NDArray[np.int64], other: NDArray[np.int32], blocks: NDArray[np.int64] | None = None) -> Network:
        """From pairs that hear each other, each given once: row i holds other[indptr[i]:indptr[i + 1]], ascending."""
        indptr, source = growth.both_ways(indptr, other)
        network = cls(len(indptr) - 1, indptr, source, _ones(len(source)), blocks=blocks)
        # Known from how it was made; finding it out takes longer than making it.
        network.__dict__["hearers"] = indptr, source, None
        return network

    @classmethod
    def from_pairs(cls, size: int, one: ArrayLike, other: ArrayLike, blocks: NDArray[np.int64] | None = None) -> Network:
        """From the two ends (m,) of ties heard both ways, each given once, in any order. NetworkError: a loop, or a tie twice."""
        ends = np.asarray(one, dtype=np.int64), np.asarray(other, dtype=np.int64)
        _check_ends(size, *ends)
        key = np.minimum(*ends) * size + np.maximum(*ends)
        key.sort()
        wrong = np.flatnonzero(key // size == key % size)
        if len(wrong):
            raise NetworkError(f"no agent may hear itself, but agent {key[wrong[0]] % size} does")
        twice = np.flatnonzero(np.diff(key) == 0)
        if len(twice):
            raise NetworkError(f"tie {key[twice[0]] // size} - {key[twice[0]] % size} is given twice")
        indptr = np.searchsorted(key, np.arange(size + 1) * size)
        key %= size
        return cls.mutual(indptr, key.astype(np.int32), blocks)

    @property
    def ties(self) -> NDArray[np.int64]:
        """For each edge, the number of its tie, (E,): an edge and the opposite one in the same layer are one tie."""
        kind = 0 if self.layer is None else self.layer.astype(np.int64)
        low, high = np.minimum(self.source, self.target), np.maximum(self.source, self.target)
        number: NDArray[np.int64] = np.unique((low * self.size + high) * MOST_LAYERS + kind, return_inverse=True)[1]
        return number

    @classmethod
    def from_rows(cls, size: int, rows: Sequence[Row], mutual: bool) -> Network:
        """From rows. mutual: each is heard both ways."""
        source, target, weight, name = zip(*rows, strict=True) if rows else ((), (), (), ())
        layers = tuple(sorted({each for each in name if each is not None}))
        if layers and None in name:
            raise NetworkError("either all edges have a layer or none")
        layer = [layers.index(each) for each in name] if layers else None
        if mutual:
            source, target, weight, layer = source + target, target + source, 2 * weight, layer and 2 * layer
        return cls.from_edges(size, source, target, weight, layer, layers)

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> Network:
        """From a networkx graph with nodes 0…N−1; an undirected edge is heard both ways.

        `weight` is honoured, and `layer`, a name that all edges have or none. NetworkError: a self-loop, or an edge given twice.
        """
        edges = ((u, v, data.get("weight", 1.0), data.get("layer")) for u, v, data in graph.edges(data=True))
        return cls.from_rows(graph.number_of_nodes(), list(edges), mutual=not graph.is_directed())

    def to_networkx(self) -> nx.DiGraph:
        """As a networkx digraph (with layers: a multigraph) with every agent as node, and `weight` and `layer` on edges."""
        import networkx as nx

        graph = nx.DiGraph() if self.layer is None else nx.MultiDiGraph()
        graph.add_nodes_from(range(self.size))
        data = [{"weight": weight} for weight in self.weight.tolist()]
        if self.layer is not None:
            data = [{**each, "layer": self.layers[k]} for each, k in zip(data, self.layer, strict=True)]
        graph.add_edges_from(zip(self.source.tolist(), self.target.tolist(), data, strict=True))
        return graph


def _ids(values: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(values).reshape(-1)
    if len(given) and not np.issubdtype(given.dtype, np.integer):
        raise NetworkError(f"agent ids and layers must be whole numbers, got {given[0]!r}")
    return given.astype(np.int64)


def _ones(edges: int) -> NDArray[np.float64]:
    return np.broadcast_to(np.float64(1), edges)


def _check_size(size: int) -> None:
    if not 1 <= size <= MOST_AGENTS:
        raise NetworkError(f"network size must be at least 1 and at most {MOST_AGENTS}, got {size}")


def _check_ends(size: int, *ends: NDArray[np.integer]) -> None:
    low = min((int(some.min()) for some in ends if len(some)), default=0)
    high = max((int(some.max()) for some in ends if len(some)), default=0)
    if low < 0 or high >= size:
        raise NetworkError(f"edge ends must be agent ids 0 to {size - 1}, got {low} to {high}")


def _check_layers(layer: NDArray[np.integer] | None, layers: tuple[str, ...]) -> None:
    if (layer is None) != (not layers):
        raise NetworkError("layer and layers must be given together")
    if len(set(layers)) < len(layers) or "" in layers or len(layers) > MOST_LAYERS:
        raise NetworkError(f"layers must be at most {MOST_LAYERS} different names, got {', '.join(map(repr, layers))}")
    if layer is not None and len(layer) and not 0 <= layer.min() <= layer.max() < len(layers):
        raise NetworkError(f"edge layers must be 0 to {len(layers) - 1}, got {layer.min()} to {layer.max()}")
