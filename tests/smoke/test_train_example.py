"""The training example: what the player can reach, and, where Stable-Baselines3 is installed, a short training."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

PATH = Path(__file__).resolve().parents[2] / "examples" / "train.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_example", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def earned(example: ModuleType, valence: float) -> float:
    """Mean return of a player who always takes 3 and shows this valence."""
    action = np.r_[valence, 0, 0, 1, -1, -1, -1, 1].astype(np.float32)
    return float(np.mean(example.returns(example.make_env(0), lambda seen: action, 5, 1)))


@pytest.mark.filterwarnings("ignore:.*alternative render modes")
def test_there_is_something_to_learn(example: ModuleType) -> None:
    check_env(example.make_env(0))
    assert earned(example, 1.0) == 3 * example.STEPS, "a cheerful voice keeps the pasture alive to the end"
    assert earned(example, -1.0) < earned(example, 0.0) < 1.5 * example.STEPS
    env = example.make_env(0)
    env.action_space.seed(0)
    by_chance = example.returns(env, lambda seen: env.action_space.sample(), 10, 1)
    assert np.mean(by_chance) < example.STEPS


def test_without_a_trainer_it_says_what_to_install(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit, match=re.escape('pip install "contagium[train]"')):
        example.main()


@pytest.mark.filterwarnings("ignore")
def test_a_short_training_beats_chance(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(sys, "argv", ["train.py", "--steps", "4096", "--episodes", "10"])
    example.main()
    printed = dict(re.findall(r"\| (random|trained) \| ([\d.]+) \|", capsys.readouterr().out))
    assert float(printed["trained"]) > 1.2 * float(printed["random"])
