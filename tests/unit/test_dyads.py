"""Dyads: who is matched, who speaks, who hears."""

from collections import Counter

import numpy as np
import pytest

from contagium.envs.dyads import Dyads
from contagium.envs.message import Axes, Channel, Exposures, Messages
from contagium.envs.network import Network, complete, erdos_renyi, ring, small_world
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def dyads(network: Network, redraw: int = 0, seed: int = 0) -> Dyads:
    world = Dyads(network, AXES, redraw)
    world.reset(Streams(seed))
    return world


def speak(world: Dyads) -> tuple[Messages, Exposures]:
    """A step in which all whose turn it is say something."""
    act = Act.idle(world.active(world.step), len(AXES))
    act.says[:] = True
    sent = world.send(act)
    return sent, world.deliver(sent, act)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "network",
    [
        erdos_renyi(201, Streams(1), 3.0),
        small_world(50, Streams(1)),
        complete(9, Streams(1)),
        Network.from_edges(6, [0, 0, 4], [1, 2, 4 + 1]),
    ],
    ids=["random", "small world", "complete", "directed"],
)
def test_partners_are_mutual_and_the_matching_maximal(network: Network, seed: int) -> None:
    world = dyads(network, seed=seed)
    partner, opens = world.matching(0).partner, world.matching(0).opens
    matched = np.flatnonzero(partner >= 0)
    assert np.array_equal(partner[partner[matched]], matched)
    tied = set(zip(network.source.tolist(), network.target.tolist(), strict=True))
    assert all((a, b) in tied or (b, a) in tied for a, b in enumerate(partner.tolist()) if b >= 0)
    left = partner < 0
    assert not np.any(left[network.source] & left[network.target]), "two neighbours are both left over"
    assert np.array_equal(opens[matched], ~opens[partner[matched]])


def test_an_even_complete_network_leaves_nobody_over() -> None:
    assert np.all(dyads(complete(10, Streams(0))).matching(0).partner >= 0)
    assert np.sum(dyads(complete(11, Streams(0))).matching(0).partner < 0) == 1


def test_every_pair_and_every_opening_is_equally_likely() -> None:
    """Three pairings of four agents and a fair coin: within 4 standard errors over 2,000 draws."""
    world = dyads(complete(4, Streams(0)), redraw=1)
    pairs: Counter[int] = Counter()
    opens = np.zeros(4)
    for _ in range(2_000):
        pairs[int(world.matching(world.step).partner[0])] += 1
        opens += world.matching(world.step).opens
        speak(world)
    assert all(abs(pairs[b] / 2_000 - 1 / 3) < 4 * np.sqrt(2 / 9 / 2_000) for b in (1, 2, 3))
    assert np.abs(opens / 2_000 - 0.5).max() < 4 * np.sqrt(0.25 / 2_000)


def test_the_matching_equals_taking_edges_one_by_one() -> None:
    network, streams = erdos_renyi(80, Streams(2), 4.0), Streams(5)
    rank = streams.generator("match", 0).permutation(len(network.source))
    partner = np.full(80, -1)
    for edge in np.argsort(rank):
        a, b = network.source[edge], network.target[edge]
        if partner[a] < 0 and partner[b] < 0:
            partner[a], partner[b] = b, a
    assert np.array_equal(dyads(network, seed=5).matching(0).partner, partner)


def test_partners_take_turns() -> None:
    world = dyads(ring(20, Streams(0)))
    for step in range(6):
        now, matching = world.active(step), world.matching(step)
        assert np.all(np.diff(now) > 0)
        assert np.array_equal(now, np.flatnonzero((matching.partner >= 0) & (matching.opens == (step % 2 == 0))))
        speak(world)


def test_only_the_partner_hears_and_answers() -> None:
    world = dyads(ring(20, Streams(0)))
    partner = world.matching(world.step).partner
    last: dict[int, int] = {}
    for step in range(6):
        sent, heard = speak(world)
        assert np.array_equal(heard.agent, partner[heard.source])
        assert sorted(heard.message.tolist()) == sent.id.tolist()
        assert np.all(sent.channel == Channel.DIRECT)
        assert sent.reply_to.tolist() == [last.get(int(partner[s]), -1) for s in sent.sender]
        assert np.all((sent.reply_to >= 0) == (step > 0))
        last = dict(zip(sent.sender.tolist(), sent.id.tolist(), strict=True))


