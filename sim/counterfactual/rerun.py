"""Running a world again from some step on, with a tie cut or an agent silenced, and as it was: what that does to the epidemic."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from contagium.agents.backends.backend import BackendError
from contagium.agents.backends.journal import inherit
from contagium.agents.backends.journal_file import NAME as JOURNAL
from contagium.agents.backends.journal_file import Reader
from contagium.envs.rng import Streams
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.analysis.spread.epidemic import attack_rate, chosen_strain, compartment_curves, onsets
from contagium.sim.analysis.tables import Table, number
from contagium.sim.counterfactual.cases import Refusal
from contagium.sim.counterfactual.effect import mean_difference
from contagium.sim.counterfactual.replay import copied, must_be_ours
from contagium.sim.counterfactual.reseeded import RESEEDED
from contagium.sim.counterfactual.results import FOLDER, names
from contagium.sim.laboratory import prepare
from contagium.sim.log import EventLog
from contagium.sim.reading import LogError, Run, open_run
from contagium.sim.resume import stored
from contagium.sim.run import root
from contagium.sim.run import run as run_laboratory
from contagium.sim.running import Progress
from contagium.sim.scenario import Scenario, make_scenario
from contagium.sim.schema import TABLES, columns

NAME = "counterfactual"
"""What the intervention of a rerun is called in its scenario."""

ROOM = "contagium.sim.intervention"


@dataclass(frozen=True)
class Arm:
    """What is done from `step` on. source: who is not heard any more, None for nobody; target: by whom, None for anybody."""

    step: int
    source: int | None = None
    target: int | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        if self.source is None:
            return f"control-at-{self.step}"
        return (
            f"remove-{self.source}-at-{self.step}" if self.target is None else f"cut-{self.source}-{self.target}-at-{self.step}"
        )

    @property
    def control(self) -> Arm:
        return Arm(self.step)

    @property
    def intervention(self) -> dict[str, Any] | None:
        """As a part of a scenario."""
        if self.source is None:
            return None
        if self.target is None:
            return {"_target_": f"{ROOM}.cut.Silence", "agent": self.source, "start": self.step}
        return {"_target_": f"{ROOM}.cut.Cut", "source": self.source, "target": self.target, "start": self.step}


def arm_of(text: str) -> Arm:
    """The arm that `SOURCE:TARGET@STEP` or `AGENT@STEP` stands for. Refusal: it is neither."""
    found = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?@(\d{1,9})", text)
    if found is None:
        raise Refusal(f"expected SOURCE:TARGET@STEP or AGENT@STEP, each a number, got {text!r}")
    return Arm(int(found[3]), int(found[1]), None if found[2] is None else int(found[2]))


def folder_of(name: str) -> Arm | None:
    """The arm whose folder has this name; None for any other folder."""
    found = re.fullmatch(r"(?:cut-(\d+)-(\d+)|remove-(\d+))-at-(\d+)", name)
    if found is None:
        return None
    cut, target, removed, step = found.groups()
    return Arm(int(step), int(cut or removed), None if target is None else int(target))


def checked(run: Run, arm: Arm) -> Arm:
    """The arm, if a run can be had again with it. Refusal says why not."""
    size, steps = run.size, int(run.meta["steps"])
    for agent in (one for one in (arm.source, arm.target) if one is not None):
        if agent >= size:
            raise Refusal(f"agents are 0 to {size - 1}, got {agent}")
    if arm.source == arm.target:
        raise Refusal(f"source and target must differ, got {arm.source} twice")
    if arm.step >= steps:
        raise Refusal(f"the run has the steps 0 to {steps - 1}, got {arm.step}")
    must_be_ours(run, arm.step - 1)
    return arm


def scenario_of(run: Run, arm: Arm, replicate: int, overrides: Sequence[str]) -> Scenario:
    """The scenario of a rerun. Both arms of a replicate get the same chance after the step."""
    composed = stored(run.path.parent, overrides).model_dump(mode="json", by_alias=True)
    seed = Streams(run.meta["seed"]).integer("counterfactual rerun", arm.step, replicate)
    for group in composed["agents"]["groups"].values():
        group["policy"] = {"_target_": RESEEDED, "policy": group["policy"], "step": arm.step, "seed": seed}
    if arm.intervention is not None:
        composed["intervention"] = {**composed["intervention"], NAME: arm.intervention}
    composed["run"]["schedule"] = "rounds"
    return make_scenario(composed)


def branch(run: Run, into: Path, arm: Arm, scenario: Scenario, command: str) -> None:
    """Make the directory of a rerun: all of the run up to the step, as a run that was stopped there and can be resumed."""
    into.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=".", dir=into.parent))
    try:
        text = yaml.safe_dump(scenario.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
        (aside / "scenario.yaml").write_text(text, encoding="utf-8")
        journal = run.path.parent / JOURNAL
        if journal.exists():
            inherit(aside / JOURNAL, journal, arm.step)
        copied(run.path, aside / "run.db")
        _cut_short(aside / "run.db", arm.step)
        log = EventLog(aside / "run.db", resume=True)
        log.meta(
            {"command": command, "status": "interrupted", "reason": "to go on otherwise", "wall_seconds": None, "resumed": 0}
        )
        log.close()
        aside.rename(into)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _cut_short(path: Path, step: int) -> None:
    """Take everything from `step` on out of a log."""
    try:
        with closing(sqlite3.connect(path)) as log, log:
            for table in TABLES:
                if "step" in columns(table) and table != "cause":
                    log.execute(f'DELETE FROM "{table}" WHERE step >= ?', (step,))
            log.execute('DELETE FROM "cause" WHERE transition_id NOT IN (SELECT id FROM "transition")')
    except sqlite3.Error as error:
        raise LogError(f"cannot write the event log {path}: {error}") from error


async def rerun(
    run: Run,
    arm: Arm,
    replicates: int,
    overrides: Sequence[str],
    most: int | None,
    command: str,
    watch: Callable[[Arm, int, Progress], None],
    notice: Callable[[str], None],
) -> None:
    """Run the arm and its control so many times each; what is finished already stays, what was stopped goes on.

    most: calls that all of it may take, those of earlier invocations included. BackendError (reason "budget") at that cap.
    """
    spent = 0
    for replicate in range(1, replicates + 1):
        for one in (arm.control, arm):
            into = run.path.parent / FOLDER / one.name / str(replicate)
            limits = [] if most is None else [f"budget.calls={max(most - spent, 0)}"]
            scenario = scenario_of(run, one, replicate, [*overrides, *limits])
            if not into.exists():
                branch(run, into, one, scenario, command)
            if not _finished(into):
                lab = prepare(scenario, into, notice)
                told = _watching(watch, one, replicate)
                try:
                    await run_laboratory(lab, command, told, _nothing, resume=True)
                except (BackendError, ExceptionGroup) as error:
                    if most is None or not str(root(error)).startswith("budget.calls"):
                        raise
                    sent = f"{spent + _calls(into)} of {most} calls were sent"
                    raise BackendError(f"--calls: {sent}", reason="budget", fatal=True) from error
            spent += _calls(into)


def _watching(watch: Callable[[Arm, int, Progress], None], arm: Arm, replicate: int) -> Callable[[Progress], None]:
    return lambda progress: watch(arm, replicate, progress)


def _nothing() -> None:
    """Nobody waits for a rerun to begin."""


def _finished(directory: Path) -> bool:
    run = open_run(directory)
    try:
        return bool(run.meta.get("status") == "finished")
    finally:
        run.close()


def _calls(directory: Path) -> int:
    """Calls that were made for a rerun."""
    if not (directory / JOURNAL).exists():
        return 0
    with closing(Reader(directory / JOURNAL)) as journal:
        return sum(spent["calls"] for spent in journal.meta().get("spent", {}).values())


@dataclass(frozen=True)
class Comparison:
    """What an arm did to a strain, over replicates in pairs with the same chance.

    attack: attack rate of the arm's reruns (n,), control: of theirs. difference: arm − control. curves: agents that ever were a
    case, index cases included, by step from −1, (n, steps + 1), of the arm and of the control. names: by agent.
    """

    arm: Arm
    strain: str
    attack: tuple[float, ...]
    control: tuple[float, ...]
    difference: Estimate
    curves: tuple[NDArray[np.int64], NDArray[np.int64]]
    names: dict[int, str]


def read_reruns(run: Run, strain: str | None = None) -> list[Comparison]:
    """The finished reruns of a run, arm by arm; none where there are none."""
    name, folder = chosen_strain(run, strain), run.path.parent / FOLDER
    arms = [arm for path in sorted(folder.glob("*-at-*")) if (arm := folder_of(path.name)) is not None]
    named = names(run, {one for arm in arms for one in (arm.source, arm.target) if one is not None})
    return [found for arm in arms if (found := _compared(folder, arm, name, named)) is not None]


def _compared(folder: Path, arm: Arm, strain: str, named: dict[int, str]) -> Comparison | None:
    pairs = [pair for k in _replicates(folder / arm.name) if (pair := _pair(folder, arm, k, strain)) is not None]
    if not pairs:
        return None
    (attack, curve), (control, before) = (tuple(zip(*side, strict=True)) for side in zip(*pairs, strict=True))
    curves = np.stack(curve), np.stack(before)
    return Comparison(arm, strain, attack, control, mean_difference(attack, control), curves, named)


def _replicates(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


Outcome = tuple[float, NDArray[np.int64]]
"""Attack rate and curve of one rerun."""


def _pair(folder: Path, arm: Arm, replicate: int, strain: str) -> tuple[Outcome, Outcome] | None:
    """The outcome of a replicate with the arm and without; None unless both are finished and somebody was susceptible."""
    outcomes = []
    for name in (arm.name, arm.control.name):
        with suppress(LogError):
            run = open_run(folder / name / str(replicate))
            rate = attack_rate(run, strain).value
            if run.meta.get("status") == "finished" and rate is not None:
                steps = compartment_curves(run, strain).index.to_numpy()
                since = np.sort(onsets(run, strain)["confirmed"].to_numpy())
                outcomes.append((rate, np.searchsorted(since, steps, side="right")))
            run.close()
    return (outcomes[0], outcomes[1]) if len(outcomes) == 2 else None


def tables(found: Sequence[Comparison]) -> Iterator[Table]:
    """Attack rates with and without, arm by arm."""
    if found:
        yield Table(
            "The world run again without a tie or an agent",
            "Each replicate is the same run up to the step and then goes on with other chance, once with the change and once"
            " without. A negative difference: the change kept the strain from spreading. The network, who reads whom and all"
            " before the step are those of this run, so the interval is about this run, not about others like it.",
            ("from step", "change", "strain", "replicates", "attack rate with it", "without", "difference"),
            tuple(_row(one) for one in found),
        )


def _row(of: Comparison) -> tuple[str, ...]:
    arm, n = of.arm, len(of.attack)
    source, target = (None if agent is None else of.names[agent] for agent in (arm.source, arm.target))
    change = f"{source} silenced" if target is None else f"{source} not heard by {target}"
    means = (f"{np.mean(of.attack):.1%}", f"{np.mean(of.control):.1%}")
    return (str(arm.step), change, of.strain, str(n), *means, number(of.difference, "+.3f"))
