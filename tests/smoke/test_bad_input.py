"""What a user gets wrong is told in one clear line, with exit status 2 and nothing left on disk."""

import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contagium.sim.__main__ import _run

Command = Callable[..., tuple[int, str]]
EVENT = "pressure.events.rejection"
QUARANTINE = "agents=mechanistic intervention=quarantine +intervention.quarantine."
FIXED = "{_target_:contagium.agents.mechanistic.dwell.Fixed,time:0}"


@pytest.fixture
def contagium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process and in a directory that holds `bad.csv` alone: exit status and what stood on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contagium"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    for name in ("OPENAI_API_KEY", "MY_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bad.csv").write_text("source,target\n0,1\n0,x\n")

    def command(*arguments: str) -> tuple[int, str]:
        status = _run(["contagium", "observer=lexicon", "steps=2", *arguments])
        out, err = capsys.readouterr()
        assert out == ""
        return status, err

    return command


def refused(command: Command, *arguments: str) -> str:
    """The one line with which the arguments were refused; the disk is as it was."""
    status, said = command(*arguments)
    assert status == 2, said
    assert re.fullmatch(r"contagium: [^\n]+\n", said), said
    assert [path.name for path in Path.cwd().rglob("*")] == ["bad.csv"]
    return said.removeprefix("contagium: ").rstrip()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("network=foo", "network: no choice 'foo'; there are: activity_driven, .*, star"),
        ("network=3", "Config group override must be a string or a list. Got int"),
        ("population.siez=3", "population.siez: no such key .did you mean population.size.."),
        ("agents=mechanistic model=watts model.recovery_rate=1", "model.recovery_rate: no such key .did you mean model.rate.."),
        ("+population.siez=3", "population.siez: no such key"),
        ("+env.raeds=3", "env.raeds: no such setting; Forum has: reads, board_reads, window, reply_share"),
        ("seed=abc", "seed: .*, got 'abc'"),
        ("population.size=0", "population.size: .* greater than or equal to 1, got 0"),
        ("agents=mechanistic model.recovery_rate=-0.1", "model: rate must be non-negative.*, got -0.1"),
        ("agents=mechanistic model.recovery_rate=nan", "model: rate must be non-negative and finite, got nan"),
        ("agents=mechanistic affect.contagion=1.1", "affect: contagion must be a share in .0, 1., got 1.1"),
        ("agents=mechanistic model=watts model.share=2", "model: threshold must be a share in .0, 1., got 2.0"),
        (f"agents=mechanistic model.infectious_dwell={FIXED}", "model.infectious_dwell: dwell time must be positive.*, got 0.0"),
        ("agents=mechanistic model=sri", "model: no choice 'sri'; there are: carrier, .*, watts"),
        ("agents=mechanistic coupling.bound=0.5", "agents.groups.mechanistic: coupling.bound is about opinions, got 0.5 .*"),
        ("agents=mechanistic stances=[spiral]", "persona, rivals, stances: axis names must differ, .*"),
        ("agents=mechanistic model=two_strains ~persona@rivals.second", ".*the model tells 2 strains apart, but the run has 1.*"),
        ("agents=mechanistic seeding.count=13", "seeding.count: at most population.size .12. index cases, got 13"),
        ("env=forum agents=learning", "agents.groups.learning: learning agents need something to choose, .*: take env=commons"),
        (f"agents=mechanistic {EVENT}.at=[] +{EVENT}.rate=-1", f"{EVENT}.rate: .*, got -1"),
        ("env.reply_share=1.5", "env.reply_share: .* less than or equal to 1, got 1.5"),
        ("backend=parrot backend.adoption=1.5", ".*backend.*adoption must be in .0, 1., got 1.5"),
        ("seeding.agents=[0,99]", "seeding.agents: agents are 0 to 11, got 99"),
        (f"{EVENT}.targets=[99]", f"{EVENT}.targets: agents are 0 to 11, got 99"),
        ("network=file", "network.path: a value is needed, e.g. network.path=…"),
        ("network=file network.path=missing.csv", "network.path: no such file: missing.csv"),
        ("network=file network.path=bad.csv", "network.path: bad.csv line 3: invalid literal .*'x'"),
        ("backend=openai", "backend.model: a value is needed, e.g. backend.model=…"),
        ("backend=openai backend.model=x", "https://api.openai.com/v1 needs a key: set the environment variable OPENAI_API_KEY"),
        (
            "backend=openai backend.model=x backend.base_url=nonsense",
            ".*base_url must look like http://host:port/v1, got 'nonsense'",
        ),
        ("backend.model=no-such.gguf", "no model 'no-such.gguf': .*"),
        ("backend.model=bad.csv", "bad.csv is no GGUF file: .*"),
        ("agents.groups.speaking.backend=null", "agents.groups.speaking: speaking agents need a language model: .*"),
        (
            "backend=parrot observer.axes.valence=[self_report]",
            "observer.axes: self_report does not read messages, .* stand for valence",
        ),
        ("env=ocean", "env: no choice 'ocean'; there are: archive, .*, workshop"),
        (
            "persona.without=[glitter]",
            "persona: without: the texts of persona spiral carry no facet 'glitter' .they carry: affect, .*",
        ),
        (EVENT + ".targets={group:nobody}", f"{EVENT}.targets: no group 'nobody'; there are: speaking"),
        (EVENT + ".targets={role:person}", f"{EVENT}.targets: no role 'person'; there are: none"),
        ("agents=mechanistic agents.groups.mechanistic.role=person", ".*role: no role 'person' in this world; there are: none"),
        (
            "agents=mechanistic intervention=[clamp_calm,clamp_angry]",
            "intervention: clamp_calm and clamp_angry both hold the affect .*",
        ),
        ("agents=mechanistic intervention=calm_generic", "intervention.calm_generic: Instruct works at the point prompt, .*"),
        ("backend=parrot intervention=clamp_calm", "intervention.clamp_calm: Clamp works at the point state, .*"),
        (f"{QUARANTINE}stop=0", "intervention.quarantine.stop: Input should be greater than or equal to 1, got 0"),
        (f"{QUARANTINE}who={{case:plain}}", "intervention.quarantine: there are no cases of 'plain'; there are of: spiral"),
        (
            f"{QUARANTINE}trigger={{measure:joy,above:1}}",
            "intervention.quarantine: nothing is known of 'joy'; there are: valence, .*",
        ),
        ("steps=1,2", "Ambiguous value for argument 'steps=1,2'"),
        ("steps=${nothing}", "Interpolation key 'nothing' not found"),
        ("hydra.run.dir=bad.csv/x", ".*bad.csv.*"),
    ],
)
def test_each_mistake_is_one_line(arguments: str, line: str, contagium: Command) -> None:
    assert re.fullmatch(line, refused(contagium, *arguments.split(" ")))


