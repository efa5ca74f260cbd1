"""Experiments: what their file may say, how they become runs, how runs survive their processes, and what is concluded."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from contagium.sim.analysis.arms.compare import Difference
from contagium.sim.analysis.arms.outcomes import FIXED
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.commandline import UserError
from contagium.sim.experiment import plan, pool
from contagium.sim.experiment.asked import asks, for_hydra
from contagium.sim.experiment.carry_out import _again
from contagium.sim.experiment.composing import Composer, composer_of
from contagium.sim.experiment.launch import brings_a_model
from contagium.sim.experiment.pool import Pool, Run
from contagium.sim.experiment.spec import make_experiment
from contagium.sim.experiment.verdict import Verdict, _sign

STATED: dict[str, Any] = {
    "hypothesis": ["H10"],
    "rationale": "To see.",
    "baseline": "none",
    "arms": {"strong": ["steps=3"], "none": [], "weak": ["steps=2"]},
    "fast": [],
    "outcomes": {"attack_rate": {"weak": "-", "strong": "-"}},
    "cost": "nothing",
}
FAST = ("experiment=trial", "experiment.form=fast", "experiment.replicates=2")


@pytest.fixture
def composer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Composer]:
    """The composer of a user's own experiment `trial`, with more arguments."""
    monkeypatch.chdir(tmp_path)
    small = ["agents=mechanistic", "observer=lexicon", "population.size=8", "steps=2", "seeding.count=1"]
    stated = STATED | {"arms": {"none": [], "cut": ["intervention=quarantine"]}, "fast": small, "outcomes": {"attack_rate": {}}}
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "trial.yaml").write_text(yaml.safe_dump(stated))
    return lambda *more: composer_of(for_hydra([*FAST, "--config-dir", "mine", "hydra.sweep.dir=sweep", *more]))


def test_the_words_that_ask_for_an_experiment() -> None:
    assert for_hydra(["steps=2", "-m"]) == ["steps=2", "-m"]
    given = for_hydra(["-m", "experiment=calm_down", "experiment.replicates=3", "steps=2"])
    assert given == ["+experiment=calm_down", "-m", "++experiment.replicates=3", "steps=2"]
    assert asks(given)
    assert not asks([*given, "--cfg", "job"])
    assert not asks(["steps=2"])
    assert _again(given, Path("here")) == ("contagium experiment=calm_down experiment.replicates=3 steps=2 hydra.sweep.dir=here")


@pytest.mark.parametrize("names", [["experiment=a,b"], ["experiment=a", "experiment=b"], ["experiment="], ["experiment=../a"]])
def test_one_experiment_at_a_time(names: list[str]) -> None:
    with pytest.raises(UserError, match="experiment: name one"):
        for_hydra(names)


def test_the_baseline_runs_first_and_always() -> None:
    assert list(make_experiment(STATED).run) == ["none", "strong", "weak"]
    assert list(make_experiment(STATED | {"only": ["weak"]}).run) == ["none", "weak"]
    assert list(make_experiment(STATED | {"replicates": 3}).seeds) == [1, 2, 3]


