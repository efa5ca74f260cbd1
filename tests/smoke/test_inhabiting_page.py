"""What docs/inhabiting.md shows can be done: its files are imported, its commands built, its blocks run."""

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.sim.laboratory import Laboratory, prepare
from contagium.sim.scenario import make_scenario

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inhabiting.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^contagium (.*)$", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the page's own files, from which Python imports."""
    for block in BLOCKS:
        if named := re.match(r"# (\w+\.py)\n", block):
            (tmp_path / named[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def built(command: str, directory: Path) -> Laboratory:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", shlex.split(command))
    return prepare(make_scenario(OmegaConf.to_container(config, resolve=True)), directory)


def test_all_is_tried() -> None:
    assert [len(BLOCKS), len(COMMANDS)] == [3, 5]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("command", [one for one in COMMANDS if "classic/" in one])
def test_games_are_built(command: str, here: Path) -> None:
    pytest.importorskip("pygame")
    world = built(command, here).world
    assert len(world.names) == 2
    assert world.choices[0] == "pass"


@pytest.mark.parametrize("command", [one for one in COMMANDS if "my_policy" in one])
def test_populations_are_built(command: str, here: Path) -> None:
    assert built(command, here).world.choices[1] == "take 1"


def test_the_board_is_put_into_words(here: Path) -> None:
    seen = np.zeros((3, 3, 2), dtype=np.int8)
    seen[0, 1, 0] = seen[2, 2, 1] = 1
    told = importlib.import_module("my_games").board("player_1", None, {"observation": seen}).split("; ")
    assert [told[0], told[1], told[8]] == ["cell 0: free", "cell 1: X", "cell 8: O"]


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_trained_saved_and_plays(here: Path) -> None:
    pytest.importorskip("stable_baselines3")
    exec(compile(BLOCKS[-1], "docs/inhabiting.md", "exec"), {})
    (command,) = [one for one in COMMANDS if "player.zip" in one]
    assert built(command, here).policies[0].independent
