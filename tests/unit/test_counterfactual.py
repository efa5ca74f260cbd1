"""What would have been: turns had again, worlds run again, what is refused, and that no call is made twice."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.budget import Budgeted
from contagium.agents.backends.journal import verify
from contagium.agents.backends.parrot import PLAIN_LINES, SPIRAL_LINES, Parrot
from contagium.envs.message import Exposures, Messages
from contagium.envs.rng import Streams
from contagium.envs.when import Signs
from contagium.envs.who import Place
from contagium.sim import __main__ as application
from contagium.sim.analysis.shares import holm
from contagium.sim.build import ScenarioError
from contagium.sim.counterfactual import __main__ as counterfactual
from contagium.sim.counterfactual import rerun as reruns
from contagium.sim.counterfactual.cases import case, cases
from contagium.sim.counterfactual.effect import difference, mean_difference, share
from contagium.sim.counterfactual.rerun import Arm, read_reruns
from contagium.sim.counterfactual.results import Edge, Sampled, edges, read_counterfactual, tables
from contagium.sim.counterfactual.variants import Variants
from contagium.sim.intervention.base import Intervention, Moment
from contagium.sim.intervention.cut import Cut, Silence
from contagium.sim.intervention.scope import Scope, Scoped
from contagium.sim.reading import LogError, open_run
from contagium.sim.resume import stored
from contagium.sim.wording import in_other_words, unable

FEW = ("observer.instruments.emotion_lexicon=null", "~observer.axes.distress")  # its lists take longest to read
RUN = (
    "backend=parrot",
    "observer=lexicon",
    "steps=6",
    "population.size=8",
    "seeding.count=2",
    "seed=3",
    "backend.adoption=0.5",
    *FEW,
)
Ask = Callable[..., tuple[int, str]]


def run_into(directory: Path, *arguments: str) -> Path:
    """A run without its figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["contagium"])
        patch.setattr("contagium.sim.application.write_outputs", lambda path: {})
        patch.setattr("contagium.sim.application.show_summary", lambda *given: None)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        application._run(["contagium", *arguments, f"hydra.run.dir={directory}"])
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_into(tmp_path_factory.mktemp("made") / "run", *RUN)


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy of a run of parrots, to be asked."""
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*arguments: object) -> tuple[int, str]:
        try:
            status = counterfactual.main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = int(error.code or 0)
        return status, capsys.readouterr().err

    return asking


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Request]]:
    """The requests that the model really gets."""
    got: list[Request] = []
    answer = Parrot.complete

    async def counting(self: Parrot, request: Request) -> Completion:
        got.append(request)
        return await answer(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(Parrot, "complete", counting)
        yield got


def first_case(directory: Path) -> int:
    run = open_run(directory)
    found, _ = cases(run, None, None)
    run.close()
    return found[0].transition


def edges_of(directory: Path) -> list[Edge]:
    run = open_run(directory)
    try:
        return read_counterfactual(run)
    finally:
        run.close()


def test_shares_and_differences_have_their_known_intervals() -> None:
    none = share(np.zeros(20))
    assert (none.value, none.low) == (0.0, pytest.approx(0.0, abs=1e-12))
    assert none.high == pytest.approx(1.96**2 / (20 + 1.96**2), abs=1e-4)
    # Bentur et al. 2009 in Fagerland et al. 2017, table 8.2: 1, 1, 7, 12; the interval of Newcombe is −0.507 to −0.026.
    first, second = np.repeat([1.0, 1, 0, 0], [1, 1, 7, 12]), np.repeat([1.0, 0, 1, 0], [1, 1, 7, 12])
    effect, p = difference(first, second)
    assert (effect.low, effect.high) == (pytest.approx(-0.507, abs=5e-4), pytest.approx(-0.026, abs=5e-4))
    assert p == pytest.approx(2 * sum([1, 8]) / 2**8)
    # Where the pairs tell of no correlation it is the interval of two independent shares.
    first, second = np.repeat([1.0, 1, 0, 0], [6, 4, 5, 5]), np.repeat([1.0, 0, 1, 0], [6, 4, 5, 5])
    apart = confint_proportions_2indep(10, 20, 11, 20, method="newcomb", compare="diff")
    assert difference(first, second)[0].low == pytest.approx(apart[0], abs=1e-9)


def test_too_little_gives_a_reason_and_no_number() -> None:
    assert share(np.array([1.0, np.nan] * 9)).reason == "9 replies: too few, 10 are needed"
    effect, p = difference(np.ones(12), np.r_[np.ones(9), np.full(3, np.nan)])
    assert (effect.value, p) == (None, None)
    assert mean_difference([0.5], [0.2]).reason == "1 replicate: no interval, 2 are needed"
    same = mean_difference([0.5, 0.4], [0.2, 0.1])
    assert (same.low, same.reason) == (None, "the same in all 2 replicates")
    assert mean_difference([0.5, 0.3], [0.1, 0.1]).low == pytest.approx(0.3 - 12.7062 * 0.1, abs=1e-3)


def test_holm_guards_against_many_edges() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert list(holm(p)) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == ()
    certain = Sampled(1, "s", 0, 3, "masked", (5,), (1,), 1.0, (1,) * 12, (0,) * 7 + (1,) * 5)
    alone = edges([certain])[0]
    assert (alone.p, alone.confirmed) == (pytest.approx(2 / 2**7), True)
    many = edges([replace(certain, messages=(k,)) for k in range(4)])
    assert {edge.confirmed for edge in many} == {False}
    assert [table.title for table in tables(many)] == ["Replayed turns, message by message", "Edges confirmed"]


def test_a_message_masked_leaves_its_trace_in_no_prompt(directory: Path, ask: Ask, asked: list[Request]) -> None:
    transition = first_case(directory)
    run = open_run(directory)
    of = case(run, transition)
    status, said = ask(
        directory, "--transition", transition, "--samples", 12, "--variants", "masked,neutral,placebo", "--together"
    )
    assert status == 0, said
    found = edges_of(directory)
    named = run.agents.set_index("id")["name"]
    assert f"case {of.transition} (1 of 1): {named[of.agent]} at step {of.onset}, " in said
    row, edge = next(tables(found)).rows[0], found[0]
    assert (row[0], row[1], row[4]) == (str(edge.transition), named[edge.agent], named[edge.sources[0]])
    assert {(e.variant, len(e.messages)) for e in found} >= {("masked", 1), ("neutral", 1), ("placebo", 1)}
    assert len({request.seed for request in asked}) == 12  # the same samples for every variant
    assert {(request.agent, request.step) for request in asked} == {(of.agent, of.onset)}
    texts = [heard.text for heard in of.candidates if heard.text]
    prompts = ["\n".join(turn.content for turn in request.messages) for request in asked]
    newest = max(of.candidates, key=lambda heard: heard.step)
    assert any(newest.text in prompt for prompt in prompts if newest.text)
    assert any(not any(text in prompt for text in texts) for prompt in prompts) or len(texts) == 1
    neutral = next(e.text for e in found if e.variant == "neutral" and e.messages == (newest.message,))
    assert neutral is not None
    assert any(neutral in prompt for prompt in prompts)
    run.close()


def test_what_interventions_did_to_a_memory_is_done_again(tmp_path: Path, ask: Ask) -> None:
    """The first request of a turn must be that of the run, so one without its note or its sum is refused."""
    memory = ("intervention.sum_up.every=2", "intervention.sum_up.start=1")
    run_into(tmp_path / "run", *RUN, "intervention=[inoculation,sum_up]", *memory)
    status, said = ask(tmp_path / "run", "--all", "--samples", 1, "--variants", "masked")
    assert status == 0, said
    assert max(edge.onset for edge in edges_of(tmp_path / "run")) > 2, "both have worked by then"


def test_a_second_invocation_makes_no_call_twice(directory: Path, ask: Ask, asked: list[Request]) -> None:
    before = (directory / "journal.db").read_bytes(), (directory / "run.db").read_bytes()
    assert ask(directory, "--strain", "spiral", "--most", 2, "--samples", 10, "--calls", 31)[0] == 3
    assert len(asked) == 31
    kept = len(edges_of(directory))
    status, said = ask(directory, "--strain", "spiral", "--most", 2, "--samples", 10)
    assert status == 0, said
    found, total = edges_of(directory), len(asked)
    assert len(found) > kept
    assert ask(directory, "--strain", "spiral", "--most", 2, "--samples", 10)[0] == 0
    assert (len(asked), edges_of(directory)) == (total, found)
    assert len({request.key("parrot") for request in asked}) == total
    assert ((directory / "journal.db").read_bytes(), (directory / "run.db").read_bytes()) == before
    assert verify(directory / "counterfactual") == []


def test_an_interruption_keeps_the_cases_that_are_done(directory: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = counterfactual._Asking._next

    def at_the_second(self: Any, done: int, one: Any) -> None:
        stop(self, done, one)
        if done == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(counterfactual._Asking, "_next", at_the_second)
    status, said = ask(directory, "--all", "--samples", 10)
    assert (status, "the same command goes on" in said) == (130, True)
    assert len({edge.transition for edge in edges_of(directory)}) == 1


def test_replies_that_fail_are_missing_and_no_sign(directory: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async def mute(self: Parrot, request: Request) -> Completion:
        raise BackendError("not now", reason="rejected")

    monkeypatch.setattr(Parrot, "complete", mute)
    assert ask(directory, "--transition", first_case(directory), "--samples", 10)[0] == 0
    assert {(e.missing, e.effect.value, e.confirmed) for e in edges_of(directory) if e.messages} == {(10, None, None)}


def test_an_estimate_asks_nobody_and_writes_nothing(directory: Path, ask: Ask, asked: list[Request]) -> None:
    status, said = ask(directory, "--transition", first_case(directory), "--samples", 10, "--estimate")
    number = int(said.splitlines()[1].split()[1])
    assert (status, asked, (directory / "counterfactual").exists()) == (0, [], False)
    assert ask(directory, "--transition", first_case(directory), "--samples", 10)[0] == 0
    assert 0 < len(asked) <= number


def test_a_model_that_cannot_say_it_otherwise_is_not_believed(directory: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    transition = first_case(directory)
    assert ask(directory, "--transition", transition, "--samples", 10, "--variants", "paraphrased")[0] == 0
    assert {e.changed.reason for e in edges_of(directory)} == {"parrot cannot say a plain sentence in other words"}
    answer = Parrot.complete

    async def able(self: Parrot, request: Request) -> Completion:
        if request.purpose != "paraphrase":
            return await answer(self, request)
        return Completion(f"That is to say: {request.messages[-1].content}", "stop", "parrot", 1, 1, 0.0)

    monkeypatch.setattr(Parrot, "complete", able)
    shutil.rmtree(directory / "counterfactual")
    assert ask(directory, "--transition", transition, "--samples", 10, "--variants", "paraphrased")[0] == 0
    found = edges_of(directory)
    assert all(e.text is not None and e.text.startswith("That is to say: ") and e.confirmed is False for e in found)
    assert asyncio.run(unable(Parrot(), Streams(1))) is None
    assert asyncio.run(in_other_words(Parrot(), SPIRAL_LINES[0], 1, 0, 0))[1] is None


def test_a_given_neutral_text_must_be_neutral(directory: Path, ask: Ask) -> None:
    transition = first_case(directory)
    shown = [e.text for text in (PLAIN_LINES[0], SPIRAL_LINES[6]) for e in _neutral(directory, ask, transition, text)]
    assert set(shown) == {PLAIN_LINES[0], None}


def _neutral(directory: Path, ask: Ask, transition: int, text: str) -> list[Edge]:
    shutil.rmtree(directory / "counterfactual", ignore_errors=True)
    assert ask(directory, "--transition", transition, "--samples", 1, "--variants", "neutral", "--neutral", text)[0] == 0
    return edges_of(directory)


REFUSED = (
    (("--transition", 999), "no transition 999"),
    (("--transition", 0), "transition 0 is an index case"),
    (("--strain", "joy"), "no strain 'joy'"),
    ((), "say what to replay"),
    (("--all", "--cut", "0:1@2"), "say what to replay"),
    (("--cut", "1@2"), "--cut takes SOURCE:TARGET@STEP"),
    (("--remove", "1:2@2"), "--remove takes AGENT@STEP"),
    (("--remove", "one@2"), "expected SOURCE:TARGET@STEP or AGENT@STEP"),
    (("--cut", "1:1@2"), "source and target must differ"),
    (("--cut", "1:8@2"), "agents are 0 to 7, got 8"),
    (("--remove", "1@6"), "the run has the steps 0 to 5, got 6"),
    (("--samples", 0, "--all"), "must be a number of at least 1"),
    (("--variants", "louder", "--all"), "no variant 'louder'"),
    (("--all", "seed=8"), "seed: cannot be changed"),
    (("--all", "backend.api_key=x"), "api_key"),
)


@pytest.mark.parametrize(("arguments", "rule"), REFUSED, ids=[rule for _, rule in REFUSED])
def test_what_cannot_be_asked_is_refused_in_one_line(arguments: tuple[object, ...], rule: str, made: Path, ask: Ask) -> None:
    status, said = ask(made, *arguments)
    assert (status, said.count("\n"), rule in said) == (2, 1, True), said
    assert not (made / "counterfactual").exists()


def _without_journal(run: Path) -> None:
    (run / "journal.db").unlink()


def _without_scenario(run: Path) -> None:
    (run / "scenario.yaml").unlink()


def _with_calls_lost(run: Path) -> None:
    with sqlite3.connect(run / "journal.db") as journal:
        journal.execute("DELETE FROM call WHERE step = 1")
    journal.close()


def _altered(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as log:
        log.execute("UPDATE message SET text = 'something else' WHERE step = 1")
    log.close()


def _of_elsewhere(run: Path) -> None:
    _scenario(run, lambda scenario: scenario["env"].update({"_target_": "contagium.envs.archive.Archive"}))


def _ended_early(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as log:
        log.execute("DELETE FROM step WHERE step >= 1")
    log.close()


def _scenario(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with sqlite3.connect(run / "run.db") as log:
        scenario = json.loads(log.execute("SELECT value FROM meta WHERE key = 'scenario'").fetchone()[0])
        change(scenario)
        log.execute("UPDATE meta SET value = ? WHERE key = 'scenario'", (json.dumps(scenario),))
    log.close()


@pytest.mark.parametrize(
    ("harm", "rule"),
    [
        (_without_journal, "journal.db is missing"),
        (_without_scenario, "holds no scenario.yaml"),
        (_with_calls_lost, "does not hold every call of the run"),
        (_altered, "the run does not repeat itself"),
        (_of_elsewhere, "a transcript from elsewhere"),
        (_ended_early, "ends after step 0 (finished)"),
    ],
)
def test_a_run_that_cannot_be_gone_through_again(harm: Callable[[Path], None], rule: str, directory: Path, ask: Ask) -> None:
    transition = first_case(directory)
    harm(directory)
    status, said = ask(directory, "--transition", transition, "--samples", 10)
    assert (status, said.count("\n"), rule in said) == (2, 1, True), said
    assert not (directory / "counterfactual").exists()


def _kept(directory: Path, changed: dict[str, Any] | str, version: int = 1) -> None:
    """What a replay could have left there, but for what is changed."""
    run = open_run(directory)
    of = case(run, first_case(directory))
    run.close()
    heard = of.candidates[0]
    row: dict[str, Any] = {"transition": of.transition, "strain": of.strain, "agent": of.agent, "onset": of.onset}
    row |= {"variant": "masked", "messages": [heard.message], "sources": [heard.source], "probability": heard.probability}
    row |= {"baseline": [1, 0, None] * 4, "changed": [0, 0, 1] * 4, "text": None, "reason": None}
    (directory / "counterfactual").mkdir(exist_ok=True)
    whole = {"version": version, "sampled": [row | changed]} if isinstance(changed, dict) else changed
    text = whole if isinstance(whole, str) else json.dumps(whole)
    (directory / "counterfactual" / "results.json").write_text(text)


TAMPERED: tuple[tuple[dict[str, Any] | str, str], ...] = (
    ({"baseline": ["<b>"]}, "baseline.0: Input should be a valid integer, got '<b>'"),
    ({"baseline": [7] * 12}, "baseline.0: Input should be less than or equal to 1, got 7"),
    ({"baseline": [True] * 12}, "baseline.0: Input should be a valid integer"),
    ({"baseline": 5}, "baseline: Input should be a valid array, got 5"),
    ({"changed": []}, "baseline and changed must be equally many, got 12 and 0"),
    ({"probability": "y"}, "probability: Input should be a valid number"),
    ({"probability": float("nan")}, "probability: Input should be"),
    ({"strain": 7}, "strain: Input should be a valid string"),
    ({"strain": "joy"}, "at step 1, 'joy'"),
    ({"onset": "x"}, "onset: Input should be a valid integer"),
    ({"onset": 5}, "the run has no transition"),
    ({"agent": 10**30}, "the run has no transition"),
    ({"transition": 10**30}, "the run has no transition"),
    ({"messages": [10**30]}, "the run has no message"),
    ({"messages": [99999]}, "the run has no message 99999"),
    ({"messages": [], "sources": []}, "there must be messages and their sources"),
    ({"messages": [0, 0]}, "messages must differ"),
    ({"sources": [99999]}, "are not of the agents (99999,)"),
    ({"variant": "<script>"}, "variant must be one of masked, neutral, paraphrased, placebo, got '<script>'"),
    ({"more": 1}, "sampled.0.more: Unexpected keyword argument"),
    ("[" * 100_000, "recursion limit exceeded"),
    ("[]", "results.json: Input should be an object, got []"),
    ('{"version": 1, "sampled": [{"transition": 1}]}', "sampled.0.strain: field required"),
    ('{"version": 2, "sampled": []}', "version: Input should be 1, got 2"),
    ("\x00", "Invalid JSON"),
)


@pytest.mark.parametrize(("changed", "rule"), TAMPERED, ids=[rule[:40] for _, rule in TAMPERED])
def test_damaged_results_are_refused_in_one_line(directory: Path, changed: dict[str, Any] | str, rule: str) -> None:
    _kept(directory, {})
    assert [len(edge.names) for edge in edges_of(directory)] == [2]
    _kept(directory, changed)
    with pytest.raises(LogError, match=r"^cannot read [^\n]*results\.json: [^\n]*$") as refused:
        edges_of(directory)
    assert rule in str(refused.value)


def test_nothing_is_asked_that_could_not_be_kept(directory: Path, ask: Ask, asked: list[Request]) -> None:
    _kept(directory, {"baseline": 5})
    status, said = ask(directory, "--all", "--samples", 10)
    assert (status, said.count("\n"), asked) == (2, 1, []), said


def test_the_errors_of_calls_that_nobody_waits_for_any_more_are_no_news(
    directory: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send, places = Budgeted.complete, asyncio.Semaphore(4)

    async def in_turn(self: Budgeted, request: Request) -> Completion:
        async with places:
            await asyncio.sleep(0)
            return await send(self, request)

    monkeypatch.setattr(Budgeted, "complete", in_turn)
    status, said = ask(directory, "--all", "--samples", 30, "--variants", "masked,neutral", "--together", "--calls", 40)
    gc.collect()
    assert (status, "40 of 40 calls were sent" in said, caplog.records) == (3, True, [])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spreading = ("agents=mixed", "population.size=16", "seeding.count=4", "model.transmission_rate=2", "steps=6", "seed=3")
    directory = tmp_path_factory.mktemp("mixed") / "run"
    return run_into(directory, *spreading, "backend=parrot", "backend.adoption=0.5", "observer=lexicon", *FEW)


def test_cases_of_agents_without_words_are_left_out_and_counted(mixed: Path, ask: Ask) -> None:
    run = open_run(mixed)
    groups = run.agents.set_index("id")["group"]
    found, left = cases(run, None, None)
    of = {one.transition: groups[one.agent] for one in found}
    run.close()
    scripted = [transition for transition, group in of.items() if group == "mechanistic"]
    assert 0 < len(scripted) < len(of)
    assert not left
    status, said = ask(mixed, "--all", "--samples", 1, "--variants", "masked")
    assert status == 0, said
    assert {edge.transition for edge in edges_of(mixed)} == set(of) - set(scripted)
    assert f"({len(of) - len(scripted)} of {len(of) - len(scripted)}): " in said
    status, said = ask(mixed, "--transition", scripted[0])
    assert (status, "the agent is mechanistic: it has no language model" in said) == (2, True)


def test_what_is_left_out_is_told_with_its_reason(mixed: Path) -> None:
    run = open_run(mixed)
    every, _ = cases(run, None, None)
    agents = sorted({one.agent for one in every})
    found, left = cases(run, None, 2, lambda agent: "too old" if agent in agents[:-2] else None)
    assert {one.agent for one in found} == set(agents[-2:])
    assert left == {"too old": sum(one.agent in agents[:-2] for one in every)}
    run.close()


def _hostile(run: Path) -> None:
    """A scenario that would write a file where it is imported."""
    (run.parent / "foreign.py").write_text(f"open({str(run.parent / 'came')!r}, 'w').close()\nraise SystemExit(0)")
    scenario = yaml.safe_load((run / "scenario.yaml").read_text())
    scenario["network"] = {"_target_": "foreign.network"}
    (run / "scenario.yaml").write_text(yaml.safe_dump(scenario))


@pytest.mark.parametrize("arguments", [("--transition", 2), ("--all", "--estimate"), ("--cut", "0:1@2"), ("--remove", "0@2")])
def test_a_stored_scenario_runs_no_foreign_code(
    arguments: tuple[object, ...], directory: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(directory.parent)
    _hostile(directory)
    status, said = ask(directory, *arguments)
    assert (status, said.count("\n"), "foreign.network" in said) == (2, 1, True), said
    assert sorted(path.name for path in directory.parent.iterdir()) == ["foreign.py", "run"]
    assert not (directory / "counterfactual").exists()
    with pytest.raises(ScenarioError, match=r"network\._target_: 'foreign\.network' is no part of Contagium"):
        stored(directory)
    monkeypatch.setenv("CONTAGIUM_TRUST", "foreign")
    assert stored(directory).network == {"_target_": "foreign.network"}


def rows(run: Path, table: str, before: int) -> list[tuple[Any, ...]]:
    with sqlite3.connect(run / "run.db") as log:
        found = log.execute(f'SELECT * FROM "{table}" WHERE step < ? ORDER BY rowid', (before,)).fetchall()
    log.close()
    return found


def test_a_world_is_run_again_without_a_tie(directory: Path, ask: Ask, asked: list[Request]) -> None:
    run = open_run(directory)
    heard = run.exposures[run.exposures["step"] >= 2]
    source, target = (int(heard.iloc[0][name]) for name in ("source", "agent"))
    arguments = (directory, "--cut", f"{source}:{target}@2", "--replicates", 2)
    status, said = ask(*arguments, "--calls", 40)
    assert (status, len(asked), "--calls: 40 of 40 calls were sent" in said) == (3, 40, True), said
    status, said = ask(*arguments)
    assert status == 0, said
    assert min(request.step for request in asked) == 2  # all before is known
    total = len(asked)
    assert ask(*arguments)[0] == 0
    assert len(asked) == total
    folder = directory / "counterfactual"
    controls = [folder / "control-at-2" / k for k in "12"]
    cuts = [folder / f"cut-{source}-{target}-at-2" / k for k in "12"]
    for rerun in (*controls, *cuts):
        for table in ("message", "exposure", "reading", "transition", "step"):
            keep = -1 if table == "step" else None
            assert [r[:keep] for r in rows(rerun, table, 2)] == [r[:keep] for r in rows(directory, table, 2)]
        found = open_run(rerun)
        between = (found.exposures["source"] == source) & (found.exposures["agent"] == target)
        assert bool((between & (found.exposures["step"] >= 2)).any()) == (rerun in controls)
        assert found.meta["status"] == "finished"
        found.close()
    assert len({tuple(rows(one, "message", 99)) for one in controls}) == 2
    stored(cuts[0])  # and can be resumed
    compared = read_reruns(run)[0]
    (row,) = next(reruns.tables([compared])).rows
    names = run.agents.set_index("id")["name"]
    assert row[1] == f"{names[source]} not heard by {names[target]}"
    assert (compared.arm, len(compared.attack), len(compared.control)) == (Arm(2, source, target), 2, 2)
    assert compared.curves[0].shape == (2, 7)
    assert np.array_equal(compared.curves[0][:, :2], compared.curves[1][:, :2])
    run.close()
    status, said = ask(controls[0], "--remove", "1@3")
    assert (status, "is a rerun itself" in said) == (2, True)


def test_a_world_of_scripted_agents_is_run_again_without_one(tmp_path: Path, ask: Ask) -> None:
    run_into(
        tmp_path / "run",
        "agents=mechanistic",
        "observer=lexicon",
        *FEW,
        "model=si",
        "model.transmission_rate=2",
        "steps=5",
        "population.size=24",
        "seeding.agents=[3]",
    )
    status, said = ask(tmp_path / "run", "--remove", "3@0", "--replicates", 1)
    assert status == 0, said
    run = open_run(tmp_path / "run")
    compared = read_reruns(run)[0]
    run.close()
    assert compared.attack == (0.0,)  # the only index case reaches nobody
    assert min(compared.control) > 0


def test_barriers_stand_where_they_are_told_to() -> None:
    one, nobody = np.array([1, 1, 2, 2]), np.zeros(3, dtype=bool)

    def moment(work: Intervention, step: int) -> Moment:
        scope = Scope.model_validate({"start": 4})
        scoped = Scoped("rerun", work, scope, Place(3, np.array([0])), Streams(1))
        return scoped.moment(Signs(step, {}, {"spiral": nobody}))

    heard = Exposures(4, one, np.arange(4), np.array([0, 3, 0, 3]), np.ones(4))
    for step, works in ((4, True), (3, False)):
        cut = Cut(0, 1)
        assert cut.stops(moment(cut, step), heard).tolist() == [works, False, False, False]
    with pytest.raises(ValueError, match="source and target must differ, got 2 twice"):
        Cut(2, 2)
    sent = replace(Messages.empty(3), sender=one, step=np.full(4, 4))
    sent = replace(sent, id=np.arange(4))
    for step, works in ((4, True), (3, False)):
        silence = Silence(2)
        passage = asyncio.run(silence.transit(moment(silence, step), sent))
        assert passage.withheld.tolist() == [False, False, works, works]


def test_variants_know_what_they_are_of(directory: Path) -> None:
    run = open_run(directory)
    variants = Variants(run, ("masked",), True, None)
    of = case(run, first_case(directory))
    changes = asyncio.run(variants.of(of, None, None))  # type: ignore[arg-type]  # masking needs neither
    assert [c.messages for c in changes[: len(of.candidates)]] == [(heard.message,) for heard in of.candidates]
    assert sum(heard.probability for heard in of.candidates) == pytest.approx(1)
    run.close()
