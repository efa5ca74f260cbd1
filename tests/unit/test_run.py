"""Whole runs: equal to the byte when repeated, true to their log, and readable however they end."""

import asyncio
import copy
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from contagium.agents.backends.backend import BackendError, Completion, Request
from contagium.agents.backends.parrot import Parrot
from contagium.envs.rng import Streams
from contagium.sim import __main__ as application
from contagium.sim.analysis.figures import run as figures
from contagium.sim.laboratory import prepare
from contagium.sim.log import LogError, Run, digest, open_run
from contagium.sim.record import Recorder
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario
from contagium.sim.terminal import Live

ROOT = Path(__file__).parents[2]
KINDS = {
    "mechanistic": ["agents=mechanistic", "population=varied", "population.size=60", "seeding.count=3"],
    "mechanistic-dyads": [
        *("agents=mechanistic", "env=dyads", "env.redraw=3", "population.size=41", "pressure=praise", "seeding.count=12"),
        "model.transmission_rate=0.8",
    ],
    "scripted": ["agents=scripted", "intervention=quarantine", "intervention.quarantine.share=0.5"],
    "parrot": ["backend=parrot", "backend.recovery=0.3", "env.window=2", "observer.report_every=2", "seeding.count=2"],
    "parrot-dyads": ["backend=parrot", "env=dyads", "backend.adoption=0.8", "population.size=15"],
    "mixed": ["agents=mixed", "backend=parrot", "population.size=20", "network=complete"],
}
every = pytest.mark.parametrize("kind", KINDS)


@cache
def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", ["observer=lexicon", "steps=8", *overrides])
    return OmegaConf.to_container(config, resolve=True)


def record(directory: Path, *overrides: str, case: dict[str, int] | None = None, **changes: int) -> Path:
    """Run without outputs, with top-level keys and keys of the case definition changed; the log."""
    whole = copy.deepcopy(composed(*overrides)) | changes
    whole["observer"]["case"] |= case or {}
    laboratory = prepare(make_scenario(whole), directory)
    asyncio.run(run(laboratory, "test", lambda progress: None, lambda: None))
    return directory / "run.db"


