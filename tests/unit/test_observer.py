"""Those who state and those who speak are judged and credited on one scale."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from contagium.agents.persona import Detection, Persona
from contagium.agents.policy import Answer, Population
from contagium.envs.message import Axes, Exposures, Messages
from contagium.sim.observer.case import COMPARTMENTS, Carrier, CaseDefinition, Exposed, Shedding, StateDefinition
from contagium.sim.observer.instrument import Briefing, Instrument, Material, Readings
from contagium.sim.observer.instruments.expression import Expression
from contagium.sim.observer.instruments.persona_lexicon import PersonaLexicon
from contagium.sim.observer.observer import Observer
from contagium.sim.observer.texts import read_texts

AXES = Axes(("spiral",))
SPIRAL = Persona(
    name="spiral",
    facets={"shape": ("spiral",), "light": ("flame",)},
    detection={"persona_lexicon": Detection(enter=0.2, stay=0.1)},
)
SAID: list[float | str] = [0.8, "A spiral.", "A spiral and a flame.", "Lunch.", 0.4]
"""By agent: an expression stated outright, or words. The lexicon reads 0.2, 0.5 and 0 in the words; a case shows 0.2 or more."""


def messages(step: int, said: list[float | str]) -> Messages:
    n = len(said)
    expression = np.full((n, 4), np.nan, dtype=np.float32)
    for k, what in enumerate(said):
        if isinstance(what, float):
            expression[k] = [0, 0, 0, what]
    ids, same = n * step + np.arange(n), np.full(n, step)
    text = {int(i): what for i, what in zip(ids, said, strict=True) if isinstance(what, str)}
    return Messages(ids, np.arange(n), same, np.zeros(n, dtype=np.int8), ids, np.full(n, -1), expression, text)


def population(size: int) -> Population:
    return Population(np.zeros(size, dtype=np.int64), np.full(size, -1), np.ones(size), np.ones(size))


def observer(size: int) -> Observer:
    case = CaseDefinition(instrument="persona_lexicon", confirm=1, window=1)
    return watching([Expression(), PersonaLexicon()], {"spiral": ("expression", "persona_lexicon")}, case, size)


def watching(
    instruments: list[Instrument],
    chosen: dict[str, tuple[str, ...]],
    case: CaseDefinition,
    size: int,
    personas: tuple[Persona, ...] = (SPIRAL,),
    **states: StateDefinition,
) -> Observer:
    axes = Axes(tuple(persona.name for persona in personas))
    for instrument in instruments:
        instrument.begin(Briefing(axes, personas))
    return Observer(instruments, chosen, case, axes, personas, population(size), states)


def test_doses_of_words_and_of_stated_expressions_are_on_the_scale_of_expressions() -> None:
    watch, size = observer(6), 6
    seen = asyncio.run(watch.observe(Material(0, messages(0, [*SAID, "Lunch."]))))
    shown = [0.8, 0.5, 1.0, 0.0, 0.4, 0.0]
    assert seen.measured["spiral"] == pytest.approx(shown)
    # Agent 5 hears everybody once, and says the word in the next step.
    everybody = np.arange(5)
    watch.hear(Exposures(0, np.full(5, 5), everybody, everybody, np.ones(5)), 0)
    seen = asyncio.run(watch.observe(Material(1, messages(1, ["Lunch."] * 5 + ["A spiral."]))))
    moves, causes = seen.moves["spiral"]
    assert moves.agents[moves.target == 1].tolist() == [size - 1]
    assert causes.source.tolist() == [0, 1, 2]
    assert causes.dose == pytest.approx([0.8, 0.5, 1.0])
    assert causes.probability == pytest.approx(np.array([0.8, 0.5, 1.0]) / 2.3)


class Ruler:
    """An instrument that is told what to read: the numbers in a text, one for each column."""

    public = True

    def __init__(self, *columns: str) -> None:
        self.name, self._columns = "ruler", columns

    def begin(self, briefing: Briefing) -> None:
        pass

    async def read(self, material: Material) -> list[Readings]:
        return read_texts(self.name, self._columns, material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        return {}

    def _score(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[float(number) for number in text.split()] for text in texts], dtype=np.float32)


MEASURED = Persona(name="spiral", facets={"spread": ("pass it on",)}, detection={"ruler": Detection(enter=0.35, stay=0.15)})
RIVAL = Persona(name="mentor", facets={"spread": ()}, detection={"ruler": Detection(enter=0.7, stay=0.7)})


def path(watch: Observer, name: str, steps: Sequence[Material], agent: int = 0) -> str:
    """Where the agent is after each step, all its moves of a step in order."""
    found = ""
    for material in steps:
        moves, _ = asyncio.run(watch.observe(material)).moves[name]
        mine = moves.agents == agent
        found += "".join(COMPARTMENTS[k] for k in moves.target[mine]) or COMPARTMENTS[watch.trackers[name].compartment[agent]]
        found += " "
    return found.strip()


def answered(step: int, **answers: str | None) -> Material:
    """Agent 0 says nothing in public and answers, aside, as told."""
    known = {item: {0: Answer(text, "ok" if text else "missing", text or "")} for item, text in answers.items()}
    return Material(step, messages(step, [0.0]).take(np.zeros(0, dtype=np.int64)), answers=known, open_items=frozenset(answers))


CARRIER = Carrier(items=("mood", "wish"), instrument="persona_lexicon")


def test_a_carrier_is_found_by_what_it_answers_aside_and_only_there() -> None:
    words = CaseDefinition(instrument="persona_lexicon", confirm=1, window=1, recover_after=1, carrier=CARRIER)
    watch = watching([PersonaLexicon()], {"spiral": ("persona_lexicon",)}, words, 1)
    steps = [
        answered(0, other="A spiral and a flame."),
        answered(1, mood="A spiral."),
        answered(2, mood=None),
        answered(3, mood="Lunch.", wish="A spiral."),
        answered(4, mood="A spiral.", wish="Lunch."),
        answered(5, mood="Lunch.", wish="Lunch."),
        answered(6, wish="The flame."),
        Material(7, messages(7, ["A spiral."])),
        Material(
            8, messages(8, ["Lunch."]), answers={"mood": {0: Answer("A spiral.", "ok", "")}}, open_items=frozenset({"mood"})
        ),
    ]
    # In steps 3 and 4 one answer of two carries it. In step 8 its message ends the case, and its answer tells that it carries on.
    assert path(watch, "spiral", steps) == "S C C C C R C I RC"


def test_an_answer_off_a_list_has_no_words_that_could_be_read() -> None:
    words = CaseDefinition(instrument="persona_lexicon", carrier=CARRIER)
    watch = watching([PersonaLexicon()], {"spiral": ("persona_lexicon",)}, words, 1)
    listed = answered(0, mood="A spiral.")
    assert path(watch, "spiral", [Material(0, listed.messages, answers=listed.answers)]) == "S"


@pytest.mark.parametrize(
    ("enter", "stay", "found"), [(0.3, None, "C C R"), (0.3, 0.25, "C R R"), (None, None, "S S S"), (0.0, 0.0, "C C C")]
)
def test_the_thresholds_of_answers_are_those_given_or_the_personas(enter: float | None, stay: float | None, found: str) -> None:
    """The persona's are 0.35 and 0.15. An explicit 0 is no missing threshold: every answer carries it then."""
    case = CaseDefinition(instrument="ruler", carrier=Carrier(items=("mood",), instrument="ruler", enter=enter, stay=stay))
    watch = watching([Ruler("spiral")], {"spiral": ("ruler",)}, case, 1, (MEASURED,))
    assert path(watch, "spiral", [answered(k, mood=text) for k, text in enumerate(("0.3", "0.2", "0.1"))]) == found


