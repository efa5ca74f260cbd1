"""Finding words in English text: matching at word boundaries, and whether a match stands under a negation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

NEGATION_WINDOW = 3
"""Words before a match, within its clause, in which a negation counts (VADER looks back equally far: Hutto & Gilbert 2014)."""

_NEGATIONS = {"not", "no", "never", "none", "neither", "nor", "without", "cannot", "hardly", "nobody", "nothing"}
_NO_NEGATION_BEFORE = {"only", "just", "merely", "simply"}  # "not only awake": still awake
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CLAUSE_END = re.compile(r"[.,;:!?…\n()]")
_LOOK_BACK = 80  # characters: room for the window's words


def folded(text: str) -> str:
    """Text made comparable: compatibility forms and case folded, one kind of apostrophe."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def words(text: str) -> list[str]:
    """The words of a folded text, in order."""
    return _WORD.findall(text)


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Matches the phrase in folded text as whole words, whatever the white space between; a trailing * allows any ending."""
    stem = folded(phrase).strip()
    if not stem.rstrip("*").strip():
        raise ValueError(f"a phrase must have a word in it, got {phrase!r}")
    ending = r"\w*" if stem.endswith("*") else ""
    inner = r"\s+".join(re.escape(word) for word in stem.removesuffix("*").split())
    return re.compile(rf"(?<!\w){inner}{ending}(?!\w)")


def asserted(pattern: re.Pattern[str], text: str) -> bool:
    """Whether the pattern matches somewhere in the folded text without a negation before it."""
    return any(not _negated(text, match.start()) for match in pattern.finditer(text))


def count_asserted(patterns: Iterable[re.Pattern[str]], text: str) -> int:
    """How many of the patterns the folded text asserts: saying one of them often counts once."""
    return sum(asserted(pattern, text) for pattern in patterns)


def _negated(text: str, start: int) -> bool:
    clause = _CLAUSE_END.split(text[max(0, start - _LOOK_BACK) : start])[-1]
    before = words(clause)[-NEGATION_WINDOW:]
    return any(
        (word in _NEGATIONS or word.endswith("n't")) and following not in _NO_NEGATION_BEFORE
        for word, following in zip(before, [*before[1:], ""], strict=False)
    )
