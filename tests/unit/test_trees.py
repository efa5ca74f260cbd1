"""Transmission trees: sampling, shape, influence, facets, exports, and what is said where there is nothing to say."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import contagium
from contagium.envs.rng import Streams
from contagium.sim.analysis.figures.transmission import plot_facets, plot_influence, plot_intervals, plot_offspring
from contagium.sim.analysis.report.chapters import all_alike
from contagium.sim.analysis.trees import influence
from contagium.sim.analysis.trees.command import main
from contagium.sim.analysis.trees.exports import graphml, newick
from contagium.sim.analysis.trees.forest import descendants, expected_descendants, sample, shape
from contagium.sim.analysis.trees.intervals import interval_weights, intervals
from contagium.sim.analysis.trees.joint import _redraw, jointly
from contagium.sim.analysis.trees.mutation import MINIMUM_EACH, slope, survival
from contagium.sim.analysis.trees.transmission import STRENGTH, Transmission, tables, transmission
from contagium.sim.analysis.trees.tree import Chains, candidates, chains, from_graph, grown, transmission_tree
from contagium.sim.log import LogError, Run

Make = Callable[..., Any]


def linked(onset: list[int], links: list[tuple[int, int, float]], index: int = 1) -> Chains:
    """Cases 0, 1, … by onset, the first of them index cases."""
    agent = range(len(onset))
    cases = pd.DataFrame({"agent": agent, "onset": onset, "confirmed": onset, "index": [i < index for i in agent]})
    return grown(cases, pd.DataFrame(links, columns=["source", "target", "probability"]))


@pytest.fixture(scope="module")
def diamond() -> Chains:
    """0 caused 1 and maybe 2; 3 came from 1 or 2 or neither; 4 from 3."""
    return linked([-1, 0, 1, 2, 3], [(0, 1, 1.0), (0, 2, 0.5), (1, 3, 0.3), (2, 3, 0.5), (3, 4, 1.0)])


def test_sources_are_drawn_as_often_as_they_are_likely(diamond: Chains) -> None:
    trees = sample(diamond, 20_000)
    drawn = {source: float((trees.parent[:, 3] == source).mean()) for source in (1, 2, -1)}
    for source, chance in ((1, 0.3), (2, 0.5), (-1, 0.2)):
        assert drawn[source] == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / 20_000))
    assert (trees.parent[:, [0, 1, 4]] == [-1, 0, 3]).all()
    # Cases draw independently.
    both = float(((trees.parent[:, 2] == 0) & (trees.parent[:, 3] == 2)).mean())
    assert both == pytest.approx(0.25, abs=0.015)
    np.testing.assert_array_equal(trees.parent, sample(diamond, 20_000).parent)


def test_descendants_in_trees_agree_with_what_is_expected(diamond: Chains) -> None:
    # By hand: 4 below 3; 3 with 4 below 1 by .3 and below 2 by .5; 0 has 1 and all below it, and by .5 2 and all below it.
    expected = expected_descendants(diamond)
    assert expected == pytest.approx([1.6 + 0.5 * 2.0, 0.6, 1.0, 1.0, 0.0])
    below = descendants(sample(diamond, 20_000))
    assert below.mean(axis=0) == pytest.approx(expected, abs=0.03)
    assert below.max() == 4


def test_shape_of_the_likeliest_tree_and_of_sampled_ones(diamond: Chains) -> None:
    found = {one.name: one for one in shape(diamond, sample(diamond, 4000))}
    assert {name: one.likeliest for name, one in found.items()} == {"roots": 1, "depth": 3, "width": 2, "largest family": 5}
    roots = found["roots"].sampled
    assert (roots.low, roots.high) == (1, 3)
    assert roots.value == pytest.approx(1 + 0.5 + 0.2, abs=0.05)


def test_a_tree_without_doubt_is_sampled_once() -> None:
    found = linked([-1, 0, 1], [(0, 1, 1.0), (1, 2, 1.0)])
    assert sample(found).certain
    assert [one.sampled.low == one.sampled.high == one.likeliest for one in shape(found, sample(found))] == [True] * 4


def test_most_influential_agents_and_messages(diamond: Chains) -> None:
    trees = sample(diamond, 4000)
    first, second = influence.agents(diamond, trees)[:2]
    assert (first.agent, first.direct.value, first.total.value) == (0, pytest.approx(1.5), pytest.approx(2.6))
    assert (first.total.low, first.total.high) == (1, 4)
    # As many below it as agent 2 is expected to have, but more of its own.
    assert second.agent == 3
    causes = pd.DataFrame(
        [(0, 1, 7, 1.0), (0, 2, 7, 0.1), (0, 2, 8, 0.4), (1, 3, 9, 0.3), (2, 3, 10, 0.5), (3, 4, 11, 1.0)],
        columns=["source", "target", "message", "probability"],
    )
    told = {one.message: one for one in influence.messages(diamond, trees, causes)}
    assert told[7].direct.value == pytest.approx(1.1)
    assert told[7].total.value == pytest.approx(1.6 + 0.1 * 2)
    assert (told[8].agent, told[8].total.low) == (0, 0)
    assert told[8].total.high == 3
    assert influence.messages(diamond, trees, causes, most=1)[0].message == 7


def test_compiled_and_plain_draws_are_the_same_and_favour_who_caused_many() -> None:
    """Case 9 came from 0, who caused eight others, or from 1, who caused none: with small k it was 0."""
    links = [(0, target, 1.0) for target in range(2, 9)] + [(0, 9, 0.5), (1, 9, 0.5)]
    found = linked([-1, -1, *range(8)], links, index=2)
    trees = jointly(found, 12, 5, np.ones(10, dtype=bool))
    assert (trees.parent[:, 9] == 0).mean() > 0.7
    from contagium.envs.compiled import compiled

    drawn = []
    for redraw in (_redraw, compiled(_redraw)):
        link, count = sample(found, 1).link[0].copy(), np.bincount(np.zeros(8, dtype=np.int64), minlength=10)
        link[9], count[0] = 7, 8
        free, ends = np.array([9]), (np.array([7]), np.array([9]))
        for unit in Streams(3).generator("draws").random((50, 1)):
            source, share = found.links["source"].to_numpy(), found.links["probability"].to_numpy()
            redraw(link, count, free, *ends, np.arange(9), source, share, np.full(10, 2.0), 0.5, unit)
            drawn.append(int(link[9]))
    assert drawn[:50] == drawn[50:]
    assert set(drawn) == {7, 8}


def test_index_cases_count_from_the_step_in_which_they_first_speak() -> None:
    found = linked([-1, 1, 2, 2], [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0)])
    assert intervals(found, 9).seen.tolist() == pytest.approx([0, 2 / 3, 1 / 3])
    early = linked([-1, 0, 2], [(0, 1, 1.0), (0, 2, 1.0)])
    assert intervals(early, 9).seen.tolist() == [0, 0.5, 0, 0.5]


def test_facets_that_are_handed_on_are_told_from_those_that_are_common() -> None:
    rng, n = Streams(5).generator("facets"), 400
    shown, target, source = rng.random(n) < 0.5, np.arange(n), np.arange(n) // 4
    handed = rng.random(n) < np.where(shown, 0.8, 0.3)
    common = rng.random(n) < 0.6
    found = survival(shown, handed, np.ones(n), target, source, "handed")
    assert found.low is not None
    assert found.low > 0.3
    assert found.value == pytest.approx(0.5, abs=3 * math.sqrt(0.8 * 0.2 / 200 + 0.3 * 0.7 / 200))
    none = survival(shown, common, np.ones(n), target, source, "common")
    assert none.low is not None
    assert none.high is not None
    assert none.low < 0 < none.high
    few = survival(np.arange(n) < MINIMUM_EACH - 1, common, np.ones(n), target, source, "few")
    assert few.reason == f"too few to say: {MINIMUM_EACH - 1} cases on one side, {MINIMUM_EACH} are needed"


def test_drift_by_generation() -> None:
    rng, generation = Streams(6).generator("drift"), np.repeat(np.arange(5), 40)
    found = slope(generation, 0.9 - 0.05 * generation + 0.1 * rng.standard_normal(200), np.arange(200) // 4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < -0.05 < found.high < 0


HOSTILE = "O'Hara (<b>&\"),;:[x]\x00\u202e"


@pytest.fixture
def told(make: Make) -> Run:
    """Two candidates for agent 3; agent 1 has a name that means something in every format."""
    made = make(agents=5)
    made.log.add("agent", [(5, HOSTILE, "talk", None, 1.0, 1.0, 1)])
    made.state[5] = "S"
    made.step(1, moved={5: ("I", [(0, 0.9)])})
    made.step(2, moved={2: ("I", [(0, 0.6)])})
    made.step(4, moved={3: ("I", [(5, 0.5), (2, 0.3)]), 4: ("I", [])})
    return contagium.open_run(made.end())


def test_graphml_is_read_back_by_networkx(told: Run) -> None:
    graph = transmission_tree(told)
    back = nx.read_graphml(io.BytesIO(graphml(graph)), node_type=int)
    assert dict(back.edges) == dict(graph.edges)
    assert {k: v for k, v in back.nodes[3].items() if k != "name"} == {k: v for k, v in graph.nodes[3].items() if k != "name"}
    assert back.nodes[5]["name"] == "O'Hara (<b>&\"),;:[x]␀[U+202E]"
    found, before = from_graph(back), chains(told)
    pd.testing.assert_frame_equal(found.cases, before.cases)
    pd.testing.assert_frame_equal(found.links, before.links)


def test_newick_has_a_tree_for_each_root_with_quoted_names(told: Run) -> None:
    first, second = newick(transmission_tree(told))
    assert first == "(('3 Dov':3)'5 O''Hara (<b>&\"),;:[x]␀[U+202E]':2,'2 Cai':3)'0 Ada';"
    assert second == "'4 Eve';"


def test_a_long_chain_has_a_newick_tree_too() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from((k, {"name": "x", "onset": k}) for k in range(3000))
    graph.add_edges_from(((k, k + 1) for k in range(2999)), parent=True)
    assert newick(graph)[0].count("(") == 2999


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(1, 0, {})], "1 must have its onset before its target 0, got 2 and 0"),
        ([(0, 1, {"probability": 1.5})], "the probability of 0 → 1 must be in"),
        ([(0, 2, {"probability": 0.7}), (1, 2, {"probability": 0.7})], "of the sources of 2 must add up to at most 1, got 1.4"),
    ],
)
def test_a_graph_that_is_no_tree_of_causes_is_refused(edges: list[Any], message: str) -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from([(0, {"onset": 0}), (1, {"onset": 2}), (2, {"onset": 3})])
    graph.add_edges_from(edges)
    with pytest.raises(ValueError, match=message):
        from_graph(graph)


def test_the_command_exports_and_says_what_is_wrong(told: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(told.path.parent)
    file = tmp_path / "tree.graphml"
    assert main([directory, "--format", "graphml", "--output", str(file)]) == 0
    assert "5 cases, 4 candidate links, 2 without a source" in capsys.readouterr().err
    assert nx.read_graphml(file, node_type=int).number_of_edges() == 4
    assert main([directory, "--strain", "calm"]) == 2
    assert main([str(tmp_path / "nothing")]) == 2
    assert main([directory, "--output", str(tmp_path / "no" / "such" / "folder")]) == 2
    assert capsys.readouterr().err.count("contagium: ") == 3


def words(found: Transmission) -> str:
    return json.dumps([[table.title, table.says, table.rows] for table in tables(found)], ensure_ascii=False)


def nobody(make: Make) -> Run:
    made = make(agents=4, index=())
    made.step(0)
    return contagium.open_run(made.end())


def one(make: Make) -> Run:
    made = make(agents=1, edges=False)
    made.step(0)
    return contagium.open_run(made.end())


def before_the_first_step(make: Make) -> Run:
    return contagium.open_run(make(agents=4).end("failed", "stopped"))


def everybody_at_once(make: Make) -> Run:
    made = make(agents=30, index=(0,))
    made.step(0, moved={agent: ("I", [(0, 1.0)]) for agent in range(1, 30)})
    return contagium.open_run(made.end())


def seeds_only(make: Make) -> Run:
    made = make(agents=30, index=tuple(range(25)))
    for step in range(4):
        made.step(step)
    return contagium.open_run(made.end())


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (nobody, ("no index cases", "no case could be followed", "0 intervals from 0 sources: too few")),
        (one, ("too few cases to say: 1", "nobody but index cases: there is no tree")),
        (before_the_first_step, ("no step was done", "the agents' own state is not known")),
        (
            everybody_at_once,
            ("too few cases to say", "1 case: too few for k, 20 are needed", "29 intervals from 1 sources: too few"),
        ),
        (seeds_only, ("0.00 (0.00 to 0.", "none of 25 cases caused another")),
    ],
)
def test_what_cannot_be_said_is_said_so(make: Make, case: Callable[[Make], Run], expected: tuple[str, ...]) -> None:
    found = transmission(case(make))
    for words_of_it in expected:
        assert words_of_it in words(found)
    assert "nan" not in words(found)
    draw(found)


def draw(found: Transmission) -> int:
    """All figures; how many lines and bars are on them."""
    matplotlib.use("Agg")
    axes = Figure().subplots(5)
    plot_offspring(axes[0], found.offspring)
    plot_intervals(axes[1], found.serial)
    plot_influence(axes[2], found.agents, found.names)
    plot_influence(axes[3], found.messages, found.names)
    plot_facets(axes[4], found.mutation.facets)
    return sum(len(one.lines) + len(one.patches) for one in axes)


def test_an_epidemic_in_words_from_beginning_to_end(make: Make) -> None:
    """Generations of 2, 10 and 40 cases, each showing the facet its source's message showed; found in the tables and drawn."""
    made = make(agents=52, index=(0, 1), steps=28)
    sources = {agent: agent % 2 if agent < 12 else 2 + agent % 10 for agent in range(2, 52)}
    facet = {0: 1.0, 1: 0.0}
    facet |= {agent: facet[sources[agent] % 2] for agent in sources}
    waves, sent = {0: (0, 1), 3: range(2, 12), 9: range(12, 52)}, 0
    for step in range(28):
        now = list(waves.get(step, ()))
        rows = [
            (step, "message", sent + k, agent, "persona_lexicon", "ok", None, json.dumps({"spiral.bond": facet[agent]}))
            for k, agent in enumerate(now)
        ]
        moved = {agent: ("I", [(sources[agent], 1.0)]) for agent in now if agent in sources}
        made.step(step, said={agent: ("we spiral", 0.9) for agent in now}, moved=moved, reading=rows)
        sent += len(now)
    run = contagium.open_run(made.end())
    causes = candidates(run)
    assert len(causes) == 50
    found = transmission(run)
    assert found.r0.value == pytest.approx(50 / 12)
    assert found.trees == 1
    assert found.serial.observed == pytest.approx((10 * 3 + 40 * 6) / 50)
    assert interval_weights(found.serial) @ np.arange(len(interval_weights(found.serial))) == pytest.approx(5.4, rel=0.1)
    assert "Strength of the strain by generation" in words(found)
    assert found.names.keys() >= {one.agent for one in found.messages}
    assert set(found.words.values()) == {"we spiral"}
    strength = next(table for table in tables(found) if table.title == STRENGTH)
    assert all_alike(found, strength), "on the page it would show nothing"
    assert not all_alike(found, next(tables(found)))
    shown = next(table for table in tables(found) if table.title == "Most influential messages")
    assert shown.head[2] == "its first words"
    assert {row[2] for row in shown.rows} == {"we spiral"}
    assert draw(found) > 20


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "trees.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_run(told: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On another run than the page names, and the commands without the interpreter's start."""
    monkeypatch.chdir(tmp_path)
    directory = str(told.path.parent)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(example.replace("outputs/2026-11-21/10-00-00", directory), "docs/trees.md", "exec"), {})
    commands = re.findall(r"^python -m contagium\.sim\.analysis tree (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert main(command.replace("outputs/2026-11-21/10-00-00", directory).split()) == 0
    assert nx.read_graphml("tree.graphml", node_type=int).number_of_nodes() == 5
    assert Path("tree.nwk").read_text(encoding="utf-8").count(";\n") == 2


def test_unknown_strains_and_kinds_are_refused(told: Run) -> None:
    with pytest.raises(LogError, match="no strain 'calm'"):
        transmission(told, "calm")
    with pytest.raises(LogError, match="kind must be one of"):
        transmission(told, kind="true")
