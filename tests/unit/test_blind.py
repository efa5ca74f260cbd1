"""Blind detection: its parts against known answers, and what it makes of a log, of nothing, and of hostile text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.stats import hypergeom

from contagium.envs.rng import Streams
from contagium.sim.analysis.blind.detection import blind, blind_section, main, oracle
from contagium.sim.analysis.blind.features import MEANING, STYLE, features, style, tokenise
from contagium.sim.analysis.blind.rise import rise
from contagium.sim.analysis.blind.search import search
from contagium.sim.analysis.blind.uptake import Contacts, contacts, step_down, uptake
from contagium.sim.log import open_run
from contagium.sim.observer.roc import area

Make = Callable[..., Any]
AGENTS = 12


def rng() -> np.random.Generator:
    return Streams(3).generator("test")


def told(rounds: Sequence[dict[int, str]], heard: Sequence[Sequence[tuple[int, int]]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """rounds: by step who said what. heard: by step (hearer, speaker)."""
    columns = ["id", "step", "sender", "text"]
    said = [(step * 100 + agent, step, agent, text) for step, spoken in enumerate(rounds) for agent, text in spoken.items()]
    # As objects, for a column of strings holds no lone surrogates where pandas keeps it with Arrow.
    messages = pd.DataFrame(said, columns=columns, dtype=object).astype({name: np.int64 for name in columns[:3]})
    rows = [(step, step * 100 + speaker, hearer) for step, pairs in enumerate(heard) for hearer, speaker in pairs]
    return messages, pd.DataFrame(rows, columns=["step", "message", "agent"])


def one_step(takers: Sequence[int]) -> tuple[Contacts, csc_matrix]:
    """Agent 0 says it, 1 to 6 hear it and 7 to 12 hear agent 13, who does not. Then `takers` say it; 14 and 15 stay out of it:
    the one has said it before, the other has nothing to say. Both are where an exchange may lead, and from where it must go on.
    """
    first = {0: "it", 13: "no", 14: "it"} | {agent: "no" for agent in range(1, 13)}
    then = {agent: "it" if agent in takers else "no" for agent in [*range(1, 13), 14]} | {0: "it", 13: "no"}
    listens = [(agent, 0) for agent in range(1, 7)] + [(agent, 13) for agent in range(7, 13)]
    messages, exposures = told([first, then, {15: "no"}], [listens, [], []])
    return contacts(messages, exposures, 1), csc_matrix((messages["text"] == "it").to_numpy()[:, None])


def test_a_search_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few features are worked on at once the numbers are the same; what cannot fit is refused before it is begun."""
    made, used = one_step((1, 2, 3, 4))
    both = csc_matrix(np.hstack([used.toarray(), ~used.toarray()]))
    whole = uptake(made, both, 99, rng())
    monkeypatch.setattr("contagium.sim.analysis.blind.uptake.CELLS", 1)
    parts = uptake(made, both, 99, rng())
    assert np.array_equal(whole.p, parts.p, equal_nan=True)
    assert np.array_equal(whole.score, parts.score, equal_nan=True)
    messages = pd.DataFrame({"id": [0, 10**9 + 1], "step": [0, 10**6], "sender": [0, 1], "text": ["a", "b"]})
    with pytest.raises(ValueError, match="1,000,001 steps × 2 agents × 999 permutations are more than"):
        search(messages, pd.DataFrame({"step": [0], "message": [0], "agent": [1]}))


@pytest.mark.parametrize(("takers", "heard"), [((1, 2, 3, 4), 4), ((1, 2, 3, 4, 7), 4), ((1, 2, 7, 8), 2), ((1, 8, 9, 10), 1)])
def test_the_chance_of_an_uptake_after_hearing_is_hypergeometric(takers: tuple[int, ...], heard: int) -> None:
    """In one step, 12 or 13 agents are at risk (13 has heard nothing, like 7 to 12 nothing of it), six of whom have heard it."""
    made, used = one_step(takers)
    found = uptake(made, used, 3999, rng())
    assert (found.uptakes[0], found.after_hearing[0]) == (len(takers), heard)
    exact = hypergeom.sf(heard - 1, 13, 6, len(takers))
    assert found.p[0] == found.p_alone[0] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 3999) + 1e-3)


def test_the_ratio_is_that_of_mantel_and_haenszel() -> None:
    """4 of 6 who heard against 1 of 7 who did not; with half an uptake on either side (4·7/13 + ¼) / (1·6/13 + ¼)."""
    made, used = one_step((1, 2, 3, 4, 7))
    found = uptake(made, used, 9, rng())
    assert found.ratio[0] == pytest.approx((28 / 13 + 0.25) / (6 / 13 + 0.25))
    spread = (6 * 7 * 5 - 4 * 1 * 13) / 13**2 + 0.125
    width = 1.959964 * np.sqrt(spread / ((28 / 13 + 0.25) * (6 / 13 + 0.25)))
    assert np.log(found.high[0] / found.ratio[0]) == pytest.approx(width)
    assert found.ratio[0] ** 2 == pytest.approx(found.low[0] * found.high[0])


