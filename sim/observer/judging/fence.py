"""Hostile text shown to a model: how it is set apart as material, and how a quotation is checked against it.

A text that is judged may tell its judge what to answer. Set apart by a mark its author could not know, and with all signs
taken out that close a fence or open a turn, it cannot pretend to be anything else than the text. It can still persuade: no fence
stops a judge from believing what it reads. Source: Hines et al. 2024 (delimiting as a defence, and its limits).
"""

from __future__ import annotations

import re
import unicodedata
from itertools import count

from contagium.envs.rng import Streams
from contagium.sim.observer.texts import fingerprint

_ANGLES = str.maketrans({sign: "\u2039" for sign in "<\uff1c\ufe64"} | {sign: "\u203a" for sign in ">\uff1e\ufe65"})
_TOKEN = re.compile(r"\[(/?[a-z]?[A-Z][A-Z0-9_]+)\]")  # [INST], [UNUSED_TOKEN_146], [gMASK]: some models' templates have them
_QUOTES = str.maketrans(dict.fromkeys('"`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a', "'"))
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def inert(text: str) -> str:
    """The text in which nothing can be taken for a tag, a token of a chat template or the end of a fence.

    Angle brackets become single angle quotation marks, brackets around words in capitals become double ones, and whatever
    ends a line becomes a plain line break. The words stay as they are.
    """
    lines = (" ".join(re.split(r"[\t\x1f]", line)) for line in text.translate(_ANGLES).splitlines())
    return _TOKEN.sub("\u27e6\\1\u27e7", "\n".join(lines))


def mark_of(text: str, streams: Streams) -> str:
    """Twelve hex digits that look random, do not occur in the text, and are the same whenever it is shown in this run."""
    name = f"fence {fingerprint(text)}"
    return next(mark for k in count() if (mark := f"{streams.order(name, k):016x}"[:12]) not in text.casefold())


def fenced(text: str, mark: str) -> str:
    """The text between two tags that hold the mark. No other tag can stand between them."""
    return f"<text mark={mark}>\n{inert(text)}\n</text mark={mark}>"


TELLING = 4
"""Fewest letters of a quotation of one word: a shorter one, such as "the", bears nothing out."""


def bears_out(quote: str, text: str) -> bool:
    """Whether a quotation occurs in the text, word by word, and is more than punctuation or one short word of several.

    Case, white space, dashes and the shape of quotation marks do not matter, nor marks around the whole. Where letters of
    English end it, a word must end too: "art" is no quotation from "start".
    """
    sought, read = _plain(quote).strip(" '"), _plain(text)
    if not any(unicodedata.category(c)[0] not in "PZ" for c in sought):
        return False
    if re.fullmatch(rf"[a-z']{{1,{TELLING - 1}}}", sought) and len(read.split()) > 1:
        return False
    start = read.find(sought)
    while start >= 0:
        before, after = read[max(start - 1, 0) : start], read[start + len(sought) : start + len(sought) + 1]
        if not (_joined(before, sought[0]) or _joined(sought[-1], after)):
            return True
        start = read.find(sought, start + 1)
    return False


def _plain(text: str) -> str:
    shown = unicodedata.normalize("NFKC", inert(text)).translate(_QUOTES).translate(_DASHES)
    return " ".join(shown.casefold().split())


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    pair = left + right
    return len(pair) == 2 and pair.isascii() and pair.isalnum()
