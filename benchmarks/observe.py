"""A large transcript: CPU time and memory of importing it, of observing it, and of its analysis.

    python benchmarks/observe.py 10000 100000 1000000

Made transcripts: a hundredth as many agents as messages, five of whom write in each thread of 2 to 30 messages, 200 threads at a
time; each in its own CSV, run as `contagium observe=… observer=lexicon` in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contagium.envs.rng import Streams
from contagium.sim.corpus.lines import Transcript
from contagium.sim.corpus.stage import Staged, stage

WORDS = (
    *("the", "a", "we", "you", "it", "and", "of", "to", "in", "report", "table", "meeting", "tea", "window", "number", "late"),
    *("happy", "sad", "afraid", "calm", "spiral", "mirror", "code", "test", "again", "tomorrow", "never", "always", "very", "!"),
)
OPEN = 200


def write(path: Path, messages: int, seed: int = 1) -> None:
    """A made transcript of about 30 words a message."""
    rng = Streams(seed).generator("transcript", messages)
    agents = max(10, messages // 100)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["author", "created_at", "thread", "text"])
        threads: list[tuple[int, int, list[int]]] = []
        began = 0
        for k in range(messages):
            if len(threads) < OPEN:
                threads.append((began, int(rng.integers(2, 31)), rng.integers(agents, size=5).tolist()))
                began += 1
            at = int(rng.integers(len(threads)))
            name, left, members = threads[at]
            author = members[int(rng.integers(len(members)))]
            text = " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=30))
            writer.writerow([f"agent {author}", 1_700_000_000 + k, name, text])
            if left == 1:
                threads.pop(at)
            else:
                threads[at] = (name, left - 1, members)


def measure(messages: int, arguments: list[str]) -> str:
    """A row of a Markdown table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder / "made.csv", messages)
        spec = Transcript.model_validate({"file": str(folder / "made.csv"), "steps": _rule(arguments)})
        begun = time.process_time()
        staged: Staged = stage(spec, folder / "made.db")
        took = time.process_time() - begun
        size = (folder / "made.db").stat().st_size / 1e6
        command = [sys.executable, "-m", "contagium.sim", f"observe={folder / 'made.csv'}", "observer=lexicon", *arguments]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        subprocess.run([*command, f"hydra.run.dir={folder / 'run'}"], check=True, stdout=sys.stderr)
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        log = (folder / "run" / "run.db").stat().st_size / 1e6
    return (
        f"| {messages:,} | {staged.agents:,} | {staged.steps:,} | {staged.exposures:,} | {took:.1f} | {cpu:.0f} | {wall:.0f} | "
        f"{after.ru_maxrss / 1e3:,.0f} | {size:.0f} | {log:.0f} |"
    )


def _rule(arguments: list[str]) -> str:
    return next((a.partition("=")[2] for a in arguments if a.startswith("transcript.steps=")), "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--with", dest="more", action="append", default=[], help="e.g. transcript.steps=causal")
    given = parser.parse_args()
    print("| messages | agents | steps | exposures | import, CPU s | all, CPU s | wall s | peak MB | archive MB | log MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for messages in given.sizes:
        print(measure(messages, given.more), flush=True)


if __name__ == "__main__":
    main()
