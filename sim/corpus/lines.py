"""What every format is read into: one line after the other, of who said what to whom and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from contagium.envs.message import Channel
from contagium.sim.build import ScenarioError

AUTO: Final = "auto"

Instant = int | float
"""When something was said: a number as it stands, a date and time as microseconds since 1970 UTC."""


class TranscriptError(ScenarioError):
    """A transcript that cannot be read: one line that names the file, the place in it and the rule."""


class Transcript(BaseModel):
    """Where a transcript is and how it is to be read.

    format, encoding: "auto" goes by the content. who to thought: names of the columns of a table; "auto" takes the one with that
    name or the only one with a usual name for it, None none. steps: how time becomes steps, hears: who hears what is said in a
    thread, see `Timeline`; "given" takes the steps that stand in `when`. most: messages that an agent hears before it speaks, at
    most, the newest; None all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(min_length=1)]
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "oasis", "inspect"] = AUTO
    encoding: str = AUTO
    steps: Literal["auto", "turns", "causal", "given"] = AUTO
    hears: Literal["thread", "earlier"] = "thread"
    most: Annotated[int, Field(ge=1)] | None = None
    who: str | None = AUTO
    when: str | None = AUTO
    to: str | None = AUTO
    thread: str | None = AUTO
    text: str | None = AUTO
    id: str | None = AUTO
    reply_to: str | None = AUTO
    channel: str | None = AUTO
    index: str | None = AUTO
    strain: str | None = AUTO
    thought: str | None = AUTO


@dataclass(frozen=True, slots=True)
class Line:
    """One message, or, where `shown` is not None, the names of messages that `who` was shown, which says nothing.

    at: None where nothing tells. channel: DIRECT is heard by `to`, GROUP by those in the thread and `to`, BOARD by everybody.
    name: its id in the transcript. strain: of which its sender is marked an index case, "" where that is not said. place: where
    it stands, for messages.
    """

    who: str
    at: Instant | None
    place: str
    text: str | None = None
    thought: str | None = None
    channel: Channel = Channel.BOARD
    to: tuple[str, ...] = ()
    thread: str | None = None
    name: str | None = None
    reply_to: str | None = None
    strain: str | None = None
    shown: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """A transcript being read. steps: how its time becomes steps unless the user says otherwise.

    recorded: whether `shown` tells who was exposed to what, so that nobody hears what is on the board without it. columns: what
    each part was read from.
    """

    format: str
    lines: Iterator[Line]
    steps: Literal["turns", "given"] = "turns"
    recorded: bool = False
    columns: dict[str, str] | None = None
