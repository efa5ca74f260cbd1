"""Processes that make runs, several at once; one that dies costs nothing but the step it was at."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from tempfile import TemporaryDirectory

from contagium.sim.experiment.worker import PRELOADED, Orders, serve
from contagium.sim.job import INTERRUPTED

PROCESSES = get_context("forkserver")


def warm_up() -> None:
    """Begin to load what every run needs, in a process of its own, while this one has other things to do."""
    PROCESSES.set_forkserver_preload(list(PRELOADED))
    ensure_running()


@dataclass
class Run:
    """One to be made. status: None until it has ended. tries: how often it was begun. said: what it said on its last try."""

    number: int
    overrides: Sequence[str]
    status: int | None = None
    tries: int = 0
    seconds: float = 0.0
    said: str = ""
    reason: str = ""


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Connection
    spoken: Path
    run: Run | None = None
    began: float = 0.0
    made: int = 0


@dataclass
class Pool:
    """parallel: processes at once. tries: of a run whose process died. renewed_after: runs that a process makes.

    told: called with each run that ended, and with each that is begun again.
    """

    orders: Orders
    parallel: int
    tries: int
    renewed_after: int
    told: Callable[[Run], None]
    _workers: list[_Worker] = field(default_factory=list)
    _begun: int = 0

    def make(self, runs: Sequence[Run]) -> None:
        """Make all runs. KeyboardInterrupt: those under way have ended in order, the others have no status."""
        warm_up()
        left = deque(runs)
        with TemporaryDirectory(prefix="contagium-") as folder:
            try:
                self._make(left, Path(folder))
            except KeyboardInterrupt:
                left.clear()
                self._end_in_order()
                raise
            finally:
                for worker in self._workers:
                    worker.process.kill()
                    worker.process.join()
                self._workers.clear()

    def _make(self, left: deque[Run], folder: Path) -> None:
        while left or any(worker.run for worker in self._workers):
            while left and sum(worker.run is not None for worker in self._workers) < self.parallel:
                worker = next((one for one in self._workers if one.run is None), None) or self._hired(folder)
                run = left.popleft()
                worker.run, worker.began, run.tries = run, time.monotonic(), run.tries + 1
                with suppress(OSError):  # one that died meanwhile is found below
                    worker.pipe.send((run.number, run.overrides))
            for worker in self._heard():
                if (again := self._taken_from(worker)) is not None:
                    left.appendleft(again)

    def _hired(self, folder: Path) -> _Worker:
        ours, theirs = PROCESSES.Pipe()
        spoken = folder / str(self._begun)
        self._begun += 1
        process = PROCESSES.Process(target=serve, args=(theirs, self.orders, spoken), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, spoken))
        return self._workers[-1]

    def _heard(self) -> list[_Worker]:
        """Those who sent something or died, whichever comes first."""
        ready = wait([worker.pipe for worker in self._workers if worker.run])
        return [worker for worker in self._workers if worker.pipe in ready]

    def _taken_from(self, worker: _Worker) -> Run | None:
        """The run of a worker who has done with it, if it must be begun again."""
        run, worker.run = worker.run, None
        assert run is not None
        run.seconds += time.monotonic() - worker.began
        worker.made += 1
        try:
            run.status = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode or 0
            run.reason = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with status {code}"
            run.status = 1 if run.tries >= self.tries else None
        run.said = worker.spoken.read_text(encoding="utf-8", errors="replace") if worker.spoken.exists() else ""
        if worker.made >= self.renewed_after or not worker.process.is_alive():
            self._workers.remove(worker)
            worker.pipe.close()
            worker.process.join()
        self.told(run)
        return run if run.status is None else None

    def _end_in_order(self) -> None:
        """Have runs under way end as they do at Ctrl-C. A second Ctrl-C does not wait for them."""
        for worker in self._workers:
            if worker.run is not None and worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGINT)
        while any(worker.run for worker in self._workers):
            for worker in self._heard():
                if (run := self._taken_from(worker)) is not None:
                    run.status = INTERRUPTED
