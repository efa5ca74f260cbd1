"""Every committed configuration composes and runs, in a small, fast form."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import networkx as nx
import pytest

from contagium.sim.job import WITHOUT_REPORTS
from contagium.sim.log import open_run

CONF = Path(__file__).parents[2] / "conf"
# `default` needs the sentence encoder's weights as soon as somebody speaks, and the embedded model its own.
QUICK = {"agents": "mechanistic", "observer": "lexicon", "backend": "parrot"}
GAME = [
    "+env.settings.world=commons",
    "+env.settings.text=false",
    "env.players=size",
    "env.actions={modest: [0,0,0,0,1,-1,1,-1,-1], greedy: [0,0,0,0,1,-1,-1,-1,1]}",
]
# Of these groups each choice is composed and begun in tests of its own: test_experiments.py, test_interventions_in_runs.py,
# test_network_generators.py, test_personas.py, test_pressure.py.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "experiment": (),
    "intervention": ("none", "quarantine"),
    "network": ("complete", "random", "small_world", "scale_free", "file", "contacts", "graphml", "blocks", "layers"),
    "persona": ("spiral", "spiral_gated", "birdsong"),
    "pressure": ("none", "rejection"),
}
REPORTED = ("agents", "env", "observer")
"""Groups whose choices change what a report shows."""
FILES = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml"))
CHOICES = [(group, choice) for group, choice in FILES if choice in ELSEWHERE.get(group, (choice,))]


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=["=".join(pair) for pair in CHOICES])
def test_choice_runs(
    group: str, choice: str, application: Callable[..., int], tmp_path: Path, model_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    if (group, choice) == ("network", "contacts"):
        (tmp_path / "contacts.csv").write_text("step,source,target\n0,0,1\n1,1,2\n")
        extra = ["network.path=contacts.csv"]
    if (group, choice) == ("network", "graphml"):
        nx.write_graphml(nx.path_graph(8), tmp_path / "ties.graphml")
        extra = ["network.path=ties.graphml"]
    if choice == "layered":
        chosen["network"] = "layers"
    if choice in ("archive", "archived"):
        (tmp_path / "messages.csv").write_text("who,text\nAnn,Hi\nBob,Hello\nAnn,Bye\nBob,Bye\n")
        chosen["env"], extra = "archive", ["env.transcript.file=messages.csv"]
    if group == "pressure":
        extra = ["steps=5"]
    if (group, choice) == ("agents", "learning"):
        chosen["env"] = "commons"
    if (group, choice) == ("env", "pettingzoo"):
        extra = ["env.make=contagium.envs.parallel.parallel_env", *GAME]
    if choice in ("trained", "trained_mixed"):
        (tmp_path / "my_policy.py").write_text("import numpy as np\n\n\ndef still(rows):\n    return np.zeros((len(rows), 5))\n")
        monkeypatch.syspath_prepend(tmp_path)
        extra = ["agents.groups.trained.policy.function=my_policy.still"]
    if (group, choice) == ("persona", "spiral_gated"):
        chosen["agents"] = "scripted"
    if (group, choice) == ("agents", "mixed"):
        extra = ["population.size=9"]
    arguments = [f"{key}={value}" for key, value in chosen.items()]
    arguments = ["steps=2", "population.size=8", "seeding.count=2", *arguments, *extra, "hydra.run.dir=run"]
    reported = group in REPORTED
    if not reported:
        arguments.append(f"hydra.job.name={WITHOUT_REPORTS}")
    assert application(*arguments, rendered=group == "agents") == 0
    with closing(open_run(tmp_path / "run")) as log:
        steps = log.table("step")
        assert log.meta["status"] == "finished"
        assert len(steps) == log.meta["steps"]
        assert steps["missing"].sum() == 0
    assert (tmp_path / "run" / "report.html").exists() == reported
    assert not reported or (tmp_path / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.weights
def test_the_main_job_runs_with_the_embedded_model(application: Callable[..., int], tmp_path: Path) -> None:
    status = application("steps=2", "population.size=4", "seeding.count=1", "hydra.run.dir=run")
    assert status == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["calls"] == 6
    assert summary["completion_tokens"] > 6
    assert summary["failed_readings"] == 0
