"""The event log: one SQLite file a run, one transaction a step, and the tables read back from it.

The log is the truth: analysis reads nothing else. A step is in it whole or not at all. `sim/schema.py` holds its
tables. Times of day and durations stand only in columns named in `TIMES`, so that everything else is the
same, byte for byte, whenever the same deterministic run is repeated.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from contagium.sim.reading import LogError as LogError
from contagium.sim.reading import Run as Run
from contagium.sim.reading import digest as digest
from contagium.sim.reading import open_run as open_run
from contagium.sim.repeated import difference
from contagium.sim.schema import SCHEMA_VERSION, TABLES


class EventLog:
    """Writes a run's events. `add` gathers rows; `commit` makes those of a step durable together.

    resume: go on with a log that is there. The run is repeated from its beginning: what it commits is compared with what the
    log holds until that is used up, and only then written. So a resumed run either continues the one it claims to, or ends in
    an error. committed: commits of an earlier time that have not been met again.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        if path.exists() and not resume:
            raise LogError(f"{path} already holds a run; choose another directory (hydra.run.dir=…)")
        self.path = path
        self._pending: dict[str, list[Sequence[Any]]] = {}
        self._held: dict[str, sqlite3.Cursor] = {}
        began = path.exists()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise LogError(f"cannot write the event log {path}: {error}") from error
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if not version:
                self._create()
            elif version != SCHEMA_VERSION:
                raise LogError(f"{path} has schema version {version}, this program writes version {SCHEMA_VERSION}")
            self.committed = self._committed()
        except (sqlite3.Error, LogError) as error:
            self._connection.close() if began else self.remove()
            raise LogError(f"cannot write the event log {path}: {error}") from error

    def _create(self) -> None:
        # In one transaction, for a process killed half-way must not leave half the tables.
        tables = ";".join(f'CREATE TABLE "{table}" ({", ".join(declared)})' for table, declared in TABLES.items())
        self._connection.executescript(f"BEGIN; {tables}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT")

    def _committed(self) -> int:
        """How many commits the log holds: its beginning, and each step."""
        if not self._connection.execute('SELECT COUNT(*) FROM "agent"').fetchone()[0]:
            return 0
        return 1 + int(self._connection.execute('SELECT COUNT(*) FROM "step"').fetchone()[0])

    def add(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Gather rows of a table, in column order; Python values only. Nothing is written before `commit`."""
        self._pending.setdefault(table, []).extend(rows)

    def meta(self, values: Mapping[str, object]) -> None:
        """Set facts about the run, as JSON by key."""
        rows = [(key, json.dumps(value, ensure_ascii=False)) for key, value in values.items()]
        with self._writing() as connection:
            # Updated in place: the order of keys must not tell how often a run was resumed.
            put = 'INSERT INTO "meta" VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
            connection.executemany(put, rows)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts about the run so far, by key."""
        with self._reading() as connection:
            return {key: json.loads(value) for key, value in connection.execute('SELECT key, value FROM "meta"')}

    def commit(self) -> None:
        """Write all that was gathered in one transaction: all of it, or, on an error, nothing.

        LogError if the log holds this commit already and it was not the same.
        """
        pending, self._pending = self._pending, {}
        if self.committed:
            self.committed -= 1
            self._compare(pending)
            return
        with self._writing() as connection:
            for table, rows in pending.items():
                marks = ", ".join("?" * len(TABLES[table]))
                connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)

    def _compare(self, pending: Mapping[str, list[Sequence[Any]]]) -> None:
        """Hold the rows of a commit against those that the log has at their place."""
        for table, rows in pending.items():
            with self._reading() as connection:
                if table not in self._held:
                    self._held[table] = connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid')
                there = self._held[table].fetchmany(len(rows)) if rows else []
                differs = difference(table, rows, there)
            if differs is not None:
                raise LogError(
                    f"{self.path}: the run does not repeat itself, so it cannot be resumed: table {table} holds {differs[0]}, "
                    f"got {differs[1]}; the program, a file or something random has changed"
                )
        if not self.committed:
            self._held.clear()

    def discard(self) -> None:
        """Forget what was gathered since the last commit."""
        self._pending.clear()

    def close(self) -> None:
        """Fold the write-ahead log into the file, which then stands alone and can be read where nothing may be written."""
        self._held.clear()
        # Where there is no room or another reader, SQLite goes on reading it beside the file.
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    def remove(self) -> None:
        """Close the log and delete it: a run that never began leaves none."""
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """LogError for a file that cannot be read."""
        try:
            yield self._connection
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. LogError if it cannot be written; then, and on any other error, nothing of it is."""
        try:
            self._connection.execute("BEGIN")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):  # there is nothing to roll back where it could not begin
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise LogError(f"cannot write the event log {self.path}: {error}; earlier steps are intact") from error
            raise
