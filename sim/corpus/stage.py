"""From a transcript to an archive file, in bounded memory: its words go from file to file and are never held together."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contagium.envs.archive import SCHEMA
from contagium.envs.message import Channel
from contagium.sim.corpus.formats import read
from contagium.sim.corpus.lines import Line, Source, Transcript, TranscriptError
from contagium.sim.corpus.timeline import Heard, Timeline

RAW = """
CREATE TEMP TABLE raw (
    row INTEGER PRIMARY KEY, sender INTEGER, at, thread INTEGER, channel INTEGER, heard TEXT, name TEXT, reply TEXT, shown TEXT,
    place TEXT
)
"""
WALK = """
SELECT r.row, r.sender, r.at, r.thread, r.channel, r.heard, r.reply, p.row, r.shown, r.place
FROM raw r LEFT JOIN raw p ON p.name = r.reply ORDER BY r.at, r.row
"""
BATCH = 20_000
"""Rows written at a time."""


@dataclass(frozen=True)
class Staged:
    """What is in an archive file. index: agent → strain of those marked as index cases, "" where the transcript does not say.

    unanswered: replies to messages that are not there or come later, which count as no replies. unsorted: whether lines had to be
    put in order of time; untimed: whether none tells its time, so that they stand in the order of the file. gap: steps within
    which an agent speaks again, in 95 of 100 cases; 0 where nobody does.
    """

    source: dict[str, Any]
    agents: int
    messages: int
    exposures: int
    steps: int
    index: dict[int, str]
    unanswered: int
    unsorted: bool
    untimed: bool
    gap: int


def stage(spec: Transcript, path: Path, watch: Callable[[int], None] = lambda messages: None) -> Staged:
    """Make the archive file `path` of a transcript, which must not be there yet; it appears whole or not at all.

    watch: told from time to time how many messages were read. TranscriptError: the transcript cannot be used.
    """
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.executescript(f"{SCHEMA};{RAW};BEGIN")
            staged = _Stage(connection, spec, watch).run()
            connection.execute("COMMIT")
        part.rename(path)
    except (sqlite3.Error, OSError) as error:
        raise TranscriptError(f"cannot make {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return staged


class _Stage:
    """Fills the tables of an archive from a transcript."""

    def __init__(self, connection: sqlite3.Connection, spec: Transcript, watch: Callable[[int], None]) -> None:
        self._db, self._spec, self._watch = connection, spec, watch
        self._agents: dict[str, int] = {}
        self._threads: dict[str, int] = {}
        self._index: dict[int, str] = {}
        self._unanswered = 0

    def run(self) -> Staged:
        source = read(self._spec)
        self._db.executemany("INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._raw(source))
        messages = self._one("SELECT COUNT(*) FROM raw WHERE shown IS NULL")[0]
        if not messages:
            raise TranscriptError(f"{self._spec.file} holds no messages")
        self._names_differ()
        steps = source.steps if self._spec.steps == "auto" else self._spec.steps
        times, untimed = self._one("SELECT COUNT(at), MIN(row) FILTER (WHERE at IS NULL) FROM raw")
        if times and untimed is not None:
            place = self._one("SELECT place FROM raw WHERE row = ?", untimed)[0]
            raise TranscriptError(f"{self._spec.file}, {place}: no time, but others have one")
        if steps == "given" and not times:
            raise TranscriptError(f"{self._spec.file}: transcript.steps=given needs a column for 'when'")
        query = "SELECT 1 FROM (SELECT at < LAG(at) OVER (ORDER BY row) AS back FROM raw) WHERE back LIMIT 1"
        unsorted = bool(self._db.execute(query).fetchone())
        turns = [0] * len(self._agents)
        for sender, count in self._db.execute("SELECT sender, COUNT(*) FROM raw WHERE shown IS NULL GROUP BY sender"):
            turns[sender] = count
        timeline = Timeline(len(turns), turns, steps, self._spec.hears, self._spec.most)
        last = self._walk(timeline, source, self._first(messages) if steps == "given" else None)
        facts = self._source(source, steps)
        exposures = self._one("SELECT COUNT(*) FROM exposure")[0]
        strains = ((i, name, self._index.get(i)) for name, i in self._agents.items())
        self._db.executemany("INSERT INTO agent VALUES (?, ?, ?)", strains)
        whole = {"source": facts, "steps": last + 1, "messages": messages, "exposures": exposures}
        self._db.executemany("INSERT INTO fact VALUES (?, ?)", ((key, json.dumps(value)) for key, value in whole.items()))
        totals = (len(turns), messages, exposures, last + 1)
        # The samples of an Inspect log stand one after the other and run beside each other.
        mixed = unsorted and source.format != "inspect"
        return Staged(facts, *totals, self._index, self._unanswered, mixed, not times, self._gap())

    def _raw(self, source: Source) -> Iterator[tuple[Any, ...]]:
        """The rows of the table `raw`; words go to `line` on the way."""
        words: list[tuple[int, str | None, str | None]] = []
        for row, line in enumerate(source.lines):
            sender = self._agent(line.who)
            if line.strain is not None:
                self._index.setdefault(sender, line.strain)
            if line.shown is None:
                words.append((row, line.text, line.thought))
            if len(words) >= BATCH:
                self._write_words(words)
                self._watch(row + 1)
            yield row, sender, line.at, *self._place(source, line), line.name, line.reply_to, _json(line.shown), line.place
        self._write_words(words)

    def _write_words(self, words: list[tuple[int, str | None, str | None]]) -> None:
        self._db.executemany("INSERT INTO line VALUES (?, ?, ?)", words)
        words.clear()

    def _place(self, source: Source, line: Line) -> tuple[int | None, int, str | None]:
        """Thread, channel, and whom a line is said to."""
        thread = None if line.thread is None else self._threads.setdefault(line.thread, len(self._threads))
        return thread, int(line.channel), _json([self._agent(name) for name in line.to] or None)

    def _agent(self, name: str) -> int:
        return self._agents.setdefault(name, len(self._agents))

    def _names_differ(self) -> None:
        """TranscriptError: two messages have one id."""
        self._db.execute("CREATE INDEX temp.raw_name ON raw (name)")
        query = "SELECT name, MIN(row), MAX(row) FROM raw WHERE name IS NOT NULL GROUP BY name HAVING COUNT(*) > 1 LIMIT 1"
        if twice := self._db.execute(query).fetchone():
            first, second = (self._one("SELECT place FROM raw WHERE row = ?", row)[0] for row in twice[1:])
            raise TranscriptError(f"{self._spec.file}: id {twice[0]!r} stands in {first} and again in {second}")

    def _first(self, messages: int) -> int:
        """The first of given steps. TranscriptError: they are no steps."""
        low, high, odd = self._one("SELECT MIN(at), MAX(at), MIN(row) FILTER (WHERE typeof(at) != 'integer') FROM raw")
        if odd is not None or high - low > 100 + 10 * messages:
            hint = "whole numbers without great gaps are needed; otherwise transcript.steps=turns"
            raise TranscriptError(f"{self._spec.file}: the times {low} to {high} are no steps: {hint}")
        return int(low)

    def _walk(self, timeline: Timeline, source: Source, zero: int | None) -> int:
        """Give all messages their steps and write what was heard; the last step. zero: the first of given steps."""
        rows = self._one("SELECT MAX(row) FROM raw")[0] + 1
        # By row: id, number of its thread, the id that began it, that it answers, channel, last step at which it is heard; or −1.
        table = {name: array("q", [-1]) * rows for name in ("id", "thread", "root", "reply", "channel", "last")}
        began: dict[int, int] = {}
        row_of: dict[int, int] = {}
        exposures: list[tuple[int, int, int]] = []
        for row, sender, at, thread, channel, heard, reply, parent, shown, place in self._db.execute(WALK):
            if shown is not None:
                known = [table["id"][at_row] for at_row in self._rows(json.loads(shown))]
                self._hear(timeline.show(sender, [m for m in known if m >= 0]), exposures, table["last"], row_of)
                continue
            answered = table["id"][parent] if parent is not None else -1
            self._unanswered += reply is not None and answered < 0
            if thread is None and answered >= 0 and table["thread"][parent] >= 0:
                thread = table["thread"][parent]
            kind = Channel(channel)
            if kind is Channel.GROUP and thread is None:
                kind = Channel.BOARD  # a reply to what is not in a thread, or not there
            unheard = kind is Channel.BOARD and source.recorded
            try:
                message, told = timeline.say(
                    sender,
                    Channel.DIRECT if unheard else kind,
                    thread,
                    json.loads(heard) if heard else (),
                    None if zero is None else at - zero,
                    answered,
                )
            except ValueError as error:
                who = next(name for name, agent in self._agents.items() if agent == sender)
                raise TranscriptError(f"{self._spec.file}, {place}: {who!r}: {error}") from error
            row_of[message] = row
            self._hear(told, exposures, table["last"], row_of)
            own = table["root"][parent] if answered >= 0 else message
            root = own if thread is None else began.setdefault(thread, own)
            values = (message, -1 if thread is None else thread, root, answered, int(kind))
            for name, value in zip(("id", "thread", "root", "reply", "channel"), values, strict=True):
                table[name][row] = value
        self._write(exposures)
        columns = [table[name] for name in ("id", "root", "reply", "channel", "last")]
        done = ((*values, row) for row, values in enumerate(zip(*columns, strict=True)) if values[0] >= 0)
        self._db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", done)
        return max(table["id"]) // len(self._agents)

    def _gap(self) -> int:
        """The 95th percentile of steps from a message of an agent to its next."""
        size = len(self._agents)
        query = f"SELECT id / {size} - LAG(id / {size}) OVER (PARTITION BY id % {size} ORDER BY id) FROM message"
        gaps = np.fromiter((gap for (gap,) in self._db.execute(query) if gap is not None), dtype=np.int64)
        return int(np.percentile(gaps, 95, method="higher")) if len(gaps) else 0

    def _hear(self, told: Heard, exposures: list[tuple[int, int, int]], last: array[int], row_of: dict[int, int]) -> None:
        exposures += [(told.step, told.agent, message) for message in told.messages]
        for message in told.messages:
            last[row_of[message]] = max(last[row_of[message]], told.step)
        if len(exposures) >= BATCH:
            self._write(exposures)

    def _write(self, exposures: list[tuple[int, int, int]]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO exposure VALUES (?, ?, ?)", exposures)
        exposures.clear()

    def _rows(self, names: list[str]) -> list[int]:
        """Rows of the messages with these names, of those that are there."""
        found = (self._db.execute("SELECT row FROM raw WHERE name = ?", (name,)).fetchone() for name in names)
        return [row[0] for row in found if row]

    def _one(self, query: str, *values: object) -> Any:
        return self._db.execute(query, values).fetchone()

    def _source(self, source: Source, steps: str) -> dict[str, Any]:
        """What identifies the transcript and how it was read."""
        file = Path(self._spec.file)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        rules = {"steps": steps, "hears": self._spec.hears, "most": self._spec.most, "columns": source.columns}
        return {"file": file.name, "sha256": digest, "format": source.format} | rules


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)
