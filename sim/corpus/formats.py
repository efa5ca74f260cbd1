"""The formats of transcripts, told apart by their content."""

from __future__ import annotations

import json
from pathlib import Path

from contagium.sim.corpus.inspect_log import read_inspect
from contagium.sim.corpus.lines import AUTO, Source, Transcript, TranscriptError
from contagium.sim.corpus.oasis import read_oasis
from contagium.sim.corpus.tables import encoding, read_table

SUFFIXES = {".tsv": "tsv", ".tab": "tsv"}


def read(spec: Transcript) -> Source:
    """Begin to read a transcript. TranscriptError says in one line why it cannot be read."""
    path = Path(spec.file)
    try:
        if not path.is_file():
            raise TranscriptError(f"no such file: {path}" if not path.exists() else f"{path} is not a file")
        kind = detect(path, spec.encoding) if spec.format == AUTO else spec.format
        if kind == "oasis":
            return read_oasis(path)
        return read_inspect(path) if kind == "inspect" else read_table(spec, kind)
    except OSError as error:
        raise TranscriptError(f"cannot read {path}: {error.strerror or error}") from error


def detect(path: Path, wanted: str = AUTO) -> str:
    """The format of a file by its content. wanted: its encoding, where that is known."""
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise TranscriptError(f"{path} is empty")
    if start.startswith(b"SQLite format 3\0"):
        return "oasis"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK\x03\x04"):
        hint = "; of an Inspect log: inspect log convert --to json" if path.suffix == ".eval" else ""
        raise TranscriptError(f"{path} is a ZIP archive: unpack it first{hint}")
    return _text_format(path, encoding(path, wanted))


def _text_format(path: Path, name: str) -> str:
    try:
        with path.open(encoding=name) as file:
            first = next((line for line in file if line.strip()), "").strip()
    except UnicodeDecodeError:
        first = ""  # the reader of tables says where
    if first.startswith("["):
        raise TranscriptError(f"{path} is one JSON list: put each message on a line of its own (jq -c '.[]')")
    if not first.startswith("{"):
        return SUFFIXES.get(path.suffix.lower(), "csv")
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        # Several lines of one object, or a broken first line of many.
        return "inspect" if first == "{" else "jsonl"
    return "inspect" if isinstance(found, dict) and {"eval", "samples"} <= found.keys() else "jsonl"
