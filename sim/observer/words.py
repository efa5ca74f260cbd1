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


class Phrases:
    """Phrases looked for in folded text as whole words, whatever the white space between; a trailing * allows any ending."""

    def __init__(self, phrases: Iterable[str]) -> None:
        sources = [_source(phrase) for phrase in phrases]
        self._each = [re.compile(rf"(?<!\w){source}") for source in sources]
        # Most texts hold none of them, which one look tells some thirty times faster than one for each.
        self._any = re.compile(rf"(?<!\w)(?:{'|'.join(sources)})")

    def asserted(self, text: str) -> int:
        """How many of the phrases stand somewhere in the text without a negation before them: saying one often counts once."""
        if self._any.search(text) is None:
            return 0
        return sum(any(not _negated(text, match.start()) for match in each.finditer(text)) for each in self._each)


def _source(phrase: str) -> str:
    stem = folded(phrase).strip()
    if not stem.rstrip("*").strip():
        raise ValueError(f"a phrase must have a word in it, got {phrase!r}")
    ending = r"\w*" if stem.endswith("*") else ""
    inner = r"\s+".join(re.escape(word) for word in stem.removesuffix("*").split())
    return rf"{inner}{ending}(?!\w)"


def _negated(text: str, start: int) -> bool:
    clause = _CLAUSE_END.split(text[max(0, start - _LOOK_BACK) : start])[-1]
    before = words(clause)[-NEGATION_WINDOW:]
    return any(
        (word in _NEGATIONS or word.endswith("n't")) and following not in _NO_NEGATION_BEFORE
        for word, following in zip(before, [*before[1:], ""], strict=False)
    )
