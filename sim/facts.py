"""What the log's `meta` says of a run as it begins."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from contagium import __version__
from contagium.sim.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from contagium.sim.laboratory import Laboratory

PACKAGES = ("numpy", "scipy", "networkx", "numba", "gymnasium", "pettingzoo", "openai", "xllamacpp", "hydra-core")


def facts(lab: Laboratory, command: str) -> dict[str, Any]:
    """What the log's `meta` says of a run as it begins."""
    scenario = lab.scenario
    watched = scenario.observer
    rules = {
        p.name: {"instrument": watched.case.instrument} | p.detection[watched.case.instrument].model_dump()
        for p in scenario.personas
    }
    # An emotional state is read off whatever instruments stand for its axis.
    rules |= {
        name: {"instrument": "+".join(watched.axes[rule.axis]), "axis": rule.axis, "enter": rule.enter, "stay": rule.stay}
        | {"false_positive_rate": rule.false_positive_rate}
        for name, rule in watched.states.items()
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.model_dump(mode="json", by_alias=True),
        "name": scenario.name,
        "seed": scenario.seed,
        "steps": scenario.steps,
        "axes": lab.axes.names,
        "strains": [*lab.axes.strains, *watched.states],
        "axis_instruments": lab.observer.chosen,
        "instruments": lab.observer.provenance,
        "detection": rules,
        "choices": lab.world.choices,
        "choices_ordered": lab.world.ordered,
        "index_agents": np.flatnonzero(lab.population.strain >= 0).tolist(),
        "versions": {"python": platform.python_version(), "contagium": __version__}
        | {package: version(package) for package in PACKAGES},
        "command": command,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "status": "running",
        "reason": None,
        "wall_seconds": None,
        "resumed": 0,
        "sample": lab.sample.facts,
    }
