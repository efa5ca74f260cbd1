"""Comparing arms: how runs become arms, what is read of each, and what is said of their differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from matplotlib.figure import Figure

from contagium.envs.rng import Streams
from contagium.sim.analysis import shares
from contagium.sim.analysis.arms import advice, chance, intervals
from contagium.sim.analysis.arms.command import main
from contagium.sim.analysis.arms.compare import compare
from contagium.sim.analysis.arms.dose import dose_response
from contagium.sim.analysis.arms.outcomes import Value, measured
from contagium.sim.analysis.arms.runs import Replicate, arms_of, found_in, read
from contagium.sim.analysis.arms.settings import differing, named, telling
from contagium.sim.analysis.arms.tables import tables
from contagium.sim.analysis.tables import number
from contagium.sim.log import LogError, open_run

RNG = Streams(3)
Say = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def epidemic(made_log: Any) -> Callable[..., Path]:
    """Writes a run of 12 agents over 6 steps: agent 0 is seeded, agent k catches it from agent k − 1 in step k − 1."""

    def write(
        directory: Path,
        cases: int = 3,
        seed: int = 1,
        scenario: Mapping[str, Any] | None = None,
        status: str = "finished",
        **meta: Any,
    ) -> Path:
        directory.parent.mkdir(exist_ok=True, parents=True)
        made = made_log(directory, steps=6)
        made.log.meta({"scenario": dict(scenario or {}), "seed": seed} | meta)
        for step in range(6):
            affect = [(step, "valence", "lexicon", 10, 0.1 * step, 0.5)] if step != 3 else []
            chosen = [(step, "leave", 3), (step, "take", 9)]
            moved = {step + 1: ("I", [(step, 1.0)])} if step < cases else {}
            reward = [(step, agent, float(agent), 0) for agent in (1, 3)]
            said = {0: ("hello", None if step < 2 else 0.1)}
            made.step(step, said, moved=moved, missing={5: "timeout"}, affect=affect, chosen=chosen, reward=reward)
        made.log.meta({"choices": ["leave", "take"]})
        return made.end(status)

    return write


@pytest.fixture(scope="module")
def sweep(epidemic: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three doses of three seeds: the more of it, the fewer cases."""
    root = tmp_path_factory.mktemp("sweep")
    for k, (dose, seed) in enumerate((dose, seed) for dose in (0, 1, 2) for seed in (1, 2, 3)):
        model = {"_target_": "contagium.x.sir", "rate": 0.1 * dose}
        scenario = {"seed": seed, "model": model, "agents": {"policy": {"model": model}}, "log": {"detailed_agents": k}}
        epidemic(root / str(k), cases=5 - 2 * dose + (seed == 2), seed=seed, scenario=scenario)
    return root


def given(*directories: Path | Replicate, by: Sequence[str] = (), **options: Any) -> Any:
    """The comparison of what is in these directories, or of runs that are read already."""
    paths, runs = (
        [one for one in directories if isinstance(one, Path)],
        [one for one in directories if isinstance(one, Replicate)],
    )
    if paths:
        runs, _ = read(found_in(paths), None, "case", unfinished=False)
    arms, notes = arms_of(runs, by)
    return compare(arms, notes=notes, **options)


@pytest.fixture(scope="module")
def swept(sweep: Path) -> list[Replicate]:
    """The sweep, read."""
    return read(found_in([sweep]), None, "case", unfinished=False)[0]


# What differs


