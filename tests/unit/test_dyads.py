"""Dyads: who is matched, who speaks, who hears."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from contagium.envs.dyads import Dyads, pairs
from contagium.envs.message import Axes, Channel, Exposures, Messages
from contagium.envs.network import Network, complete, erdos_renyi, ring, small_world
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes()


def dyads(network: Network, redraw: int = 0, seed: int = 0, **settings: Any) -> Dyads:
    world = Dyads(network, AXES, redraw, **settings)
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


def test_a_share_of_the_pairs_parts_and_the_others_talk_on() -> None:
    """Within 4 standard errors: of 200 pairs each parts with chance 0.3; those who stay keep their turns."""
    world = dyads(complete(400, Streams(0)), redraw=3, drift=0.3)
    before, kept = world.matching(0), []
    assert before.fresh.all()
    spoke = np.zeros(400, dtype=bool)
    for step in range(30):
        now = world.matching(step)
        if now.since != before.since:
            stays = ~now.fresh
            assert np.array_equal(now.partner[stays], before.partner[stays])
            assert np.array_equal(now.partner[now.partner], np.arange(400)), "an even complete network leaves nobody over"
            kept.append(stays.mean())
            assert np.array_equal(now.turn(step)[stays], ~spoke[stays])
            before = now
        spoke = now.turn(step)
        assert np.array_equal(spoke, ~spoke[now.partner])
        speak(world)
    assert abs(np.mean(kept) - 0.7) < 4 * np.sqrt(0.21 / (200 * len(kept)))


def test_drifting_partners_do_not_wait_for_the_world_to_come_there() -> None:
    ahead, told = (dyads(erdos_renyi(60, Streams(1), 5.0), redraw=2, drift=0.4) for _ in range(2))
    late = {step: ahead.matching(step).partner for step in (401, 3, 40, 0, 41, 12)}
    for step in (0, 3, 12, 40, 41):
        assert np.array_equal(told.matching(step).partner, late[step])


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_all_stay_or_all_part(drift: float) -> None:
    network = complete(30, Streams(0))
    some, plain = dyads(network, redraw=2, drift=drift), dyads(network, redraw=2)
    for step in range(9):
        expected = plain.matching(step if drift else 0).partner
        assert np.array_equal(some.matching(step).partner, expected)


def test_nothing_is_heard_along_a_cut_tie_and_its_pair_parts() -> None:
    network = complete(2, Streams(0))
    world = dyads(network, redraw=4, drift=0)
    assert len(speak(world)[1]) == 1
    world.close(np.arange(2))
    assert [len(speak(world)[1]) for _ in range(3)] == [0, 0, 0]
    assert world.matching(4).partner.tolist() == [-1, -1]
    one_way = dyads(network)
    one_way.close(np.flatnonzero(network.target == 0))
    assert {int(a) for _ in range(4) for a in speak(one_way)[1].agent} == {1}


def test_who_begins_with_a_new_partner_is_told_how() -> None:
    world = dyads(complete(20, Streams(0)), redraw=3, drift=0.5, opening="Begin.")
    for step in range(12):
        now = world.matching(step)
        news = world.observe(np.arange(20)).news
        assert set(news) == (set(np.flatnonzero(now.fresh & now.opens).tolist()) if step % 3 == 0 else set())
        assert set(news.values()) <= {"Begin."}
        speak(world)
    assert not dyads(complete(20, Streams(0))).observe(np.arange(20)).news


def test_a_model_that_talks_with_itself_is_told_so() -> None:
    world = dyads(complete(4, Streams(0)), same=True, name="Robin")
    assert world.names == ("Robin",) * 4
    assert "another instance of yourself" in world.describe(0)
    assert "one other person" in dyads(complete(4, Streams(0))).describe(0)


def test_what_waits_stays_bounded_over_long_horizons() -> None:
    world = dyads(complete(40, Streams(0)))
    most = 0
    for _ in range(300):
        speak(world)
        most = max(most, len(world.board), len(world.mail.heard))
    assert most == 20, "a message of each pair"


def test_drift_without_redraws_is_refused() -> None:
    with pytest.raises(ValueError, match=r"give redraw above 0, got 0 and drift 0.5"):
        Dyads(complete(3, Streams(0)), AXES, drift=0.5)


@pytest.mark.parametrize(("size", "partner"), [(1, [-1]), (2, [1, 0]), (5, [1, 0, 3, 2, -1])])
def test_pairs_are_tied_to_each_other_alone(size: int, partner: list[int]) -> None:
    network = pairs(size, Streams(0))
    assert network.source.tolist() == [p for p in partner if p >= 0]
    assert dyads(network).matching(0).partner.tolist() == partner
