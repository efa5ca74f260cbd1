"""Who lives in a scenario: groups, traits and index cases, all drawn from the run's keyed streams."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contagium.agents.policy import Population
from contagium.envs.communities import communities
from contagium.envs.network import Network, NetworkError
from contagium.envs.rng import Streams
from contagium.envs.world import World
from contagium.sim.build import ScenarioError
from contagium.sim.scenario import GroupSpec, PopulationSpec, Scenario, SeedingSpec

Ints = NDArray[np.int64]


def seeded(scenario: Scenario, network: Network, streams: Streams) -> Ints:
    """The strain of each index case, −1 of everybody else, (N,)."""
    strain = np.full(scenario.population.size, -1)
    for k in range(len(scenario.personas)):
        strain[index_cases(scenario.seeding, network, streams, k)] = k
    return strain


def populate(scenario: Scenario, strain: Ints, streams: Streams, world: World | None = None) -> Population:
    """The population of a scenario. ScenarioError: groups do not fit the roles.

    strain: (N,), of index cases, as `seeded` gives it. world: None, one without roles.
    """
    size = scenario.population.size
    role, roles = (np.zeros(size, dtype=np.int64), ()) if world is None else (world.role, world.roles)
    return Population(
        group=_groups(scenario.agents.groups, role, roles, streams),
        strain=strain,
        susceptibility=_trait(scenario.population, "susceptibility", streams),
        expressiveness=_trait(scenario.population, "expressiveness", streams),
        temperament=_temperament(scenario.population, streams),
    )


def index_cases(seeding: SeedingSpec, network: Network, streams: Streams, strain: int = 0) -> NDArray[np.int64]:
    """Ids of the index cases of a strain. Agents that are named are those of the first, and of no other.

    ScenarioError: no community is left that is large enough.
    """
    if seeding.agents is not None and strain == 0:
        return np.asarray(seeding.agents, dtype=np.int64)
    shuffled = streams.generator("seeding").permutation(network.size)
    if seeding.method == "degree":
        hearers = np.bincount(network.source, minlength=network.size)
        shuffled = shuffled[np.argsort(-hearers[shuffled], kind="stable")]
    if seeding.method == "community":
        return _within(seeding, shuffled, network, streams, strain)
    if seeding.agents is not None:
        shuffled, strain = shuffled[~np.isin(shuffled, seeding.agents)], strain - 1
    return np.sort(shuffled[strain * seeding.count : (strain + 1) * seeding.count])


def _within(seeding: SeedingSpec, shuffled: Ints, network: Network, streams: Streams, strain: int) -> Ints:
    """`count` index cases of one community, the first of `shuffled` (N,) that are in it; another community for each strain."""
    try:
        community = communities(network, streams)
    except NetworkError as error:
        raise ScenarioError(f"seeding.method=community: {error}") from error
    sizes = np.bincount(community, minlength=0 if seeding.community is None else seeding.community + 1)
    drawn = streams.generator("seeding communities").permutation(len(sizes))
    # An agent that is named is of the first strain, whatever its community.
    shuffled = shuffled[~np.isin(shuffled, seeding.agents or ())]
    room = np.bincount(community[shuffled], minlength=len(sizes))
    large = drawn[room[drawn] >= max(1, seeding.count)].tolist()
    if (named := seeding.community) is not None:
        if named not in large:
            raise ScenarioError(
                f"seeding.community: {seeding.count} agents do not fit into community {named} of {sizes[named]} agents"
            )
        large = [named, *(each for each in large if each != named)]
    place = strain - (seeding.agents is not None)
    if place >= len(large):
        raise ScenarioError(
            f"seeding.count: {place + 1} communities of at least {seeding.count} agents are needed, one a strain, and there "
            f"are {len(large)} (of {len(sizes)} communities)"
        )
    return np.sort(shuffled[community[shuffled] == large[place]][: seeding.count])


def _groups(groups: Mapping[str, GroupSpec], role_of: Ints, roles: tuple[str, ...], streams: Streams) -> Ints:
    """Index of each agent's group, (N,): those of a role among the groups that name it, all others among those that name none."""
    found, specs = np.full(len(role_of), -1), list(groups.values())
    for name, spec in groups.items():
        if spec.role is not None and spec.role not in roles:
            there = ", ".join(roles) or "none"
            raise ScenarioError(f"agents.groups.{name}.role: no role {spec.role!r} in this world; there are: {there}")
    named = {spec.role for spec in specs if spec.role is not None}
    for role in (None, *(role for role in roles if role in named)):
        mine = [k for k, spec in enumerate(specs) if spec.role == role]
        others = np.isin(role_of, [roles.index(name) for name in named])
        pool = np.flatnonzero(~others if role is None else role_of == roles.index(role))
        if len(pool) or any(specs[k].size for k in mine):
            found[pool] = np.array(mine, dtype=np.int64)[_split([specs[k] for k in mine], len(pool), role, streams)]
    return found


def _split(groups: list[GroupSpec], size: int, role: str | None, streams: Streams) -> Ints:
    """Place in `groups` of each of `size` agents of a role, (size,): sized groups are filled first, the rest split by share."""
    sized, of = sum(group.size or 0 for group in groups), "agents" if role is None else f"agents of the role {role}"
    if sized > size or (sized < size and all(group.share is None for group in groups)):
        raise ScenarioError(f"agents.groups: there are {size} {of}, and groups with a place for {sized}")
    counts = np.array([group.size or 0 for group in groups])
    shares = np.array([group.share or 0.0 for group in groups])
    rest = size - counts.sum()
    if rest:
        exact = rest * shares / shares.sum()
        counts = counts + exact.astype(int)
        # What rounding down left over goes to the largest remainders.
        counts[np.argsort(-(exact % 1), kind="stable")[: size - counts.sum()]] += 1
    group = np.repeat(np.arange(len(groups)), counts)
    stream = "groups" if role is None else f"groups:{role}"
    return group if len(groups) == 1 else group[streams.generator(stream).permutation(size)]


def _trait(spec: PopulationSpec, name: str, streams: Streams) -> NDArray[np.float64]:
    """Lognormal with mean 1 and the given standard deviation, (N,)."""
    spread: float = getattr(spec, f"{name}_sd")
    variance = np.log1p(spread**2)
    return streams.generator(name).lognormal(-variance / 2, np.sqrt(variance), spec.size)


def _temperament(spec: PopulationSpec, streams: Streams) -> NDArray[np.float64] | None:
    """Normal with mean 0 and the given standard deviation on each axis of affect, (N, 3); None where it is 0."""
    return streams.generator("temperament").normal(0.0, spec.affect_sd, (spec.size, 3)) if spec.affect_sd else None
