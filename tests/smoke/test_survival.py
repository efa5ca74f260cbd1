"""Runs against a server that fails on purpose, and runs that are killed: nothing is lost or asked twice, and all is said."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from contagium.agents.backends.journal import verify
from contagium.sim.__main__ import _run
from contagium.sim.laboratory import prepare
from contagium.sim.log import digest, open_run
from contagium.sim.run import run
from contagium.sim.scenario import Scenario

ROOT = Path(__file__).parents[2]
QUICK = (
    *("agents=speaking", "backend=openai", "backend.model=parrot", "observer=lexicon"),
    "agents.groups.speaking.policy.index_voice=model",
)
PATIENT = ("calls.attempts=10", "calls.base_delay=0.002", "calls.max_delay=0.05", "backend.timeout=0.5")


@dataclass
class Server:
    """A faulty server in a process of its own."""

    url: str

    def stats(self) -> dict[str, dict[str, int]]:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as page:
            return json.load(page)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    processes = []

    def start(*arguments: str) -> Server:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(ROOT / "tests" / "faulty.py"), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        assert process.stdout is not None
        return Server(process.stdout.readline().strip())

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def scenario(*overrides: str) -> Scenario:
    """What the application makes of these arguments."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from contagium.sim.scenario import make_scenario

    with initialize_config_module("contagium.conf", version_base="1.3"):
        return make_scenario(OmegaConf.to_container(compose("config", [*QUICK, *overrides]), resolve=True))


def test_a_third_of_faults_costs_nothing_but_time(
    serve: Callable[..., Server], application: Callable[..., int], faulty: ModuleType, tmp_path: Path
) -> None:
    server, sound = serve("--share", "0.3", "--seed", "5"), serve()
    small = (*QUICK, "population.size=40", "steps=3", "observer.report_every=2", *PATIENT)
    assert application(*small, f"backend.base_url={server.url}", "hydra.run.dir=faulty") == 0
    assert application(*small, f"backend.base_url={sound.url}", "hydra.run.dir=sound") == 0
    log, whole = open_run(tmp_path / "faulty"), open_run(tmp_path / "sound")
    assert log.messages.equals(whole.messages)
    assert len(log.table("turn")) == 0
    counted = Counter(name for names in log.table("call")["faults"] for name in names.split(",") if name)
    stats, reasons = server.stats(), Counter[str]()
    for name, count in stats["faults"].items():
        reasons[faulty.FAULTS[name]] += count
    assert counted == reasons
    assert len(counted) == len(set(faulty.FAULTS.values()))
    assert stats["requests"] == log.table("call")["attempts"].sum()
    report = (tmp_path / "faulty" / "report.html").read_text()
    assert all(f"{count} × {name}" in report for name, count in counted.items())
    log.close()
    whole.close()


@pytest.mark.parametrize("fault", [(), ("--faults", "429"), ("--faults", "503"), ("--faults", "empty choices")])
def test_when_all_fails_the_run_stops_and_says_so_in_one_line(
    fault: tuple[str, ...],
    serve: Callable[..., Server],
    application: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    server = serve("--share", "1", *fault)
    short = ("calls.attempts=3", "calls.patience=0.5", "backend.timeout=0.2")
    arguments = (*QUICK, "population.size=6", "steps=3", *PATIENT, *short)
    assert application(*arguments, f"backend.base_url={server.url}", "hydra.run.dir=run") == 1
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if line.startswith("contagium: ") and " agents in a forum" not in line]
    assert len(lines) == 1
    log = open_run(tmp_path / "run")
    assert log.meta["status"] == "failed"
    assert log.meta["reason"] in lines[0]
    assert len(log.messages) == 0
    log.close()


def _live(made: Scenario, directory: Path, resume: bool) -> None:
    """What a process does until it is killed."""
    asyncio.run(run(prepare(made, directory), "test", lambda progress: None, lambda: None, resume))


PRELOADED = [
    *("pytest", "hydra", "contagium.sim.application", "contagium.sim.analysis.figures.run", "contagium.sim.analysis.report.page"),
    *(
        "contagium.sim.observer.instruments.lexicon",
        "contagium.sim.observer.instruments.persona_lexicon",
        "contagium.sim.observer.instruments.self_report",
    ),
    *("contagium.agents.speaking", "contagium.agents.backends.openai", "contagium.agents.backends.forms", "contagium.envs.forum"),
]


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def killed_until_done(
    made: Scenario,
    directory: Path,
    forks: multiprocessing.context.ForkServerContext,
    moments: Iterator[tuple[int, float]],
    server: Server,
    content_of: Callable[..., str],
) -> list[int]:
    """Start and kill a run until it ends by itself: how many calls were kept at each kill. None of those is ever sent again.

    moments: when to kill, as requests that the server must have got since the start, and seconds to wait after that.
    """
    kills: list[int] = []
    while True:
        kept, asked = kept_contents(directory, content_of), server.stats()["asked"]
        process = forks.Process(target=_live, args=(made, directory, kept is not None))
        process.start()
        calls, seconds = next(moments)
        before = sum(asked.values())
        while process.exitcode is None and sum(server.stats()["asked"].values()) < before + calls:
            time.sleep(0.02)
        process.join(seconds)
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        now = server.stats()["asked"]
        assert all(now[content] == asked[content] for content in kept or ())
        if process.exitcode == 0:
            return kills
        kills.append(len(kept_contents(directory, content_of) or ()))


