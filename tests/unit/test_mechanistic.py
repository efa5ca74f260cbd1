"""Mechanistic agents: each one's fate depends on its own draws and contacts, and every transmission names its true message."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from contagium.agents.mechanistic.affect import Affect
from contagium.agents.mechanistic.bank import Bank
from contagium.agents.mechanistic.belief import DeGroot, FriedkinJohnsen
from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.agents.mechanistic.coupling import Coupling
from contagium.agents.mechanistic.models import carrier, sir, sis, two_strains, watts
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Setting, name_of
from contagium.envs.dyads import Dyads
from contagium.envs.forum import Forum
from contagium.envs.message import Axes, Inbox, Messages
from contagium.envs.network import erdos_renyi
from contagium.envs.rng import Streams
from contagium.envs.world import Act, Observation, World

AXES = Axes(("spiral",))
SPIRAL = Persona(name="spiral", affect=(0.6, 0.6, 0.4), examples=("We spiral.",))
PLAIN = Persona(name="plain", affect=(0.1, 0.0, 0.1), examples=("Lunch.",))
BANK = Bank(["We spiral.", "Lunch."], np.array([[0.6, 0.6, 0.4, 1.0], [0.1, 0.0, 0.1, 0.0]]), AXES.names, nearest=1)
SEIR = ContagionModel(
    ("S", "E", "I", "R"), (Transmission("I", "S", "E", 0.8),), (Progression("E", "I", 0.5), Progression("I", "R", 0.05))
)


def begun(
    policy: Mechanistic, size: int, index: list[int], mine: np.ndarray | None = None, sd: float = 0.0, **setting: object
) -> Mechanistic:
    strain = np.where(np.isin(np.arange(size), index), 0, -1)
    trait = np.exp(np.random.default_rng(1).normal(0, sd, size))
    population = Population(np.zeros(size, dtype=np.int64), strain, trait, np.maximum(trait, 0.6))
    agents = np.arange(size) if mine is None else mine
    begin = Setting(agents, population, AXES, (SPIRAL,), PLAIN, name_of, (), 0, None)
    policy.begin(replace(begin, **setting))
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
        policies = [(begun(Mechanistic(sis(0.5, 0.2), bank=BANK), size, [3, 4], mine, sd=0.5), mine) for mine in part]
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


def test_every_agent_relaxes_to_a_baseline_of_its_own() -> None:
    size = 50
    temperament = np.random.default_rng(3).normal(0, 0.6, (size, 3))
    policy = Mechanistic(sir(0.0, 0.0), Affect(relaxation=0.5, contagion=0.0))
    strain = np.full(size, -1)
    population = Population(np.zeros(size, dtype=np.int64), strain, np.ones(size), np.ones(size), temperament)
    begun(policy, size, [], population=population)
    own = np.clip(np.array(PLAIN.affect) + temperament, -1, 1)
    assert np.array_equal(policy.affect, own)
    policy.affect[:] = 0.0
    asyncio.run(policy.act(hearing(1, size, float("nan")), Streams(1)))
    assert policy.affect == pytest.approx(0.5 * own)


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
    policy = begun(Mechanistic(sir(0.0, 0.0), bank=BANK), 4, [2])
    for step in range(60):
        act = asyncio.run(policy.act(hearing(step, 4, float("nan")), Streams(1)))
    assert act.expression[:, 3].tolist() == [0, 0, 1, 0]
    assert act.text == {0: "Lunch.", 1: "Lunch.", 2: "We spiral.", 3: "Lunch."}
    # What is heard is neutral: contagion .3 against relaxation .2 keeps two fifths of the baseline.
    assert act.expression[2, :3] == pytest.approx(0.4 * np.array(SPIRAL.affect), abs=1e-6)
    assert act.expression[0, :3] == pytest.approx(0.4 * np.array(PLAIN.affect), abs=1e-6)


def test_affect_makes_agents_catch_more_and_show_more() -> None:
    """Log-hazard −1 per unit of valence, at valence −0.5: e^½ times the hazard."""
    size, rate, sad = 20_000, 0.3, PLAIN.model_copy(update={"affect": (-0.5, 0.0, 0.0)})
    policy = Mechanistic(sir(rate, 0.0), coupling=Coupling(susceptibility=(-1, 0, 0)))
    act = asyncio.run(begun(policy, size, [], background=sad).act(hearing(1, size, 1.0), Streams(1)))
    p = float(1 - np.exp(-rate * np.exp(0.5)))
    assert len(act.latent["spiral"].agent) / size == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / size))


def test_fatigue_wears_a_strain_out_and_an_episode_leaves_immunity() -> None:
    size, rate = 20_000, 0.3
    tired = begun(Mechanistic(sir(rate, 0.0), coupling=Coupling(fatigue=1.0)), size, [])
    left, hazard = size, rate
    for step in range(1, 4):
        moved = len(asyncio.run(tired.act(hearing(step, size, 1.0), Streams(1))).latent["spiral"].agent)
        p = float(1 - np.exp(-hazard))
        assert moved / left == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / left))
        left, hazard = left - moved, rate / (1 + step)
    immune = begun(Mechanistic(sis(rate, 50.0), coupling=Coupling(immunity=1.0, waning=0.0)), size, list(range(size)))
    for step in range(1, 5):
        act = asyncio.run(immune.act(hearing(step, size, 1.0), Streams(1)))
        assert (len(act.latent["spiral"].agent) == size) == (step == 1)
    assert not immune.compartment.any()


def test_a_carrier_shows_nothing_a_symptomatic_agent_a_little_and_one_that_sheds_all() -> None:
    model = carrier(symptomatic_share=0.4, uptake_rate=50, clearing_rate=0, onset_rate=50, shedding_rate=50, recovery_rate=0)
    policy = begun(Mechanistic(model), 1, [])
    shown = []
    for step in range(1, 9):
        act = asyncio.run(policy.act(hearing(step, 1, 1.0, weight=50), Streams(1)))
        shown.append((model.compartments[policy.compartment[0, 0]], round(float(act.expression[0, 3]), 3)))
    assert shown[:4] == [("E", 0), ("C", 0), ("Y", 0.7), ("H", 1)]
    assert act.counts == {"spiral": {"S": 0, "E": 0, "C": 0, "Y": 0, "H": 1, "R": 0}}


@pytest.mark.parametrize(("shown", "hazard"), [(1.0, 0.3), (0.7, 0.12), (0.6, 0.12 * 0.6 / 0.7), (0.9, 0.27), (0.45, 0.0)])
def test_a_message_is_taken_for_one_of_the_compartment_that_shows_nearest_to_it(shown: float, hazard: float) -> None:
    """Shedding shows 1 at rate .3; symptomatic, at two fifths of it, shows .7. Between them the nearer, by its dose."""
    size = 20_000
    policy = begun(Mechanistic(carrier(0.3, symptomatic_share=0.4)), size, [])
    act = asyncio.run(policy.act(hearing(1, size, shown), Streams(1)))
    p = float(1 - np.exp(-hazard))
    assert len(act.latent["spiral"].agent) / size == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / size))


def test_a_threshold_looks_at_the_share_of_all_that_is_heard() -> None:
    """Two messages, one of which shows the strain, weights 1 and 2: a third."""
    for share, adopts in ((0.33, True), (0.34, False)):
        policy = begun(Mechanistic(watts(share, rate=50)), 3, [])
        seen = hearing(1, 3, 1.0)
        two = np.array([0, 1])
        expression = np.array([[0, 0, 0, 1], [0, 0, 0, 0]], dtype=np.float32)
        messages = Messages(two, two, two * 0, two.astype(np.int8), two, two * 0 - 1, expression)
        inbox = Inbox(messages, np.arange(4) * 2, np.tile(two, 3), np.tile([1.0, 2.0], 3))
        asyncio.run(policy.act(replace(seen, inbox=inbox), Streams(1)))
        assert policy.compartment.all() == adopts


def test_two_strains_in_one_model_travel_by_their_own_axes() -> None:
    axes, size = Axes(("spiral", "doom")), 2000
    doom = Persona(name="doom", affect=(-0.8, 0.2, -0.2))
    for column, strain in ((3, "A"), (4, "B")):
        policy = begun(Mechanistic(two_strains((50.0, 50.0), (0.0, 0.0))), size, [], axes=axes, personas=(SPIRAL, doom))
        seen = hearing(1, size, 1.0)
        expression = np.zeros((1, 5), dtype=np.float32)
        expression[0, column] = 1
        messages = replace(seen.inbox.messages, expression=expression)
        act = asyncio.run(policy.act(replace(seen, inbox=replace(seen.inbox, messages=messages)), Streams(1)))
        assert set(act.latent[axes.names[column]].target.tolist()) == {strain}
        assert np.array_equal(act.expression[:, 3:].any(axis=0), [column == 3, column == 4])
        assert act.counts["spiral"][strain] == size


def test_of_two_strains_in_one_model_only_the_one_heard_too_often_wears_out() -> None:
    axes, size = Axes(("spiral", "doom")), 2000
    doom = Persona(name="doom", affect=(-0.8, 0.2, -0.2))
    model = two_strains((1e-9, 20.0), (0.0, 0.0))
    policy = begun(Mechanistic(model, coupling=Coupling(fatigue=1e6)), size, [], axes=axes, personas=(SPIRAL, doom))
    for step, column in enumerate((3, 4), start=1):
        seen = hearing(step, size, 1.0)
        expression = np.zeros((1, 5), dtype=np.float32)
        expression[0, column] = 1
        messages = replace(seen.inbox.messages, expression=expression)
        asyncio.run(policy.act(replace(seen, inbox=replace(seen.inbox, messages=messages)), Streams(1)))
    assert np.all(policy.compartment == model.code("B"))


def test_opinions_move_by_the_law_and_keep_messages_out() -> None:
    axes, size = Axes(("spiral",), ("harm",)), 500
    seen = hearing(1, size, 1.0)
    expression = np.array([[0, 0, 0, 1, 0.8]], dtype=np.float32)
    seen = replace(seen, inbox=replace(seen.inbox, messages=replace(seen.inbox.messages, expression=expression)))
    policy = begun(Mechanistic(sir(50.0, 0), belief=DeGroot(0.5), opinion=(-1, 1)), size, [], axes=axes)
    act = asyncio.run(policy.act(seen, Streams(1)))
    first = Streams(1).uniform("opinion:harm", 0, np.arange(size)) * 2 - 1
    assert policy.opinion is not None
    assert policy.opinion[:, 0] == pytest.approx(first + 0.5 * (0.8 - first), abs=1e-6)
    assert act.expression[:, 4] == pytest.approx(policy.opinion[:, 0], abs=1e-6)
    assert policy.compartment.all()
    held = begun(Mechanistic(sir(50.0, 0), belief=FriedkinJohnsen(0.0), coupling=Coupling(bound=0.5)), size, [], axes=axes)
    asyncio.run(held.act(seen, Streams(1)))
    assert np.array_equal(held.compartment[:, 0] == 1, np.abs(first - np.float32(0.8)) <= 0.5)


def test_who_is_aroused_speaks_more_and_mood_spills_over_to_choices() -> None:
    size, law = 20_000, Affect(activity=0.5, activation=2.0, spillover=1.5, relaxation=0.0, contagion=0.0)
    policy = Mechanistic(sir(0, 0), law, preference={"give": 0.4}, slant={"give": 1.0})
    policy = begun(policy, size, [0], choices=("keep", "give"))
    policy.affect[:] = (0.5, 0.8, 0.0)
    act = asyncio.run(policy.act(hearing(1, size, float("nan")), Streams(1)))
    says, gives = 1 / (1 + np.exp(-1.6)), 1 / (1 + np.exp(-(0.4 + 1.5 * 0.5)))
    assert act.says.mean() == pytest.approx(says, abs=4 * np.sqrt(says * (1 - says) / size))
    assert (act.choice == 1).mean() == pytest.approx(gives, abs=4 * np.sqrt(gives * (1 - gives) / size))


def test_only_what_somebody_may_read_is_put_into_words() -> None:
    policy = begun(Mechanistic(sir(0, 0), bank=BANK), 6, [2], listened=lambda step: np.array([1, 2]) + step)
    assert asyncio.run(policy.act(hearing(0, 6, 0.0), Streams(1))).text == {1: "Lunch.", 2: "We spiral."}
    assert asyncio.run(policy.act(hearing(1, 6, 0.0), Streams(1))).text == {2: "We spiral.", 3: "Lunch."}


def test_what_cannot_work_is_refused_at_once() -> None:
    two = ContagionModel(("S", "I", "J"), (Transmission("I", "S", "I", 0.1), Transmission("J", "S", "J", 0.2)), seeded=("I", "J"))
    with pytest.raises(ValueError, match="compartments I and J show the same and spread differently"):
        begun(Mechanistic(two), 3, [])
    with pytest.raises(ValueError, match="the model tells 2 strains apart, but the run has 1: spiral"):
        begun(Mechanistic(two_strains()), 3, [])
    with pytest.raises(ValueError, match="belief and stances go together"):
        begun(Mechanistic(belief=DeGroot()), 3, [])
    with pytest.raises(ValueError, match="belief and stances go together"):
        begun(Mechanistic(), 3, [], axes=Axes(("spiral",), ("harm",)))
    with pytest.raises(ValueError, match=r"coupling\.bound is about opinions, got 0\.5 without a belief"):
        begun(Mechanistic(coupling=Coupling(bound=0.5)), 3, [])
    with pytest.raises(ValueError, match="slant must be finite, got nan for give"):
        Mechanistic(slant={"give": float("nan")})
    with pytest.raises(ValueError, match="preference: no choice 'give'; the choices of this world are: none"):
        begun(Mechanistic(preference={"give": 1}), 3, [])
    with pytest.raises(ValueError, match=r"opinion must be two ascending numbers in \[-1, 1\], got 0.5 and 0"):
        Mechanistic(opinion=(0.5, 0.0))
