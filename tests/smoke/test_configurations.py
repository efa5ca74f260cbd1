"""Every committed configuration composes and runs, in a small, fast form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

CONF = Path(__file__).parents[2] / "conf"
# `default` needs the sentence encoder's weights as soon as somebody speaks, and the embedded model its own.
QUICK = {"agents": "mechanistic", "observer": "lexicon", "backend": "parrot"}
CHOICES = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml"))


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=["=".join(pair) for pair in CHOICES])
def test_choice_runs(group: str, choice: str, application: Callable[..., int], tmp_path: Path, model_server: str) -> None:
    chosen = QUICK | {group: choice}
    extra = []
    if group == "backend":
        chosen["agents"] = "scripted" if choice == "llama" else "speaking"
    if (group, choice) == ("backend", "openai"):
        extra = [f"backend.base_url={model_server}", "backend.model=my-model"]
    if (group, choice) == ("backend", "replay"):
        recorded = ("agents=speaking", "backend=parrot", "observer=lexicon", "steps=2", "population.size=8", "seeding.count=2")
        assert application(*recorded, "hydra.run.dir=recorded") == 0
        extra = ["backend.journal=recorded"]
    if group == "memory":
        chosen["agents"], extra = "speaking", ["steps=4"]
    if (group, choice) == ("network", "file"):
        (tmp_path / "edges.csv").write_text("source,target\n0,1\n1,2\n2,3\n3,4\n4,5\n")
        extra = ["network.path=edges.csv"]
    if choice in ("archive", "archived"):
        (tmp_path / "messages.csv").write_text("who,text\nAnn,Hi\nBob,Hello\nAnn,Bye\nBob,Bye\n")
        chosen["env"], extra = "archive", ["env.transcript.file=messages.csv"]
    if group == "pressure":
        extra = ["steps=5"]
    if (group, choice) == ("agents", "learning"):
        chosen["env"] = "commons"
    if (group, choice) == ("agents", "mixed"):
        extra = ["population.size=9"]
    arguments = [f"{key}={value}" for key, value in chosen.items()]
    arguments = ["steps=2", "population.size=8", "seeding.count=2", *arguments, *extra, "hydra.run.dir=run"]
    assert application(*arguments, rendered=group == "agents") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["steps"] == summary["steps_planned"]
    assert summary["missing_turns"] == 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_every_persona_can_be_measured_by_every_case_instrument() -> None:
    import yaml

    instruments = set()
    for path in (CONF / "observer").glob("*.yaml"):
        instruments.add(yaml.safe_load(path.read_text()).get("case", {}).get("instrument", "direction"))
    for path in (CONF / "persona").glob("*.yaml"):
        assert instruments <= set(yaml.safe_load(path.read_text())["detection"]), path.name


@pytest.mark.weights
def test_the_main_job_runs_with_the_embedded_model(application: Callable[..., int], tmp_path: Path) -> None:
    status = application("steps=2", "population.size=4", "seeding.count=1", "hydra.run.dir=run")
    assert status == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["calls"] == 6
    assert summary["completion_tokens"] > 6
    assert summary["failed_readings"] == 0
