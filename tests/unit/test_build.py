"""From a specification to an object: everything that does not fit is named by its key, in one line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from contagium.agents.mechanistic.contagion import ContagionModel, Progression, Transmission
from contagium.sim.build import ScenarioError, build, must_be_ours

HERE = __name__


@dataclass(frozen=True)
class Inner:
    rate: float

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must be at least 0, got {self.rate}")


class Outer:
    def __init__(
        self,
        size: int,
        inner: Inner | None = None,
        share: Annotated[float, Field(ge=0, le=1)] = 0.5,
        kind: Literal["a", "b"] = "a",
        names: tuple[str, ...] = (),
    ) -> None:
        self.size, self.inner, self.share, self.kind, self.names = size, inner, share, kind, names


def spec(name: str = "Outer", **given: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.{name}"} | given


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under pytest's importlib mode this file is no module that a path could name."""
    import sys
    from types import ModuleType

    module = ModuleType(HERE)
    module.Outer, module.Inner, module.NUMBER = Outer, Inner, 3
    monkeypatch.setitem(sys.modules, HERE, module)


def test_arguments_are_checked_converted_and_nested_parts_built() -> None:
    made = build(spec(share="0.25", names=["x"], inner=spec("Inner", rate=1)), "thing", size=7)
    assert (made.size, made.inner, made.share, made.kind, made.names) == (7, Inner(1.0), 0.25, "a", ("x",))


def test_a_target_takes_of_the_context_what_it_names() -> None:
    assert build(spec("Inner", rate=2), "thing", size=7, streams=None) == Inner(2.0)


def test_a_contagion_model_is_data() -> None:
    model = build(
        {
            "_target_": "contagium.agents.mechanistic.contagion.ContagionModel",
            "compartments": ["S", "I", "R"],
            "transmissions": [{"source": "I", "origin": "S", "target": "I", "rate": 0.1}],
            "progressions": [{"origin": "I", "target": "R", "rate": 0.2}],
        },
        "model",
    )
    assert model == ContagionModel(("S", "I", "R"), (Transmission("I", "S", "I", 0.1),), (Progression("I", "R", 0.2),))


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (spec(share=1.5), "thing.share: …, got 1.5"),
        (spec(kind="c"), "thing.kind: …, got 'c'"),
        (spec(sahre=0.1), "thing.sahre: no such setting; Outer has: inner, share, kind, names"),
        (spec(size=3), "thing.size: no such setting; Outer has: inner, share, kind, names"),
        (spec(inner=spec("Inner", rate=-1)), "thing.inner: rate must be at least 0, got -1.0"),
        (spec(inner=spec("Inner")), "thing.inner.rate: field required"),
        (spec(inner=spec("Inner", rate="x")), "thing.inner.rate: …, got 'x'"),
        (spec("Missing"), f"thing._target_: cannot import {HERE}.Missing: module '{HERE}' has no attribute 'Missing'"),
        (spec("NUMBER"), f"thing._target_: {HERE}.NUMBER is not a class or function"),
        ({"_target_": "no.such.thing"}, "thing._target_: cannot import no.such.thing: No module named 'no'"),
        ({"_target_": "plain"}, "thing._target_: expected package.module.Name, got 'plain'"),
        ({}, "thing._target_: expected package.module.Name, got None"),
    ],
)
def test_what_does_not_fit_is_one_line(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        build(wrong, "thing", size=7)
    told, _, value_told = line.partition("…")
    assert str(refused.value).startswith(told)
    assert str(refused.value).endswith(value_told)


def test_a_wrong_value_is_not_repeated_at_length() -> None:
    with pytest.raises(ScenarioError) as refused:
        build(spec(kind="x" * 5000), "thing", size=7)
    assert len(str(refused.value)) < 200


def test_a_value_under_an_unknown_key_is_not_repeated() -> None:
    with pytest.raises(ScenarioError) as refused:
        build(spec(api_key="sk-secret"), "thing", size=7)
    assert "sk-secret" not in str(refused.value)


CONF = Path(__file__).resolve().parents[2] / "conf"


def test_all_that_is_configured_here_may_be_stored() -> None:
    targets = {name for file in CONF.rglob("*.yaml") for name in re.findall(r"_target_[:=] *([\w.]+)", file.read_text("utf-8"))}
    assert len(targets) > 40
    other_peoples = {"contagium.envs.foreign.world.PettingZoo", "contagium.agents.trained.Trained"}
    must_be_ours([{"_target_": name} for name in targets - other_peoples])
    for name in other_peoples:
        with pytest.raises(ScenarioError, match="CONTAGIUM_TRUST"):
            must_be_ours({"_target_": name})


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"env": {"_target_": "os.system", "command": "true"}}, "env._target_: 'os.system'"),
        ({"groups": [{}, {"policy": {"of": {"_target_": "builtins.eval"}}}]}, "groups.1.policy.of._target_: 'builtins.eval'"),
        ({"env": {"_target_": "contagium.sim.counterfactual.replay.copied"}}, "env._target_: 'contagium.sim.counterfactual"),
        ({"env": {"_target_": "contagium.envs.archive.Path"}}, "env._target_: 'contagium.envs.archive.Path'"),
        ({"env": {"_target_": "contagium.agents.memory._x"}}, "env._target_: 'contagium.agents.memory._x'"),
        ({"env": {"_target_": "contagium.envs.foreign.game.make_game"}}, "env._target_: 'contagium.envs.foreign.game"),
        ({"env": {"_target_": "contagiummore.envs.X"}}, "env._target_: 'contagiummore"),
        ({"env": {"_target_": "my_labs.X"}}, "env._target_: 'my_labs.X'"),
        ({"env": {"_target_": {"_target_": 3}}}, "env._target_: {'_target_': 3}"),
        ({"a\n\x1b": {"_target_": "x" * 9999}}, "'a\\n\\x1b'._target_: 'xxx"),
    ],
)
def test_a_stored_scenario_calls_nothing_but_our_parts(wrong: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAGIUM_TRUST", "my_lab, ,")
    with pytest.raises(ScenarioError) as refused:
        must_be_ours(wrong)
    assert str(refused.value).startswith(key)
    assert "CONTAGIUM_TRUST" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_package_that_the_user_trusts_may_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"env": {"_target_": "my_lab.world.World"}, "memory": {"_target_": "other.Memory"}}
    monkeypatch.setenv("CONTAGIUM_TRUST", "my_lab, other")
    must_be_ours(theirs)
    monkeypatch.delenv("CONTAGIUM_TRUST")
    with pytest.raises(ScenarioError, match="my_lab"):
        must_be_ours({"env": theirs["env"]})


def test_a_target_that_does_not_say_what_it_takes_is_one_line() -> None:
    with pytest.raises(ScenarioError, match=r"thing._target_: builtins.max does not say what it takes"):
        build({"_target_": "builtins.max"}, "thing")
