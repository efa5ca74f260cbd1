"""Layered: each message goes one way, to those whom that layer names, and an answer goes back the way it came."""

from typing import Any

import numpy as np
import pytest

from contagium.envs.layered import Layered
from contagium.envs.message import Axes, Channel, Exposures, Messages
from contagium.envs.network import Network, complete, erdos_renyi, ring, stochastic_block
from contagium.envs.rng import Streams
from contagium.envs.world import Act

AXES = Axes(("spiral",))
SIZE = 60


def network(board: bool = False) -> Network:
    parts = {"private": ring(SIZE, Streams(0), 4), "group": stochastic_block(SIZE, Streams(1), 6, 5.0, 0.0)}
    return Network.from_layers(parts | ({"board": erdos_renyi(SIZE, Streams(2), 9.0)} if board else {}))


def begun(of: Network | None = None, seed: int = 3, **settings: Any) -> Layered:
    world = Layered(of or network(), AXES, **settings)
    world.reset(Streams(seed))
    return world


def step(world: Layered) -> tuple[Messages, Exposures]:
    """Everybody says something."""
    act = Act.idle(np.arange(world.network.size), len(AXES))
    act.says[:] = True
    sent = world.send(act)
    return sent, world.deliver(sent, act)


def ways(sent: Messages, heard: Exposures) -> dict[str, np.ndarray]:
    """For each exposure: sender, reader, channel, and the message answered."""
    row = sent.rows(heard.message)
    return {"sender": heard.source, "reader": heard.agent, "channel": sent.channel[row], "answers": sent.reply_to[row]}


def are_tied(layer: Network, source: np.ndarray, target: np.ndarray) -> bool:
    there = layer.target * layer.size + layer.source
    return bool(np.isin(target * layer.size + source, there).all())


@pytest.mark.parametrize("board", [False, True])
def test_each_way_reaches_those_of_its_layer(board: bool) -> None:
    world = begun(network(board), readers=4)
    private, group = (world.network.part(name)[0] for name in ("private", "group"))
    count = np.zeros(3)
    for _ in range(20):
        sent, heard = step(world)
        of = ways(sent, heard)
        direct, grouped, posted = (of["channel"] == way for way in Channel)
        readers = np.bincount(sent.rows(heard.message), minlength=SIZE)
        assert np.all(readers[sent.channel == Channel.DIRECT] == 1)
        assert are_tied(private, of["sender"][direct], of["reader"][direct])
        assert are_tied(group, of["sender"][grouped], of["reader"][grouped])
        expected = np.bincount(group.source, minlength=SIZE)
        assert np.array_equal(readers[sent.channel == Channel.GROUP], expected[sent.channel == Channel.GROUP])
        assert np.all(readers[sent.channel == Channel.BOARD] <= 4)
        if board:
            assert are_tied(world.network.part("board")[0], of["sender"][posted], of["reader"][posted])
        count += np.bincount(sent.channel, minlength=3)
    assert np.all(count > 0)


def test_new_messages_go_each_way_as_often_as_told() -> None:
    world = begun(private=1.0, group=2.0, board=1.0, reply_share=0.0)
    sent = [step(world)[0] for _ in range(60)]
    share = np.bincount(np.concatenate([s.channel for s in sent]), minlength=3) / (60 * SIZE)
    assert share == pytest.approx([0.25, 0.5, 0.25], abs=4 * 0.5 / np.sqrt(60 * SIZE))
    assert all(np.all(s.reply_to == -1) for s in sent)


def test_who_is_heard_on_no_layer_speaks_on_the_board() -> None:
    alone = Network.from_layers(
        {"private": Network.from_edges(4, [0, 1], [1, 0]), "group": Network.from_edges(4, [0, 2], [2, 0])}
    )
    world = begun(alone, board=0.0, reply_share=0.0)
    seen = [set() for _ in range(4)]
    for _ in range(30):
        sent, _ = step(world)
        for agent, way in zip(sent.sender.tolist(), sent.channel.tolist(), strict=True):
            seen[agent].add(Channel(way))
    assert seen == [{Channel.DIRECT, Channel.GROUP}, {Channel.DIRECT}, {Channel.GROUP}, {Channel.BOARD}]


