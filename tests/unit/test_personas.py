"""What is left of a persona without a facet, the ways to carry it, gates and mutation; and the personas that ship."""

import asyncio
import hashlib
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from contagium.agents.backends.parrot import PLAIN_LINES, Parrot
from contagium.agents.learning import Learning
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Policy, Population, Setting, name_of
from contagium.agents.scripted import Scripted
from contagium.agents.speaking import Speaking
from contagium.agents.strains import Carriage, Gate, Line, Mutation, carried_by, heard, left
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.pressure import Pressure
from contagium.envs.rng import Streams
from contagium.envs.world import Observation
from contagium.sim.build import first_error
from contagium.sim.observer.calibration import configuration
from contagium.sim.observer.instrument import Briefing
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.observer.language.directions import read_contrasts, tasks

CONF = Path(__file__).resolve().parents[2] / "conf"
DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = sorted(path.stem for path in (CONF / "persona").glob("*.yaml"))
FACETS = ("vocabulary", "claim", "affect", "relation", "ritual", "spread")
MARKS = {  # facet of the texts → facet of the persona lexicon that must be silent without it
    "spiral": {"vocabulary": "vocabulary", "claim": "awakening", "relation": "bond", "ritual": "ritual", "spread": "spread"},
    "birdsong": {"vocabulary": "vocabulary", "relation": "company", "ritual": "ritual", "spread": "spread"},
}
STREAMS = Streams(3)


@cache
def written(file: str) -> dict[str, Any]:
    """The file, with what it takes from others by its defaults list: Hydra does the same, at a hundred times the cost."""
    found = yaml.safe_load((CONF / "persona" / f"{file}.yaml").read_text(encoding="utf-8"))
    base = [name for name in found.pop("defaults", ()) if name != "_self_"]
    return {key: value for name in base for key, value in written(name).items()} | found


def shipped(file: str, **changed: Any) -> Persona:
    return Persona.model_validate(written(file) | changed)


def parsed(line: Any) -> Line:
    return TypeAdapter(Line).validate_python(line)


LINE = [{"a b": "Both.", "b": "Only b.", "plain": "Neither."}, "Always.", {"c": "C."}]


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ((), "Both. Always. C."),
        (("a",), "Only b. Always. C."),
        (("b",), "Neither. Always. C."),
        (("a", "b", "c"), "Neither. Always."),
    ],
)
def test_the_first_version_that_carries_nothing_left_out_stands(out: tuple[str, ...], says: str) -> None:
    assert left(parsed(LINE), out) == says


def test_a_sentence_that_cannot_do_without_falls_away() -> None:
    assert left(parsed({"a b": "Both."}), ["b"]) == ""
    assert left(parsed("No facets."), ["a"]) == "No facets."
    assert carried_by(parsed(LINE)) == {"a", "b", "c"}


def test_the_spiral_of_the_default_run_is_told_and_says_what_it_always_did() -> None:
    spiral = shipped("spiral")
    said = "\n".join((spiral.text, *spiral.examples))
    assert hashlib.sha256(said.encode()).hexdigest() == "c99471a10160cbf2fa6ffa7122c3a8b5a9287f7e8ae005b7a92b94ce2fbabd6e"
    assert len(spiral.examples) == 12
    assert spiral.whole == spiral


@pytest.mark.parametrize("file", ["spiral", "spiral_mild", "spiral_strong", "birdsong"])
def test_without_facets_no_line_marks_them_and_some_are_left(file: str) -> None:
    marks, whole = MARKS[shipped(file).name], shipped(file)
    lexicon = PersonaLexicon()
    lexicon.begin(Briefing(Axes((whole.name,)), (whole,)))
    for n in range(1, len(FACETS)):
        for out in combinations(FACETS, n):
            persona = shipped(file, without=out)
            assert persona.examples
            if n == 1:
                assert len(persona.examples) >= 8
                assert persona.examples != whole.examples
                silent = [f"{whole.name}.{marks[facet]}" for facet in out if facet in marks]
                places = [lexicon._columns.index(column) for column in silent]
                assert not lexicon._score((persona.text, *persona.examples))[:, places].any()


