"""Transcripts as tables with named columns: CSV, TSV, JSON lines, Parquet."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from contagium.sim.analysis.text import visible
from contagium.sim.corpus.cells import read_row
from contagium.sim.corpus.lines import AUTO, Line, Source, Transcript, TranscriptError

USUAL = {
    "who": ("author", "sender", "from", "user", "username", "user_name", "speaker", "agent", "name", "user_id", "author_id"),
    "when": ("time", "timestamp", "created_at", "date", "datetime", "ts", "created_utc", "sent_at", "step", "round", "turn"),
    "to": ("recipient", "receiver", "addressee", "target", "recipient_id"),
    "thread": ("thread_id", "conversation", "conversation_id", "room", "topic", "link_id"),
    "text": ("message", "content", "body", "post", "utterance", "comment"),
    "id": ("message_id", "msg_id", "post_id", "comment_id"),
    "reply_to": ("in_reply_to", "parent_id", "parent", "reply_to_id"),
    "channel": (),
    "index": ("index_case",),
    "strain": (),
    "thought": ("reasoning",),
}
"""Part of a line → other names that its column usually has, in lower case."""

STEPS = ("step", "round", "turn")
"""Columns with these names hold steps."""

NEEDED = ("who", "text")
PEEKED = 100
"""Rows of JSON lines whose keys are taken for the columns."""

LONGEST = 2**26
"""Characters in one cell of a CSV."""

Row = tuple[str, Mapping[str, Any]]


def read_table(spec: Transcript, kind: str) -> Source:
    """A table. TranscriptError: it cannot be read, or a column is missing; while `lines` are taken also for a broken row."""
    path = Path(spec.file)
    names, rows = {"csv": _csv, "tsv": _csv, "jsonl": _jsonl, "parquet": _parquet}[kind](path, spec, kind)
    columns = {part: name for part in USUAL if (name := _column(part, getattr(spec, part), names, path)) is not None}
    steps = columns.get("when", "").lower() in STEPS
    return Source(kind, _lines(rows, columns, path), "given" if steps else "turns", columns=columns)


def _column(part: str, wanted: str | None, names: list[str], path: Path) -> str | None:
    """The column that holds a part of the lines; None where there is none."""
    there = f"the columns are {', '.join(map(visible, names)) or 'none'}"
    if wanted is None and part not in NEEDED:
        return None
    if wanted not in (None, AUTO):
        if wanted not in names:
            raise TranscriptError(f"{path}: transcript.{part}={wanted}: no such column; {there}")
        return wanted
    found = [name for name in names if name.strip().lower() == part]
    found = found or [name for name in names if name.strip().lower() in USUAL[part]]
    if len(found) > 1:
        raise TranscriptError(f"{path}: {' or '.join(found)} could be the column for {part!r}: choose with transcript.{part}=…")
    if not found and part in NEEDED:
        raise TranscriptError(f"{path}: no column for {part!r}: name it with transcript.{part}=…; {there}")
    return found[0] if found else None


def _lines(rows: Iterator[Row], columns: Mapping[str, str], path: Path) -> Iterator[Line]:
    """The lines of a table. Times must be all of one kind: numbers, or dates with a time zone, or dates without."""
    kinds: dict[str, str] = {}
    threaded = "thread" in columns or "reply_to" in columns
    for place, row in rows:
        try:
            yield read_row(place, {part: row.get(name) for part, name in columns.items()}, kinds, threaded)
        except ValueError as error:
            raise TranscriptError(f"{path}, {place}: {error}") from error
        if len(kinds) > 1:
            (a, at), (b, _) = kinds.items()
            raise TranscriptError(f"{path}, {place}: {b}, but {a} in {at}: times must be of one kind")


def encoding(path: Path, wanted: str) -> str:
    """The encoding of a text file: the wanted one, or what its first bytes say, or UTF-8."""
    if wanted != AUTO:
        try:
            return codecs.lookup(wanted).name
        except LookupError as error:
            raise TranscriptError(f"transcript.encoding: no encoding {wanted!r}") from error
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _decoded(path: Path, spec: Transcript, take: Callable[[Any], Iterator[Row]]) -> Iterator[Row]:
    """What `take` makes of the open file; an error in its encoding tells about where."""
    name, place = encoding(path, spec.encoding), "its beginning"
    with path.open(encoding=name, newline="") as file:
        try:
            for row in take(file):
                place = row[0]
                yield row
        except UnicodeDecodeError as error:
            shown = name.removesuffix("-sig")
            raise TranscriptError(f"{path} is not {shown} after {place}: name its encoding with transcript.encoding=…") from error


def _csv(path: Path, spec: Transcript, kind: str) -> tuple[list[str], Iterator[Row]]:
    rows = _decoded(path, spec, lambda file: _cells(file, path, kind))
    first = next(rows, None)
    if first is None:
        raise TranscriptError(f"{path} is empty")
    names = list(first[1])
    if any("\0" in name for name in names):
        raise TranscriptError(f"{path}: its first line is no text; is it UTF-16? (transcript.encoding=utf-16)")
    if len(set(names)) < first[1][names[0]]:
        raise TranscriptError(f"{path}: two columns have one name: {', '.join(map(visible, names))}")
    return names, rows


def _cells(file: Any, path: Path, kind: str) -> Iterator[Row]:
    """First the header, its names pointing at how many there are, then each row as a mapping."""
    head = file.readline()
    file.seek(0)
    delimiter = "\t" if kind == "tsv" else max(",;\t", key=lambda mark: (head.count(mark), mark == ","))
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    names = _next(reader, path)
    if names:
        yield "its header", dict.fromkeys(names, len(names))
    while (row := _next(reader, path)) is not None:
        if not row:
            continue
        if len(row) != len(names or ()):
            raise TranscriptError(f"{path}, line {reader.line_num}: {len(names or ())} cells expected, got {len(row)}")
        yield f"line {reader.line_num}", dict(zip(names or (), row, strict=True))


def _next(reader: Any, path: Path) -> list[str] | None:
    before = csv.field_size_limit(LONGEST)  # of the whole process, so only for as long as it takes
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise TranscriptError(f"{path}, line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)
    return row


def _jsonl(path: Path, spec: Transcript, kind: str) -> tuple[list[str], Iterator[Row]]:
    rows = _decoded(path, spec, lambda file: _objects(file, path))
    peeked = list(islice(rows, PEEKED))
    if not peeked:
        raise TranscriptError(f"{path} is empty")
    return list(dict.fromkeys(name for _, row in peeked for name in row)), chain(peeked, rows)


def _objects(file: Any, path: Path) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TranscriptError(f"{path}, line {number}: not valid JSON: {error}") from error
        if not isinstance(found, dict):
            raise TranscriptError(f"{path}, line {number}: a JSON object is expected, got {type(found).__name__}")
        yield f"line {number}", found


def _parquet(path: Path, spec: Transcript, kind: str) -> tuple[list[str], Iterator[Row]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise TranscriptError("Parquet needs pyarrow: pip install 'contagium[parquet]'") from error
    try:
        file = ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name is not None]
    except (ArrowException, OSError, ValueError) as error:
        raise TranscriptError(f"{path} is no readable Parquet file: {str(error).splitlines()[0]}") from error

    def rows() -> Iterator[Row]:
        number = 0
        for batch in file.iter_batches(batch_size=10_000):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row

    return names, rows()