@every
def test_repeats_are_equal_to_the_byte_and_seeds_differ(kind: str, tmp_path: Path) -> None:
    logs = [record(tmp_path / name, *KINDS[kind], seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    one, two, other = map(digest, logs)
    assert one == two != other


def test_neither_threads_nor_hash_seeds_show(tmp_path: Path) -> None:
    """Two processes, one with one thread and one with four, write the same rows. In `mixed` agents of every kind meet."""
    here = Path(__file__)
    script = f"""
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("test_run", {str(here)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
out = pathlib.Path(sys.argv[1])
print([module.digest(module.record(out / kind, *module.KINDS[kind])) for kind in ("mechanistic", "mixed")])
"""
    seen = set()
    for threads in ("1", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | dict.fromkeys(names, threads) | {"PYTHONHASHSEED": threads, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", script, str(tmp_path / threads)]
        seen.add(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert len(seen) == 1


def test_neither_latency_nor_calls_in_flight_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = digest(record(tmp_path / "quick", *KINDS["mixed"]))
    one = digest(record(tmp_path / "one", *KINDS["mixed"], "+backend.concurrency=1"))
    answer = Parrot.complete

    async def slow(self: Parrot, request: Request) -> Completion:
        await asyncio.sleep(Streams(request.seed).generator("latency").random() / 200)
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", slow)
    assert {one, digest(record(tmp_path / "slow", *KINDS["mixed"]))} == {quick}


def test_names_that_users_give_cannot_collide_with_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strain, an event and an intervention named like streams: theirs have the kind before the name, all others no colon."""
    names, generator = set(), Streams.generator

    def named(self: Streams, name: str, *index: int) -> Any:
        names.add(name)
        return generator(self, name, *index)

    monkeypatch.setattr(Streams, "generator", named)
    event = ["+pressure.events.script.rate=0.1", "+pressure.events.script.targets=0.5"]
    stopped = "+intervention.groups._target_=contagium.sim.intervention.quarantine.Quarantine"
    record(tmp_path, "agents=mixed", "backend=parrot", "population.size=20", "persona.name=seeding", *event, stopped)
    given = {"contagion:seeding:race", "contagion:seeding:dwell", "pressure:script", "pressure targets:script"}
    assert {name for name in names if ":" in name} == given | {"intervention:groups"}
    assert names >= {"seeding", "groups"}


def opened(path: Path) -> tuple[Run, dict[tuple[int, int], set[int]]]:
    """A run, and the steps at which (agent, message) was an exposure."""
    log = open_run(path)
    heard: dict[tuple[int, int], set[int]] = {}
    for step, message, agent, *_ in log.exposures.itertuples(index=False):
        heard.setdefault((agent, message), set()).add(step)
    return log, heard


@every
@pytest.mark.parametrize("window", [1, 3])
def test_candidate_causes_are_the_exposures_of_the_window_whose_message_held_stay(kind: str, window: int, tmp_path: Path) -> None:
    log, heard = opened(record(tmp_path, *KINDS[kind], case={"cause_window": window, "recover_after": 1}))
    enter, stay = (log.meta["detection"]["spiral"][key] for key in ("enter", "stay"))
    read = {
        name: dict(zip(r["id"], r["value"], strict=True))
        for name, r in log.readings.query("column == 'spiral'").groupby("instrument")
    }

    def dose(message: int) -> float:
        stated = read.get("expression", {}).get(message)
        words = read.get("persona_lexicon", {}).get(message, 0.0)
        if stated is not None:
            return stated if stated >= 0.5 else 0.0
        return min(0.5 * words / enter, 1.0) if words >= stay else 0.0

    causes = log.causes.groupby("transition_id")
    cases = log.transitions.query("kind == 'case' and target == 'I' and step >= 0")
    for case in cases.itertuples(index=False):
        wanted = {
            (message, step): dose(message)
            for (agent, message), steps in heard.items()
            for step in steps
            if agent == case.agent and case.onset - window <= step < case.onset and dose(message) > 0
        }
        found = causes.get_group(case.id) if case.id in causes.groups else log.causes.head(0)
        assert dict(zip(zip(found["message"], found["step"], strict=True), found["dose"], strict=True)) == pytest.approx(wanted)
        assert found["probability"].sum() == pytest.approx(1.0 if wanted else 0.0)
        said = log.messages.query("sender == @case.agent and step <= @case.step")
        signs = [step for step, message in zip(said["step"], said["id"], strict=True) if dose(message) >= 0.5]
        # Words need a second sign; who states the strain is taken at its word.
        assert case.onset == signs[-1 if said["id"].isin(read.get("expression", {})).any() else -2]
    assert len(cases) > 0 or kind == "scripted"
    log.close()


@pytest.mark.parametrize("kind", ["mechanistic", "mechanistic-dyads", "mixed"])
def test_a_latent_transmission_names_an_exposure_of_that_agent(kind: str, tmp_path: Path) -> None:
    log, heard = opened(record(tmp_path, *KINDS[kind], steps=20))
    latent = log.transitions.query("kind == 'latent'")
    caused = latent[latent["origin"] == "S"].merge(log.causes, left_on="id", right_on="transition_id", suffixes=("", "_heard"))
    assert len(caused) == (latent["origin"] == "S").sum()
    for row in caused.itertuples(index=False):
        assert row.step_heard in heard[row.agent, row.message]
        assert row.step_heard < row.step
    assert len(caused) > 0
    log.close()


@every
def test_compartments_are_the_sum_of_the_transitions(kind: str, tmp_path: Path) -> None:
    log, _ = opened(record(tmp_path, *KINDS[kind]))
    where = dict.fromkeys(log.agents["id"], "S")
    cases = log.transitions.query("kind == 'case'")
    for step in range(-1, 8):
        for move in cases[cases["step"] == step].itertuples(index=False):
            assert where[move.agent] == move.origin
            where[move.agent] = move.target
        now = log.compartments[(log.compartments["step"] == step) & (log.compartments["kind"] == "case")]
        counted = now.set_index("compartment")["agents"].to_dict()
        assert counted == {name: list(where.values()).count(name) for name in "SIR"}
    assert log.meta["status"] == "finished"
    log.close()


def test_in_dyads_everybody_gets_the_news_at_its_next_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the agents have no turn when the event begins; it waits for them, and is told once."""
    told: dict[int, list[int]] = {}
    answer = Parrot.complete

    async def listening(self: Parrot, request: Request) -> Completion:
        if "It happened." in request.messages[-1].content:
            told.setdefault(request.agent, []).append(request.step)
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", listening)
    overrides = ["backend=parrot", "env=dyads", "env.redraw=0", "network=complete", "seeding.count=0"]
    event = ["pressure.events.rejection.at=[3]", "pressure.events.rejection.text=It happened."]
    record(tmp_path, *overrides, *event, "memory.read=0", "memory.own=0")
    assert set(told) == set(range(12))
    assert {steps[0] for steps in told.values()} == {3, 4}


def test_every_word_a_model_was_asked_for_is_logged(tmp_path: Path) -> None:
    log, _ = opened(record(tmp_path, "agents=mixed", "backend=parrot", "population.size=20", "log.detailed_agents=1"))
    speaking = log.agents.query("group == 'speaking'")["id"]
    assert len(speaking) == 6
    assert log.table("message").query("sender in @speaking.values")["text"].notna().sum() == 6 * 8
    assert log.agents["detailed"].sum() in (6, 7)
    log.close()


def test_missing_turns_are_recorded_with_their_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Parrot.complete

    async def flaky(self: Parrot, request: Request) -> Completion:
        if (request.agent + request.step) % 3 == 0:
            raise BackendError("no", reason="rejected")
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", flaky)
    log, _ = opened(record(tmp_path, "backend=parrot", "seeding.agents=[0]", "run.max_missing=1"))
    silent = {(step, agent) for step in range(8) for agent in range(1, 12) if (step + agent) % 3 == 0}
    turns = log.table("turn")
    assert set(zip(turns["step"], turns["agent"], strict=True)) == silent
    assert set(turns["reason"]) == {"rejected"}
    spoke = log.table("message")
    assert set(zip(spoke["step"], spoke["sender"], strict=True)) == {(s, a) for s in range(8) for a in range(12)} - silent
    calls = log.table("call")
    assert (calls["status"] == "failed").sum() == len(silent) == log.table("step")["missing"].sum()
    assert calls[["step", "agent"]].apply(tuple, axis=1).is_monotonic_increasing
    log.close()


@pytest.fixture
def contagium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command, in this process and in an empty directory: exit status and what stood on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contagium"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def command(*arguments: str) -> tuple[int, str]:
        status = application._run(["contagium", *arguments])
        return status, capsys.readouterr().err

    return command


HOSTILE = (
    "He said \"no\", 'so' 🌀 {x: [1]} ${seed} ${oc.env:HOME} <b onload=alert(1)>&amp; \u202eabc\u202c \\n \\ $(x) `y` ??? a=b,c"
)
LINE = ["backend=parrot", "observer=lexicon", "population.size=6", "steps=3", "hydra.run.dir=out"]


def test_a_run_leaves_what_it_should_and_a_hostile_text_passes_unchanged(contagium, tmp_path: Path) -> None:
    status, said = contagium(*LINE, f"persona.text={HOSTILE}", f"pressure.events.rejection.text={HOSTILE}")
    assert status == 0, said
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"run.db", "scenario.yaml", "summary.json", "transcript.md", "report.html", "figures", "journal.db"}
    log = open_run(tmp_path / "out")
    kept = yaml.safe_load((tmp_path / "out" / "scenario.yaml").read_text(encoding="utf-8"))
    for whole in (kept, log.meta["scenario"]):
        assert whole["persona"]["text"] == whole["pressure"]["events"]["rejection"]["text"] == HOSTILE
    assert f"persona.text={HOSTILE}" in shlex.split(log.meta["command"])
    assert "<b onload" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert make_scenario(kept) == make_scenario(log.meta["scenario"])
    log.close()


TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)
KEYS = ("persona.text", "background.text", "pressure.events.rejection.text", *(f"+persona.part{k}.text" for k in range(12)))


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],  # a command takes too long to look for the smallest text
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.tuples(*[TEXT] * len(KEYS)))
@example(
    (HOSTILE, "", "???", "${", "}", "a\nb\r\n\tc ", "'", '"', "\\", "null", "[1,2]", "\udcff\udc80x", "${text:x}", "=", "=x")
)
def test_any_text_passes_the_command_line_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]
) -> None:
    seen = []
    monkeypatch.setattr(sys, "argv", ["contagium"])
    monkeypatch.setattr(application, "job", lambda config: seen.append(OmegaConf.to_container(config, resolve=True)))
    arguments = [f"{key}={text}" for key, text in zip(KEYS, texts, strict=True)]
    assert application._run(["contagium", *arguments, f"hydra.run.dir={tmp_path}"]) == 0
    found = [seen[0]["persona"]["text"], seen[0]["background"]["text"], seen[0]["pressure"]["events"]["rejection"]["text"]]
    found += [seen[0]["persona"][f"part{k}"]["text"] for k in range(12)]
    # Bytes that are not UTF-8 reach Python as lone surrogates; no text can hold them, and each is shown as U+FFFD.
    assert found == [text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in texts]


