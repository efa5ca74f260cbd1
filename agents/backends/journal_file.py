"""The file in which calls to language models are kept: its rows, how they are read back, and how it is checked.

A journal is one SQLite file. Table `call` has one row a call: `request` holds `Request.canonical`, whose SHA-256 is `key`, and
`checksum` is the CRC-32 of everything else. Table `meta` holds what is known of each model, and what was
spent. So a flipped bit is found wherever it stands: by a key, by a checksum, by SQLite's own check of its pages, by comparing
the tables' declarations, or by the sums in the write-ahead log.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from contagium.agents.backends.backend import BackendError, Completion, Request, Token
from contagium.agents.backends.wal import lost_frames

NAME = "journal.db"
APPLICATION = int.from_bytes(b"CGMJ")  # SQLite's application_id: what kind of file this is
VERSION = 1
TABLES = {
    "call": "CREATE TABLE call (key TEXT PRIMARY KEY, agent INTEGER, step INTEGER, purpose TEXT, model TEXT, outcome TEXT,"
    " paid INTEGER, attempts INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER, completion TEXT, checksum INTEGER,"
    " request TEXT)",
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT, checksum INTEGER)",
}
LARGEST = 64
"""Rows that one SQL statement inserts. Each statement takes the interpreter's lock from the event loop once, and waits for it."""
PAGE = 16384
"""Bytes of a page: a usual request takes 2 to 4 kB, and whole pages are written."""
BUSY = 30.0
"""Seconds to wait for another process that writes to the same cache."""
ERROR = ("reason", "retryable", "fatal", "retry_after", "attempts", "faults", "latency")
COMPLETION = {field.name for field in fields(Completion)}


class JournalError(Exception):
    """A journal that cannot be written or read; the message is one line that says what and where."""


class Row(NamedTuple):
    """A row of the table `call`. outcome: "ok" or "failed". paid: 0 for what came from a cache and cost this run nothing.

    completion: as JSON, the fields of the Completion, or of the BackendError.
    """

    key: str
    agent: int
    step: int
    purpose: str
    model: str
    outcome: str
    paid: int
    attempts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    completion: str
    checksum: int
    request: str

    @classmethod
    def of(cls, request: Request, canonical: bytes, model: str, outcome: Completion | BackendError, paid: bool) -> Row:
        tokens = (outcome.prompt_tokens, outcome.completion_tokens) if isinstance(outcome, Completion) else (None, None)
        columns = (
            hashlib.sha256(canonical).hexdigest(),
            int(request.agent),
            int(request.step),
            request.purpose,
            model,
            "ok" if isinstance(outcome, Completion) else "failed",
            int(paid),
            outcome.attempts,
            *tokens,
            _dumped(outcome),
        )
        return cls(*columns, checksum(columns), canonical.decode())

    def __str__(self) -> str:
        return f"call {str(self.key)[:12]} (agent {self.agent}, step {self.step})"

    def read(self) -> Completion | BackendError:
        """The outcome. JournalError, without the file's name, if the row is damaged."""
        if checksum(self[:11]) != self.checksum:
            raise JournalError(f"{self}: the checksum does not match")
        try:
            return _loaded(self.outcome, self.completion)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise JournalError(f"{self}: the completion cannot be read: {_line(error)}") from error


