"""What Hydra gives a sweep, given to an experiment: how runs are composed, and the launcher that makes them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from contagium.sim.commandline import UserError, hydra_line, plain
from contagium.sim.experiment.asked import launched_by_hydra
from contagium.sim.experiment.launch import launch
from contagium.sim.experiment.spec import Experiment, make_experiment
from contagium.sim.experiment.worker import Orders
from contagium.sim.job import EXPERIMENT, WITHOUT_REPORTS, job

Launch = Callable[[Sequence[Sequence[str]], int | None], Sequence[JobReturn]]
"""Takes the overrides of each run, and how many to make at once, None: as many as suit."""


@dataclass(frozen=True)
class Composer:
    """config: of the sweep. given: what the user overrides in every run, as it was typed."""

    loader: ConfigLoader
    config: DictConfig
    experiment: Experiment
    given: tuple[str, ...]
    launch: Launch

    @property
    def name(self) -> str:
        """What the experiment is called: its file."""
        return str(self.config.hydra.runtime.choices.experiment).replace("/", ".")

    @property
    def directory(self) -> Path:
        return Path(self.config.hydra.sweep.dir)

    def composed(self, overrides: Sequence[str]) -> DictConfig:
        """One run, without Hydra's part. UserError: it does not compose."""
        try:
            whole = self.loader.load_sweep_config(self.config, list(overrides))
        except HydraException as error:
            raise UserError(hydra_line(error)) from error
        return OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])


def composer_of(arguments: Sequence[str]) -> Composer:
    """arguments: of the command line, as made by `for_hydra`. Ours is the launcher where they choose none.

    HydraException, UserError: they do not compose.
    """
    given = get_args_parser().parse_intermixed_args(list(arguments))
    if given.config_name or given.config_path:
        raise UserError("an experiment is run on the configuration `config`; --config-dir adds files of your own")
    setup_globals()
    loader = ConfigLoaderImpl(_search_path(given.config_dir))
    of_sweep = [one for one in given.overrides if re.match(r"[+~]*(experiment|hydra)\b", one)]
    own = tuple(plain(one) for one in given.overrides if one not in of_sweep)
    config = loader.load_configuration("config", of_sweep, RunMode.RUN)
    experiment = make_experiment(OmegaConf.to_container(config.experiment))
    # So that a job knows what it is one of, whatever launcher hands it over.
    config.hydra.job.name = EXPERIMENT if experiment.reported else WITHOUT_REPORTS
    config.hydra.mode = RunMode.MULTIRUN
    config.hydra.overrides.hydra.extend([f"hydra.job.name={config.hydra.job.name}", "hydra.mode=MULTIRUN"])
    context = HydraContext(config_loader=loader, callbacks=Callbacks(config))
    if launched_by_hydra(of_sweep):
        chosen = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=job, config=config)
        return Composer(loader, config, experiment, own, lambda runs, parallel: chosen.launch(runs, initial_job_idx=0))
    return Composer(loader, config, experiment, own, partial(launch, Orders(context, config, job)))


def _search_path(config_dir: str | None) -> ConfigSearchPath:
    path = create_config_search_path("pkg://contagium.conf")
    if config_dir is not None:
        if not os.path.isdir(config_dir):
            raise UserError(f"--config-dir: there is no directory {config_dir}")
        path.prepend("command-line", f"file://{os.path.abspath(config_dir)}", SearchPathQuery(provider="schema"))
    return path
