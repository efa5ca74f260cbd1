"""Learning populations: fixed points, fixation, selection on the link from affect to behaviour, and what leaves no trace."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from contagium.agents.learning import Learning
from contagium.agents.mechanistic.affect import Affect
from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Setting, name_of
from contagium.agents.strategies import Bandit, Energy, Imitation, Lesson, fitted_slope
from contagium.envs.commons import Commons
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import Network, complete, small_world
from contagium.envs.pressure import Effect, PressureEvent, PressureSchedule
from contagium.envs.rng import Streams
from contagium.envs.who import Place
from contagium.envs.world import Act, Consequence

AXES = Axes(("spiral",))
SPIRAL, PLAIN = Persona(name="spiral", affect=(0.8, 0.6, 0.4)), Persona(name="plain", affect=(0.1, 0.0, 0.0))


class Paying(Commons):
    """Each choice pays by itself: `payoff` (C,), times `by_valence` of the valence the agent shows where that is not 0."""

    def __init__(self, network: Network, payoff: Sequence[float], by_valence: float = 0.0) -> None:
        super().__init__(network, AXES)
        self.choices = tuple(f"choice {k}" for k in range(len(payoff)))
        self._payoff, self._by_valence = np.array(payoff), by_valence

    def consequence(self, act: Act) -> Consequence:
        reward = np.zeros(self.network.size)
        reward[act.agents] = self._payoff[act.choice]
        if self._by_valence:
            reward[act.agents] *= self._by_valence * act.expression[:, 0]
        return Consequence(reward, np.zeros(self.network.size, dtype=bool))


class Deaf(Paying):
    """Nobody hears anybody."""

    def hear(self, step: int, board: Messages, readers: NDArray[np.int64]) -> Exposures:
        return Exposures.none(step)


def setting(world: Commons, agents: Sequence[int] | None = None, index: Sequence[int] = ()) -> Setting:
    size = world.network.size
    strain = np.where(np.isin(np.arange(size), index), 0, -1)
    population = Population(np.zeros(size, dtype=np.int64), strain, np.ones(size), np.ones(size))
    mine = np.arange(size) if agents is None else np.array(agents)
    return Setting(mine, population, AXES, (SPIRAL,), PLAIN, name_of, (), 0, None, world.choices)


def moods(size: int) -> PressureSchedule:
    """Half of the agents are cheered or saddened in each step."""
    events = {
        name: PressureEvent(rate=0.3, effect=Effect(valence=push)) for name, push in (("good news", 0.7), ("bad news", -0.7))
    }
    return PressureSchedule(events, Place(size, np.empty(0, dtype=np.int64)), Streams(9))


def play(
    policies: Sequence[Learning], world: Commons, steps: int, pressure: PressureSchedule | None = None, seed: int = 3
) -> list[Act]:
    """What all do in each step; the policies have begun."""
    streams, acts = Streams(seed), []
    world.reset(streams)
    for step in range(steps):
        due = None if pressure is None else pressure.due(step)
        parts = [asyncio.run(p.act(world.observe(p._setting.agents, due), streams)) for p in policies]
        acts.append(Act.merge(parts, len(AXES)))
        world.deliver(world.send(acts[-1]), acts[-1])
    return acts


def begun(world: Commons, policy: Learning, agents: Sequence[int] | None = None) -> Learning:
    policy.begin(setting(world, agents))
    return policy


def blocks(count: int, size: int) -> Network:
    """Complete networks of `size` agents each, with no tie between two of them."""
    one = complete(size, Streams(0))
    shift = np.repeat(np.arange(count) * size, len(one.source))
    return Network.from_edges(count * size, np.tile(one.source, count) + shift, np.tile(one.target, count) + shift)


# Bandits ------------------------------------------------------------------------------------------------------------


def test_bandits_settle_at_the_softmax_of_what_choices_pay() -> None:
    """Every value converges to its payoff, so the shares of the choices to softmax(payoff / temperature)."""
    payoff, size = [0.5, 1.0, 0.0], 4000
    world = Deaf(Network.from_edges(size, [0], [1]), payoff)
    policy = begun(world, Learning(Bandit(rate=0.5, temperature=0.4), Affect(0, 0), surprise=0))
    acts = play([policy], world, 120)
    chosen = np.concatenate([act.choice for act in acts[-10:]])
    expected = softmax(np.array(payoff) / 0.4)
    share = np.bincount(chosen, minlength=3) / len(chosen)
    assert np.all(np.abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(chosen)))
    assert np.all(np.abs(share - 1 / 3) > 0.05)


def test_values_follow_the_mean_of_noisy_rewards() -> None:
    """Mean μ and variance α / (2 − α) · σ², those of an exponential moving average."""
    rng, rule, size = np.random.default_rng(1), Bandit(rate=0.2), 20_000
    values, signals, none = rule.start(size, 1, 2), np.zeros((size, 1)), np.zeros(size)
    for _ in range(100):
        reward = rng.normal(1.5, 2.0, size)
        lesson = Lesson(signals, np.ones(size, dtype=np.int64), reward, none, none > 0, values, none)
        values = rule.learn(values, lesson, lambda name: none)
    learnt, variance = values[:, 1, 1], 0.2 / 1.8 * 4
    assert abs(learnt.mean() - 1.5) < 4 * np.sqrt(variance / size)
    assert abs(learnt.var() / variance - 1) < 4 * np.sqrt(2 / size)
    assert not values[:, [0, 2]].any(), "states the agent was not in"
    assert not values[:, 1, 0].any(), "what it did not choose"


@pytest.mark.parametrize("signals", [1, 2])
def test_slopes_of_bandits_are_those_of_their_values(signals: int) -> None:
    rule, slope = Bandit(temperature=0.3, bins=3), np.array([1.2, -0.7])[:signals]
    centre = np.array([-2 / 3, 0, 2 / 3])
    state = np.stack(np.meshgrid(*[centre] * signals, indexing="ij"), axis=-1).reshape(-1, signals)
    values = 0.3 * (0.4 + state @ slope)[:, None] * np.arange(4)
    assert rule.slopes(values[None]) == pytest.approx(slope[None])
    scores = rule.scores(np.tile(values, (len(state), 1, 1)), state, 4)
    assert scores == pytest.approx((0.4 + state @ slope)[:, None] * np.arange(4))
    assert rule.scores(values[None], np.ones((1, signals)), 4)[0] == pytest.approx(values[-1] / 0.3), "1 is in the last bin"


# Imitation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [-0.4, 0.0, 0.4])
def test_a_pair_copies_with_the_fermi_probability(gap: float) -> None:
    size, rng = 40_000, np.random.default_rng(2)
    rule = Imitation(revision=0.8, strength=3.0, mutation=0.0)
    own, other, one = np.zeros((size, 2)), np.ones((size, 2)), np.ones(size)
    lesson = Lesson(own[:, :1], one.astype(np.int64), one, one, one < 0, other, one + gap)
    learnt = rule.learn(own, lesson, lambda name: rng.random(size))
    chance = 0.8 / (1 + np.exp(-3.0 * gap))
    assert set(np.unique(learnt)) == {0.0, 1.0}
    assert np.all(learnt[:, 0] == learnt[:, 1]), "a strategy is copied whole"
    assert abs(learnt[:, 0].mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / size)


def test_mutation_changes_each_number_as_often_and_as_far_as_told() -> None:
    size, rng = 50_000, np.random.default_rng(3)
    own, none = np.zeros((size, 2)), np.full(size, np.nan)
    lesson = Lesson(own[:, :1], np.zeros(size, dtype=np.int64), none, none, none > 0, own, none)
    learnt = Imitation(mutation=0.2, step=0.7).learn(own, lesson, lambda name: rng.random(size))
    for gene in learnt.T:
        changed = gene[gene != 0]
        assert abs(len(changed) / size - 0.2) < 4 * np.sqrt(0.16 / size)
        assert abs(changed.std() / 0.7 - 1) < 4 / np.sqrt(2 * len(changed))
        assert abs(changed.mean()) < 4 * 0.7 / np.sqrt(len(changed))


def test_one_neutral_mutant_takes_over_with_probability_one_over_n() -> None:
    size, count = 6, 900
    world = Paying(blocks(count, size), [1.0, 1.0])
    policy = begun(world, Learning(Imitation(revision=1.0, mutation=0.0, spread=0.0), surprise=0))
    policy.strategy[::size, 0] = 1.0
    play([policy], world, 70)
    mutants = policy.strategy[:, 0].reshape(count, size).sum(axis=1)
    assert set(mutants) == {0.0, float(size)}, "all are fixed by then"
    assert abs((mutants == size).mean() - 1 / size) < 4 * np.sqrt(1 / size * (1 - 1 / size) / count)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_selection_goes_where_it_pays(sign: float) -> None:
    world = Paying(small_world(400, Streams(1), 6, 0.3), [0.0, sign])
    means = []
    for strength in (5.0, 0.0):
        policy = begun(world, Learning(Imitation(revision=0.5, strength=strength, spread=1.0), surprise=0))
        play([policy], world, 40)
        means.append(sign * policy.strategy[:, 0].mean())
    assert means[0] > 0.8, "from 0 at first"
    assert abs(means[1]) < 0.4, "drift"


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rule", [Bandit(rate=0.2, temperature=0.3), Imitation(revision=0.3, strength=20.0, spread=1.0)])
def test_the_link_from_affect_to_behaviour_grows_where_it_pays_and_turns_where_it_costs(
    rule: Bandit | Imitation, sign: float
) -> None:
    """Acting pays by the valence felt, or against it; the truth of the agents and the estimate from their acts agree."""
    world = Paying(small_world(400, Streams(1), 6, 0.3), [0.0, 1.0], sign)
    first = play([begun(world, Learning(rule, Affect(0.5, 0.0), surprise=0.0))], world, 1, moods(400))
    policy = begun(world, Learning(rule, Affect(0.5, 0.0), surprise=0.0, recency=0.1))
    last = play([policy], world, 120, moods(400))
    assert sign * policy.slopes().mean() > 0.8
    slope, error = fitted_slope(*felt_and_done(last[-20:]))
    assert sign * slope > 0.6
    assert error < 0.1
    early, error = fitted_slope(*felt_and_done(first))
    assert abs(early) < 4 * error


def felt_and_done(acts: Sequence[Act]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.concatenate([a.choice for a in acts]), np.concatenate([a.expression[:, 0] for a in acts]).astype(np.float64)


# The estimate from behaviour ----------------------------------------------------------------------------------------


def test_the_slope_is_recovered_from_what_was_felt_and_done() -> None:
    world = Deaf(Network.from_edges(800, [0], [1]), [0.0] * 4)
    fixed = Imitation(revision=0.0, mutation=0.0, spread=0.0, preference=-0.4, slope=1.3)
    policy = begun(world, Learning(fixed, Affect(0.3, 0.0), surprise=0))
    slope, error = fitted_slope(*felt_and_done(play([policy], world, 20, moods(800))))
    assert policy.slopes() == pytest.approx(1.3)
    assert 0 < error < 0.1
    assert abs(slope - 1.3) < 4 * error


def test_spill_over_adds_to_what_is_learnt() -> None:
    world = Deaf(Network.from_edges(800, [0], [1]), [0.0] * 3)
    fixed = Imitation(revision=0.0, mutation=0.0, spread=0.0, slope=-0.5)
    policy = begun(world, Learning(fixed, Affect(0.3, 0.0, spillover=1.5), surprise=0))
    slope, error = fitted_slope(*felt_and_done(play([policy], world, 20, moods(800))))
    assert abs(slope - 1.0) < 4 * error


@pytest.mark.parametrize(
    ("choice", "valence"),
    [([1, 1, 1, 1], [0, 0.1, 0.2, 0.3]), ([0, 1, 0, 1], [0.2] * 4), ([0, 0, 1, 1], [-0.2, -0.1, 0.1, 0.2]), ([0, 1], [0, 1])],
    ids=["all alike", "one mood", "parted", "too few"],
)
def test_no_slope_where_none_can_be_told(choice: list[int], valence: list[float]) -> None:
    assert np.isnan(fitted_slope(np.array(choice), np.array(valence, dtype=np.float64))).all()


# What leaves no trace -----------------------------------------------------------------------------------------------

RULES = [Bandit(temperature=0.2), Imitation(revision=0.5, mutation=0.1)]


def trace(acts: Sequence[Act]) -> list[tuple[bytes, ...]]:
    return [tuple(getattr(a, name).tobytes() for name in ("agents", "says", "expression", "choice")) for a in acts]


def a_policy(rule: Bandit | Imitation) -> Learning:
    return Learning(rule, energy=Energy(4.0, 1.2))


@pytest.mark.parametrize("rule", RULES)
def test_the_split_into_groups_leaves_no_trace(rule: Bandit | Imitation) -> None:
    """Strategies do not show in messages, so that imitators can be split only where no tie is cut; bandits anywhere."""
    world = Commons(blocks(4, 5), AXES)
    splits = [[range(10), range(10, 20)], [range(5, 20), range(5)]]
    if isinstance(rule, Bandit):
        splits.append([range(0, 20, 2), range(1, 20, 2)])
    whole = trace(play([begun(world, a_policy(rule))], world, 12, moods(20)))
    for parts in splits:
        policies = [begun(world, a_policy(rule), part) for part in parts]
        assert trace(play(policies, world, 12, moods(20))) == whole
    assert trace(play([begun(world, a_policy(rule))], world, 12, moods(20), seed=4)) != whole


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parts", [[[k] for k in range(19, -1, -1)], [[3, 7, 8], [0, *range(9, 20)], [1, 2, 4, 5, 6]]])
def test_who_of_a_group_acts_first_leaves_no_trace(rule: Bandit | Imitation, parts: list[list[int]]) -> None:
    runs = []
    for turns in ([list(range(20))], parts):
        world, streams, pressure, acts = Commons(complete(20, Streams(0)), AXES), Streams(3), moods(20), []
        policy = begun(world, a_policy(rule))
        world.reset(streams)
        for step in range(10):
            seen = [world.observe(np.array(some), pressure.due(step)) for some in turns]
            acts.append(Act.merge([asyncio.run(policy.act(one, streams)) for one in seen], len(AXES)))
            world.deliver(world.send(acts[-1]), acts[-1])
        runs.append((trace(acts), policy.strategy.tobytes()))
    assert runs[0] == runs[1]


# What they feel, and what ends them ---------------------------------------------------------------------------------


def test_a_reward_above_expectation_feels_good() -> None:
    world = Deaf(Network.from_edges(2, [0], [1]), [0.0, 0.0])
    policy = begun(world, Learning(affect=Affect(0.0, 0.0), surprise=0.5, recency=0.25))
    valence = []
    for step, reward in enumerate([0.0, 1.0, 1.8, 0.4]):
        world.reset(Streams(0))
        world.step, world._since = step, Consequence(np.full(2, reward), np.zeros(2, dtype=bool))
        valence.append(asyncio.run(policy.act(world.observe(np.arange(2)), Streams(0))).expression[0, 0])
    # Expected: nothing, then 1, then 1.2; so 0, 0, 0.5 × 0.8, 0.5 × −0.8 on the baseline of 0.1.
    assert valence == pytest.approx([0.1, 0.1, 0.5, 0.1])


def test_index_cases_begin_with_their_persona_and_show_it() -> None:
    world, policy = Commons(complete(4, Streams(0)), AXES), Learning()
    policy.begin(setting(world, index=[2]))
    act = play([policy], world, 1)[0]
    assert act.expression[:, 3].tolist() == [0, 0, 1, 0]
    assert act.expression[:, 0] == pytest.approx([0.1, 0.1, 0.8, 0.1])


def test_nothing_is_learnt_after_the_end() -> None:
    world = Commons(complete(6, Streams(0)), AXES, stock=4.0, regrowth=0.0)
    policy = begun(world, Learning(Bandit(initial=1.0)))
    acts = play([policy], world, 15)
    assert world.settled.terminated.all()
    known = policy.strategy.copy()
    asyncio.run(policy.act(world.observe(np.arange(6)), Streams(3)))
    assert np.array_equal(policy.strategy, known)
    assert acts[-1].says.all(), "the dead pasture is still talked about"


def test_energy() -> None:
    budget = Energy(capacity=5.0, cost=1.0)
    after = budget.after(np.array([1.0, 1.0, 4.5]), np.array([0.0, 0.5, 3.0]), np.array([1.0, 2.0, 1.0]))
    assert after.tolist() == [0.0, 0.0, 5.0]
    one = np.ones(3)
    lesson = Lesson(
        np.zeros((3, 2)), np.zeros(3, dtype=np.int64), one, one, after <= 0, np.ones((3, 3)), one * [np.nan, 0.0, 0.0]
    )
    learnt = Imitation(revision=0.0, mutation=0.0).learn(np.zeros((3, 3)), lesson, lambda name: np.full(3, 0.5))
    assert learnt[:, 0].tolist() == [0, 1, 0], "who starves copies the one it has heard, if any"


def test_selection_makes_strategies_heed_an_energy_that_acting_fills() -> None:
    """The slope on energy starts at 0 for all, and mutation alone leaves it there in the mean."""
    world = Paying(small_world(300, Streams(1), 6, 0.3), [0.0, 1.0])
    means = []
    for strength in (8.0, 0.0):
        rule = Imitation(revision=0.5, strength=strength, mutation=0.05, spread=0.0)
        policy = begun(world, Learning(rule, surprise=0, energy=Energy(6.0, 0.2)))
        play([policy], world, 60)
        means.append(policy.slopes()[:, 1].mean())
    assert means[0] > 3 * abs(means[1])


# Wrong settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Bandit(rate=0.0), r"rate must be a share in \(0, 1\], got 0.0"),
        (lambda: Bandit(temperature=np.nan), "temperature must be positive and finite, got nan"),
        (lambda: Bandit(bins=1), "bins must be at least 2, .*got 1"),
        (lambda: Bandit(initial=np.nan), "initial must be finite, got nan"),
        (lambda: Imitation(slope=np.nan), "slope must be finite, got nan"),
        (lambda: Imitation(preference=np.inf), "preference must be finite, got inf"),
        (lambda: Imitation(revision=1.1), "revision must be a probability"),
        (lambda: Imitation(mutation=-0.1), "mutation must be a probability"),
        (lambda: Imitation(strength=np.inf), "strength must be at least 0 and finite, got inf"),
        (lambda: Energy(capacity=0.0), "capacity must be positive"),
        (lambda: Energy(cost=-1.0), "cost must be at least 0"),
    ],
)
def test_wrong_settings_are_refused(make, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()


def test_a_world_of_talk_alone_is_refused() -> None:
    world = Paying(complete(3, Streams(0)), [])
    with pytest.raises(ValueError, match=r"need something to choose, .* take env=commons"):
        Learning().begin(setting(world))
