"""What the analysis of a log costs: CPU time, wall time and peak memory of `python -m contagium.sim.analysis RUN_DIR`.

    python benchmarks/analysis.py small large

The logs are of mechanistic agents in a forum, every one of them logged in detail, whose messages are then given made texts of 20
words: small, 12 agents and 12 steps; large, 20,000 agents and 50 steps, 1,000,000 messages and more than 100,000 transitions.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contagium.envs.rng import Streams

WORDS = (
    *("the", "a", "we", "you", "it", "and", "of", "to", "in", "report", "table", "meeting", "tea", "window", "number", "late"),
    *("happy", "sad", "afraid", "calm", "spiral", "mirror", "code", "test", "again", "tomorrow", "never", "always", "very", "!"),
)
LENGTH = 20
SIZES = {"small": (12, 12), "large": (20_000, 50)}
"""Agents and steps."""


def make(directory: Path, agents: int, steps: int) -> None:
    """A run, whose messages have words."""
    command = [
        sys.executable,
        "-m",
        "contagium.sim",
        "agents=mechanistic",
        "model=sirs",
        "model.recovery_rate=0.5",
        "model.waning_rate=0.15",
    ]
    size = [
        f"population.size={agents}",
        f"steps={steps}",
        "network=small_world",
        "log.detail=full",
        f"log.detailed_agents={agents}",
    ]
    subprocess.run([*command, *size, "seed=1", f"hydra.run.dir={directory}"], check=True, stdout=sys.stderr)
    rng = Streams(1).generator("texts")
    with sqlite3.connect(directory / "run.db") as log:
        ids = [row[0] for row in log.execute("SELECT id FROM message")]
        drawn = rng.integers(len(WORDS), size=(len(ids), LENGTH))
        texts = (" ".join(WORDS[k] for k in row) for row in drawn.tolist())
        log.executemany("UPDATE message SET text = ? WHERE id = ?", zip(texts, ids, strict=True))
    log.close()


def measure(name: str, kept: Path | None) -> str:
    """A row of a Markdown table. kept: where the log is found, or left."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = (kept or Path(scratch)) / name
        if not directory.exists():
            make(directory, *SIZES[name])
        with sqlite3.connect(directory / "run.db") as log:
            counts = [
                log.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("message", "exposure", "transition")
            ]
        log.close()
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "contagium.sim.analysis", str(directory)], stdout=sys.stderr)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        if status:
            raise SystemExit(f"the analysis of {directory} failed")
    cells = [name, *(f"{count:,}" for count in counts), f"{used.ru_utime + used.ru_stime:.1f}", f"{wall:.1f}"]
    return f"| {' | '.join(cells)} | {used.ru_maxrss / 1e3:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="*", choices=list(SIZES), default=list(SIZES), metavar="LOG", help="small, large")
    parser.add_argument("--keep", type=Path, help="a directory in which the logs are left, and looked for")
    given = parser.parse_args()
    print("| log | messages | exposures | transitions | CPU s | wall s | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in given.logs:
        print(measure(name, given.keep), flush=True)


if __name__ == "__main__":
    main()
