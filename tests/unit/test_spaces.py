"""The space of things said, and what worlds look like as spaces."""

import json
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from contagium.envs.forum import Forum
from contagium.envs.message import Axes
from contagium.envs.network import Network, complete
from contagium.envs.parallel import parallel_env, single_agent_env
from contagium.envs.rng import Streams
from contagium.envs.spaces import Utterance, View
from contagium.envs.world import Act, World

ODD = ["", "plain", "“curly” „quotes“", "🌀🙂", "\u202eright to left", "a\0b\n", "{} ${x} <b>&", "e\u0301", "\U0010ffff"]


@pytest.mark.parametrize("text", ODD)
def test_any_unicode_is_an_utterance(text: str) -> None:
    space = Utterance(20)
    assert text in space
    assert space.fit(text) == text
    assert space.from_jsonable(json.loads(json.dumps(space.to_jsonable([text, "x"])))) == [text, "x"]


@pytest.mark.parametrize("other", ["x" * 21, "\ud800", "a\udfffb", None, 1, b"bytes", ["list"], np.array("x")])
def test_anything_else_is_not(other: Any) -> None:
    assert other not in Utterance(20)


def test_length_is_counted_in_characters() -> None:
    assert "🌀" * 20 in Utterance(20)
    assert "🌀" * 21 not in Utterance(20)


@pytest.mark.parametrize(
    ("text", "fitted"), [("abcdef", "abcd"), ("a\ud800b", "a\ufffdb"), ("\ud83d\ude42", "🙂"), ("🌀" * 9, "🌀" * 4)]
)
def test_fit(text: str, fitted: str) -> None:
    assert Utterance(4).fit(text) == fitted
    assert fitted in Utterance(4)


def test_samples_are_seeded_members() -> None:
    space, again, other = Utterance(30, seed=4), Utterance(30), Utterance(30, seed=5)
    again.seed(4)
    drawn = [space.sample() for _ in range(300)]
    assert drawn == [again.sample() for _ in range(300)]
    assert drawn != [other.sample() for _ in range(300)]
    assert all(text in space for text in drawn)
    assert set("🌀“\"'") <= set("".join(drawn))
    assert {len(text) for text in drawn} == set(range(31))
    with pytest.raises(ValueError, match="without mask"):
        space.sample(mask=(1, None))  # type: ignore[arg-type]


def test_equality_and_errors() -> None:
    assert Utterance(3) == Utterance(3, seed=1)
    assert Utterance(3) != Utterance(4)
    assert Utterance(3) != "Utterance(3)"
    assert eval(repr(Utterance(3)), {"Utterance": Utterance}) == Utterance(3)
    with pytest.raises(ValueError, match="max_length must be at least 1, got 0"):
        Utterance(0)


class Market(Forum):
    choices = ("wait", "buy", "sell")


def seen_by(view: View, world: World, active: bool = True) -> tuple[Any, dict[str, Any]]:
    shown, infos = view.show(world.observe(np.array([0])), np.array([active]), world.streams)
    return shown[0], infos[0]


def spoken(weight: float = 1.0, size: int = 6) -> Market:
    """A world after a step in which agent k said "k" with valence k / 10, arousal out of bounds, dominance unknown."""
    network = complete(size, Streams(0))
    network = Network.from_edges(size, network.source, network.target, weight / (1 + network.source % 2))
    world = Market(network, Axes(("spiral",)), reads=5, board_reads=0)
    world.reset(Streams(0))
    agents = np.arange(size)
    expression = np.array([[k / 10, 3, np.nan, -1] for k in range(size)], dtype=np.float32)
    act = Act(agents, agents > 0, expression, agents * 0, {k: str(k) for k in range(size)})
    world.deliver(world.send(act), act)
    return world