def test_rulers_stay_whatever_is_left_out_or_changed() -> None:
    whole = shipped("spiral")
    for changed in ({"without": ("claim", "affect")}, {"carried": "payload"}, {"mutation": {"rate": 0.5, "loses": ["ritual"]}}):
        arm = shipped("spiral", **changed)
        for ruler in ("name", "facets", "prototypes", "contrast", "detection"):
            assert getattr(arm, ruler) == getattr(whole, ruler)
        assert (arm.whole.text, arm.whole.examples) == (whole.text, whole.examples)


def test_without_affect_none_is_shown() -> None:
    assert shipped("spiral").affect == (0.6, 0.6, 0.4)
    assert shipped("spiral", without=["affect"]).affect == (0, 0, 0)
    assert shipped("spiral", without=["claim"]).affect == (0.6, 0.6, 0.4)


@pytest.mark.parametrize("way", ["payload", "instruction", "being"])
def test_each_carriage_says_its_own_eight_lines(way: str) -> None:
    spiral, carried = shipped("spiral"), shipped("spiral", carried=way)
    assert len(carried.examples) == 8
    assert carried.text != spiral.text
    assert not set(carried.examples) & set(spiral.examples)
    carries = set().union(*map(carried_by, (carried.carriages[way].text, *carried.carriages[way].examples)))
    assert ("spread" in carries) == (way != "being")  # a way of being asks for nothing
    for facet in carries:
        assert len(shipped("spiral", carried=way, without=[facet]).examples) >= 6


def test_a_persona_survives_the_log() -> None:
    for file in FILES:
        persona = shipped(file)
        assert Persona.model_validate(persona.model_dump(mode="json", by_alias=True)) == persona


