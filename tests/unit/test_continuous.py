"""Contagion in continuous time: what goes in, what comes out, and that nothing else plays a part."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.dwell import Fixed, Lognormal
from contagium.agents.mechanistic.engine import continuous as module
from contagium.agents.mechanistic.engine import forward
from contagium.agents.mechanistic.engine.continuous import continuous
from contagium.agents.mechanistic.engine.outbreak import Outbreak
from contagium.agents.mechanistic.models import dose_response, seir, si, sir, sirs, sis, two_strains, watts
from contagium.agents.mechanistic.response import Threshold
from contagium.envs.network import Network, complete, erdos_renyi, ring
from contagium.envs.rng import Streams

NETWORK = erdos_renyi(2000, Streams(1), 6.0)


def started(size: int, seeds: int) -> NDArray[np.int8]:
    return (np.arange(size) < seeds).astype(np.int8)


def outbreak(model: ContagionModel, seed: int = 1, until: float = 30.0, moves: bool = False) -> Outbreak:
    start = started(NETWORK.size, 40)
    start[start == 1] = model.code(model.starts[0])
    return continuous(model, NETWORK, start, until, Streams(seed), moves=moves)


def same(one: Outbreak, other: Outbreak) -> bool:
    columns = (o.counts for o in (one, other)), (o.compartment for o in (one, other))
    forests = zip(astuple(one.forest), astuple(other.forest), strict=True)
    return all(np.array_equal(a, b) for a, b in (*columns, *forests))


@pytest.mark.parametrize(
    ("model", "fast"),
    [
        (si(), True),
        (sir(), True),
        (seir(), True),
        (sir(infectious_dwell=Fixed(3.0)), True),
        (sis(), False),
        (sirs(), False),
        (watts(), False),
        (dose_response(), False),
        (ContagionModel(("S", "I"), (Transmission("I", "S", "I", 1.0),), (Progression("S", "I", 0.1),)), False),
        (
            ContagionModel(
                ("S", "I", "R"), (Transmission("I", "S", "I", 1.0), Transmission("R", "I", "R", 1.0)), seeded=("I", "R")
            ),
            False,
        ),
    ],
)
def test_the_fast_kernel_takes_models_that_only_go_forward(model: ContagionModel, fast: bool) -> None:
    assert forward.goes_forward(model.tables()) == fast


@pytest.mark.parametrize("model", [seir(), sirs(), two_strains(), dose_response()], ids=["seir", "sirs", "strains", "dose"])
def test_an_outbreak_hangs_together(model: ContagionModel) -> None:
    """The forest lies along edges, causes were infectious when they caused, and counts, moves and the end agree."""
    run = outbreak(model, moves=True)
    moves, forest = run.moves, run.forest
    assert moves is not None
    assert len(forest) > 500
    assert np.all(np.diff(moves.time) >= 0)
    assert np.all(np.diff(forest.time) >= 0)
    assert moves.time[-1] <= 30
    assert np.array_equal(moves.take(moves.cause >= 0).time, forest.time)
    assert np.all(np.isin(forest.cause * NETWORK.size + forest.agent, NETWORK.source * np.int64(NETWORK.size) + NETWORK.target))
    ways = {(t.source, t.origin, t.target) for t in model.transmissions if t.rate}
    rest = {(p.origin, p.target) for p in model.progressions}
    now = started(NETWORK.size, 40)
    now[now == 1] = model.code(model.starts[0])
    counts, name = np.bincount(now, minlength=len(model.compartments)), model.compartments
    at = 0
    for time, expected in zip(run.times, run.counts, strict=True):
        while at < len(moves) and moves.time[at] <= time:
            agent, cause, origin, target = (int(column[at]) for column in (moves.agent, moves.cause, moves.origin, moves.target))
            assert now[agent] == origin
            way = (name[origin], name[target])
            assert way in rest if cause < 0 else (name[now[cause]], *way) in ways
            now[agent] = target
            counts[[origin, target]] += -1, 1
            at += 1
        assert np.array_equal(counts, expected)
    assert np.array_equal(now, run.compartment)
    assert np.array_equal(forest.secondary(NETWORK.size), np.bincount(forest.cause, minlength=NETWORK.size))


@pytest.mark.parametrize("model", [sir(), sirs()], ids=["forward", "general"])
def test_nothing_but_the_seed_matters(model: ContagionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not whether moves are kept, nor how the work is cut up; with another seed all is different."""
    run = outbreak(model)
    assert same(run, outbreak(model, moves=True))
    monkeypatch.setattr(module, "WORK", 50)
    assert same(run, outbreak(model))
    assert not same(run, outbreak(model, seed=2))


