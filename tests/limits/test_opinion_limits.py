"""Known answers of opinion dynamics: consensus, fixed point, and numbers and places of clusters."""

import numpy as np
import pytest
import scipy.sparse

from contagium.agents.mechanistic.belief import (
    Belief,
    Deffuant,
    DeGroot,
    FriedkinJohnsen,
    Heard,
    HegselmannKrause,
    clusters,
    matching,
    within,
)
from contagium.envs.network import Network, complete
from contagium.envs.rng import Streams

W = np.array([[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.1, 0.4, 0.5]])
START = np.array([1.0, 0.0, 0.5])


def repeat(law: Belief, start: np.ndarray, matrix: object, steps: int, susceptibility: object = 1.0) -> np.ndarray:
    opinion = start
    for _ in range(steps):
        opinion = law.step(opinion, Heard.of(matrix, opinion), start, susceptibility)
    return opinion


@pytest.mark.parametrize("matrix", [W, scipy.sparse.csr_array(W)])
def test_degroot_is_the_power_of_the_matrix_and_ends_in_consensus(matrix: object) -> None:
    assert repeat(DeGroot(), START, matrix, 3) == pytest.approx(np.linalg.matrix_power(W, 3) @ START)
    assert np.array([0.270270, 0.414414, 0.315315]) @ START == pytest.approx(0.427928, abs=1e-6)
    assert repeat(DeGroot(), START, matrix, 100) == pytest.approx(np.full(3, 0.427928), abs=1e-6)
    assert repeat(DeGroot(0.2), START, matrix, 300) == pytest.approx(np.full(3, 0.427928), abs=1e-6)


def test_friedkin_and_johnsen_reach_their_fixed_point() -> None:
    share = np.array([0.8, 0.5, 0.2])
    exact = np.linalg.solve(np.eye(3) - np.diag(share) @ W, (1 - share) * START)
    settled = repeat(FriedkinJohnsen(1.0), START, W, 200, share)
    assert settled == pytest.approx([0.525313, 0.166032, 0.470876], abs=1e-6)
    assert settled == pytest.approx(exact, abs=1e-12)


