"""Contagion in steps: the kernels do what plain Python says, whoever else is in the array, and however many threads there are."""

import math

import numpy as np
import pytest

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Tables, Transmission
from contagium.agents.mechanistic.dwell import Fixed, Gamma
from contagium.agents.mechanistic.engine.discrete import Contacts, Course, Keys, advance, begin, discrete
from contagium.agents.mechanistic.kernels import threefry, unit, wait
from contagium.agents.mechanistic.models import carrier, centola_macy, seirs, sir, two_strains
from contagium.agents.mechanistic.response import HILL, THRESHOLD, Hill, Threshold
from contagium.envs.network import Network, erdos_renyi
from contagium.envs.rng import Streams

KEYS = Keys(race=12345678901234567890, dwell=9876543210987654321)
LAYERED = ContagionModel(
    ("S", "E", "I", "R"),
    (
        Transmission("I", "S", "E", 0.4, layer="work"),
        Transmission("I", "S", "I", 0.3, layer="family", response=Hill(1.5, 2.0)),
        Transmission("E", "S", "R", 0.2, response=Threshold(0.3)),
    ),
    (Progression("E", "I", 0.5), Progression("I", "R", dwell=Gamma(2, 3)), Progression("R", "S", 0.3)),
)
MODELS = {
    "sir": sir(0.3, 0.2),
    "carrier": carrier(0.8),
    "two strains": two_strains((0.5, 0.4), cross_immunity=0.5, mutation_rate=0.1),
    "centola macy": centola_macy(2, 0.7),
    "layered": LAYERED,
}
LAYERS = ("family", "work")


def word(key: int, step: int, agent: int, draw: int) -> tuple[int, int]:
    return threefry(np.uint64(key), np.uint64(step), np.uint64(agent), np.uint64(draw))


def oracle(
    tables: Tables,
    contacts: Contacts,
    course: Course,
    now: float,
    elapsed: np.ndarray,
    scale: np.ndarray,
    ids: np.ndarray,
    step: int,
) -> list[tuple[int, int]]:
    """For each agent the compartment it moves to (−1: none) and its contact (−1: by itself), as `advance` promises."""
    result = []
    for i, agent in enumerate(ids.tolist()):
        mine = range(int(contacts.indptr[i]), int(contacts.indptr[i + 1]))
        options = []  # hazard, target, contacts with weight
        for t in range(len(tables.rate)):
            if tables.origin[t] != course.compartment[i]:
                continue
            counts = [e for e in mine if tables.layer[t] < 0 or contacts.layer[e] == tables.layer[t]]
            weight = {e: float(contacts.weight[e]) if len(contacts.weight) else 1.0 for e in counts}
            sources = {e: w for e, w in weight.items() if contacts.state[contacts.who[e]] == tables.source[t]}
            dose = sum(sources.values())
            if dose > 0:
                d, at, power = dose / sum(weight.values()) if tables.share[t] else dose, tables.a[t], tables.b[t]
                by = {THRESHOLD: float(d >= at * (1 - 1e-12)), HILL: d**power / (at**power + d**power) if power else 0}
                hazard = tables.rate[t] * by.get(int(tables.response[t]), d)
                if hazard > 0:
                    options.append((hazard, int(tables.target[t]), sources))
        when, which = (float(unit(np.uint64(w))) for w in word(KEYS.race, step, agent, 0))
        total, rest = sum(h for h, _, _ in options), course.due[i] - (now - elapsed[i])
        comes = -math.log1p(-when) / (total * scale[i]) if total * scale[i] > 0 else math.inf
        if comes < elapsed[i] and comes < rest:
            left = which * total
            while left >= options[0][0] and len(options) > 1:
                left -= options.pop(0)[0]
            hazard, target, sources = options[0]
            mark, at = left / hazard * sum(sources.values()), 0.0
            for w in sources.values():
                at += w
                if mark < at:
                    break
                sources = dict(list(sources.items())[1:]) if len(sources) > 1 else sources
            result.append((target, next(iter(sources))))
        else:
            result.append((int(course.then[i]) if rest <= elapsed[i] else -1, -1))
    return result


