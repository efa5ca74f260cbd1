"""The commands of docs/fitting.md run: runs are fitted, one is held out, a larger one is predicted, and the model runs."""

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.sim.analysis.fit.command import main, parser
from contagium.sim.laboratory import prepare
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fitting.md").read_text(encoding="utf-8")


@pytest.fixture
def replicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of three small runs in the places that the page names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    settings = [
        "agents=mechanistic",
        "model=sisa",
        "model.transmission_rate=0.3",
        "observer=lexicon",
        "population.size=30",
        "steps=8",
    ]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        for seed in range(3):
            scenario = OmegaConf.to_container(compose("config", [*settings, f"seed={seed}"]), resolve=True)
            laboratory = prepare(make_scenario(scenario), tmp_path / "multirun" / str(seed))
            asyncio.run(run(laboratory, "", lambda progress: None, lambda: None))


def test_the_commands_run(application: Callable[..., int], replicates: None, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert block is not None
    fit, again = block[1].strip().splitlines()
    arguments = shlex.split(fit.removeprefix("python -m contagium.sim.analysis fit "))
    capsys.readouterr()
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "Measured in 30 agents, predicted for 2,000" in said
    assert "predicted (95%)" in said
    assert "Run the model: contagium --config-dir fitted agents=mechanistic model=fitted coupling=fitted" in said
    found = json.loads(Path("fitted/fit.json").read_text())
    assert 0.1 < found["estimates"]["transmission"]["value"] < 0.9
    assert {one["run"] for one in found["held_out"]} == {"multirun/2"}
    drawn = {path.name for path in Path("fitted").glob("*.*")}
    assert {f"{name}.{kind}" for name in ("hazard", "held_out_1", "predicted") for kind in ("png", "svg", "pdf")} <= drawn
    quick = ("observer=lexicon", "steps=2", "population.size=6", "seeding.count=2", "hydra.run.dir=fitted/run")
    assert application(*shlex.split(again)[1:], *quick) == 0


def test_the_page_names_every_option() -> None:
    options = {option for action in parser()._actions for option in action.option_strings if option.startswith("--")}
    assert options - {"--help"} <= set(re.findall(r"--[a-z-]+", PAGE))
