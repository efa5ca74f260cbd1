"""Speaking agents: what they ask a model, what they make of its answers, and what becomes of its failures."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.backends.backend import BackendError, Completion, PromptForm, Request, Stop
from contagium.agents.backends.forms import posts_in
from contagium.agents.memory import Memory, NoMemory, Summary, Window
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer, Clamp, Pin, Population, Question, Setting, SumUp, Unpin, Wipe, name_of
from contagium.agents.speaking import Speaking
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, Report

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=60)
AXES, STREAMS, SIZE = Axes(("spiral",)), Streams(5), 6
SPIRAL = Persona(name="spiral", text="You spiral.", examples=tuple(f"Spiral line {k}." for k in range(9)))
PLAIN = Persona(name="plain", text="You are plain.", examples=("Lunch.",))
FEELINGS = ("calm", "sad")


class Fake:
    """A model that answers each request by a function and keeps what it was asked."""

    model, concurrency, timeout, seconds_per_call = "fake", 8, None, 0.0

    def __init__(self, answer: Callable[[Request], str], form: PromptForm = "turns", stop: Stop = "length") -> None:
        self.answer, self.asked, self.stop = answer, [], stop
        self.prompt_form: PromptForm = form

    async def __aenter__(self) -> "Fake":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        return Completion(self.answer(request), self.stop, self.model, 1, 1, 0.0)


def begun(
    backend: Fake | None,
    spiral: Persona = SPIRAL,
    plain: Persona = PLAIN,
    every: int = 0,
    choices: tuple[str, ...] = (),
    **how: object,
) -> Speaking:
    """Six agents of whom the first is an index case."""
    strain = np.where(np.arange(SIZE) == 0, 0, -1)
    population = Population(np.zeros(SIZE, dtype=np.int64), strain, np.ones(SIZE), np.ones(SIZE))
    policy = Speaking(**how)
    policy.begin(Setting(np.arange(SIZE), population, AXES, (spiral,), plain, name_of, FEELINGS, every, backend, choices))
    return policy


def observe(step: int, agents: list[int], read: list[str | None] | None = None, news: str = "") -> Observation:
    """All `agents` read the same messages, one each of agents 6, 7, … elsewhere; None is a message without words."""
    lines = read or []
    ids = 100 * step + np.arange(len(lines))
    text = {int(i): line for i, line in zip(ids, lines, strict=True) if line is not None}
    others, zero = SIZE + np.arange(len(lines)), np.zeros(len(lines), dtype=np.int64)
    blank = np.full((len(lines), len(AXES)), np.nan, dtype=np.float32)
    messages = Messages(ids, others, zero, zero.astype(np.int8), ids, zero - 1, blank, text)
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
        "You spiral.\nSeat 0.\nYour name is Aster.",
        "You are plain.\nSeat 1.\nYour name is Bram.",
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


def test_without_memory_only_this_step_is_known() -> None:
    backend = Fake(lambda request: "hello")
    policy = begun(backend, memory=NoMemory())
    for step in range(2):
        act(policy, observe(step, [1], [f"read {step}"], news=f"News {step}."))
    assert [post.text for post in posts_in(backend.asked[1])] == ["read 1"]
    assert "News 0." not in str(backend.asked[1].messages)


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
    assert reports == [{0: Report("sad"), 1: Report("sad")}, {}, {0: Report("sad"), 1: Report("sad")}, {}]
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
    ("reply", "stop", "report"),
    [
        ('{"feeling": "Sad"}', "length", Report("sad")),
        ("Calm.", "stop", Report("calm")),
        ("Calm.", "length", Report(None, "failed", "Calm.")),  # of "calm, but also …"?
        ('{"feeling": "calm"}', "refusal", Report(None, "failed", '{"feeling": "calm"}')),
        ('{"feeling": "odd"}', "stop", Report(None, "failed", '{"feeling": "odd"}')),
        ("I feel calm.", "stop", Report(None, "failed", "I feel calm.")),
        ("[" * 100_000, "stop", Report(None, "failed", "[" * 100_000)),
        ("half \ud800", "stop", Report(None, "failed", "half ?")),
        (" ", "stop", Report(None, "missing", "empty_stop")),
        ("", "filter", Report(None, "missing", "filter")),
    ],
)
def test_a_report_is_a_label_of_the_list_or_says_what_came_instead(reply: str, stop: Stop, report: Report) -> None:
    assert act(begun(Fake(answers(reply), stop=stop), every=1), observe(0, [0])).report == {0: report}


def test_a_failed_report_says_why_and_does_not_take_the_post_with_it() -> None:
    def answer(request: Request) -> str:
        if request.purpose == "self_report":
            raise BackendError("no", reason="timeout")
        return "hello"

    said = act(begun(Fake(answer), every=1), observe(0, [1]))
    assert (said.text, said.report, said.missing) == ({1: "hello"}, {1: Report(None, "missing", "timeout")}, {})


@pytest.mark.parametrize("text", ["I cannot say that.", ""])
@pytest.mark.parametrize("stop", ["refusal", "filter"])
def test_what_was_refused_was_not_said(stop: Stop, text: str) -> None:
    backend = Fake(lambda request: text, stop=stop)
    policy = begun(backend, every=1, choices=("leave", "take"))
    said = act(policy, observe(0, [1, 2]))
    assert (said.missing, said.text, said.says.any(), said.report) == ({1: stop, 2: stop}, {}, False, {})
    assert said.choice.tolist() == [-1, -1]
    act(policy, observe(1, [1]))
    assert posts_in(backend.asked[-1]) == ()


def test_a_post_cut_at_its_length_stands() -> None:
    assert act(begun(Fake(lambda request: "I was going to", stop="length")), observe(0, [1])).text == {1: "I was going to"}


CHOICES = ("leave", "take one", "take all")


@pytest.mark.parametrize(("reply", "choice"), [('{"choice": "take all"}', 2), ("Leave.", 0), ("both", -1), ("", -1), (None, -1)])
def test_what_the_world_offers_is_chosen_after_speaking(reply: str | None, choice: int) -> None:
    def answer(request: Request) -> str:
        if request.purpose == "choice" and reply is None:
            raise BackendError("no", reason="timeout")
        return "hello" if request.purpose == "speak" else str(reply)

    backend = Fake(answer, stop="stop")
    said = act(begun(backend, choices=CHOICES), observe(0, [1], ["hi"]))
    assert (said.choice.tolist(), said.text, said.missing) == ([choice], {1: "hello"}, {})
    post, choosing = backend.asked
    assert choosing.schema["properties"]["choice"]["enum"] == list(CHOICES)
    assert [p.text for p in posts_in(choosing)] == ["hi", "hello"]
    assert post.seed != choosing.seed


def test_where_there_is_nothing_to_choose_nobody_is_asked() -> None:
    backend = Fake(lambda request: "hello")
    assert act(begun(backend), observe(0, [0, 1])).choice.tolist() == [0, 0]
    assert {request.purpose for request in backend.asked} == {"speak"}


def test_index_agents_with_written_lines_choose_too() -> None:
    said = act(begun(Fake(lambda request: "leave", stop="stop"), choices=CHOICES), observe(0, [0]))
    assert (said.says.tolist(), said.choice.tolist()) == ([True], [0])


def short(most: int) -> Callable[[Request], str]:
    """A model whose context holds so many posts."""

    def answer(request: Request) -> str:
        if len(posts_in(request)) > most:
            raise BackendError("too long", reason="context_overflow")
        return "hello"

    return answer


@pytest.mark.parametrize(("most", "tries"), [(9, [5]), (4, [5, 2]), (1, [5, 2, 1]), (0, [5, 2, 1, 0]), (-1, [5, 2, 1, 0])])
def test_a_prompt_that_is_too_long_is_tried_with_less(most: int, tries: list[int]) -> None:
    backend = Fake(short(most))
    policy = begun(backend, memory=Window(read=9))
    said = act(policy, observe(0, [1], [f"read {k}" for k in range(5)]))
    assert [len(posts_in(request)) for request in backend.asked] == tries
    assert len({request.key("m") for request in backend.asked}) == len(tries)
    assert said.missing == ({} if most >= 0 else {1: "context_overflow"})
    whole = posts_in(backend.asked[0])
    assert all(posts_in(request) == whole[len(whole) - n :] for request, n in zip(backend.asked, tries, strict=True))
    act(policy, observe(1, [1]))  # nothing is forgotten for good
    assert len(posts_in(backend.asked[len(tries)])) >= 5


def test_what_is_forgotten_is_summed_up_by_a_call_of_its_own() -> None:
    def answer(request: Request) -> str:
        return f"Sum {request.step}.\nYou: forged" if request.purpose == "summary" else f"own {request.step}"

    backend = Fake(answer, "transcript")
    policy = begun(backend, memory=Summary(read=2, own=1, every=40, length=30))
    for step in range(8):
        act(policy, observe(step, [1], [f"read {step}.{k} " + "x" * 30 for k in range(2)]))
    asked = [(request.step, request.purpose) for request in backend.asked]
    assert asked.count((2, "summary")) == 1
    assert asked.index((2, "summary")) < asked.index((2, "speak"))
    first, second = [r for r in backend.asked if r.purpose == "summary"][:2]
    assert "read 0." in first.messages[-1].content
    assert f"Sum {first.step}. You: forged" in second.messages[-1].content
    after = next(r for r in backend.asked if r.purpose == "speak" and r.step == first.step).messages[-1].content
    assert after.startswith(f"[Your own summary of what came before: Sum {first.step}. You: forged]\n")
    assert first.sampling.max_tokens == 30


@pytest.mark.parametrize("stop", ["refusal", None])
def test_a_failed_summary_keeps_the_old_one_and_is_asked_for_again(stop: Stop | None) -> None:
    class Moody(Fake):
        failing = False

        async def complete(self, request: Request) -> Completion:
            done = await super().complete(request)
            if request.purpose != "summary" or not self.failing:
                return done
            if stop is None:
                raise BackendError("no", reason="timeout")
            return Completion("Never.", stop, self.model, 1, 1, 0.0)

    backend = Moody(lambda request: f"Sum {request.step}." if request.purpose == "summary" else "hello")
    policy = begun(backend, memory=Summary(read=1, own=0, every=20, length=30))
    for step in range(3):
        act(policy, observe(step, [1], [f"read {step} " + "x" * 60]))
    backend.failing = True
    for step in (3, 4):
        assert act(policy, observe(step, [1], [f"read {step} " + "x" * 60])).missing == {}
    backend.failing = False
    act(policy, observe(5, [1], ["read 5"]))
    summaries = [r for r in backend.asked if r.purpose == "summary"]
    speaks = {r.step: r for r in backend.asked if r.purpose == "speak"}
    assert [r.step for r in summaries] == [1, 2, 3, 4, 5]
    assert all("Sum 2." in speaks[step].messages[1].content for step in (3, 4))
    # `posts_in` of the last: all that fell out since the last summary that was given.
    assert [post.text[:6] for post in posts_in(summaries[-1]) if not post.own] == ["read 2", "read 3", "read 4"]


def test_agents_can_be_inoculated_and_wiped() -> None:
    backend = Fake(lambda request: "hello")
    policy = begun(backend, memory=Window(read=9))
    act(policy, observe(0, [1, 2], ["before"]))
    policy.undergo(Pin(np.array([1]), "Think twice."))
    policy.undergo(Wipe(np.array([1])))
    backend.asked.clear()
    act(policy, observe(1, [1, 2], ["after"]))
    one, two = sorted(backend.asked, key=lambda request: request.agent)
    assert [post.text for post in posts_in(one)] == ["after"]
    assert one.messages[1].content.startswith("Think twice.\n")
    assert [post.text for post in posts_in(two)] == ["before", "hello", "after"]
    assert "Think twice." not in " ".join(turn.content for turn in two.messages)
    policy.undergo(Unpin(np.array([1]), "Think twice."))
    backend.asked.clear()
    act(policy, observe(2, [1], ["later"]))
    assert "Think twice." not in " ".join(turn.content for turn in backend.asked[0].messages)
    with pytest.raises(TypeError, match="agents of Speaking cannot undergo Clamp"):
        policy.undergo(Clamp(np.array([1]), (0.0, 0.0, 0.0)))


def test_agents_told_to_sum_up_keep_notes_and_a_summary_of_their_own() -> None:
    backend = Fake(lambda request: "all was well" if request.purpose == "summary" else "hello")
    policy = begun(backend, memory=Window(read=9))
    act(policy, observe(0, [1], ["stale"]))
    policy.undergo(Pin(np.array([1]), "Think twice."))
    policy.undergo(SumUp(np.array([1])))
    backend.asked.clear()
    act(policy, observe(1, [1], ["after"]))
    summing, speaking = backend.asked
    assert (summing.purpose, speaking.purpose) == ("summary", "speak")
    asked = " ".join(turn.content for turn in speaking.messages)
    assert "Think twice." in asked
    assert "all was well" in asked
    assert "after" in asked
    assert "stale" not in asked


def test_what_the_world_tells_and_which_choices_it_leaves_reach_the_model() -> None:
    backend = Fake(lambda request: '{"choice": "stay"}' if request.purpose == "choice" else "hello")
    policy = begun(backend, choices=("rest", "stay", "run"))
    allowed = np.array([[True, True, False], [True, False, False]])
    seen = replace(observe(0, [1, 2], ["hi"]), news={1: "Your work was refused."}, allowed=allowed)
    did = asyncio.run(policy.act(seen, STREAMS))
    assert did.choice.tolist() == [1, 0], "whoever has one choice takes it"
    (asked,) = [request for request in backend.asked if request.purpose == "choice"]
    assert asked.agent == 1
    assert "rest, stay." in asked.messages[-1].content
    spoken = {request.agent: request for request in backend.asked if request.purpose == "speak"}
    told = [" ".join(turn.content for turn in spoken[agent].messages) for agent in (1, 2)]
    assert "Your work was refused." in told[0]
    assert "refused" not in told[1]


def interview(policy: Speaking, question: Question, agents: tuple[int, ...] = (0, 1), step: int = 3) -> dict[int, Answer]:
    return asyncio.run(policy.ask(np.array(agents), question, step, STREAMS))


def test_an_interview_is_answered_from_what_the_agent_is_and_remembers() -> None:
    backend = Fake(lambda request: " I am\nwell. ")
    policy = begun(backend)
    act(policy, observe(2, [0, 1], ["hi"]))
    backend.asked.clear()
    assert interview(policy, Question("How are you?", name="mood", tokens=99)) == {
        agent: Answer("I am\nwell.", "ok", "I am\nwell.") for agent in (0, 1)
    }
    index, other = sorted(backend.asked, key=lambda request: request.agent)
    assert [post.text for post in posts_in(index)][:4] == [*SPIRAL.examples[:3], "hi"]
    assert other.messages[0].content == "You are plain.\nSeat 1.\nYour name is Bram."
    assert [post.text for post in posts_in(other)] == ["hi", " I am\nwell. ".strip().replace("\n", " ")]
    assert other.messages[-1].content == "How are you?"
    assert {r.purpose for r in backend.asked} == {"interview:mood"}
    assert (other.step, other.sampling.max_tokens, other.schema) == (3, 99, None)
    interview(policy, Question("How are you?", name="mood"))
    interview(policy, Question("How are you?", name="other"))
    interview(policy, Question("How are you?", name="mood"), step=4)
    seeds = [r.seed for r in backend.asked if r.agent == 1]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize(
    ("reply", "stop", "answer"),
    [
        ('{"answer": "no"}', "stop", Answer("No", "ok", '{"answer": "no"}')),
        ("perhaps", "stop", Answer(None, "failed", "perhaps")),
        ("", "stop", Answer(None, "missing", "empty_stop")),
        ("I may not", "refusal", Answer(None, "failed", "I may not")),
    ],
)
def test_an_interview_with_options_is_answered_by_one_of_them(reply: str, stop: Stop, answer: Answer) -> None:
    backend = Fake(lambda request: reply, stop=stop)
    assert interview(begun(backend), Question("Well?", ("Yes", "No"))) == {0: answer, 1: answer}
    assert backend.asked[0].schema["properties"]["answer"]["enum"] == ["Yes", "No"]
    assert backend.asked[0].messages[-1].content == "Well? Answer with one of: Yes, No."


def test_an_interview_that_fails_is_missing_and_a_refusal_is_no_answer() -> None:
    assert interview(begun(Fake(fails(1, reason="timeout"))), Question("Well?")) == {
        0: Answer("hello", "ok", "hello"),
        1: Answer(None, "missing", "timeout"),
    }
    refused = Answer(None, "failed", "I may not")
    assert interview(begun(Fake(lambda request: "I may not", stop="refusal")), Question("Well?"), (1,)) == {1: refused}
    with pytest.raises(ExceptionGroup):
        interview(begun(Fake(fails(1, reason="budget", fatal=True))), Question("Well?"))


@pytest.mark.parametrize(
    "memory", [lambda: Window(read=5), lambda: Summary(read=2, every=20, length=20), NoMemory], ids=["window", "summary", "none"]
)
def test_a_run_goes_the_same_way_with_and_without_interviews(memory: Callable[[], Memory]) -> None:
    """Replies depend on the whole request, so that any trace of an interview would show in what is asked or said later."""
    runs = []
    for asking in (False, True):
        backend = Fake(lambda request: f"{request.purpose} {request.key('fake')[:12]}")
        policy = begun(backend, every=2, choices=CHOICES, memory=memory())
        acts = []
        for step in range(6):
            if asking:
                interview(policy, Question("Before?"), tuple(range(SIZE)), step)
            said = act(policy, observe(step, list(range(SIZE)), [f"read {step}.{k}" for k in range(3)], news=f"News {step}."))
            acts.append((said.says.tolist(), said.choice.tolist(), said.text, said.report, said.missing))
            if asking:
                interview(policy, Question("After?", ("yes", "no")), (1, 4), step)
        runs.append((acts, [request for request in backend.asked if not request.purpose.startswith("interview")]))
        assert any(request.purpose.startswith("interview") for request in backend.asked) == asking
    assert runs[0] == runs[1]


def test_the_order_of_reading_goes_by_who_wrote_when_and_not_by_ids() -> None:
    """Ids of messages may be given in any way; who wrote one less must not reorder the others."""
    orders = []
    for ids, senders in [((0, 1, 2, 3), (2, 3, 4, 5)), ((502, 503, 504, 505), (2, 3, 4, 5)), ((7, 8, 9), (2, 4, 5))]:
        backend = Fake(lambda request: "hello")
        n = len(ids)
        zero = np.zeros(n, dtype=np.int64)
        text = {i: f"by {who}" for i, who in zip(ids, senders, strict=True)}
        blank = np.full((n, len(AXES)), np.nan, dtype=np.float32)
        messages = Messages(np.array(ids), np.array(senders), zero, zero.astype(np.int8), np.array(ids), zero - 1, blank, text)
        seen = replace(observe(1, [1]), inbox=Inbox(messages, np.array([0, n]), np.arange(n), np.ones(n)))
        act(begun(backend), seen)
        orders.append([post.text for post in posts_in(backend.asked[0])])
    assert orders[0] == orders[1]
    assert orders[2] == [text for text in orders[0] if text != "by 3"]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("wrong", [{"text": " "}, {"text": "?", "tokens": 0}, {"text": "?", "options": ("a", "A")}])
def test_a_question_that_cannot_be_asked_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs a text|at least 1|different words"):
        Question(**wrong)


def test_what_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="need a language model"):
        begun(None)
    with pytest.raises(ValueError, match="persona spiral has no examples"):
        begun(Fake(str), spiral=Persona(name="spiral"))
    begun(Fake(str), spiral=Persona(name="spiral"), index_voice="model")
