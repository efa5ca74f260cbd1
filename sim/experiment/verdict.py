"""Whether an experiment saw what was expected of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contagium.sim.analysis.arms.command import write
from contagium.sim.analysis.arms.compare import Comparison, Difference, compare
from contagium.sim.analysis.arms.runs import Arm, Replicate, read
from contagium.sim.analysis.arms.settings import differing, telling
from contagium.sim.analysis.arms.tables import form, probability, tables
from contagium.sim.analysis.tables import Table, number, show
from contagium.sim.experiment.plan import Planned
from contagium.sim.experiment.spec import Experiment, Sign
from contagium.sim.files import put
from contagium.sim.log import LogError

SIGNS = {"+": "more", "-": "less", "0": "no difference", "?": "not known"}


@dataclass(frozen=True)
class Verdict:
    """Of one outcome in one arm less the baseline. seen: the sign of the whole interval, "0" if it holds 0, None without one."""

    difference: Difference
    expected: Sign
    seen: str | None

    @property
    def says(self) -> str:
        """In words. An interval that holds 0 is no proof of no difference."""
        if self.seen is None:
            return f"cannot be told: {self.difference.estimate.reason or 'no interval'}"
        if self.expected == "?":
            return "not told apart" if self.seen == "0" else f"{SIGNS[self.seen]}, without a sign expected"
        if self.expected == "0":
            return "no difference told apart, as expected" if self.seen == "0" else f"another is seen: {SIGNS[self.seen]}"
        if self.seen == self.expected:
            return "the sign expected is seen"
        return "not seen: the interval holds 0" if self.seen == "0" else "the opposite is seen"


FAST = (
    "Fast form: agents are mechanistic, or parrots, who understand no prompt. It shows that the experiment works, and what "
    "follows from its parameters; how a language model behaves only the full form can tell."
)


def conclude(experiment: Experiment, name: str, runs: Sequence[Planned], directory: Path) -> None:
    """Compare the arms, print what was found, and leave experiment.json and the comparison in `directory`.

    LogError: there is nothing to compare.
    """
    found = compared(experiment, runs)
    verdicts = verdicts_of(found, experiment)
    told = as_json(experiment, name, found, verdicts)
    before = (Table(f"Experiment {name}", experiment.rationale, (), ()), expectations(verdicts, experiment))
    write(found, directory, before)
    put(directory / "experiment.json", f"{json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode())
    n = sum(len(arm.runs) for arm in found.arms)
    title = f"{name} ({', '.join(experiment.hypothesis)}), {experiment.form} form: {n} runs in {len(found.arms)} arms"
    show((*tables(found), before[1]), found.notes, title)
    print(directory / "comparison.html")


def compared(experiment: Experiment, runs: Sequence[Planned]) -> Comparison:
    """The runs that there are, by arm. LogError: none, or none of the baseline."""
    there = [run for run in runs if (run.directory / "run.db").is_file()]
    arm_of = {run.directory: run.arm for run in there}
    replicates, notes = read(list(arm_of), None, "case", False, experiment.outcomes)
    arms = _arms([(arm_of[one.path], one) for one in replicates], experiment.run)
    for arm in experiment.run:
        if arm not in {one.name for one in arms}:
            notes.append(f"No run of {arm} can be read.")
    if experiment.baseline not in {arm.name for arm in arms}:
        raise LogError("; ".join(notes))
    having = {outcome.name for one in replicates for outcome in one.values}
    if experiment.form == "fast":
        notes.append(FAST)
    notes += [f"No run has the outcome {outcome}." for outcome in experiment.outcomes if outcome not in having]
    if not (names := [outcome for outcome in experiment.outcomes if outcome in having]):
        raise LogError("; ".join(notes))
    return compare(arms, names, experiment.baseline, notes)


def _arms(runs: Sequence[tuple[str, Replicate]], names: Iterable[str]) -> list[Arm]:
    """By name, with the settings that tell them apart."""
    found = differing([run.scenario for _, run in runs])
    keys, _ = telling(found)
    settings = {arm: {key: found[key][place] for key in keys} for place, (arm, _) in enumerate(runs)}
    members = {name: tuple(run for arm, run in runs if arm == name) for name in names}
    return [Arm(name, settings[name], of) for name, of in members.items() if of]


def verdicts_of(found: Comparison, experiment: Experiment) -> list[Verdict]:
    """Of every outcome in the order of the experiment, in every arm but the baseline."""
    place = {name: k for k, name in enumerate(experiment.outcomes)}
    differences = sorted(found.differences, key=lambda one: place[one.outcome.name])
    return [Verdict(one, experiment.outcomes[one.outcome.name].get(one.arm, "?"), _sign(one)) for one in differences]


def _sign(of: Difference) -> str | None:
    low, high = of.estimate.low, of.estimate.high
    if low is None or high is None:
        return None
    return "+" if low > 0 else "-" if high < 0 else "0"


def expectations(verdicts: Sequence[Verdict], experiment: Experiment) -> Table:
    says = (
        f"Of each arm less {experiment.baseline}, with 95% intervals over replicates; Holm: p corrected over all rows. The first "
        "outcome is the main one. An interval that holds 0 is no proof of no difference."
    )
    rows = tuple(_row(one) for one in verdicts)
    return Table(
        "What was expected, and what was seen", says, ("outcome", "arm", "expected", "difference", "Holm", "verdict"), rows
    )


def _row(of: Verdict) -> tuple[str, ...]:
    d = of.difference
    seen = number(d.estimate, form(d.outcome.form, signed=True))
    return d.outcome.name, d.arm, SIGNS[of.expected], seen, probability(d.holm), of.says


def as_json(experiment: Experiment, name: str, found: Comparison, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What was asked and what was found; docs/experiments.md documents the keys, comparison.json has all other numbers."""
    return {
        "name": name,
        **experiment.model_dump(mode="json", exclude={"fast", "only"}),
        "arms": {arm: list(sets) for arm, sets in experiment.run.items()},
        "runs": {arm.name: len(arm.runs) for arm in found.arms},
        "verdicts": [
            {"outcome": of.difference.outcome.name, "arm": of.difference.arm, "expected": of.expected, "seen": of.seen}
            | {"says": of.says, "estimate": vars(of.difference.estimate), "holm": of.difference.holm}
            for of in verdicts
        ],
    }