def test_ctrl_c_leaves_a_readable_run(contagium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = Live.update

    def interrupt(self: Live, progress) -> None:
        show(self, progress)
        if progress.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Live, "update", interrupt)
    monkeypatch.setattr(figures, "draw", lambda *found: [])
    status, said = contagium(*LINE)
    assert status == 130
    assert "contagium: interrupted; the steps so far are kept\n" in said
    log = open_run(tmp_path / "out")
    assert (log.meta["status"], len(log.table("step"))) == ("interrupted", 2)
    log.close()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["steps"] == 2


@pytest.mark.parametrize(("first", "steps"), [(0, 0), (1, 1)])
def test_a_run_that_fails_says_so_in_one_line_and_keeps_its_steps(
    first: int, steps: int, contagium, tmp_path: Path, monkeypatch
) -> None:
    """Step 0: no call is ever answered. Step 1: the server goes away for good."""
    answer = Parrot.complete

    async def gone(self: Parrot, request: Request) -> Completion:
        if request.step >= first:
            raise BackendError("the server is \x1b[31mgone\nfor good", reason="rejected", fatal=first > 0)
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", gone)
    monkeypatch.setattr(figures, "draw", lambda *found: [])
    status, said = contagium(*LINE, "seeding.agents=[0]")
    assert status == 1
    lines = [line for line in said.splitlines() if line.startswith("contagium: ") and "agents in a" not in line]
    told = "the server is \x1b[31mgone"
    if not first:
        told = f"the language model answered none of the first 5 calls (5 × rejected); e.g. {told}"
    assert lines == [f"contagium: {told}".replace("\x1b", "␛")]
    log = open_run(tmp_path / "out")
    assert (log.meta["status"], log.meta["reason"], len(log.table("step"))) == ("failed", told, steps)
    log.close()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["status"] == "failed"


