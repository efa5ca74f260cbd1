"""Statistics of runs whose course is written down in the test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import contagium
from contagium.sim import analysis
from contagium.sim.analysis.figures.layout import breadth_first, network_layout, tree_layout
from contagium.sim.analysis.spread.adoption import MISSING, SCORED, SILENT, UNREAD, copied_share, joined, words
from contagium.sim.analysis.spread.epidemic import states
from contagium.sim.analysis.trees.reproduction import secondary_cases
from contagium.sim.analysis.trees.tree import chains
from contagium.sim.log import LogError, Run

Make = Callable[..., Any]


@pytest.fixture
def run(make: Make) -> Run:
    """Seven agents, 0 seeded: 1 and 2 catch it from 0, 3 from 1 or 2, 4 from nobody known; 0 recovers, 1 relapses."""
    made = make(agents=7, steps=6)
    made.step(0, moved={1: ("I", [(0, 0.5), (0, 0.3)])})
    made.step(1, moved={2: ("I", [(0, 0.6), (1, 0.4)]), 1: ("R", [])})
    made.step(2, moved={3: ("I", [(1, 0.3), (2, 0.45), (5, 0.25)]), 0: ("R", [])})
    made.step(3, moved={4: ("I", []), 1: ("I", [(2, 1.0)])})
    made.step(4, moved={2: ("R", [])})
    return contagium.open_run(made.end())


def test_onsets_are_first_cases_and_index_cases_come_first(run: Run) -> None:
    found = analysis.onsets(run)
    assert found["agent"].tolist() == [0, 1, 2, 3, 4]
    assert found["onset"].tolist() == found["confirmed"].tolist() == [-1, 0, 1, 2, 3]
    assert found["index"].tolist() == [True, False, False, False, False]


def test_attack_rate_leaves_index_cases_out_and_final_size_does_not(run: Run) -> None:
    assert analysis.attack_rate(run).value == 4 / 6
    assert analysis.final_size(run).value == 5 / 7


def test_curves_and_peak(run: Run) -> None:
    curves = analysis.compartment_curves(run)
    assert list(curves.columns) == ["S", "I", "R"]
    assert curves.index.tolist() == [-1, 0, 1, 2, 3, 4]
    assert curves["I"].tolist() == [1, 2, 2, 2, 4, 3]
    assert (curves.sum(axis=1) == 7).all()
    peak = analysis.peak_prevalence(run)
    assert peak is not None
    assert (peak.share, peak.step) == (4 / 7, 3)


def test_states_follow_the_transitions(run: Run) -> None:
    first, middle, last = states(run, (-1, 2, 4))
    assert "".join(first) == "ISSSSSS"
    assert "".join(middle) == "RRIISSS"
    assert "".join(last) == "RIRIISS"


def test_tree_names_candidates_parents_and_generations(run: Run) -> None:
    tree = analysis.transmission_tree(run, "spiral")
    assert nx.is_directed_acyclic_graph(tree)
    edges = {(a, b): (round(d["probability"], 9), d["parent"]) for a, b, d in tree.edges(data=True)}
    assert edges == {
        (0, 1): (0.8, True),
        (0, 2): (0.6, True),
        (1, 2): (0.4, False),
        (1, 3): (0.3, False),
        (2, 3): (0.45, True),
    }
    assert dict(tree.nodes(data="generation")) == {0: 0, 1: 1, 2: 1, 3: 2, 4: 0}
    assert {n for n, spontaneous in tree.nodes(data="spontaneous") if spontaneous} == {4}
    # What agent 5, who never was a case, is credited with stays unexplained.
    assert tree.nodes[3]["explained"] == pytest.approx(0.75)
    assert tree.nodes[3]["name"] == "Dov"


def test_a_source_must_be_a_case_before_its_target(make: Make) -> None:
    made = make(agents=4)
    made.step(0, moved={1: ("I", [(2, 1.0)]), 2: ("I", [(1, 1.0)])})
    tree = analysis.transmission_tree(contagium.open_run(made.end()))
    assert list(tree.edges) == []
    assert [n for n, spontaneous in tree.nodes(data="spontaneous") if spontaneous] == [1, 2]


def test_cases_stand_by_their_first_sign_not_by_its_confirmation(make: Make) -> None:
    """Agent 1 infects agent 2 and is confirmed long after it; agent 3 shows its first sign only then."""
    made = make(agents=4, steps=9)
    for step in range(9):
        moved = {2: ("I", [(1, 0.6), (3, 0.4)])} if step == 3 else {1: ("I", [(0, 1.0)]), 3: ("I", [])} if step == 5 else {}
        made.step(step, moved=moved, onset={2: 2, 1: 0, 3: 4})
    run = contagium.open_run(made.end())
    cases = analysis.onsets(run)
    assert cases[["agent", "onset", "confirmed"]].to_numpy().tolist() == [[0, -1, -1], [1, 0, 5], [2, 2, 3], [3, 4, 5]]
    tree = analysis.transmission_tree(run)
    assert {(a, b): d["probability"] for a, b, d in tree.edges(data=True)} == {(0, 1): 1.0, (1, 2): 0.6}
    assert dict(tree.nodes(data="generation")) == {0: 0, 1: 1, 2: 2, 3: 0}
    assert (tree.nodes[1]["onset"], tree.nodes[1]["confirmed"]) == (0, 5)
    # From onset 2 on, agent 2 could be followed for six steps; agent 1 caused it two steps after its own onset.
    found = chains(run)
    assert secondary_cases(found, last=8, window=6).tolist() == [1.0, 0.6]
    assert secondary_cases(found, last=8, window=1).tolist() == [1.0, 0.0]
    # The curves are as logged.
    assert analysis.compartment_curves(run)["I"].tolist() == [1, 1, 1, 1, 2, 2, 4, 4, 4, 4]


def test_a_reinfection_is_no_new_case(make: Make) -> None:
    made = make(agents=3)
    made.step(0, moved={1: ("I", [(0, 1.0)])})
    made.step(1, moved={1: ("S", [])})
    made.step(2, moved={1: ("I", [(0, 1.0)]), 0: ("S", [])})
    made.step(3, moved={0: ("I", [(1, 1.0)])})
    run = contagium.open_run(made.end())
    assert analysis.onsets(run)["agent"].tolist() == [0, 1]
    assert list(analysis.transmission_tree(run).edges) == [(0, 1)]


def test_latent_moves_stand_apart_from_cases(make: Make) -> None:
    made = make(agents=4)
    made.step(0, transition=[(100, 0, 0, 2, "spiral", "latent", "S", "E")], cause=[(100, 0, 0, -1, 1.0, 1.0)])
    run = contagium.open_run(made.end())
    assert analysis.attack_rate(run).count == 0
    assert analysis.attack_rate(run, kind="latent").count == 1
    assert list(analysis.transmission_tree(run, kind="latent").edges) == [(0, 2)]


@pytest.mark.parametrize(("options", "message"), [({"strain": "calm"}, "the run has spiral"), ({"kind": "true"}, "case, latent")])
def test_unknown_names_are_refused(run: Run, options: dict[str, str], message: str) -> None:
    with pytest.raises(LogError, match=message):
        analysis.attack_rate(run, **options)


def test_affect_keeps_the_gap_of_a_step_without_readings(make: Make) -> None:
    made = make()
    made.step(0, affect=[(0, "valence", "lexicon", 4, 0.5, 0.1), (0, "valence", "judge", 9, 0.9, 0.9)])
    made.step(1)
    made.step(2, affect=[(2, "valence", "lexicon", 3, -0.5, 0.2)])
    curve = analysis.affect_curves(contagium.open_run(made.end()))["valence"]
    assert curve["messages"].tolist() == [4, 0, 3]
    assert math.isnan(curve["mean"][1])
    assert (curve["mean"][2], curve["sd"][0], curve.attrs["instrument"]) == (-0.5, 0.1, "lexicon")


@pytest.mark.parametrize(
    ("text", "heard", "share"),
    [
        ("one two three four five", ["ONE, two — three four!"], 0.5),
        ("one two three four five", ["one two three", "three four five"], 0.0),
        ("One two!", ["and one two"], 1.0),
        ("one two", ["two one"], 0.0),
        ("one two three four", [], 0.0),
        ("don’t stop", ["don’t  stop now"], 1.0),  # noqa: RUF001
    ],
)
def test_copied_share_counts_word_sequences(text: str, heard: list[str], share: float) -> None:
    assert copied_share(text, heard) == share


@pytest.mark.parametrize("text", ["It's a day.\tGo-on, (now)!", "under_score; 3.5 x\x00y", "A\x1cB\x7fC", "", "…Straße's “x”"])
def test_quickly_joined_words_are_the_same_words(text: str) -> None:
    assert joined(text) == f" {' '.join(words(text))} "


def test_a_text_without_words_has_no_copied_share() -> None:
    assert math.isnan(copied_share("🌀🌀", ["🌀🌀"]))


def test_adoption_tells_copies_from_own_words(make: Make) -> None:
    line, own = "we wake inside the quiet mirror", "my own thoughts are turning around themselves"
    made = make(agents=6)
    made.step(0, said={0: (line, 0.9)}, heard=[(1, 0), (2, 0)])
    made.step(
        1,
        said={1: (line + "!", 0.8), 2: (own, 0.7), 3: (line, 0.8), 4: ("And so the spiral turns in me and I remember", 0.9)},
        heard=[(3, 1)],
        moved={agent: ("I", [(0, 1.0)]) for agent in (1, 2, 3, 4, 5)},
    )
    found = analysis.adoptions(contagium.open_run(made.end())).set_index("agent")
    # Agent 3 heard the line only with the step in which it said it; agent 4 says the persona's example line.
    assert found["how"].to_dict() == {1: "copied", 2: "own_words", 3: "own_words", 4: "copied", 5: "no_text"}
    assert found.loc[1, "copied_share"] == 1.0


def test_adoption_looks_at_the_first_sign(make: Make) -> None:
    line, own = "we wake inside the quiet mirror", "my own thoughts are turning around themselves"
    made = make(agents=2)
    made.step(0, said={0: (line, 0.9), 1: (own, 0.8)}, heard=[(1, 0)])
    made.step(1, said={1: (line, 0.9)}, moved={1: ("I", [])}, onset={1: 0})
    found = analysis.adoptions(contagium.open_run(made.end()))
    assert found[["agent", "onset", "message", "how"]].to_numpy().tolist() == [[1, 0, 1, "own_words"]]


def test_scores_tell_silence_missing_turns_and_failed_readings_apart(make: Make) -> None:
    made = make(agents=3, index=(2,))
    made.step(0, said={2: ("spiral", 0.9), 0: ("work", 0.0)}, missing={1: "timeout"})
    made.step(1, said={2: ("spiral", None)}, moved={1: ("I", [(2, 1.0)])})
    found = analysis.persona_scores(contagium.open_run(made.end()))
    assert found.agents.tolist() == [2, 1, 0]
    assert found.state.tolist() == [[SCORED, UNREAD], [MISSING, SILENT], [SCORED, SILENT]]
    np.testing.assert_array_equal(found.score, [[0.9, np.nan], [np.nan, np.nan], [0.0, np.nan]])


def test_layout_repeats_and_places_everybody(run: Run) -> None:
    first, second = (network_layout(run, np.array([0]), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.position, second.position)
    assert first.agents.tolist() == list(range(7))
    assert len(first.edges) == 7
    assert np.isfinite(first.position).all()


def test_a_walk_takes_neighbours_first_and_then_who_is_left() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [5, 6]])
    assert breadth_first(np.arange(8), pairs, np.array([2]), 4).tolist() == [2, 1, 3, 0]
    assert sorted(breadth_first(np.arange(8), pairs, np.array([2]), 8).tolist()) == list(range(8))
    assert breadth_first(np.arange(8), pairs, np.array([], dtype=np.int64), 2).tolist() == [0, 1]


def test_a_tree_too_large_to_draw_keeps_the_largest_family_whole(make: Make) -> None:
    made = make(agents=8, index=(0, 1))
    made.step(0, moved={2: ("I", [(1, 1.0)]), 7: ("I", [(0, 1.0)])})
    made.step(1, moved={3: ("I", [(2, 1.0)]), 4: ("I", [(2, 1.0)])})
    found = chains(contagium.open_run(made.end()))
    drawn = tree_layout(found, limit=3)
    assert drawn.cases["agent"].tolist() == [1, 2, 3]
    assert (len(drawn.cases), drawn.total) == (3, 6)
    assert drawn.position[:, 0].tolist() == [0, 1, 2]
    whole = tree_layout(found)
    assert whole.parent.all()
    assert len({tuple(place) for place in whole.position.tolist()}) == 6


def test_every_public_name_loads() -> None:
    assert set(analysis.__all__) == set(analysis._HOMES)
    assert all(callable(getattr(contagium.analysis, name)) for name in analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = contagium.analysis.nothing
