"""Arms side by side: every outcome in every arm, its difference to the baseline, along doses, and what it takes to see more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from contagium.envs.rng import Streams
from contagium.sim.analysis import shares
from contagium.sim.analysis.arms import chance, intervals
from contagium.sim.analysis.arms.advice import LEVEL, Advice, halving, halving_share
from contagium.sim.analysis.arms.chance import Chance
from contagium.sim.analysis.arms.dose import Dose, dose_response
from contagium.sim.analysis.arms.intervals import FEWEST, Floats
from contagium.sim.analysis.arms.outcomes import Outcome
from contagium.sim.analysis.arms.runs import Arm, Replicate, cautions, number, without_copies
from contagium.sim.analysis.arms.settings import named
from contagium.sim.analysis.estimate import Estimate
from contagium.sim.log import LogError

STREAMS = Streams(0)


@dataclass(frozen=True)
class Cell:
    """An outcome in an arm. values, seeds: of the runs that have it, (n,). without: reason → how many runs have it not."""

    arm: str
    outcome: Outcome
    values: Floats
    seeds: tuple[int, ...]
    without: dict[str, int]
    estimate: Estimate


@dataclass(frozen=True)
class Difference:
    """Of an arm to the baseline. paired: by seed. chance: None with too few runs. holm, q: corrected over all differences."""

    arm: str
    outcome: Outcome
    estimate: Estimate
    paired: bool
    chance: Chance | None
    holm: float | None = None
    q: float | None = None


@dataclass(frozen=True)
class Comparison:
    arms: tuple[Arm, ...]
    baseline: str
    outcomes: tuple[Outcome, ...]
    cells: dict[tuple[str, str], Cell]
    differences: tuple[Difference, ...]
    doses: tuple[Dose, ...]
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]


def compare(
    arms: Sequence[Arm], names: Sequence[str] = (), baseline: str | None = None, notes: Sequence[str] = (), pairs: bool = True
) -> Comparison:
    """names: of outcomes, with * and ? if need be; default the usual ones. baseline: an arm by its name or a part of it, default
    the first. pairs: compare runs of the same seed with each other, where arms share enough of them.

    LogError: no such outcome or arm.
    """
    arms, copies = without_copies(arms)
    reference = _baseline(arms, baseline)
    chosen = _chosen([run for arm in arms for run in arm.runs], names)
    cells = {(arm.name, outcome.name): _cell(arm, outcome) for outcome in chosen for arm in arms}
    others = [arm for arm in arms if arm is not reference]
    tests = len(chosen) * len(others)
    paired = {arm.name for arm in others if pairs and same_seeds(arm, reference) and enough(len(arm.runs), tests)}
    differences = [_difference(arm, reference, cells, outcome, arm.name in paired) for outcome in chosen for arm in others]
    return Comparison(
        arms=tuple(arms),
        baseline=reference.name,
        outcomes=tuple(chosen),
        cells=cells,
        differences=tuple(_corrected(differences)),
        doses=tuple(_doses(arms, cells, chosen)),
        advice=tuple(told for outcome in chosen for told in _advice(outcome, arms, reference, cells)),
        notes=(*notes, *copies, *cautions(arms), *_about(arms, reference, differences, pairs)),
    )


def _baseline(arms: Sequence[Arm], wanted: str | None) -> Arm:
    if wanted is None:
        return arms[0]
    found = [arm for arm in arms if arm.name == wanted] or [arm for arm in arms if wanted in arm.name]
    if len(found) != 1:
        raise LogError(f"--baseline: {len(found)} arms are called {wanted!r}; the arms are {'; '.join(arm.name for arm in arms)}")
    return found[0]


def _chosen(runs: Sequence[Replicate], names: Sequence[str]) -> list[Outcome]:
    known = {outcome.name: outcome for run in runs for outcome in run.values}
    if not names:
        return [outcome for outcome in known.values() if outcome.usual]
    for name in names:
        if not any(fnmatchcase(one, name) for one in known):
            raise LogError(f"--outcome: there is no {name}; these runs have {', '.join(known)}")
    return [outcome for outcome in known.values() if any(fnmatchcase(outcome.name, name) for name in names)]


def _cell(arm: Arm, outcome: Outcome) -> Cell:
    told = [(run.seed, run.by_name.get(outcome.name)) for run in arm.runs]
    having = sorted((seed, one.value) for seed, one in told if one is not None and one.value is not None)
    without = Counter("not measured" if one is None else str(one.reason) for _, one in told if one is None or one.value is None)
    values = np.array([value for _, value in having], dtype=np.float64)
    rng = STREAMS.generator(f"arms: mean of {outcome.name} in {arm.name}")
    found = shares.proportion(values) if outcome.form == "event" else intervals.mean(values, rng)
    return Cell(arm.name, outcome, values, tuple(seed for seed, _ in having), dict(without), _bounded(found, outcome, 0.0))


def _bounded(of: Estimate, outcome: Outcome, least: float) -> Estimate:
    """An interval of a share ends where shares do."""
    if outcome.form != "share" or of.low is None or of.high is None:
        return of
    return replace(of, low=max(of.low, least), high=min(of.high, 1.0))


def same_seeds(one: Arm, other: Arm) -> bool:
    """Whether the runs of two arms can be paired: the same seeds, each once."""
    return len(set(one.seeds)) == len(one.seeds) and sorted(one.seeds) == sorted(other.seeds)


def enough(pairs: int, tests: int) -> bool:
    """Whether a test of so many pairs, one of so many tests, can reach 0.05 at all once it is corrected.

    Runs that share their seeds may always be taken as independent: that makes intervals too wide, if anything.
    """
    return 2.0 ** (1 - pairs) * tests <= LEVEL


def _difference(arm: Arm, reference: Arm, cells: dict[tuple[str, str], Cell], outcome: Outcome, paired: bool) -> Difference:
    one, other = (cells[of.name, outcome.name] for of in (arm, reference))
    event = outcome.form == "event"
    x, y = _pairs(one, other) if paired else (one.values, other.values)
    rng = STREAMS.generator(f"arms: {outcome.name}, {arm.name} less {reference.name}")
    tell = min(len(x), len(y)) >= FEWEST
    found: Chance | None
    if event:
        estimate = (shares.paired_proportion_difference if paired else shares.proportion_difference)(x, y)
        found = (chance.paired_events if paired else chance.events)(x, y) if tell else None
    else:
        estimate = (intervals.paired_difference if paired else intervals.difference)(x, y, rng)
        found = (chance.paired(x - y, rng) if paired else chance.unpaired(x, y, rng)) if tell else None
    return Difference(arm.name, outcome, _bounded(estimate, outcome, -1.0), paired, found)


def _pairs(one: Cell, other: Cell) -> tuple[Floats, Floats]:
    """Values of the same seeds, both (n,)."""
    both = sorted(set(one.seeds) & set(other.seeds))
    return one.values[np.searchsorted(one.seeds, both)], other.values[np.searchsorted(other.seeds, both)]


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    tested = [d.chance.p for d in differences if d.chance is not None]
    told = iter(zip(*chance.corrected(tested), strict=True))
    found = []
    for difference in differences:
        holm, q = (None, None) if difference.chance is None else next(told)
        found.append(replace(difference, holm=holm, q=q))
    return found


def _doses(arms: Sequence[Arm], cells: dict[tuple[str, str], Cell], outcomes: Sequence[Outcome]) -> list[Dose]:
    """Along each setting that is a number in several arms which share all their other settings."""
    found = []
    for setting in arms[0].settings:
        groups: dict[str, list[Arm]] = {}
        for arm in arms:
            if number(arm.settings[setting]):
                rest = {key: value for key, value in arm.settings.items() if key != setting}
                groups.setdefault(named(list(rest), list(rest.values())) if rest else "", []).append(arm)
        for within, members in groups.items():
            for outcome in outcomes:
                here = [(float(arm.settings[setting]), cells[arm.name, outcome.name].values) for arm in members]
                doses = np.concatenate([np.full(len(values), dose) for dose, values in here])
                values = np.concatenate([values for _, values in here])
                rng = STREAMS.generator(f"arms: {outcome.name} along {setting} {within}")
                told = dose_response(outcome.name, setting, within, doses, values, outcome.form == "event", rng)
                found += [told] if told is not None else []
    return found


def _advice(outcome: Outcome, arms: Sequence[Arm], reference: Arm, cells: dict[tuple[str, str], Cell]) -> list[Advice]:
    """From the baseline's mean and the spread within all arms; where arms share seeds, from that of differences of pairs too."""
    base = cells[reference.name, outcome.name]
    if not len(base.values) or outcome.form == "number":
        return []
    if outcome.form == "event":
        return [halving_share(outcome.name, int(base.values.sum()), len(base.values))]
    rng = STREAMS.generator(f"arms: runs for {outcome.name}")
    groups = [values for arm in arms if len(values := cells[arm.name, outcome.name].values) > 1]
    twins = [arm for arm in arms if arm is not reference and same_seeds(arm, reference)]
    gaps = [x - y for x, y in (_pairs(cells[arm.name, outcome.name], base) for arm in twins) if len(x) > 1]
    found = [halving(outcome.name, base.values, groups, rng)] if groups else []
    return [*found, *([halving(outcome.name, base.values, gaps, rng, paired=True)] if gaps else [])]


