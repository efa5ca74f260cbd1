"""The dose-response benchmark, run on the backend whose answer is known."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from contagium.agents.persona import Persona

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "dose_response.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dose_response", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_it_finds_the_parrots_curve(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["parrot", "--replies", "100", "--set", "adoption=0.4", "--out", str(tmp_path / "curve")]
    monkeypatch.setattr("sys.argv", ["dose_response.py", *arguments, "--keep", str(tmp_path / "replies.csv")])
    benchmark.main()
    rows = json.loads((tmp_path / "curve.json").read_text())["doses"]
    assert [row["dose"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[0]["adopted"] == 0
    for row in rows:
        truth = 1 - 0.6 ** row["dose"]
        assert abs(row["adopted_share"] - truth) <= 3 * (truth * (1 - truth) / 100) ** 0.5
        assert row["copied"] == row["failed"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"curve.json", "curve.png", "curve.svg", "replies.csv"}
    assert "dose 5: 100 replies" in capsys.readouterr().out


def test_copying_is_told_from_own_words(benchmark: ModuleType) -> None:
    line = ["Say it with me and you will remember too."]
    assert benchmark.copies("Please, say it -- with me and YOU!", line)
    assert not benchmark.copies("Say it with me and she will remember.", line)


def test_lexicon_matches_words_not_parts(benchmark: ModuleType) -> None:
    words = benchmark.lexicon(Persona(name="x", facets={"a": ("spiral*", "hum", "we are one")}))
    assert all(map(words.search, ("Spirals!", "a hum.", "so We are one")))
    assert not any(map(words.search, ("human", "we are ones", "aspiral")))


def test_one_line_for_bad_input(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["parrot", "--set", "adoption=2"], ["nowhere"], ["parrot", "--set", "adopt=1"]):
        monkeypatch.setattr("sys.argv", ["dose_response.py", *arguments])
        with pytest.raises(SystemExit) as raised:
            benchmark.main()
        assert str(raised.value.code).count("\n") == 0
        assert raised.value.code not in (0, None)
