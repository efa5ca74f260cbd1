"""Every `contagium` command that the documents show runs, in a small, fast form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What a reader would have: a model server, weights, hours. The test has none of these.
EARLIER = "outputs/2026-11-21/10-00-00"  # a run that the reader has made before
NEEDS = {"--config-dir": "a folder of the reader's own", "backend.model=/": "a model file of the reader's own"}


def commands() -> list[str]:
    """Each line of a fenced block that calls the application, without its comment."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = [line for line in block.splitlines() if re.match(r"(contagium|python -m sim)\b", line)]
            found += lines
    help_page = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    found += [line.strip() for line in help_page.splitlines() if re.match(r"\s{8}contagium\b", line)]
    # Two lines that a shell reads alike are one command.
    return sorted({tuple(shlex.split(line, comments=True)): line for line in found}.values())


WORDS = (
    *("observer.instruments.embedding=null", "observer.instruments.direction=null", "observer.axes.valence=[lexicon]"),
    *("observer.axes.arousal=[lexicon]", "observer.axes.dominance=[expression]", "observer.axes.distress=[emotion_lexicon]"),
    "observer.case.instrument=persona_lexicon",
)


def made_small(command: str, server: str) -> list[str]:
    """The arguments, made small: few agents and steps, two values in a sweep, a parrot for a model, words for an encoder."""
    words = shlex.split(command, comments=True)
    arguments = words[3:] if words[0] == "python" else words[1:]
    if {"--help", "--cfg"} & set(arguments) or "".join(arguments).startswith(("resume=", "verify=")):
        return arguments
    dropped = ("population.size=", "steps=", "backend.deterministic=", "hydra.sweep.dir=", "backend.base_url=")
    kept = [re.sub(r"range\(.*\)", "range(2)", argument) for argument in arguments if not argument.startswith(dropped)]
    if "-m" in kept:
        kept = [re.sub(r"^([^\[]*?,[^,]*),.*", r"\1", argument) for argument in kept]
    if "backend=openai" in kept:
        kept.append(f"backend.base_url={server}")
    if not any(argument.startswith("backend=") for argument in kept):
        kept.append("backend=parrot")
    # An observer of the command's own is kept, and does without the encoder.
    own = any(argument.startswith("observer=") for argument in kept)
    kept += [*(WORDS if own and "observer=lexicon" not in kept else [] if own else ["observer=lexicon"]), "steps=2"]
    kept = [argument.replace("observe=examples/", f"observe={ROOT}/examples/") for argument in kept]
    if any(argument.startswith("observe=") for argument in kept):
        return kept  # how many agents there are, the transcript says
    return [*kept, f"population.size={9 if 'agents=mixed' in kept else 6}"]


def test_there_are_commands_to_run() -> None:
    assert len(commands()) > 12


@pytest.mark.parametrize("command", commands())
def test_command_runs(
    command: str, application: Callable[..., int], model_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sign, needed in NEEDS.items():
        if sign in command:
            pytest.skip(f"needs {needed}")
    (tmp_path / "edges.csv").write_text("source,target\n0,1\n1,2\n2,3\n3,4\n4,5\n")
    (tmp_path / "messages.csv").write_text("who,text\nAnn,Hello\nBob,Hello\nAnn,Goodbye\n")
    before = 0
    if EARLIER in command:
        before = 1
        assert application(*made_small(f"contagium hydra.run.dir={EARLIER}", model_server)) == 0
    assert application(*made_small(command, model_server), rendered=shlex.split(command, comments=True) == ["contagium"]) == 0
    if "--help" in command:
        assert "network: complete, file, random, ring, scale_free, small_world" in capsys.readouterr().out
    elif "--cfg" not in command:
        runs = list(tmp_path.glob("**/report.html"))
        assert len(runs) == before + expected_runs(command)


def expected_runs(command: str) -> int:
    """How many combinations a sweep has, once it is made small: two values of each."""
    if re.search(r"\b(resume|verify|budget.estimate)=", command):
        return 0
    if "-m" not in shlex.split(command, comments=True):
        return 1
    values = [argument.partition("=")[2] for argument in shlex.split(command, comments=True)]
    swept = [value for value in values if value.startswith("range(") or ("," in value and "[" not in value)]
    return 2 ** len(swept)


def test_the_example_reads_a_run(application: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import runpy

    assert application("agents=scripted", "observer=lexicon", "steps=2", "hydra.run.dir=run") == 0
    monkeypatch.setattr("sys.argv", ["open_log.py", str(tmp_path / "run")])
    names = runpy.run_path(str(ROOT / "examples" / "open_log.py"))
    assert len(names["messages"]) == 24
    assert {"text", "valence", "spiral"} <= set(names["messages"].columns)
    assert set(names["transitions"]["target"]) == {"I"}