def _about(arms: Sequence[Arm], reference: Arm, differences: Sequence[Difference], pairs: bool) -> list[str]:
    """On what was done with these arms."""
    notes = []
    few = [arm.name for arm in arms if len(arm.runs) < FEWEST]
    if len(arms) == 1:
        notes.append("There is one arm: it is described, and compared with nothing.")
    if few:
        notes.append(f"Fewer than {FEWEST} runs, so no intervals and no tests: {', '.join(few)}. Repeat with other seeds.")
    tested = [d for d in differences if d.chance is not None]
    if any(d.paired for d in differences):
        notes.append(
            "Arms share their seeds: runs of the same seed, with the same network and index cases, are compared with each other."
        )
    elif pairs and tested and any(arm is not reference and same_seeds(arm, reference) for arm in arms):
        notes.append(
            "Arms share their seeds, but are compared as if they did not, which makes intervals too wide, if anything: "
            f"no test of so few pairs can reach {LEVEL} once it is corrected for {_counted(tested)}."
        )
    blind = sorted({d.arm for d in tested if d.chance is not None and d.chance.least * len(tested) > LEVEL})
    if blind:
        told = f"With so few runs no p can be under {LEVEL} once it is corrected for {_counted(tested)}"
        notes.append(f"{told}: {', '.join(blind)}. It takes more runs, or fewer outcomes.")
    steps = sorted({run.steps for arm in arms for run in arm.runs})
    if len(steps) > 1 and "steps" not in reference.settings:
        notes.append(
            f"Runs are of different length ({steps[0]} to {steps[-1]} steps): outcomes that grow with time differ by that alone."
        )
    return notes


def _counted(tested: Sequence[Difference]) -> str:
    return f"{len(tested)} difference{'s' if len(tested) > 1 else ''}"
