"""Who lives where: groups of the stated sizes, traits of the stated spread, index cases as asked, and all of it keyed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagium.agents.persona import Persona
from contagium.agents.policy import Population
from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import Network, erdos_renyi, scale_free, stochastic_block
from contagium.envs.rng import Streams
from contagium.envs.world import World
from contagium.sim.build import ScenarioError
from contagium.sim.populate import index_cases, populate, seeded
from contagium.sim.scenario import GroupSpec, PopulationSpec, Scenario, SeedingSpec

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)
POLICY = {"_target_": "contagium.agents.scripted.Scripted"}


def scenario(
    size: int, groups: dict[str, GroupSpec] | None = None, seeding: SeedingSpec | None = None, sd: float = 0.0, rivals: int = 0
) -> Scenario:
    """Only what `populate` reads."""
    from contagium.sim.scenario import AgentsSpec

    return Scenario.model_construct(
        population=PopulationSpec(size=size, susceptibility_sd=sd, expressiveness_sd=sd),
        agents=AgentsSpec(groups=groups or {"all": GroupSpec(policy=POLICY, share=1.0)}),
        seeding=seeding or SeedingSpec(count=min(2, size)),
        persona=Persona(name="spiral"),
        rivals={f"r{k}": Persona(name=f"rival_{k}") for k in range(rivals)},
    )


def populated(spec: Scenario, network: Network, streams: Streams, world: World | None = None) -> Population:
    return populate(spec, seeded(spec, network, streams), streams, world)


@LAW
@given(st.integers(1, 200), st.lists(st.integers(0, 30), max_size=3), st.lists(st.floats(0.01, 50), min_size=1, max_size=5))
def test_sized_groups_are_exact_and_shares_differ_by_less_than_one(rest: int, sizes: list[int], shares: list[float]) -> None:
    groups = {f"n{k}": GroupSpec(policy=POLICY, size=n) for k, n in enumerate(sizes)}
    groups |= {f"s{k}": GroupSpec(policy=POLICY, share=s) for k, s in enumerate(shares)}
    size = rest + sum(sizes)
    group = populated(scenario(size, groups), erdos_renyi(size, Streams(0), 0.0), Streams(1)).group
    counts = np.bincount(group, minlength=len(groups))
    assert counts.sum() == size
    assert counts[: len(sizes)].tolist() == sizes
    assert np.all(np.abs(counts[len(sizes) :] - rest * np.array(shares) / sum(shares)) < 1)


def test_the_split_into_groups_changes_neither_traits_nor_index_cases() -> None:
    network = erdos_renyi(50, Streams(0), 4.0)
    halves = {name: GroupSpec(policy=POLICY, share=1.0) for name in ("a", "b")}
    one, two = (populated(scenario(50, groups, sd=0.5), network, Streams(3)) for groups in (None, halves))
    for name in ("strain", "susceptibility", "expressiveness"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert np.bincount(two.group).tolist() == [25, 25]
    assert not np.array_equal(two.group, np.sort(two.group))


def test_traits_have_mean_one_and_the_stated_spread() -> None:
    size = 40_000
    made = populated(scenario(size, sd=0.5), Network.from_edges(size, [0], [1]), Streams(5))
    for trait in (made.susceptibility, made.expressiveness):
        assert trait.mean() == pytest.approx(1.0, abs=4 * 0.5 / np.sqrt(size))
        assert trait.std() == pytest.approx(0.5, rel=0.05)
        assert trait.min() > 0
    assert abs(np.corrcoef(made.susceptibility, made.expressiveness)[0, 1]) < 0.03
    assert np.all(populated(scenario(9), Network.from_edges(9, [0], [1]), Streams(5)).susceptibility == 1)


@pytest.mark.parametrize("method", ["random", "degree"])
def test_seeding_draws_as_many_different_agents_as_asked(method: str) -> None:
    network = scale_free(60, Streams(2), 2)
    drawn = [index_cases(SeedingSpec(count=5, method=method), network, Streams(seed)).tolist() for seed in range(20)]
    assert all(len(set(agents)) == 5 and agents == sorted(agents) for agents in drawn)
    assert len({tuple(agents) for agents in drawn}) > 1 or method == "degree"


def test_seeding_by_degree_takes_those_with_most_hearers() -> None:
    # Agent 3 is heard by all others, agent 0 by two, agent 4 by one.
    network = Network.from_edges(5, [3, 3, 3, 3, 0, 0, 4], [0, 1, 2, 4, 1, 2, 1])
    assert index_cases(SeedingSpec(count=2, method="degree"), network, Streams(0)).tolist() == [0, 3]


def test_named_index_cases_are_taken_as_they_are() -> None:
    made = populated(scenario(6, seeding=SeedingSpec(agents=(4, 1))), Network.from_edges(6, [0], [1]), Streams(0))
    assert made.strain.tolist() == [-1, 0, -1, -1, 0, -1]
    assert index_cases(SeedingSpec(agents=()), Network.from_edges(2, [0], [1]), Streams(0)).tolist() == []


def test_temperaments_are_as_far_apart_as_told() -> None:
    spec = scenario(20_000)
    assert populated(spec, erdos_renyi(20_000, Streams(0), 0.0), Streams(1)).temperament is None
    spec = spec.model_copy(update={"population": PopulationSpec(size=20_000, affect_sd=0.2)})
    temperament = populated(spec, erdos_renyi(20_000, Streams(0), 0.0), Streams(1)).temperament
    assert temperament is not None
    assert temperament.std(axis=0) == pytest.approx([0.2] * 3, rel=4 / np.sqrt(2 * 20_000))
    assert temperament.mean(axis=0) == pytest.approx([0.0] * 3, abs=4 * 0.2 / np.sqrt(20_000))


@pytest.mark.parametrize(
    "seeding", [SeedingSpec(count=3), SeedingSpec(count=3, method="degree"), SeedingSpec(count=3, agents=(5, 7))]
)
def test_every_rival_has_index_cases_of_its_own(seeding: SeedingSpec) -> None:
    network = erdos_renyi(30, Streams(0), 3.0)
    strain = populated(scenario(30, seeding=seeding, rivals=2), network, Streams(1)).strain
    expected = [30 - 9, 3, 3, 3] if seeding.agents is None else [30 - 8, 2, 3, 3]
    assert np.bincount(strain + 1).tolist() == expected
    alone = populated(scenario(30, seeding=seeding), network, Streams(1)).strain
    assert np.array_equal(alone == 0, strain == 0)


def test_seeding_in_a_community_takes_all_from_one() -> None:
    network = stochastic_block(30, Streams(0), [4, 12, 14], 3.0, 1.0)
    assert network.blocks is not None
    drawn = [index_cases(SeedingSpec(count=5, method="community"), network, Streams(seed)) for seed in range(40)]
    found = [set(network.blocks[agents].tolist()) for agents in drawn]
    assert all(len(set(agents.tolist())) == 5 for agents in drawn)
    assert {tuple(blocks) for blocks in found} == {(1,), (2,)}, "the first block is too small"
    named = index_cases(SeedingSpec(count=3, method="community", community=0), network, Streams(1))
    assert set(network.blocks[named].tolist()) == {0}


@pytest.mark.parametrize("agents", [None, (12, 25)])
def test_rivals_begin_in_other_communities(agents: tuple[int, ...] | None) -> None:
    network = stochastic_block(30, Streams(0), 3, 3.0, 1.0)
    assert network.blocks is not None
    seeding = SeedingSpec(count=3, method="community", agents=agents)
    strain = seeded(scenario(30, seeding=seeding, rivals=2), network, Streams(1))
    homes = [np.unique(network.blocks[strain == k]).tolist() for k in range(3)]
    assert [len(home) for home in homes] == ([1, 1, 1] if agents is None else [2, 1, 1])
    assert homes[1] != homes[2]
    assert np.bincount(strain + 1).tolist()[2:] == [3, 3]


@pytest.mark.parametrize(
    ("seeding", "message"),
    [
        (SeedingSpec(count=8, method="community", community=1), "seeding.community: 8 agents do not fit into community 1 of 4"),
        (SeedingSpec(count=1, method="community", community=7), "seeding.community: 1 agents do not fit into community 7 of 0"),
        (SeedingSpec(count=9, method="community"), "1 communities of at least 9 agents are needed, .* there are 0"),
    ],
)
def test_a_community_must_have_room(seeding: SeedingSpec, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        index_cases(seeding, stochastic_block(12, Streams(0), [8, 4], 2.0, 1.0), Streams(0))


def test_a_network_too_large_for_communities_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contagium.envs.communities.MOST_EDGES", 1)
    with pytest.raises(ScenarioError, match=r"seeding.method=community: communities are looked for in up to 1 edges"):
        index_cases(SeedingSpec(method="community"), scale_free(9, Streams(0)), Streams(0))


@pytest.mark.parametrize(
    "given",
    [{"community": 0}, {"community": 0, "method": "degree"}, {"community": 0, "method": "community", "agents": (1,)}],
)
def test_a_community_without_its_method_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="community: only with method=community and without agents"):
        SeedingSpec(**given)


class Rooms(Forum):
    """A world of 3 hosts and 7 guests."""

    roles = ("host", "guest")

    def __init__(self, network: Network, axes: Axes) -> None:
        super().__init__(network, axes)
        self.role = (np.arange(network.size) >= 3).astype(np.int64)


def roled(groups: dict[str, dict[str, object]]) -> np.ndarray:
    network = Network.from_edges(10, [0], [1])
    specs = {name: GroupSpec.model_validate({"policy": POLICY, **given}) for name, given in groups.items()}
    return populated(scenario(10, specs), network, Streams(1), Rooms(network, Axes(("spiral",)))).group


def test_groups_of_a_role_share_its_agents_and_the_others_the_rest() -> None:
    group = roled({"a": {"role": "guest", "size": 2}, "b": {"share": 1}, "c": {"role": "guest", "share": 1}})
    assert group[:3].tolist() == [1, 1, 1]
    assert np.bincount(group[3:], minlength=3).tolist() == [2, 0, 5]


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"a": {"role": "cook", "share": 1}, "b": {"share": 1}}, "agents.groups.a.role: no role 'cook'.*host, guest"),
        ({"a": {"role": "host", "share": 1}}, "there are 7 agents, and groups with a place for 0"),
        ({"a": {"role": "host", "size": 4}, "b": {"share": 1}}, "there are 3 agents of the role host.* a place for 4"),
    ],
)
def test_groups_that_do_not_fit_the_roles_are_refused(groups: dict[str, dict[str, object]], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        roled(groups)
