"""From an experiment to the runs it takes, each checked before any is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from contagium.sim.analysis.arms.feelings import ON_AXES
from contagium.sim.analysis.arms.outcomes import FIXED, OF_DISTRESS, ONCE_SEEN, RATES
from contagium.sim.analysis.arms.settings import differing, said
from contagium.sim.build import ScenarioError
from contagium.sim.commandline import UserError, hydra_line, plain, protect
from contagium.sim.experiment.composing import Composer
from contagium.sim.experiment.spec import Experiment
from contagium.sim.job import scenario_of
from contagium.sim.laboratory import Laboratory, prepare
from contagium.sim.log import LogError, open_run
from contagium.sim.scenario import Scenario

OWN = ("seed", "name")
"""What an experiment sets itself, in each run."""

WAYS = ("base_url", "api_key_env", "concurrency", "timeout")
"""Settings of backends that say how they are reached, not what is asked."""

State = Literal["missing", "begun", "done"]


@dataclass(frozen=True)
class Planned:
    """A run. overrides: all that Hydra needs to compose it. state: what its directory holds of it."""

    arm: str
    seed: int
    directory: Path
    overrides: tuple[str, ...]
    scenario: Scenario
    state: State = "missing"


def plan(composer: Composer) -> list[Planned]:
    """Every run of the experiment, the arms of a seed together. What the user overrides stands before all but the arms.

    UserError: an arm that does not compose or cannot be run, an outcome that no run has, a directory that holds something else.
    """
    experiment = composer.experiment
    _must_be_free(composer.given, experiment)
    common = (*experiment.common, *(experiment.fast if experiment.form == "fast" else ()), *composer.given)
    found: dict[tuple[int, str], Planned] = {}
    measured: set[str] = set()
    for arm, sets in experiment.run.items():
        try:
            _must_be_single(sets)
            overrides = [*map(protect, (*common, *sets)), f"name={composer.name}.{arm}"]
            runs = list(_of_arm(arm, overrides, experiment.seeds, composer))
            measured |= measurable(prepare(runs[0].scenario, runs[0].directory))
        except (UserError, ScenarioError, OmegaConfBaseException) as error:
            raise UserError(f"arm {arm}: {str(error).splitlines()[0]}") from error
        found |= {(run.seed, arm): run for run in runs}
    for outcome in experiment.outcomes:
        if outcome not in measured and not outcome.startswith(ONCE_SEEN):
            raise UserError(f"experiment.outcomes: there is no {outcome}; these runs have: {', '.join(sorted(measured))}")
    return [_looked_at(found[seed, arm], experiment.reported) for seed in experiment.seeds for arm in experiment.run]


def _of_arm(arm: str, overrides: Sequence[str], seeds: Sequence[int], composer: Composer) -> Iterator[Planned]:
    """The runs of an arm, which is composed once: they differ in their seed alone, and in what is made of it."""
    config = composer.composed(overrides)
    if "transcript" in config.env:
        raise UserError("env: a transcript cannot be an arm, for nothing in it can be changed")
    for seed, scenario in zip(seeds, _seeded(config, seeds), strict=True):
        whole = (*overrides, f"seed={seed}", f"hydra.sweep.subdir={arm}/{seed}")
        yield Planned(arm, seed, composer.directory / arm / str(seed), whole, scenario)


def _seeded(config: DictConfig, seeds: Sequence[int]) -> Iterator[Scenario]:
    """The scenario of each seed. Resolving takes long: it is done for all only where more than the key depends on it."""
    first = _with_seed(config, seeds[0])
    yield first
    alone = len(seeds) > 1 and first.model_copy(update={"seed": seeds[1]}) == _with_seed(config, seeds[1])
    for seed in seeds[1:]:
        yield first.model_copy(update={"seed": seed}) if alone else _with_seed(config, seed)


def _with_seed(config: DictConfig, seed: int) -> Scenario:
    config.seed = seed
    return scenario_of(config, Path())


def _parsed(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides([protect(one) for one in overrides])
    except HydraException as error:
        raise UserError(hydra_line(error)) from error


def _must_be_single(overrides: Sequence[str]) -> None:
    for one in _parsed(overrides):
        if one.is_sweep_override():
            raise UserError(f"{plain(str(one.input_line))}: one value is needed here; several values are several arms")


def _must_be_free(given: Sequence[str], experiment: Experiment) -> None:
    """UserError: the user sets what only the experiment or an arm can."""
    _must_be_single(given)
    setting = {one.key_or_group: arm for arm, sets in experiment.run.items() for one in _parsed(sets)}
    for one in _parsed(given):
        key = one.key_or_group
        if key in OWN:
            raise UserError(f"{key}: an experiment sets it itself (experiment.replicates: how many seeds)")
        if key in setting:
            arm, instead = setting[key], f"experiment.arms.{setting[key]}=['{plain(str(one.input_line))}', …]"
            raise UserError(f"{key}: the arm {arm} sets it; change the arm instead: {instead}")


def measurable(laboratory: Laboratory) -> set[str]:
    """Names of the outcomes that can be told of a run, but for those told only once it is over."""
    axes = laboratory.observer.chosen
    names = {outcome.name for outcome in (*FIXED, *RATES, *OF_DISTRESS)} | {"reward"}
    names |= {f"{family}_{axis}" for family in ON_AXES for axis in axes}
    return names | {f"chose_{choice}" for choice in laboratory.world.choices}


def _looked_at(run: Planned, reported: bool) -> Planned:
    """The run with the state of its directory. UserError: it holds another run."""
    path = run.directory / "scenario.yaml"
    if not path.exists():
        if (run.directory / "run.db").exists():
            raise UserError(f"{run.directory} holds a run without a scenario; choose another directory (hydra.sweep.dir=…)")
        return run
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    wanted = run.scenario.model_dump(mode="json", by_alias=True)
    if (difference := _difference(stored, wanted)) is not None:
        raise UserError(f"{run.directory} holds another run: {difference}; choose another directory (hydra.sweep.dir=…)")
    return replace(run, state="done" if _finished(run.directory, reported) else "begun")


def _difference(stored: Any, wanted: dict[str, Any]) -> str | None:
    """The first setting in which a stored scenario differs from the one wanted, of those that make a run what it is."""
    if not isinstance(stored, dict):
        return "it is no scenario"
    if stored.get("seed") != wanted["seed"]:
        return f"its seed is {said(stored.get('seed'))}, not {wanted['seed']}"
    found = differing([stored, wanted])
    return next((f"its {k} is {said(a)}, not {said(b)}" for k, (a, b) in found.items() if k.split(".")[-1] not in WAYS), None)


def _finished(directory: Path, reported: bool) -> bool:
    """Whether a run has come to its end, and its outputs tell of it if they are wanted."""
    if not (directory / "run.db").exists():
        return False
    try:
        if reported:
            return bool(json.loads((directory / "summary.json").read_text(encoding="utf-8"))["status"] == "finished")
        with closing(open_run(directory)) as run:
            return bool(run.meta["status"] == "finished")
    except (OSError, ValueError, KeyError, TypeError):
        return False  # what was not written, or is damaged, is made anew
    except LogError as error:
        raise UserError(str(error)) from error
