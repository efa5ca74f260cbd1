"""Networks by name: generators. The class `Network` itself is in `contagium.envs.edges`, files in `contagium.envs.files`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from contagium.envs import growth
from contagium.envs.edges import Network as Network
from contagium.envs.edges import NetworkError as NetworkError
from contagium.envs.files import from_contacts as from_contacts
from contagium.envs.files import from_file as from_file
from contagium.envs.files import from_graphml as from_graphml
from contagium.envs.files import read_degrees
from contagium.envs.rng import Streams
from contagium.envs.temporal import Contacts, Intermittent

EDGE_BYTES, AGENT_BYTES = 12, 45
"""Most memory that making a network takes, by edge and agent, measured at 1,000,000 to 10,000,000 agents."""
PAIR_BYTES = 30
"""The same by edge where pairs come in no order."""
NETWORKX_UP_TO = 10_000
"""Agents up to which networkx makes small worlds; more take it too long and too much memory, and a kernel makes them."""


def _must_fit(size: int, edges: float, kind: str, edge_bytes: int = EDGE_BYTES) -> None:
    """Refuse what cannot be made, before memory runs out. edges: expected number, both directions counted."""
    if size < 1:
        raise NetworkError(f"population.size must be at least 1, got {size}")
    takes, free = edges * edge_bytes + size * AGENT_BYTES, growth.memory_available()
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


def line(size: int, streams: Streams) -> Network:
    """A chain: each agent hears the one before it and the one after it."""
    _must_fit(size, 2 * size, "line", PAIR_BYTES)
    return Network.from_pairs(size, np.arange(size - 1), np.arange(1, size))


def star(size: int, streams: Streams) -> Network:
    """Everybody hears agent 0 and is heard by it, and nobody else."""
    _must_fit(size, 2 * size, "star", PAIR_BYTES)
    return Network.from_pairs(size, np.zeros(size - 1, dtype=np.int64), np.arange(1, size))


def grid(size: int, streams: Streams, columns: int | None = None, wrap: bool = False) -> Network:
    """A rectangle, row by row: each agent hears those left, right, above and below. columns: None makes it as square as can be.

    wrap: the last row meets the first and the last column the first, as on a torus.
    """
    _must_fit(size, 4 * size, "grid", PAIR_BYTES)
    if columns is None:
        columns = size // max(rows for rows in range(1, int(size**0.5) + 1) if size % rows == 0)
        if columns == size > 3:
            raise NetworkError(f"population.size {size} has no two factors to be a grid of; a multiple of 4 is safe")
    if not 1 <= columns <= size or size % columns:
        raise NetworkError(f"network.columns must divide population.size ({size}), got {columns}")
    place = np.arange(size).reshape(-1, columns)
    one, other = [place[:, :-1], place[:-1]], [place[:, 1:], place[1:]]
    # In a row of two, the neighbour on the left is the one on the right.
    if wrap and columns > 2:
        one, other = [*one, place[:, 0]], [*other, place[:, -1]]
    if wrap and len(place) > 2:
        one, other = [*one, place[0]], [*other, place[-1]]
    return Network.from_pairs(size, *(np.concatenate([part.ravel() for part in ends]) for ends in (one, other)))


def stochastic_block(
    size: int, streams: Streams, blocks: int | list[int] = 2, inside: float = 3.0, between: float = 0.5
) -> Network:
    """Communities: agents are tied to `inside` others of their own block on average, and to `between` of other blocks.

    blocks: their sizes, or how many equal ones (the first are larger by one where they cannot be equal). Agents 0, 1, … are in
    block 0, and so on. Source: Holland, Laskey & Leinhardt 1983.
    """
    if not isinstance(blocks, list) and not 1 <= blocks <= size:
        raise NetworkError(f"network.blocks must be 1 to population.size ({size}) blocks, got {blocks}")
    sizes = np.array(blocks) if isinstance(blocks, list) else (size + np.arange(blocks)[::-1]) // blocks
    if not len(sizes) or sizes.min() < 1 or sizes.sum() != size:
        raise NetworkError(f"network.blocks must be sizes of at least 1 that add up to population.size ({size}), got {blocks}")
    if not 0 <= inside <= sizes.min() - 1:
        raise NetworkError(f"network.inside must be in [0, {sizes.min() - 1}], the smallest block without oneself, got {inside}")
    others = size - float((sizes.astype(float) ** 2).sum()) / size
    if not 0 <= between <= others:
        raise NetworkError(f"network.between must be in [0, {others:g}], the mean size of all other blocks, got {between}")
    _must_fit(size, size * (inside + between), "block", PAIR_BYTES)
    pairs = growth.block_pairs(sizes, inside, between, streams.generator("network"))
    return Network.from_pairs(size, *pairs, blocks=np.repeat(np.arange(len(sizes)), sizes))


def configuration(
    size: int,
    streams: Streams,
    path: str | None = None,
    exponent: float = 2.5,
    least: int = 2,
    most: int | None = None,
) -> Network:
    """A random network with given degrees, all of them kept; `growth.matched_pairs` says what becomes of loops and doubles.

    path: a file of one degree a line, agent 0 first, or a CSV with the header `agent,degree`. Without one, degrees are drawn
    from a power law: in proportion to degree^−exponent from `least` to `most` (None: the root of population.size, or `least`).
    Sources: Newman, Strogatz & Watts 2001; Clauset, Shalizi & Newman 2009 (the law).
    """
    if path is None:
        degree = _power_law(size, streams, exponent, least, max(least, int(size**0.5)) if most is None else most)
    else:
        degree = read_degrees(path, size)
    where = "network.least and network.most" if path is None else f"network.path: {path}"
    _must_fit(size, float(degree.sum()), "configuration", PAIR_BYTES)
    if not growth.graphical(degree):
        raise NetworkError(
            f"{where}: no network without loops and doubled ties has these degrees (they add up to {degree.sum()})"
        )
    try:
        pairs = growth.matched_pairs(degree, streams.generator("network"))
    except ValueError as error:
        raise NetworkError(f"{where}: {error}") from error
    return Network.from_pairs(size, *pairs)


def _power_law(size: int, streams: Streams, exponent: float, least: int, most: int) -> NDArray[np.int64]:
    """Degrees drawn from a power law, (N,); where they add up to an odd number, one agent has one more or one less."""
    if not 0 <= exponent < np.inf:
        raise NetworkError(f"network.exponent must be at least 0 and finite, got {exponent}")
    if not 0 <= least <= most < max(size, 1):
        raise NetworkError(
            f"network.least and network.most must be 0 ≤ least ≤ most < population.size ({size}), got {least} and {most}"
        )
    rng, degree = streams.generator("degrees"), np.arange(least, most + 1)
    # A degree of 0 has no power: it counts as 1 does.
    share = np.cumsum(np.maximum(degree, 1.0) ** -exponent)
    drawn = degree[np.searchsorted(share, rng.random(size) * share[-1], "right").clip(max=len(degree) - 1)]
    if drawn.sum() % 2:
        drawn[rng.integers(size)] += 1 if drawn.max() < size - 1 else -1
    return drawn


def activity_driven(
    size: int, streams: Streams, exponent: float = 2.1, least: float = 0.1, contacts: int = 2, period: int = 100
) -> Network:
    """Ties of a moment: in each step each agent is active with a probability of its own, and meets `contacts` others, drawn anew.

    Those who meet hear each other. Activities are drawn from a power law with this exponent between `least` and 1. The contacts
    of `period` steps are drawn, then they repeat. Source: Perra, Gonçalves, Pastor-Satorras & Vespignani 2012.
    """
    for name, value, fits, rule in (
        ("exponent", exponent, 1 < exponent < np.inf, "above 1 and finite"),
        ("least", least, 0 < least <= 1, "in (0, 1]"),
        ("contacts", contacts, 0 <= contacts < max(size, 1), f"0 to population.size - 1 ({size - 1})"),
        ("period", period, period >= 1, "at least 1 step"),
    ):
        if not fits:
            raise NetworkError(f"network.{name} must be {rule}, got {value}")
    rng = streams.generator("network")
    # The inverse of the distribution function of x^−exponent on [least, 1].
    low = least ** (1 - exponent)
    activity = (low + rng.random(size) * (1 - low)) ** (1 / (1 - exponent))
    _must_fit(size, 2 * contacts * period * float(activity.sum()), "activity-driven", 3 * PAIR_BYTES)
    keys, counts = [], []
    for _ in range(period):
        active = np.flatnonzero(rng.random(size) < activity)
        # Whom each meets: draws without the agent itself; one met twice is met once.
        met = rng.integers(max(size - 1, 1), size=(len(active), contacts))
        met += met >= active[:, None]
        one, other = np.repeat(active, contacts), met.reshape(-1)
        keys.append(np.unique(np.concatenate([one * size + other, other * size + one])))
        counts.append(len(keys[-1]))
    every, place = np.unique(np.concatenate(keys), return_inverse=True)
    network = Network.from_edges(size, every % size, every // size)
    times = Contacts(len(every), np.concatenate([[0], np.cumsum(counts)]), place, repeat=True)
    return replace(network, times=times)


Part = Callable[..., Network]
"""Makes a network of a specification with a `_target_` that stands under a key: `part(spec, key, streams=…)`."""


def layers(
    size: int,
    streams: Streams,
    part: Part,
    networks: Mapping[str, dict[str, Any] | None],
    activity: Mapping[str, float] | None = None,
) -> Network:
    """Several networks of the same agents laid over each other: name of the layer → its `_target_` and settings; None: no layer.

    activity: layer → probability with which each of its ties carries in a step; those not named always do. Each layer is drawn
    from streams of its own.
    """
    activity, specs = activity or {}, {name: spec for name, spec in networks.items() if spec is not None}
    for name, chance in activity.items():
        if name not in specs:
            raise NetworkError(f"network.activity.{name}: no such layer; network.networks has {', '.join(specs) or 'none'}")
        if not 0 <= chance <= 1:
            raise NetworkError(f"network.activity.{name} must be a probability in [0, 1], got {chance}")
    made: dict[str, Network] = {}
    for name, spec in specs.items():
        own = Streams(streams.key(f"network {name}"))
        layer = part(spec, f"network.networks.{name}", streams=own, part=part)
        if activity.get(name, 1) < 1:
            layer = replace(layer, times=Intermittent(own, activity[name], layer.ties, layer.times))
        made[name] = layer
    return Network.from_layers(made)
