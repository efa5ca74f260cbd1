"""Every committed experiment: what its arms set exists, and its last arm composes, runs in its fast form and tells its outcomes.

To compose and run every arm of all of them takes minutes. `contagium experiment=NAME experiment.form=fast budget.estimate=true`
composes and builds all arms of one.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Sequence
from contextlib import closing
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from contagium.sim.analysis.arms.outcomes import ONCE_SEEN, measured
from contagium.sim.commandline import protect
from contagium.sim.experiment.asked import for_hydra
from contagium.sim.experiment.composing import Composer, composer_of
from contagium.sim.experiment.plan import _parsed
from contagium.sim.experiment.spec import make_experiment
from contagium.sim.job import scenario_of
from contagium.sim.laboratory import prepare
from contagium.sim.log import open_run
from contagium.sim.run import run

CONF = Path(__file__).parents[2] / "conf"
STATED = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("experiment/*.yaml"))}


@pytest.fixture(scope="module")
def composer() -> Composer:
    """What composes a run, of whichever experiment."""
    return composer_of(for_hydra([f"experiment={next(iter(STATED))}"]))


@pytest.mark.parametrize("name", STATED)
def test_an_experiment_composes_and_runs(name: str, composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stated = make_experiment(STATED[name])
    arm = list(stated.arms.values())[-1]
    config = composer.composed([*map(protect, (*stated.common, *stated.fast, *arm))])
    known = OmegaConf.to_container(config, resolve=False)
    assert isinstance(known, dict)
    for sets in stated.arms.values():
        _must_be_there((*stated.common, *sets), known)
    laboratory = prepare(scenario_of(config, tmp_path), tmp_path / "run")
    asyncio.run(run(laboratory, "", lambda _: None, lambda: None))
    with closing(open_run(tmp_path / "run")) as made:
        told = {outcome.name: value.value for outcome, value in measured(made)[0].items()}
    world = inspect.getsource(sys.modules[type(laboratory.world).__module__])
    for outcome in set(stated.outcomes) - set(told):
        assert outcome.startswith(ONCE_SEEN), f"there is no {outcome}"
        assert f'"{outcome.partition("_")[2]}"' in world, f"nothing in this world tells {outcome}"
    main = next(iter(stated.outcomes))
    assert told[main] is not None, f"{main} is the main outcome, and a run of the fast form should have it"


def test_arms_differ() -> None:
    for name, stated in STATED.items():
        arms = [tuple(sets) for sets in stated["arms"].values()]
        assert len(set(arms)) == len(arms), name


def test_the_page_lists_every_experiment() -> None:
    page = (CONF.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
    for name, stated in STATED.items():
        assert f"| `{name}` | {', '.join(stated['hypothesis'])} |" in page
        assert f"| {stated['replicates']} × {len(stated['arms'])} |" in next(
            x for x in page.splitlines() if f"| `{name}` | H" in x
        )


def _must_be_there(overrides: Sequence[str], composed: dict[Any, Any]) -> None:
    """Choices are files, and keys stand in the configuration, in a chosen file, or were added before."""
    known, values = deepcopy(composed), []
    for one in _parsed(overrides):
        if (CONF / one.key_or_group).is_dir():
            chosen: Any = one.value()
            choices = chosen if isinstance(chosen, list) else [chosen]
            known[one.key_or_group] = {k: v for choice in choices for k, v in _file(one.key_or_group, choice).items()}
        else:
            values.append(one)
    for one in values:
        *path, last = one.key_or_group.split(".")
        node = reduce(getitem, path, known)
        assert one.is_add() or last in node, f"{one.input_line}: there is no {one.key_or_group}"
        node[last] = one.value()


def _file(group: str, choice: Any) -> dict[Any, Any]:
    """A choice of a group, upon those it is made from."""
    stated = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text())
    inherited = [_file(group, other) for other in stated.pop("defaults", ()) if isinstance(other, str) and other != "_self_"]
    return {k: v for part in (*inherited, stated) for k, v in part.items()}