SECRETS = [
    "+backend.api_key=sk-secret",
    "agents=scripted +backend.api_key=sk-secret",
    "backend=openai backend.model=x backend.base_url=http://user:sk-secret@127.0.0.1:1/v1",
    "agents=scripted backend=openai backend.model=x backend.base_url=http://user:sk-secret@host/v1",
    "backend=openai backend.model=x backend.api_key_env=sk-secret",
    "+hydra.job.env_set.OPENAI_API_KEY=sk-secret",
    "+odd={api_key:sk-secret}",
    "agents=scripted +backend.extra={headers:{Authorization:sk-secret}}",
    "-m seed=1,2 +backend.api_key=sk-secret",
]


@pytest.mark.parametrize("arguments", SECRETS)
def test_a_secret_is_refused_and_never_repeated(arguments: str, contagium: Command) -> None:
    assert "secret" not in refused(contagium, *arguments.split(" ")).replace("a secret may not", "")


def test_no_server_at_the_address(contagium: Command) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    line = refused(contagium, "backend=openai", f"backend.base_url={url}", "backend.model=x")
    assert line.startswith(f"no connection to {url}: ")


class Server(BaseHTTPRequestHandler):
    """Offers one model."""

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": "this-one"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
        http.shutdown()
        thread.join()


def test_a_model_the_server_does_not_know(contagium: Command, server: str) -> None:
    line = refused(contagium, "backend=openai", f"backend.base_url={server}", "backend.model=other")
    assert line == f"{server} does not know the model 'other'; it offers: 'this-one'"


def test_a_sweep_goes_on_after_an_arm_that_is_refused(
    application: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ("population.size=0,4", "-m", "agents=scripted", "observer=lexicon", "steps=1", "hydra.sweep.dir=sweep")
    assert application(*arms) == 2
    assert "population.size: Input should be greater than or equal to 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "sweep" / "0").exists()
    assert (tmp_path / "sweep" / "1" / "report.html").exists()
    assert application("agents=scripted", "observer=lexicon", "steps=1", "hydra.run.dir=single") == 0


def test_the_version_is_the_products(application: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert application("--version") == 0
    assert re.fullmatch(r"contagium \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_file_that_is_not_yaml(application: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine" / "persona").mkdir(parents=True)
    (tmp_path / "mine" / "persona" / "weird.yaml").write_text("text: [1")
    assert application("--config-dir", str(tmp_path / "mine"), "persona=weird", "agents=mechanistic") == 2
    said = capsys.readouterr().err
    assert said.startswith("contagium: a configuration file is not valid YAML: ")
    assert "weird.yaml" in said
    assert said.count("\n") == 1


def test_the_same_index_case_twice(contagium: Command) -> None:
    status, said = contagium("agents=mechanistic", "seeding.agents=[1,1]")
    assert (status, said) == (2, "contagium: seeding.agents: each agent once, got 1, 1\n")