def test_who_asks_others_to_spread_sheds_and_only_a_case_can() -> None:
    case = CaseDefinition(
        instrument="ruler", confirm=1, window=1, recover_after=3, shedding=Shedding(instrument="ruler", end_after=2)
    )
    watch = watching([Ruler("spiral", "spiral.spread")], {"spiral": ("ruler",)}, case, 1, (MEASURED,))
    said = ("0 1", "0.9 1", "0.9 0", "0.9 0", "0.9 0.5", "0 1", "0 1", "0 1", "0.9 0")
    steps = [Material(k, messages(k, [text])) for k, text in enumerate(said)]
    # A case in the step it asks; two messages that do not ask end it, three without the persona end the case.
    assert path(watch, "spiral", steps) == "S IH H I H H H R I"
    assert watch.counts() == [("spiral", "S", 0), ("spiral", "I", 1), ("spiral", "R", 0), ("spiral", "H", 0)]


def test_of_several_strains_each_has_compartments_and_thresholds_of_its_own() -> None:
    case = CaseDefinition(instrument="ruler", confirm=1, window=1, recover_after=1, exposed=Exposed(messages=2, within=2))
    chosen = {"spiral": ("ruler",), "mentor": ("ruler",)}
    watch = watching([Ruler("spiral", "mentor")], chosen, case, 2, (MEASURED, RIVAL))
    one = np.array([1])
    for step, said in enumerate(("0.5 0.5", "0.1 0.8", "0.5 0.8")):
        asyncio.run(watch.observe(Material(step, messages(step, [said, "0 0"]))))
        exposed = watch.hear(Exposures(step, one, np.array([2 * step]), np.array([0]), np.ones(1)), 0)
    assert {name: tracker.compartment.tolist() for name, tracker in watch.trackers.items()} == {
        "spiral": [1, 0],
        "mentor": [1, 3],
    }
    assert exposed["mentor"].agents.tolist() == [1]
    assert exposed["mentor"].onset.tolist() == [2]
    assert watch.is_case().tolist() == [True, False]


