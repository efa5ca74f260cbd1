"""One run as Hydra hands it over: alone, or as one of a sweep, in this process or in another."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from contagium.sim.commandline import UserError, complain, know_texts, plain

if TYPE_CHECKING:
    from contagium.sim.scenario import Scenario

ARCHIVE = "archive.db"
"""The file in the directory of a run that holds an imported transcript."""

INTERRUPTED = 130

EXPERIMENT, WITHOUT_REPORTS = "experiment", "experiment_without_reports"
"""The `hydra.job.name` of runs that belong to an experiment, by what they are to leave."""

failed: list[int] = []
"""Statuses of the runs of the present sweep that failed; Hydra's launcher keeps what a job returns to itself."""


def job(config: DictConfig) -> int:
    """What Hydra runs once, or once for each combination of a sweep: its status. SystemExit: a single run did not end well.

    No other exception leaves it, for Hydra would print all arguments above each. A run of an experiment that had begun is gone on
    with.
    """
    from contagium.sim.application import perform

    running = HydraConfig.get()
    directory = Path(running.runtime.output_dir)
    # As a plain list, for a configuration would resolve what stands in it.
    arguments = cast(list[str], OmegaConf.to_container(running.overrides.task))
    command = shlex.join(["contagium", *map(plain, arguments)])
    imported = (directory / ARCHIVE).exists()
    try:
        resume = _of_an_experiment() and (directory / "scenario.yaml").exists()
        reports = running.job.name != WITHOUT_REPORTS
        status = perform(scenario_of(config, directory), directory, command, resume, reports)
    except UserError as error:
        status = complain(str(error), 2)
    except OmegaConfBaseException as error:
        status = complain(str(error).splitlines()[0], 2)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception:
        # An error of the program itself, to be reported with all there is to know.
        traceback.print_exc()
        status = 1
    if not imported and not (directory / "run.db").exists():
        (directory / ARCHIVE).unlink(missing_ok=True)
    _leave_nothing(directory)
    if status and (status == INTERRUPTED or not _of_a_sweep_that_goes_on()):
        sys.exit(status)
    if status:
        print(f"contagium: this arm of the sweep failed: {' '.join(map(plain, arguments))}", file=sys.stderr)
        failed.append(status)
    return status


def _of_an_experiment() -> bool:
    return HydraConfig.get().job.name in (EXPERIMENT, WITHOUT_REPORTS)


def _of_a_sweep_that_goes_on() -> bool:
    """Whether the next run of the sweep can be made all the same: it is one of an experiment, or of a sweep in this process."""
    running = HydraConfig.get()
    here = running.mode == RunMode.MULTIRUN and running.launcher._target_.endswith("BasicLauncher")
    return here or _of_an_experiment()


def scenario_of(config: DictConfig, directory: Path) -> Scenario:
    """The scenario of a composed configuration. UserError says in one line what is wrong with it."""
    from contagium.sim.build import ScenarioError
    from contagium.sim.scenario import make_scenario

    know_texts()
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{missing[0]}: a value is needed, e.g. {missing[0]}=…")
    try:
        return make_scenario(_composed(config, directory))
    except ScenarioError as error:
        raise UserError(str(error)) from error


def _composed(config: DictConfig, directory: Path) -> dict[str, Any]:
    """The configuration as plain values; a transcript that it names is imported into the directory of the run."""
    imports = "transcript" in config.env
    if imports:
        from contagium.sim.corpus.observe import import_into

        config.env.path = str(directory.absolute() / ARCHIVE)  # what else names it is resolved from here
    composed = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    return import_into(Path(config.env.path), composed) if imports else composed


def _leave_nothing(directory: Path) -> None:
    """Remove what Hydra made, where a run left nothing in it: its directory and, up to here, those above it."""
    here = Path.cwd()
    try:
        for place in (directory, *(above for above in directory.parents if here in above.parents)):
            place.rmdir()
    except OSError:
        return
