"""Who lives in a scenario: groups, traits and index cases, all drawn from the run's keyed streams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Population
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.sim.scenario import GroupSpec, PopulationSpec, Scenario, SeedingSpec


def populate(scenario: Scenario, network: Network, streams: Streams) -> Population:
    """The population of a scenario on its network."""
    size = scenario.population.size
    strain = np.full(size, -1)
    for k in range(len(scenario.personas)):
        strain[index_cases(scenario.seeding, network, streams, k)] = k
    return Population(
        group=_groups(list(scenario.agents.groups.values()), size, streams),
        strain=strain,
        susceptibility=_trait(scenario.population, "susceptibility", streams),
        expressiveness=_trait(scenario.population, "expressiveness", streams),
        temperament=_temperament(scenario.population, streams),
    )


def index_cases(seeding: SeedingSpec, network: Network, streams: Streams, strain: int = 0) -> NDArray[np.int64]:
    """Ids of the index cases of a strain. Agents that are named are those of the first, and of no other."""
    if seeding.agents is not None and strain == 0:
        return np.asarray(seeding.agents, dtype=np.int64)
    shuffled = streams.generator("seeding").permutation(network.size)
    if seeding.method == "degree":
        hearers = np.bincount(network.source, minlength=network.size)
        shuffled = shuffled[np.argsort(-hearers[shuffled], kind="stable")]
    if seeding.agents is not None:
        shuffled, strain = shuffled[~np.isin(shuffled, seeding.agents)], strain - 1
    return np.sort(shuffled[strain * seeding.count : (strain + 1) * seeding.count])


def _groups(groups: list[GroupSpec], size: int, streams: Streams) -> NDArray[np.int64]:
    """Index of each agent's group, (N,): sized groups are filled first, the rest is split by share."""
    counts = np.array([group.size or 0 for group in groups])
    shares = np.array([group.share or 0.0 for group in groups])
    rest = size - counts.sum()
    if rest:
        exact = rest * shares / shares.sum()
        counts = counts + exact.astype(int)
        # What rounding down left over goes to the largest remainders.
        counts[np.argsort(-(exact % 1), kind="stable")[: size - counts.sum()]] += 1
    group = np.repeat(np.arange(len(groups)), counts)
    return group if len(groups) == 1 else group[streams.generator("groups").permutation(size)]


def _trait(spec: PopulationSpec, name: str, streams: Streams) -> NDArray[np.float64]:
    """Lognormal with mean 1 and the given standard deviation, (N,)."""
    spread: float = getattr(spec, f"{name}_sd")
    variance = np.log1p(spread**2)
    return streams.generator(name).lognormal(-variance / 2, np.sqrt(variance), spec.size)


def _temperament(spec: PopulationSpec, streams: Streams) -> NDArray[np.float64] | None:
    """Normal with mean 0 and the given standard deviation on each axis of affect, (N, 3); None where it is 0."""
    return streams.generator("temperament").normal(0.0, spec.affect_sd, (spec.size, 3)) if spec.affect_sd else None