def situation(
    model: ContagionModel, seed: int, n: int = 60
) -> tuple[Tables, Contacts, Course, np.ndarray, np.ndarray, np.ndarray]:
    """Random contacts, compartments, waiting times, susceptibilities and names."""
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 9, n)
    indptr = np.r_[0, np.cumsum(count)]
    m, states = int(indptr[-1]), len(model.compartments)
    contacts = Contacts(
        indptr,
        rng.integers(0, n, m).astype(np.int32),
        rng.integers(-1, states, n).astype(np.int8),
        rng.uniform(0.1, 2.0, m) if seed % 2 else np.empty(0),
        rng.integers(0, 2, m).astype(np.int8),
    )
    tables, ids = model.tables(LAYERS), np.sort(rng.permutation(10 * n)[:n])
    course = begin(tables, rng.integers(0, states, n).astype(np.int8), ids, KEYS)
    return tables, contacts, course, rng.integers(0, 3, n).astype(float), rng.uniform(0, 2, n), ids


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_what_plain_python_makes_of_it(name: str) -> None:
    moved = 0
    for seed in range(12):
        tables, contacts, course, elapsed, scale, ids = situation(MODELS[name], seed)
        after, moves = advance(tables, contacts, course, 2.0, elapsed, scale, ids, KEYS, 2)
        expected = oracle(tables, contacts, course, 2.0, elapsed, scale, ids, 2)
        rows = [i for i, (target, _) in enumerate(expected) if target >= 0]
        assert moves.rows.tolist() == rows
        assert list(zip(moves.target.tolist(), moves.contact.tolist(), strict=True)) == [expected[i] for i in rows]
        assert np.array_equal(moves.origin, course.compartment[moves.rows])
        # Who came somewhere has its dwell times drawn anew, and the shortest counts.
        for i in rows:
            columns = zip(tables.begins, tables.leads, tables.dwell, tables.c, tables.d, strict=True)
            waits = {
                2.0 + wait(d, c, e, np.uint64(word(KEYS.dwell, 3, int(ids[i]), p)[0]))[0]: leads
                for p, (begins, leads, d, c, e) in enumerate(columns)
                if begins == after.compartment[i]
            }
            due = min(waits, default=math.inf)
            assert after.due[i] == due
            assert after.then[i] == waits.get(due, -1)
        still = np.setdiff1d(np.arange(len(ids)), rows)
        assert np.array_equal(after.due[still], course.due[still])
        moved += len(rows)
    assert moved > 40


def test_what_was_there_before_a_step_stays() -> None:
    tables, contacts, course, elapsed, scale, ids = situation(MODELS["carrier"], 1)
    kept = course.compartment.copy(), course.due.copy(), course.then.copy()
    advance(tables, contacts, course, 2.0, elapsed, scale, ids, KEYS, 2)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (course.compartment, course.due, course.then), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_an_agent_moves_the_same_to_the_bit_whoever_else_is_in_the_array(name: str) -> None:
    """Alone, in any group, in any order."""
    tables, contacts, course, elapsed, scale, ids = situation(MODELS[name], 5)
    after, moves = advance(tables, contacts, course, 2.0, elapsed, scale, ids, KEYS, 2)
    whole = {int(ids[i]): (int(t), int(e)) for i, t, e in zip(moves.rows, moves.target, moves.contact, strict=True)}
    found = {}
    for group in np.array_split(np.random.default_rng(3).permutation(len(ids)), 7):
        edges = [np.arange(contacts.indptr[i], contacts.indptr[i + 1]) for i in group]
        rows = np.concatenate(edges)
        indptr = np.r_[0, np.cumsum([len(e) for e in edges])]
        part = Contacts(indptr, contacts.who[rows], contacts.state, contacts.weight[rows], contacts.layer[rows])
        then, mine = advance(tables, part, course.take(group), 2.0, elapsed[group], scale[group], ids[group], KEYS, 2)
        for i, t, e in zip(mine.rows, mine.target, mine.contact, strict=True):
            found[int(ids[group[i]])] = (int(t), int(rows[e]) if e >= 0 else -1)
        assert np.array_equal(then.due, after.due[group])
    assert found == whole


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_leave_no_trace(threads: int) -> None:
    network, model = erdos_renyi(3000, Streams(1), mean_degree=6), seirs(0.4)
    start = model.start(3000, np.arange(40))
    one = discrete(model, network, start, 20, 1.0, Streams(2))
    more = discrete(model, network, start, 20, 1.0, Streams(2), threads=threads)
    assert np.array_equal(one.compartment, more.compartment)
    for name in ("agent", "time", "cause", "origin", "target"):
        assert np.array_equal(getattr(one.forest, name), getattr(more.forest, name))
    assert len(one.forest) > 1000