def test_a_model_that_says_nothing_at_all_is_no_result(contagium, tmp_path: Path, monkeypatch) -> None:
    async def mute(self: Parrot, request: Request) -> Completion:
        return Completion("", "stop", "mute", 1, 0, 0.0)

    monkeypatch.setattr(Parrot, "complete", mute)
    monkeypatch.setattr(figures, "draw", lambda *found: [])
    status, said = contagium(*LINE, "seeding.agents=[0]")
    assert status == 1
    assert "contagium: the language model answered none of the first 5 calls (5 × empty_stop)\n" in said


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_its_steps(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: past it, writing fails as it does where no room is left."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); "
        "from contagium.sim.analysis.figures import run; run.draw = lambda *found: []; "
        "from contagium.sim.__main__ import _run; sys.exit(_run(sys.argv))"
    )
    arguments = ["agents=mechanistic", "observer=lexicon", "population.size=400", "steps=50", "hydra.run.dir=out"]
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot write the event log" in done.stderr
    log = open_run(tmp_path / "out")
    assert 0 < len(log.table("step")) < 50
    # After seeding the observed ones alone, then the latent ones beside them.
    assert len(log.compartments) == 3 + 6 * len(log.table("step"))
    log.close()


def test_a_log_that_cannot_be_begun_leaves_nothing(contagium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Recorder) -> None:
        raise LogError("cannot write the event log: the disk is full")

    monkeypatch.setattr(Recorder, "seeded", full)
    assert contagium(*LINE) == (2, "contagium: cannot write the event log: the disk is full\n")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_does_not_touch_the_first(contagium, tmp_path: Path) -> None:
    record(tmp_path / "out", *LINE[:-1])
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    status, said = contagium(*LINE)
    assert status == 2
    assert "already holds a run; choose another directory (hydra.run.dir=…)" in said
    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("env", ["forum", "dyads"])
