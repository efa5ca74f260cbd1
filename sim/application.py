"""From a scenario to a finished run directory, with its exit status."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import yaml
from rich.console import Console

from contagium.agents.backends.backend import BackendError
from contagium.agents.weights import WeightsError
from contagium.sim.analysis import write_outputs
from contagium.sim.analysis.text import visible
from contagium.sim.build import ScenarioError
from contagium.sim.log import LogError
from contagium.sim.run import Laboratory, first_line, prepare, root, run
from contagium.sim.scenario import Scenario
from contagium.sim.terminal import Live, announce, show_summary

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def perform(scenario: Scenario, directory: Path, command: str) -> int:
    """Run a scenario into `directory`, write its outputs, and return the exit status.

    0: done. 1: it failed after it had started; what was committed is analysed all the same. 2: it could not start, and nothing
    was written. 130: interrupted; what was committed is analysed.
    """
    console = Console(stderr=True)
    try:
        laboratory = prepare(scenario)
    except ScenarioError as error:
        return _complain(str(error), REFUSED)
    status, started = _run(laboratory, directory, command, console)
    if not started:
        return status
    try:
        show_summary(console, write_outputs(directory), directory)
    except (LogError, OSError) as error:
        return _complain(f"the outputs are not complete: {error}", status or FAILED)
    return status


def _run(laboratory: Laboratory, directory: Path, command: str, console: Console) -> tuple[int, bool]:
    """Go through the steps: status, and whether any was begun. Any trouble becomes one line."""
    started = False
    live = Live(console, laboratory.scenario.steps)

    def opened() -> None:
        nonlocal started
        composed = laboratory.scenario.model_dump(mode="json", by_alias=True)
        text = yaml.safe_dump(composed, sort_keys=False, allow_unicode=True)
        kept = directory / "scenario.yaml"
        try:
            kept.write_text(text, encoding="utf-8")
        except OSError:
            kept.unlink(missing_ok=True)
            raise
        started = True
        announce(console, laboratory, directory)

    try:
        with live:
            asyncio.run(run(laboratory, directory, command, live.update, opened))
    except KeyboardInterrupt:
        return _complain("interrupted; the steps so far are kept" if started else "interrupted", INTERRUPTED), started
    except (BackendError, LogError, OSError, WeightsError, ExceptionGroup) as error:
        first = root(error)
        if not isinstance(first, BackendError | LogError | OSError | WeightsError):
            raise
        return _complain(first_line(first), FAILED if started else REFUSED), started
    return DONE, started


def _complain(line: str, status: int) -> int:
    # A line may quote what a server or a file said, which could hold commands to the terminal.
    print(f"contagium: {visible(line)}", file=sys.stderr)
    return status