def test_other_names_of_agents_are_other_draws_and_another_numbering_of_the_same_ones_is_not() -> None:
    """The same network with its agents in another order, under the same names: the same fates."""
    n, model = 400, sir(0.3, 0.2)
    network = erdos_renyi(n, Streams(1), mean_degree=6)
    tables, ids, place = model.tables(), np.arange(n), np.random.default_rng(4).permutation(n)
    start = model.start(n, np.arange(30))

    def fate(compartment: np.ndarray, names: np.ndarray, source: np.ndarray, indptr: np.ndarray) -> np.ndarray:
        course = begin(tables, compartment, names, KEYS)
        for step in range(1, 8):
            contacts = Contacts(indptr, source, course.compartment, np.empty(0), np.empty(0, dtype=np.int8))
            course, _ = advance(tables, contacts, course, step, np.ones(n), np.ones(n), names, KEYS, step)
        return course.compartment

    plain = fate(start, ids, network.source, network.indptr)
    # Row k of the shuffled arrays is agent place[k]; neighbours keep their order within a row.
    rank = np.argsort(place)
    rows = [rank[network.neighbours(int(agent))] for agent in place]
    indptr = np.r_[0, np.cumsum([len(row) for row in rows])]
    shuffled = fate(start[place], place, np.concatenate(rows).astype(np.int32), indptr)
    assert np.array_equal(shuffled, plain[place])
    assert not np.array_equal(fate(start, ids + n, network.source, network.indptr), plain)


def test_the_forest_is_a_forest_along_edges_and_its_counts_are_the_curve() -> None:
    network, model = erdos_renyi(2000, Streams(1), mean_degree=6), sir(0.3, 0.2)
    seeds = np.arange(20)
    outbreak = discrete(model, network, model.start(2000, seeds), 40, 1.0, Streams(2))
    forest = outbreak.forest
    assert len(np.unique(forest.agent)) == len(forest) > 500
    when = np.full(2000, np.inf)
    when[seeds], when[forest.agent] = 0, forest.time
    assert np.all(when[forest.cause] < forest.time)
    assert all(c in network.neighbours(int(a)) for a, c in zip(forest.agent[:200], forest.cause[:200].tolist(), strict=True))
    caught = np.searchsorted(np.sort(forest.time), outbreak.times, side="right")
    assert np.array_equal(outbreak.counts[:, 1:].sum(axis=1), caught + len(seeds))


@pytest.mark.parametrize("name", ["sir", "carrier", "two strains", "centola macy"])
def test_a_tally_of_contacts_is_the_same_to_the_bit_as_looking_at_each(name: str) -> None:
    """The same network with weights that are all 1 but not known to be: a weight of 2 between two who do not matter."""
    n, model = 500, MODELS[name]
    network = erdos_renyi(n, Streams(1), mean_degree=6)
    apart = Network.from_edges(
        n + 2, np.append(network.source, n), np.append(network.target, n + 1), np.append(network.weight, 2.0)
    )
    plain = Network.from_edges(n + 2, network.source, network.target)
    start = model.start(n + 2, np.arange(40))
    one, other = (discrete(model, net, start, 15, 1.0, Streams(2)) for net in (plain, apart))
    assert plain.unweighted
    assert not apart.unweighted
    assert np.array_equal(one.counts, other.counts)
    assert np.array_equal(one.forest.cause, other.forest.cause)
    assert len(one.forest) > 100


