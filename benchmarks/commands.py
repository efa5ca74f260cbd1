"""What whole commands cost: wall and CPU seconds and peak memory of the process, the median of several runs.

    python benchmarks/commands.py --repeats 5

Prints a Markdown table. Runs go to a temporary directory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "`contagium --help`": ["--help"],
    "`contagium agents=mechanistic population.size=20000 steps=100`": [
        "agents=mechanistic",
        "population.size=20000",
        "steps=100",
    ],
    "`contagium agents=scripted observer=lexicon`": ["agents=scripted", "observer=lexicon"],
}


def measure(arguments: list[str], directory: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak resident MB of one run. RuntimeError if it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "contagium.sim", *arguments], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"contagium {' '.join(arguments)} ended with status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whole commands.")
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| command | wall s | CPU s | peak MB |", "| --- | ---: | ---: | ---: |", sep="\n")
    for shown, arguments in COMMANDS.items():
        with tempfile.TemporaryDirectory() as room:
            runs = []
            for k in range(repeats + 1):
                where = [] if "--help" in arguments else [f"hydra.run.dir={k}"]
                runs.append(measure([*arguments, *where], Path(room)))
        # The first run fills the caches of the file system and does not count.
        wall, cpu, memory = (statistics.median(column) for column in zip(*runs[1:], strict=True))
        print(f"| {shown} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