def test_an_answer_goes_the_way_of_what_it_answers_and_a_private_one_to_its_author_alone() -> None:
    world = begun(reply_share=1.0)
    before, answers = step(world)[0], np.zeros(3)
    for _ in range(12):
        sent, heard = step(world)
        answered = np.flatnonzero(sent.reply_to >= 0)
        at = before.rows(sent.reply_to[answered])
        assert np.array_equal(sent.channel[answered], before.channel[at])
        assert np.array_equal(sent.thread[answered], before.thread[at])
        answers += np.bincount(sent.channel[answered], minlength=3)
        of = ways(sent, heard)
        private = (of["channel"] == Channel.DIRECT) & (of["answers"] >= 0)
        assert np.array_equal(of["reader"][private], of["answers"][private] % SIZE)
        before = sent
    assert np.all(answers > 0)


def test_who_cannot_be_heard_back_in_private_is_not_answered() -> None:
    world = begun(Network.from_layers({"private": Network.from_edges(2, [0], [1])}), group=0.0, board=0.0, reply_share=1.0)
    step(world)
    sent, _ = step(world)
    assert sent.reply_to[1] == -1


def test_ties_that_are_cut_carry_nothing() -> None:
    world = begun(network(board=True), reply_share=0.5)
    step(world)
    world.close(np.arange(len(world.network.source)))
    assert len(step(world)[1]) == 0
    world = begun(network(board=True), reply_share=0.0)
    kept = np.flatnonzero(world.network.layer == 0)[::2]
    world.close(np.setdiff1d(np.arange(len(world.network.source)), kept))
    sent, heard = step(world)
    pairs = world.network.target[kept] * SIZE + world.network.source[kept]
    assert np.all(np.isin(heard.agent * SIZE + heard.source, pairs))
    # Who has a private tie left is still heard along it.
    spoke = sent.sender[sent.channel == Channel.DIRECT]
    assert set(heard.source.tolist()) == set(spoke.tolist()) & set(world.network.source[kept].tolist())


def test_a_speaker_is_told_where_its_words_will_go() -> None:
    world = begun()
    for _ in range(6):
        told = [world.describe(agent) for agent in range(SIZE)]
        sent, _ = step(world)
        words = {Channel.DIRECT: "private", Channel.GROUP: "group", Channel.BOARD: "board"}
        for agent in range(SIZE):
            assert words[Channel(sent.channel[agent])] in told[agent]
            assert ("answer" in told[agent]) == (sent.reply_to[agent] >= 0)


@pytest.mark.parametrize(
    ("of", "settings", "message"),
    [
        (complete(4, Streams(0)), {}, "needs a network with layers, and this one has none: choose network=layers"),
        (
            Network.from_layers({"private": complete(4, Streams(0))}),
            {},
            "group is 0.4, but the network has no such layer; it has: private",
        ),
        (
            Network.from_layers({"office": complete(4, Streams(0))}),
            {},
            "layers of the network must be private, group or board, got office",
        ),
        (None, {"private": -1.0}, "private must be at least 0 and finite, got -1.0"),
        (None, {"board": np.inf}, "board must be at least 0 and finite, got inf"),
        (None, {"private": 0.0, "group": 0.0, "board": 0.0}, "one of private, group and board must be positive"),
        (None, {"readers": 0}, "readers must be at least 1, got 0"),
        (None, {"reply_share": 1.5}, r"reply_share must be a share in \[0, 1\], got 1.5"),
    ],
)
def test_wrong_settings_are_refused(of: Network | None, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layered(of or network(), AXES, **settings)