def test_arms_are_told_apart_by_the_fewest_keys_and_a_copied_key_is_not_another() -> None:
    def of(rate: float, quarantine: float | None) -> dict[str, Any]:
        part = {} if quarantine is None else {"quarantine": {"_target_": "contagium.x.Quarantine", "share": quarantine}}
        return {"seed": rate, "model": {"rate": rate}, "policy": {"deep": {"rate": rate}}, "intervention": part}

    found = differing([of(0.1, None), of(0.1, 0.5), of(0.3, 1.0), of(0.3, None)])
    assert set(found) == {"model.rate", "policy.deep.rate", "intervention.quarantine", "intervention.quarantine.share"}
    assert found["intervention.quarantine.share"] == [None, 0.5, 1.0, None]
    keys, beside = telling(found)
    assert keys == ["model.rate", "intervention.quarantine"]
    assert beside == ["intervention.quarantine.share"], "rate and presence tell the four apart already"
    assert named(keys, [0.1, "contagium.x.Quarantine"]) == "model.rate=0.1, intervention.quarantine=Quarantine"
    assert named(keys, [0.1, None]) == "model.rate=0.1, intervention.quarantine=none"


def test_a_setting_that_goes_along_with_another_is_named_as_a_caution(epidemic: Callable[..., Path], tmp_path: Path) -> None:
    for k in range(2):
        epidemic(tmp_path / str(k), scenario={"a": k, "steps_between": k + 5})
    found = given(tmp_path)
    assert [arm.name for arm in found.arms] == ["a=0", "a=1"]
    assert "Arms also differ in steps_between: what is put down to one setting may be the work of another." in found.notes


def test_numbered_runs_come_in_their_order_and_each_once(sweep: Path) -> None:
    assert [path.name for path in found_in([sweep, sweep / "3"])] == [str(k) for k in range(9)]
    with pytest.raises(LogError, match="no directory"):
        found_in([sweep / "nowhere"])


def test_arms_by_a_key_that_is_asked_for(swept: list[Replicate]) -> None:
    found = given(*swept, by=["log.detailed_agents"])
    assert len(found.arms) == 9
    assert any("may differ in model.rate" in note for note in found.notes)
    with pytest.raises(LogError, match=r"no run has a setting model\.beta; what differs between runs: model\.rate"):
        given(*swept, by=["model.beta"])


# Outcomes


def test_outcomes_are_read_off_the_log(epidemic: Callable[..., Path], tmp_path: Path) -> None:
    run = open_run(epidemic(tmp_path / "run", cases=3))
    values, curve = measured(run)
    found = {outcome.name: value.value for outcome, value in values.items()}
    assert found == pytest.approx(
        {
            **{
                "attack_rate": 3 / 11,
                "final_size": 4 / 12,
                "any_case": 1,
                "took_off": 1,
                "peak_prevalence": 4 / 12,
                "peak_step": 2,
            },
            # Agents 0 and 1 could be followed for 3 of 6 steps: each infected one other.
            **{"reproduction": 1, "first_case": 0, "mean_valence": 1.2 / 5, "peak_valence": 0.5, "change_valence": 0.4},
            **{"swing_valence": 0.5, "return_valence": 0, "half_life_valence": None, "others_valence": None},
            **{"chose_leave": 0.25, "chose_take": 0.75, "reward": 2, "missing_turns": 0.5, "failed_readings": 2 / 6},
        }
    )
    assert curve.tolist() == pytest.approx([1 / 12, 2 / 12, 3 / 12, *[4 / 12] * 4])
    run.close()


def test_of_a_run_only_what_is_wanted_is_told_and_it_is_the_same(epidemic: Callable[..., Path], tmp_path: Path) -> None:
    run = open_run(epidemic(tmp_path / "run", cases=3))
    every, some = measured(run)[0], measured(run, wanted=("took_off",))[0]
    assert {outcome.name for outcome in some} == {"took_off", "missing_turns", "failed_readings"}
    assert all(every[outcome] == value for outcome, value in some.items())


def test_what_a_run_does_not_have_is_named_and_left_out(epidemic: Callable[..., Path], tmp_path: Path) -> None:
    epidemic(tmp_path / "none", cases=0)
    epidemic(tmp_path / "killed", status="running", seed=2)
    found = given(tmp_path, names=["first_case", "missing_turns"])
    cell = found.cells["all runs", "first_case"]
    assert cell.without == {"no case": 1, "the run was cut short": 1}
    assert cell.estimate.value is None
    assert len(found.cells["all runs", "missing_turns"].values) == 2
    assert any(note.startswith("1 of 2 runs did not finish: ") for note in found.notes)