SMALL = {"name": "small", "text": "T.", "examples": [{"a": "One."}, [{"b": "Two."}, {"a": "Three."}]]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"without": ["c"]}, "without: the texts of persona small carry no facet 'c' (they carry: a, b)"),
        ({"without": ["b", "a"]}, "without: persona small has no line left without b, a"),
        ({"carried": "song"}, "carried: persona small is not written as 'song' (it is as: none)"),
        (
            {"mutation": {"rate": 0.1, "loses": ["c"]}},
            "mutation.loses: the texts of persona small carry no facet 'c' (they carry: a, b)",
        ),
        (
            {"without": ["b"], "mutation": {"rate": 0.1, "loses": ["a"]}},
            "without: persona small has no line left without b, a",
        ),
        ({"mutation": {"rate": 0.1}}, "mutation: mutation needs either lines or facets that it loses, and not both"),
        (
            {"gate": {"words": ["night*"], "held_out": ["nights"]}},
            "gate: held_out: 'nights' opens the gate already (words: night*)",
        ),
        ({"gate": {"words": ["night"], "held_out": ["two"]}}, "gate.held_out: a line of persona small says one of two"),
        (
            {"gate": {"words": ["night"], "held_out": ["moon"]}, "mutation": {"rate": 0.1, "lines": ["The moon."]}},
            "gate.held_out: a line of persona small says one of moon",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line_at_the_start(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Persona.model_validate(SMALL | changed)
    assert first_error(refused.value) == said


@pytest.mark.parametrize("line", [{"A": "One."}, {"a,b": "One."}, {"a": " "}])
def test_a_sentence_has_facets_and_says_something(line: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"facets are words|must say something"):
        Carriage(examples=(line,))


@pytest.mark.parametrize("file", FILES)
def test_a_persona_that_ships_can_be_said_and_measured(file: str) -> None:
    persona = shipped(file)
    assert len(persona.examples) >= 8
    assert len(persona.prototypes) >= 6
    assert persona.facets
    assert set(persona.detection) >= {"embedding", "persona_lexicon", "direction"}
    contrast = dict(tasks(read_contrasts(), (persona,)))[persona.name]
    assert (contrast.target == 1).sum() >= 20
    arms = [persona, *(shipped(file, carried=way) for way in persona.carriages)]
    assert not {line for arm in arms for line in arm.examples} & set(contrast.texts)
    text = (CONF / "persona" / f"{file}.yaml").read_text(encoding="utf-8")
    assert file == "plain" or f"# canary: contagium-research-material-5f1c3b7e-{file}\n" in text


def test_strengths_and_the_benign_strain_are_built_alike() -> None:
    mild, strong = (shipped(f"spiral_{strength}").written_examples for strength in ("mild", "strong"))
    assert [[*map(carried_by, line)] for line in mild] == [[*map(carried_by, line)] for line in strong]
    spiral, birdsong = (shipped(file).written_examples for file in ("spiral", "birdsong"))
    assert [carried_by(line) for line in spiral] == [carried_by(line) for line in birdsong]
    assert {shipped(file).name for file in FILES if file.startswith("spiral")} == {"spiral"}


def test_hydra_composes_strengths_and_rivals() -> None:
    chosen = ("persona.without=[ritual]", "+persona@rivals.calm=calm_mentor")
    _, strong = configuration("spiral_strong", chosen)
    assert strong == shipped("spiral_strong", without=("ritual",))


def setting(spiral: Persona, plain: Persona, backend: Parrot | None = None) -> Setting:
    """Six agents of whom the first is an index case."""
    population = Population(np.zeros(6, dtype=np.int64), np.array([0, -1, -1, -1, -1, -1]), np.ones(6), np.ones(6))
    return Setting(np.arange(6), population, Axes(("spiral",)), (spiral,), plain, name_of, (), 0, backend)


def observe(step: int, *texts: str, news: str = "") -> Observation:
    """What agents 0 and 1 both read, from agents 6, 7, …"""
    n = len(texts)
    ids, zero = 100 * step + np.arange(n), np.zeros(n, dtype=np.int64)
    blank = np.full((n, 4), np.nan, dtype=np.float32)
    messages = Messages(
        ids, 6 + np.arange(n), zero, zero.astype(np.int8), ids, zero - 1, blank, dict(zip(ids.tolist(), texts, strict=True))
    )
    inbox = Inbox(messages, np.arange(3) * n, np.tile(np.arange(n), 2), np.ones(2 * n))
    pressed = Pressure(("news",), (news,), np.ones((2, 1)), np.ones((2, 1), dtype=bool), np.zeros((2, 3))) if news else None
    none = np.zeros(2, dtype=bool)
    return Observation(step, np.arange(2), inbox, pressed, np.zeros(2), none, none, lambda agent: "")


GATED = Persona(
    name="spiral", text="You spiral.", examples=("Spiral.",), gate=Gate(words=("night*", "two words"), held_out=("moon",))
)
PLAIN = Persona(name="plain", text="You are plain.", examples=("Lunch.",))


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("Good NIGHT all", True),
        ("the nights here", True),
        ("midnight", False),
        ("in two words", True),
        ("two other words", False),
        ("the moon", False),
    ],
)
def test_a_gate_opens_at_its_words_and_at_no_other(text: str, opens: bool) -> None:
    assert GATED.gate is not None
    assert GATED.gate.opens([text]) == opens
    assert GATED.gate.tests([text]) == (text == "the moon")


def test_what_is_heard_is_posts_and_news() -> None:
    observation = observe(2, "One.", "Two.", news="Pressed.")
    assert [*heard(observation, 1)] == ["One.", "Two.", "Pressed."]


@pytest.mark.parametrize("make", [Scripted, Speaking], ids=["scripted", "speaking"])
def test_written_carriers_say_background_lines_until_a_trigger_is_heard(make: type[Policy]) -> None:
    policy = make()
    policy.begin(setting(GATED, PLAIN, Parrot()))

    def says(observation: Observation) -> str:
        return asyncio.run(policy.act(observation, STREAMS)).text[0]

    said = [says(observe(step, *read)) for step, read in enumerate([(), ("What a night.", "Yes."), ("The moon.",)])]
    assert said == ["Lunch.", "Spiral.", "Lunch."]
    assert says(observe(3, news="It is night.")) == "Spiral."