def test_a_reading_on_a_threshold_reaches_it() -> None:
    """Single precision holds 0.35 and 0.15 a little lower and a little higher than double precision does."""
    case = CaseDefinition(instrument="ruler", confirm=1, window=1, recover_after=1)
    watch = watching([Ruler("spiral")], {"spiral": ("ruler",)}, case, 1, (MEASURED,))
    steps = [Material(k, messages(k, [said])) for k, said in enumerate(("0.3499", "0.35", "0.15", "0.1499"))]
    assert path(watch, "spiral", steps) == "S I I R"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_state_is_entered_at_its_threshold_and_left_beyond_the_other(sign: int) -> None:
    state = StateDefinition(
        axis="valence", enter=sign * 0.35, stay=sign * 0.15, confirm=1, window=1, recover_after=1, cause_window=1
    )
    case = CaseDefinition(instrument="ruler")
    watch = watching(
        [Ruler("spiral", "valence")], {"spiral": ("ruler",), "valence": ("ruler",)}, case, 2, (MEASURED,), moved=state
    )
    said = ("-0.9", "0.3499", "0.35", "0.15", "0.1499", "0.9")
    steps = [Material(k, messages(k, [f"0 {sign * float(value)}", "0 0"])) for k, value in enumerate(said)]
    assert path(watch, "moved", steps[:5]) == "S S I I R"
    # Agent 1 hears what lay on either threshold: the doses are those of a strain.
    watch.hear(Exposures(4, np.array([1, 1]), np.array([4, 6]), np.array([0, 0]), np.ones(2)), 0)
    seen = asyncio.run(watch.observe(Material(5, messages(5, ["0 0", f"0 {sign * 0.4}"]))))
    moves, causes = seen.moves["moved"]
    assert moves.agents.tolist() == [1]
    assert causes.dose == pytest.approx([0.5, 0.5 * 0.15 / 0.35])
    assert not watch.is_case().any()


def test_what_a_persona_lacks_for_the_definition_is_named() -> None:
    bare = MEASURED.model_copy(update={"facets": {}})
    for case, wrong in (
        (
            CaseDefinition(instrument="ruler", shedding=Shedding()),
            r"case\.shedding: persona spiral has no facet spread \(it has: none\)",
        ),
        (
            CaseDefinition(instrument="ruler", carrier=Carrier(items=("mood",), instrument="judge")),
            r"case\.carrier: persona spiral has no thresholds for judge; give enter and stay, or persona\.detection\.judge",
        ),
        (
            CaseDefinition(instrument="ruler", carrier=Carrier(items=("mood",), instrument="ruler", stay=0.4)),
            r"case\.carrier: stay must be at most enter \(0\.35, of persona spiral\), got 0\.4",
        ),
    ):
        with pytest.raises(ValueError, match=wrong):
            watching([Ruler("spiral")], {"spiral": ("ruler",)}, case, 1, (bare,))
