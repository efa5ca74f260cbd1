"""Our launcher: runs of a sweep handed to a pool, and what a person at the terminal sees of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from contagium.sim.analysis.text import visible
from contagium.sim.experiment.pool import Pool, Run
from contagium.sim.experiment.worker import Orders
from contagium.sim.job import INTERRUPTED

EMBEDDED = "contagium.agents.backends.llama."
"""Backends that bring a model of their own: it would be loaded once in each run, and they would share the cores."""

ENDED = {0: "done", 1: "failed", 2: "refused", 3: "stopped by its budget", INTERRUPTED: "interrupted"}


TRIES = 3
"""Of a run whose process died."""

RENEWED_AFTER = 32
"""Runs after which a process makes room for a fresh one, so that memory stays bounded."""


def launch(orders: Orders, overrides: Sequence[Sequence[str]], parallel: int | None) -> list[JobReturn]:
    """Make the runs and return one result each, in their order; its value is the status of the run.

    parallel: how many at once; None: one a core, or one alone where runs bring a model of their own.
    """
    runs = [Run(place, tuple(one)) for place, one in enumerate(overrides)]
    config = orders.context.config_loader.load_sweep_config(orders.config, list(overrides[0]))
    at_once = min(parallel or (1 if brings_a_model(config) else cores()), len(runs))
    with Watch(len(runs), at_once) as watch:
        Pool(orders, at_once, TRIES, RENEWED_AFTER, watch.told).make(runs)
    return [JobReturn(filter_overrides(run.overrides), status=JobStatus.COMPLETED, _return_value=run.status) for run in runs]


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def brings_a_model(config: DictConfig) -> bool:
    """Whether a group, an instrument or an intervention asks an embedded model."""
    plain_values = OmegaConf.to_container(OmegaConf.masked_copy(config, ["agents", "observer", "intervention", "backend"]))
    assert isinstance(plain_values, dict)
    left: list[object] = [plain_values[key] for key in ("agents", "observer", "intervention")]
    while left:
        part = left.pop()
        left += part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else []
        if part == "${backend}":
            left.append(plain_values["backend"])
        if isinstance(part, Mapping) and str(part.get("_target_")).startswith(EMBEDDED):
            return True
    return False


def label(run: Run) -> str:
    """A run by its place in the directory of the sweep."""
    return next(one.partition("=")[2] for one in run.overrides if one.startswith("hydra.sweep.subdir="))


class Watch:
    """A line for each run that ended, and a bar over all of them below."""

    def __init__(self, runs: int, parallel: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("runs"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("runs", total=runs)
        self._runs, self._ended = runs, 0
        self._console.print(f"{runs} run{'' if runs == 1 else 's'}, {parallel} at once")

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()

    def told(self, run: Run) -> None:
        if run.status is None:
            self._say(f"{label(run)}: {run.reason}; it is begun again where it was", "yellow")
            return
        self._ended += 1
        self._bar.update(self._task, completed=self._ended)
        how = ENDED.get(run.status, f"ended with status {run.status}")
        line = f"{self._ended}/{self._runs} {label(run)}: {how}, {run.seconds:.1f} s"
        self._say(line, "bold red" if run.status else None)
        if run.status not in (0, INTERRUPTED):
            for complaint in complaints(run):
                self._say(f"  {complaint}", "red")

    def _say(self, line: str, style: str | None) -> None:
        self._console.print(escape(visible(line)), style=style, soft_wrap=True)


def complaints(run: Run) -> list[str]:
    """What a run that failed said of it: its complaints, or the end of an error of the program."""
    lines = run.said.splitlines()
    ours = [line for line in lines if line.startswith("contagium: ") and "this arm of the sweep" not in line]
    if run.reason:
        return [run.reason]
    return lines[-12:] if "Traceback (most recent call last):" in lines else ours[-3:]
