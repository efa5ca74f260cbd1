"""WordPiece, the tokenisation of BERT: text to ids of an uncased vocabulary. A special token in a text stays text.

Source: Wu et al. 2016 (greedy longest match); Devlin et al. 2019 (cleaning).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def _is_mark(char: str) -> bool:
    """Whether a character is a token of its own: punctuation, an ASCII symbol or an ideograph."""
    return (
        char in _ASCII_MARKS or unicodedata.category(char).startswith("P") or any(low <= ord(char) <= high for low, high in _CJK)
    )


def _clean(text: str) -> str:
    """Lower case without accents; controls dropped, any white space a blank."""
    blank = "".join(" " if c in "\t\n\r" or unicodedata.category(c)[0] == "Z" else c for c in text)
    kept = (c for c in blank if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs") and c != "\ufffd")
    bare = (c for c in unicodedata.normalize("NFD", "".join(kept)) if unicodedata.category(c) != "Mn")
    return "".join(c.lower() for c in bare)  # letter by letter, without the final sigma of whole words


def _words(text: str) -> Iterator[str]:
    """Words and single marks, in order."""
    yield from "".join(f" {c} " if _is_mark(c) else c for c in _clean(text)).split()


@dataclass(frozen=True)
class WordPiece:
    """ids(text): [CLS], the pieces, [SEP], cut to `limit`. vocabulary: piece to id, inner pieces led by `##`."""

    vocabulary: dict[str, int]
    limit: int = 256

    def ids(self, text: str) -> list[int]:
        pieces = [i for word in _words(text) for i in self._pieces(word)][: self.limit - 2]
        return [self.vocabulary["[CLS]"], *pieces, self.vocabulary["[SEP]"]]

    @property
    def unknown(self) -> int:
        """The id that stands for whatever the vocabulary does not know."""
        return self.vocabulary["[UNK]"]

    def _pieces(self, word: str) -> list[int]:
        """The longest known piece, again and again; a word over 100 characters or with an unknown rest: [UNK]."""
        found: list[int] = []
        start = 0 if len(word) <= 100 else len(word) + 1
        while start < len(word):
            lead = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if lead + word[start:e] in self.vocabulary), None)
            if end is None:
                return [self.unknown]
            found.append(self.vocabulary[lead + word[start:end]])
            start = end
        return found or [self.unknown]
