"""A process that makes one run after another, as it is told."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from contagium.sim.commandline import know_texts
from contagium.sim.job import INTERRUPTED

PRELOADED = (
    *("contagium.sim.application", "contagium.sim.analysis.study", "contagium.sim.analysis.summary", "contagium.sim.keys"),
    *("contagium.sim.analysis.findings", "contagium.sim.analysis.figures.run", "contagium.sim.analysis.report.chapters"),
    "contagium.agents.mechanistic.policy",
)
"""What every run needs: loaded once for all workers, in a process from which they are copied."""


@dataclass(frozen=True)
class Orders:
    """What holds for all runs of a sweep."""

    context: HydraContext
    config: DictConfig
    task: TaskFunction


def serve(pipe: Connection, orders: Orders, spoken: Path) -> None:
    """Receive (number, overrides) and send back the status of that run, until nothing more comes.

    spoken: the file that gets all that a run says, emptied before each. The process has a group of its own, so that Ctrl-C at the
    terminal reaches the one who gives the orders alone, who then says when to stop.
    """
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    setup_globals()
    know_texts()
    said = os.open(spoken, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())
    while True:
        try:
            number, overrides = pipe.recv()
            os.ftruncate(said, 0)
            pipe.send(_status(orders, number, overrides))
        except (EOFError, KeyboardInterrupt):
            return


def _status(orders: Orders, number: int, overrides: Sequence[str]) -> int:
    try:
        config = orders.context.config_loader.load_sweep_config(orders.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        done = run_job(
            task_function=orders.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=orders.context,
        )
        return int(done.return_value)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


def _end_with_parent() -> None:
    """Stop in order when the process that gives the orders is gone: nobody would hear of what is done, or paid, from then on."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGINT)