def test_distress_is_open_from_five_on(make: Callable[..., Any]) -> None:
    made = make()
    made.log.meta({"axis_instruments": {"distress": ["judge", "words"]}})
    read_by = [("judge", 0, 6.0), ("words", 0, 1.0), ("judge", 1, None), ("words", 1, 5.0), ("words", 2, 4.9)]
    rows = [made.reading(0, message, message, instrument, "distress", value) for instrument, message, value in read_by]
    made.step(0, reading=rows, affect=[(0, "distress", "judge+words", 3, 5.3, 1.0)])
    run = open_run(made.end())
    values = {outcome.name: value for outcome, value in measured(run)[0].items()}
    assert values["distressed"].value == pytest.approx(2 / 3), "the best good reading of a message counts"
    assert values["change_distress"].reason == "fewer than 3 steps"


def test_runs_of_nothing_are_told_and_end_in_no_error(made_log: Any, tmp_path: Path, capsys: Say) -> None:
    everybody = made_log(tmp_path / "everybody", agents=2, index=(0, 1))
    everybody.step(0)
    everybody.end()
    made_log(tmp_path / "unbegun", agents=1, index=()).end("failed")
    assert main([str(tmp_path), "--json", "--outcome", "*"]) == 0
    told = json.loads(capsys.readouterr().out)
    without = {one["outcome"]: one["without"] for one in told["outcomes"]}
    assert without["attack_rate"] == {"every agent is an index case": 1, "no step was done": 1}
    assert without["first_case"] == {"no case": 1, "no step was done": 1}
    assert [one["values"] for one in told["outcomes"] if one["outcome"] == "peak_prevalence"] == [[1.0]]


# A comparison


def test_a_comparison_says_what_was_planted(swept: list[Replicate]) -> None:
    found = given(*swept, names=["attack_rate", "took_off"])
    assert [arm.name for arm in found.arms] == ["model.rate=0", "model.rate=0.1", "model.rate=0.2"]
    assert [arm.seeds for arm in found.arms] == [(1, 2, 3)] * 3
    low = found.cells["model.rate=0", "attack_rate"]
    assert low.values.tolist() == pytest.approx([5 / 11, 6 / 11, 5 / 11])
    expected = scipy.stats.ttest_1samp(low.values, 0).confidence_interval()
    assert (low.estimate.low, low.estimate.high) == pytest.approx(tuple(expected))
    gap = found.differences[1]
    assert (gap.arm, gap.paired) == ("model.rate=0.2", False)
    assert gap.estimate.value == pytest.approx(-4 / 11)
    assert gap.chance is not None
    assert gap.chance.p == pytest.approx(0.1), "2 of 20 arrangements of 3 and 3 runs are as far apart"
    assert found.doses[0].slope.value == pytest.approx(-2 / 11 / 0.1)
    assert any("no p can be under 0.05" in note for note in found.notes)
    assert any("Arms share their seeds, but are compared as if they did not" in note for note in found.notes)


def test_six_shared_seeds_are_enough_to_pair_one_outcome(swept: list[Replicate]) -> None:
    def of(seed: int, on: bool) -> Replicate:
        some = {one: Value((seed % 3 + on) / 11) for one in swept[0].values if one.name in ("attack_rate", "final_size")}
        return replace(swept[0], seed=seed, scenario={"on": on}, values=swept[0].values | some)

    runs = [of(seed, on) for seed in range(6) for on in (False, True)]
    found = given(*runs, names=["attack_rate"])
    (gap,) = found.differences
    assert gap.paired
    assert (gap.estimate.value, gap.estimate.n) == (pytest.approx(1 / 11), 6)
    assert (gap.estimate.low, gap.estimate.reason) == (None, "all runs alike: no interval")
    assert gap.chance is not None
    assert gap.chance.p == 2 / 2**6
    assert {one.paired for one in found.advice} == {False, True}
    advised = next(table for table in tables(found) if table.title == "How many runs it takes")
    assert [(row[0], row[2]) for row in advised.rows] == [("attack_rate", "runs"), ("attack_rate", "pairs")]
    assert not given(*runs, names=["attack_rate"], pairs=False).differences[0].paired
    assert not given(*runs, names=["attack_rate", "final_size"]).differences[0].paired, "2 · 2/2⁶ is over 0.05"