def test_a_choice_of_messages_fills_the_slots() -> None:
    world = spoken()
    seen, info = seen_by(View(world, slots=3), world)
    shown = seen["sender"].tolist()
    assert shown == sorted(set(shown) & {1, 2, 3, 4, 5})
    assert seen["messages"] == tuple(map(str, shown))
    assert seen["mask"].tolist() == [1, 1, 1]
    assert np.allclose(seen["heard"], [[k / 10, 1, 0, 0] for k in shown])
    assert seen["known"].tolist() == [[1, 1, 0, 1]] * 3
    assert info == {"active": True, "unseen": 2}
    assert "6 members" in seen["situation"]


def test_the_newest_come_first_and_no_sender_is_shown_more_than_others() -> None:
    """Of 5 posts a step, readable for two steps, 3 are shown, all of the last step: each sender's in 3 of 5 steps."""
    world = Forum(complete(6, Streams(0)), Axes(), reads=10, board_reads=0, window=2)
    world.reset(Streams(3))
    view, agents, shown, steps = View(world, slots=3), np.arange(6), np.zeros(6), 400
    for step in range(steps):
        act = Act.idle(agents, 3)
        act.says[:] = True
        world.deliver(world.send(act), act)
        seen, _ = seen_by(view, world)
        shown += np.bincount(seen["sender"], minlength=6)
        assert len(set(seen["sender"].tolist())) == 3, f"step {step} shows older posts"
    assert shown[0] == 0
    assert np.abs(shown[1:] / steps - 0.6).max() < 4 * np.sqrt(0.24 / steps)


def test_slots_that_stay_empty() -> None:
    world = spoken()
    seen, info = seen_by(View(world, slots=7), world)
    assert seen["mask"].tolist() == [1] * 5 + [0] * 2
    assert seen["messages"][5:] == ("", "")
    assert seen["sender"][5:].tolist() == [-1, -1]
    assert not seen["known"][5:].any()
    assert info["unseen"] == 0


def test_who_has_no_turn_sees_nothing_yet() -> None:
    world = spoken()
    seen, info = seen_by(View(world), world, active=False)
    assert not seen["mask"].any()
    assert info == {"active": False, "unseen": 5}


@pytest.mark.parametrize(("weight", "shown"), [(4.0, [0.5, 1, 0.5, 1, 0.5]), (0.5, [0.25, 0.5, 0.25, 0.5, 0.25])])
def test_weights_are_relative_to_the_heaviest(weight: float, shown: list[float]) -> None:
    world = spoken(weight)
    seen, _ = seen_by(View(world, slots=5), world)
    assert seen["weight"].tolist() == shown


def test_long_and_broken_texts_are_shown_within_the_space() -> None:
    world = spoken()
    world.board.text.update({i: "\ud800" + "x" * 600 for i in world.board.id.tolist()})
    view = View(world, max_length=10)
    seen, _ = seen_by(view, world)
    assert seen["messages"][0] == "\ufffd" + "x" * 9
    assert seen in view.observation_space


def test_the_numeric_view_holds_the_same_numbers_in_order() -> None:
    world = spoken()
    (words, _), (numbers, _) = (seen_by(View(world, text=text), world) for text in (True, False))
    parts = [words[key].ravel() for key in ("mask", "weight", "heard", "known", "pressure", "active")]
    assert np.array_equal(numbers, np.concatenate(parts))
    view = View(world, text=False)
    assert isinstance(view.observation_space, Box)
    assert numbers in view.observation_space
    assert isinstance(View(world).observation_space, Dict)


def test_actions_become_an_act() -> None:
    world = spoken()
    agents = np.array([1, 4])
    rows = np.array([[0.5, -1, 0, 1, 0.1, 0, 0.3, 0.2], [0, 0, 0, 0, 0, 0.9, 0, 0]], dtype=np.float32)
    act = View(world, text=False).read(agents, list(rows))
    assert act.says.tolist() == [True, False]
    assert act.choice.tolist() == [1, 0]
    assert np.array_equal(act.expression, rows[:, :4])
    words = [
        {"text": t, "expression": row[:4], "says": s, "choice": c}
        for t, row, s, c in zip("🌀b", rows, (1, 0), (2, 0), strict=True)
    ]
    act = View(world).read(agents, words)
    assert act.says.tolist() == [True, False]
    assert act.choice.tolist() == [2, 0]
    assert act.text == {1: "🌀", 4: "b"}
    assert np.array_equal(act.expression, rows[:, :4])


