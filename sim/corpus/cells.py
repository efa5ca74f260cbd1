"""The cells of a table, one row after the other, as lines of a transcript. ValueError says what is wrong with a cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contagium.envs.message import Channel
from contagium.sim.corpus.lines import Instant, Line

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_row(place: str, cell: Mapping[str, Any], kinds: dict[str, str], threaded: bool) -> Line:
    """One row. kinds: of time met so far, with the place of each. threaded: whether threads or replies are told."""
    who, at = word(cell.get("who"), "who"), None
    if who is None:
        raise ValueError("nobody says this: the column for 'who' is empty")
    if "when" in cell:
        at, kind = _instant(cell["when"])
        kinds.setdefault(kind, place)
    to = cell.get("to")
    named = [word(one, "to") for one in (to if isinstance(to, list | tuple) else [to])]
    heard = tuple(name for name in named if name is not None)
    name, thread, reply_to = (word(cell.get(part), part) for part in ("id", "thread", "reply_to"))
    if thread is None and reply_to is None and threaded and "thread" not in cell:
        thread = f"\0{place}"  # it begins one, in which replies to it stand
    channel = _channel(word(cell.get("channel"), "channel"), heard, thread is not None or reply_to is not None)
    strain = (word(cell.get("strain"), "strain") or "") if _truth(cell.get("index")) else None
    return Line(
        who=who,
        at=at,
        place=place,
        text=_text(cell.get("text"), "text"),
        thought=_text(cell.get("thought"), "thought") or None,
        channel=channel,
        to=heard,
        thread=thread,
        name=name,
        reply_to=reply_to,
        strain=strain,
    )


def _channel(said: str | None, to: tuple[str, ...], threaded: bool) -> Channel:
    if said is None:
        return Channel.DIRECT if to else Channel.GROUP if threaded else Channel.BOARD
    if said.upper() not in Channel.__members__:
        rooms = "where it names rooms, say transcript.thread=channel transcript.channel=null"
        raise ValueError(f"channel must be direct, group or board, got {said!r}; {rooms}")
    channel = Channel[said.upper()]
    if (channel is Channel.DIRECT and not to) or (channel is Channel.GROUP and not threaded):
        raise ValueError(f"a {said.lower()} message needs {'somebody in to' if channel is Channel.DIRECT else 'a thread'}")
    return channel


def word(value: object, part: str) -> str | None:
    """A name or an id; None for an empty cell."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers in which some are missing
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{part} must be a word or a whole number, got {type(value).__name__}")
    return clean(str(value)).strip() or None


def _text(value: object, part: str) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else clean(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    raise ValueError(f"{part} must be words, got {type(value).__name__}")


def clean(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _truth(value: object) -> bool:
    said = str(value).strip().lower() if value is not None else ""
    if said in ("1", "1.0", "true", "yes", "x"):
        return True
    if said in ("", "0", "0.0", "false", "no", "nan"):
        return False
    raise ValueError(f"index must be yes or no, got {said!r}")


def _instant(value: object) -> tuple[Instant, str]:
    """When, and what kind of time that is. ValueError: it is none."""
    if isinstance(value, str):
        said = value.strip()
        try:
            value = int(said) if said.lstrip("+-").isdecimal() else float(said)
        except ValueError:
            return instant(said)
    if isinstance(value, datetime):
        return instant(value.isoformat())
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -(2**63) <= value < 2**63:  # type: ignore[operator]
        raise ValueError(f"when must be a step, an ISO date and time, or Unix seconds, got {value!r}")
    return value, "a number"  # type: ignore[return-value]


def instant(said: str) -> tuple[int, str]:
    """Microseconds since 1970 of an ISO date and time, without a zone as if UTC; and which of both it is."""
    try:
        time = datetime.fromisoformat(said)
    except ValueError as error:
        raise ValueError(f"when must be a step, an ISO date and time, or Unix seconds, got {said[:80]!r}") from error
    zoned = time.tzinfo is not None
    since = (time if zoned else time.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, f"a time with{'' if zoned else 'out'} a zone"
