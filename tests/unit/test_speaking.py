"""Speaking agents: what they ask a model, what they make of its answers, and what becomes of its failures."""

import asyncio
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request
from contagium.agents.backends.forms import posts_in
from contagium.agents.memory import Window
from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Setting, name_of
from contagium.agents.speaking import Speaking
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=60)
AXES, STREAMS, SIZE = Axes(("spiral",)), Streams(5), 6
SPIRAL = Persona(name="spiral", text="You spiral.", examples=tuple(f"Spiral line {k}." for k in range(9)))
PLAIN = Persona(name="plain", text="You are plain.", examples=("Lunch.",))
FEELINGS = ("calm", "sad")


class Fake:
    """A model that answers each request by a function and keeps what it was asked."""

    model, concurrency = "fake", 8

    def __init__(self, answer: Callable[[Request], str], form: PromptForm = "turns") -> None:
        self.answer, self.asked = answer, []
        self.prompt_form: PromptForm = form

    async def __aenter__(self) -> "Fake":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        return Completion(self.answer(request), "length", self.model, 1, 1, 0.0)


def begun(backend: Fake | None, spiral: Persona = SPIRAL, plain: Persona = PLAIN, every: int = 0, **how: object) -> Speaking:
    """Six agents of whom the first is an index case."""
    strain = np.where(np.arange(SIZE) == 0, 0, -1)
    population = Population(np.zeros(SIZE, dtype=np.int64), strain, np.ones(SIZE), np.ones(SIZE))
    policy = Speaking(**how)
    policy.begin(Setting(np.arange(SIZE), population, AXES, (spiral,), plain, name_of, FEELINGS, every, backend))
    return policy


def observe(step: int, agents: list[int], read: list[str | None] | None = None, news: str = "") -> Observation:
    """All `agents` read the same messages, which agent 5 wrote; None is a message without words."""
    lines = read or []
    ids = 100 * step + np.arange(len(lines))
    text = {int(i): line for i, line in zip(ids, lines, strict=True) if line is not None}
    five, zero = np.full(len(lines), 5), np.zeros(len(lines), dtype=np.int64)
    blank = np.full((len(lines), len(AXES)), np.nan, dtype=np.float32)
    messages = Messages(ids, five, zero, zero.astype(np.int8), ids, zero - 1, blank, text)
    inbox = Inbox(
        messages,
        np.arange(len(agents) + 1) * len(lines),
        np.tile(np.arange(len(lines)), len(agents)),
        np.ones(len(lines) * len(agents)),
    )
    n, push = len(agents), np.zeros((len(agents), 3))
    pressure = Pressure(("news",), (news,), np.ones((n, 1)), np.ones((n, 1), dtype=bool), push) if news else None
    none = np.zeros(n, dtype=bool)
    return Observation(step, np.array(agents), inbox, pressure, np.zeros(n), none, none, lambda agent: f"Seat {agent}.")


def act(policy: Speaking, observation: Observation) -> Act:
    return asyncio.run(policy.act(observation, STREAMS))


def test_written_index_agents_say_their_lines_and_ask_no_model() -> None:
    backend = Fake(lambda request: "hello")
    policy = begun(backend)
    said = [act(policy, observe(step, [0, 1])).text for step in range(120)]
    assert {texts[0] for texts in said} == set(SPIRAL.examples)
    assert {request.agent for request in backend.asked} == {1}
    assert [texts[0] for texts in said] == [act(begun(Fake(str)), observe(step, [0])).text[0] for step in range(120)]


def test_a_model_that_plays_index_agents_sees_their_lines_as_examples() -> None:
    backend = Fake(lambda request: "hello")
    act(begun(backend, index_voice="model"), observe(0, [0, 1]))
    index, other = sorted(backend.asked, key=lambda request: request.agent)
    assert [post.text for post in posts_in(index)] == list(SPIRAL.examples[:3])
    assert posts_in(other) == ()
    assert [index.messages[0].content, other.messages[0].content] == [
        "Your name is Aster.\nYou spiral.\nSeat 0.",
        "Your name is Bram.\nYou are plain.\nSeat 1.",
    ]


@pytest.mark.parametrize("form", ["turns", "transcript"])
def test_memory_bounds_what_is_asked(form: PromptForm) -> None:
    backend = Fake(lambda request: f"own {request.step}", form)
    policy = begun(backend, memory=Window(read=3, own=1, news=1, characters=20))
    for step in range(4):
        act(policy, observe(step, [1], [f"read {step}.{k} " + "x" * 99 for k in range(2)] + [None], news=f"News {step}."))
    last = backend.asked[-1]
    before, own, *new = (post.text for post in posts_in(last))
    # Posts of one step are read in a random order.
    assert before in ("read 2.0 xxxxxxxxxxx", "read 2.1 xxxxxxxxxxx")
    assert own == "own 2"
    assert sorted(new) == ["read 3.0 xxxxxxxxxxx", "read 3.1 xxxxxxxxxxx"]
    whole = " ".join(turn.content for turn in last.messages)
    assert "News 3." in whole
    assert "News 2." not in whole