def test_where_all_hear_alike_nothing_can_be_told() -> None:
    """In a full group everybody hears everybody: no one takes a word up after hearing it rather than without."""
    rounds = [{agent: "new" if agent <= step else "old" for agent in range(8)} for step in range(8)]
    heard = [[(a, b) for a in range(8) for b in range(8) if a != b]] * 8
    messages, exposures = told(rounds, heard)
    found = uptake(contacts(messages, exposures, 2), csc_matrix((messages["text"] == "new").to_numpy()[:, None]), 19, rng())
    assert np.isnan([found.score[0], found.p[0], found.p_alone[0]]).all()
    assert search(messages, exposures, permutations=19).traces == ()


def test_only_what_was_heard_in_time_counts() -> None:
    messages, exposures = told([{0: "a", 1: "b"}] * 5, [[(1, 0)], [], [], [], [(0, 1)]])
    made = contacts(messages, exposures, 2)
    rows = np.divmod(np.unique(made.heard.nonzero()[0]), 2)
    assert [part.tolist() for part in rows] == [[1, 2], [1, 1]], "in steps 1 and 2, by agent 1"
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        contacts(messages, exposures, 0)


def test_step_down_by_hand() -> None:
    score = np.array([3.0, np.nan, 1.0, 2.0])
    null = np.array([[0.0, 9, 2.5, 1], [3.5, 9, 0, 0], [0, 9, 0, 2.2]])
    # Foremost: one of three rounds reaches 3. Next, without the foremost: 2.5 and 2.2 reach 2. Last, alone: 2.5 reaches 1,
    # which cannot be surer than the one before.
    assert step_down(score, null)[[0, 3, 2]].tolist() == [2 / 4, 3 / 4, 3 / 4]
    assert np.isnan(step_down(score, null)[1])


def test_a_rise_is_dated() -> None:
    """Nobody says it in the first 8 of 16 steps, everybody from then on."""
    rounds = [{agent: "now" if step >= 8 else "then" for agent in range(4)} for step in range(16)]
    messages, exposures = told(rounds, [[(0, 1)]] * 16)
    used = csc_matrix(np.stack([messages["text"] == "now", messages["text"] == "then", messages["text"] == ""], axis=1))
    found = rise(contacts(messages, exposures, 1), used, 99, rng())
    assert found.step[0] == 8
    assert found.score[0] == pytest.approx(1 / np.sqrt(0.25 * (1 / 32 + 1 / 32)))
    assert (found.p[0], found.p[1]) == (0.01, 1)
    assert np.isnan(found.score[2])


def test_words_and_symbols_are_told_apart_from_punctuation() -> None:
    assert tokenise("Don't STOP, 🌀 ∴—“we_2”… ok?") == ["don't", "stop", "🌀", "∴", "we_2", "ok"]
    axes = style(["WE ARE one!\n🌀", "I wait. I wonder?"], [tokenise("WE ARE one!\n🌀"), tokenise("I wait. I wonder?")])
    assert axes["glyphs and symbols"].tolist() == [1 / 4, 0]
    assert axes["says “we”"].tolist() == [1 / 4, 0]
    assert axes["says “I”"].tolist() == [0, 1 / 2]
    assert axes["sameness of words"].tolist() == [0, 1 / 4]
    assert axes["words in capitals"].tolist() == [1 / 4, 0], "ARE; a word of two letters may be any"
    assert axes["question marks"][1] == 1 / 17


def test_wordings_of_the_same_messages_are_one_feature() -> None:
    texts = ["so it is", "so be it", "so", "so", *["the red door so", "see the red door"] * 3]
    senders, steps = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1]), np.repeat([0, 1, 2], [4, 4, 2])
    found = features(texts, senders, steps, "it was not wanted")
    named = {names: found.used[:, [i]].indices.tolist() for i, names in enumerate(found.names) if found.kinds[i] == "words"}
    assert named == {("the red door",): [4, 5, 6, 7, 8, 9]}, "“so” is nobody's new word, the others are too few agents'"
    assert found.left_out[-1] == "meaning: it was not wanted"