def test_one_run_an_arm_and_one_arm_alone_give_no_intervals(swept: list[Replicate]) -> None:
    found = given(swept[0], swept[3], names=["attack_rate"])
    (gap,) = found.differences
    assert (gap.estimate.low, gap.estimate.reason, gap.chance) == (None, "no interval from 1 run", None)
    assert found.notes == (
        "Fewer than 3 runs, so no intervals and no tests: model.rate=0, model.rate=0.1. Repeat with other seeds.",
    )
    alone = given(*swept[:3])
    assert not alone.differences
    assert "There is one arm: it is described, and compared with nothing." in alone.notes


def test_copies_versions_and_shared_seeds_are_told(epidemic: Callable[..., Path], tmp_path: Path) -> None:
    epidemic(tmp_path / "a", cases=2, seed=1)
    epidemic(tmp_path / "b", cases=2, seed=1)
    epidemic(tmp_path / "c", cases=3, seed=1, versions={"contagium": "0.2.0"})
    found = given(tmp_path)
    assert len(found.arms[0].runs) == 2
    assert any(note.startswith("Left out: ") and "/b repeats " in note for note in found.notes)
    assert any("different versions of contagium (0.1.0, 0.2.0)" in note for note in found.notes)
    assert any(note.startswith("all runs: several runs have the seed 1") for note in found.notes)


def test_the_baseline_is_an_arm_by_its_name_or_a_part_of_it(swept: list[Replicate]) -> None:
    assert given(*swept, baseline="0.2").baseline == "model.rate=0.2"
    assert given(*swept, baseline="model.rate=0").baseline == "model.rate=0"
    with pytest.raises(LogError, match="3 arms are called 'rate'"):
        given(*swept, baseline="rate")


# The command


