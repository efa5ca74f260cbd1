"""From a scenario to a finished run directory, with its exit status."""

from __future__ import annotations

import asyncio
import gc
import shlex
import sys
from pathlib import Path

from rich.console import Console

from contagium.agents.backends.backend import BackendError
from contagium.agents.backends.journal import JournalError
from contagium.agents.weights import WeightsError
from contagium.envs.foreign.code import ForeignError
from contagium.sim.analysis import write_outputs
from contagium.sim.analysis.text import visible
from contagium.sim.build import ScenarioError
from contagium.sim.estimate import Estimate, estimate
from contagium.sim.laboratory import Laboratory, prepare
from contagium.sim.log import LogError
from contagium.sim.run import root, run
from contagium.sim.running import first_line
from contagium.sim.scenario import Scenario
from contagium.sim.terminal import Live, announce, show_estimate, show_summary

DONE, FAILED, REFUSED, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
RESUMABLE = (FAILED, STOPPED, INTERRUPTED)
EXPECTED = (BackendError, ForeignError, JournalError, LogError, OSError, WeightsError)
"""What can go wrong without being an error of the program."""


def perform(scenario: Scenario, directory: Path, command: str, resume: bool = False, reports: bool = True) -> int:
    """Run a scenario into `directory`, write its outputs, and return the exit status.

    0: done. 1: it failed after it had started; what was committed is analysed all the same. 2: it could not start, and nothing
    was written. 3: it ended in order at a cap of its budget. 130: interrupted. After 1, 3 and 130 what was committed is analysed,
    and the run can be resumed. resume: go on with the run in `directory`. reports: analyse; False: leave the log alone, for a
    comparison of many runs needs no more.
    """
    console = Console(stderr=True)
    live = Live(console, scenario.steps)
    try:
        if scenario.budget.estimate:
            show_estimate(console, estimated(scenario))
            return DONE
        laboratory = prepare(scenario, directory, live.say)
    except ScenarioError as error:
        return _complain(str(error), REFUSED)
    status, started = _run(laboratory, command, console, live, resume)
    del laboratory  # the report of a million agents needs the room
    if not started:
        return status
    try:
        if reports:
            show_summary(console, write_outputs(directory), directory)
    except (LogError, OSError) as error:
        status = _complain(f"the outputs are not complete: {error}", status or FAILED)
    if status in RESUMABLE:
        again = f"Go on with: contagium resume={shlex.quote(str(directory))}"
        console.print(again, markup=False, highlight=False, soft_wrap=True)
    return status


def estimated(scenario: Scenario) -> list[Estimate]:
    """What a run would take at most, model by model. ScenarioError: it cannot be run."""
    return asyncio.run(estimate(scenario))


def _rarely_collect() -> None:
    """Have Python look for cyclic garbage seldom: with a thousand calls in flight it would else spend more than calling does."""
    gc.collect()  # what the last arm of a sweep left must not be kept for good
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _run(laboratory: Laboratory, command: str, console: Console, live: Live, resume: bool) -> tuple[int, bool]:
    """Go through the steps: status, and whether any was begun. Any trouble becomes one line."""
    started = False

    def opened() -> None:
        nonlocal started
        started = True
        announce(console, laboratory)

    _rarely_collect()
    try:
        with live:
            asyncio.run(run(laboratory, command, live.update, opened, resume))
    except KeyboardInterrupt:
        return _complain("interrupted; the steps so far are kept" if started else "interrupted", INTERRUPTED), started
    except (*EXPECTED, ExceptionGroup) as error:
        first = root(error)
        if not isinstance(first, EXPECTED):
            raise
        stopped = isinstance(first, BackendError) and first.reason == "budget"
        return _complain(first_line(first), REFUSED if not started else STOPPED if stopped else FAILED), started
    return DONE, started


def _complain(line: str, status: int) -> int:
    # A line may quote what a server or a file said, which could hold commands to the terminal.
    print(f"contagium: {visible(line)}", file=sys.stderr)
    return status
