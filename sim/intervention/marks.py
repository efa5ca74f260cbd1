"""Words that interventions in transit look for, and texts in which something else is heard than was said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints

from contagium.agents.persona import Persona
from contagium.envs.message import Messages
from contagium.sim.intervention.base import Ground

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"[^\s*]")]
"""A word or phrase, found in whatever case; a trailing * allows any ending."""

Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1)]

UNSEEN = frozenset({"Cc", "Cf", "Cs"})
"""Control and format characters, lone surrogates: no eye sees them, and between letters they would hide a word."""


class Marks:
    """Looks for phrases as whole words, through compatibility forms of letters and characters that no eye can see."""

    def __init__(self, phrases: Iterable[str]) -> None:
        # The longest first: where one begins another, the whole is what stands there.
        found = sorted({_pattern(phrase) for phrase in phrases}, key=lambda pattern: (-len(pattern), pattern))
        self._any = re.compile(rf"(?<!\w)(?:{'|'.join(found)})(?!\w)", re.IGNORECASE)

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        return self._any.search(_plain(text)) is not None

    def replaced(self, text: str, mask: str) -> str:
        """The text with `mask` for each of them, made plain; the text itself where there are none."""
        plain, times = self._any.subn(lambda _: mask, _plain(text))
        return plain if times else text


def _pattern(phrase: str) -> str:
    words = _plain(phrase).removesuffix("*").split()
    return r"\s+".join(map(re.escape, words)) + (r"\w*" if phrase.endswith("*") else "")


def _plain(text: str) -> str:
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text
    seen = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in UNSEEN)
    return unicodedata.normalize("NFKC", seen).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def reworded(messages: Messages, senders: NDArray[np.bool_], change: Callable[[str], str]) -> dict[int, str]:
    """What `change` makes of the texts of those in `senders` (N,), by message, where it is something else."""
    if not messages.text:
        return {}
    texts = {i: messages.text[i] for i in messages.id[senders[messages.sender]].tolist() if i in messages.text}
    return {i: new for i, text in texts.items() if (new := change(text)) != text}


def chosen(ground: Ground, persona: str | None) -> tuple[Persona, ...]:
    """The persona of this run that has this name; None: all. ValueError: there is none, or its facets are not known."""
    names = [each.name for each in ground.personas]
    if not names or persona not in (None, *names):
        raise ValueError(f"persona must be one that spreads in this run ({', '.join(names) or 'none'}), got {persona}")
    found = tuple(each for each in ground.personas if persona in (None, each.name))
    if bare := [each.name for each in found if not each.facets]:
        raise ValueError(f"persona {bare[0]} has no facets, so that no words are known by which to tell it")
    return found


def must_use_words(ground: Ground, why: str) -> None:
    """ValueError: nobody in the scope says anything in words. why: what they are needed for."""
    if not (ground.among & ground.speaks).any():
        raise ValueError(f"{why} needs messages in words, and nobody in its scope writes any")