def test_the_command_writes_a_page_that_shows_hostile_names_harmlessly(
    epidemic: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    for k in range(4):
        epidemic(
            tmp_path / "runs" / str(k),
            cases=k,
            seed=k // 2,
            scenario={"x": "<script>alert(1)</script>" if k % 2 else "plain \x1b[2J"},
        )
    chosen = ["attack_rate", "chose_*", "reward"]
    assert main([str(tmp_path / "runs"), "--output", str(tmp_path / "out"), "--outcome", *chosen]) == 0
    assert "\x1b" not in capsys.readouterr().out
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "<script" not in page
    assert "x=&lt;script&gt;alert(1)&lt;/script&gt;" in page
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert {one["outcome"] for one in told["differences"]} == {"attack_rate", "chose_leave", "chose_take", "reward"}
    assert len(list((tmp_path / "out" / "figures").iterdir())) == 3 * 2 + 1


def test_runs_that_cannot_be_compared_are_named(sweep: Path, tmp_path: Path, epidemic: Callable[..., Path], capsys: Say) -> None:
    import sqlite3

    other = epidemic(tmp_path / "old", cases=1) / "run.db"
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA user_version = 99")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "run.db").write_text("not a log")
    empty = tmp_path / "void"
    empty.mkdir()
    (empty / "run.db").write_bytes((sweep / "0" / "run.db").read_bytes())
    with sqlite3.connect(empty / "run.db") as connection:
        connection.execute("DELETE FROM meta")
    assert main([str(sweep / "0"), str(tmp_path), "--json", "--outcome", "attack_rate"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(len(arm["runs"]) for arm in told["arms"]) == 1
    left = [note for note in told["notes"] if note.startswith("Left out: ")]
    assert len(left) == 3
    assert any("has schema version 99, this program reads version" in note for note in left)
    assert any("is not an event log" in note for note in left)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no directory nowhere"),
        (["."], "no run.db in or below what was given"),
        (["SWEEP", "--outcome", "mood"], "--outcome: there is no mood; these runs have attack_rate, final_size"),
        (["SWEEP", "--strain", "calm"], "Left out: no strain 'calm': the run has spiral"),
        (["SWEEP", "--baseline", "x"], "--baseline: 0 arms are called 'x'; the arms are model.rate=0; model.rate=0.1"),
    ],
)
def test_one_line_for_what_cannot_be_done(
    arguments: list[str], said: str, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.chdir(tmp_path)
    two = [str(sweep / "0"), str(sweep / "3")]
    assert main([path for word in arguments for path in (two if word == "SWEEP" else [word])]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"contagium: {said}")
    assert printed.count("\n") == 1


def test_figures_draw_what_they_are_given(swept: list[Replicate], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Figure] = {}

    def sketch(name: str, size: tuple[float, float], plot: Callable[[Figure], None], caption: str) -> str:
        drawn[name] = Figure(figsize=size)
        plot(drawn[name])
        return name

    monkeypatch.setattr("contagium.sim.analysis.figures.arms.picture", sketch)
    from contagium.sim.analysis.figures.arms import arm_label, draw_arms

    found = given(*swept, names=["attack_rate", "first_case"])
    assert list(map(str, draw_arms(found))) == ["epidemics", "outcomes", "differences", "doses"]
    dots = [line for line in drawn["outcomes"].axes[0].lines if line.get_marker() == "o"]
    assert np.asarray(dots[0].get_xdata()).tolist() == pytest.approx([5 / 11, 6 / 11, 5 / 11])
    assert arm_label("a" * 40 + "=0.25").endswith("aaa=0.25")
    assert [text.get_text() for text in drawn["differences"].axes[0].get_yticklabels()] == ["model.rate=0.1", "model.rate=0.2"]


# Intervals and tests against known answers


def test_of_few_runs_intervals_are_students_and_welchs() -> None:
    x, y = RNG.generator("x").normal(size=5), RNG.generator("y").normal(1, 3, size=7)
    welch = scipy.stats.ttest_ind(x, y, equal_var=False).confidence_interval()
    found = intervals.difference(x, y, RNG.generator("unused"))
    assert (found.low, found.high, found.method) == (pytest.approx(welch.low), pytest.approx(welch.high), "Welch's t")
    student = scipy.stats.ttest_rel(x, y[:5]).confidence_interval()
    found = intervals.paired_difference(x, y[:5], RNG.generator("unused"))
    assert (found.low, found.high) == (pytest.approx(student.low), pytest.approx(student.high))


def test_of_many_normal_runs_the_bootstrap_agrees_with_welch() -> None:
    x, y = RNG.generator("many x").normal(size=40), RNG.generator("many y").normal(1, 3, size=30)
    welch = scipy.stats.ttest_ind(x, y, equal_var=False).confidence_interval()
    found = intervals.difference(x, y, RNG.generator("draws"))
    assert found.method == "bootstrap"
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), abs=0.05 * (welch.high - welch.low))
    assert intervals.difference(x, y, RNG.generator("draws")) == found