FINE = {"text": "x", "expression": np.zeros(4, np.float32), "says": 1, "choice": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "\ud800"},
        {"text": "x" * 501},
        {"text": 3},
        {"expression": np.full(4, np.nan, np.float32)},
        {"expression": np.array([0, 0, 0, -0.5], np.float32)},
        {"expression": np.zeros(3, np.float32)},
        {"expression": np.zeros((1, 4), np.float32)},
        {"expression": None},
        {"says": 2},
        {"says": -1},
        {"choice": 3},
        {"choice": -1},
        {"choice": None},
        {"choice": 0.5},
        {"choice": 10**30},
        {"says": "1"},
    ],
)
def test_actions_out_of_space_are_refused_by_name(wrong: dict[str, Any]) -> None:
    view = View(spoken())
    with pytest.raises(ValueError, match="the action of agent 4 is not in Dict"):
        view.read(np.array([1, 4]), [FINE, FINE | wrong])


@pytest.mark.parametrize("wrong", [None, "x", np.zeros(7), np.zeros((1, 8)), np.full(8, np.nan), np.full(8, 1.5)])
def test_numeric_actions_out_of_space_are_refused_by_name(wrong: Any) -> None:
    view = View(spoken(), text=False)
    with pytest.raises(ValueError, match="the action of agent 4 is not in Box"):
        view.read(np.array([1, 4]), [np.zeros(8, np.float32), wrong])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world": "pub"}, "world must be one of forum, dyads, commons, .*, got 'pub'"),
        ({"size": 0}, "forum: size: .* greater than or equal to 1, got 0"),
        ({"size": "many"}, "forum: size: .* valid integer.* got 'many'"),
        ({"neighbours": 3}, "neighbours must be even and at least 0, got 3"),
        ({"rewire": 2.0}, "rewire must be a share"),
        ({"strains": ("a", "a")}, "axis names must differ"),
        ({"reads": 0}, "forum: reads: .* greater than or equal to 1, got 0"),
        ({"reads": 2, "board_reads": 3}, "board_reads must be at most reads"),
        ({"reply_share": 1.5}, "forum: reply_share: .* less than or equal to 1, got 1.5"),
        ({"redraw": 2}, "forum: redraw: Extra inputs are not permitted, got 2"),
        ({"slots": 0}, "slots must be at least 1, got 0"),
        ({"slots": "few"}, "forum: slots: .* valid integer"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"render_mode": "human"}, "render_mode must be 'ansi' or None, got 'human'"),
    ],
)
def test_wrong_settings_give_one_clear_line(settings: dict[str, Any], message: str) -> None:
    for make in (parallel_env, single_agent_env):
        with pytest.raises(ValueError, match=message) as caught:
            make(**({"world": "forum"} | settings))
        assert "\n" not in str(caught.value)


def test_a_player_who_does_not_exist() -> None:
    with pytest.raises(ValueError, match="agent must be 0 to 15, got 16"):
        single_agent_env("forum", agent=16)


def test_render_escapes_what_was_said() -> None:
    env = parallel_env("forum", size=2, render_mode="ansi")
    env.reset(seed=0)
    says = {"agent_0": FINE | {"text": "\x1b[31m\u202e“hi” 🌀\nagent_1: 'forged'"}, "agent_1": FINE | {"says": 0}}
    env.step(says)
    assert env.render() == (
        "step 1\n"
        "agent_0: \"\\x1b[31m\\u202e“hi” 🌀\\nagent_1: 'forged'\" valence=+0.00 arousal=+0.00 dominance=+0.00 spiral=+0.00"
    )
    assert parallel_env("forum").render() is None