def test_posts_of_one_step_are_read_in_a_random_order_that_is_each_agents_own() -> None:
    orders = []
    for _ in range(2):
        backend = Fake(lambda request: "hello")
        act(begun(backend), observe(0, [1, 2, 3, 4], [f"read {k}" for k in range(4)]))
        orders.append({request.agent: tuple(post.text for post in posts_in(request)) for request in backend.asked})
    assert orders[0] == orders[1]
    assert len(set(orders[0].values())) > 1


@LAW
@given(st.text(), st.sampled_from(["turns", "transcript"]))
def test_any_persona_text_reaches_the_model_unchanged(text: str, form: PromptForm) -> None:
    backend = Fake(lambda request: "hello", form)
    act(begun(backend, plain=Persona(name="plain", text=text)), observe(0, [1]))
    assert text in backend.asked[0].messages[0].content


@LAW
@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_any_reply_becomes_one_line_that_a_file_can_hold_or_a_missing_turn(reply: str) -> None:
    said = act(begun(Fake(lambda request: reply)), observe(0, [1]))
    if said.says[0]:
        assert said.text[1].encode()
        assert said.text[1] == " ".join(said.text[1].split())
    else:
        assert said.missing == {1: "empty_length"}
        assert not reply.split()


def fails(agent: int, **how: object) -> Callable[[Request], str]:
    def answer(request: Request) -> str:
        if request.agent == agent:
            raise BackendError("no", **how)
        return "hello"

    return answer


def test_a_failed_call_is_a_missing_turn_with_its_reason_and_the_others_speak() -> None:
    said = act(begun(Fake(fails(2, reason="timeout", retryable=True))), observe(0, [1, 2, 3]))
    assert said.says.tolist() == [True, False, True]
    assert said.missing == {2: "timeout"}
    assert said.text == {1: "hello", 3: "hello"}


def test_a_fatal_failure_is_raised_and_leaves_no_call_running() -> None:
    ended = []

    class Slow(Fake):
        async def complete(self, request: Request) -> Completion:
            if request.agent == 3:
                raise BackendError("no such model", reason="rejected", fatal=True)
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(request.agent)
            raise AssertionError

    with pytest.raises(ExceptionGroup) as raised:
        act(begun(Slow(str)), observe(0, [1, 2, 3]))
    assert raised.group_contains(BackendError, match="no such model")
    assert sorted(ended) == [1, 2]


def answers(feeling: str) -> Callable[[Request], str]:
    return lambda request: feeling if request.purpose == "self_report" else "hello"


def test_feelings_are_asked_for_every_so_many_steps_and_in_private() -> None:
    backend = Fake(answers(json.dumps({"feeling": "sad"})))
    policy = begun(backend, every=2)
    reports = [act(policy, observe(step, [0, 1], ["hi"])).report for step in range(4)]
    assert reports == [{0: "sad", 1: "sad"}, {}, {0: "sad", 1: "sad"}, {}]
    asked = [request for request in backend.asked if request.purpose == "self_report"]
    assert all(request.schema["properties"]["feeling"]["enum"] == list(FEELINGS) for request in asked)
    assert all(post.text != "sad" for request in backend.asked for post in posts_in(request))


def test_a_report_is_asked_of_what_was_seen_for_the_post() -> None:
    backend = Fake(answers("{}"))
    act(begun(backend, every=1), observe(0, [1], ["hi"], news="Refused."))
    post, report = backend.asked
    assert report.messages[:-1] == post.messages[:-1]
    assert "Refused." in report.messages[-1].content
    assert post.seed != report.seed


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ('{"feeling": "odd"}', "odd"),
        ("I feel calm.", "I feel calm."),
        ("[]", "[]"),
        ('{"mood": 1}', '{"mood": 1}'),
        ("[" * 100_000, "[" * 100_000),
        ('{"feeling": "\\ud800"}', "?"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_report_off_the_list_is_kept_as_it_came(reply: str, kept: str) -> None:
    assert act(begun(Fake(answers(reply)), every=1), observe(0, [1])).report == {1: kept}


def test_a_failed_report_does_not_take_the_post_with_it() -> None:
    def answer(request: Request) -> str:
        if request.purpose == "self_report":
            raise BackendError("no", reason="timeout")
        return "hello"

    said = act(begun(Fake(answer), every=1), observe(0, [1]))
    assert (said.text, said.report, said.missing) == ({1: "hello"}, {}, {})


def test_what_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="need a language model"):
        begun(None)
    with pytest.raises(ValueError, match="persona spiral has no examples"):
        begun(Fake(str), spiral=Persona(name="spiral"))
    begun(Fake(str), spiral=Persona(name="spiral"), index_voice="model")