def test_published_intervals_of_proportions() -> None:
    """56 of 70 less 48 of 80: Newcombe 1998, independent proportions; 36, 12, 2, 0 pairs: Newcombe 1998, paired."""

    def runs(happened: int, of: int) -> Any:
        return np.repeat([1.0, 0.0], [happened, of - happened])

    found = shares.proportion_difference(runs(56, 70), runs(48, 80))
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    pairs = np.repeat([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [36, 12, 2], axis=0)
    found = shares.paired_proportion_difference(pairs[:, 0], pairs[:, 1])
    assert (found.value, found.low, found.high) == (
        pytest.approx(0.2),
        pytest.approx(0.0569, abs=6e-5),
        pytest.approx(0.3404, abs=6e-5),
    )


def test_never_nought_percent(swept: list[Replicate]) -> None:
    outcome = next(one for one in swept[0].values if one.name == "any_case")
    runs = [replace(swept[0], seed=seed, values=swept[0].values | {outcome: Value(0.0)}) for seed in range(20)]
    told = next(table for table in tables(given(*runs, names=["any_case"])) if table.title == "Outcomes")
    assert told.rows[0][4] == "0 of 20: at most 16.1%"


def test_permutations_agree_with_those_of_scipy() -> None:
    x, y = RNG.generator("a").exponential(size=6), RNG.generator("b").exponential(2, size=5)

    def welch(a: Any, b: Any, axis: int = -1) -> Any:
        error = np.sqrt(a.var(axis=axis, ddof=1) / a.shape[axis] + b.var(axis=axis, ddof=1) / b.shape[axis])
        return np.abs((a.mean(axis=axis) - b.mean(axis=axis)) / error)

    expected = scipy.stats.permutation_test((x, y), welch, vectorized=True, n_resamples=np.inf, alternative="greater").pvalue
    found = chance.unpaired(x, y, RNG.generator("c"))
    assert (found.p, found.least, found.method) == (pytest.approx(expected), 1 / 462, "exact, 462 arrangements")
    signs = scipy.stats.permutation_test(
        (x[:5] - y,),
        lambda d, axis: np.abs(d.mean(axis=axis)),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
    ).pvalue
    assert chance.paired(x[:5] - y, RNG.generator("c")).p == pytest.approx(signs)


def test_arms_that_never_vary_are_told_apart_only_by_their_number() -> None:
    none, all_of = np.zeros(4), np.ones(4)
    assert chance.unpaired(none, all_of, RNG.generator("c")).p == 2 / 70
    assert chance.unpaired(none, none, RNG.generator("c")).p == 1.0
    assert chance.events(none, all_of).p == pytest.approx(2 / 70)
    assert chance.paired_events(none, all_of).p == 2 / 2**4
    many = chance.unpaired(np.zeros(12), np.ones(12), RNG.generator("c"))
    assert many.p == many.least == 1 / 10_000


def test_a_trend_is_as_likely_as_brute_force_says() -> None:
    doses, values = np.array([0.0, 0, 1, 1, 2, 2]), np.array([0.3, 0.1, 0.2, 0.5, 0.5, 0.9])

    def rises(order: Sequence[int]) -> int:
        pairs = [(i, j) for i in range(6) for j in range(6) if doses[i] < doses[j]]
        return abs(sum(int(np.sign(values[order[j]] - values[order[i]])) for i, j in pairs))

    every = [rises(order) for order in permutations(range(6))]
    assert chance.trend(doses, values, RNG.generator("t")).p == pytest.approx(np.mean([one >= every[0] for one in every]))


def test_corrections_are_the_textbooks() -> None:
    holm, q = chance.corrected([0.01, 0.04, 0.03, 0.005])
    assert holm == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert q == pytest.approx([0.02, 0.04, 0.04, 0.02])


# Doses


def test_slopes_are_least_squares_with_robust_errors_and_of_the_greatest_likelihood() -> None:
    rng, x = RNG.generator("slopes"), np.repeat(np.arange(4.0), 6)
    y = 0.5 * x + rng.normal(0, 0.3 + 0.3 * x)
    found = dose_response("y", "x", "", x, y, event=False, rng=rng)
    design = np.c_[np.ones(24), x]
    inverse = np.linalg.inv(design.T @ design)
    params = inverse @ design.T @ y
    scaled = (y - design @ params) / (1 - np.einsum("ij,jk,ik->i", design, inverse, design))
    error = (inverse @ (design.T * scaled**2) @ design @ inverse)[1, 1] ** 0.5
    assert found is not None
    low = params[1] - scipy.stats.t.ppf(0.975, 22) * error
    assert (found.slope.value, found.slope.low) == (pytest.approx(params[1]), pytest.approx(low))
    happened = np.repeat([1.0, 0, 1, 0, 1, 0, 1, 0], [1, 5, 2, 4, 4, 2, 5, 1])
    found = dose_response("y", "x", "", x, happened, event=True, rng=rng)
    logit = scipy.optimize.minimize(lambda b: np.logaddexp(0, b[0] + b[1] * x).sum() - happened @ (b[0] + b[1] * x), (0.0, 0.0)).x
    assert found is not None
    assert found.best == "logistic"
    assert found.slope.value == pytest.approx(logit[1], rel=0.02)
    assert found.half.value == pytest.approx(-logit[0] / logit[1], abs=0.02)


def test_the_curve_that_made_the_data_is_chosen() -> None:
    rng, x = RNG.generator("curves"), np.repeat([0.0, 1, 2, 3, 4, 6, 8], 5)
    noise = rng.normal(0, 0.05, len(x))
    for truth, made in (("constant", 0 * x), ("linear", x / 8), ("Hill", x**4 / (2.5**4 + x**4))):
        found = dose_response("y", "x", "", x, made + noise, event=False, rng=rng)
        assert found is not None
        assert found.best == truth
    assert found.half.low < 2.5 < found.half.high
    assert found.half.value == pytest.approx(2.5, abs=0.15)


def test_doses_that_part_the_runs_bound_the_slope_and_place_the_half_dose() -> None:
    x = np.repeat([0.0, 1, 2, 3], 6)
    found = dose_response("y", "x", "", x, (x > 1.5).astype(float), event=True, rng=RNG.generator("d"))
    assert found is not None
    assert found.slope.value is None
    assert str(found.slope.reason).startswith("at least ")
    assert 1 <= found.half.low < 1.5 < found.half.high <= 2
    early = dose_response("y", "x", "", x, (x > 0.5) * 1.0 + (np.arange(24) < 4), event=True, rng=RNG.generator("d"))
    assert early is not None
    assert number(early.half).startswith(("at most", "not within")), "most of the effect is over at the lowest dose"


def test_two_doses_or_no_difference_give_no_curve() -> None:
    x = np.repeat([0.0, 1], 6)
    assert dose_response("y", "x", "", x, x, event=False, rng=RNG.generator("d")) is None
    assert dose_response("y", "x", "", np.arange(9.0), np.ones(9), event=False, rng=RNG.generator("d")) is None


# How many runs it takes


def test_advice_is_that_of_the_t_test() -> None:
    from statsmodels.stats.power import TTestIndPower, TTestPower

    for effect in (0.3, 0.7):
        pooled = TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
        assert advice.replicates(effect, paired=False) == int(np.ceil(pooled))
        assert advice.replicates(effect, paired=True) == int(np.ceil(TTestPower().solve_power(effect, power=0.8, alpha=0.05)))
    assert advice.replicates(50, paired=False) == advice.LEAST
    assert advice.replicates(1e-4, paired=False) is None


def test_advice_carries_how_little_is_known_of_the_spread() -> None:
    rng = RNG.generator("pilot")
    few, many = rng.normal(2, 1, 8), rng.normal(2, 1, 200)
    near, far = (advice.halving("y", values, [values], rng) for values in (many, few))
    assert near.n is not None
    assert (near.low, near.n, near.high) == (pytest.approx(14, abs=2), pytest.approx(17, abs=2), pytest.approx(21, abs=3))
    assert far.high is None or far.high - far.low > 3 * (near.high - near.low)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0, 3.0], "too few runs to know how much they vary"),
        ([0.0] * 6, "the mean is 0: there is nothing to halve"),
        ([2.0] * 6, "all runs alike: their spread is not known"),
    ],
)
def test_no_advice_from_nothing(values: list[float], reason: str) -> None:
    found = advice.halving("y", np.array(values), [np.array(values)], RNG.generator("n"))
    assert (found.n, found.reason) == (None, reason)
    assert advice.halving_share("y", 0, 9).reason == "it happened in 0 of 9 runs: there is nothing to halve"
    assert advice.halving_share("y", 4, 4).reason == "too few runs to know how often it happens"
