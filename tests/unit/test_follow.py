"""Follow: whom an agent follows is what it reads, and changes by its own choices alone."""

import numpy as np
import pytest

from contagium.envs.follow import FOLLOW, KEEP, UNFOLLOW, Follow
from contagium.envs.message import Axes, Exposures
from contagium.envs.names import name_of
from contagium.envs.network import Network, erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes(("spiral",))
SIZE = 50


def begun(network: Network | None = None, board_reads: int = 2, most: int = 3, seed: int = 4) -> Follow:
    world = Follow(network or erdos_renyi(SIZE, Streams(1), 4.0), AXES, board_reads, most)
    world.reset(Streams(seed))
    return world


def step(world: Follow, choice: np.ndarray | int = KEEP) -> Exposures:
    act = Act.idle(np.arange(world.network.size), len(AXES))
    act.says[:] = True
    act.choice[:] = choice
    return world.deliver(world.send(act), act)


def pairs(network: Network) -> set[tuple[int, int]]:
    """Who follows whom."""
    return set(zip(network.target.tolist(), network.source.tolist(), strict=True))


def test_agents_read_those_they_follow_and_some_of_the_board() -> None:
    world = begun()
    for _ in range(4):
        heard = step(world, world.allowed(world.step, np.arange(SIZE))[:, FOLLOW] * FOLLOW)
        read = set(zip(heard.agent.tolist(), heard.source.tolist(), strict=True))
    follows = pairs(world.followings())
    world = begun(board_reads=0)
    heard = step(world)
    assert set(zip(heard.agent.tolist(), heard.source.tolist(), strict=True)) == pairs(world.network)
    assert len(follows - pairs(world.network)) > 0
    assert len(read - follows) > 0


def test_a_choice_changes_one_tie_of_who_made_it() -> None:
    world, rng = begun(most=8), Streams(9)
    step(world)
    for _ in range(25):
        before, may = pairs(world.followings()), world.allowed(world.step, np.arange(SIZE))
        assert may[:, KEEP].all()
        assert not np.any(may[:, FOLLOW] & may[:, UNFOLLOW])
        focal = world.focal.copy()
        choice = rng.generator("choice", world.step).integers(3, size=SIZE)
        step(world, choice.copy())
        gained = {(a, focal[a]) for a in np.flatnonzero(may[:, FOLLOW] & (choice == FOLLOW)).tolist()}
        lost = {(a, focal[a]) for a in np.flatnonzero(may[:, UNFOLLOW] & (choice == UNFOLLOW)).tolist()}
        assert pairs(world.followings()) == (before | gained) - lost
        assert not gained & before
        assert lost <= before
        counted = np.bincount([agent for agent, _ in pairs(world.followings())], minlength=SIZE)
        assert np.array_equal(world.following, counted)
        told = world.settled.outcomes
        assert [int(told[name][1].sum()) for name in ("followed", "unfollowed")] == [len(gained), len(lost)]
        assert np.array_equal(told["followed"][0], np.flatnonzero(may[:, FOLLOW]))
        assert np.array_equal(told["following"][1], counted)


def test_who_is_unfollowed_is_read_no_more_and_can_be_followed_again_with_the_old_weight() -> None:
    world = begun(Network.from_edges(2, [0], [1], [2.5]), board_reads=0)
    assert step(world).weight.tolist() == [2.5]
    assert world.allowed(1, np.arange(2)).tolist() == [[True, False, False], [True, False, True]]
    # What the choice is about was read before it: the post of this step still comes.
    assert len(step(world, UNFOLLOW)) == 1
    assert len(step(world)) == 0
    world = begun(Network.from_edges(2, [0], [1], [2.5]), board_reads=1, most=0)
    step(world)
    step(world, UNFOLLOW)
    step(world)
    assert world.allowed(3, np.arange(2)).tolist() == [[True, False, False], [True, True, False]], "no room but for old ties"
    step(world, FOLLOW)
    assert pairs(world.followings()) == {(1, 0)}
    assert world.followings().weight.tolist() == [2.5]


def test_there_is_room_for_so_many_new_ones() -> None:
    world = begun(Network.from_edges(SIZE, [], []), board_reads=3, most=2)
    for _ in range(30):
        step(world, FOLLOW)
    assert world.following.tolist() == [2] * SIZE
    assert not world.allowed(world.step, np.arange(SIZE))[:, FOLLOW].any()
    assert (world.followings().weight == 1).all()


def test_what_is_not_open_to_an_agent_counts_as_no_choice() -> None:
    world = begun(Network.from_edges(2, [0], [1]), board_reads=0)
    act = Act.idle(np.arange(2), len(AXES))
    act.choice[:] = [FOLLOW, UNFOLLOW]
    world.deliver(world.send(act), act)
    assert act.choice.tolist() == [-1, -1], "nothing was read yet"
    assert world.following.tolist() == [0, 1]


def test_an_agent_is_told_upon_whom_it_may_act() -> None:
    world = begun()
    assert "wrote" not in world.describe(0)
    heard = step(world)
    may = world.allowed(world.step, np.arange(SIZE))
    for agent in range(SIZE):
        mine = heard.source[heard.agent == agent].tolist()
        told = world.describe(agent)
        if mine:
            assert world.focal[agent] in mine
            # The order in which it reads them is its own affair: only a name tells which is meant.
            assert f"follow {name_of(int(world.focal[agent]))}, who wrote" in told
            assert ("do not follow" in told) == (not may[agent, UNFOLLOW])
        else:
            assert "wrote" not in told


def test_cut_ties_are_followed_in_vain() -> None:
    world = begun(board_reads=0)
    world.close(np.arange(len(world.network.source)))
    assert len(step(world)) == 0


@pytest.mark.parametrize("name", ["board_reads", "most"])
def test_wrong_settings_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
        begun(**{name: -1})