def test_reports_are_for_the_full_form_unless_asked_for() -> None:
    asked = [{}, {"form": "fast"}, {"form": "fast", "reports": True}, {"reports": False}]
    assert [make_experiment(STATED | one).reported for one in asked] == [True, False, True, False]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"baseline": "mild"}, "experiment.baseline: no arm mild; there are: strong, none, weak"),
        ({"only": ["mild"]}, "experiment.only: no arm mild; there are: strong, none, weak"),
        ({"outcomes": {"size": {"mild": "+"}}}, "experiment.outcomes.size: no arm mild; there are: strong, none, weak"),
        (
            {"outcomes": {"size": {"none": "0"}}},
            "experiment.outcomes.size: none is the baseline, nothing can be expected of it less",
        ),
        ({"outcomes": {"size": {"weak": "up"}}}, "experiment.outcomes.size.weak: Input should be '+', '-', '0' or '?', got 'up'"),
        ({"hypothesis": ["seventh"]}, "experiment.hypothesis.0: String should match pattern"),
        ({"arms": {"none": []}}, "experiment.arms: Dictionary should have at least 2 items"),
        ({"replicates": 0}, "experiment.replicates: Input should be greater than or equal to 1, got 0"),
        ({"replicatse": 2}, "experiment.replicatse: no such key"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refused:
        make_experiment(STATED | change)
    assert str(refused.value).startswith(line)


def test_every_arm_has_the_same_seeds_and_differs_in_its_overrides_alone(composer: Callable[..., Composer]) -> None:
    runs = plan.plan(composer("steps=3"))
    assert [(run.seed, run.arm) for run in runs] == [(1, "none"), (1, "cut"), (2, "none"), (2, "cut")]
    assert [run.directory for run in runs[:2]] == [Path("sweep/none/1"), Path("sweep/cut/1")]
    assert {run.state for run in runs} == {"missing"}
    assert [run.scenario.name for run in runs[:2]] == ["trial.none", "trial.cut"]
    plain, cut, again = (run.scenario.model_dump() for run in runs[:3])
    assert {key for key in plain if plain[key] != cut[key]} == {"name", "intervention"}
    assert {key for key in plain if plain[key] != again[key]} == {"seed"}
    assert plain["steps"] == 3, "what the user says stands before what the fast form says"
    assert runs[1].overrides[-3:] == ("name=trial.cut", "seed=1", "hydra.sweep.subdir=cut/1")
    assert not Path("sweep").exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("seed=4", "seed: an experiment sets it itself (experiment.replicates: how many seeds)"),
        ("steps=2,3", "steps=2,3: one value is needed here; several values are several arms"),
        (
            "intervention=none",
            "intervention: the arm cut sets it; change the arm instead: experiment.arms.cut=['intervention=none', …]",
        ),
        ("stepz=2", "arm none: stepz: no such key (did you mean steps?)"),
        ("steps=0", "arm none: steps: Input should be greater than or equal to 1, got 0"),
        ("intervention.quarantine.share=0.5", "arm none: intervention.quarantine.share: no such key"),
        ("experiment.arms.cut=['intervention=nothing']", "arm cut: intervention: no choice 'nothing'"),
        ("experiment.arms.cut=['steps=2,3']", "arm cut: steps=2,3: one value is needed here"),
        (
            "experiment.outcomes.happiness={}",
            "experiment.outcomes: there is no happiness; these runs have: any_case, attack_rate",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_before_any_run(composer: Callable[..., Composer], more: str, line: str) -> None:
    with pytest.raises(UserError) as refused:
        plan.plan(composer(more))
    assert str(refused.value).startswith(line)
    assert not Path("sweep").exists()


def test_only_what_is_missing_is_run(composer: Callable[..., Composer]) -> None:
    runs = plan.plan(composer("experiment.reports=true"))
    for run, status in zip(runs, ("finished", "interrupted", "finished", None), strict=True):
        if status is not None:
            run.directory.mkdir(parents=True)
            stored = run.scenario.model_dump(mode="json", by_alias=True) | {"budget": {"calls": 3}}
            (run.directory / "scenario.yaml").write_text(yaml.safe_dump(stored))
            (run.directory / "run.db").touch()
            (run.directory / "summary.json").write_text(f'{{"status": "{status}"}}')
    (runs[2].directory / "summary.json").write_text('{"status": "fini')
    assert [plan._looked_at(run, True).state for run in runs] == ["done", "begun", "begun", "missing"]
    other = replace(runs[0], scenario=runs[0].scenario.model_copy(update={"steps": 4}))
    with pytest.raises(UserError, match=r"sweep/none/1 holds another run: its steps is 2, not 4; choose another directory"):
        plan._looked_at(other, True)
    runs[3].directory.mkdir(parents=True)
    (runs[3].directory / "run.db").touch()
    with pytest.raises(UserError, match="sweep/cut/2 holds a run without a scenario"):
        plan._looked_at(runs[3], True)


def test_runs_that_bring_a_model_are_made_one_at_a_time(composer: Callable[..., Composer]) -> None:
    mechanistic, speaking = composer(), composer("agents=speaking")
    assert not brings_a_model(mechanistic.composed(["agents=mechanistic"]))
    assert brings_a_model(speaking.composed([]))
    assert not brings_a_model(speaking.composed(["backend=parrot"]))


TASK = """
import os, signal, sys
from pathlib import Path

def task(config):
    print("seed", config.seed, flush=True)
    before = Path(f"before{config.seed}")
    if config.seed == 1 and not before.exists():
        before.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed == 2:
        os._exit(9)
    if config.seed == 3:
        sys.exit(3)
    return 0
"""


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module whose `task` ends its process with seed 1 once, with seed 2 always, and leaves with 3 with seed 3."""
    (tmp_path / "dying_task.py").write_text(TASK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pool, "PRELOADED", ())
    return __import__("dying_task")


def test_a_run_whose_process_dies_is_begun_again_and_harms_no_other(composer: Callable[..., Composer], dying: ModuleType) -> None:
    orders = replace(composer().launch.args[0], task=dying.task)
    told: list[tuple[int, int | None]] = []
    made = Pool(orders, 2, 2, 2, lambda run: told.append((run.number, run.status)))
    runs = [Run(seed, (f"seed={seed}", f"hydra.sweep.subdir=arm/{seed}")) for seed in range(5)]
    made.make(runs)
    assert [(run.status, run.tries) for run in runs] == [(0, 1), (0, 2), (1, 2), (3, 1), (0, 1)]
    assert runs[2].reason == "its process ended with status 9"
    assert runs[1].reason == "its process was killed by signal 9"
    assert runs[4].said == "seed 4\n"
    assert sorted(told, key=str) == sorted([(0, 0), (1, None), (1, 0), (2, None), (2, 1), (3, 3), (4, 0)], key=str)


def test_ctrl_c_lets_runs_under_way_end_and_begins_no_other(
    composer: Callable[..., Composer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = (
        "import time\nfrom pathlib import Path\n\ndef task(config):\n    Path('here').touch()\n    time.sleep(60)\n    return 0\n"
    )
    (tmp_path / "waiting_task.py").write_text(waiting)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pool, "PRELOADED", ())
    orders = replace(composer().launch.args[0], task=__import__("waiting_task").task)
    heard = Pool._heard

    def pressed(self: Pool) -> list[Any]:
        monkeypatch.setattr(Pool, "_heard", heard)
        while not (tmp_path / "here").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pool, "_heard", pressed)
    runs = [Run(seed, (f"seed={seed}", f"hydra.sweep.subdir=arm/{seed}")) for seed in range(2)]
    with pytest.raises(KeyboardInterrupt):
        Pool(orders, 1, 3, 8, lambda run: None).make(runs)
    assert [run.status for run in runs] == [128 + signal.SIGINT, None]


@pytest.mark.parametrize(
    ("low", "high", "expected", "seen", "says"),
    [
        (0.1, 0.4, "+", "+", "the sign expected is seen"),
        (-0.4, -0.1, "+", "-", "the opposite is seen"),
        (-0.1, 0.4, "+", "0", "not seen: the interval holds 0"),
        (0.0, 0.4, "-", "0", "not seen: the interval holds 0"),
        (-0.1, 0.1, "0", "0", "no difference told apart, as expected"),
        (0.1, 0.2, "0", "+", "another is seen: more"),
        (-0.2, -0.1, "?", "-", "less, without a sign expected"),
        (-0.2, 0.1, "?", "0", "not told apart"),
        (None, None, "+", None, "cannot be told: too few runs"),
    ],
)
def test_verdicts(low: float | None, high: float | None, expected: Any, seen: str | None, says: str) -> None:
    reason = "too few runs" if low is None else None
    difference = Difference("weak", FIXED[0], Estimate(0.1, low, high, "t", 8, reason), False, None)
    assert _sign(difference) == seen
    assert Verdict(difference, expected, seen).says == says
