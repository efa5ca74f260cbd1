"""A crowd's step is the law of affect and the race of the model, to the byte where numbers are whole; threads change nothing."""

import numpy as np
import pytest

from contagium.agents.mechanistic.affect import Affect, Feeling, mean_heard
from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.crowd import crowd as module
from contagium.agents.mechanistic.crowd.crowd import Crowd
from contagium.agents.mechanistic.dwell import Fixed
from contagium.agents.mechanistic.models import carrier, sir, sisa, two_strains, watts
from contagium.envs.network import Network, complete, erdos_renyi, ring, scale_free
from contagium.envs.rng import Streams

LEVELS = 511
SEED = Streams(5)


def threefry(key: int, step: int, agents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of Threefry2x64-13 (Salmon et al. 2011) for key (key, step) and counters (agent, 0), as uniforms in [0, 1)."""
    keys = [np.uint64(key), np.uint64(step)]
    keys.append(np.uint64(0x1BD11BDAA9FC1A22) ^ keys[0] ^ keys[1])
    with np.errstate(over="ignore"):
        x, y = agents.astype(np.uint64) + keys[0], np.zeros(len(agents), dtype=np.uint64) + keys[1]
        for turn in range(13):
            by = np.uint64((16, 42, 12, 31, 16, 32, 24, 21)[turn % 8])
            x = x + y
            y = (y << by | y >> (np.uint64(64) - by)) ^ x
            if turn % 4 == 3:
                times = turn // 4 + 1
                x, y = x + keys[times % 3], y + keys[(times + 1) % 3] + np.uint64(times)
    return tuple((word >> np.uint64(11)).astype(np.float64) * 2.0**-53 for word in (x, y))


def race(
    model: ContagionModel,
    network: Network,
    compartment: np.ndarray,
    scale: np.ndarray,
    when: np.ndarray,
    which: np.ndarray,
    dt: float,
) -> np.ndarray:
    """Compartments after a step, by the definition: all options race, one comes with 1 − exp(−total), by its share."""
    hazard = np.zeros((network.size, len(model.compartments)))
    for p in model.progressions:
        hazard[compartment == model.code(p.origin), model.code(p.target)] += p.waits.rate * dt
    for t in model.transmissions:
        counts = compartment[network.source] == model.code(t.source)
        if t.layer is not None:
            counts &= network.layer == network.layers.index(t.layer)
        dose = np.bincount(network.target, counts * network.weight, minlength=network.size)
        open_to = compartment == model.code(t.origin)
        hazard[open_to, model.code(t.target)] += (scale * dose * t.rate * dt)[open_to]
    total = hazard.sum(axis=1)
    moves = when < -np.expm1(-total)
    running = np.cumsum(hazard, axis=1)
    won = (which[:, None] * total[:, None] < running).argmax(axis=1)
    return np.where(moves, won, compartment)


def crowd_of(
    network: Network, model: ContagionModel, law: Affect, exact: bool, **more: object
) -> tuple[Crowd, dict[str, np.ndarray]]:
    """A crowd in which all differ, and how."""
    rng, size = np.random.default_rng(3), network.size
    traits = {
        "baseline": rng.uniform(-1, 1, (size, 3)).astype(np.float32),
        "susceptibility": rng.uniform(0, 3, size).astype(np.float32),
        "expressiveness": rng.uniform(0, 1.5, size).astype(np.float32),
    }
    crowd = Crowd(network, model, law, SEED, exact=exact, **traits, **more)
    crowd.reset(rng.integers(0, len(model.compartments), size).astype(np.int8), rng.uniform(-1, 1, (size, 3)))
    return crowd, traits


def check_steps(
    network: Network, model: ContagionModel, law: Affect, exact: bool, sway: tuple[float, ...] = (0, 0, 0), dt: float = 1.0
) -> None:
    """Twelve steps, each against NumPy from where the crowd stood."""
    crowd, traits = crowd_of(network, model, law, exact, sway=sway, dt=dt)
    seen, one = set(), np.ones(network.size)
    for step in range(12):
        affect, compartment = crowd.affect, crowd.compartment
        shown = np.clip(affect * traits["expressiveness"][:, None], np.float32(-1), np.float32(1))
        if not exact:
            shown = (np.floor(shown * np.float32(LEVELS) + np.float32(512.5)) - 512) / LEVELS
        heard = mean_heard(network.target, shown[network.source].astype(np.float64), network.weight, network.size)
        feeling = Feeling.at(affect.astype(np.float64))
        expected = law.step(feeling, traits["baseline"], heard, traits["susceptibility"], np.zeros_like(heard), one).affect
        draws = threefry(SEED.key("crowd"), step, np.arange(network.size))
        scale = traits["susceptibility"] * np.exp(affect.astype(np.float64) @ np.array(sway))
        moved = race(model, network, compartment, scale, *draws, dt)
        crowd.step()
        np.testing.assert_allclose(crowd.affect, expected, atol=1e-6, rtol=0)
        assert crowd.compartment.tolist() == moved.tolist()
        assert crowd.counts.tolist() == np.bincount(moved, minlength=len(model.compartments)).tolist()
        seen |= {*zip(compartment.tolist(), moved.tolist(), strict=True)}
    assert len([move for move in seen if move[0] != move[1]]) >= 2


def directed(size: int, edges: int, weighted: bool = False, layers: tuple[str, ...] = ()) -> Network:
    """Edges at random, one way; the last ten agents hear nobody."""
    rng = np.random.default_rng(8)
    key = np.unique(rng.integers(0, (size - 10) * size, edges))
    target, source = np.divmod(key, size)
    keep = target != source
    target, source = target[keep], source[keep]
    weight = rng.uniform(0.1, 3, len(source)) if weighted else None
    layer = rng.integers(0, len(layers), len(source)) if layers else None
    return Network.from_edges(size, source, target, weight, layer, layers)


@pytest.mark.parametrize("model", [sisa(0.05, 0.1, 0.2), carrier(), two_strains((0.1, 0.2), (0.2, 0.1), 0.5, 0.02)])
def test_a_step_by_signals_is_the_law_and_the_race_of_what_was_rounded(model) -> None:
    check_steps(directed(700, 4000), model, Affect(0.2, 0.3, colouring=0.4), exact=False, dt=0.7)


def test_a_step_in_plain_numbers_is_the_law_and_the_race() -> None:
    layered = ContagionModel(
        ("S", "I", "J", "R"),
        (Transmission("I", "S", "I", 0.1, layer="work"), Transmission("J", "S", "J", 0.2), Transmission("I", "R", "J", 0.3)),
        (Progression("I", "R", 0.2), Progression("J", "S", 0.1)),
        seeded=("I", "J"),
    )
    network = directed(700, 4000, weighted=True, layers=("home", "work"))
    check_steps(network, layered, Affect(0.1, 0.6), exact=True, sway=(-1.0, 0.5, 0.2))


def test_sway_acts_on_signals_too() -> None:
    check_steps(directed(700, 4000), sisa(0.02, 0.2, 0.2), Affect(), exact=False, sway=(-2.0, 0.0, 1.0))


@pytest.mark.parametrize("exact", [False, True])
def test_threads_tiles_and_the_number_of_calls_change_not_a_byte(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = scale_free(12_000, SEED, 4)

    def run(threads: int, calls: list[int]) -> bytes:
        crowd, _ = crowd_of(network, sisa(0.05, 0.05, 0.2), Affect(), exact, sway=(-1.0, 0.0, 0.0), threads=threads)
        for n in calls:
            crowd.step(n)
        return crowd.affect.tobytes() + crowd.compartment.tobytes()

    expected = run(1, [7])
    assert run(1, [1] * 7) == expected
    assert run(2, [7]) == expected
    monkeypatch.setattr(module, "NARROWEST", 64)
    assert run(5, [3, 4]) == expected


@pytest.mark.parametrize(("law", "steps"), [(Affect(0.2, 0.3), 150), (Affect(0.05, 0.9), 150), (Affect(0.0, 0.5), 40)])
def test_rounding_stays_within_its_bound_and_leaves_compartments_alone(law: Affect, steps: int) -> None:
    network = erdos_renyi(3000, SEED, 8.0)
    rounded, exact = (Crowd(network, sisa(0.02, 0.05, 0.2), law, SEED, baseline=baselines(3000), exact=e) for e in (False, True))
    worst = 0.0
    for step in range(1, steps + 1):
        rounded.step()
        exact.step()
        wrong = float(np.abs(rounded.affect - exact.affect).max())
        many = (1 - (1 - law.relaxation) ** step) / law.relaxation if law.relaxation else step
        assert wrong <= law.contagion / 1022 * many + 1e-6
        worst = max(worst, wrong)
    assert worst > 1e-5
    assert rounded.compartment.tolist() == exact.compartment.tolist()


def baselines(size: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (size, 3)).astype(np.float32)


def test_what_is_heard_is_wrong_by_half_a_level_at_most() -> None:
    """Each agent hears one other and goes all the way to it, so that its affect is what it heard."""
    network = Network.from_edges(5000, (np.arange(5000) + 1) % 5000, np.arange(5000))
    said = baselines(5000)
    said[:3] = [[-1, 0, 1], [1, -1, 0], [0, 1, -1]]
    crowd = Crowd(network, sir(), Affect(0.0, 1.0), SEED, baseline=said)
    crowd.step()
    wrong = np.abs(crowd.affect - np.roll(said, -1, axis=0))
    assert 0.99 / 1022 < wrong.max() <= 1 / 1022 + 1e-6
    assert np.all(np.roll(wrong, 1, axis=0)[:3] == 0), "neutral and extremes are held exactly"


def test_the_sums_have_room_for_the_most_neighbours_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    many = module.MOST_HEARD
    star = Network.from_edges(many + 1, np.arange(1, many + 1), np.zeros(many, dtype=np.int64))
    model = two_strains((1e-5, 1e-5), (0.0, 0.0))
    for said, compartment in (([1, 1, 1], "A"), ([1, -1, 1], "B"), ([-1, 1, -1], "A")):
        crowd = Crowd(star, model, Affect(0.0, 1.0), SEED)
        start, affect = np.full(many + 1, model.code(compartment), dtype=np.int8), np.tile(np.float32(said), (many + 1, 1))
        start[0], affect[0] = 0, 0.0
        crowd.reset(start, affect)
        crowd.step()
        assert crowd.affect[0].tolist() == said
        when, _ = threefry(SEED.key("crowd"), 0, np.arange(1))
        assert crowd.compartment[0] == (model.code(compartment) if when[0] < -np.expm1(-1e-5 * many) else 0)
    monkeypatch.setattr(module, "MOST_HEARD", many - 1)
    with pytest.raises(ValueError, match="at most 65,534 neighbours add up, got 65,535: choose exact=True"):
        Crowd(star, model, Affect(), SEED)


@pytest.mark.parametrize("exact", [False, True])
def test_a_push_comes_once_and_bad_news_weighs_more(exact: bool) -> None:
    law, network = Affect(0.2, 0.3, loss_aversion=2.0), ring(6, SEED)
    crowd = Crowd(network, sir(), law, SEED, exact=exact)
    push = np.array([[-0.2, 0.1, 0], [0.2, -0.1, 0], [-0.9, 0, 0.5], [0, 0, 0], [1e30, 0, 0], [0, 0, 0]], dtype=np.float32)
    crowd.step(push=push)
    expected = [[-0.4, 0.1, 0], [0.2, -0.1, 0], [-1, 0, 0.5], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(crowd.affect, expected, atol=1e-6)
    other = Crowd(network, sir(), law, SEED, exact=exact)
    other.step(3, push=push)
    crowd.step(2)
    assert other.affect.tobytes() == crowd.affect.tobytes()


def test_a_run_repeats_after_a_reset_and_differs_by_seed() -> None:
    network = erdos_renyi(500, SEED, 8.0)
    crowd = Crowd(network, sisa(0.1, 0.1, 0.2), Affect(), SEED, baseline=[0.5, 0, 0])
    runs = []
    for _ in range(2):
        crowd.reset()
        crowd.step(5)
        runs.append(crowd.compartment.tobytes() + crowd.affect.tobytes())
    other = Crowd(network, sisa(0.1, 0.1, 0.2), Affect(), Streams(6))
    other.step(5)
    assert runs[0] == runs[1]
    assert other.compartment.tolist() != crowd.compartment.tolist()
    assert crowd.steps == 5


def test_what_is_the_same_for_all_may_be_given_once() -> None:
    network = erdos_renyi(1500, SEED, 8.0)
    once = Crowd(network, sisa(), Affect(), SEED, baseline=[0.5, -0.5, 0.1], susceptibility=2.0, expressiveness=0.5)
    each = Crowd(
        network,
        sisa(),
        Affect(),
        SEED,
        baseline=np.tile([0.5, -0.5, 0.1], (1500, 1)),
        susceptibility=np.full(1500, 2.0),
        expressiveness=np.full(1500, 0.5),
    )
    for crowd in (once, each):
        crowd.step(4)
    assert once.affect.tobytes() == each.affect.tobytes()
    assert once.compartment.tolist() == each.compartment.tolist()


THREE = ContagionModel(
    ("S", "A", "B", "C"),
    tuple(Transmission(name, "S", name, rate) for name, rate in zip("ABC", (0.1, 0.2, 0.3), strict=True)),
    (Progression("C", "S", 0.2),),
    seeded=("A", "B", "C"),
)
LAYERED = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 0.1, layer="work"),))
HEAVY = Network.from_edges(3, [0, 1], [1, 2], [1.0, 2.0])
WORK = Network.from_layers({"work": ring(8, SEED)})


@pytest.mark.parametrize(
    ("network", "model", "law", "more", "said"),
    [
        (complete(4, SEED), watts(), Affect(), {}, "linear responses only, but S -> I has Threshold"),
        (complete(4, SEED), sir(infectious_dwell=Fixed(3.0)), Affect(), {}, "exponential dwell times only, but I -> R has Fixed"),
        (complete(4, SEED), sir(), Affect(appraisal=0.5), {}, "has no appraisal: it must be 1.0, got 0.5"),
        (complete(4, SEED), sir(), Affect(activity=0.5), {}, "has no activity: it must be 1.0, got 0.5"),
        (complete(4, SEED), sir(), Affect(regulation=0.1, effort=2.0), {}, "has no reappraisal.*got 0.1 and 2.0"),
        (HEAVY, sir(), Affect(), {}, "weighted network needs exact=True"),
        (WORK, LAYERED, Affect(), {}, "on a layer needs exact=True"),
        (complete(4, SEED), THREE, Affect(), {}, "2 kinds of source apart: a model with 3 needs exact=True"),
        (complete(4, SEED), sir(), Affect(), {"dt": 0.0}, "dt must be positive and finite, got 0.0"),
        (complete(4, SEED), sir(), Affect(), {"threads": 0}, "threads must be at least 1, got 0"),
        (complete(4, SEED), sir(), Affect(), {"sway": (0, np.nan, 0)}, "sway must be three numbers in"),
        (complete(4, SEED), sir(), Affect(), {"baseline": 1.5}, r"baseline must be in \[-1, 1\], got 1.5"),
        (complete(4, SEED), sir(), Affect(), {"baseline": np.zeros((4, 2))}, r"of shape \(4, 3\), got shape \(4, 2\)"),
        (
            complete(4, SEED),
            sir(),
            Affect(),
            {"susceptibility": [1, 1, -1, 1]},
            "susceptibility must be at least 0 and finite, got -1",
        ),
        (complete(4, SEED), sir(), Affect(), {"sway": (800.0, 0.0, 0.0)}, r"sway must be three numbers in \[-10, 10\], got"),
        (complete(4, SEED), sir(), Affect(), {"expressiveness": np.nan}, "expressiveness must be at least 0 and finite, got nan"),
        (complete(4, SEED), sir(), Affect(), {"expressiveness": np.ones(5)}, r"must be one number or 4, got shape \(5,\)"),
    ],
)
def test_what_a_crowd_cannot_do_is_named(network, model, law, more, said) -> None:
    with pytest.raises(ValueError, match=said):
        Crowd(network, model, law, SEED, **more)


def test_wrong_starts_and_pushes_are_named() -> None:
    crowd = Crowd(complete(4, SEED), sir(), Affect(), SEED)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        crowd.step(0, push=0.5)
    with pytest.raises(ValueError, match=r"compartment must have shape \(4,\), got \(3,\)"):
        crowd.reset(np.zeros(3, dtype=np.int8))
    with pytest.raises(ValueError, match=r"codes 0 to 2, got 0\.5 to 0\.5"):
        crowd.reset(np.full(4, 0.5))
    with pytest.raises(ValueError, match="codes 0 to 2, got 0 to 3"):
        crowd.reset(np.array([0, 1, 2, 3], dtype=np.int8))
    with pytest.raises(ValueError, match=r"affect must be in \[-1, 1\], got nan"):
        crowd.reset(affect=np.full((4, 3), np.nan))
    with pytest.raises(ValueError, match=r"push must be in \[.*\], got inf"):
        crowd.step(push=np.array([np.inf, 0, 0]))


def test_three_kinds_of_source_and_an_empty_network_run_in_plain_numbers() -> None:
    check_steps(directed(300, 2000), THREE, Affect(), exact=True)
    alone = Crowd(Network.from_edges(5, [], []), sir(), Affect(0.5, 0.5), SEED, baseline=0.8)
    alone.reset(affect=np.zeros((5, 3)))
    alone.step()
    np.testing.assert_allclose(alone.affect, 0.4)
