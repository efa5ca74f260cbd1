"""The scenario: every rule over it is told in one line that names key, rule and value, and no secret gets in."""

from copy import deepcopy
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from pydantic import ValidationError

from contagium.sim.build import ScenarioError
from contagium.sim.credentials import refusal
from contagium.sim.scenario import make_scenario


def composed(*overrides: str) -> Any:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)), resolve=True)


BASE = composed("observer.case.window=3", "agents=mixed", "observer=lexicon", "backend=parrot", "pressure=rejection")


def changed(key: str, value: Any) -> Any:
    """The base scenario with one dotted key set."""
    whole = deepcopy(BASE)
    *path, last = key.split(".")
    node = whole
    for name in path:
        node = node[name]
    node[last] = value
    return whole


def test_the_committed_configuration_is_a_scenario() -> None:
    scenario = make_scenario(BASE)
    assert (scenario.name, scenario.population.size, scenario.persona.name) == ("contagium", 12, "spiral")
    with pytest.raises(ValidationError, match="frozen"):
        scenario.steps = 3
    assert make_scenario(scenario.model_dump(mode="json", by_alias=True)) == scenario


def test_null_switches_one_of_several_off() -> None:
    assert "embedding" not in make_scenario(BASE).observer.instruments
    assert make_scenario(changed("pressure.events.rejection", None)).pressure.events == {}
    assert list(make_scenario(changed("agents.groups.speaking", None)).agents.groups) == ["mechanistic"]


EVENT = {"at": [1], "text": "x"}
GROUP = BASE["agents"]["groups"]["mechanistic"]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("seed", "abc", "seed: …, got 'abc'"),
        ("seed", -1, "seed: …, got -1"),
        ("steps", 0, "steps: …, got 0"),
        ("steps", None, "steps: …, got None"),
        ("population.size", 0, "population.size: …, got 0"),
        ("population.siez", 3, "population.siez: no such key"),
        ("population.susceptibility_sd", -0.1, "population.susceptibility_sd: …, got -0.1"),
        ("population.susceptibility_sd", float("nan"), "population.susceptibility_sd: …, got nan"),
        ("seeding.agents", [3, 99], "seeding.agents: agents are 0 to 11, got 99"),
        ("seeding.agents", [-1], "seeding.agents: agents are 0 to 11, got -1"),
        ("seeding.count", 13, "seeding.count: at most population.size (12) index cases, got 13"),
        ("seeding.method", "best", "seeding.method: …, got 'best'"),
        (
            "pressure.events.rejection",
            EVENT | {"rate": 0.1},
            "pressure.events.rejection: give either at (steps) or rate (per step) or trigger, not both at and rate",
        ),
        ("pressure.events.rejection", EVENT | {"intensity": 1.1}, "pressure.events.rejection.intensity: …, got 1.1"),
        ("pressure.events.rejection", {"rate": -0.1}, "pressure.events.rejection.rate: …, got -0.1"),
        ("persona.name", "valence", "persona.name: valence is an axis of affect already (valence, arousal, dominance)"),
        ("persona.affect", [0, 0, 2], "persona.affect.2: …, got 2"),
        (
            "persona.detection.persona_lexicon",
            {"enter": 0.2, "stay": 0.3},
            "persona.detection.persona_lexicon: stay must be at most enter (0.2), got 0.3",
        ),
        ("persona.detection.persona_lexicon.stay", 0, "persona.detection.persona_lexicon.stay: …, got 0"),
        (
            "persona.detection",
            {},
            "persona.detection: persona spiral has no thresholds for observer.case.instrument=persona_lexicon (it has: none)",
        ),
        ("observer.case.confirm", 9, "observer.case: confirm must be at most window (3), got 9"),
        (
            "observer.case.instrument",
            "x",
            "observer: case.instrument: no instrument x; the observer has expression, lexicon, emotion_lexicon, ",
        ),
        ("observer.report_every", -1, "observer.report_every: …, got -1"),
        ("agents.groups", {}, "agents.groups: …, got {}"),
        ("agents.groups.speaking.size", 13, "agents.groups: sizes add up to 13, more than population.size (12)"),
        ("agents.groups.mechanistic", GROUP | {"size": 1}, "agents.groups.mechanistic: give either size or share"),
        (
            "agents.groups.mechanistic",
            GROUP | {"size": 3, "share": None},
            "agents.groups: sizes add up to 9, less than population.size (12)",
        ),
        ("env", {"reads": 3}, "env: a component needs a _target_"),
        ("name", "a/b", "name: …, got 'a/b'"),
    ],
)
def test_every_rule_is_one_line_with_key_and_value(key: str, value: Any, line: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        make_scenario(changed(key, value))
    told, _, value_told = line.partition("…")
    assert str(refused.value).startswith(told)
    assert str(refused.value).endswith(value_told)
    assert "\n" not in str(refused.value)


def test_of_several_complaints_the_first_is_told_and_the_rest_counted() -> None:
    with pytest.raises(ScenarioError, match=r"^seed: .* got -1 \(and 1 more\)$"):
        make_scenario(changed("seed", -1) | {"steps": 0})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backend.api_key", "sk-secret"),
        ("backend.extra", {"headers": {"Authorization": "sk-secret"}}),
        ("backend.base_url", "http://user:sk-secret@host/v1"),
        ("backend.base_url", "http://host/v1?api_key=sk-secret"),
        ("backend.api_key_env", "sk-secret"),
        ("agents.groups.speaking.backend.token", "sk-secret"),
        ("env.list", [{"password": "sk-secret"}]),
        ("odd", {"x": "sk-secret"}),
        ("persona.api_key", "sk-secret"),
    ],
)
def test_no_secret_gets_in_and_none_is_repeated(key: str, value: Any) -> None:
    with pytest.raises(ScenarioError) as refused:
        make_scenario(changed(key, value))
    assert "sk-secret" not in str(refused.value)
    assert key.rsplit(".", 1)[0].split(".")[0] in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("persona.text", "http://user:pw@host and token=3"),
        ("agents.groups.speaking.policy.max_tokens", "40"),
        ("backend.api_key_env", "MY_KEY"),
        ("backend.base_url", "http://127.0.0.1:8000/v1"),
        ("network.path", "a@b.csv"),
        ("backend.model", "org/model@main"),
        ("backend.api_key", ""),
    ],
)
def test_what_only_looks_like_a_secret_is_let_through(key: str, value: str) -> None:
    assert refusal(key, value) is None
