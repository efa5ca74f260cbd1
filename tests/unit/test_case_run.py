"""Every compartment at once, from the scenario to the outputs; and what does not fit, refused in one line."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.sim.analysis.findings import find
from contagium.sim.analysis.outputs import write_outputs
from contagium.sim.analysis.report.page import headline
from contagium.sim.analysis.spread.epidemic import CASES, compartment_curves, onsets, states
from contagium.sim.build import ScenarioError
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.observer.case import COMPARTMENTS
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

pytestmark = pytest.mark.rendered

SIZE, STEPS = 12, 10
EVERYTHING = (
    "observer=lexicon",
    "+observer.interviews.mood={question: How are you?, every: 2}",
    "+observer.interviews.sleep={question: Did you sleep?, form: list, positions: {yes: {rest: 1}, no: {rest: -1}}}",
    "observer.case.carrier={items: [mood], instrument: persona_lexicon, enter: 0.2, stay: 0.2}",
    "observer.case.exposed={messages: 2, within: 2}",
    "observer.case.shedding={facet: spread}",
    "+observer.states.moved={axis: valence, enter: 0.05, stay: 0.01}",
    "+observer.states.gloomy={axis: valence, enter: -0.05, stay: -0.01}",
)


@pytest.fixture(scope="module")
def scenario() -> dict[str, Any]:
    given = (f"population.size={SIZE}", f"steps={STEPS}", "backend=parrot", "backend.recovery=0.2", "backend.adoption=0.15")
    with initialize_config_module("contagium.conf", version_base="1.3"):
        whole = compose("config", [*given, *EVERYTHING])
    return OmegaConf.to_container(whole, resolve=True)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def directory(scenario: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("everything")
    asyncio.run(run(prepare(make_scenario(scenario), made), "test", lambda progress: None, lambda: None))
    return made


@pytest.fixture(scope="module")
def summary(directory: Path) -> dict[str, Any]:
    return write_outputs(directory)


@pytest.fixture
def log(directory: Path) -> Run:
    return open_run(directory)


def test_moves_and_counts_of_every_strain_and_state_agree(log: Run) -> None:
    """Whoever moves leaves the compartment it was in, and the counts of each step are of those who are there."""
    named = {"spiral": "SECIHR", "moved": "SIR", "gloomy": "SIR"}
    assert list(named) == log.meta["strains"]
    for strain, compartments in named.items():
        curves = compartment_curves(log, strain)
        assert "".join(curves.columns) == compartments
        assert (curves.sum(axis=1) == SIZE).all()
        for step, found in zip(curves.index, states(log, list(curves.index), strain), strict=True):
            assert {name: int((found == name).sum()) for name in curves} == curves.loc[step].to_dict()
        moves = log.transitions[(log.transitions["strain"] == strain) & (log.transitions["step"] >= 0)]
        for _, mine in moves.groupby("agent"):
            assert mine["origin"].tolist()[1:] == mine["target"].tolist()[:-1]


def test_everything_that_can_happen_happened(log: Run) -> None:
    """Else the other tests would be about little."""
    of_spiral = log.transitions[log.transitions["strain"] == "spiral"]
    assert {*of_spiral["target"]} == {*COMPARTMENTS} - {"S"}
    twice = of_spiral.groupby(["agent", "step"])["target"].agg("".join)
    assert (twice.str.len() > 1).any()
    assert set(log.transitions["strain"]) == {"spiral", "moved", "gloomy"}


def test_an_onset_is_a_first_sign_and_no_exposure_and_no_answer(log: Run) -> None:
    cases, moved = onsets(log), log.transitions[log.transitions["strain"] == "spiral"]
    into = moved[(moved["target"] == "I") & ~moved["origin"].isin(CASES)].drop_duplicates("agent")
    assert set(cases["agent"]) == set(into["agent"])
    caught = cases[~cases["index"]].set_index("agent")
    assert caught["onset"].to_dict() == into[into["step"] >= 0].set_index("agent")["onset"].to_dict()
    caused = moved.set_index("id").loc[sorted({*log.causes["transition_id"]} & {*moved["id"]})]
    assert set(caused["target"]) <= {"I", "C"}
    assert not caused["origin"].isin(CASES).any()


def test_nobody_is_seeded_with_a_state(log: Run) -> None:
    for name in ("moved", "gloomy"):
        cases = onsets(log, name)
        assert len(cases)
        assert not cases["index"].any()
        assert headline(find(log, name), "finished").endswith(
            f"came to show the state {name} in {STEPS} steps; nobody was seeded with it."
        )
    assert "took up the spiral persona" in headline(find(log), "finished")


def test_the_outputs_tell_of_all_of_it(directory: Path, summary: dict[str, Any]) -> None:
    assert list(summary["strains"]) == ["spiral", "moved", "gloomy"]
    assert summary["strains"]["moved"]["index_cases"] == 0
    assert summary["strains"]["moved"]["r0"]["reason"].startswith("no index cases")
    assert summary == json.loads((directory / "summary.json").read_text())
    page, told = (directory / "report.html").read_text(), (directory / "transcript.md").read_text()
    assert "moved: valence ≥ 0.05, held down to 0.01" in page
    assert "gloomy: valence ≤ -0.05, held up to -0.01" in page
    assert "moved from S to E" in told
    assert "moved from I to H" in told
    figure = (directory / "figures" / "compartments.svg").read_text()
    assert all(name in figure for name in ("susceptible", "exposed", "carrier", "shedding", "recovered"))


@pytest.mark.usefixtures("summary")
def test_a_case_that_sheds_is_marked_as_one(log: Run, directory: Path) -> None:
    state = states(log, [4])[0]
    shedding = np.flatnonzero(state == "H")
    assert len(shedding)
    step = (directory / "transcript.md").read_text().split("## Step 5\n")[1].split("## Step 6")[0]
    names = log.agents.set_index("id")["name"]
    for agent in range(SIZE):
        assert (f"● **{names[agent]}**" in step) == (state[agent] in CASES)


@pytest.mark.parametrize(
    ("where", "given", "told"),
    [
        ("case.shedding", {"facet": "zeal"}, "observer.case.shedding: persona spiral has no facet zeal (it has: vocabulary, "),
        (
            "case.carrier",
            {"items": ["dream"], "instrument": "lexicon"},
            "observer: case.carrier: no interview item dream; there are: mood",
        ),
        (
            "case.carrier",
            {"items": ["mood"], "instrument": "lexicon"},
            "observer.case.carrier: persona spiral has no thresholds for ",
        ),
        (
            "case.carrier",
            {"items": ["mood"], "instrument": "judge"},
            "observer: case.carrier.instrument: no instrument judge; the observer has expression, ",
        ),
        ("case.shedding", {"instrument": "judge"}, "observer: case.shedding.instrument: no instrument judge; the observer has "),
        ("case.exposed", {"within": 0}, "observer.case.exposed.within: "),
        ("case.shedding", {"confirm": 2}, "observer.case.shedding: confirm must be at most window (1), got 2"),
        ("states.spiral", {"axis": "valence", "enter": 1, "stay": 1}, "observer.states: spiral is the name of a persona"),
        (
            "states.calm",
            {"axis": "zeal", "enter": 1, "stay": 1},
            "observer: states.calm: no measure zeal; observer.axes has valence, ",
        ),
        (
            "states.calm",
            {"axis": "valence", "enter": -1, "stay": 1},
            "observer.states.calm: stay must lie between 0 and enter (-1.0)",
        ),
        ("states.0", {"axis": "valence", "enter": 1, "stay": 1}, "observer.states.0."),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    where: str, given: dict[str, Any], told: str, scenario: dict[str, Any], tmp_path: Path
) -> None:
    wrong = copy.deepcopy(scenario)
    part, name = where.split(".")
    wrong["observer"][part][name] = given
    with pytest.raises(ScenarioError) as caught:
        prepare(make_scenario(wrong), tmp_path / "never")
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "never").exists()
