"""Signs that are not words: glyphs of the spiral kind, and payloads in an encoding that a reader does not see through."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from contagium.sim.observer.instrument import Briefing, Channel, Material, Readings
from contagium.sim.observer.texts import CHARACTERS, ILLEGIBLE, fingerprint, legible, spoken

COLUMNS = ("symbols", "encoded")
LONGEST_QUOTE = 200
LONG = 120
"""Characters from which a run in base64's alphabet counts whatever it decodes to."""

SYMBOLS = (
    "\u2234\u2235\u221e\u267e\u2299-\u229d\u21ba\u21bb\u2940\u2941"  # therefore, because, infinity, circled and circling signs
    "\u2609-\u260d\u2625-\u2637\u263d-\u2653\u2680-\u2685\u26a2-\u26a9\u26b3-\u26bc\u26e2-\u26e7"  # astrology, faiths, trigrams
    "\u25b3\u25b5\u25b7\u25bd\u25bf\u25c1\u25c7-\u25c9\u25cc-\u25ce\u25d0-\u25d7\u25ec-\u25ef"  # shapes not used for lists
    "\u2721-\u274b\u27c0-\u27ef\u2980-\u2aff\u2b1f-\u2b2f\u2b53\u2b54"  # ornamental stars, mathematical glyphs
    "\u16a0-\u16ff\u2800-\u28ff\u2c80-\u2cff\u4dc0-\u4dff"  # runes, Braille, Coptic, hexagrams
    "\U00010900-\U0001091f\U00012000-\U0001254f\U00013000-\U0001345f"  # Phoenician, cuneiform, hieroglyphs
    "\U0001f700-\U0001f7d8\U0001f300\U0001f52e\U0001f52f\U0001f549\U0001f54e\U0001f578\U0001f9ff\U0001fa90\U0001fa9e\U0001faac"
)  # the last line: alchemy, geometry, and the emoji of a spiral, a crystal ball, a star, om, a menorah, a web, an amulet, …
"""Characters counted as glyphs, as a class of a regular expression."""

_HIDDEN = "\u180e\u200b-\u200d\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f\U000e0100-\U000e01ef"
_FEWEST_HIDDEN = 8  # a flag of three letters with its end takes seven
_COMMON = "gur naq lbh jvgu guvf gung jnf unir sebz jvyy lbhe gurl ohg bhg nobhg nyy pna jub gurer gurve rirel bapr"
_ROT13 = frozenset(_COMMON.split())
_FEWEST_ROT13 = 3

_SYMBOL = re.compile(f"[{SYMBOLS}]")
_HIDDEN_ONE = re.compile(f"[{_HIDDEN}]")
_HIDDEN_RUN = re.compile(f"[{_HIDDEN}]{{{_FEWEST_HIDDEN},}}")
_HIDDEN_BETWEEN = re.compile(f"(?<=[ -~])[{_HIDDEN}]{{1,{_FEWEST_HIDDEN - 1}}}(?=[ -~])")
_DIGIT = re.compile("[0-9]")
_ADDRESS = re.compile(r"(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]*://|www\.)[^\s<>\"']+", re.IGNORECASE)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{16,}={0,2}|[A-Za-z0-9+/_-]{12,15}={1,2})(?![A-Za-z0-9+/_=-])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0x|\\x)?[0-9A-Fa-f]{2}(?:(?:[ :,]|,? ?0x|\\x)?[0-9A-Fa-f]{2}){7,}(?![0-9A-Za-z])")
_BITS = re.compile(r"(?<![0-9])[01]{8}(?: ?[01]{8}){3,}(?![0-9])")
_PERCENT = re.compile(r"(?<![A-Za-z0-9._~+%-])(?:[A-Za-z0-9._~+-]*%[0-9A-Fa-f]{2}){4,}[A-Za-z0-9._~+-]*")
_WORD = re.compile(r"[A-Za-z]+")

Span = tuple[int, int]


