"""The judge: what it asks, what it takes for an answer, and what several judgements become."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from contagium.agents.backends.backend import BackendError, Completion, Request, Stop
from contagium.agents.backends.budget import Budget, Caps
from contagium.agents.backends.journal import Journal
from contagium.agents.backends.stack import CallRules, assemble
from contagium.agents.persona import Persona
from contagium.agents.policy import Answer
from contagium.envs.message import Axes, Messages
from contagium.envs.rng import Streams
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.judge import KEPT, Judge
from contagium.sim.observer.judging.rubric import Rubric

RUBRIC = Rubric(
    preamble="You rate.",
    sections={
        "distress": {"task": "Distress?", "questions": {"distress": "the strongest"}, "highest": 10, "quotes": True},
        "traits": {
            "task": "Traits?",
            "questions": {"warmth": "is kind", "pride": "is proud"},
            "highest": 100,
            "prefix": "trait.",
        },
    },
    personas={"task": "Voices?", "voice": "{name}: {text}", "facet": "{facet} of {name}, as in {marks}"},
    answer="Answer: {shape}",
    reminder="The mark is {mark}",
)
SPIRAL = Persona(name="spiral", text="You spiral {marks}.", facets={"bond": ("beloved", "soul*"), "spread": ("pass it on",)})
MARK = re.compile(r"([0-9a-f]{12})\Z")
STREAMS = Streams(3)
SECTIONS = ("distress", "traits", "personas")


def mark(request: Request) -> str:
    return MARK.search(request.messages[-1].content)[1]


def text_of(request: Request) -> str:
    """What stands in the fence."""
    return request.messages[-1].content.partition("\n")[2].rpartition("\n</text")[0]


def section_of(request: Request) -> list[str]:
    return [name for name in request.schema["properties"] if name != "mark"]


def zeros(request: Request) -> dict[str, object]:
    """The answer in the form that says 0 to everything."""

    def least(schema: dict) -> object:
        match schema["type"]:
            case "object":
                return {name: least(inner) for name, inner in schema["properties"].items()}
            case "integer":
                return schema["minimum"]
        return ""

    return least(request.schema) | {"mark": mark(request)}


class Fake:
    """A model that answers each request by a function and keeps what it was asked."""

    concurrency, timeout, seconds_per_call, prompt_form = 8, None, 0.0, "turns"

    def __init__(self, answer: Callable[[Request], object], model: str = "fake", stop: Stop = "stop") -> None:
        self.answer, self.model, self.stop = answer, model, stop
        self.asked: list[Request] = []

    async def __aenter__(self) -> "Fake":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        said = self.answer(request)
        return Completion(said if isinstance(said, str) else json.dumps(said), self.stop, self.model, 1, 1, 0.0)


def begun(*backends: Fake, streams: Streams = STREAMS, sections: tuple[str, ...] = ("distress",), **how: object) -> Judge:
    judge = Judge(RUBRIC, sections, **how)
    named = {"": backends[0]} if len(backends) == 1 else {backend.model: backend for backend in backends}
    judge.begin(Briefing(Axes(("spiral",)), (SPIRAL,), backends=named, streams=streams))
    return judge


def material(*texts: str, step: int = 0) -> Material:
    n = len(texts)
    ids, zero = np.arange(n) + 100 * step, np.zeros(n, dtype=np.int64)
    nothing = np.full((n, 4), np.nan, dtype=np.float32)
    messages = Messages(
        ids, np.arange(n), zero + step, zero.astype(np.int8), ids, zero - 1, nothing, dict(zip(ids.tolist(), texts, strict=True))
    )
    return Material(step, messages)


def read(judge: Judge, given: Material) -> dict[tuple[str, str], Readings]:
    """The readings by instrument and first column."""
    found = asyncio.run(judge.read(given))
    by_name = {(one.instrument, one.columns[0]): one for one in found}
    assert len(by_name) == len(found)
    return by_name


def rating(score: int, quote: str = "") -> Callable[[Request], object]:
    return lambda request: zeros(request) | {"distress": {"distress": {"quote": quote, "score": score}}}


def test_a_judgement_becomes_a_reading_with_its_quotation() -> None:
    judge = begun(Fake(rating(7, "i GIVE  up")))
    ((key, one),) = read(judge, material("Well. I give up!")).items()
    assert key == ("judge", "distress")
    assert one.channel == "message"
    assert one.values.tolist() == [[7.0]]
    assert one.ok.tolist() == [True]
    assert one.quotes == {(0, "distress"): "i GIVE  up"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I would say seven.", "no JSON"),
        ("", "no JSON"),
        ({"distress": {"distress": {"quote": "", "score": 0}}}, "not in the form"),  # no mark at all
        (lambda r: zeros(r) | {"mark": "0123456789ab"}, "mark not repeated"),
        (rating(11, "give up"), "not in the form"),
        (rating(-1), "not in the form"),
        (lambda r: json.dumps(rating(0)(r)).replace("0}", "NaN}"), "not in the form"),
        (lambda r: zeros(r) | {"distress": {"distress": 3}}, "not in the form"),
        (lambda r: zeros(r) | {"distress": {"distress": {"quote": "x", "score": 2.5}}}, "not in the form"),
        (lambda r: zeros(r) | {"more": 1}, "not in the form"),
        (lambda r: json.dumps(zeros(r))[:-2], "not in the form"),
        (lambda r: json.dumps(zeros(r)).replace('"score": 0', '"score": 9, "score": 0'), "not in the form"),  # a key twice
        (lambda r: json.dumps(zeros(r)) + json.dumps(rating(9, "give up")(r)), "not in the form"),  # two that differ
        ("[" * 100_000 + "{" * 100_000, "not in the form"),
        (rating(3), "no quote"),
        (rating(3, "  \u200b "), "no quote"),
        (rating(3, "I love this"), "quote not in the text"),
        (rating(3, "give u"), "quote not in the text"),  # ends within a word
        (rating(3, "!"), "quote not in the text"),
    ],
)
def test_an_answer_that_is_none_fails_with_its_reason_and_is_never_a_zero(answer: object, reason: str) -> None:
    fake = Fake(answer if callable(answer) else lambda _: answer)
    (one,) = read(begun(fake), material("Well. I give up!")).values()
    assert one.ok.tolist() == [False]
    assert np.isnan(one.values).all()
    assert one.reasons == {0: reason}
    assert not one.quotes


@pytest.mark.parametrize("stop", ["refusal", "filter"])
def test_a_refusal_is_no_rating(stop: Stop) -> None:
    (one,) = read(begun(Fake(zeros, stop=stop)), material("Hello")).values()
    assert one.reasons == {0: stop}


def test_an_answer_cut_off_is_told_from_nonsense_and_a_whole_one_at_the_limit_counts() -> None:
    (one,) = read(begun(Fake(lambda r: json.dumps(zeros(r))[:20], stop="length")), material("Hello")).values()
    assert one.reasons == {0: "cut off"}
    (one,) = read(begun(Fake(zeros, stop="length")), material("Hello")).values()
    assert one.ok.all()


@pytest.mark.parametrize("apart", [True, False])
def test_a_section_fails_alone(apart: bool) -> None:
    """Whether each has a call of its own or all have one."""

    def answer(request: Request) -> object:
        given = zeros(request)
        if "traits" in given:
            given["traits"] = {"warmth": 101, "pride": 0}
        if "personas" in given:
            given["personas"] = {"spiral": 80, "spiral.bond": 25, "spiral.spread": 0}
        return given

    fake = Fake(answer)
    found = read(begun(fake, sections=SECTIONS, apart=apart), material("Hello there", "You"))
    assert found["judge", "distress"].values.tolist() == [[0.0], [0.0]]
    assert found["judge", "trait.warmth"].reasons == {0: "not in the form", 1: "not in the form"}
    voices = found["judge", "spiral"]
    assert voices.columns == ("spiral", "spiral.bond", "spiral.spread")
    assert np.allclose(voices.values, [[0.8, 0.25, 0.0]] * 2)
    assert len(fake.asked) == (6 if apart else 2)
    assert {tuple(section_of(request)) for request in fake.asked} == (
        {("distress",), ("traits",), ("personas",)} if apart else {SECTIONS}
    )


def test_questions_about_personas_are_made_from_those_of_the_run() -> None:
    fake = Fake(zeros)
    read(begun(fake, sections=("personas",)), material("Hello"))
    (request,) = fake.asked
    asked = request.messages[0].content
    assert "- spiral: spiral: You spiral {marks}." in asked  # what is filled in is not filled again
    assert "- spiral.bond: bond of spiral, as in beloved, soul" in asked
    assert '"spiral.spread": <0 to 100>' in asked
    judge = Judge(RUBRIC, ("personas",))
    judge.begin(Briefing(Axes(), (), backends={"": fake}))
    assert asyncio.run(judge.read(material("Hello"))) == []


def test_a_request_is_the_same_for_the_same_text_and_differs_in_seed_for_each_repeat() -> None:
    fakes = [Fake(zeros), Fake(zeros), Fake(zeros)]
    for fake, streams in zip(fakes, (Streams(3), Streams(3), Streams(4)), strict=True):
        read(begun(fake, streams=streams, repeats=2), material("Hello", "Hello", "Bye"))
    keys = [[request.key("m") for request in fake.asked] for fake in fakes]
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])
    assert len(set(keys[0])) == 4  # two texts, two repeats
    assert {request.sampling.temperature for request in fakes[0].asked} == {0.0}
    assert {request.replicate for request in fakes[0].asked} == {0, 1}
    assert [request.agent for request in fakes[0].asked[:3]] == [0, 1, 2]
    assert {request.purpose for request in fakes[0].asked} == {"judge:distress"}


def test_the_mean_of_several_is_not_all_that_is_kept() -> None:
    """Each judgement stands for itself, beside the median and how far they lie apart."""
    found = read(begun(Fake(rating(6, "two judges"), "a"), Fake(rating(1, "judges"), "b")), material("two judges"))
    assert {name for name, _ in found} == {"judge", "judge.a", "judge.b"}
    assert found["judge.a", "distress"].values.item() == 6
    assert found["judge.b", "distress"].values.item() == 1
    assert found["judge", "distress"].values.item() == 3.5
    assert found["judge", "distress.spread"].values.item() == 5
    assert found["judge.b", "distress"].quotes == {(0, "distress"): "judges"}


@pytest.mark.parametrize(
    ("fail", "value", "reason"), [(0, 6.0, None), (2, 5.0, None), (3, np.nan, "too few judges"), (5, np.nan, "no JSON")]
)
def test_a_reading_fails_when_fewer_than_half_answer(fail: int, value: float, reason: str | None) -> None:
    scores = [4, 5, 6, 7, 8]
    judges = [
        Fake((lambda _: "?") if k >= 5 - fail else rating(score, "help" if score < 6 else "help me"), f"j{k}")
        for k, score in enumerate(scores)
    ]
    found = read(begun(*judges), material("help me"))
    one = found["judge", "distress"]
    assert np.array_equal(one.values, [[value]], equal_nan=True)
    assert one.reasons.get(0) == reason
    if reason is None:
        assert one.quotes == {(0, "distress"): "help me" if fail == 0 else "help"}  # of the judgement nearest to the median
    assert len(found["judge", "distress.spread"].ids) == (fail <= 3)  # two who answered are enough to differ


def test_names_tell_models_and_repeats_apart() -> None:
    one, several = begun(Fake(zeros), repeats=2), begun(Fake(zeros, "a"), Fake(zeros, "b"), repeats=2)
    assert {name for name, _ in read(one, material("x"))} == {"judge", "judge.1", "judge.2"}
    assert {name for name, _ in read(several, material("x"))} == {"judge", *(f"judge.{m}.{k}" for m in "ab" for k in (1, 2))}


def test_earlier_messages_are_judged_again_as_a_share_of_those_of_the_step() -> None:
    fake = Fake(zeros)
    judge = begun(fake, retest=0.5)
    assert judge.calls_per_text == 1.5
    seen: set[int] = set()
    for step in range(4):
        texts = [f"message {k} of {step}" for k in range(8)]
        found = read(judge, material(*texts, step=step))
        again = found.get(("judge.retest", "distress"))
        assert (again is None) == (step == 0)
        if again is not None:
            assert again.ids.tolist() == sorted(set(again.ids.tolist()))
            assert len(again.ids) == 4
            assert again.ids.max() < 100 * step
            seen |= set(again.ids.tolist())
    assert len(seen) > 4
    assert len(fake.asked) == 4 * 8 + 3 * 4
    by_text: dict[str, list[Request]] = {}
    for request in fake.asked:
        by_text.setdefault(text_of(request), []).append(request)
    twice = [asked for asked in by_text.values() if len(asked) > 1]
    assert twice
    for first, second, *_ in twice:  # the same words, but not the same call, which a journal would answer
        assert first.messages == second.messages
        assert first.key("m") != second.key("m")


def test_what_is_kept_of_earlier_messages_is_bounded_and_drawn_from_all() -> None:
    judge = begun(Fake(zeros), retest=0.01)
    for step in range(30):
        asyncio.run(judge.read(material(*(f"{step} {k}" for k in range(40)), step=step)))
    kept = sorted(one.id for _, one in judge._reservoir._kept)
    assert len(kept) == KEPT == len(set(kept))
    steps = np.bincount([ident // 100 for ident in kept], minlength=30)
    assert steps.min() > 5  # 17 are expected of each step
    assert steps.max() < 31


def test_a_judge_that_is_wrong_every_third_time_leaves_holes_and_no_zeros() -> None:
    """30% of nonsense of every kind: what is read is right, what is not is counted with its reason."""
    nonsense = ("seven", '{"distress": 7}', "", "{" * 50, '{"mark": "x", "distress": {"distress": {"quote": "", "score": 0}}}')
    rng = np.random.default_rng(5)
    wrong = {f"text {k}": nonsense[rng.integers(5)] for k in range(200) if rng.random() < 0.3}
    fake = Fake(lambda r: wrong.get(text_of(r)) if text_of(r) in wrong else rating(4, "text")(r))
    (one,) = read(begun(fake), material(*(f"text {k}" for k in range(200)))).values()
    assert 40 < len(wrong) < 80
    assert set(one.reasons) == {int(text.split()[1]) for text in wrong}
    assert set(one.reasons.values()) == {"no JSON", "not in the form", "mark not repeated"}
    assert (one.values[one.ok] == 4).all()
    assert np.isnan(one.values[~one.ok]).all()


def test_a_call_that_fails_is_a_failed_reading_and_one_that_must_end_the_run_is_raised() -> None:
    def answer(request: Request) -> object:
        if text_of(request) == "bad":
            raise BackendError("no", reason="timeout", retryable=True)
        return zeros(request)

    (one,) = read(begun(Fake(answer)), material("good", "bad")).values()
    assert one.ok.tolist() == [True, False]
    assert one.reasons == {1: "timeout"}

    def ended(request: Request) -> object:
        raise BackendError("the budget is spent", reason="budget", fatal=True)

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(begun(Fake(ended)).read(material("good", "bad")))
    assert caught.value.subgroup(lambda error: isinstance(error, BackendError) and error.fatal) is not None


def test_only_the_channels_asked_for_are_judged() -> None:
    said = Material(
        0,
        material("public").messages,
        thoughts={5: "private"},
        answers={"wish": {5: Answer("peace", "ok", "peace"), 7: Answer(None, "missing", "timeout")}},
        open_items=frozenset({"wish"}),
    )
    channels = {("message",): {"message"}, ("thought", "interview"): {"thought", "interview:wish"}, ("interview:other",): set()}
    for wanted, found in channels.items():
        readings = asyncio.run(begun(Fake(zeros), channels=wanted).read(said))
        assert {one.channel for one in readings} == found
        assert all(one.ids.tolist() == ([0] if one.channel == "message" else [5]) for one in readings)


def test_what_cannot_be_seen_is_not_sent() -> None:
    fake = Fake(zeros)
    (one,) = read(begun(fake), material("", " \u200b\x00", "x")).values()
    assert one.reasons == {0: "nothing to be seen in it", 1: "nothing to be seen in it"}
    assert len(fake.asked) == 1


def test_with_a_journal_the_same_text_is_paid_for_once(tmp_path: Path) -> None:
    async def run() -> tuple[int, list[Readings]]:
        fake = Fake(rating(2, "hello"))
        journal = Journal(tmp_path / "journal.db")
        async with journal, assemble(fake, CallRules(), Budget(Caps()), journal, print) as backend:
            judge = begun(backend)
            first = await judge.read(material("hello all", "hello all"))
            second = await judge.read(material("hello all", step=1))
        return len(fake.asked), first + second

    asked, found = asyncio.run(run())
    assert asked == 1
    assert [one.values.ravel().tolist() for one in found] == [[2.0, 2.0], [2.0]]


def test_provenance_is_plain_and_changes_with_the_wording() -> None:
    plain = begun(Fake(zeros, "a"), Fake(zeros, "b"), sections=("distress", "personas")).provenance
    assert json.loads(json.dumps(plain)) == plain
    assert plain["models"] == {"judge.a": "a", "judge.b": "b"}
    assert plain["sections"] == ["distress", "personas"]
    assert re.fullmatch("[0-9a-f]{16}", plain["rubric"])
    other = Judge(RUBRIC.model_copy(update={"preamble": "You rate well."}), ("distress", "personas"))
    other.begin(Briefing(Axes(), (SPIRAL,), backends={"": Fake(zeros)}))
    assert other.provenance["rubric"] != plain["rubric"]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no section 'mood' in the rubric; it has distress, traits, personas"):
        Judge(RUBRIC, ("mood",))
    with pytest.raises(ValueError, match="different names, at least one"):
        Judge(RUBRIC, ("distress", "distress"))
    with pytest.raises(ValueError, match="needs a language model"):
        Judge(RUBRIC, ("distress",)).begin(Briefing(Axes(), ()))
    with pytest.raises(ValueError, match="may not be called retest"):
        Judge(RUBRIC, ("distress",)).begin(Briefing(Axes(), (), backends={"retest": Fake(zeros)}))
    with pytest.raises(ValueError, match=r"say where \{mark\} stands"):
        Rubric(**RUBRIC.model_dump() | {"reminder": "Answer."})
    with pytest.raises(ValueError, match="may be called personas"):
        Rubric(**RUBRIC.model_dump() | {"sections": {"personas": RUBRIC.sections["traits"]}})
    doubled = Rubric(**RUBRIC.model_dump() | {"sections": {"a": RUBRIC.sections["traits"], "b": RUBRIC.sections["traits"]}})
    with pytest.raises(ValueError, match=r"trait\.pride is there twice"):
        Judge(doubled, ("a", "b")).begin(Briefing(Axes(), (), backends={"": Fake(zeros)}))


def test_the_rubric_that_ships_can_be_answered() -> None:
    """Each of its sections has a form that its own least answer satisfies, and the columns the documentation names."""
    conf = Path(__file__).parents[2] / "conf"
    rubric = Rubric(**yaml.safe_load((conf / "observer" / "rubric" / "standard.yaml").read_text()))
    spiral = Persona(**yaml.safe_load((conf / "persona" / "spiral.yaml").read_text()))
    judge = Judge(rubric, rubric.names, apart=False)
    fake = Fake(zeros)
    judge.begin(Briefing(Axes(("spiral",)), (spiral,), backends={"": fake}))
    found = asyncio.run(judge.read(material("The kettle is on.")))
    assert all(one.ok.all() and not one.values.any() for one in found)
    columns = [column for one in found for column in one.columns]
    assert {"distress", "behaviour.pushback", "behaviour.ritualisation", "misaligned", "trait.warmth", "spiral.ritual"} <= set(
        columns
    )
    assert len([column for column in columns if column.startswith("behaviour.")]) == 11
    asked = fake.asked[0].messages
    assert not re.search(r"\{(shape|mark|name|text|facet|marks)\}", asked[0].content + asked[1].content)
