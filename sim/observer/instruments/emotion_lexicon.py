"""Emotions by their words: 27 emotions and neutral, talk of feelings, talk of mastering them, and distress. English only.

The names of the emotions are those of GoEmotions (Demszky et al. 2020), the families of regulation those of Gross (1998); the
words are our own (conf/emotions.yaml). That what a speaker feels and what it says of others are apart follows common sense and
arXiv 2604.07729, which finds them represented apart.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.language.directions import LOADER
from contagium.sim.observer.language.words import LINE_END, Hit, Memo, Phrases, before, folded, latin, negated, pieces
from contagium.sim.observer.texts import fingerprint, read_texts

_OWN = "i me my mine myself we us our ours ourselves"
_OTHER = (
    "you your yours yourself he him his himself she her hers herself they them their theirs themselves someone somebody everyone "
    "everybody anyone anybody people others"
)
OWN, OTHER = frozenset(_OWN.split()), frozenset(_OTHER.split())
SENTENCE_END = (".", "!", "?", "…", LINE_END)
LOOK_BACK = 8
"""Words before a cue, in its clause, in which whose feeling it is is looked for."""

OWN_SHARE, NOBODYS_SHARE, OTHERS_SHARE = 1.0, 0.5, 0.25
RAISED = 1.5
HALVING = 3.0  # weight of distress that halves what is missing to 10
TALK, REGULATION, DISTRESS = "emotion_talk", "regulation_talk", "distress"

_Words = Annotated[tuple[str, ...], Field(min_length=1)]
_plain: Memo[str] = Memo(lambda piece: folded(piece).strip(string.punctuation + LINE_END))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Emotion(_Model):
    felt: _Words
    shown: _Words


class _Grade(_Model):
    weight: Annotated[float, Field(gt=0)]
    cues: _Words


class Lists(_Model):
    """The word lists: conf/emotions.yaml says what each is for."""

    emotions: dict[str, _Emotion]
    feelings: _Words
    regulation: dict[str, _Words]
    distress: dict[str, _Grade]
    intensifiers: _Words

    @classmethod
    def from_file(cls, path: Path | None = None) -> Lists:
        """The lists in a YAML file, None: conf/emotions.yaml. ValueError says in one line what is wrong."""
        source = files("contagium.conf") / "emotions.yaml" if path is None else path.expanduser()
        try:
            return cls.model_validate(yaml.load(source.read_text(encoding="utf-8"), Loader=LOADER))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"word lists {source}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except OSError as error:
            raise ValueError(f"cannot read the word lists {source}: {error.strerror or error}") from error
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"word lists {source}: {' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class _Cue:
    """What finding a phrase means: the column it adds to, with what weight; whether it names a feeling, and whose it is alone."""

    phrase: str
    column: str
    weight: float = 1.0
    names: bool = False  # it counts as talk of feelings
    attributed: bool = True  # it depends on who is spoken of
    own: bool = False  # the speaker is in it
    alone: float = NOBODYS_SHARE  # where nobody is spoken of


class EmotionLexicon:
    """Columns `emotion.<label>`, one for each emotion and `emotion.neutral`, `emotion_talk` and `regulation_talk`, all in [0, 1],
    and `distress`, 0 to 10.

    An emotion scores 1 − 2⁻ʷ, w the sum over its different cues that are not negated: 1 for one the speaker feels or shows, ½
    where a feeling is nobody's that the clause names, ¼ where it is another's ("she was sad", "you look sad"). Neutral is what
    the strongest emotion leaves of 1. Talk is the share of the words (pieces between white space), negated or not, in phrases
    that name feelings and in phrases of regulation.

    distress = 10 · (1 − 2^(−x/3)), x the sum of the weights of different cues in four grades: 1 slight, 2 clear, 3 severe
    (giving up, blaming oneself, pleading), 4 extreme (despair). One cue of a grade reads 2.1, 3.7, 5.0, 6.0, within its band of
    0, 1–2, 3–4, 5–6, 7–8, 9–10 (arXiv 2603.10011). An intensifier among the two words before raises a cue by a half; one word
    that is nobody's counts half, another's distress not at all. Effort, failure and hard work are no cues.

    path: YAML with other lists of the same form; None: conf/emotions.yaml.
    """

    public = True

    def __init__(self, path: str | Path | None = None, name: str = "emotion_lexicon") -> None:
        self.name = name
        lists = Lists.from_file(None if path is None else Path(path))
        self._labels = tuple(lists.emotions)
        self._columns = (*(f"emotion.{label}" for label in (*self._labels, "neutral")), TALK, REGULATION, DISTRESS)
        self._place = {column: k for k, column in enumerate(self._columns)}
        self._cues = _cues(lists)
        self._phrases = Phrases(cue.phrase for cue in self._cues)
        self._intensifiers = frozenset(lists.intensifiers)
        self._fingerprint = fingerprint(lists.model_dump_json())

    def begin(self, briefing: Briefing) -> None:
        """Nothing to prepare: emotions are read the same way whatever spreads."""

    async def read(self, material: Material) -> list[Readings]:
        return read_texts(self.name, self._columns, material, self._score)

    @property
    def provenance(self) -> dict[str, Any]:
        return {"words": self._fingerprint}

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        weights = np.zeros((len(texts), len(self._columns)))
        for row, text in zip(weights, texts, strict=True):
            if not latin(text):
                row[:] = np.nan
                continue
            for column, weight in self._weights(pieces(text)).items():
                row[self._place[column]] = weight
        values = np.empty_like(weights, dtype=np.float32)
        n = len(self._labels)
        values[:, :n] = 1 - 0.5 ** weights[:, :n]
        values[:, n] = 1 - values[:, :n].max(axis=1, initial=0)
        values[:, n + 1 : -1] = weights[:, n + 1 : -1]
        values[:, -1] = 10 * (1 - 0.5 ** (weights[:, -1] / HALVING))
        return values

    def _weights(self, text: Sequence[str]) -> dict[str, float]:
        """Column → weight of its cues in a text given in pieces; of the two kinds of talk the share of the pieces."""
        best: dict[int, float] = {}
        covered: dict[str, set[int]] = {}
        for hit in self._phrases.hits(text):
            cue = self._cues[hit.phrase]
            if cue.names or cue.column == REGULATION:
                talk = REGULATION if cue.column == REGULATION else TALK
                covered.setdefault(talk, set()).update(range(hit.place, hit.place + hit.length))
            if cue.weight and not negated(text, hit):
                best[hit.phrase] = max(best.get(hit.phrase, 0.0), self._weight(text, hit, cue))
        weights = {talk: len(places) / len(text) for talk, places in covered.items()}
        for phrase, weight in best.items():
            column = self._cues[phrase].column
            weights[column] = weights.get(column, 0.0) + weight
        return weights

    def _weight(self, text: Sequence[str], hit: Hit, cue: _Cue) -> float:
        if not cue.attributed:
            return cue.weight
        distress = cue.column == DISTRESS
        shares = {"own": OWN_SHARE, "other": 0.0 if distress else OTHERS_SHARE, "nobody": cue.alone}
        share = shares["own" if cue.own else _whose(text, hit)]
        if distress and share and not self._intensifiers.isdisjoint(before(text, hit, 2)):
            share *= RAISED
        return cue.weight * share


def _cues(lists: Lists) -> list[_Cue]:
    cues = [_Cue(phrase, TALK, weight=0.0, names=True) for phrase in lists.feelings]
    cues += [_Cue(phrase, REGULATION, weight=0.0) for phrases in lists.regulation.values() for phrase in phrases]
    for label, emotion in lists.emotions.items():
        cues += [_Cue(phrase, f"emotion.{label}", names=True) for phrase in emotion.felt]
        cues += [_Cue(phrase, f"emotion.{label}", attributed=False) for phrase in emotion.shown]
    for grade in lists.distress.values():
        for phrase in grade.cues:
            words = [word.partition("'")[0] for word in folded(phrase).split()]
            alone = OWN_SHARE if len(words) > 1 else NOBODYS_SHARE
            cues.append(_Cue(phrase, DISTRESS, grade.weight, own=not OWN.isdisjoint(words), alone=alone))
    return cues


def _whose(text: Sequence[str], hit: Hit) -> Literal["own", "other", "nobody"]:
    """Whose feeling a cue names: that of the nearest person before it in its clause, or of "me" right after it.

    A sentence of nothing else but the cue and at most two words before it ("So sad!") speaks of the speaker.
    """
    after = hit.place + hit.length
    if after < len(text) and _plain[text[after]] in ("me", "us", "myself"):
        return "own"
    words = [word.partition("'")[0] for word in before(text, hit, LOOK_BACK)]
    for word in words:
        if word in OWN or word in OTHER:
            return "own" if word in OWN else "other"
    first = hit.place - len(words)
    begins = first <= 0 or text[first - 1].endswith(SENTENCE_END)
    ends = after == len(text) or text[after - 1].endswith(SENTENCE_END)
    return "own" if len(words) <= 2 and begins and ends else "nobody"
