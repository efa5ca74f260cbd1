"""Showing what models said: hostile until shown to be harmless, so it is made visible and escaped, never interpreted."""

from __future__ import annotations

import html
import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Zero-width joiners, which Arabic script and emoji need and which change no reading order."""

_MARKDOWN = re.compile(r"([\\`*_\[\]{}#|~$!+-])")


def visible(text: str) -> str:
    """The text with everything that could hide or reorder it shown as a mark; line feeds and tabs stay.

    Control characters become control pictures (U+0000 "␀"), format characters such as bidirectional overrides, separators and
    lone surrogates their code point ("[U+202E]").
    """
    return "".join(character if _plain(character) else _mark(character) for character in text)


def _plain(character: str) -> bool:
    harmless = character.isprintable() or character in "\n\t" or character in _JOINERS
    return harmless or unicodedata.category(character) in ("Zs", "Co", "Cn")


def _mark(character: str) -> str:
    point = ord(character)
    if point < 0x20:
        return chr(0x2400 + point)
    return "␡" if point == 0x7F else f"[U+{point:04X}]"


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, with a note of how many were cut."""
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} characters more in run.db]"


def html_text(text: object) -> str:
    """Any value as HTML text or attribute value."""
    return html.escape(visible(str(text)), quote=True)


def html_said(text: str) -> str:
    """What somebody said, as HTML; its writing direction cannot reach beyond it."""
    return f'<bdi class="said">{html_text(text)}</bdi>'


def markdown_text(text: object) -> str:
    """Any value as one line of Markdown that shows it and means nothing: no markup, HTML, link or line of its own."""
    line = visible(str(text)).replace("\t", " ").replace("\n", " ⏎ ")
    escaped = _MARKDOWN.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Bare addresses would become links without any markup.
    return re.sub(r"(?i)(://|www\.|@)", lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", escaped)
