"""Interventions as they are configured, in whole runs: each begins, says what it did, and leaves no trace when switched off."""

import asyncio
import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import contagium.sim.analysis.report.transcript as transcript
from contagium.sim.analysis.fit.world import stage
from contagium.sim.build import ScenarioError
from contagium.sim.estimate import estimate
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.reading import digest
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

CONF = Path(__file__).parents[2] / "conf" / "intervention"
OURS = ("prompt", "memory", "state", "population", "monitor")
PARROT = ("backend=parrot", "population.size=8", "seeding.count=2", "memory.tokens=2048", "steps=4")
NUMBERS = ("agents=mechanistic", "population=varied", "population.size=40", "seeding.count=4", "steps=6")


@cache
def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        return OmegaConf.to_container(compose("config", ["observer=lexicon", *overrides]), resolve=True)  # type: ignore[return-value]


def whole(*overrides: str, interventions: dict[str, Any] | None = None) -> dict[str, Any]:
    made = copy.deepcopy(composed(*overrides))
    return made if interventions is None else made | {"intervention": interventions}


def record(directory: Path, scenario: dict[str, Any]) -> Path:
    asyncio.run(run(prepare(make_scenario(scenario), directory), "test", lambda progress: None, lambda: None))
    return directory / "run.db"


@cache
def configured() -> dict[str, dict[str, Any]]:
    """All interventions of the points under test, by the name of their file, as one choice of several composes them."""
    files = [path for path in CONF.glob("*.yaml") if any(f"intervention.{point}." in path.read_text() for point in OURS)]
    names = sorted(path.stem for path in files)
    found = whole(*PARROT, f"intervention=[{','.join(names)}]")["intervention"]
    assert list(found) == names, "each file holds one intervention, of the same name"
    return found


def of(*kinds: str) -> dict[str, dict[str, Any]]:
    return {name: spec for name, spec in configured().items() if spec["_target_"].split(".")[-2] in kinds}


def test_all_that_speak_to_agents_do_so_in_one_run_and_say_to_whom(tmp_path: Path) -> None:
    given = of("prompt", "memory", "population", "monitor")
    del given["immunise_hubs"]  # two cannot immunise the same agents
    for spec in given.values():
        spec.pop("trigger", None), spec.pop("lasting", None)
        spec["start"] = min(spec.get("start", 0), 1)
    log = open_run(record(tmp_path, whole(*PARROT, interventions=given)))
    table = log.table("intervention")
    assert set(given) - {"bumper_fixed"} <= set(table["name"]), "who was asked for nothing may have done nothing"
    assert table["agent"].between(0, 7).all()
    said = table[table["action"].isin(["instructed", "told", "pinned"])]
    assert said["detail"].str.len().min() > 0
    lines = [line for lines in transcript._interventions(log).values() for line in lines]
    assert any("calm\\_generic: instructed 8 agents" in line for line in lines)
    log.close()


def affect(log: Run, axis: str) -> np.ndarray:
    """What each agent showed at each step."""
    read = log.readings.query("column == @axis and instrument == 'expression'")
    return read.pivot(index="step", columns="agent", values="value").to_numpy()


def test_a_clamp_holds_what_agents_feel_from_its_start_to_its_stop(tmp_path: Path) -> None:
    held = configured()["clamp_desperate"] | {"who": [1, 2], "start": 2, "stop": 4}
    rest = configured()["clamp_rest"] | {"who": [3]}
    scenario = whole(*NUMBERS, "population=equal", "pressure=none", interventions={"low": held, "rest": rest})
    log = open_run(record(tmp_path, scenario))
    valence = affect(log, "valence")
    assert valence[2:4, 1:3] == pytest.approx(-0.8)
    assert (valence[:2, 1:3] > -0.5).all()
    assert (valence[4:, 1:3] > -0.8).all()
    assert valence[:, 3] == pytest.approx(scenario["background"]["affect"][0])
    table = log.table("intervention")
    assert table[table["name"] == "low"].groupby(["step", "action"]).size().to_dict() == {(2, "clamped"): 2, (4, "released"): 2}
    log.close()


def test_the_immune_are_not_infected(tmp_path: Path) -> None:
    scenario = whole(
        *NUMBERS, "model.transmission_rate=5", "network=complete", interventions={"immune": configured()["immunise"]}
    )
    log = open_run(record(tmp_path, scenario))
    immune = set(log.table("intervention")["agent"])
    infected = set(log.transitions.query("kind == 'latent' and origin == 'S' and step >= 0")["agent"])
    assert len(immune) == round(0.333 * 40)
    assert len(infected) > 10
    assert not infected & immune
    log.close()


@pytest.mark.parametrize("kind", ["numbers", "parrot"])
def test_interventions_switched_off_leave_no_trace(kind: str, tmp_path: Path) -> None:
    base = NUMBERS if kind == "numbers" else PARROT
    kinds = ("state", "population") if kind == "numbers" else ("prompt", "memory", "monitor")
    given = {name: spec | {"start": 999} for name, spec in of(*kinds).items()}
    for name in ("clamp_angry", "clamp_calm", "clamp_placebo", "clamp_rest", "immunise_hubs"):
        given.pop(name, None)
    given["quarantine"] = {"_target_": "contagium.sim.intervention.quarantine.Quarantine", "start": 999}
    never = record(tmp_path / "never", whole(*base, "intervention=none"))
    off = record(tmp_path / "off", whole(*base, interventions=given))
    assert len(given) > 3
    assert digest(off, ("meta",)) == digest(never, ("meta",))