def gathered(bound: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Clusters of 2,001 equispaced opinions in [0, 1], everybody hearing everybody, and the last step that moved anybody."""
    opinion, law = np.linspace(0, 1, 2001), HegselmannKrause(bound)
    for step in range(400):
        after = law.gather(opinion)
        if np.abs(after - opinion).max() < 1e-12:
            return *clusters(after, 1e-3), step
        opinion = after
    raise AssertionError("no rest after 400 steps")


def test_hegselmann_and_krause_at_a_tenth_form_four_clusters_around_a_bridge_of_three_agents() -> None:
    places, sizes, _ = gathered(0.1)
    assert places[sizes > 20] == pytest.approx([0.1544, 0.3975, 0.6025, 0.8456], abs=1e-3)
    assert sizes[sizes <= 20].tolist() == [3]
    assert sizes.sum() == 2001


def test_hegselmann_and_krause_at_a_fifth_agree_after_219_steps() -> None:
    places, sizes, steps = gathered(0.2)
    assert places == pytest.approx([0.5], abs=1e-9)
    assert (sizes.tolist(), steps) == ([2001], 219)


def test_gathering_is_the_step_of_a_complete_network() -> None:
    opinion, law = Streams(3).generator("opinion").uniform(-1, 1, 80), HegselmannKrause(0.3)
    everybody = law.step(opinion, Heard.of(1 - np.eye(80), opinion), opinion, 0.7)
    assert law.gather(opinion, 0.7) == pytest.approx(everybody, abs=1e-12)
    near = np.abs(opinion[:, None] - opinion) <= 0.3
    mean = np.where(near, opinion, 0).sum(axis=1) / near.sum(axis=1)
    assert everybody == pytest.approx(opinion + 0.7 * (mean - opinion), abs=1e-12)


@pytest.mark.parametrize(("size", "reach"), [(21, 2), (101, 20), (301, 7)])
def test_an_opinion_exactly_at_the_bound_is_near(size: int, reach: int) -> None:
    opinion, law, rank = np.linspace(0, 1, size), HegselmannKrause(reach / (size - 1)), np.arange(size)
    low, high = np.maximum(rank - reach, 0), np.minimum(rank + reach, size - 1)
    exact = (low + high) / 2 / (size - 1)
    assert law.gather(opinion) == pytest.approx(exact, abs=1e-9)
    assert law.step(opinion, Heard.of(1 - np.eye(size), opinion), opinion) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("bound", "rounds", "usual", "possible"), [(0.1, 300, (4, 5), (3, 4, 5)), (0.2, 100, (2,), (2,)), (0.3, 60, (1,), (1,))]
)
def test_deffuant_ends_in_the_known_number_of_major_clusters(bound, rounds, usual, possible) -> None:
    """2,000 agents, 10 seeds; major: at least 1 agent in 20. At a tenth 4 or 5, and now and then two of them merge to 3."""
    law, found = Deffuant(bound), []
    for seed in range(10):
        streams = Streams(seed)
        opinion = streams.generator("start").random(2000)
        mean = opinion.mean()
        for step in range(rounds):
            opinion = law.encounter(opinion, *matching(2000, streams, step))
        assert opinion.mean() == pytest.approx(mean, abs=1e-12)
        found.append(int((clusters(opinion, 0.01)[1] >= 100).sum()))
    assert set(found) <= set(possible)
    assert sum(number in usual for number in found) >= 8


def test_an_encounter_moves_both_and_only_who_are_near() -> None:
    opinion = np.array([0.0, 0.1, 0.5, 0.9, 0.3])
    after = Deffuant(0.2, 0.25).encounter(opinion, np.array([0, 2]), np.array([1, 3]))
    assert after == pytest.approx([0.025, 0.075, 0.5, 0.9, 0.3])
    with pytest.raises(ValueError, match="one pair of an encounter at most, got agent 1 2 times"):
        Deffuant().encounter(opinion, np.array([0, 1]), np.array([1, 2]))


def test_a_matching_pairs_everybody_once_and_is_keyed_by_step() -> None:
    one, other = matching(7, Streams(1), 4)
    assert len(set(one) | set(other)) == 6
    assert [list(x) for x in matching(7, Streams(1), 4)] == [list(one), list(other)]
    assert [list(x) for x in matching(7, Streams(1), 5)] != [list(one), list(other)]


def test_one_at_a_time_listens_in_proportion_to_weight() -> None:
    """Draws on a fine grid: of opinions 0.5 and 1 with weights 1 and 2, one third and two thirds are listened to."""
    size = 4000
    draw = (np.arange(size) + 0.5) / size
    reader = np.tile(np.arange(size), 4)
    stated, weight = np.repeat([0.5, np.nan, 1.0, 0.7], size), np.repeat([1.0, 9.0, 2.0, 0.0], size)
    after = Deffuant(2.0).step(np.zeros(size), Heard(reader, stated, weight, draw), np.zeros(size))
    values, counts = np.unique(after, return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([0.25, 0.5], [1333, 2667])


def test_the_lowest_draw_listens_to_the_first_known_opinion_and_the_highest_to_the_last() -> None:
    reader, stated = np.repeat(np.arange(3), 4), np.tile([np.nan, 0.2, 0.4, 0.6], 3)
    for draw, first in ((0.0, 0.2), (1 - 2**-53, 0.6)):
        after = Deffuant(2.0).step(np.zeros(3), Heard(reader, stated, np.ones(12), np.full(3, draw)), np.zeros(3))
        assert after == pytest.approx(np.full(3, first / 2))


def test_one_at_a_time_needs_a_draw_each() -> None:
    with pytest.raises(ValueError, match="a draw for each of 2 agents, got none"):
        Deffuant().step(np.zeros(2), Heard(np.zeros(1, dtype=np.int64), np.ones(1), np.ones(1)), np.zeros(2))
    with pytest.raises(ValueError, match="a draw for each of 2 agents, got 1"):
        Deffuant().step(np.zeros(2), Heard(np.zeros(1, dtype=np.int64), np.ones(1), np.ones(1), np.zeros(1)), np.zeros(2))


LAWS = [DeGroot(0.4), FriedkinJohnsen(0.6), HegselmannKrause(0.5), Deffuant(0.5)]


@pytest.mark.parametrize("law", LAWS)
def test_an_opinion_depends_on_no_other_reader(law: Belief) -> None:
    """Any split of a group gives the same bytes; so does any order of the readers."""
    rng = Streams(5).generator("split")
    size, many = 60, 400
    opinion, anchor, draw, susceptibility = rng.uniform(-1, 1, (4, size)) * [[1], [1], [0.4], [0.4]] + [[0], [0], [0.5], [0.5]]
    reader, stated, weight = np.sort(rng.integers(0, size, many)), rng.uniform(-1, 1, many), rng.random(many)
    stated[::9] = np.nan
    whole = law.step(opinion, Heard(reader, stated, weight, draw), anchor, susceptibility)
    apart = np.full(size, np.nan)
    for rows in np.array_split(rng.permutation(size), [7, 30]):
        mine = np.isin(reader, rows)
        place = np.full(size, -1)
        place[rows] = np.arange(len(rows))
        heard = Heard(place[reader[mine]], stated[mine], weight[mine], draw[rows])
        apart[rows] = law.step(opinion[rows], heard, anchor[rows], susceptibility[rows])
    assert apart.tobytes() == whole.tobytes()
    assert np.abs(whole).max() <= 1
    assert not np.array_equal(whole, opinion)


@pytest.mark.parametrize("law", LAWS)
def test_who_hears_nothing_and_who_takes_nothing_in(law: Belief) -> None:
    opinion, anchor = np.array([0.2, -0.4]), np.array([0.2, -0.4])
    silence = Heard(np.zeros(1, dtype=np.int64), np.array([np.nan]), np.ones(1), np.full(2, 0.5))
    assert law.step(opinion, silence, anchor).tolist() == opinion.tolist()
    words = Heard(np.arange(2), np.array([0.3, -0.3]), np.ones(2), np.full(2, 0.5))
    assert law.step(opinion, words, anchor, 0.0).tolist() == opinion.tolist()
    taken = law.step(opinion, words, anchor, 1e9)
    assert np.all((taken >= [0.2, -0.4]) & (taken <= [0.3, -0.3]))


def test_along_a_network_everybody_hears_its_neighbours() -> None:
    network = Network.from_edges(3, [0, 1, 2], [1, 2, 1], [1.0, 1.0, 3.0])
    opinion = np.array([1.0, 0.0, 0.5])
    after = DeGroot().step(opinion, Heard.along(network, opinion), opinion)
    assert after == pytest.approx([1.0, 0.625, 0.0])


def test_beliefs_filter_what_is_near() -> None:
    own, stated = np.array([0.1, 0.1, 0.1, 0.1]), np.array([0.3, 0.31, np.nan, -0.1])
    assert within(own, stated, 0.2).tolist() == [True, False, True, True]
    assert within(own, stated, np.inf).all()


def test_clusters_are_parted_by_gaps() -> None:
    places, sizes = clusters(np.array([0.9, 0.1, 0.12, 0.5, 0.14]), 0.05)
    assert places == pytest.approx([0.12, 0.5, 0.9])
    assert sizes.tolist() == [3, 1, 1]
    assert [len(part) for part in clusters(np.empty(0), 0.1)] == [0, 0]


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: DeGroot(1.1), "pull must be a share in .0, 1., got 1.1"),
        (lambda: FriedkinJohnsen(float("nan")), "pull must be a share in .0, 1., got nan"),
        (lambda: HegselmannKrause(-0.1), "bound must be non-negative and finite, got -0.1"),
        (lambda: Deffuant(float("nan")), "bound must be non-negative and finite, got nan"),
        (lambda: Deffuant(0.2, 0.6), "pull must be in .0, 0.5., got 0.6"),
        (lambda: Heard(np.zeros(2, dtype=np.int64), np.zeros(1), np.zeros(2)), "must have equal length, got 2, 1 and 2"),
    ],
)
def test_bad_values_are_named(make, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()


def test_weights_and_opinions_that_do_not_fit_are_named() -> None:
    two = np.array([0.0, 1.0])
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"weights must be at least 0 and finite, got {wrong}"):
            Heard.of(np.array([[1.0, wrong], [0.0, 1.0]]), two)
    with pytest.raises(ValueError, match=r"the matrix must be \(2, 2\), got shape \(3, 3\)"):
        Heard.of(np.eye(3), two)
    with pytest.raises(ValueError, match=r"one number for each of 4 agents, got shape \(2,\)"):
        Heard.along(complete(4, Streams(1)), two)
