"""Affect by words and rules: valence from VADER, arousal from cues of excitement and calm. English only.

Dominance is left out: no short rule that reads it off a sentence is known to us, and a guess would look like a measurement.
Sources: Hutto & Gilbert 2014 (VADER); that exclamation, capitals and intensifiers raise intensity is theirs, too. Which words
count as excited or calm follows the circumplex (Russell 1980) in our own, short lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.language.vader import Vader
from contagium.sim.observer.language.words import Memo, Phrases, latin, pieces
from contagium.sim.observer.texts import fingerprint, read_texts

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

_CAPITAL = re.compile("[A-Z]{3}")
_CAPITALS = re.compile(r"\b[^\W\d_]{3,}\b")
_MOST = 4  # exclamation marks or capitals beyond this many add nothing


class Lexicon:
    """Columns `valence`, VADER's compound score, and `arousal`, both in [-1, 1].

    arousal = c / √(c² + 4), with c = excited words − calm words (different ones, not negated) + ½ · intensifiers + ½ ·
    exclamation marks (at most 4) + ½ · words of three or more capitals (at most 4). So one excited word reads 0.45, two 0.71; a
    text without cues reads 0. A text with letters none of which are Latin is not English: a failed reading.
    """

    public = True

    def __init__(self, name: str = "lexicon") -> None:
        self.name = name
        self._vader = Vader()
        self._lists = (EXCITED.split(), (*CALM.split(), *CALM_PHRASES), INTENSIFIERS.split())
        self._phrases = Phrases(phrase for phrases in self._lists for phrase in phrases)
        self._worth = [worth for phrases, worth in zip(self._lists, (1.0, -1.0, 0.5), strict=True) for _ in phrases]
        self._shouted: Memo[int] = Memo(lambda piece: sum(word.isupper() for word in _CAPITALS.findall(piece)))

    def begin(self, briefing: Briefing) -> None:
        """Nothing to prepare: affect is read the same way whatever spreads."""

    async def read(self, material: Material) -> list[Readings]:
        return read_texts(self.name, ("valence", "arousal"), material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        ours = fingerprint(*(phrase for phrases in self._lists for phrase in phrases))
        return {"valence": f"VADER, words {self._vader.fingerprint}", "arousal": f"own words {ours}"}

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        unread = (np.nan, np.nan)
        rows = [(self._vader.compound(text), self._arousal(text)) if latin(text) else unread for text in texts]
        return np.array(rows, dtype=np.float32)

    def _arousal(self, text: str) -> float:
        found = pieces(text)
        c = 0.5 * min(text.count("!"), _MOST)
        if not text.isascii() or _CAPITAL.search(text):
            c += 0.5 * min(sum(map(self._shouted.__getitem__, found)), _MOST)
        c += sum([self._worth[phrase] for phrase in self._phrases.asserted(found)])
        return c / sqrt(c * c + 4)
