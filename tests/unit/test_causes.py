"""The parts of the contagion tests: what they count, what they refuse, what they make of logs that can say little."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import hypergeom

from contagium.envs.rng import Streams
from contagium.sim.analysis.causes.contagion import contagion, examined, tables
from contagium.sim.analysis.causes.evidence import Evidence, codes, thinned
from contagium.sim.analysis.causes.permutation import attributable, excess, exchanged, hazard_ratio, heard_by_chance, heard_more
from contagium.sim.analysis.causes.placebo import afterwards, other_networks, swap, turned_round
from contagium.sim.analysis.causes.randomisation import alike_before, influence, likeness, near_the_seeds, selection
from contagium.sim.analysis.causes.record import evidence
from contagium.sim.analysis.causes.shock import adjustments, cox
from contagium.sim.analysis.causes.timing import closer_in_time
from contagium.sim.analysis.figures.causes import plot_ratios, plot_tests
from contagium.sim.analysis.shares import holm
from contagium.sim.analysis.spread.risk import NEVER, at_risk
from contagium.sim.log import open_run
from contagium.sim.schema import SCHEMA_VERSION, TABLES

matplotlib.use("Agg")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "causes.md"


def rng(name: str = "test") -> np.random.Generator:
    return Streams(0).generator(name)


def world(
    onset: list[int], ties: list[tuple[int, int]], steps: int = 6, chance: bool = False, fixed: bool = True, drawn: str = ""
) -> Evidence:
    """Everybody speaks in each step along `ties` (source, hearer), and shows the strain from its onset on."""
    began, size = np.array(onset), len(onset)
    pairs = np.array(sorted(ties), dtype=np.int64).reshape(-1, 2).T
    step = np.repeat(np.arange(steps), pairs.shape[1])
    source, hearer = np.tile(pairs, steps)
    at, agent = np.nonzero(np.arange(steps)[:, None] <= began)
    inbox = np.minimum(at, 2) * np.bincount(pairs[1], minlength=size)[agent]
    return Evidence(
        steps=steps,
        window=2,
        onset=began,
        at=at,
        agent=agent,
        event=began[agent] == at,
        inbox=inbox,
        step=step,
        hearer=hearer,
        source=source,
        dose=(began[source] <= step).astype(float),
        chance=np.full(len(step), chance),
        ties=pairs,
        apart=np.zeros(size, dtype=np.int64),
        pressed=np.zeros(len(at), dtype=bool),
        traits={},
        drawn=drawn,
        eligible=np.ones(size, dtype=bool),
        fixed=fixed,
    )


def ring(size: int, reach: int = 1) -> list[tuple[int, int]]:
    return [(i, (i + k) % size) for i in range(size) for k in (*range(-reach, 0), *range(1, reach + 1))]


def test_dose_is_what_came_in_the_window_before() -> None:
    of = world([-1, 3, NEVER], [(0, 1), (1, 2)])
    heard = {(int(t), int(a)): float(d) for t, a, d in zip(of.at, of.agent, of.heard, strict=True)}
    assert [heard[t, 1] for t in range(4)] == [0, 1, 2, 2]
    assert [heard[t, 2] for t in range(6)] == [0, 0, 0, 0, 1, 2]
    ahead = of.before(of.hearer, of.dose, ahead=2)
    assert ahead[(of.at == 2) & (of.agent == 2)] == 1, "heard in steps 2 and 3, the second of which shows it"


def test_codes_tell_apart_whatever_differs() -> None:
    found = codes(np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "a"]), np.array([True, True, True, True]))
    assert found.tolist() == [0, 1, 2, 2]


def test_agents_are_left_out_with_all_their_rows() -> None:
    of = world([-1] + [NEVER] * 99, ring(100))
    few = thinned(of, 300)
    assert 200 < len(few.at) < 400
    assert set(np.bincount(few.agent, minlength=100)) == {0, 6}
    assert thinned(of, 594) is of


def test_the_exchange_draws_from_the_hypergeometric_law() -> None:
    """One stratum of 10, of whom 4 heard; 3 onsets, all after hearing: P(3) = C(4,3)/C(10,3)."""
    heard, event = np.arange(10) < 4, np.isin(np.arange(10), (0, 1, 2))
    observed, null, n = exchanged(np.zeros(10, dtype=np.int64), heard.astype(float), event, 20_000, rng())
    share = hypergeom.sf(2, 10, 4, 3)
    assert (observed, n) == (3.0, 3)
    assert (null >= 3).mean() == pytest.approx(share, abs=4 * (share / 20_000) ** 0.5)
    assert exchanged(np.zeros(10, dtype=np.int64), np.ones(10), np.ones(10, dtype=bool), 9, rng())[2] == 0


def test_excess_takes_off_the_size_of_the_inbox() -> None:
    strata, inbox = np.repeat([0, 1], 4), np.array([1.0, 2, 3, 4, 1, 2, 3, 4])
    assert np.allclose(excess(strata, 2 * inbox + strata, inbox), 0)
    assert excess(strata, np.array([0.0, 0, 0, 4, 0, 0, 0, 0]), np.ones(8)).tolist() == [-1, -1, -1, 3, 0, 0, 0, 0]


def test_the_ratio_and_the_share_by_hand() -> None:
    """Two strata of 40: 8 of 20 who heard and 2 of 20 who did not fall ill in each. Half an onset is added on either side."""
    strata = np.repeat([0, 1], 40)
    heard = np.tile(np.arange(40) < 20, 2)
    event = np.tile(np.isin(np.arange(40), (*range(8), 20, 21)), 2)
    ratio = hazard_ratio(strata, heard, event)
    assert ratio.value == pytest.approx((2 * 8 * 20 / 40 + 0.25) / (2 * 2 * 20 / 40 + 0.25))
    assert ratio.n == 20
    assert ratio.low is not None
    assert ratio.low > 1
    assert attributable(strata, heard, event).value == pytest.approx(0.8 * (1 - 1 / ratio.value))
    assert "5 are needed" in str(hazard_ratio(strata, np.ones(80, dtype=bool), event).reason)


def test_holm() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == (pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06))


def test_onsets_that_follow_the_ties_are_closer() -> None:
    """A wave along a chain: only one order of onsets puts all neighbours one step apart."""
    chain = [(i, i + 1) for i in range(11)] + [(i + 1, i) for i in range(11)]
    found = closer_in_time(world(list(range(12)), chain, steps=12), 199, rng())
    assert found.observed == 11
    assert found.p == 1 / 200
    shuffled = closer_in_time(world(rng("order").permutation(12).tolist(), chain, steps=12), 199, rng())
    assert shuffled.p is not None
    assert shuffled.p > 0.05
    assert "8 are needed" in closer_in_time(world([-1, 1, 2] + [NEVER] * 9, chain), 99, rng()).reason
    assert "equally close" in closer_in_time(world([3] * 12, chain), 99, rng()).reason


def test_a_shock_to_each_circle_is_no_closeness() -> None:
    """Two rings of 12 without a tie between them, one of which falls ill early and the other late, each in a random order."""
    rings = ring(12, 2) + [(i + 12, j + 12) for i, j in ring(12, 2)]
    drawn = rng("two rings")
    p = []
    for _ in range(20):
        onset = np.concatenate([drawn.permutation(12) // 4, 20 + drawn.permutation(12) // 4])
        p.append(closer_in_time(world(onset.tolist(), rings, steps=30), 99, rng()).p)
    assert sum(one is not None and one <= 0.05 for one in p) <= 4, "99.7% of what a true rate of 5% gives"


def test_swaps_keep_degrees_and_make_no_tie_twice() -> None:
    source, hearer = np.array(sorted(ring(30, 2))).T
    after, drawn = hearer, rng("swap")
    for _ in range(20):
        after, _ = swap(source, after, 30, drawn)
    assert np.array_equal(np.bincount(after), np.bincount(hearer))
    assert len(set(zip(source.tolist(), after.tolist(), strict=True))) == len(source)
    assert not (source == after).any()
    assert (after != hearer).mean() > 0.5
    complete = np.array([(i, j) for i in range(4) for j in range(4) if i != j]).T
    assert swap(*complete, 4, rng())[1] == 0


def test_the_true_network_beats_placebos_where_a_wave_follows_it() -> None:
    onset = [-1 if i == 0 else min(i, 40 - i) for i in range(40)]
    found = other_networks(world(onset, ring(40), steps=21), 99, rng())
    assert found.p == 0.01
    whole = world([-1, 1, 2, 2, 3, 4], [(i, j) for i in range(6) for j in range(6) if i != j])
    assert other_networks(whole, 19, rng()).reason == "no other network has these degrees"


def test_likeness_is_the_correlation_over_ties() -> None:
    one, other = np.array([0.0, 1, 0, 1, 1]), np.array([0.0, 1, 1, 1, 0])
    assert likeness(one[:, None], other[:, None])[0] == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert np.isnan(likeness(np.ones((5, 1)), other[:, None])[0])


def test_influence_is_seen_where_neighbours_follow() -> None:
    onset = [-1 if i == 0 else min(i, 40 - i) for i in range(40)]
    found = influence(world(onset, ring(40), steps=21), 199, rng())
    assert found.p == 1 / 200
    assert found.n == 38, "the last one at risk is alone"


def test_ties_that_stood_before_cannot_select() -> None:
    onset = [-1] * 6 + [NEVER] * 14
    assert "stood before the run" in selection(world(onset, ring(20)), 99, rng()).reason
    assert "10 are needed" in selection(world(onset, ring(20), fixed=False), 99, rng()).reason
    of = world(onset, ring(20), fixed=False)
    late = of.step >= 3  # cases turn to cases, and the others to the others
    source = np.where(of.source < 6, (of.hearer + 1) % 6, 6 + (of.hearer + 3) % 14)
    turned = replace(of, source=np.where(late, np.where(of.hearer < 6, (of.hearer + 3) % 6, source), of.source))
    found = selection(turned, 199, rng())
    assert found.p is not None
    assert found.observed > found.null.mean()


def test_likeness_beforehand() -> None:
    of = world([-1] * 2 + [NEVER] * 28, ring(30))
    halves, dealt = (np.arange(30) < 15).astype(float), rng("deal").permutation(30).astype(float)
    some = np.where(np.arange(30) < 5, 1.0, np.nan)
    found = alike_before(replace(of, traits={"half": halves, "dealt": dealt, "known of few": some}), 199, rng())
    assert found[0].p == 1 / 200
    assert found[0].observed == pytest.approx(1 - 2 * 4 / 60), "4 of 60 ties join the halves"
    assert found[1].p is not None
    assert found[1].p > 0.05
    assert found[2].p is None


def test_the_seeding_tells_where_it_was_random() -> None:
    """Ten of sixty were drawn, and whoever hears one of them is a case in the next step."""
    seeds = np.arange(0, 60, 6)
    onset = np.where(np.isin(np.arange(60), seeds), -1, NEVER)
    onset[np.r_[seeds + 1, seeds - 1]] = 1
    found = near_the_seeds(world(onset.tolist(), ring(60)), 199, rng())
    assert found.p is not None
    assert found.p <= 0.05
    assert near_the_seeds(world(onset.tolist(), ring(60), drawn="they were named"), 99, rng()).reason == "they were named"
    assert "no index cases" in near_the_seeds(world([NEVER] * 5, ring(5)), 99, rng()).reason


def test_only_what_was_drawn_at_random_counts_by_chance() -> None:
    onset = [-1 if i == 0 else min(i, 40 - i) for i in range(40)]
    assert heard_by_chance(world(onset, ring(40), steps=21), 99, rng()).p is None
    assert heard_by_chance(world(onset, ring(40), steps=21, chance=True), 99, rng()).p == 0.01


def test_where_there_is_no_ratio_the_score_is_told() -> None:
    """All at risk had heard it, so that nobody is left to compare with; but some had heard more."""
    onset = [-1 if i == 0 else min(i, 40 - i) for i in range(40)]
    of = world(onset, ring(40), steps=21)
    of.__dict__["heard"] = 1.0 + of.heard
    found = heard_more(of, 99, rng())
    assert found.p == 0.01
    assert re.fullmatch(r"score \d+\.\d\d, by chance .*; no ratio: 0 onsets in steps .*: 5 are needed", found.words)
    assert "times as likely once heard" in heard_more(world(onset, ring(40), steps=21), 99, rng()).words


def test_negative_controls_need_ties_that_run_one_way() -> None:
    onset = [-1] + [min(i, 40 - i) for i in range(1, 40)]
    both = world(onset, ring(40), steps=21)
    assert "run both ways" in str(afterwards(both).reason)
    assert "run both ways" in str(turned_round(both).reason)
    later = [-i % 10 + 1 for i in range(100)]  # each a step after the one that hears it
    one_way = world(later, [(i, (i + 1) % 100) for i in range(100)], steps=14)
    for ratio in (afterwards(one_way), turned_round(one_way)):
        assert ratio.low is not None
        assert ratio.low > 1


def test_adjusting_for_steps_takes_a_common_shock_off() -> None:
    """Nobody falls ill of hearing, but later more do, when more has been heard."""
    draw, size, steps = rng("a shock"), 400, 20
    at, agent = np.divmod(np.arange(steps * size), size)
    of = replace(
        world([NEVER] * size, ring(size), steps),
        at=at,
        agent=agent,
        inbox=draw.integers(3, 9, steps * size),
        pressed=np.zeros(steps * size, dtype=bool),
    )
    later = at >= 10
    of.__dict__["heard"] = (draw.random(steps * size) < np.where(later, 0.8, 0.2)).astype(float)
    of = replace_heard(of, event=draw.random(steps * size) < np.where(later, 0.05, 0.005))
    raw, by_step, *_, model = adjustments(of)
    assert raw.low is not None
    assert raw.low > 1.5
    for one in (by_step, model):
        assert one.low is not None
        assert one.high is not None
        assert one.low < 1 < one.high
    assert model.value == pytest.approx(by_step.value, rel=0.1)
    assert "of each are needed" in str(cox(replace_heard(of, event=np.zeros(steps * size, dtype=bool))).reason)


def replace_heard(of: Evidence, **changes: object) -> Evidence:
    """A copy that keeps what was set for heard."""
    copy = replace(of, **changes)  # type: ignore[arg-type]
    copy.__dict__["heard"] = of.__dict__["heard"]
    return copy


@pytest.mark.parametrize(
    "onset",
    [[], [-1], [NEVER] * 6, [-1] * 6, [-1, 2] + [NEVER] * 4, [0] * 6],
    ids=["nobody", "one", "no cases", "all seeded", "one case", "all at step 0"],
)
def test_whatever_is_too_little_is_said(onset: list[int]) -> None:
    ties = ring(len(onset)) if len(onset) > 2 else []
    found = examined(world(onset, ties), "<b>", 19)
    assert found.p is None
    assert "cannot be told" in found.verdict
    assert all(one.p is not None or one.reason for one in found.tests)
    assert all(one.value is not None or one.reason for one in (*found.ratios, found.share))
    told = list(tables(found))
    assert not any("nan" in cell for table in told for row in table.rows for cell in row)
    figure = Figure()
    for k, plot in enumerate((plot_tests, plot_ratios)):
        plot(figure.add_subplot(2, 1, k + 1), found)
    figure.canvas.draw()


def test_an_unconnected_network_and_few_permutations() -> None:
    assert examined(world([-1, 1, 2, 3, 4, 5, 1, 2, 3, 4], []), "x", 19).p is None
    with pytest.raises(ValueError, match="at least 19, got 5"):
        examined(world([-1], []), "x", 5)


def test_a_run_is_examined_from_its_log(tmp_path: Path) -> None:
    """A log written by hand: a wave along a ring of 24, and two agents whose exposures were drawn from the board."""
    path = tmp_path / "run.db"
    write(path)
    run = open_run(path)
    of = evidence(run, "spiral")
    rows = at_risk(run, "spiral")
    assert np.allclose(of.heard, rows["dose"])
    assert of.ties.shape[1] == 48
    assert of.chance.sum() == 12
    assert of.fixed
    assert of.drawn == ""
    found = contagion(run, permutations=99)
    assert found.p == contagion(run, permutations=99).p
    assert found.p is not None
    assert found.p <= 0.05
    assert "Signs of contagion" in found.verdict
    example = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert example is not None
    said: dict[str, Any] = {}
    exec(compile(example[1].replace("outputs/2026-11-21/10-00-00", str(path)), PAGE.name, "exec"), said)
    assert "Signs of contagion" in said["found"].verdict
    figure = Figure()
    for k, plot in enumerate((plot_tests, plot_ratios)):
        plot(figure.add_subplot(2, 1, k + 1), found)
    figure.canvas.draw()
    assert len(figure.axes[0].get_yticklabels()) >= 4


def write(path: Path, size: int = 24, steps: int = 12) -> None:
    meta = {
        "strains": '["spiral"]',
        "status": '"finished"',
        "seed": "1",
        "axes": '["spiral"]',
        "axis_instruments": '{"spiral": ["stated"]}',
        "detection": '{"spiral": {"instrument": "stated", "enter": 0.5, "stay": 0.4, "axis": "spiral"}}',
        "scenario": '{"seeding": {"method": "random"}, "env": {"board_reads": 1}, "observer": {"case": {"cause_window": 2}}}',
        "sample": "null",
    }
    onset = np.array([-1 if i == 0 else min(i, size - i) for i in range(size)])
    sent = [(t * size + i, t, i, int(onset[i] <= t)) for t in range(steps) for i in range(size)]
    heard = [(t, t * size + s, h, s, 1.0) for t in range(steps) for s, h in ring(size)]
    heard += [(t, t * size + 12, 5, 12, 1.0) for t in range(steps)]
    with sqlite3.connect(path) as log:
        for table, declared in TABLES.items():
            log.execute(f'CREATE TABLE "{table}" ({", ".join(declared)})')
        log.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        put(log, "meta", list(meta.items()))
        put(log, "agent", [(i, f"agent {i}", "all", "spiral" if i == 0 else None, 1.0, 1.0, 1) for i in range(size)])
        put(log, "edge", [(s, h, 1.0) for s, h in ring(size)])
        put(log, "message", [(m, t, i, "board", m, None, 0, None) for m, t, i, _ in sent])
        put(log, "exposure", sorted(heard, key=lambda row: (row[0], row[2])))
        put(log, "reading", [(t, "message", m, i, "stated", "ok", None, f'{{"spiral": {v}}}') for m, t, i, v in sent])
        moves = [(k, int(onset[i]), int(onset[i]), i, "spiral", "case", "S", "I") for k, i in enumerate(range(size))]
        put(log, "transition", moves)
        put(log, "step", [(t, size, 0, 0, 0, 0.0) for t in range(steps)])
    log.close()


def put(log: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    log.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(rows[0]))})', rows)