def test_a_pair_keeps_one_thread() -> None:
    world = dyads(complete(2, Streams(0)))
    first = int(world.active(0)[0])
    threads = {int(i) for _ in range(5) for i in speak(world)[0].thread}
    assert threads == {first}, "the id of a message of step 0 is its sender"


def test_kept_partners_stay_and_redrawn_ones_change() -> None:
    kept, redrawn = dyads(complete(30, Streams(0))), dyads(complete(30, Streams(0)), redraw=3)
    first = kept.matching(0).partner
    seen = []
    for _ in range(9):
        seen.append(redrawn.matching(redrawn.step).partner.tolist())
        speak(kept)
        speak(redrawn)
    assert np.array_equal(kept.matching(kept.step).partner, first)
    assert [seen[k] == seen[k + 1] for k in range(8)] == [True, True, False, True, True, False, True, True]


def test_what_was_said_before_a_redraw_reaches_its_hearer_but_is_not_answered_to_another() -> None:
    """Agents who hold the last words of a former partner read them, and begin a new thread with the new one."""
    world = dyads(complete(12, Streams(0)), redraw=3)
    strangers = 0
    sender_of: dict[int, int] = {}
    for _ in range(30):
        now = world.active(world.step)
        inbox = world.observe(now).inbox
        held = {int(a): inbox.of(k) for k, a in enumerate(now)}
        partner = world.matching(world.step).partner
        sent, _ = speak(world)
        sender_of |= dict(zip(sent.id.tolist(), sent.sender.tolist(), strict=True))
        for sender, answered in zip(sent.sender.tolist(), sent.reply_to.tolist(), strict=True):
            strangers += bool(set(held[sender].sender.tolist()) - {int(partner[sender])})
            assert answered < 0 or sender_of[answered] == partner[sender]
    assert strangers > 0


def test_the_weight_is_that_of_the_edge_heard_along() -> None:
    """Agents 3 and 0 have a tie in one direction only, whose weight serves both."""
    world = dyads(Network.from_edges(4, [2, 1, 0], [1, 2, 3], [0.25, 0.75, 0.5]))
    heard = [speak(world)[1] for _ in range(2)]
    found = {(int(s), int(a)): w for h in heard for s, a, w in zip(h.source, h.agent, h.weight.tolist(), strict=True)}
    assert found == {(2, 1): 0.25, (1, 2): 0.75, (0, 3): 0.5, (3, 0): 0.5}


def test_after_a_redraw_the_new_opener_begins() -> None:
    world = dyads(complete(10, Streams(0)), redraw=3)
    for step in range(12):
        assert np.array_equal(world.active(world.step), np.flatnonzero(world.matching(world.step).opens == (step % 3 != 1)))
        speak(world)


@pytest.mark.parametrize("network", [complete(1, Streams(0)), Network.from_edges(5, [], [])])
def test_without_ties_everybody_waits(network: Network) -> None:
    world = dyads(network, redraw=1)
    for _ in range(3):
        assert len(world.active(world.step)) == 0
        assert len(speak(world)[1]) == 0


@pytest.mark.parametrize("redraw", [0, 3])
def test_turns_and_partners_do_not_wait_for_the_world_to_come_there(redraw: int) -> None:
    world, ahead = dyads(ring(20, Streams(0)), redraw), dyads(ring(20, Streams(0)), redraw)
    known = {step: (ahead.active(step), ahead.matching(step).partner) for step in (11, 2, 7, 0, 5)}
    for step in range(12):
        if step in known:
            assert np.array_equal(known[step][0], world.active(step))
            assert np.array_equal(known[step][1], world.matching(world.step).partner)
        speak(world)


def test_the_source_is_the_partner_whose_turn_it_is() -> None:
    world = dyads(ring(21, Streams(0)), redraw=3)
    for step in range(7):
        matching, turn = world.matching(step), set(world.active(step).tolist())
        for reader, partner in enumerate(matching.partner.tolist()):
            assert world.sources(step, reader).tolist() == ([partner] if partner in turn else [])
