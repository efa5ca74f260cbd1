"""Set the case threshold of a persona against control runs, and show what it means for agents.

    contagium -m seeding.count=0 'seed=range(101,107)' hydra.sweep.dir=multirun/control
    contagium -m 'seed=range(1,7)' hydra.sweep.dir=multirun/exposed
    python benchmarks/calibrate_case.py --control multirun/control/* --exposed multirun/exposed/*

In control runs nobody carries the persona, so every reading that reaches a threshold is a false positive. Only messages of
agents who are not index cases count. Prints two Markdown tables: the share of messages that reach each threshold, with Wilson
95% intervals, and the share of agents that the case definition would ever call a case.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import contagium
from contagium.sim.observer.case import CaseDefinition
from contagium.sim.observer.tracker import CaseTracker

LEVELS = (0.50, 0.70, 0.80, 0.90, 0.94, 0.96, 0.98)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--control", nargs="+", required=True, help="directories of runs without index cases")
    parser.add_argument("--exposed", nargs="*", default=[], help="directories of runs with index cases")
    parser.add_argument("--instrument", default="direction")
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS, help="thresholds to show")
    parser.add_argument("--rate", type=float, default=0.01, help="wanted share of false positive messages")
    chosen = parser.parse_args()
    runs = {"control": read(chosen.control, chosen.instrument), "exposed": read(chosen.exposed, chosen.instrument)}
    print(messages_table(runs, chosen.levels))
    print(agents_table(runs, chosen.levels))
    control = np.concatenate([run["value"].to_numpy() for run in runs["control"]])
    print(f"{1 - chosen.rate:.0%} of control messages read below {np.quantile(control, 1 - chosen.rate):.3f}")


def read(directories: Sequence[str], instrument: str) -> list[pd.DataFrame]:
    """For each run the good readings of its strain axis: columns step, agent, value; index cases left out."""
    frames = []
    for directory in directories:
        run = contagium.open_run(directory)
        readings = run.read(instrument, run.meta["strains"][0])
        wanted = readings["value"].notna() & ~readings["agent"].isin(run.meta["index_agents"])
        frames.append(readings[wanted][["step", "agent", "value"]])
        run.close()
    return frames


def messages_table(runs: dict[str, list[pd.DataFrame]], levels: Sequence[float]) -> str:
    lines = ["| messages that read at least | control | exposed |", "| --- | --- | --- |"]
    for level in levels:
        cells = []
        for frames in runs.values():
            values = np.concatenate([frame["value"].to_numpy() for frame in frames]) if frames else np.empty(0)
            cells.append(share(int((values >= level).sum()), len(values)))
        lines.append(f"| {level:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def agents_table(runs: dict[str, list[pd.DataFrame]], levels: Sequence[float]) -> str:
    lines = ["| enter | needed | control agents ever a case | exposed agents ever a case, by run |", "| --- | --- | --- | --- |"]
    for enter in levels:
        for confirm, window in ((1, 1), (2, 3)):
            counts = {arm: [cases(frame, enter, confirm, window) for frame in frames] for arm, frames in runs.items()}
            control = share(sum(c for c, _ in counts["control"]), sum(n for _, n in counts["control"]))
            exposed = ", ".join(f"{c}/{n}" for c, n in counts["exposed"])
            lines.append(f"| {enter:.2f} | {confirm} of {window} | {control} | {exposed} |")
    return "\n".join(lines) + "\n"


def cases(frame: pd.DataFrame, enter: float, confirm: int, window: int) -> tuple[int, int]:
    """How many agents the product's own case tracker would ever call a case, and of how many."""
    agents = np.unique(frame["agent"].to_numpy())
    tracker = CaseTracker(CaseDefinition(confirm=confirm, window=window), np.zeros(int(agents.max()) + 1, dtype=bool))
    ever: set[int] = set()
    for step, spoken in frame.sort_values(["step", "agent"]).groupby("step"):
        reached = spoken["value"].to_numpy() >= enter
        moves = tracker.read(step, spoken["agent"].to_numpy(), reached, reached)
        ever |= set(moves.agents[moves.target == 1].tolist())
    return len(ever), len(agents)


def share(count: int, of: int) -> str:
    if not of:
        return "none"
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count}/{of} = {count / of:.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
