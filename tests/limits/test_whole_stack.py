"""Known answers of epidemic theory in whole runs: scenario, world, mechanistic agents, observer, log and analysis together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from contagium.envs.rng import Streams
from contagium.sim.analysis import final_size, onsets
from contagium.sim.analysis.trees.tree import chains
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

DEGREE, SEEDED = 4, 0.02
CAUGHT, RECOVERED = 1 / 3, 1 / 2
"""Probabilities per step: of catching it from one post of an infectious neighbour, and of recovering."""
TRANSMITS = CAUGHT / (CAUGHT + RECOVERED - CAUGHT * RECOVERED)


def scenario(path: Path, seed: int, size: int, steps: int, detailed: int) -> dict[str, Any]:
    """SIR by forum posts on a random regular network; every neighbour's post is read, and there is nothing else to read."""
    graph = nx.random_regular_graph(DEGREE, size, seed=Streams(seed).integer("test network"))
    path.write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in graph.edges), encoding="utf-8")
    rates = {"transmission_rate": float(-np.log1p(-CAUGHT)), "recovery_rate": float(-np.log1p(-RECOVERED))}
    model = {"_target_": "contagium.agents.mechanistic.models.sir"} | rates
    policy = {"_target_": "contagium.agents.mechanistic.policy.Mechanistic", "model": model}
    return {
        "name": "whole",
        "seed": seed,
        "steps": steps,
        "env": {"_target_": "contagium.envs.forum.Forum", "reads": DEGREE, "board_reads": 0, "window": 1},
        "network": {"_target_": "contagium.envs.network.from_file", "path": str(path)},
        "population": {"size": size},
        "agents": {"groups": {"mechanistic": {"policy": policy, "share": 1}}},
        "backend": {"_target_": "contagium.agents.backends.parrot.Parrot"},
        "persona": {"name": "spiral", "detection": {"expression": {"enter": 0.5, "stay": 0.5}}},
        "background": {"name": "plain"},
        "seeding": {"count": round(SEEDED * size)},
        "pressure": {},
        "intervention": {},
        "observer": {
            "instruments": {"expression": {"_target_": "contagium.sim.observer.instruments.expression.Expression"}},
            "axes": {"valence": ["expression"]},
            "case": {"instrument": "expression"},
        },
        "log": {"detailed_agents": detailed},
    }


def record(directory: Path, seed: int, size: int, steps: int, detailed: int) -> Run:
    laboratory = prepare(make_scenario(scenario(directory / f"{seed}.csv", seed, size, steps, detailed)), directory / str(seed))
    asyncio.run(run(laboratory, "test", lambda progress: None, lambda: None))
    return open_run(directory / str(seed))


def theory(seeded: float) -> float:
    """Final size of discrete SIR on a 4-regular network; seeded: share of index cases. θ: a neighbour never transmits."""
    theta = brentq(lambda x: 1 - TRANSMITS + TRANSMITS * (1 - seeded) * x ** (DEGREE - 1) - x, 0, 0.999)
    return 1 - (1 - seeded) * theta**DEGREE


def test_final_size_of_sir_on_a_regular_network(tmp_path: Path) -> None:
    """T = .5: .85410197 for few seeds, a little more for 2%."""
    assert theory(0.0) == pytest.approx(0.85410197, abs=1e-8)
    sizes = []
    for seed in range(10):
        log = record(tmp_path, seed, size=1500, steps=45, detailed=1)
        last = log.compartments.query("kind == 'case'").iloc[-3:].set_index("compartment")["agents"]
        assert last["I"] == 0
        ever = final_size(log)
        assert ever.count == 1500 - last["S"]
        sizes.append(ever.count / ever.of)
        log.close()
    error = np.std(sizes, ddof=1) / np.sqrt(len(sizes))
    assert error < 0.01
    assert np.mean(sizes) == pytest.approx(theory(SEEDED), abs=4 * error)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of which everything is logged."""
    return record(tmp_path_factory.mktemp("whole"), seed=7, size=400, steps=25, detailed=400)


def moved(log: Run, kind: str) -> pd.DataFrame:
    """Step of infection and of recovery by agent; index cases are infectious from step −1."""
    moves = log.transitions.query("kind == @kind")
    table = pd.DataFrame(index=log.agents["id"])
    table["caught"] = moves[moves["target"] == "I"].set_index("agent")["step"]
    table["over"] = moves[moves["target"] == "R"].set_index("agent")["step"]
    table.loc[log.meta["index_agents"], "caught"] = -1
    return table


def test_counts_are_those_of_the_transitions_and_cases_those_of_the_truth(log: Run) -> None:
    case = moved(log, "case")
    pd.testing.assert_frame_equal(case, moved(log, "latent"))
    counts = log.compartments.query("kind == 'case'").pivot_table(index="step", columns="compartment", values="agents")
    for step in range(-1, 25):
        caught, over = int((case["caught"] <= step).sum()), int((case["over"] <= step).sum())
        assert counts.loc[step, ["S", "I", "R"]].tolist() == [400 - caught, caught - over, over]
    assert counts["R"].iloc[-1] > 200


def test_every_cause_is_an_exposure_to_an_infectious_sender(log: Run) -> None:
    truth = moved(log, "latent")
    caught = log.transitions.query("kind == 'latent' and target == 'I'")
    causes = caught.merge(log.causes, left_on="id", right_on="transition_id", suffixes=("", "_heard"))
    assert len(causes) == len(caught) > 200
    exposures = log.exposures.rename(columns={"step": "step_heard", "source": "sender"})
    found = causes.merge(exposures, on=["step_heard", "message", "agent"])
    assert len(found) == len(causes)
    assert (found["sender"] == found["source"]).all()
    assert (found["step_heard"] == found["step"] - 1).all()
    said = found["message"].map(log.messages.set_index("id")["step"])
    assert (found["message"].map(log.messages.set_index("id")["sender"]) == found["source"]).all()
    assert (truth["caught"][found["source"]].to_numpy() <= said).all()
    assert (truth["over"][found["source"]].fillna(np.inf).to_numpy() > said).all()


def test_the_latent_forest_runs_along_edges_without_a_cycle(log: Run) -> None:
    links = chains(log, kind="latent").links
    assert len(links) == len(onsets(log, kind="latent")) - len(log.meta["index_agents"])
    assert (links["probability"] == 1).all()
    forest = nx.DiGraph(list(zip(links["source"], links["target"], strict=True)))
    assert nx.is_directed_acyclic_graph(forest)
    assert max(degree for _, degree in forest.in_degree()) == 1
    assert set(forest.edges) <= set(zip(log.edges["source"], log.edges["target"], strict=True))
