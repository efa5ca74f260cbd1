"""An experiment of many fast runs: how busy it keeps the cores, what a killed worker costs, and that only what is missing is run.

    python benchmarks/experiment.py [--runs 64] [--reports]

Times are CPU of all processes of the command, sampled every half second. On a shared machine others take their part, so what is
told beside the share of all cores is the share of what others left: CPU used / (CPU used + idle). Linux only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

EXPERIMENT = """
hypothesis: [H1]
rationale: To measure how experiments are carried out.
baseline: none
arms: {none: [], quarantine: [intervention=quarantine]}
common: [pressure=none]
fast: [agents=mechanistic, observer=lexicon, population.size=40]
outcomes: {attack_rate: {quarantine: "-"}}
cost: nothing
"""

TICKS = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))


@dataclass
class Watched:
    """A command with all its descendants, which share its session. cpu: seconds by process. memory: most of any, bytes."""

    process: subprocess.Popen[str]
    cpu: dict[int, float] = field(default_factory=dict)
    memory: int = 0

    def look(self) -> None:
        for place in Path("/proc").glob("[0-9]*"):
            try:
                stat = (place / "stat").read_text().rpartition(")")[2].split()
                resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                continue  # it has ended meanwhile
            if int(stat[3]) == self.process.pid:
                self.cpu[int(place.name)] = (int(stat[11]) + int(stat[12])) / TICKS
                self.memory = max(self.memory, resident)

    def a_worker(self) -> int:
        """One that leads a group of its own, the busiest."""
        leaders = [pid for pid in self.cpu if pid != self.process.pid and _leads(pid)]
        return max(leaders, key=lambda pid: self.cpu[pid])


def _leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def idle() -> float:
    """Seconds for which cores of the machine had nothing to do."""
    return int(Path("/proc/stat").read_text().split(None, 5)[4]) / TICKS


def carry_out(runs: int, reports: bool, folder: Path, kill_after: int | None) -> str:
    """Its lines on the terminal, below what was measured. kill_after: kill a worker once so many runs are done."""
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "many.yaml").write_text(EXPERIMENT)
    command = [sys.executable, "-m", "contagium.sim", "experiment=many", f"--config-dir={folder}", "experiment.form=fast"]
    command += [f"experiment.replicates={runs // 2}", f"experiment.reports={reports}", f"hydra.sweep.dir={folder / 'sweep'}"]
    said, began, idle_before = folder / "said.txt", time.perf_counter(), idle()
    killed = kill_after is None
    with said.open("w") as out:
        watched = Watched(subprocess.Popen(command, stdout=out, stderr=out, text=True, start_new_session=True))
        while watched.process.poll() is None:
            watched.look()
            done = len(re.findall(r": done, ", said.read_text()))
            if not killed and kill_after is not None and done >= kill_after:
                os.kill(watched.a_worker(), signal.SIGKILL)
                killed = True
            time.sleep(0.5)
    wall, used = time.perf_counter() - began, sum(watched.cpu.values())
    left = used + idle() - idle_before
    print(
        f"- {wall:.0f} s, {used:.0f} s of CPU: {used / wall / CORES:.0%} of {CORES} cores, "
        f"{used / left:.0%} of what others left; "
        f"most memory of a process {watched.memory / 1e6:.0f} MB; status {watched.process.returncode}"
    )
    return said.read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--reports", action="store_true", help="write every run's report, most of the work of a fast run")
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{given.runs} runs, one worker killed on the way:")
        said = carry_out(given.runs, given.reports, folder, given.runs // 3)
        print(*(f"  {line}" for line in said.splitlines() if "begun again" in line or " runs, " in line), sep="\n")
        for seed in (1, 2, 3):
            shutil.rmtree(folder / "sweep" / "none" / str(seed))
        print("three runs removed, the same again:")
        said = carry_out(given.runs, given.reports, folder, None)
        print(*(f"  {line}" for line in said.splitlines() if " are done, " in line or ": done, " in line), sep="\n")


if __name__ == "__main__":
    main()
