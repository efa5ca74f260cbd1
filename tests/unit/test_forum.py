"""The forum: who reads what."""

import numpy as np
import pytest

from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Exposures
from contagium.envs.network import Network, complete, ring
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def say(world: Forum, who: object = None) -> Exposures:
    """A step in which these agents (all, if not given) say something."""
    agents = np.arange(world.network.size)
    act = Act.idle(agents, len(AXES))
    act.says[agents if who is None else np.asarray(who, dtype=np.int64)] = True
    return world.deliver(world.send(act), act)


def forum(network: Network, seed: int = 0, **rules: float) -> Forum:
    world = Forum(network, AXES, **rules)  # type: ignore[arg-type]
    world.reset(Streams(seed))
    return world


def test_nobody_reads_more_than_reads() -> None:
    for reads, board in ((1, 0), (1, 1), (3, 1), (6, 6)):
        world = forum(complete(40, Streams(0)), reads=reads, board_reads=board, window=2)
        for _ in range(4):
            count = np.bincount(say(world).agent, minlength=40)
            assert count.max() <= reads
            assert count.max() >= 1


def test_from_neighbours_each_reads_exactly_its_share() -> None:
    world = forum(ring(30, Streams(0), 6), reads=4, board_reads=0)
    heard = say(world)
    assert np.bincount(heard.agent, minlength=30).tolist() == [4] * 30
    distance = np.abs(heard.agent - heard.source)
    assert np.minimum(distance, 30 - distance).max() == 3


def test_who_has_few_posts_to_read_reads_them_all() -> None:
    world = forum(ring(30, Streams(0), 6), reads=4, board_reads=0)
    heard = say(world, [0, 1])
    for agent in range(30):
        near = {s for s in (0, 1) if 0 < min((agent - s) % 30, (s - agent) % 30) <= 3}
        assert set(heard.source[heard.agent == agent].tolist()) == near


def test_each_post_is_equally_likely_to_be_read() -> None:
    """A reader of 3 of 9 neighbours reads each with probability 1/3: within 4 standard errors over 2,000 steps."""
    world = forum(Network.from_edges(10, range(1, 10), [0] * 9), reads=3, board_reads=0)
    read = np.zeros(10)
    for _ in range(2_000):
        read += np.bincount(say(world).source, minlength=10)
    assert read[0] == 0
    assert np.abs(read[1:] / 2_000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 2_000)


def test_each_post_of_the_board_is_equally_likely_to_be_read() -> None:
    """Each of the 9 posts of others is drawn with probability 1/9, and never an own one: within 4.5 standard errors."""
    world = forum(Network.from_edges(10, [], []), reads=1, board_reads=1)
    counts = np.zeros((10, 10))
    for _ in range(1_000):
        heard = say(world)
        np.add.at(counts, (heard.agent, heard.source), 1)
    assert np.all(np.diag(counts) == 0)
    others = counts[~np.eye(10, dtype=bool)] / 1_000
    assert np.abs(others - 1 / 9).max() < 4.5 * np.sqrt(8 / 81 / 1_000)