def kept_contents(directory: Path, content_of: Callable[..., str]) -> set[str] | None:
    """What the server calls the requests whose replies are in the journal; None if the run has not begun."""
    if not (directory / "scenario.yaml").exists():
        return None
    if not (directory / "journal.db").exists():
        return set()
    connection = sqlite3.connect(directory / "journal.db")
    try:
        rows = connection.execute("SELECT request FROM call WHERE outcome = 'ok'").fetchall()
    except sqlite3.OperationalError:
        return set()  # killed before there were tables
    finally:
        connection.close()
    found = set()
    for (request,) in rows:
        asked = json.loads(request)
        found.add(content_of([(m["role"], m["content"]) for m in asked["messages"]], asked["seed"], asked["schema"]))
    return found


def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    serve: Callable[..., Server], forks: multiprocessing.context.ForkServerContext, faulty: ModuleType, tmp_path: Path
) -> None:
    server = serve("--latency", "0.02", "--sigma", "1")
    made = scenario("population.size=8", "steps=10", "observer.report_every=3", f"backend.base_url={server.url}")
    _live(made, tmp_path / "whole", False)
    truth, spoken = digest(tmp_path / "whole"), server.stats()["completed"]
    rng, kills, round_ = np.random.default_rng(11), list[int](), 0
    while len(kills) < 20:
        round_ += 1
        directory, own = tmp_path / f"killed {round_}", serve("--latency", "0.02", "--sigma", "1")
        again = made.model_copy(update={"agents": _at(made, own.url)})
        # The machine may be slow, so a moment is not one of the clock's; a few come before anything was sent.
        moments = iter(lambda: (max(0, int(rng.integers(-4, 30))), float(rng.uniform(0, 0.05))), None)
        kills += killed_until_done(again, directory, forks, moments, own, faulty.content_of)
        assert digest(directory) == truth
        assert verify(directory / "journal.db") == []
        assert own.stats()["completed"].keys() == spoken.keys()
    # The moments were worth it: most kills hit a run that had something to lose.
    assert sum(0 < kept < len(spoken) for kept in kills) >= 10


def _at(made: Scenario, url: str) -> object:
    """The groups of a scenario, asking another server."""
    groups = {
        name: group.model_copy(update={"backend": {**(group.backend or {}), "base_url": url}})
        for name, group in made.agents.groups.items()
    }
    return made.agents.model_copy(update={"groups": groups})


def _limited(arguments: tuple[str, ...], directory: Path, most: int) -> None:
    """The application in `directory`, where no file may grow beyond `most` bytes; what it says goes to a file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.chdir(directory)
    sys.stderr = (directory / "said").open("w", buffering=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    sys.exit(_run(["contagium", *arguments]))


@pytest.mark.parametrize("most", [250_000, 500_000])
def test_on_a_full_disk_earlier_steps_are_intact_and_the_run_can_be_resumed(
    most: int, forks: multiprocessing.context.ForkServerContext, application: Callable[..., int], tmp_path: Path
) -> None:
    arguments = ("backend=parrot", "observer=lexicon", "steps=12", "population.size=12")
    status, said = limited(forks, arguments, tmp_path, most)
    assert status == 1
    assert sum(line.startswith("contagium: cannot write the") and "run" in line for line in said) == 1
    log = open_run(tmp_path / "run")
    steps = log.table("step")["step"].tolist()
    assert steps == list(range(len(steps)))
    log.close()
    assert application("resume=run") == 0
    assert application(*arguments, "hydra.run.dir=whole") == 0
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def limited(
    forks: multiprocessing.context.ForkServerContext, arguments: tuple[str, ...], directory: Path, most: int
) -> tuple[int | None, list[str]]:
    """Exit status of the application where files are limited, and the lines it said."""
    process = forks.Process(target=_limited, args=((*arguments, "hydra.run.dir=run"), directory, most))
    process.start()
    process.join()
    return process.exitcode, (directory / "said").read_text().splitlines()


def test_where_the_disk_is_full_from_the_start_nothing_is_left(
    forks: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    status, said = limited(forks, ("backend=parrot", "observer=lexicon"), tmp_path, 50_000)
    assert status == 2
    assert len(said) == 1
    assert said[0].startswith("contagium: cannot write")
    assert not (tmp_path / "run").exists()


def test_where_nothing_can_be_written_it_says_so(application: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert application("backend=parrot", "observer=lexicon", "hydra.run.dir=/proc/contagium") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/proc/contagium" in said
