"""The event log, read back: its tables as data frames."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contagium.sim.packed import frame
from contagium.sim.schema import SCHEMA_VERSION, TABLES, TIMES, columns

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


NUMERIC = {"INTEGER NOT NULL": "i8", "REAL NOT NULL": "f8", "INTEGER PRIMARY KEY": "i8"}
"""Declarations of columns that hold numbers only, and the NumPy type of each."""

ROWID = [("rowid", "i8")]

REMEMBERED = 64
"""Columns of readings that are kept in memory, for they are asked for again and again."""


class LogError(Exception):
    """A log that cannot be written or read; the message says what and where."""


class Run:
    """A run read back from its log. Each table is a pandas DataFrame, loaded when first asked for; `close` frees the file."""

    def __init__(self, path: Path) -> None:
        file = path / "run.db" if path.is_dir() else path
        if not file.is_file():
            missing = f"there is no file {file.name} in it" if path.is_dir() else "there is no such file or directory"
            raise LogError(f"no run at {path}: {missing}")
        self.path = file
        self._read: dict[tuple[str, str, str], pd.DataFrame] = {}
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
        if (packed := self._packed(name)) is not None:
            return packed
        kinds = {column: declared.partition(" ")[2] for column, declared in zip(columns(name), TABLES[name], strict=True)}
        numeric = [column for column, kind in kinds.items() if kind in NUMERIC]
        listed = ", ".join(f'"{column}"' for column in numeric) or "rowid"
        # Numbers and words apart: as rows of Python objects a million messages would take minutes and gigabytes.
        rows = self.numbers(f'SELECT {listed} FROM "{name}" ORDER BY rowid', [(c, NUMERIC[kinds[c]]) for c in numeric] or ROWID)
        found = {
            column: np.ascontiguousarray(rows[column])
            if column in numeric
            else pd.Series([value for (value,) in self._each(f'SELECT "{column}" FROM "{name}" ORDER BY rowid')])
            for column in columns(name)
        }
        return pd.DataFrame(found, copy=False)

    def _packed(self, name: str, of: NDArray[np.int64] | None = None) -> pd.DataFrame | None:
        """What `frame` finds."""
        try:
            return frame(self._connection, name, of)
        except (sqlite3.Error, LookupError, TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Facts about the run: scenario, seed, versions, axes, instruments, whether it finished."""
        try:
            return {key: json.loads(value) for key, value in self.rows("SELECT key, value FROM meta")}
        except (TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    def rows(self, query: str, given: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows picked where they lie, for what would not fit into memory as a table."""
        return list(self._each(query, given))

    def _each(self, query: str, given: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows one by one."""
        try:
            yield from self._connection.execute(query, given)
        except sqlite3.Error as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    def numbers(self, query: str, dtype: Sequence[tuple[str, str]], given: tuple[str, ...] = ()) -> NDArray[Any]:
        """What a query finds, as a structured array: for millions of rows, in a tenth of the memory of a data frame.

        dtype: name and NumPy type of each column of the query; NULL is NaN among real numbers and an error among others.
        """
        try:
            return np.fromiter(self._connection.execute(query, given), dtype=list(dtype))
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    @cached_property
    def agents(self) -> pd.DataFrame:
        return self.table("agent")

    @cached_property
    def sample(self) -> dict[str, Any] | None:
        """What is logged of a part of the agents only: `agents` there are, `detailed` of them, `rule`. None: nothing is."""
        return self.meta.get("sample")

    @property
    def size(self) -> int:
        """How many agents there are, logged in detail or not."""
        return int(self.sample["agents"]) if self.sample else len(self.agents)

    @cached_property
    def edges(self) -> pd.DataFrame:
        return self.table("edge")

    @cached_property
    def exposures(self) -> pd.DataFrame:
        return self.table("exposure")

    @cached_property
    def readings(self) -> pd.DataFrame:
        """Table `reading` with a row for each column an instrument read: `column` and `value` (NaN where it failed)."""
        packed = self.table("reading")
        scores = self._scores(packed["scores"])
        rows = packed.drop(columns="scores").loc[packed.index.repeat([len(one) for one in scores])].reset_index(drop=True)
        rows["column"] = np.array([column for one in scores for column in one], dtype=object)
        rows["value"] = np.array([value for one in scores for value in one.values()], dtype=np.float64)
        return rows

    def _scores(self, packed: pd.Series) -> list[dict[str, float | None]]:
        try:
            return [json.loads(one) for one in packed]
        except (TypeError, ValueError) as error:
            raise LogError(f"cannot read the event log {self.path}: {error}") from error

    def read(self, instrument: str, column: str, channel: str = "message") -> pd.DataFrame:
        """What one instrument read on one column of a channel: step, id, agent, value (NaN where it failed), in order.

        Far quicker than picking it out of `readings`.
        """
        key = (instrument, column, channel)
        if key not in self._read:
            self._remember(instrument, [column], channel)
        return self._read[key].copy(deep=False)

    def _remember(self, instrument: str, wanted: Sequence[str], channel: str = "message") -> None:
        """Read columns of an instrument in one pass."""
        import pandas as pd

        if odd := next((column for column in wanted if '"' in column), None):
            raise LogError(f"no column of a reading has a quotation mark in it, got {odd}")
        paths = [f'$."{column}"' for column in wanted]
        # Infinite stands for a column that a row does not have: NULL is one that failed.
        values = ", ".join("CASE WHEN json_type(scores, ?) IS NULL THEN 9e999 ELSE json_extract(scores, ?) END" for _ in wanted)
        query = f"SELECT step, id, agent, {values} FROM reading WHERE instrument = ? AND channel = ? ORDER BY rowid"
        names = ("step", "id", "agent")
        dtype = [*((name, "i8") for name in names), *((str(k), "f8") for k in range(len(wanted)))]
        rows = self.numbers(query, dtype, (*(path for path in paths for _ in range(2)), instrument, channel))
        whole = {name: np.ascontiguousarray(rows[name]) for name in names}  # shared by the columns that every row has
        for k, column in enumerate(wanted):
            there = ~np.isposinf(rows[str(k)])
            of = whole if there.all() else {name: values[there] for name, values in whole.items()}
            found = of | {"value": rows[str(k)][there]}
            while len(self._read) >= REMEMBERED:
                self._read.pop(next(iter(self._read)))
            self._read[instrument, column, channel] = pd.DataFrame(found, copy=False)

    @cached_property
    def quotes(self) -> pd.DataFrame:
        return self.table("quote")

    @cached_property
    def transitions(self) -> pd.DataFrame:
        return self.table("transition")

    @cached_property
    def causes(self) -> pd.DataFrame:
        return self.table("cause")

    def causes_of(self, transitions: NDArray[np.int64]) -> pd.DataFrame:
        """The causes of these transitions, given by their ids; of a large run only these are held in memory."""
        packed = self._packed("cause", np.sort(transitions))
        return self.causes[self.causes["transition_id"].isin(transitions)] if packed is None else packed

    @cached_property
    def compartments(self) -> pd.DataFrame:
        return self.table("compartment")

    @cached_property
    def affect(self) -> pd.DataFrame:
        return self.table("affect")

    @cached_property
    def messages(self) -> pd.DataFrame:
        """Messages, each with what stands for it on every axis and measure of the observer, as columns."""
        messages, chosen = self.table("message"), self.meta["axis_instruments"]
        for name in dict.fromkeys(name for instruments in chosen.values() for name in instruments):
            self._remember(name, [axis for axis, instruments in chosen.items() if name in instruments])
        for axis, instruments in chosen.items():
            standing = None
            for instrument in instruments:
                found = self.read(instrument, axis).set_index("id")["value"]
                standing = found if standing is None else standing.combine_first(found)
            messages[axis] = messages["id"].map(standing) if standing is not None else float("nan")
        return messages

    def transmission_tree(self, strain: str | None = None) -> nx.DiGraph:
        """Who may have infected whom, with probabilities on edges; see `contagium.sim.analysis.transmission_tree`."""
        from contagium.sim.analysis import transmission_tree

        return transmission_tree(self, strain)


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