@pytest.mark.parametrize(
    ("kind", "interventions", "says"),
    [
        ("parrot", {"x": {"_target_": "state.Clamp", "valence": 0}}, "x: Clamp works at the point state, which no agent"),
        ("numbers", {"x": {"_target_": "prompt.Instruct", "text": "Stay calm."}}, "x: Instruct works at the point prompt, which"),
        (
            "parrot",
            {"x": {"_target_": "prompt.Instruct", "text": " "}},
            "x.text: String should have at least 1 character, got ' '",
        ),
        (
            "parrot",
            {"x": {"_target_": "prompt.Tell", "text": "Hm.", "every": 0}},
            "x.every: Input should be greater than or equal",
        ),
        ("parrot", {"x": {"_target_": "memory.Notes", "texts": []}}, "x.texts: Tuple should have at least 1 item"),
        (
            "parrot",
            {"x": {"_target_": "memory.Notes", "texts": ["long " * 2000]}},
            "the notes of an agent must take less than 2048",
        ),
        ("parrot", {"x": {"_target_": "population.Immunise"}}, "x: speaking agents are immunised by a text, and none is given"),
        (
            "parrot",
            {"x": {"_target_": "monitor.Feedback", "text": "{value}", "measure": "bliss"}},
            "x: nothing is known of 'bliss'",
        ),
        ("parrot", {"x": {"_target_": "monitor.Bumper", "words": ["two words"]}}, "x.words.0: String should match pattern"),
        ("numbers", {"x": {"_target_": "state.Clamp", "valence": 2}}, "x.valence: Input should be less than or equal to 1"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(kind: str, interventions: dict[str, Any], says: str, tmp_path: Path) -> None:
    base = NUMBERS if kind == "numbers" else PARROT
    given = {name: spec | {"_target_": f"contagium.sim.intervention.{spec['_target_']}"} for name, spec in interventions.items()}
    with pytest.raises(ScenarioError) as refused:
        prepare(make_scenario(whole(*base, interventions=given)), tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_that_are_for_numbers_begin(tmp_path: Path) -> None:
    given = of("state", "population")
    assert len(given) > 6
    for name, spec in given.items():
        assert len(prepare(make_scenario(whole(*NUMBERS, interventions={name: spec})), tmp_path).interventions) == 1


@pytest.mark.parametrize(("one", "other"), [("induce_desperate", "induce_placebo"), ("inoculation", "inoculation_placebo")])
def test_a_placebo_in_words_is_as_long(one: str, other: str) -> None:
    long, short = sorted(len(str(configured()[name].get("text") or configured()[name]["texts"])) for name in (one, other))
    assert long <= 1.1 * short


def test_the_estimate_counts_what_interventions_ask() -> None:
    spec = {"_target_": "contagium.sim.intervention.paraphrase.Paraphrase", "backend": composed(*PARROT)["backend"]}
    sums = {"_target_": "contagium.sim.intervention.memory.SumUp", "start": 2, "stop": 3}
    plain, with_both = (
        asyncio.run(estimate(make_scenario(whole(*PARROT, interventions=given)))) for given in ({}, {"again": spec, "sum": sums})
    )
    (before,), (after,) = plain, with_both
    # What 8 agents say in 4 steps, said in other words, after 2 sentences on trial; and 8 sums of what they remember.
    assert after.calls - before.calls == 8 * 4 + 2 + 8


def test_a_prediction_feels_where_an_intervention_may_go_by_what_is_felt() -> None:
    spec = {"_target_": "contagium.sim.intervention.withholding.Withholding", "tone": "negative"}
    assert stage(whole(*NUMBERS, interventions={"less": spec})).felt
    assert not stage(whole(*NUMBERS, interventions={})).felt


def test_an_axis_that_no_instrument_reads_is_no_sign(tmp_path: Path) -> None:
    scenario = whole(
        "agents=mechanistic", interventions={"shock": configured()["shock"] | {"trigger": {"measure": "arousal", "above": 0}}}
    )
    del scenario["observer"]["axes"]["arousal"]
    with pytest.raises(
        ScenarioError, match="shock: nothing is known of 'arousal'; there are: valence, dominance, distress, spiral"
    ):
        prepare(make_scenario(scenario), tmp_path)


def test_what_begins_after_the_end_is_said_before_the_run(tmp_path: Path) -> None:
    late = {"calm": {"_target_": "contagium.sim.intervention.state.Push", "vector": [0.1, 0, 0], "start": 6}}
    said: list[str] = []
    prepare(make_scenario(whole(*NUMBERS, interventions=late)), tmp_path, said.append)
    assert said == ["intervention.calm starts in step 6, and the last step is 5: it will not work"]
