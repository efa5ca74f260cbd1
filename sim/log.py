"""The event log: one SQLite file a run, one transaction a step, and the tables read back from it.

The log is the truth: analysis reads nothing else. A step is in it whole or not at all. `sim/schema.py` holds its
tables. Times of day and durations stand only in columns named in `TIMES`, so that everything else is the
same, byte for byte, whenever the same deterministic run is repeated.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import zip_longest
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contagium.sim.schema import SCHEMA_VERSION, TABLES, TIMES, columns

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


class LogError(Exception):
    """A log that cannot be written or read; the message says what and where."""


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
            names = columns(table)
            kept = [k for k, name in enumerate(names) if name not in TIMES.get(table, ())]
            with self._reading() as connection:
                if table not in self._held:
                    self._held[table] = connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid')
                there = self._held[table].fetchmany(len(rows)) if rows else []
            for row, held in zip_longest(rows, there):
                if row is None or held is None or not all(_same(row[k], held[k]) for k in kept):
                    raise LogError(
                        f"{self.path}: the run does not repeat itself, so it cannot be resumed: table {table} holds {held}, "
                        f"got {None if row is None else tuple(row)}; the program, a file or something random has changed"
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


class Run:
    """A run read back from its log. Each table is a pandas DataFrame, loaded when first asked for; `close` frees the file."""

    def __init__(self, path: Path) -> None:
        file = path / "run.db" if path.is_dir() else path
        if not file.is_file():
            raise LogError(f"no run at {path}: there is no file {file.name}")
        self.path = file
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        # A run that nobody uses any more lets go of its file by itself.
        self.close = weakref.finalize(self, self._connection.close)
        try:
            self._check()
        except sqlite3.Error as error:
            self.close()
            raise LogError(f"{file} is not an event log: {error}") from error
        except LogError:
            self.close()
            raise

    def _check(self) -> None:
        """LogError for tables of another version."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        self._connection.execute("SELECT * FROM meta LIMIT 1")
        if version != SCHEMA_VERSION:
            raise LogError(f"{self.path} has schema version {version}, this program reads version {SCHEMA_VERSION}")
        for table in TABLES:
            found = tuple(row[1] for row in self._connection.execute(f'PRAGMA table_info("{table}")'))
            if found != columns(table):
                wanted = ", ".join(columns(table))
                raise LogError(f"{self.path}: table {table} should have the columns {wanted}, got {', '.join(found)}")

    def table(self, name: str) -> pd.DataFrame:
        """Any table of the log, see docs/log.md, in the order it was written."""
        import pandas as pd

        if name not in TABLES:
            raise LogError(f"no table {name!r}: the tables are {', '.join(TABLES)}")
        rows = self._rows(f'SELECT * FROM "{name}" ORDER BY rowid')
        return pd.DataFrame.from_records(rows, columns=list(columns(name)))

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Facts about the run: scenario, seed, versions, axes, instruments, whether it finished."""
        try:
            return {key: json.loads(value) for key, value in self._rows("SELECT key, value FROM meta")}
        except (TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query).fetchall()
        except sqlite3.Error as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    @cached_property
    def agents(self) -> pd.DataFrame:
        return self.table("agent")

    @cached_property
    def edges(self) -> pd.DataFrame:
        return self.table("edge")

    @cached_property
    def exposures(self) -> pd.DataFrame:
        return self.table("exposure")

    @cached_property
    def readings(self) -> pd.DataFrame:
        return self.table("reading")

    @cached_property
    def transitions(self) -> pd.DataFrame:
        return self.table("transition")

    @cached_property
    def causes(self) -> pd.DataFrame:
        return self.table("cause")

    @cached_property
    def compartments(self) -> pd.DataFrame:
        return self.table("compartment")

    @cached_property
    def affect(self) -> pd.DataFrame:
        return self.table("affect")

    @cached_property
    def messages(self) -> pd.DataFrame:
        """Messages, each with the readings on the axes that the case definition and the affect figures use, as columns."""
        messages = self.table("message")
        chosen = self.meta["axis_instruments"]
        readings = self.readings
        readings = readings[readings["subject"] == "message"]
        for axis, instruments in chosen.items():
            values = None
            for instrument in instruments:
                which = readings[(readings["instrument"] == instrument) & (readings["column"] == axis)]
                found = which.set_index("id")["value"]
                values = found if values is None else values.combine_first(found)
            messages[axis] = messages["id"].map(values) if values is not None else float("nan")
        return messages

    def transmission_tree(self, strain: str | None = None) -> nx.DiGraph:
        """Who may have infected whom, with probabilities on edges; see `contagium.sim.analysis.transmission_tree`."""
        from contagium.sim.analysis import transmission_tree

        return transmission_tree(self, strain)


def _same(new: object, held: object) -> bool:
    """Whether two values are equal, but for what another version of a numerical library may do to the last digits."""
    if isinstance(new, float) and isinstance(held, float):
        return isclose(new, held, rel_tol=1e-5, abs_tol=1e-7)
    return new == held


def open_run(path: str | Path) -> Run:
    """Open a finished, interrupted or running run by its directory or its run.db. LogError says what is wrong with it."""
    return Run(Path(path))


def digest(path: Path, without: Sequence[str] = ()) -> str:
    """SHA-256 over all rows of a log but times of day: equal for equal runs. without: tables that are left out."""
    run = Run(path)
    total = hashlib.sha256()
    for table in (table for table in TABLES if table not in without):
        kept = [f'"{c}"' for c in columns(table) if c not in TIMES.get(table, ())]
        for row in run._connection.execute(f'SELECT {", ".join(kept)} FROM "{table}" ORDER BY rowid'):
            total.update(repr((table, row)).encode())
    run.close()
    return total.hexdigest()
