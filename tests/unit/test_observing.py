"""The observer at work in a run: beside the agents where it may be, never out of order, and its failures are the run's."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.agents.backends.parrot import Parrot
from contagium.sim.build import ScenarioError
from contagium.sim.estimate import estimate
from contagium.sim.laboratory import prepare
from contagium.sim.log import LogError, digest, open_run
from contagium.sim.observer.instrument import Material, Readings
from contagium.sim.observer.instruments.lexicon import Lexicon
from contagium.sim.run import root, run
from contagium.sim.scenario import Scenario, make_scenario

QUICK = ("observer=lexicon", "backend=parrot", "steps=5", "population.size=8", "seeding.count=2")


def scenario(*overrides: str) -> Scenario:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", [*QUICK, *overrides])
    return make_scenario(OmegaConf.to_container(config, resolve=True))


def record(directory: Path, *overrides: str) -> Path:
    asyncio.run(run(prepare(scenario(*overrides), directory), "test", lambda progress: None, lambda: None))
    return directory / "run.db"


class Order:
    """The order in which steps were spoken and read; reading takes a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, int]] = []
        self._speak, self._read = Parrot.complete, Lexicon.read
        order = self

        async def complete(self: Parrot, request: Any) -> Any:
            order.events.append(("spoken", request.step))
            await asyncio.sleep(0)
            return await order._speak(self, request)

        async def read(self: Lexicon, material: Material) -> list[Readings]:
            found = await order._read(self, material)
            for _ in range(200):
                await asyncio.sleep(0)
            order.events.append(("read", material.step))
            return found

        monkeypatch.setattr(Parrot, "complete", complete)
        monkeypatch.setattr(Lexicon, "read", read)


def test_a_step_is_read_while_the_next_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = digest(record(tmp_path / "plain"))
    order = Order(monkeypatch)
    assert digest(record(tmp_path / "slow")) == plain
    assert order.events.index(("spoken", 1)) < order.events.index(("read", 0)), "beside each other"
    assert [step for what, step in order.events if what == "read"] == list(range(5)), "in order"


@pytest.mark.parametrize("acts_on_it", ["intervention=quarantine", "agents=mixed"])
def test_who_acts_on_what_is_read_waits_for_it(acts_on_it: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = Order(monkeypatch)
    record(tmp_path, acts_on_it)
    for step in range(4):
        assert order.events.index(("read", step)) < order.events.index(("spoken", step + 1))


def test_what_an_instrument_raises_ends_the_run_and_keeps_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Lexicon.read

    async def breaks(self: Lexicon, material: Material) -> list[Readings]:
        if material.step == 2:
            raise LogError("the ruler broke")
        return await read(self, material)

    monkeypatch.setattr(Lexicon, "read", breaks)
    with pytest.raises(ExceptionGroup) as raised:
        record(tmp_path)
    assert str(root(raised.value)) == "the ruler broke"
    log = open_run(tmp_path)
    assert (log.meta["status"], log.meta["reason"]) == ("failed", "the ruler broke")
    assert log.table("step")["step"].tolist() == [0, 1]


def test_an_interrupted_run_keeps_the_step_that_was_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speak, pressed = Parrot.complete, []

    async def stops(self: Parrot, request: Any) -> Any:
        if request.step == 3:
            if not pressed:
                pressed.append(os.kill(os.getpid(), signal.SIGINT))
            await asyncio.sleep(0.3)
        return await speak(self, request)

    monkeypatch.setattr(Parrot, "complete", stops)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            record(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    log = open_run(tmp_path)
    assert log.meta["status"] == "interrupted"
    assert log.table("step")["step"].tolist() == [0, 1, 2]


def test_a_column_is_read_alone_as_it_stands_among_all_readings(tmp_path: Path) -> None:
    log = open_run(record(tmp_path, "observer.report_every=2"))
    assert set(log.readings["channel"]) == {"message", "report", "gap"}
    for channel, column, instrument in (("message", "spiral.bond", "persona_lexicon"), ("report", "valence", "self_report")):
        alone = log.read(instrument, column, channel)
        among = log.readings.query("channel == @channel and column == @column and instrument == @instrument")
        assert len(alone) > 0
        assert alone["value"].tolist() == among["value"].tolist()
        assert alone["id"].tolist() == among["id"].tolist()
    assert len(log.read("lexicon", "no such column")) == 0
    with pytest.raises(LogError, match="quotation mark"):
        log.read("lexicon", 'spiral" OR 1')


def test_what_judges_ask_is_estimated_too() -> None:
    judge = ("observer.instruments.judge.sections=[distress,act]", "observer.instruments.judge.apart=true")
    model = "agents.groups.speaking.policy.index_voice=model"
    (alone,) = asyncio.run(estimate(scenario(model)))
    (judged,) = asyncio.run(estimate(scenario(model, "observer=judge", "observer.instruments.embedding=null", *judge, *WORDS)))
    assert alone.calls == 8 * 5
    assert judged.calls == 8 * 5 * (1 + 2)


WORDS = (
    "observer.instruments.direction=null",
    "observer.case.instrument=persona_lexicon",
    *("observer.axes.valence=[lexicon]", "observer.axes.arousal=[lexicon]", "observer.axes.dominance=[expression]"),
    "observer.axes.distress=[judge]",
)
"""What the observer `judge` needs in order to do without weights."""


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["observer.axes.x=[embeding]"],
            "no instrument embeding",
        ),
        (["observer.axes.valence=[interview]"], "observer.axes: interview does not read messages"),
        (["+observer.states.low={axis: gloom, enter: 5, stay: 3}"], "no measure gloom"),
    ],
)
def test_each_mistake_in_the_observer_is_one_line(overrides: list[str], line: str, tmp_path: Path) -> None:
    plus = ["+" + o if o.startswith("observer.axes.x") else o for o in overrides]
    with pytest.raises(ScenarioError, match=line):
        prepare(scenario(*plus), tmp_path)
