"""The example of docs/interventions.md runs, and its tables name what there is."""

import asyncio
import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.sim.intervention import (
    delay,
    memory,
    monitor,
    overt,
    paraphrase,
    population,
    prompt,
    quarantine,
    rate,
    redact,
    state,
    suspicion,
    tag,
    ties,
    withholding,
)
from contagium.sim.intervention.base import Intervention
from contagium.sim.laboratory import prepare
from contagium.sim.log import open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "interventions.md").read_text(encoding="utf-8")
OURS = (prompt, memory, state, population, monitor, quarantine)
MODULES = (*OURS, overt, redact, paraphrase, tag, rate, delay, suspicion, withholding, ties)


def test_an_intervention_of_ones_own_is_a_class_and_a_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,), (text,) = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for kind in ("python", "yaml"))
    assert code.count("\n") + text.count("\n") <= 40
    (tmp_path / "curfew.py").write_text(code)
    (tmp_path / "intervention").mkdir()
    (tmp_path / "intervention" / "curfew.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    given = ["backend=parrot", "observer=lexicon", "steps=4", "population.size=8", "seeding.count=2", "intervention=curfew"]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", [f"hydra.searchpath=[file://{tmp_path}]", *given])
    scenario = make_scenario(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    asyncio.run(run(prepare(scenario, tmp_path / "run"), "test", lambda progress: None, lambda: None))
    log = open_run(tmp_path / "run" / "run.db")
    done = log.table("intervention").groupby(["step", "action"]).size().to_dict()
    log.close()
    assert done == {(2, "told"): 4, (2, "withheld"): 4}


def test_the_tables_name_all_kinds_and_choices() -> None:
    kinds = {
        f"{module.__name__.rsplit('.', 1)[-1]}.{name}"
        for module in MODULES
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, Intervention) and one.__module__ == module.__name__
    }
    assert kinds <= set(re.findall(r"^\| `(\w+\.\w+)` \|", PAGE, re.MULTILINE))
    choices = PAGE[PAGE.index("## Choices") : PAGE.index("## Write your own")]
    assert {path.stem for path in (ROOT / "conf" / "intervention").glob("*.yaml")} <= set(re.findall(r"`(\w+)`", choices))
