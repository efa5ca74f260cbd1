"""The log of a large population: a sample told in full, everybody's transitions packed, the findings those of a full log."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contagium.envs import forum, message
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.envs.world import Act
from contagium.sim import footprint, sample
from contagium.sim.analysis import write_outputs
from contagium.sim.analysis.figures.layout import breadth_first, network_layout
from contagium.sim.analysis.findings import find
from contagium.sim.analysis.summary import summarise
from contagium.sim.build import ScenarioError
from contagium.sim.laboratory import prepare
from contagium.sim.log import LogError, Run, digest, open_run
from contagium.sim.packed import alike, pack, unpack
from contagium.sim.run import run
from contagium.sim.running import Progress
from contagium.sim.scenario import make_scenario

SIZE, STEPS, TOLD, NEAR = 300, 14, 20, 40
SCENARIO: dict[str, Any] = {
    "name": "scale",
    "seed": 3,
    "steps": STEPS,
    "env": {"_target_": "contagium.envs.forum.Forum", "reads": 3, "board_reads": 1},
    "network": {"_target_": "contagium.envs.network.scale_free", "attach": 2},
    "population": {"size": SIZE, "susceptibility_sd": 0.3},
    "agents": {
        "groups": {
            "all": {
                "policy": {
                    "_target_": "contagium.agents.mechanistic.policy.Mechanistic",
                    "model": {"_target_": "contagium.agents.mechanistic.models.sir", "transmission_rate": 0.6},
                },
                "share": 1,
            }
        }
    },
    "backend": {"_target_": "contagium.agents.backends.parrot.Parrot"},
    "persona": {"name": "spiral", "text": "You are.", "detection": {"persona_lexicon": {"enter": 0.2, "stay": 0.1}}},
    "background": {"name": "plain", "text": "You are plain."},
    "seeding": {"count": 3},
    "pressure": {"events": {"praise": {"rate": 0.1, "effect": {"valence": 0.2}}}},
    "intervention": {"quarantine": {"_target_": "contagium.sim.intervention.quarantine.Quarantine", "share": 0.4, "start": 6}},
    "observer": {
        "instruments": {
            "expression": {"_target_": "contagium.sim.observer.instruments.expression.Expression"},
            "persona_lexicon": {"_target_": "contagium.sim.observer.instruments.persona_lexicon.PersonaLexicon"},
        },
        "axes": {"valence": ["expression"]},
        "case": {"instrument": "persona_lexicon"},
    },
    "log": {"detailed_agents": TOLD},
}


def go(directory: Path, detail: str = "auto", resume: bool = False, stop_at: int | None = None) -> Path:
    """Run, up to a step at which somebody interrupts it if one is given."""
    laboratory = prepare(make_scenario(SCENARIO | {"log": {"detailed_agents": TOLD, "detail": detail}}), directory)

    def watch(progress: Progress) -> None:
        if progress.step == stop_at:
            raise KeyboardInterrupt

    asyncio.run(run(laboratory, "test", watch, lambda: None, resume))
    return directory


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same run with a full log, and with one that holds a sample."""
    root = tmp_path_factory.mktemp("scale")
    full = go(root / "full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "MANY", SIZE - 1)
        patch.setattr(sample, "NEAR", NEAR)
        assert digest(go(root / "full too", detail="full")) == digest(full)
        return full, go(root / "sampled")


@pytest.fixture
def opened(both: tuple[Path, Path]) -> tuple[Run, Run]:
    return open_run(both[0]), open_run(both[1])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Populations count as large from here on."""
    monkeypatch.setattr(sample, "MANY", SIZE - 1)
    monkeypatch.setattr(sample, "NEAR", NEAR)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Words as words, numbers as the widest of their kind."""
    words = table.select_dtypes(include=["category", "object", "string"]).columns
    whole = table.select_dtypes(include="integer").columns
    return table.astype(dict.fromkeys(words, object) | dict.fromkeys(whole, np.int64))


def test_what_is_packed_is_what_rows_would_say(opened: tuple[Run, Run]) -> None:
    full, sampled = opened
    for name in ("transition", "intervention", "cause"):
        one, two = full.table(name), sampled.table(name)
        assert len(one) > 50
        pd.testing.assert_frame_equal(plain(one), plain(two), check_exact=True)
        assert sampled.rows(f'SELECT COUNT(*) FROM "{name}"') == [(0,)]
    assert full.sample is None
    some = np.array(sorted(set(full.causes["transition_id"]))[::3])
    pd.testing.assert_frame_equal(
        plain(full.causes_of(some)).reset_index(drop=True), plain(sampled.causes_of(some)), check_exact=True
    )


def test_what_covers_everybody_stays_complete_and_the_rest_is_of_the_sample(opened: tuple[Run, Run]) -> None:
    full, sampled = opened
    for name in ("compartment", "affect", "message", "exposure", "reading", "pressure"):
        pd.testing.assert_frame_equal(full.table(name), sampled.table(name))
    told = set(sampled.agents["id"])
    assert len(told) == TOLD
    assert set(full.meta["index_agents"]) < told
    pd.testing.assert_frame_equal(full.agents[full.agents["detailed"] == 1].reset_index(drop=True), sampled.agents)
    tied = told | around(full)
    assert len(told) < len(tied) < SIZE
    ties = full.edges[full.edges["target"].isin(tied)].reset_index(drop=True)
    pd.testing.assert_frame_equal(ties, sampled.edges)
    assert (full.size, sampled.size) == (SIZE, SIZE)
    assert sampled.sample is not None
    assert f"{TOLD} of {SIZE} agents" in sampled.sample["rule"]


def around(full: Run) -> set[int]:
    """The agents nearest to the first index cases, as many as are to be drawn."""
    pairs = full.edges[["source", "target"]].to_numpy()
    roots = np.array(full.meta["index_agents"][: sample.ROOTS])
    return set(breadth_first(full.agents["id"].to_numpy(), pairs, roots, NEAR).tolist())


def test_both_logs_lead_to_the_same_findings(opened: tuple[Run, Run]) -> None:
    one, two = (summarise(run) for run in opened)
    for name in ("estimate", "low", "high"):
        assert one["r0"][name] is not None
    assert one.pop("wall_seconds") != two.pop("wall_seconds")
    assert one == two
    assert one["cases"] > 20
    a, b = (find(run).chains for run in opened)
    pd.testing.assert_frame_equal(a.cases, b.cases)
    pd.testing.assert_frame_equal(a.links, b.links)


def test_both_logs_lead_to_the_same_drawing(opened: tuple[Run, Run]) -> None:
    index = np.array(opened[0].meta["index_agents"])
    one, two = (network_layout(run, index, seed=1, limit=NEAR) for run in opened)
    np.testing.assert_array_equal(one.agents, two.agents)
    np.testing.assert_array_equal(one.edges, two.edges)
    assert (len(one.agents), one.total, two.total) == (NEAR, SIZE, SIZE)


def test_outputs_of_a_sample_say_so(both: tuple[Path, Path], few: None) -> None:
    words = f"a sample of {TOLD} of {SIZE} agents"
    write_outputs(both[1])
    for name in ("report.html", "transcript.md"):
        assert words in (both[1] / name).read_text(encoding="utf-8")


def test_latent_counts_are_logged_each_step(opened: tuple[Run, Run]) -> None:
    """They are those that the seeded agents and the latent transitions lead to."""
    run = opened[1]
    counts = run.compartments[run.compartments["kind"] == "latent"]
    moves = plain(run.transitions[run.transitions["kind"] == "latent"])
    for step in range(STEPS):
        past = moves[moves["step"] <= step]
        held = {"S": SIZE - 3, "I": 3, "R": 0}
        for name in held:
            held[name] += int((past["target"] == name).sum()) - int((past["origin"] == name).sum())
        now = counts[counts["step"] == step]
        assert dict(zip(now["compartment"], now["agents"], strict=True)) == held


def test_counts_of_groups_add_up() -> None:
    def act(agent: int, **counts: int) -> Act:
        one = Act.idle(np.array([agent]), 4)
        one.counts["spiral"] = counts
        return one

    merged = Act.merge([act(5, S=3, I=1), act(2, S=2, R=4), Act.idle(np.array([0]), 4)], 4)
    assert merged.counts == {"spiral": {"S": 5, "I": 1, "R": 4}}
    assert merged.agents.tolist() == [0, 2, 5]


def test_an_interrupted_run_is_readable_and_goes_on_to_the_same_end(both: tuple[Path, Path], few: None, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", stop_at=9)
    halted = open_run(tmp_path / "run")
    assert (halted.meta["status"], len(halted.table("step"))) == ("interrupted", 9)
    assert halted.transitions["step"].max() <= 8
    assert summarise(halted)["steps"] == 9
    halted.close()
    go(tmp_path / "run", resume=True)
    assert digest(tmp_path / "run") == digest(both[1])


def change(path: Path, alter: Callable[[np.ndarray], None], table: str = "cause") -> None:
    """Alter an array of a log."""
    with sqlite3.connect(path / "run.db") as log:
        row, data = log.execute('SELECT rowid, data FROM bulk WHERE "table" = ? AND step > 3', (table,)).fetchone()
        array = unpack(data).copy()
        alter(array)
        values = {name: array[name] for name in array.dtype.names or ()}
        log.execute("UPDATE bulk SET data = ? WHERE rowid = ?", (pack(table, len(array), values), row))
    log.close()


def test_a_resumed_run_is_held_against_the_arrays(few: None, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", stop_at=9)

    def a_digit(array: np.ndarray) -> None:
        array["probability"] *= 1 + 1e-6

    def a_source(array: np.ndarray) -> None:
        array["source"][0] += 1

    change(tmp_path / "run", a_digit)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", resume=True, stop_at=10)
    change(tmp_path / "run", a_source)
    with pytest.raises(LogError, match=r"table bulk holds \(.* bytes'\), got .*; the program, a file or something random"):
        go(tmp_path / "run", resume=True)


def test_arrays_are_alike_but_for_last_digits() -> None:
    def cause(source: int, probability: float, rows: int = 2) -> bytes:
        values = {"transition_id": 0, "message": 7, "source": source, "step": 1, "dose": 1.0, "probability": probability}
        return pack("cause", rows, values)

    assert alike(cause(1, 1 / 3), cause(1, 1 / 3 + 1e-7))
    assert not alike(cause(1, 1 / 3), cause(1, 0.334))
    assert not alike(cause(1, 1 / 3), cause(2, 1 / 3))
    assert not alike(cause(1, 1 / 3), cause(1, 1 / 3, rows=3))
    for damaged in (b"", b"\x93NUMPY", cause(1, 0.5)[:-3], b"x" * 300):
        with pytest.raises(ValueError, match=r"."):
            unpack(damaged)


def test_a_damaged_array_is_named(few: None, tmp_path: Path) -> None:
    go(tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "run.db") as log:
        log.execute("UPDATE bulk SET data = x'00ff' WHERE step = 5")
    log.close()
    with pytest.raises(LogError, match=r"cannot read the event log .*run\.db"):
        open_run(tmp_path / "run").table("transition")


def board(size: int, step: int, share: float) -> Messages:
    sender = np.flatnonzero(Streams(1).generator("posts", step).random(size) < share)
    same = np.full(len(sender), step)
    empty = np.zeros((len(sender), 4), dtype=np.float32)
    return Messages(step * size + sender, sender, same, same.astype(np.int8), same, same, empty)


@pytest.mark.parametrize(
    ("reads", "board_reads", "window", "share"), [(3, 1, 1, 1.0), (4, 2, 3, 0.6), (2, 2, 2, 0.8), (1, 0, 1, 0.5)]
)
def test_compiled_or_not_everybody_reads_the_same(
    reads: int, board_reads: int, window: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 80
    ends = np.unique(np.sort(Streams(2).generator("edges").integers(size, size=(240, 2)), axis=1), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]]
    network = Network.from_edges(size, np.r_[ends[:, 0], ends[:, 1]], np.r_[ends[:, 1], ends[:, 0]])
    world = forum.Forum(network, Axes(("spiral",)), reads=reads, board_reads=board_reads, window=window)
    world.reset(Streams(4))
    posts = Messages.join([board(size, step, share) for step in range(3 - window, 3)])
    heard = []
    for least in (size, 0):
        monkeypatch.setattr(forum, "INTERPRETED", least)
        heard.append(world.hear(2, posts, np.arange(size)))
    alone = [world.hear(2, posts, np.array([reader])) for reader in range(size)]
    for name in ("agent", "message", "source", "weight"):
        np.testing.assert_array_equal(getattr(heard[0], name), getattr(heard[1], name))
        np.testing.assert_array_equal(getattr(heard[0], name), np.concatenate([getattr(one, name) for one in alone]))
    assert np.bincount(heard[0].agent, minlength=size).max() <= reads
    assert np.all(np.diff(heard[0].agent * 10_000 + heard[0].message) > 0)
    np.testing.assert_array_equal(heard[0].source, heard[0].message % size)
    assert not np.any(heard[0].source == heard[0].agent)


def test_compiled_or_not_the_mean_of_what_is_read_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Streams(8).generator("inbox")
    posts = board(50, 0, 1.0)
    expression = np.where(draw.random((50, 4)) < 0.2, np.nan, draw.normal(size=(50, 4))).astype(np.float32)
    indptr = np.r_[0, np.cumsum(draw.integers(4, size=30))]
    row, weight = draw.integers(50, size=indptr[-1]), draw.random(indptr[-1]) + 0.1
    inbox = Inbox(replace(posts, expression=expression), indptr, row, weight)
    expected = np.full((30, 3), np.nan)
    for reader, column in np.ndindex(30, 3):
        read = slice(indptr[reader], indptr[reader + 1])
        value, share = expression[row[read], column].astype(float), weight[read]
        if (known := ~np.isnan(value)).any():
            expected[reader, column] = np.average(value[known], weights=share[known])
    assert np.isnan(expected).any()
    for least in (1000, 0):
        monkeypatch.setattr(message, "INTERPRETED", least)
        np.testing.assert_allclose(inbox.mean(3), expected, rtol=1e-12)


def test_a_population_that_cannot_fit_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footprint, "memory_available", lambda: int(2e9))
    large = make_scenario(SCENARIO | {"population": {"size": 5_000_000}, "steps": 100})
    rule = r"population\.size: 5,000,000 agents and 100 steps take about 11\.\d GB of memory, but 2\.0 GB are free"
    with pytest.raises(ScenarioError, match=rule):
        prepare(large, tmp_path)
    assert footprint.footprint(large) > footprint.footprint(make_scenario(SCENARIO))
    monkeypatch.setattr(footprint, "memory_available", lambda: 0)
    prepare(make_scenario(SCENARIO), tmp_path)
