"""An experiment from its file to its comparison, and the page about it. Committed ones: test_committed_experiments.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from contagium.sim.experiment.spec import make_experiment

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"

SMALL = """
hypothesis: [H1]
rationale: To see that it runs.
baseline: none
arms: {none: [], cut: [intervention=quarantine]}
fast: [agents=mechanistic, observer=lexicon, population.size=8, steps=2, seeding.count=2]
outcomes: {attack_rate: {cut: "-"}, took_off: {}}
cost: nothing
"""


def test_an_experiment_from_its_file_to_its_comparison(
    application: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "small.yaml").write_text(SMALL)
    given = ("experiment=small", "--config-dir", str(tmp_path), "experiment.form=fast", "hydra.sweep.dir=sweep")
    assert application(*given, "experiment.replicates=1", "hydra/launcher=basic") == 0
    assert not (tmp_path / "sweep" / "none" / "1" / "report.html").exists()
    (tmp_path / "sweep" / "cut" / "1" / "run.db").rename(tmp_path / "elsewhere.db")
    capsys.readouterr()
    assert application(*given, "experiment.replicates=1", "hydra/launcher=basic") == 0, "gone on with"
    said = capsys.readouterr()
    assert "1 are done, 1 begun, 0 missing" in said.err
    assert "What was expected, and what was seen" in said.out
    found = json.loads((tmp_path / "sweep" / "experiment.json").read_text())
    assert (found["name"], found["runs"]) == ("small", {"none": 1, "cut": 1})
    assert [(v["outcome"], v["arm"], v["expected"], v["seen"]) for v in found["verdicts"]] == [
        ("attack_rate", "cut", "-", None),
        ("took_off", "cut", "?", "0"),
    ]
    assert "To see that it runs." in (tmp_path / "sweep" / "comparison.html").read_text()
    assert application(*given, "steps=3", "hydra/launcher=basic") == 2
    assert "holds another run: its steps is 2, not 3" in capsys.readouterr().err


def test_the_example_of_the_page_is_an_experiment() -> None:
    page = PAGE.read_text(encoding="utf-8")
    stated = make_experiment(yaml.safe_load(page.split("```yaml\n")[1].split("```")[0]))
    assert set(stated.arms) == {"none", "half", "all"}
    keys = [line.split("`")[1].partition(".")[2] for line in page.splitlines() if line.startswith("| `experiment.")]
    assert set(keys) <= set(type(stated).model_fields)
    assert set(keys) == {"form", "replicates", "only", "parallel", "reports"}
