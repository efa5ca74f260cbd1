"""Going on with a run that was stopped, from its directory alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from contagium.sim.application import perform
from contagium.sim.build import ScenarioError, must_be_ours
from contagium.sim.scenario import Scenario, make_scenario

CHANGEABLE = (
    *("budget", "calls", "run.max_missing"),
    *("backend.base_url", "backend.api_key_env", "backend.concurrency", "backend.timeout"),
)
"""Keys that decide how calls are made and when a run stops, but not what is asked: they may differ from one start to the next."""


def resume(directory: Path, overrides: Sequence[str], command: str) -> int:
    """Go on with the run in `directory` and return the exit status, as `perform` does.

    overrides: `key=value`, of keys in CHANGEABLE or below. ScenarioError for any other, or where there is no run.
    """
    return perform(stored(directory, overrides), directory, command, resume=True)


def stored(directory: Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario that `directory` was run with, with a few keys changed.

    ScenarioError where it cannot be read, or would run code that is neither ours nor trusted: a directory may come from anybody.
    """
    path = directory / "scenario.yaml"
    try:
        composed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        where = "it holds no scenario.yaml" if directory.is_dir() else "there is no such directory"
        raise ScenarioError(f"{directory}: {where}; name the directory of a run that had begun") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{directory}: cannot read scenario.yaml: {' '.join(str(error).split())}") from error
    if not isinstance(composed, dict):
        raise ScenarioError(f"{directory}: scenario.yaml is no scenario")
    must_be_ours(composed)
    for override in overrides:
        _change(composed, override)
    return make_scenario(composed)


def _change(composed: dict[str, Any], override: str) -> None:
    """Apply one override to a composed scenario."""
    key, equals, _ = override.partition("=")
    if not equals or not any(key == allowed or key.startswith(f"{allowed}.") for allowed in CHANGEABLE):
        raise ScenarioError(f"{key}: cannot be changed in a run that has begun; only these can: {', '.join(CHANGEABLE)}")
    try:
        changed = OmegaConf.to_container(OmegaConf.from_dotlist([override]), resolve=True)
    except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise ScenarioError(f"{override}: not of the form key=value ({' '.join(str(error).split())})") from error
    assert isinstance(changed, dict)
    before = composed.get("backend")
    _merge(composed, changed)
    asks = [
        composed.get("agents", {}).get("groups"),
        composed.get("observer", {}).get("instruments"),
        composed.get("intervention"),
    ]
    for part in (one for found in asks for one in (found or {}).values() if one):
        # The groups, instruments and interventions that used the scenario's backend go on doing so.
        if "backend" in changed and part.get("backend") == before:
            part["backend"] = composed["backend"]


def _merge(into: dict[str, Any], new: dict[Any, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            into[key] = dict(into[key])
            _merge(into[key], value)
        else:
            into[key] = value