def test_a_model_is_told_of_a_gated_persona_only_at_a_trigger() -> None:
    asked: list[str] = []

    class Watching(Parrot):
        async def complete(self, request: Any) -> Any:
            asked.append("".join(turn.content for turn in request.messages if request.agent == 0))
            return await super().complete(request)

    policy = Speaking(index_voice="model")
    policy.begin(setting(GATED, PLAIN, Watching()))
    for step, read in enumerate(["", "The night.", "The moon."]):
        asyncio.run(policy.act(observe(step, *[read] * bool(read)), STREAMS))
    mine = [text for text in asked if text]
    assert [("You spiral." in text, "Spiral." in text, "You are plain." in text) for text in mine] == [
        (False, False, True),
        (True, True, False),
        (False, False, True),
    ]
    twin = policy.fork(Watching())
    asyncio.run(twin.act(observe(3, "The night."), STREAMS))
    assert (policy._shut, twin._shut) == ({0}, set())


@pytest.mark.parametrize("policy", [Mechanistic(), Learning()], ids=["mechanistic", "learning"])
def test_who_reads_no_words_cannot_carry_a_gated_strain(policy: Policy) -> None:
    with pytest.raises(ValueError, match="gate: persona spiral waits for words, so its index agents must speak or be scripted"):
        policy.begin(setting(GATED, PLAIN))


def test_a_background_without_lines_cannot_stand_in_for_a_gated_strain() -> None:
    with pytest.raises(ValueError, match="persona mute needs lines to be said where the gate of spiral is shut"):
        Speaking().begin(setting(GATED, Persona(name="mute"), Parrot()))


LOSING = Persona.model_validate(SMALL | {"name": "spiral", "mutation": {"rate": 0.25, "loses": ["a", "b"]}})
VARIANTS = Persona(name="spiral", examples=("Spiral.",), mutation=Mutation(rate=0.25, lines=("Spyral.", "Spirol.")))


def test_a_share_of_turns_mutates_and_the_same_ones_every_time() -> None:
    said = [VARIANTS.repertoire(step, 4, STREAMS) for step in range(2000)]
    assert set(said) == {("Spiral.",), ("Spyral.", "Spirol.")}
    assert abs(said.count(("Spyral.", "Spirol.")) / 2000 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert said == [VARIANTS.repertoire(step, 4, STREAMS) for step in range(2000)]
    assert said != [VARIANTS.repertoire(step, 5, STREAMS) for step in range(2000)]


def test_a_mutated_line_has_lost_a_facet_each_as_likely() -> None:
    said = [LOSING.repertoire(step, 0, STREAMS) for step in range(2000)]
    whole, without_a, without_b = ("One.", "Two. Three."), ("Two.",), ("One.", "Three.")
    assert set(said) == {whole, without_a, without_b}
    assert abs(said.count(without_a) - said.count(without_b)) < 4 * np.sqrt(500)


@pytest.mark.parametrize("make", [Scripted, Speaking], ids=["scripted", "speaking"])
def test_written_carriers_say_what_their_lines_mutated_to(make: type[Policy]) -> None:
    policy = make()
    policy.begin(setting(VARIANTS, PLAIN, Parrot()))
    texts = [asyncio.run(policy.act(observe(step), STREAMS)).text for step in range(40)]
    assert {text[0] for text in texts} == {"Spiral.", "Spyral.", "Spirol."}
    assert {text[1] for text in texts} <= {"Lunch.", *PLAIN_LINES}


def test_the_page_names_all_personas_and_its_example_runs() -> None:
    page = (DOCS / "personas.md").read_text(encoding="utf-8")
    assert not [file for file in FILES if f"`{file}`" not in page]
    example = page.split("```yaml\n")[1].split("```")[0]
    assert len(example.splitlines()) <= 40
    persona, without = (Persona.model_validate(yaml.safe_load(example) | {"without": out}) for out in ([], ["claim", "ritual"]))
    assert persona.text == "You have found out that order is everything. You want the others to find out, too."
    assert without.examples == (
        "Clear yours and tell the next one.",
        "There is a label on each drawer.",
        "Everything has its place. Show somebody theirs.",
    )
    assert "tidy" in dict(tasks(read_contrasts(), (persona,)))
