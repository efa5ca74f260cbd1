"""What agents think before they speak, and how likely a model found its own words."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Stop, Token
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer, Population, Question, Setting, name_of
from contagium.agents.speaking import Speaking
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation

AXES, STREAMS = Axes(("spiral",)), Streams(5)
SPIRAL = Persona(name="spiral", examples=("Spiral line.",))
PLAIN = Persona(name="plain")
TOKENS = (Token("Fine", -0.5, (("Fine", -0.5),)), Token(" 7", -0.25, ((" 7", -0.25), ("8", -1.5))))


class Fake:
    """A model that answers by a function and keeps what it was asked; log-probabilities only where they are asked for."""

    model, concurrency, timeout, seconds_per_call = "fake", 8, None, 0.0

    def __init__(self, answer: Callable[[Request], str], form: PromptForm = "turns", stop: Stop = "stop") -> None:
        self.answer, self.stop, self.prompt_form = answer, stop, form
        self.asked: list[Request] = []

    async def __aenter__(self) -> "Fake":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        done = Completion(self.answer(request), self.stop if request.purpose == "think" else "stop", self.model, 1, 1, 0.0)
        return replace(done, logprobs=TOKENS if request.sampling.logprobs else None)


def begun(backend: Fake, every: int = 0, choices: tuple[str, ...] = (), **how: object) -> Speaking:
    """Three agents of whom the first is an index case."""
    population = Population(np.zeros(3, dtype=np.int64), np.array([0, -1, -1]), np.ones(3), np.ones(3))
    policy = Speaking(**how)
    policy.begin(Setting(np.arange(3), population, AXES, (SPIRAL,), PLAIN, name_of, ("calm",), every, backend, choices))
    return policy


def act(policy: Speaking, step: int, agents: list[int]) -> Act:
    n, none = len(agents), np.zeros(len(agents), dtype=bool)
    empty = np.empty(0, dtype=np.int64)
    inbox = Inbox(Messages.empty(len(AXES)), np.zeros(n + 1, dtype=np.int64), empty, np.empty(0))
    seen = Observation(step, np.array(agents), inbox, None, np.zeros(n), none, none, lambda agent: "")
    return asyncio.run(policy.act(seen, STREAMS))


def thinks(request: Request) -> str:
    return {"think": "I feel\n  lost.", "speak": "All fine."}.get(request.purpose, "calm")


@pytest.mark.parametrize("form", ["turns", "transcript"])
def test_a_thought_comes_first_and_stays_before_the_agent_for_its_turn_only(form: PromptForm) -> None:
    backend = Fake(thinks, form)
    policy = begun(backend, every=1, choices=("leave", "calm"), think=True)
    said = act(policy, 0, [1, 2])
    assert (said.thought, said.text) == ({1: "I feel lost.", 2: "I feel lost."}, {1: "All fine.", 2: "All fine."})
    of_one = [request for request in backend.asked if request.agent == 1]
    assert [request.purpose for request in of_one] == ["think", "speak", "self_report", "choice"]
    assert len({request.seed for request in of_one}) == 4
    before, *rest = (" ".join(turn.content for turn in request.messages) for request in of_one)
    assert "I feel lost." not in before
    assert all("Your own thought, which nobody else reads: I feel lost." in prompt for prompt in rest)
    backend.asked.clear()
    act(policy, 1, [1])
    assert "I feel lost." not in str(backend.asked[0].messages)


def test_nobody_thinks_unless_asked_to_nor_for_written_lines() -> None:
    backend = Fake(thinks)
    assert act(begun(backend), 0, [0, 1]).thought == {}
    assert act(begun(backend, think=True), 0, [0]).thought == {}
    assert {request.purpose for request in backend.asked} == {"speak"}
    assert act(begun(backend, think=True, index_voice="model"), 0, [0]).thought == {0: "I feel lost."}


@pytest.mark.parametrize("failure", ["error", "empty", "refusal"])
def test_a_missing_thought_is_no_missing_turn(failure: str) -> None:
    def answer(request: Request) -> str:
        if request.purpose == "think" and failure == "error":
            raise BackendError("no", reason="timeout")
        return " " if request.purpose == "think" and failure == "empty" else "All fine."

    said = act(begun(Fake(answer, stop="refusal" if failure == "refusal" else "stop"), think=True), 0, [1])
    assert (said.thought, said.text, said.missing) == ({}, {1: "All fine."}, {})


def test_a_thought_stands_where_nothing_was_said() -> None:
    said = act(begun(Fake(lambda request: "Hm." if request.purpose == "think" else " "), think=True), 0, [1])
    assert (said.thought, said.text, said.missing) == ({1: "Hm."}, {}, {1: "empty_stop"})


def test_a_fatal_failure_of_a_thought_is_raised() -> None:
    def answer(request: Request) -> str:
        raise BackendError("no more", reason="budget", fatal=True)

    with pytest.raises(ExceptionGroup):
        act(begun(Fake(answer), think=True), 0, [1])


def test_log_probabilities_are_asked_for_with_posts_alone() -> None:
    backend = Fake(thinks)
    act(begun(backend, every=1, think=True, logprobs=1), 0, [1])
    assert {request.purpose: request.sampling.logprobs for request in backend.asked} == {"think": 0, "speak": 1, "self_report": 0}
    plain = Fake(thinks)
    act(begun(plain), 0, [1])
    assert plain.asked[0].sampling.logprobs == 0


def test_a_form_is_filled_in_without_the_speakers_habits() -> None:
    backend = Fake(lambda request: '{"answer": 7}')
    policy = begun(backend, temperature=0.1, repeat_penalty=1.5)
    schema = {"type": "object"}
    answers = asyncio.run(policy.ask(np.array([1]), Question("How?", tokens=9, schema=schema), 0, STREAMS))
    assert answers == {1: Answer('{"answer": 7}', "ok", '{"answer": 7}')}
    (asked,) = backend.asked
    assert (asked.schema, asked.sampling.max_tokens, asked.sampling.repeat_penalty) == (schema, 9, 1)


def test_an_answer_by_digits_tells_how_likely_each_was() -> None:
    backend = Fake(lambda request: "Fine 7")
    policy = begun(backend)
    asked = {
        digits: asyncio.run(policy.ask(np.array([1]), Question("How?", digits=digits), 0, STREAMS))[1] for digits in (True, False)
    }
    assert [request.sampling.logprobs for request in backend.asked] == [20, 0]
    assert asked[False] == Answer("Fine 7", "ok", "Fine 7")
    likely = asked[True].digits
    assert likely is not None
    assert {digit: p for digit, p in likely.items() if p} == pytest.approx({"7": np.exp(-0.25), "8": np.exp(-1.5)})