class Reader:
    """Reads a journal by key.

    live: see also what is added while it is open. A journal that nobody writes can be read where nothing may be written.
    """

    def __init__(self, path: Path, live: bool = False) -> None:
        self.path = path
        if not path.is_file():
            raise JournalError(f"no journal at {path}")
        still = not live and not any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal"))
        with plainly("read", path):
            uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
            self.connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        # Damaged text must not stop the check of all other rows.
        self.connection.text_factory = lambda text: text.decode(errors="surrogateescape")
        try:
            self._check()
        except JournalError:
            self.close()
            raise

    def _check(self) -> None:
        """JournalError if the file is something else, or of another version."""
        with plainly("read", self.path):
            kind = self.connection.execute("PRAGMA application_id").fetchone()[0]
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
            declared = dict(self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        if kind != APPLICATION:
            raise JournalError(f"{self.path} is not a journal")
        if version != VERSION:
            raise JournalError(f"{self.path} has schema version {version}, this program reads version {VERSION}")
        if declared != TABLES:
            raise JournalError(f"{self.path} is damaged: its tables are not declared as they should be")

    def find(self, key: str) -> Completion | BackendError | None:
        """What became of the call, None if it is not here. Takes some 20 µs, from the disk longer."""
        with plainly("read", self.path):
            found = self.connection.execute(f"SELECT {', '.join(Row._fields[:12])} FROM call WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        try:
            return Row._make((*found, "")).read()
        except JournalError as error:
            raise JournalError(f"{self.path}: {error}") from error

    def meta(self) -> dict[str, Any]:
        """What is known beside the calls.

        Under "model NAME" its prompt_form and concurrency; under "spent", by model, the fields of `budget.Spent`.
        """
        with plainly("read", self.path):
            rows = self.connection.execute("SELECT key, value, checksum FROM meta").fetchall()
        for key, value, kept in rows:
            if checksum((key, value)) != kept:
                raise JournalError(f"{self.path}: the checksum of the entry {key!r} in meta does not match")
        return {key: json.loads(value) for key, value, _ in rows}

    def problems(self) -> Iterator[str]:
        """What is wrong with pages and rows, one line each. Reads everything."""
        with plainly("read", self.path):
            for (said,) in self.connection.execute("PRAGMA integrity_check"):
                if said != "ok":
                    yield f"{self.path}: {_line(said)}"
            for row in map(Row._make, self.connection.execute(f"SELECT {', '.join(Row._fields)} FROM call")):
                if hashlib.sha256(str(row.request).encode(errors="surrogateescape")).hexdigest() != row.key:
                    yield f"{self.path}: {row}: the request does not match its key"
                try:
                    row.read()
                except JournalError as error:
                    yield f"{self.path}: {error}"
        self.meta()

    def close(self) -> None:
        self.connection.close()


def verify(path: Path) -> list[str]:
    """Problems of a journal (a file, or the directory of a run), one line each; none if it is sound."""
    path = locate(path)
    try:
        problems = [*lost_frames(path)]
        with closing(Reader(path)) as reader:
            for problem in reader.problems():
                problems.append(problem)
    except (JournalError, OSError) as error:
        problems.append(_line(error))
    return problems


def locate(path: Path) -> Path:
    """The journal of a run's directory, or the file itself."""
    return path / NAME if path.is_dir() else path


def checksum(values: tuple[object, ...]) -> int:
    """CRC-32 of the values as lines of text."""
    return zlib.crc32("\n".join(map(str, values)).encode(errors="backslashreplace"))


@contextmanager
def plainly(verb: str, path: Path) -> Iterator[None]:
    """Says in one line which journal could not be used, and why."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"cannot {verb} the journal {path}: {_line(error)}") from error


def open_to_write(path: Path) -> sqlite3.Connection:
    """A journal to write to, made if it is not there. JournalError for a file that is something else."""
    with plainly("write", path):
        connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        with plainly("write", path):
            if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                Reader(path, live=True).close()
            connection.execute(f"PRAGMA page_size={PAGE}")
            _into_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
        with transaction(connection, path):
            if not connection.execute("PRAGMA user_version").fetchone()[0]:  # nobody else has made it meanwhile
                for declared in TABLES.values():
                    connection.execute(declared)
                connection.execute(f"PRAGMA application_id={APPLICATION}")
                connection.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _into_wal(connection: sqlite3.Connection) -> None:
    """Have the file use a write-ahead log. SQLite does not wait by itself while another process is just doing the same."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing, and on the disk at the end. JournalError if that cannot be."""
    with plainly("write", path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some errors have rolled back already
                connection.execute("ROLLBACK")
            raise


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Add rows. The first outcome of a call stays."""
    marks = f"({', '.join('?' * len(Row._fields))})"
    size, start = LARGEST, 0
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        values = ", ".join([marks] * size)
        connection.execute(f"INSERT OR IGNORE INTO call VALUES {values}", [*chain.from_iterable(rows[start : start + size])])
        start += size


def inherit(into: Path, source: Path, before: int) -> None:
    """Put what the journal `source` knows of its models, and of calls of steps below `before`, into the journal `into` too.

    `into` is made if it is not there. What was spent stays with `source`.
    """
    with closing(Reader(source)) as reader, closing(open_to_write(into)) as connection:
        with plainly("read", source):
            query = f"SELECT {', '.join(Row._fields)} FROM call WHERE step < ?"
            rows = [Row._make(row) for row in reader.connection.execute(query, (before,))]
        with transaction(connection, into):
            insert(connection, rows)
            for key, value in reader.meta().items():
                if key != "spent":
                    put(connection, key, value)


def put(connection: sqlite3.Connection, key: str, value: object) -> None:
    """Set an entry of `meta`. An update in place, unlike a replacement, writes no page of the index."""
    dumped = json.dumps(value)
    update = "ON CONFLICT (key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum"
    connection.execute(f"INSERT INTO meta VALUES (?, ?, ?) {update}", (key, dumped, checksum((key, dumped))))


def _dumped(outcome: Completion | BackendError) -> str:
    if isinstance(outcome, BackendError):
        return json.dumps({"message": str(outcome)} | {name: getattr(outcome, name) for name in ERROR})
    values = vars(outcome)
    if outcome.logprobs is not None:
        values = values | {"logprobs": [(token.text, token.logprob, token.top) for token in outcome.logprobs]}
    return json.dumps(values)


def _loaded(outcome: str, dumped: str) -> Completion | BackendError:
    values = json.loads(dumped)
    values["faults"] = tuple(values["faults"])
    if outcome == "failed":
        return BackendError(values.pop("message"), **values)
    if values["logprobs"] is not None:
        values["logprobs"] = tuple(Token(text, p, tuple((t, q) for t, q in top)) for text, p, top in values["logprobs"])
    if values.keys() != COMPLETION:
        raise ValueError(f"its fields are {', '.join(values)}")
    return Completion(**values)


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300]
