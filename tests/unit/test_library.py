"""The library: who writes, what stays how long, who is shown what."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contagium.envs.library import Library, Selection
from contagium.envs.message import Axes, Exposures, Messages
from contagium.envs.network import Network, complete, erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def library(network: Network, seed: int = 0, **settings: Any) -> Library:
    world = Library(network, AXES, **settings)
    world.reset(Streams(seed))
    return world


def write(world: Library, choice: Callable[[np.ndarray], object] = lambda agents: 0) -> tuple[Messages, Exposures]:
    act = Act.idle(world.active(world.step), len(AXES))
    act.says[:] = True
    act.choice[:] = choice(act.agents)
    act.text.update((agent, f"Draft of {agent}.") for agent in act.agents.tolist())
    sent = world.send(act)
    return sent, world.deliver(sent, act)


def shelf(authors: list[int], steps: list[int], size: int, reply_to: list[int] | None = None) -> Messages:
    """Documents by these authors of these steps, in this order."""
    ids = np.array(steps) * size + authors
    answers = np.full(len(ids), -1) if reply_to is None else np.array(reply_to)
    values = np.zeros((len(ids), 3), dtype=np.float32)
    return Messages(ids, np.array(authors), np.array(steps), np.full(len(ids), 2, dtype=np.int8), ids, answers, values)


def test_only_what_is_chosen_to_be_written_is_there_and_index_agents_always_write() -> None:
    world = library(complete(6, Streams(0)), index=(4, 5))
    sent, heard = write(world, lambda agents: [0, 1, -1, 0, 1, -1])
    assert sent.sender.tolist() == [0, 3, 4, 5]
    assert set(sent.text.values()) == {f"Draft of {k}." for k in (0, 3, 4, 5)}
    assert set(heard.source.tolist()) <= {0, 3, 4, 5}
    agents, wrote = world.settled.outcomes["wrote"]
    assert agents.tolist() == list(range(6))
    assert wrote.tolist() == [1, 0, 0, 1, 1, 1]
    assert not world.settled.terminated.any()


@pytest.mark.parametrize("by", ["random", "recent", "popular", "tied"])
def test_readers_are_shown_a_few_documents_of_others_that_are_still_there(by: Selection) -> None:
    world = library(erdos_renyi(60, Streams(1), 6.0), reads=4, keeps=3, by=by)
    ages = set()
    for step in range(8):
        _, heard = write(world)
        assert np.all(heard.source != heard.agent)
        assert np.bincount(heard.agent).max() <= 4
        assert len(set(zip(heard.agent.tolist(), heard.message.tolist(), strict=True))) == len(heard)
        ages |= set((step - heard.message // 60).tolist())
    assert ages == {0, 1, 2}


def test_index_agents_leave_and_what_they_wrote_is_read_on() -> None:
    world = library(complete(10, Streams(0)), index=(2, 7), leave=2, keeps=6)
    for step in range(10):
        sent, heard = write(world, lambda agents: 1)
        assert sent.sender.tolist() == ([2, 7] if step < 2 else [])
        assert (len(heard) > 0) == (step < 2 + 5), "a document of step 1 is last shown before step 7"
        assert step < 1 or not np.isin([2, 7], heard.agent).any(), "who is gone by the next step reads nothing"


def shown(world: Library, board: Messages, step: int) -> np.ndarray:
    """Share of the documents shown at a step, in 10,000 readers at most one each."""
    heard = world.hear(step, board, np.arange(world.network.size))
    return np.bincount(board.rows(heard.message), minlength=len(board)) / len(heard)


def near(found: np.ndarray, expected: list[float], n: int) -> bool:
    p = np.array(expected)
    return bool(np.all(np.abs(found - p) <= 4.5 * np.sqrt(p * (1 - p) / n)))


def test_how_likely_each_document_is_shown() -> None:
    """Within 4.5 standard errors: half as likely per half-life, as likely as 1 and the answers, or each as likely."""
    size = 10_000
    nobody = Network.from_edges(size, [], [])
    board = shelf([0, 1, 2], [0, 2, 4], size, [-1, -1, 2 * size + 1])
    assert near(shown(library(nobody, reads=1), board, 4), [1 / 3] * 3, size)
    assert near(shown(library(nobody, reads=1, by="recent", half_life=2), board, 4), [1 / 7, 2 / 7, 4 / 7], size)
    assert near(shown(library(nobody, reads=1, by="popular"), board, 4), [1 / 4, 2 / 4, 1 / 4], size)
    gone = shelf([1, 2], [2, 4], size, [-1, 0])
    assert near(shown(library(nobody, reads=1, by="popular"), gone, 4), [1 / 2] * 2, size), "an answer to what is gone"


def test_ties_say_whose_documents_are_shown_and_each_of_them_is_as_likely() -> None:
    """Everybody hears 0, who wrote two documents, and 1, who wrote one; 0 hears nobody, and nobody hears 2."""
    size = 9_000
    readers = np.arange(1, size)
    from_one = readers[readers > 1]
    network = Network.from_edges(
        size,
        np.r_[np.zeros(size - 1, int), np.ones(size - 2, int)],
        np.r_[readers, from_one],
        np.r_[np.full(size - 1, 0.5), np.full(size - 2, 2.0)],
    )
    board = shelf([0, 1, 2, 0], [0, 0, 0, 1], size)
    world = library(network, reads=1, by="tied")
    assert near(shown(world, board, 1), [1 / 3, 1 / 3, 0, 1 / 3], size)
    heard = world.hear(1, board, np.arange(size))
    assert 0 not in heard.agent
    assert np.array_equal(heard.weight, np.where(heard.source == 0, 0.5, 2.0))
    world.close(np.flatnonzero(network.source == 0))
    heard = world.hear(1, board, np.arange(size))
    assert set(heard.source.tolist()) == {1}
    assert heard.agent.tolist() == from_one.tolist()
    world.close(np.flatnonzero(network.source == 1))
    assert len(world.hear(1, board, np.arange(size))) == 0


def test_a_document_cites_what_its_author_was_shown() -> None:
    always, never = (library(complete(30, Streams(0)), cites=cites) for cites in (1.0, 0.0))
    for step in range(6):
        shown = [set(always.observe(np.array([k])).inbox.of(0).id.tolist()) for k in range(30)]
        cited = write(always)[0].reply_to.tolist()
        assert all((one in some) if some else one == -1 for one, some in zip(cited, shown, strict=True))
        assert step == 0 or max(cited) >= 0
        assert np.all(write(never)[0].reply_to == -1)


@pytest.mark.parametrize("agent", [3, -1])
def test_an_unknown_index_agent_is_refused(agent: int) -> None:
    with pytest.raises(ValueError, match="index must be ids below 3, got"):
        Library(complete(3, Streams(0)), AXES, index=(agent,))