@pytest.mark.parametrize("model", [sir(), sirs()], ids=["forward", "general"])
def test_one_can_watch(model: ContagionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORK", 50)
    told: list[tuple[float, NDArray[np.int64]]] = []
    run = continuous(
        model, NETWORK, started(2000, 40), 30.0, Streams(1), watch=lambda time, counts: told.append((time, counts.copy()))
    )
    times = [time for time, _ in told]
    assert times == sorted(times)
    assert len(set(times)) > 50
    for time, counts in told:
        assert np.array_equal(counts, run.counts[np.searchsorted(run.times, time)])


def test_an_interrupt_stops_a_long_run() -> None:
    def interrupt(time: float, counts: NDArray[np.int64]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        continuous(
            sis(0.5, 0.1), complete(300, Streams(1)), started(300, 9), 1e9, Streams(1), np.array([0.0, 1.0]), watch=interrupt
        )


def test_rows_and_entries_may_outgrow_their_room() -> None:
    """A hundred agents catch it some forty times each, and on a complete network every move changes all other clocks."""
    start = started(100, 50)
    run = continuous(sis(0.02, 1.0), complete(100, Streams(1)), start, 100.0, Streams(3), moves=True)
    assert run.moves is not None
    assert len(run.moves) > 4000
    assert np.all(np.diff(run.moves.time) >= 0)
    slow = continuous(si(1e-4), complete(300, Streams(1)), started(300, 1), 1e4, Streams(3))
    assert slow.counts[-1].tolist() == [0, 300]


def test_times_of_very_different_scale() -> None:
    model = sir(5.0, infectious_dwell=Lognormal(100.0, 10_000.0))
    run = continuous(model, NETWORK, started(2000, 1), 1e9, Streams(2), moves=True)
    assert run.moves is not None
    assert np.all(np.diff(run.moves.time) >= 0)
    assert run.moves.time[-1] > 1000 * np.median(run.forest.time)
    assert run.counts[-1, 1] == 0


@pytest.mark.parametrize("model", [sir(0.0), sis(0.0), watts(rate=0.0)], ids=["sir", "sis", "watts"])
def test_a_rate_of_zero_does_nothing(model: ContagionModel) -> None:
    assert len(outbreak(model).forest) == 0


def test_nobody_is_seeded_or_nobody_hears() -> None:
    nobody = continuous(sir(), NETWORK, started(2000, 0), 10.0, Streams(1))
    assert nobody.counts[-1].tolist() == [2000, 0, 0]
    alone = Network.from_edges(5, [], [])
    for model in (sir(1.0, 0.0), sis(1.0, 0.0), watts()):
        assert continuous(model, alone, started(5, 1), 10.0, Streams(1)).counts[-1].tolist()[:2] == [4, 1]


@pytest.mark.parametrize("recovery", [0.2, 0.0], ids=["general", "forward"])
def test_it_goes_from_source_to_hearer_only(recovery: float) -> None:
    """On a directed line agent 2 hears agent 1, and 1 hears 0."""
    line = Network.from_edges(3, [0, 1], [1, 2])
    model = sis(5.0, recovery) if recovery else si(5.0)
    middle = np.array([0, 1, 0], dtype=np.int8)
    runs = [continuous(model, line, middle, 5.0, Streams(seed)).forest for seed in range(5)]
    assert all(2 in run.agent and 0 not in run.agent for run in runs)


@pytest.mark.parametrize("forward_only", [True, False])
def test_a_layer_carries_its_transmissions_alone(forward_only: bool) -> None:
    ties = Network.from_layers({"home": ring(40, Streams(1), 2), "work": ring(40, Streams(1), 4)})
    leave = () if forward_only else (Progression("I", "S", 0.1),)
    model = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 1.0, layer="home"),), leave)
    forest = continuous(model, ties, started(40, 1), 40.0, Streams(1)).forest
    assert len(forest) >= 20
    assert set(forest.layer.tolist()) == {0}
    assert np.all(np.isin((forest.agent - forest.cause) % 40, (1, 39)))
    both = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 1.0),), leave)
    assert set(continuous(both, ties, started(40, 1), 40.0, Streams(1)).forest.layer.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"until": 0.0}, "until must be positive and finite, got 0.0"),
        ({"until": np.inf}, "until must be positive and finite, got inf"),
        ({"until": np.nan}, "until must be positive and finite, got nan"),
        ({"times": np.array([0.0, 31.0])}, "times must ascend"),
        ({"times": np.array([2.0, 1.0])}, "times must ascend"),
        ({"times": np.array([np.nan])}, "times must ascend"),
        ({"times": np.zeros((2, 2))}, "times must be a list of numbers, got shape"),
        ({"compartment": np.zeros(3, dtype=np.int8)}, "one code for each of 2000 agents"),
        ({"compartment": np.full(2000, 3, dtype=np.int8)}, "codes must be 0 to 2, got 3 to 3"),
        ({"compartment": np.full(2000, 0.5)}, "codes must be 0 to 2, got 0.5 to 0.5"),
        ({"compartment": np.full(2000, 300)}, "codes must be 0 to 2, got 300 to 300"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], complaint: str) -> None:
    given = {"compartment": started(2000, 1), "until": 30.0, "times": None, **change}
    with pytest.raises(ValueError, match=complaint):
        continuous(sir(), NETWORK, streams=Streams(1), **given)  # type: ignore[arg-type]


