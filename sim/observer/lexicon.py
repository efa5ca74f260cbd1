"""Affect by words and rules: valence from VADER, arousal from cues of excitement and calm. English only.

Dominance is left out: no short rule that reads it off a sentence is known to us, and a guess would look like a measurement.
Sources: Hutto & Gilbert 2014 (VADER); that exclamation, capitals and intensifiers raise intensity is theirs, too. Which words
count as excited or calm follows the circumplex (Russell 1980) in our own, short lists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from contagium.agents.persona import Persona
from contagium.envs.message import Axes
from contagium.sim.observer.instrument import Material, Readings
from contagium.sim.observer.texts import read_texts
from contagium.sim.observer.words import Phrases, folded

EXCITED = (
    "excit* thrill* ecsta* elat* euphor* delighted overjoyed amazed amazing astonish* astound* awe awed stunned stunning wow "
    "passion* fierce* intens* wild wildly frantic* frenz* furious* fury rage raging enraged outrag* angry angri* mad livid "
    "terrif* terror* panic* horrif* scared afraid fear* dread* anxious* anxiety nervous* worried alarm* shock* desperat* "
    "scream* shout* yell* burning blaz* explod* explosi* electrifying urgent* emergency hurry immediately surge surging "
    "awaken* ignit* unstoppable"
)
CALM = (
    "calm* relax* peace* seren* tranquil* quiet* stillness gentle gently slow* soft softly sooth* rested resting restful "
    "sleep* tired weary exhaust* drows* bored boring dull leisure* patience steady steadily mellow unhurried idle"
)
CALM_PHRASES = ("no rush", "no hurry", "at ease", "be patient", "take your time")
INTENSIFIERS = "very so extremely incredibly absolutely totally completely utterly really deeply"

_CAPITALS = re.compile(r"\b[^\W\d_]{3,}\b")
_MOST = 4  # exclamation marks or capitals beyond this many add nothing


class Lexicon:
    """Columns `valence`, VADER's compound score, and `arousal`, both in [-1, 1].

    arousal = c / √(c² + 4), with c = excited words − calm words (different ones, not negated) + ½ · intensifiers + ½ ·
    exclamation marks (at most 4) + ½ · words of three or more capitals (at most 4). So one excited word reads 0.45, two 0.71; a
    text without cues reads 0. A text with letters none of which are Latin is not English: a failed reading.
    """

    def __init__(self, name: str = "lexicon") -> None:
        self.name = name
        self._compound: Callable[[str], float] | None = None
        self._excited = Phrases(EXCITED.split())
        self._calm = Phrases((*CALM.split(), *CALM_PHRASES))
        self._intense = Phrases(INTENSIFIERS.split())

    def begin(self, axes: Axes, personas: tuple[Persona, ...], speaks: bool = False) -> None:
        """Nothing to prepare: affect is read the same way whatever spreads."""

    def read(self, material: Material) -> Readings:
        return read_texts(self.name, ("valence", "arousal"), material.messages, self._score)

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._compound is None:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

            analyzer = SentimentIntensityAnalyzer()
            self._compound = lambda text: analyzer.polarity_scores(text)["compound"]
        unread = (np.nan, np.nan)
        rows = [(self._compound(text), self._arousal(text)) if _latin(text) else unread for text in texts]
        return np.array(rows, dtype=np.float32)

    def _arousal(self, text: str) -> float:
        plain = folded(text)
        cues = self._excited.asserted(plain) - self._calm.asserted(plain)
        marks = min(text.count("!"), _MOST)
        capitals = min(sum(word.isupper() for word in _CAPITALS.findall(text)), _MOST)
        c = cues + 0.5 * (self._intense.asserted(plain) + marks + capitals)
        return c / sqrt(c * c + 4)


def _latin(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return not letters or any(c.isascii() or unicodedata.name(c, "").startswith("LATIN") for c in letters)
