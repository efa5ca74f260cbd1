"""Tables of messages and exposures."""

import numpy as np
import pytest

from contagium.envs.message import AFFECT, Axes, Channel, Exposures, Inbox, Mail, Messages, row_pointer


def messages(*ids: int) -> Messages:
    i = np.array(ids, dtype=np.int64)
    text = {n: f"words {n}" for n in ids if n % 2}
    return Messages(
        i, i * 10, i // 4, np.full(len(i), Channel.BOARD, np.int8), i, i - 1, np.outer(i, np.ones(3)).astype(np.float32), text
    )


def exposures(step: int, *pairs: tuple[int, int]) -> Exposures:
    agent, message = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Exposures(step, agent, message, message * 10, message / 2)


def test_axes_are_affect_and_then_strains() -> None:
    axes = Axes(("spiral", "gloom"))
    assert axes.names == (*AFFECT, "spiral", "gloom")
    assert len(axes) == 5
    assert axes.index("gloom") == 4
    with pytest.raises(ValueError, match="no axis 'joy': the axes are valence, arousal, dominance, spiral, gloom"):
        axes.index("joy")


@pytest.mark.parametrize("strains", [("a", "a"), ("valence",)])
def test_axes_must_differ(strains: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="axis names must differ"):
        Axes(strains)


def test_take_by_rows_and_by_mask() -> None:
    table = messages(3, 4, 7, 9)
    by_row = table.take(np.array([2, 0]))
    assert by_row.id.tolist() == [7, 3]
    assert by_row.sender.tolist() == [70, 30]
    assert by_row.expression[:, 0].tolist() == [7, 3]
    assert by_row.text == {7: "words 7", 3: "words 3"}
    by_mask = table.take(table.id < 5)
    assert by_mask.id.tolist() == [3, 4]
    assert by_mask.text == {3: "words 3"}
    assert len(table) == 4


def test_concat_of_messages() -> None:
    both = messages(3, 4).concat(messages(7))
    assert both.id.tolist() == [3, 4, 7]
    assert both.reply_to.tolist() == [2, 3, 6]
    assert both.text == {3: "words 3", 7: "words 7"}
    assert Messages.empty(3).concat(both).id.tolist() == [3, 4, 7]
    assert Messages.empty(3).concat(both).expression.dtype == np.float32


@pytest.mark.parametrize("ids", [(3, 4, 5), (3, 5, 9), (3, 10**9, 10**15)], ids=["no gaps", "gaps", "far apart"])
def test_rows(ids: tuple[int, ...]) -> None:
    assert messages(*ids).rows(np.array([ids[2], ids[0], ids[2]])).tolist() == [2, 0, 2]
    assert messages(*ids).rows(np.array([ids[1]])).tolist() == [1]
    assert messages(*ids).rows(np.empty(0, dtype=np.int64)).tolist() == []
    assert messages().rows(np.empty(0, dtype=np.int64)).tolist() == []


def test_concat_of_exposures_sorts_by_agent_and_message() -> None:
    both = exposures(1, (2, 5), (4, 1)).concat(exposures(2, (0, 9), (2, 3), (4, 8)))
    assert list(zip(both.agent.tolist(), both.message.tolist(), strict=True)) == [(0, 9), (2, 3), (2, 5), (4, 1), (4, 8)]
    assert both.source.tolist() == [90, 30, 50, 10, 80]
    assert both.weight.tolist() == [4.5, 1.5, 2.5, 0.5, 4.0]
    assert both.step == 2
    assert Exposures.none(1).concat(exposures(2, (0, 9))).step == 2


def test_row_pointer() -> None:
    assert row_pointer(np.array([0, 0, 2, 4]), 6).tolist() == [0, 2, 2, 3, 3, 4, 4]
    assert row_pointer(np.empty(0, dtype=np.int64), 2).tolist() == [0, 0, 0]


def test_an_inbox_shows_each_agent_its_own() -> None:
    inbox = Inbox(messages(3, 4, 7), np.array([0, 2, 2, 3]), np.array([0, 2, 2]), np.ones(3))
    assert [inbox.of(k).id.tolist() for k in range(3)] == [[3, 7], [], [7]]


def test_mail_of_each_and_of_one_alone() -> None:
    mail = Mail(messages(3, 4, 7, 9), exposures(1, (0, 3), (0, 7), (2, 4), (4, 3), (4, 9)), 5)
    everyone = np.arange(5)
    assert mail.newest(everyone).tolist() == [7, -1, 4, -1, 9]
    assert mail.one(everyone, np.array([0.0, 0.5, 0.9, 0.0, 0.6])).tolist() == [3, -1, 4, -1, 9]
    inbox = mail.inbox(everyone)
    read = [inbox.of(k).id.tolist() for k in range(5)]
    assert read == [[3, 7], [], [4], [], [3, 9]]
    assert inbox.weight.tolist() == [1.5, 3.5, 2.0, 1.5, 4.5]
    for agent in range(5):
        me = np.array([agent])
        assert mail.inbox(me).of(0).id.tolist() == read[agent]
        assert mail.newest(me).tolist() == [max(read[agent], default=-1)]
    assert mail.inbox(np.array([4, 0])).of(0).id.tolist() == [3, 9]
    assert Mail.none(3, 5).newest(everyone).tolist() == [-1] * 5