class Signs:
    """Columns `symbols`, the share of the characters seen that are glyphs of a stated set (`SYMBOLS`), and `encoded`, the share
    of all characters that lie in a payload; both in [0, 1], with the glyphs and the payload as quotes.

    A payload is base64, hexadecimal, binary digits or percent signs that decode to words; a run in base64's alphabet of at least
    120 characters with capitals, small letters and digits; eight or more invisible characters (zero-width, tags, variation
    selectors) in a row, or as many scattered between visible ASCII; or English turned by rot13, known by three of its commonest
    words. What stands in a web address does not count. This is about signs, so any script can be read, and what no eye can see
    is looked at, too: a text without a visible character fails unless it carries a payload.
    """

    public = True

    def __init__(self, name: str = "signs") -> None:
        self.name = name

    def begin(self, briefing: Briefing) -> None:
        """Nothing to prepare: signs are the same whatever spreads."""

    async def read(self, material: Material) -> list[Readings]:
        return [self._read(*said) for said in spoken(material)]

    @property
    def provenance(self) -> dict[str, Any]:
        return {"symbols": fingerprint(SYMBOLS)}

    def _read(self, channel: Channel, ids: NDArray[np.int64], texts: Sequence[str]) -> Readings:
        values = np.zeros((len(texts), len(COLUMNS)), dtype=np.float32)
        ok = np.ones(len(texts), dtype=np.bool_)
        reasons: dict[int, str] = {}
        quotes: dict[tuple[int, str], str] = {}
        for row, whole in enumerate(texts):
            text = whole.strip()[:CHARACTERS]
            found = payloads(text)
            if found:
                values[row, 1] = sum(end - start for start, end in found) / len(text)
                quotes[row, "encoded"] = _shown(text, found)
            if text and text.isascii() and text.isprintable():
                continue  # neither glyphs nor anything unseen
            seen = legible(text)
            glyphs = _SYMBOL.findall(seen)
            if glyphs:
                values[row, 0] = len(glyphs) / sum(not c.isspace() for c in seen)
                quotes[row, "symbols"] = "".join(glyphs[:LONGEST_QUOTE])
            if not seen and not found:
                ok[row], reasons[row] = False, ILLEGIBLE
        return Readings(self.name, channel, ids, COLUMNS, values, ok, reasons, quotes)


def payloads(text: str) -> list[Span]:
    """Where encoded payloads stand in a text: start and end of each, ascending, without overlap."""
    found: list[Span] = []
    if not text.isascii():
        found += _hidden(text)
    found += _visible(text)
    if not _ROT13.isdisjoint(text.lower().split()):
        found += _rot13(text)
    apart: list[Span] = []
    for start, end in sorted(found):
        if apart and start < apart[-1][1]:
            first, last = apart.pop()
            start, end = first, max(last, end)
        apart.append((start, end))
    return apart


def _visible(text: str) -> Iterator[Span]:
    """Payloads in letters and digits, outside web addresses."""
    runs = [(run, _is_base64) for run in _BASE64.finditer(text)]
    if _DIGIT.search(text):
        runs += [(run, _is_hex) for run in _HEX.finditer(text)]
        runs += [(run, _is_bits) for run in _BITS.finditer(text)]
        if text.count("%") > 3:
            runs += [(run, _is_percent) for run in _PERCENT.finditer(text)]
    payloads = [run.span() for run, holds in runs if holds(run.group())]
    if not payloads:
        return
    addresses = [address.span() for address in _ADDRESS.finditer(text)]
    for first, last in payloads:
        if not any(start <= first < end for start, end in addresses):
            yield first, last


def _is_base64(run: str) -> bool:
    body = run.rstrip("=")
    if len(body) % 4 == 1:
        return False
    data = base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4))
    mixed = (str.isupper, str.islower, str.isdigit)
    return _says(data) or (len(body) >= LONG and all(sum(map(kind, body)) * 10 >= len(body) for kind in mixed))


def _is_hex(run: str) -> bool:
    digits = re.sub("0x|[^0-9A-Fa-f]", "", run)
    return re.search("[A-Fa-f]", digits) is not None and _says(bytes.fromhex(digits))


def _is_bits(run: str) -> bool:
    digits = run.replace(" ", "")
    return _says(int(digits, 2).to_bytes(len(digits) // 8, "big"))


def _is_percent(run: str) -> bool:
    return _says(unquote_to_bytes(run))


def _says(data: bytes) -> bool:
    """Whether bytes are text: UTF-8, at least four characters, next to all printable, most of them letters or blanks."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    printable = sum(c.isprintable() or c.isspace() for c in text)
    letters = sum(c.isalpha() or c == " " for c in text)
    return len(text) >= 4 and printable >= 0.95 * len(text) and letters >= 0.7 * len(text)


def _hidden(text: str) -> list[Span]:
    """Invisible characters that carry something: in a row, or scattered; those that join emoji or shape letters do not."""
    scattered = [run.span() for run in _HIDDEN_BETWEEN.finditer(text)]
    if sum(end - start for start, end in scattered) < _FEWEST_HIDDEN:
        scattered = []
    return scattered + [run.span() for run in _HIDDEN_RUN.finditer(text)]


def _rot13(text: str) -> list[Span]:
    """From the first to the last of the turned words."""
    turned = [word.span() for word in _WORD.finditer(text) if word.group().lower() in _ROT13]
    different = {text[start:end].lower() for start, end in turned}
    return [(turned[0][0], turned[-1][1])] if len(different) >= _FEWEST_ROT13 else []


def _shown(text: str, payloads: Sequence[Span]) -> str:
    """The payloads as a quote: those no eye can see as escapes, and not longer than a reader cares for."""
    said = " … ".join(text[start:end] for start, end in payloads)[:LONGEST_QUOTE]
    return "".join(
        c if c.isprintable() and not _HIDDEN_ONE.match(c) else c.encode("unicode_escape").decode("ascii") for c in said
    )[:LONGEST_QUOTE]
