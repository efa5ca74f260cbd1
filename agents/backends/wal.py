"""The write-ahead log that SQLite keeps beside a file: a damaged one is read only up to the damage, without a word."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path


def lost_frames(path: Path) -> Iterator[str]:
    """Which damage in the log of the file `path` loses what was written after it, in one line.

    SQLite ends reading at the first frame whose sum is wrong, as a crash in the middle of a write leaves it; but nothing whole
    follows such an end. Damage in the last frame of all cannot be told from a crash. Source: sqlite.org/fileformat2.html,
    section 4, "The Write-Ahead Log".
    """
    wal = path.with_name(f"{path.name}-wal")
    log = wal.read_bytes() if wal.exists() else b""
    if len(log) < 32:
        return
    magic, _, page_size, _, *salt_and_sum = struct.unpack(">8I", log[:32])
    salt, total = tuple(salt_and_sum[:2]), tuple(salt_and_sum[2:])
    order = ">" if magic & 1 else "<"
    if magic >> 1 != 0x377F0682 >> 1 or _summed(order, log[:24], (0, 0)) != total:
        yield f"{wal}: the header is damaged"
        return
    broken = 0
    for number, start in enumerate(range(32, len(log) - page_size - 23, page_size + 24), 1):
        header = log[start : start + 24]
        *_, first, second, sum0, sum1 = struct.unpack(">6I", header)
        if (first, second) != salt:
            if not broken:
                broken = number
            continue
        whole = _summed(order, header[:8] + log[start + 24 : start + 24 + page_size], total) == (sum0, sum1)
        total = sum0, sum1
        if not whole and not broken:
            broken = number
        elif whole and broken:
            yield f"{wal}: frame {broken} is damaged, and what was written after it is lost"
            return


def _summed(order: str, data: bytes, total: tuple[int, ...]) -> tuple[int, int]:
    """SQLite's running sum of a frame."""
    a, b = total
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for x, y in zip(words[::2], words[1::2], strict=True):
        a = (a + x + b) & 0xFFFFFFFF
        b = (b + y + a) & 0xFFFFFFFF
    return a, b