def test_each_age_in_the_window_is_equally_likely_on_the_board() -> None:
    world = forum(Network.from_edges(10, [], []), reads=1, board_reads=1, window=3)
    ages = np.zeros(3)
    for step in range(300):
        heard = say(world)
        assert len(heard) == 10, "everybody posted, so every draw finds a post"
        if step >= 2:
            ages += np.bincount(step - heard.message // 10, minlength=3)
    assert np.abs(ages / ages.sum() - 1 / 3).max() < 4 * np.sqrt(2 / 9 / ages.sum())


def test_a_post_that_comes_both_ways_is_read_once_with_the_weight_of_the_tie() -> None:
    world = forum(Network.from_edges(2, [0, 1], [1, 0], [3.0, 4.0]), reads=4, board_reads=3)
    for _ in range(5):
        heard = say(world)
        assert list(zip(heard.agent.tolist(), heard.source.tolist(), heard.weight.tolist(), strict=True)) == [
            (0, 1, 4.0),
            (1, 0, 3.0),
        ]


def test_the_window_bounds_the_age_of_what_is_read() -> None:
    world = forum(complete(12, Streams(0)), reads=10, board_reads=3, window=3)
    ages = set()
    for step in range(10):
        heard = say(world)
        ages |= set((step - heard.message // 12).tolist())
        assert len(world.board) == 12 * min(step + 1, 3)
    assert ages == {0, 1, 2}


def test_a_post_withheld_leaves_what_is_read_from_the_board_alone() -> None:
    """Who drew agent 5 reads one post less; nobody else reads anything else, at that step or later."""
    heard = []
    for who in (None, [a for a in range(60) if a != 5]):
        world = forum(Network.from_edges(60, [], []), reads=3, board_reads=3, window=2)
        heard.append([say(world), say(world, who), say(world)])
    lost = 0
    for full, less in zip(*heard, strict=True):
        left = full.take(full.message != 60 + 5)
        lost += len(full) - len(left)
        assert np.array_equal(left.agent, less.agent)
        assert np.array_equal(left.message, less.message)
    assert lost > 0


def test_a_post_withheld_leaves_what_others_read_from_neighbours_alone() -> None:
    """Two arms of an experiment draw alike: without the post of agent 5, only its readers may read something else."""
    heard = []
    for who in (None, [a for a in range(60) if a != 5]):
        world = forum(ring(60, Streams(0), 8), reads=3, board_reads=0)
        heard.append(say(world, who))
    readers = set(heard[0].agent[heard[0].source == 5].tolist())
    assert readers
    for agent in set(range(60)) - readers:
        assert np.array_equal(*(h.source[h.agent == agent] for h in heard))
    for agent in readers:
        before, after = (set(h.source[h.agent == agent].tolist()) for h in heard)
        assert before - {5} <= after


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_posts_answers_one_of_those_read(share: float) -> None:
    world = forum(complete(50, Streams(0)), reads=4, board_reads=0, reply_share=share)
    heard = say(world)
    replies = 0
    for _ in range(20):
        read = {a: heard.message[heard.agent == a] for a in range(50)}
        act = Act.idle(np.arange(50), len(AXES))
        act.says[:] = True
        sent = world.send(act)
        answered = sent.reply_to >= 0
        replies += int(answered.sum())
        assert all(sent.reply_to[a] in read[a] for a in np.flatnonzero(answered))
        heard = world.deliver(sent, act)
    assert replies / 1_000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 1_000))


def test_nobody_is_answered_more_for_a_high_id() -> None:
    """Each of 10 posts that all read gets a tenth of the answers, whoever wrote it: within 4.5 standard errors."""
    world = forum(complete(10, Streams(0)), reads=9, board_reads=0, reply_share=1.0)
    answered = np.zeros(10)
    for step in range(400):
        act = Act.idle(np.arange(10), len(AXES))
        act.says[:] = True
        sent = world.send(act)
        if step:
            answered += np.bincount(sent.reply_to % 10, minlength=10)
        world.deliver(sent, act)
    assert np.abs(answered / answered.sum() - 0.1).max() < 4.5 * np.sqrt(0.09 / answered.sum())


def test_an_empty_forum() -> None:
    world = forum(complete(5, Streams(0)), window=2)
    assert len(say(world, [])) == 0
    assert len(say(world, [2]).source) > 0
    alone = forum(complete(1, Streams(0)))
    assert len(say(alone)) == 0


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"board_reads must be at most reads \(2\), got 3"):
        forum(complete(3, Streams(0)), reads=2, board_reads=3)
    with pytest.raises(ValueError, match="memory must be at least 1 step, got 0"):
        forum(complete(3, Streams(0)), window=0)
