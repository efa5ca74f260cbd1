"""Mechanistic agents: each one's fate depends on its own draws and contacts, and every transmission names its true message."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagium.agents.mechanistic.contagion import Contacts, ContagionModel, Progression, Transmission, advance, sir, sis
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Setting, name_of
from contagium.envs.dyads import Dyads
from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.network import erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=60)
AXES = Axes(("spiral",))
SPIRAL = Persona(name="spiral", affect=(0.6, 0.6, 0.4), examples=("We spiral.",))
PLAIN = Persona(name="plain", affect=(0.1, 0.0, 0.1), examples=("Lunch.",))
SI = ContagionModel(("S", "I"), (Transmission("I", "S", "I", 0.1),))
SEIR = ContagionModel(
    ("S", "E", "I", "R"), (Transmission("I", "S", "E", 0.8),), (Progression("E", "I", 0.5), Progression("I", "R", 0.05))
)


@LAW
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([SI, sir(0.3, 0.2), SEIR]))
def test_an_agent_moves_the_same_to_the_bit_whoever_else_is_in_the_array(seed: int, size: int, model: ContagionModel) -> None:
    rng = np.random.default_rng(seed)
    compartment = rng.integers(len(model.compartments), size=size)
    target = np.sort(rng.integers(size, size=4 * size))
    source, weight = rng.integers(len(model.compartments), size=4 * size), 10.0 ** rng.uniform(-12, 3, 4 * size)
    when, which = rng.random(size) / 10, rng.random(size)
    which[rng.random(size) < 0.2] = np.nextafter(1, 0)
    after, moves = advance(model, Contacts(source, target, weight), compartment, 1.0, when, which)
    alone = {}
    for agent in range(size):
        mine = np.flatnonzero(target == agent)
        contacts = Contacts(source[mine], np.zeros(len(mine), dtype=np.int64), weight[mine])
        one = [agent]
        then, move = advance(model, contacts, compartment[one], 1.0, when[one], which[one])
        assert then[0] == after[agent]
        if len(move.agents):
            alone[agent] = int(mine[move.contact[0]]) if move.contact[0] >= 0 else -1
    assert alone == dict(zip(moves.agents.tolist(), moves.contact.tolist(), strict=True))


@pytest.mark.parametrize("rivals", range(2, 8))
def test_a_race_on_the_very_edge_ends_the_same_for_every_agent(rivals: int) -> None:
    """Where a draw falls between two options, a rounding that depends on who stands before an agent would show."""
    size = 40
    contacts = Contacts(np.ones(size * rivals, dtype=np.int64), np.repeat(np.arange(size), rivals), np.ones(size * rivals))
    for k in range(rivals):
        when, which = np.zeros(size), np.full(size, k / rivals)
        _, moves = advance(SI, contacts, np.zeros(size, dtype=np.int64), 1.0, when, which)
        assert len(set((moves.contact % rivals).tolist())) == 1


def begun(policy: Mechanistic, size: int, index: list[int], mine: np.ndarray | None = None, sd: float = 0.0) -> Mechanistic:
    strain = np.where(np.isin(np.arange(size), index), 0, -1)
    trait = np.exp(np.random.default_rng(1).normal(0, sd, size))
    population = Population(np.zeros(size, dtype=np.int64), strain, trait, np.maximum(trait, 0.6))
    agents = np.arange(size) if mine is None else mine
    policy.begin(Setting(agents, population, AXES, (SPIRAL,), PLAIN, name_of, (), 0, None))
    return policy


def go(world: World, policies: list[tuple[Mechanistic, np.ndarray]], steps: int) -> list[tuple[Act, list[dict]]]:
    """Each step's merged act, with what each agent that acted had read: message id → sender and strain shown."""
    streams, done = Streams(7), []
    world.reset(streams)
    for _ in range(steps):
        active, acts = world.active(world.step), []
        read = {}
        for policy, mine in policies:
            observed = world.observe(np.intersect1d(active, mine))
            acts.append(asyncio.run(policy.act(observed, streams)))
            for k, agent in enumerate(observed.agents.tolist()):
                inbox = observed.inbox.of(k)
                read[agent] = {
                    int(i): (int(s), float(e)) for i, s, e in zip(inbox.id, inbox.sender, inbox.expression[:, 3], strict=True)
                }
        act = Act.merge(acts, len(AXES))
        done.append((act, read))
        world.deliver(world.send(act), act)
    return done


def worlds(size: int) -> list[World]:
    network = erdos_renyi(size, Streams(2), mean_degree=5)
    return [Forum(network, AXES, reads=4, window=2), Dyads(network, AXES, redraw=3)]


@pytest.mark.parametrize("kind", [0, 1], ids=["forum", "dyads"])
@pytest.mark.parametrize("model", [sir(0.8, 0.05), SEIR], ids=["sir", "seir"])
def test_every_transmission_names_a_message_that_was_read_and_showed_the_strain(kind: int, model: ContagionModel) -> None:
    size, caught, infectious = 60, 0, {0, 1, 2}
    policy = begun(Mechanistic(model), size, [0, 1, 2])
    for act, read in go(worlds(size)[kind], [(policy, np.arange(size))], 40):
        latent = act.latent["spiral"]
        for agent, origin, target, cause, source in zip(
            *(c.tolist() for c in (latent.agent, latent.origin, latent.target, latent.cause, latent.source)), strict=True
        ):
            if origin == "S":
                sender, shown = read[agent][cause]
                assert sender == source
                assert shown >= 0.5
                caught += 1
            else:
                assert (cause, source) == (-1, -1)
            (infectious.add if target == "I" else infectious.discard)(agent)
        shows = set(act.agents[act.expression[:, 3] > 0].tolist())
        assert shows == infectious & set(act.agents.tolist())
    assert caught > 10


