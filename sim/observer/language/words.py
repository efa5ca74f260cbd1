"""Finding words and phrases in English text: at word boundaries, and whether a match stands under a negation.

A text is cut at white space once, and what a piece has to do with any phrase is worked out once for each distinct piece and then
remembered, so that a short text costs a few microseconds however many phrases are looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

NEGATION_WINDOW = 3
"""Words before a match, within its clause, in which a negation counts (VADER looks back equally far: Hutto & Gilbert 2014)."""

LEAD = 256
"""Characters before a match in its piece that are looked at: a page of emoji is one piece with thousands of matches."""

FAR = 64
"""Pieces before a match that are looked at: those of nothing but signs hold no word, however many they are."""

LINE_END = "\0"
"""What `pieces` puts where a line ends: a clause ends there, too."""

_NEGATIONS = {"not", "no", "never", "none", "neither", "nor", "without", "cannot", "hardly", "nobody", "nothing"}
_NO_NEGATION_BEFORE = {"only", "just", "merely", "simply"}  # "not only awake": still awake
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ASCII_LETTER = re.compile("[A-Za-z]")
_RUN = re.compile(r"\w+")
_CLAUSE_END = re.compile(r"[.,;:!?…\n()" + LINE_END + "]")

T = TypeVar("T")


class Memo(dict[str, T]):
    """What a function makes of a short string, kept for the strings met lately: at most `most` of `longest` characters."""

    def __init__(self, function: Callable[[str], T], most: int = 50_000, longest: int = 32) -> None:
        super().__init__()
        self._function, self._most, self._longest = function, most, longest

    def __missing__(self, key: str) -> T:
        value = self._function(key)
        if len(key) <= self._longest:
            if len(self) >= self._most:
                self.clear()  # what is common comes back at once
            self[key] = value
        return value


def folded(text: str) -> str:
    """Text made comparable: compatibility forms and case folded, one kind of apostrophe."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def latin(text: str) -> bool:
    """Whether a text may be English: it has a Latin letter, or no letter at all."""
    if text.isascii() or _ASCII_LETTER.search(text):
        return True
    letters = [c for c in text if c.isalpha()]
    return not letters or any(unicodedata.name(c, "").startswith("LATIN") for c in letters)


def pieces(text: str) -> list[str]:
    """A text cut at white space, with LINE_END at the end of the last piece of a line."""
    if "\n" in text:
        lines = [line.rstrip() for line in text.split("\n")]
        text = f"{LINE_END} ".join(line for line in lines if line)
    return text.split()


class Hit(NamedTuple):
    """A phrase found: its number, the place of its first piece, its length in pieces, and what stands before it in the first."""

    phrase: int
    place: int
    length: int
    lead: str


class _Spot(NamedTuple):
    """One word of a phrase: the phrase's number, the word's place in it and the words in all; the word, what it has before its
    first letter or digit, and whether any ending will do."""

    phrase: int
    place: int
    length: int
    word: str
    ahead: int
    open: bool

    def at(self, text: str, start: int) -> bool:
        """Whether the word stands there in a folded piece, as its place in the phrase demands."""
        end = start + len(self.word)
        if start < 0 or not text.startswith(self.word, start) or (start and (self.place or _inside(text[start - 1]))):
            return False
        if self.place < self.length - 1:
            return end == len(text)
        return self.open or end == len(text) or not _inside(text[end])


class _Parts(NamedTuple):
    """What a piece can be: whole phrases (number, what stands before it), first words of longer ones, what stands before those,
    second words, and all words of longer ones with their places."""

    whole: tuple[tuple[int, str], ...]
    first: frozenset[int]
    leads: dict[int, str]
    second: frozenset[int]
    later: frozenset[tuple[int, int]]


