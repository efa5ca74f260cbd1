"""Many rows of a table as one array: how a log keeps transitions, causes and interventions of a large population.

A row of the table `bulk` holds an array of one of the `LAYOUTS` in NumPy's own file format (`numpy.load` reads it). It lies in
the transaction of its step like any other row, so that a killed run keeps it whole and a resumed one is held against it.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contagium.sim.schema import columns

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS: dict[str, list[tuple[str, str]]] = {
    "transition": [("onset", "<i4"), ("agent", "<i4"), ("origin", "u1"), ("target", "u1")],
    "cause": [
        *(("transition_id", "<i4"), ("message", "<i8"), ("source", "<i4")),
        *(("step", "<i4"), ("dose", "<f8"), ("probability", "<f8")),
    ],
    "intervention": [("agent", "<i4"), ("message", "<i8")],
}
"""Columns by table. origin and target are places in `bulk.names`; transition_id counts from `bulk.first`."""

WORDS = ("strain", "kind", "origin", "target", "name", "action", "detail")
"""Columns that hold words, of which there are few."""


def pack(table: str, rows: int, values: Mapping[str, ArrayLike]) -> bytes:
    """`rows` rows of a table: each of its columns in `LAYOUTS` as an array (rows,), or as one value for all."""
    array = np.empty(rows, dtype=LAYOUTS[table])
    for name, _ in LAYOUTS[table]:
        array[name] = values[name]
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def unpack(data: bytes) -> NDArray[Any]:
    """What `pack` made, as a structured array (rows,). ValueError: it was not made so."""
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (EOFError, MemoryError) as error:
        raise ValueError(f"a damaged array of {len(data)} bytes") from error
    return array


def alike(new: bytes, held: bytes) -> bool:
    """Whether two packs hold the same, but for the last digits of real numbers."""
    if new == held:
        return True
    a, b = unpack(new), unpack(held)
    if a.dtype != b.dtype or len(a) != len(b):
        return False
    return all(np.allclose(a[name], b[name], rtol=1e-5, atol=1e-7) for name in a.dtype.names or ())


def frame(connection: sqlite3.Connection, table: str, of: NDArray[np.int64] | None = None) -> pd.DataFrame | None:
    """The rows of a table that stand in `bulk`, as that table; None where none do. Words, which repeat, are categories.

    of: ids, ascending, of the transitions whose causes are wanted, and no others. ValueError, LookupError: what stands there was
    not made by `pack`.
    """
    import pandas as pd

    query = 'SELECT step, strain, kind, first, rows, names, data FROM bulk WHERE "table" = ? ORDER BY rowid'
    bulk = connection.execute(query, (table,)) if table in LAYOUTS else []
    words: dict[str, int] = {}
    parts = [_columns(table, row, words, of) for row in bulk]
    if not parts:
        return None
    joined = {name: np.concatenate([part.pop(name) for part in parts]) for name in columns(table)}
    worded = {name: pd.Categorical.from_codes(joined[name], pd.Index(list(words))) for name in WORDS if name in joined}
    return pd.DataFrame(joined | worded, copy=False)


def _columns(table: str, row: tuple[Any, ...], words: dict[str, int], of: NDArray[np.int64] | None) -> dict[str, NDArray[Any]]:
    """The columns of a table that one row of `bulk` stands for. words: word → its code, to which new ones are added."""
    step, strain, kind, first, count, names, data = row
    part = unpack(data)
    code = np.array([words.setdefault(word, len(words)) for word in (*json.loads(names), strain, kind)], dtype=np.int16)
    found = {name: part[name] for name in part.dtype.names or ()}
    if table == "cause":
        found["transition_id"] = found["transition_id"].astype(np.int64) + first
        here = slice(0, 0) if of is None else slice(*np.searchsorted(of, [first, first + int(part["transition_id"].max()) + 1]))
        kept = slice(None) if of is None else np.isin(found["transition_id"], of[here])
        return {name: np.ascontiguousarray(column[kept]) for name, column in found.items()}
    fixed = {"step": np.int32(step), "strain": code[-2], "kind": code[-1], "name": code[0], "action": code[1]}
    if table == "intervention":
        fixed["detail"] = code[2]
    if table == "transition":
        found |= {"id": np.arange(first, first + count), "origin": code[found["origin"]], "target": code[found["target"]]}
    repeated = {name: np.full(count, value) for name, value in fixed.items() if name not in found}
    return {name: np.ascontiguousarray(found.get(name, repeated.get(name))) for name in columns(table)}
