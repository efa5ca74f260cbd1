"""A mixed network as a whole: a strain passes from words to numbers and from numbers back to words, and only along the way."""

import asyncio
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.agents.mechanistic.bank import Bank, from_file
from contagium.envs.message import SHOWN, Axes
from contagium.sim.harvest import harvest
from contagium.sim.laboratory import prepare
from contagium.sim.log import open_run
from contagium.sim.run import run
from contagium.sim.scenario import Scenario, make_scenario

SPEAKING, SIZE, STEPS, SEED = 8, 32, 8, 11


class Mixed:
    """A finished run. Index cases speak, and are heard by `exposed` agents, whom two `readers` read, who speak.

    Beside them the same without index cases: `plain` speakers, heard by `control` agents, read by two `others`. Nobody hears
    anybody else. `exposed` and `control` are mechanistic.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "edges.csv"
        speaking = np.arange(SPEAKING)
        self.scenario = scenario(path, speaking)  # to learn who is in which group, which no edge decides
        path.write_text("source,target\n0,1\n", encoding="utf-8")
        group = prepare(self.scenario, folder / "none").population.group
        speaking, numbers = np.flatnonzero(group == 0), np.flatnonzero(group == 1)
        self.index, self.plain, self.readers, self.others = np.split(speaking, 4)
        self.exposed, self.control = np.split(numbers, 2)
        hears = [(self.index, self.exposed), (self.plain, self.control)]
        hears += [(self.exposed, self.readers), (self.control, self.others)]
        lines = [f"{a},{b}" for sources, targets in hears for a in sources for b in targets]
        path.write_text("\n".join(["source,target", *lines]), encoding="utf-8")
        self.scenario = scenario(path, self.index)
        laboratory = prepare(self.scenario, folder / "run")
        asyncio.run(run(laboratory, "test", lambda progress: None, lambda: None))
        self.folder, self.log = folder / "run", open_run(folder / "run")

    @property
    def bank(self) -> Bank:
        return from_file().fitted(Axes(("spiral",)), (self.scenario.persona,), self.scenario.background)

    def readings(self, instrument: str, column: str) -> "pd.Series[float]":
        found = self.log.readings.query("instrument == @instrument and column == @column")
        return found.set_index("id")["value"]

    def causes(self, kind: str) -> pd.DataFrame:
        moves = self.log.transitions.query("kind == @kind and target == 'I' and step >= 0")
        return moves.merge(self.log.causes, left_on="id", right_on="transition_id", suffixes=("", "_heard"))


def scenario(path: Path, index: np.ndarray) -> Scenario:
    overrides = [
        *("agents=mixed", "backend=parrot", "backend.adoption=1", "observer=lexicon", "pressure=none"),
        *("network=file", f"network.path={path}", "network.directed=true", "env.reads=12", "env.board_reads=0"),
        *(f"population.size={SIZE}", f"agents.groups.speaking.size={SPEAKING}", f"seeding.agents={index.tolist()}"),
        *("model=sir", "model.transmission_rate=0.5", "model.recovery_rate=0", f"steps={STEPS}", f"seed={SEED}"),
    ]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        return make_scenario(OmegaConf.to_container(compose("config", overrides), resolve=True))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    return Mixed(tmp_path_factory.mktemp("mixed"))


def test_mechanistic_agents_catch_the_strain_from_speaking_cases_only(mixed: Mixed) -> None:
    assert mixed.log.meta["status"] == "finished"
    caught = mixed.causes("latent")
    assert sorted(caught["agent"]) == sorted(mixed.exposed)
    assert set(caught["source"]) == set(mixed.index)
    read = mixed.readings("persona_lexicon", "spiral")
    enter = mixed.scenario.persona.detection["persona_lexicon"].enter
    assert (read[caught["message"]] >= enter).all()
    assert caught["step"].nunique() > 1  # by chance at each exposure, not all at once


def test_what_mechanistic_agents_express_is_said_in_words_of_the_bank_near_it(mixed: Mixed) -> None:
    said = mixed.log.messages
    read = mixed.log.exposures.query("agent in @mixed.readers or agent in @mixed.others")
    said = said[said["id"].isin(read["message"])].set_index("id")
    assert set(said["sender"]) == {*mixed.exposed, *mixed.control}
    assert len(said) >= (STEPS - 1) * (SIZE - SPEAKING)
    axes, bank = Axes(("spiral",)), mixed.bank
    expressed = pd.DataFrame({name: mixed.readings("expression", name) for name in axes.names}).loc[said.index]
    u = (np.arange(40) + 0.5) / 40
    for row, text in zip(expressed.to_numpy(dtype=np.float32), said["text"], strict=True):
        near = {bank.texts[k] for k in bank.draw(np.tile(row, (len(u), 1)), axes, u)}
        assert text in near
        assert bank.nearest <= len(near) < len(bank) / 4  # ties at the edge count as near
    showing = {text for text, place in zip(bank.texts, bank.expression, strict=True) if place[axes.index("spiral")] >= SHOWN}
    carries = expressed["spiral"] >= SHOWN
    assert 20 < carries.sum() < len(said) - 20
    assert (said["text"].isin(showing) == carries).all()
    assert said["text"].nunique() >= 8


def test_speaking_agents_adopt_what_mechanistic_carriers_say_and_nothing_else(mixed: Mixed) -> None:
    cases = mixed.causes("case")
    turned = cases[cases["agent"].isin([*mixed.readers, *mixed.others, *mixed.plain])]
    assert set(turned["agent"]) == set(mixed.readers)
    assert set(turned["source"]) <= set(mixed.exposed)
    first = mixed.causes("latent").groupby("agent")["step"].min()
    assert (first[turned["source"]].to_numpy() <= turned["step_heard"].to_numpy()).all()


def test_words_of_the_run_can_be_harvested_for_the_next(mixed: Mixed) -> None:
    bank = harvest(mixed.folder)
    assert set(bank.texts) == set(mixed.log.messages["text"])
    assert bank.axes == ("valence", "arousal", "spiral")
    again = bank.fitted(Axes(("spiral",)), (mixed.scenario.persona,), mixed.scenario.background)
    assert set(again.texts) == set(bank.texts)
    shown = dict(zip(bank.texts, bank.expression[:, 2], strict=True))
    enter = mixed.scenario.persona.detection["persona_lexicon"].enter
    read = mixed.readings("persona_lexicon", "spiral")
    for message, text in zip(mixed.log.messages["id"], mixed.log.messages["text"], strict=True):
        assert shown[text] == pytest.approx(min(0.5 * read[message] / enter, 1.0), abs=1e-6)