class Phrases:
    """Phrases looked for as whole words, whatever the case and the white space between; a trailing * allows any ending."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._exact: dict[str, list[_Spot]] = {}
        self._open: dict[str, list[_Spot]] = {}
        self._bare: list[_Spot] = []  # without a letter or digit
        self.lengths: list[int] = []
        for phrase in phrases:
            self._add(phrase)
        self._stems = sorted({len(stem) for stem in self._open})
        self._memo: Memo[_Parts | None] = Memo(self._parts)

    def hits(self, text: Sequence[str]) -> list[Hit]:
        """Every place in a text, given in `pieces`, where one of the phrases stands, in order."""
        found: list[Hit] = []
        parts = list(map(self._memo.__getitem__, text))
        for place, (part, after) in enumerate(zip(parts, [*parts[1:], None], strict=False)):
            if part is None:
                continue
            if part.whole:
                found += [Hit(phrase, place, 1, lead) for phrase, lead in part.whole]
            if after is None or part.first.isdisjoint(after.second):
                continue
            for phrase in part.first & after.second:
                length = self.lengths[phrase]
                if length == 2 or _goes_on(parts[place : place + length], phrase, length):
                    found.append(Hit(phrase, place, length, part.leads[phrase]))
        return found

    def asserted(self, text: Sequence[str]) -> set[int]:
        """The numbers of the phrases that stand somewhere in a text, given in `pieces`, without a negation before them."""
        asserted: set[int] = set()
        for hit in self.hits(text):
            if hit.phrase not in asserted and not negated(text, hit):
                asserted.add(hit.phrase)
        return asserted

    def _add(self, phrase: str) -> None:
        stem = folded(phrase).strip()
        if not stem.rstrip("*").strip():
            raise ValueError(f"a phrase must have a word in it, got {phrase!r}")
        words = stem.removesuffix("*").split()
        for place, word in enumerate(words):
            last_open = stem.endswith("*") and place == len(words) - 1
            run = _RUN.search(word)
            spot = _Spot(len(self.lengths), place, len(words), word, run.start() if run else 0, last_open)
            if run is None:
                self._bare.append(spot)
            elif last_open and run.end() == len(word):
                self._open.setdefault(run.group(), []).append(spot)
            else:
                self._exact.setdefault(run.group(), []).append(spot)
        self.lengths.append(len(words))

    def _parts(self, piece: str) -> _Parts | None:
        text = folded(piece.removesuffix(LINE_END))
        met = list(self._met(text))
        if not met:
            return None
        leads = {spot.phrase: _lead(text, start) for spot, start in met if spot.place == 0 and spot.length > 1}
        return _Parts(
            tuple((spot.phrase, _lead(text, start)) for spot, start in met if spot.length == 1),
            frozenset(leads),
            leads,
            frozenset(spot.phrase for spot, _ in met if spot.place == 1),
            frozenset((spot.phrase, spot.place) for spot, _ in met),
        )

    def _met(self, text: str) -> Iterable[tuple[_Spot, int]]:
        """The spots a folded piece fills, each with where in it."""
        for run in _RUN.finditer(text):
            word = run.group()
            spots = self._exact.get(word, [])
            for length in self._stems:
                if length > len(word):
                    break
                spots = spots + self._open.get(word[:length], [])
            for spot in spots:
                start = run.start() - spot.ahead
                if spot.at(text, start):
                    yield spot, start
        for spot in self._bare:
            start = text.find(spot.word)
            while start >= 0:
                if spot.at(text, start):
                    yield spot, start
                start = text.find(spot.word, start + len(spot.word))


def _lead(text: str, start: int) -> str:
    """What stands before a place in a piece, as far back as anybody looks."""
    return text[max(0, start - LEAD) : start]


def negated(text: Sequence[str], hit: Hit) -> bool:
    """Whether a negation stands before a hit: among the `NEGATION_WINDOW` words before it, in its clause.

    "Not only" is none, nor is "never" before "so" or "such": never so glad as now.
    """
    following: list[str] = []
    for word in before(text, hit, NEGATION_WINDOW):
        negates = word in _NEGATIONS or word.endswith("n't")
        if (
            negates
            and not (following and following[-1] in _NO_NEGATION_BEFORE)
            and not (word == "never" and {"so", "such"} & {*following})
        ):
            return True
        following.append(word)
    return False


def before(text: Sequence[str], hit: Hit, most: int) -> list[str]:
    """At most so many words before a hit in its clause, folded, the nearest first."""
    found: list[str] = []
    place, (words, closed) = hit.place, _TAILS[hit.lead]
    while True:
        found += words
        place -= 1
        if closed or place < max(0, hit.place - FAR) or len(found) >= most:
            return found[:most]
        words, closed = _TAILS[text[place]]


def _tail(piece: str) -> tuple[tuple[str, ...], bool]:
    """The words of a piece after its last end of a clause, backwards, and whether it has such an end."""
    clauses = _CLAUSE_END.split(folded(piece))
    return tuple(reversed(_WORD.findall(clauses[-1]))), len(clauses) > 1


_TAILS: Memo[tuple[tuple[str, ...], bool]] = Memo(_tail)


def _goes_on(parts: Sequence[_Parts | None], phrase: int, length: int) -> bool:
    """Whether the pieces after the second hold the rest of a phrase."""
    return len(parts) == length and all(
        part is not None and (phrase, place) in part.later for place, part in enumerate(parts) if place > 1
    )


def _inside(character: str) -> bool:
    """Whether a character is one of words, as \\w is for regular expressions."""
    return character.isalnum() or character == "_"