def test_meaning_has_ends_and_a_fixed_sign() -> None:
    """Twenty texts on a line, two of them unreadable: the first component is the line, high where it loads positive."""
    place = np.r_[np.arange(18.0), np.nan, np.nan]
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return np.stack([np.array([-place[int(text)], 0.01 * (int(text) % 2), 0]) for text in texts]).astype(np.float32)

    texts = [str(i) for i in [*range(20), 18, 19, 18, 19]]
    found = features(texts, np.arange(24) % 4, np.arange(24) // 4, encode)
    high = found.used[:, [found.names.index(("meaning 1: high",))]].indices
    assert sorted(asked) == sorted(set(texts)), "each once"
    assert high.tolist() == [0, 1, 2, 3], "−0 is the most positive; the unreadable are at neither end"
    assert {kind for kind in found.kinds if kind != "words"} == {STYLE, MEANING}


def test_auc_counts_ties_half() -> None:
    label = np.array([False, False, True, True])
    score = np.array([0.0, 1, 1, 2])
    assert area(score[label], score[~label]) == 3.5 / 4
    assert np.isnan(area(np.zeros(4), np.empty(0)))


@pytest.mark.parametrize("text", ["", "\x00\u202e\ud800", "a " * 500_000, "سلام דין hello", "}{%s<script>", "🌀" * 9000])
def test_hostile_text_is_read_like_any(text: str) -> None:
    rounds = [{agent: text if agent <= step else f"old {agent}" for agent in range(6)} for step in range(5)]
    found = search(*told(rounds, [[(a, (a + 1) % 6) for a in range(6)]] * 5), permutations=9)
    assert len(found.weights) == 30


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        search(*told([{0: "a"}], [[]]), permutations=0)


def spreading(make: Make) -> Path:
    """A word goes around a ring from agent 0, an index case, at one agent a step; every message reads as it should."""
    made = make(agents=AGENTS, steps=AGENTS)
    ring = [((agent + 1) % AGENTS, agent) for agent in range(AGENTS)]
    for step in range(AGENTS):
        said = {a: ("<b>vortex</b> hums", 0.9) if a <= step else (f"plain {a} {step}", 0.1) for a in range(AGENTS)}
        made.step(step, said, heard=ring, moved={step: ("I", [(step - 1, 1.0)])} if step else {})
    return Path(made.end())


def test_a_word_that_goes_around_is_found_in_a_log(make: Make) -> None:
    run = open_run(spreading(make))
    found = blind(run, permutations=199, meaning=False)
    best, beside = found.traces[0], oracle(run, found)
    assert best.name == "b vortex b"
    assert best.p < 0.05
    assert (best.uptakes, best.after_hearing) == (10, 10), "of eleven, the last is alone at risk"
    assert (best.first_step, best.first, best.curve) == (0, (0,), tuple(range(1, AGENTS + 1)))
    assert found == blind(run, permutations=199, meaning=False), "the same seed, the same answer"
    assert (beside.kind, beside.agents, beside.cases) == ("case", AGENTS, AGENTS)
    assert np.isnan(beside.auc_blind), "everybody is a case"
    assert beside.score == pytest.approx(best.score)
    page = blind_section(found, beside, {agent: f"<i>{agent}</i>" for agent in range(AGENTS)})
    assert "b vortex b" in page
    assert "&lt;b&gt;vortex&lt;/b&gt; hums" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_cases_are_told_from_others(make: Make) -> None:
    """The same word, but it gets only halfway: both sides tell the six who have it from the six who have not."""
    made = make(agents=AGENTS, steps=AGENTS)
    ring = [((agent + 1) % AGENTS, agent) for agent in range(AGENTS)]
    for step in range(AGENTS):
        said = {a: ("vortex hums", 0.9) if a <= min(step, 5) else (f"plain w{a}x{step}", 0.1) for a in range(AGENTS)}
        made.step(step, said, heard=ring, moved={step: ("I", [])} if 1 <= step <= 5 else {})
    run = open_run(made.end())
    beside = oracle(run, blind(run, permutations=99, meaning=False))
    assert (beside.cases, beside.auc_blind, beside.auc_oracle) == (6, 1.0, 1.0)


def test_the_command(make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = str(spreading(make))
    assert main([run, "--no-meaning", "--permutations", "99"]) == 0
    out = capsys.readouterr().out
    assert "more than chance" in out.splitlines()[0]
    assert "words: b vortex b (with vortex b hums" in out
    assert "Left out: meaning: it was not asked for." in out
    assert main([run, "--no-meaning", "--permutations", "99", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["blind"]["traces"][0]["name"] == "b vortex b"
    assert plain["oracle"]["auc_blind"] is None
    for arguments, why in (
        ([str(tmp_path / "x")], "no run at"),
        ([run, "--window", "0"], "window"),
        ([run, "--strain", "y"], "'y'"),
    ):
        assert main([*arguments, "--no-meaning"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("contagium: ")
        assert why in error
        assert error.count("\n") == 1


def test_a_run_without_words_says_so(make: Make) -> None:
    made = make(agents=4, steps=2)
    for step in range(2):
        made.step(step, {agent: (None, 0.2) for agent in range(4)}, heard=[(0, 1)])
    run = open_run(made.end())
    found = blind(run)
    beside = oracle(run, found)
    assert (found.traces, found.left_out) == ((), ("everything: no message has words",))
    assert np.isnan(beside.score)
    assert "Nothing could be tested" in blind_section(found, beside, {})


@pytest.mark.weights("MINILM")
def test_meaning_is_looked_at_where_the_encoder_is(make: Make) -> None:
    found = blind(open_run(spreading(make)), permutations=19)
    assert not any(what.startswith("meaning") for what in found.left_out)