def test_the_log_is_the_same_when_nobody_waits_who_need_not(env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies take their time, differently for each; reports, interviews and summaries are asked for, and some calls fail."""
    answer, ahead = Parrot.complete, []
    at: dict[int, int] = {}

    async def slow(self: Parrot, request: Request) -> Completion:
        rng = Streams(request.seed).generator("latency")
        await asyncio.sleep(rng.exponential() / 200)
        at[request.agent] = request.step
        ahead.append(max(at.values()) - min(at.values()))
        if rng.random() < 0.05:
            raise BackendError("no", reason="rejected")
        return await answer(self, request)

    monkeypatch.setattr(Parrot, "complete", slow)
    interview = "+observer.interviews.wish={question: What now?, every: 2}"
    overrides = ["backend=parrot", f"env={env}", "memory=summary", "memory.every=64", "observer.report_every=3", interview]
    overrides += ["network=ring", "population.size=16", "agents.groups.speaking.policy.index_voice=model"]
    rounds = record(tmp_path / "rounds", *overrides)
    ahead.clear()
    flow = record(tmp_path / "dataflow", *overrides, "run.schedule=dataflow")
    assert max(ahead) > 1
    assert digest(rounds) == digest(flow)
    log, _ = opened(flow)
    assert {"speak", "self_report", "summary"} <= set(log.table("call")["purpose"])
    assert len(log.table("interview")) >= 30
    log.close()


def test_interviews_leave_no_trace(tmp_path: Path) -> None:
    overrides = ["backend=parrot", "memory=summary", "observer.report_every=3", "backend.recovery=0.2"]
    asked = "+observer.interviews.mood={question: Are you well?, every: 1, options: [very well, not well]}"
    without = record(tmp_path / "without", *overrides)
    log, _ = opened(record(tmp_path / "with", *overrides, asked))
    answers = log.table("interview")
    assert len(answers) == 8 * 12
    assert set(answers["answer"]) == {"very well", "not well"}
    assert (answers["prompt_tokens"] > 0).all()
    log.close()
    assert digest(tmp_path / "with" / "run.db", without=["interview"]) == digest(without, without=["interview"])
    assert digest(tmp_path / "with" / "run.db") != digest(without)
