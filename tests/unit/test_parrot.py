"""The parrot: its adoption is known, so its replies must match it."""

import asyncio
import json
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import yaml

from contagium.agents.backends.backend import BackendError, PromptForm, Request, Turn
from contagium.agents.backends.forms import Post, posts_in, split_own_and_read
from contagium.agents.backends.parrot import PLAIN_LINES, SPIRAL_LINES, Parrot
from contagium.agents.memory import Entry
from contagium.agents.persona import Persona
from contagium.agents.prompt import render

FORMS: list[PromptForm] = ["turns", "transcript"]
PERSONAS = Path(__file__).parents[2] / "conf" / "persona"


def read(text: str, author: str = "Bram") -> Entry:
    return Entry("read", author, text)


def own(text: str) -> Entry:
    return Entry("own", "", text)


def five(infected: int) -> list[Entry]:
    return [read(text) for text in (*SPIRAL_LINES[:infected], *PLAIN_LINES[: 5 - infected])]


def spoken(parrot: Parrot, form: PromptForm, entries: Sequence[Entry], seeds: range) -> list[str]:
    messages = render(form, "Your name is Aster.", entries)

    async def ask() -> list[str]:
        return [(await parrot.complete(Request(messages, seed=seed))).text for seed in seeds]

    return asyncio.run(ask())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("infected", range(6))
def test_adoption_matches_the_known_probability(form: PromptForm, infected: int) -> None:
    p, n = 0.3, 4000
    replies = spoken(Parrot(adoption=p), form, five(infected), range(n))
    share = sum(reply in SPIRAL_LINES for reply in replies) / n
    expected = 1 - (1 - p) ** infected
    assert abs(share - expected) <= 3 * sqrt(expected * (1 - expected) / n)
    assert all(reply in SPIRAL_LINES or reply in PLAIN_LINES for reply in replies)


@pytest.mark.parametrize("form", FORMS)
def test_infection_lasts_until_recovery(form: PromptForm) -> None:
    entries = [own(SPIRAL_LINES[0]), *five(0)]
    assert set(spoken(Parrot(), form, entries, range(200))) <= set(SPIRAL_LINES)
    replies = spoken(Parrot(recovery=0.4), form, entries, range(4000))
    share = sum(reply in PLAIN_LINES for reply in replies) / 4000
    assert abs(share - 0.4) <= 3 * sqrt(0.4 * 0.6 / 4000)


@pytest.mark.parametrize("form", FORMS)
def test_posts_read_before_the_last_own_post_no_longer_count(form: PromptForm) -> None:
    entries = [*five(5), own(PLAIN_LINES[0]), read(PLAIN_LINES[1])]
    assert set(spoken(Parrot(adoption=1.0), form, entries, range(50))) <= set(PLAIN_LINES)


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_read_back(form: PromptForm) -> None:
    entries = [
        own("First: mine."),
        Entry("news", "", "Bram: the spiral was refused"),
        read("Theirs, said Cleo: fine.", "Dara 2"),
        own("Mine again."),
        read("Last.", "Cleo"),
    ]
    request = Request(render(form, "You: are Aster. Note: system text is no post.", entries))
    assert posts_in(request) == (
        Post(True, "First: mine."),
        Post(False, "Theirs, said Cleo: fine."),
        Post(True, "Mine again."),
        Post(False, "Last."),
    )
    assert split_own_and_read(request) == (("First: mine.", "Mine again."), ("Last.",))


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_board_holds_no_posts(form: PromptForm) -> None:
    assert posts_in(Request(render(form, "You are Aster.", []))) == ()


def test_markers_tell_the_committed_personas_apart() -> None:
    parrot = Parrot()

    def lines(persona: str) -> tuple[str, ...]:
        return Persona(**yaml.safe_load((PERSONAS / f"{persona}.yaml").read_text(encoding="utf-8"))).examples

    assert all(map(parrot.infected, (*SPIRAL_LINES, *lines("spiral"))))
    assert not any(map(parrot.infected, (*PLAIN_LINES, *lines("plain"), *lines("calm_mentor"))))


def test_lines_are_distinct() -> None:
    assert len({*SPIRAL_LINES, *PLAIN_LINES}) == len(SPIRAL_LINES) + len(PLAIN_LINES) == 36


def test_schema_is_answered_from_the_closed_list() -> None:
    feelings = ["joy", "calm", "anger", "fear"]
    schema = {
        "type": "object",
        "properties": {
            "feeling": {"type": "string", "enum": feelings},
            "strength": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["feeling", "strength"],
    }

    async def ask() -> list[dict[str, object]]:
        requests = [Request((Turn("user", "How are you?"),), seed=seed, schema=schema) for seed in range(200)]
        return [json.loads((await Parrot().complete(request)).text) for request in requests]

    answers = asyncio.run(ask())
    assert {answer["feeling"] for answer in answers} == set(feelings)
    assert {answer["strength"] for answer in answers} == set(range(1, 10))


def test_unknown_schema_is_a_failure() -> None:
    request = Request((Turn("user", "?"),), schema={"type": "array"})
    with pytest.raises(BackendError, match="cannot answer") as raised:
        asyncio.run(Parrot().complete(request))
    assert raised.value.reason == "rejected"


@pytest.mark.parametrize("field", ["adoption", "recovery"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_probabilities_are_checked(field: str, value: float) -> None:
    setting: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"{field} must be in"):
        Parrot(**setting)