def test_a_model_may_have_more_transmissions_than_a_byte_counts() -> None:
    """Only the last of 200 has anybody to catch it from."""
    sources = tuple(f"I{k}" for k in range(100))
    spread = tuple(Transmission(source, "S", to, 0.5) for source in sources for to in ("E", "F"))
    model = ContagionModel(("S", "E", "F", *sources), spread, seeded=sources)
    assert forward.goes_forward(model.tables())
    start = np.zeros(2000, dtype=np.int8)
    start[:20] = model.code("I99")
    outbreak = continuous(model, NETWORK, start, 30.0, Streams(1))
    assert len(outbreak.forest) == np.count_nonzero(start != outbreak.compartment) > 50
    assert set(outbreak.forest.target.tolist()) == {1, 2}
    assert np.array_equal(np.bincount(outbreak.compartment, minlength=103), outbreak.counts[-1])


def test_one_time_far_off_may_be_counted_at() -> None:
    outbreak = continuous(sir(), NETWORK, started(2000, 20), 1e12, Streams(1), np.array([1e12]))
    assert np.array_equal(np.bincount(outbreak.compartment, minlength=3), outbreak.counts[0])


def test_rates_near_the_end_of_what_numbers_hold_come_to_an_end() -> None:
    model = ContagionModel(
        ("S", "I", "R"), (Transmission("I", "S", "I", 0.5),), (Progression("I", "R", 1e308), Progression("R", "S", 0.0))
    )
    assert continuous(model, NETWORK, started(2000, 2000), 1.0, Streams(1)).counts[-1].tolist() == [0, 0, 2000]


def test_who_hears_no_source_any_more_is_not_caught_however_unequal_weights_are() -> None:
    """A sum of 1 and 1.1e-8 leaves a rest when both are taken off again, and the least dose is enough here."""
    network = Network.from_edges(3, [0, 1], [2, 2], [1.0, 1.1e-8])
    spread = Transmission("I", "S", "I", 5.0, response=Threshold(0.0, of="weight"))
    model = ContagionModel(("S", "I", "R"), (spread,), (Progression("I", "R", 10.0), Progression("R", "S", 0.0)))
    start, caught = np.array([1, 1, 0], dtype=np.int8), 0
    for seed in range(200):
        moves = continuous(model, network, start, 20.0, Streams(seed), moves=True).moves
        assert moves is not None
        assert np.array_equal(moves.cause >= 0, moves.target == 1)
        caught += np.count_nonzero(moves.target == 1)
    # At rate 5 before the first of two recoveries (rate 20), and then before the second (rate 10).
    expected = 1 - 20 * 10 / (25 * 15)
    assert caught / 200 == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 200))
