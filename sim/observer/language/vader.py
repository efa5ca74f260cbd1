"""VADER's compound score, faster: the published rules (Hutto & Gilbert 2014) over the word list of the `vaderSentiment` package.

Equal to the package's own `polarity_scores(text)["compound"]`, oddities included, which the tests check. It is faster because
what a word is (its value, booster, negation, capitals) is worked out once for each distinct word, rules run only at words that
have a value, and time is linear in the length of the text.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from heapq import heappop, heappush
from math import sqrt
from typing import NamedTuple

from vaderSentiment import vaderSentiment as package

from contagium.sim.observer.language.words import Memo
from contagium.sim.observer.texts import fingerprint

DAMPING = (1.0, 0.95, 0.9)  # of a booster one, two, three words ahead


class Token(NamedTuple):
    """What a word is to the rules. value: None where it adds none; known: whether the word list has it; key: part of an idiom."""

    word: str
    value: float | None
    known: bool
    boost: float
    upper: bool
    negates: bool
    key: bool


PLAIN = Token("", None, False, 0.0, False, False, False)
"""Any word that no rule knows."""
RULES = ("but", "kind", "of", "no", "or", "nor", "never", "so", "this", "without", "doubt", "least", "at", "very")
"""Words that rules name."""


class Vader:
    """The rules over the word list and the emoji that ship in the package."""

    def __init__(self) -> None:
        analyzer = package.SentimentIntensityAnalyzer()
        self._values: dict[str, float] = analyzer.lexicon
        self._emoji: dict[str, str] = {key: name for key, name in analyzer.emojis.items() if len(key) == 1}
        self.fingerprint = fingerprint(*(f"{word} {value}" for word, value in self._values.items()), *self._emoji.values())
        self._negations = frozenset(package.NEGATE)
        pairs = [phrase for phrase in (*package.SPECIAL_CASES, *package.BOOSTER_DICT) if " " in phrase]
        self._keys = frozenset(max(phrase.split(), key=len) for phrase in pairs)
        self._rules = frozenset(RULES).union(*(phrase.split() for phrase in pairs))
        self._memo: Memo[Token] = Memo(self._token)

    def compound(self, text: str) -> float:
        """The compound score in [-1, 1] of a text, rounded to four decimals as the package does."""
        if not text.isascii() and not self._emoji.keys().isdisjoint(text):
            text = self._without_emoji(text)
        tokens = list(map(self._memo.__getitem__, text.split()))
        telling = [(i, token) for i, token in enumerate(tokens) if token is not PLAIN]
        places = [i for i, token in telling if token.value is not None]
        if not places:
            return 0.0
        shouts = 0 < sum([token.upper for _, token in telling]) < len(tokens)
        idioms = any([token.key for _, token in telling])
        contrast = next((i for i, token in telling if token.word == "but"), None)
        values = [(i, value) for i in places if (value := self._value(tokens, i, shouts, idioms))]
        total = float(sum(_contrasted(values, contrast)))
        if total:
            total += _emphasis(text) if total > 0 else -_emphasis(text)
        return round(max(-1.0, min(1.0, total / sqrt(total * total + 15))), 4)

    def _token(self, raw: str) -> Token:
        stripped = raw.strip(string.punctuation)
        item = raw if len(stripped) <= 2 else stripped  # short ones are likely emoticons
        word = item.lower()
        known, boost = word in self._values, package.BOOSTER_DICT.get(word)
        value = self._values[word] if known and boost is None else None
        negates = word in self._negations or "n't" in word
        if not (known or boost or item.isupper() or negates or word in self._rules):
            return PLAIN
        return Token(word, value, known, boost or 0.0, item.isupper(), negates, word in self._keys)

    def _without_emoji(self, text: str) -> str:
        """The text with emoji replaced by their names, set off from what stands before them but not from what follows."""
        out, space = [], True
        for character in text:
            name = self._emoji.get(character)
            out.append(character if name is None else name if space else f" {name}")
            space = name is None and character == " "
        return "".join(out).strip()

    def _value(self, tokens: Sequence[Token], i: int, shouts: bool, idioms: bool) -> float:
        """The value of token i among its neighbours: "no", capitals, boosters, negations, idioms, "least", in this order."""
        token = tokens[i]
        value = token.value
        assert value is not None
        word, following = token.word, tokens[i + 1] if i + 1 < len(tokens) else None
        if word == "kind" and following and following.word == "of":
            return 0.0
        back = [tokens[j].word if j >= 0 else "" for j in (i - 1, i - 2, i - 3)]
        if word == "no" and following and following.known:
            value = 0.0
        if back[0] == "no" or back[1] == "no" or (back[2] == "no" and back[0] in ("or", "nor")):
            value = self._values[word] * package.N_SCALAR
        if token.upper and shouts:
            value += package.C_INCR if value > 0 else -package.C_INCR
        for distance in range(min(i, 3)):
            ahead = tokens[i - distance - 1]
            if ahead.known:
                continue
            value += _boost(ahead, value, shouts) * DAMPING[distance]
            value = _negate(value, back, distance, ahead.negates)
            if distance == 2 and idioms:
                value = _idioms(value, [t.word for t in tokens[i - 3 : i + 3]])
        if back[0] == "least" and not (i > 1 and back[1] in ("at", "very")):
            value *= package.N_SCALAR
        return value


def _boost(ahead: Token, value: float, shouts: bool) -> float:
    boost = ahead.boost
    if not boost:
        return 0.0
    if value < 0:
        boost = -boost
    if ahead.upper and shouts:
        boost += package.C_INCR if value > 0 else -package.C_INCR
    return boost


def _negate(value: float, back: Sequence[str], distance: int, negates: bool) -> float:
    """A negation one, two or three words ahead turns the value; "never so" and "never this" strengthen it, so does, three words
    on, any "so" or "this" of the last two: as the package has it."""
    so = ("so", "this")
    if distance == 1 and back[1] == "never" and back[0] in so:
        return value * 1.25
    if distance == 2 and ((back[2] == "never" and back[1] in so) or back[0] in so):
        return value * 1.25
    doubt = back[distance] == "without" and "doubt" in back[:distance]
    return value * package.N_SCALAR if negates and not doubt else value


def _idioms(value: float, window: Sequence[str]) -> float:
    """window: three words before the token, the token, and up to two after it."""
    three, two, one, zero, *after = window
    ahead = (f"{three} {two} {one}", f"{three} {two}", f"{two} {one}")
    for phrase in (f"{one} {zero}", f"{two} {one} {zero}", ahead[2], ahead[0], ahead[1]):
        if phrase in package.SPECIAL_CASES:
            value = package.SPECIAL_CASES[phrase]
            break
    for phrase in (" ".join((zero, *after[:1])), " ".join((zero, *after))):
        value = package.SPECIAL_CASES.get(phrase, value) if " " in phrase else value
    for phrase in ahead:
        value += package.BOOSTER_DICT.get(phrase, 0.0)
    return value


def _contrasted(values: list[tuple[int, float]], contrast: int | None) -> list[float]:
    """Values before "but" halved, those after it half as much again.

    The package looks each value up by the first place that holds an equal one, so a value may be changed in another's stead;
    heaps of the places of each value do the same in linear time.
    """
    scores = [value for _, value in values]
    if contrast is None:
        return scores
    where: dict[float, list[int]] = {}
    for k, value in enumerate(scores):
        where.setdefault(value, []).append(k)
    for k in range(len(scores)):
        value = scores[k]
        first = heappop(where[value])
        scores[first] = value * (0.5 if values[first][0] < contrast else 1.5)
        heappush(where.setdefault(scores[first], []), first)
    return scores


def _emphasis(text: str) -> float:
    """What exclamation and question marks add."""
    asked = text.count("?")
    return min(text.count("!"), 4) * 0.292 + (0.0 if asked < 2 else asked * 0.18 if asked <= 3 else 0.96)
