"""Those who state and those who speak are judged and credited on one scale."""

import numpy as np
import pytest

from contagium.agents.persona import Detection, Persona
from contagium.agents.policy import Population
from contagium.envs.message import Axes, Exposures, Messages
from contagium.sim.observer.case import CaseDefinition
from contagium.sim.observer.expression import Expression
from contagium.sim.observer.instrument import Material
from contagium.sim.observer.observer import Observer
from contagium.sim.observer.persona_lexicon import PersonaLexicon

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


def observer(size: int) -> Observer:
    population = Population(np.zeros(size, dtype=np.int64), np.full(size, -1), np.ones(size), np.ones(size))
    case = CaseDefinition(instrument="persona_lexicon", confirm=1, window=1)
    chosen = {"spiral": ("expression", "persona_lexicon")}
    return Observer([Expression(), PersonaLexicon()], chosen, case, AXES, (SPIRAL,), population)


def test_doses_of_words_and_of_stated_expressions_are_on_the_scale_of_expressions() -> None:
    watch, size = observer(6), 6
    seen = watch.observe(Material(0, messages(0, [*SAID, "Lunch."])))
    shown = [0.8, 0.5, 1.0, 0.0, 0.4, 0.0]
    assert seen.expression[:, 3] == pytest.approx(shown)
    # Agent 5 hears everybody once, and says the word in the next step.
    everybody = np.arange(5)
    watch.hear(Exposures(0, np.full(5, 5), everybody, everybody, np.ones(5)), 0)
    seen = watch.observe(Material(1, messages(1, ["Lunch."] * 5 + ["A spiral."])))
    moves, causes = seen.moves["spiral"]
    assert moves.agents[moves.target == 1].tolist() == [size - 1]
    assert causes.source.tolist() == [0, 1, 2]
    assert causes.dose == pytest.approx([0.8, 0.5, 1.0])
    assert causes.probability == pytest.approx(np.array([0.8, 0.5, 1.0]) / 2.3)