@pytest.mark.parametrize("kind", [0, 1], ids=["forum", "dyads"])
def test_the_split_into_groups_leaves_no_trace(kind: int) -> None:
    size = 50
    parts = [
        [np.arange(size)],
        [np.arange(0, size, 3), np.setdiff1d(np.arange(size), np.arange(0, size, 3))],
        np.split(np.arange(size), 10),
    ]
    seen = set()
    for part in parts:
        policies = [(begun(Mechanistic(sis(0.5, 0.2), utters=True), size, [3, 4], mine, sd=0.5), mine) for mine in part]
        acts = [act for act, _ in go(worlds(size)[kind], policies, 12)]
        latent = [(a.latent["spiral"].agent.tolist(), a.latent["spiral"].cause.tolist()) for a in acts]
        seen.add((b"".join(a.expression.tobytes() for a in acts), repr(latent), repr([a.text for a in acts])))
    assert len(seen) == 1


def hearing(step: int, agents: int, shown: float, weight: float = 1.0) -> Observation:
    """Every agent reads one message of agent 0 that shows the strain."""
    zero = np.zeros(1, dtype=np.int64)
    expression = np.array([[0, 0, 0, shown]], dtype=np.float32)
    messages = Messages(zero, zero, zero, zero.astype(np.int8), zero, zero - 1, expression)
    inbox = Inbox(messages, np.arange(agents + 1), np.zeros(agents, dtype=np.int64), np.full(agents, weight))
    no = np.zeros(agents, dtype=bool)
    return Observation(step, np.arange(agents), inbox, None, np.zeros(agents), no, no, str)


@pytest.mark.parametrize(("shown", "weight"), [(1.0, 1.0), (0.6, 1.0), (1.0, 2.5), (0.4, 1.0)])
@pytest.mark.parametrize("step", [1, 4])
def test_one_exposure_infects_with_one_minus_exp_of_the_hazard_however_long_it_waited(
    step: int, shown: float, weight: float
) -> None:
    size, rate = 20_000, 0.3
    policy = begun(Mechanistic(sir(rate, 0.0)), size, [])
    act = asyncio.run(policy.act(hearing(step, size, shown, weight), Streams(1)))
    p = float(1 - np.exp(-rate * weight * shown)) if shown >= 0.5 else 0.0
    share = len(act.latent["spiral"].agent) / size
    assert share == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / size))


def test_time_passes_in_full_for_who_waited() -> None:
    size, rate = 20_000, 0.2
    policy = begun(Mechanistic(sir(0.0, rate)), size, list(range(size)))
    act = asyncio.run(policy.act(hearing(3, size, 1.0), Streams(1)))
    p = 1 - np.exp(-3 * rate)
    assert len(act.latent["spiral"].agent) / size == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / size))


@pytest.mark.parametrize("waited", [0, 1, 2, 5])
def test_affect_relaxes_for_every_step_that_passed(waited: int) -> None:
    """From the baseline of who is not a case to that of who is, a fifth of the way each step; nothing at step 0."""
    policy = begun(Mechanistic(sir(0.0, 0.0)), 1, [0])
    nothing = Inbox(Messages.empty(4), np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    quiet = Observation(waited, np.arange(1), nothing, None, np.zeros(1), *np.zeros((2, 1), dtype=bool), str)
    act = asyncio.run(policy.act(quiet, Streams(1)))
    left = 0.8**waited
    assert act.expression[0, :3] == pytest.approx(left * np.array(PLAIN.affect) + (1 - left) * np.array(SPIRAL.affect), abs=1e-6)


def test_an_index_case_sheds_as_often_as_any_other_case() -> None:
    """Once for certain, then until it recovers: 1 / (1 − exp(−γ)) messages on average, at once or later infected alike."""
    size, rate = 20_000, 0.4
    policy = begun(Mechanistic(sir(0.0, rate)), size, list(range(size)))
    shed = np.zeros(size)
    for step in range(60):
        act = asyncio.run(policy.act(hearing(step, size, float("nan")), Streams(1)))
        shed += act.expression[:, 3] > 0
    p = 1 - np.exp(-rate)
    assert shed.min() == 1
    assert shed.mean() == pytest.approx(1 / p, abs=float(4 * np.sqrt((1 - p) / p**2 / size)))


def test_infectious_agents_show_the_strain_and_drift_to_its_affect() -> None:
    policy = begun(Mechanistic(sir(0.0, 0.0), utters=True), 4, [2])
    for step in range(60):
        act = asyncio.run(policy.act(hearing(step, 4, float("nan")), Streams(1)))
    assert act.expression[:, 3].tolist() == [0, 0, 1, 0]
    assert act.text == {0: "Lunch.", 1: "Lunch.", 2: "We spiral.", 3: "Lunch."}
    # What is heard is neutral: contagion .3 against relaxation .2 keeps two fifths of the baseline.
    assert act.expression[2, :3] == pytest.approx(0.4 * np.array(SPIRAL.affect), abs=1e-6)
    assert act.expression[0, :3] == pytest.approx(0.4 * np.array(PLAIN.affect), abs=1e-6)


def test_what_cannot_work_is_refused_at_once() -> None:
    two = ContagionModel(("S", "I", "J"), (Transmission("I", "S", "I", 0.1), Transmission("J", "S", "J", 0.2)))
    with pytest.raises(ValueError, match="one infectious compartment, got I, J"):
        Mechanistic(two)
    silent = Setting(
        np.arange(1), Population(*np.zeros((4, 1), dtype=int)), AXES, (Persona(name="spiral"),), PLAIN, name_of, (), 0, None
    )
    with pytest.raises(ValueError, match="persona spiral has no examples"):
        Mechanistic(utters=True).begin(silent)