def test_layers_carry_only_what_acts_on_them() -> None:
    """0 and 1 hear an infectious 2 at work and in the family; the strain travels at work alone."""
    network = Network.from_layers({"family": Network.from_edges(3, [2], [0]), "work": Network.from_edges(3, [2], [1])})
    model = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 50.0, layer="work"),))
    outbreak = discrete(model, network, model.start(3, np.array([2])), 1, 1.0, Streams(1))
    assert outbreak.compartment.tolist() == [0, 1, 1]
    assert outbreak.forest.layer.tolist() == [1]


def test_an_outbreak_that_is_over_stays_as_it_is() -> None:
    network, model = erdos_renyi(300, Streams(1), mean_degree=4), sir(0.3, 0.6)
    start = model.start(300, np.arange(5))
    short, long = (discrete(model, network, start, until, 1.0, Streams(2)) for until in (60, 400))
    assert short.counts[-1, 1] == 0
    assert np.array_equal(long.counts[:61], short.counts)
    assert np.all(long.counts[60:] == short.counts[-1])
    assert len(long.times) == 401


def test_progress_is_told_and_bad_times_are_refused() -> None:
    network, model, told = erdos_renyi(50, Streams(1), mean_degree=4), sir(), []
    discrete(model, network, model.start(50, np.arange(5)), 3, 0.5, Streams(1), watch=lambda t, c: told.append((t, c.sum())))
    assert told == [(0.5 * k, 50) for k in range(1, 7)]
    start = model.start(50, np.arange(5))
    for dt in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"dt must be positive and finite, got {dt}"):
            discrete(model, network, start, 3, dt, Streams(1))
    with pytest.raises(ValueError, match=r"until must be finite and at least dt \(1.0\), got 0.5"):
        discrete(model, network, start, 0.5, 1.0, Streams(1))
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        discrete(model, network, start, 3, 1.0, Streams(1), threads=0)
    for wrong in (np.zeros(60, dtype=np.int8), np.zeros(40, dtype=np.int8), np.full(50, 3), np.full(50, -1), np.full(50, 0.5)):
        with pytest.raises(ValueError, match=r"compartment (must be one code for each of 50 agents|codes must be 0 to 2), got"):
            discrete(model, network, wrong, 3, 1.0, Streams(1))


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1, 0.2])
def test_a_fixed_dwell_time_of_whole_steps_takes_just_as_many(dt: float) -> None:
    """Sums of steps that are no binary fractions come out a little short or long; nobody may stay a step longer for that."""
    ends = Progression("A", "B", dwell=Fixed(1.0)), Progression("B", "A", dwell=Fixed(1.0))
    model = ContagionModel(("A", "B"), (), ends, seeded="A")
    outbreak = discrete(model, Network.from_edges(1, [], []), np.zeros(1, dtype=np.int8), 10.0, dt, Streams(1))
    moved = np.flatnonzero(np.diff(outbreak.counts[:, 0])) + 1
    assert moved.tolist() == [round(k / dt) for k in range(1, 11)]


def test_each_strain_has_its_own_scale() -> None:
    """Everybody hears both strains of one model; a hazard scaled to nothing leaves all to the other."""
    model, n = two_strains((0.5, 0.5), (0.0, 0.0)), 4000
    tables, ids = model.tables(), np.arange(n)
    contacts = Contacts(
        np.arange(n + 1) * 2, np.tile(np.int32([0, 1]), n), np.int8([1, 2]), np.empty(0), np.empty(0, dtype=np.int8)
    )
    course = begin(tables, np.zeros(n, dtype=np.int8), ids, KEYS)
    for scale, part in (([0.0, 1.0], 0.0), ([1.0, 0.0], 1.0), ([3.0, 1.0], 0.75)):
        _, moves = advance(tables, contacts, course, 1.0, np.ones(n), np.tile(scale, (n, 1)), ids, KEYS, 1)
        caught = 1 - np.exp(-0.5 * sum(scale))
        assert len(moves.rows) / n == pytest.approx(caught, abs=4 * np.sqrt(caught * (1 - caught) / n))
        assert np.mean(moves.target == 1) == pytest.approx(part, abs=4 * np.sqrt(part * (1 - part) / len(moves.rows)))
