"""Every `contagium` command that the documents show runs, in a small, fast form, or is built as far as a run can be unstarted.

The second is for pages about single choices: the choices themselves run in test_configurations.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from contagium.sim.laboratory import prepare
from contagium.sim.scenario import make_scenario

ROOT = Path(__file__).parents[2]
CHOICES = {"commons", "companion", "dyads", "interventions", "library", "networks", "personas", "pressure", "tribunal"}
CHOICES |= {"watched", "workshop"}
OWN = {"inhabiting"}  # its test brings the files that its commands need
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.stem not in CHOICES | OWN)]
# What a reader would have: a model server, weights, hours. The test has none of these.
EARLIER = "outputs/2026-11-21/10-00-00"  # a run that the reader has made before
NEEDS = {
    "--config-dir": "a folder of the reader's own",
    "backend.model=/": "a model file of the reader's own",
    "experiment=": "many runs; test_committed_experiments.py makes some of them",
}


def shown(pages: Iterable[Path]) -> list[str]:
    """Each line of a fenced block on these pages that calls the application."""
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.DOTALL):
            lines = [line for line in block.splitlines() if re.match(r"(contagium|python -m sim)\b", line)]
            found += lines
    return found


def different(lines: list[str]) -> dict[tuple[str, ...], str]:
    """Each line by its words: two that a shell reads alike are one command."""
    return {tuple(shlex.split(line, comments=True)): line for line in lines}


def commands() -> list[str]:
    """Those that run: of the pages, and of the application's own help."""
    help_page = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    helps = [line.strip() for line in help_page.splitlines() if re.match(r"\s{8}contagium\b", line)]
    return sorted(different([*shown(PAGES), *helps]).values())


def run_once() -> list[str]:
    """Those commands of which no two are the same once made small: they differ in more than how many agents and steps."""
    return sorted({tuple(sorted(made_small(line, ""))): line for line in commands()}.values())


def built_only() -> list[str]:
    """Those on pages about single choices that no other page shows."""
    found = different(shown(ROOT / "docs" / f"{name}.md" for name in sorted(CHOICES)))
    return sorted(line for words, line in found.items() if words not in different(commands()))


WORDS = (
    *("observer.instruments.embedding=null", "observer.instruments.direction=null", "observer.axes.valence=[lexicon]"),
    *("observer.axes.arousal=[lexicon]", "observer.axes.dominance=[expression]", "observer.axes.distress=[emotion_lexicon]"),
    "observer.case.instrument=persona_lexicon",
)


def first(argument: str) -> str:
    """The first combination of a sweep."""
    override = OverridesParser.create().parse_override(argument)
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}" if override.is_sweep_override() else argument


def made_small(command: str, server: str) -> list[str]:
    """The arguments, made small.

    Few agents and steps, two values of what is swept first, a parrot for a model, words for an encoder.
    """
    words = shlex.split(command, comments=True)
    arguments = words[3:] if words[0] == "python" else words[1:]
    if {"--help", "--cfg"} & set(arguments) or "".join(arguments).startswith(("resume=", "verify=")):
        return arguments
    dropped = ("population.size=", "steps=", "backend.deterministic=", "hydra.sweep.dir=", "backend.base_url=")
    kept = [re.sub(r"range\(.*\)", "range(2)", argument) for argument in arguments if not argument.startswith(dropped)]
    if "-m" in kept:
        kept = [re.sub(r"^([^\[]*?,[^,]*),.*", r"\1", argument) for argument in kept]
        swept = [argument for argument in kept if argument != "-m" and first(argument) != argument]
        kept = [first(argument) if argument in swept[1:] else argument for argument in kept]
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
    many = "agents=mixed" in kept or "network=blocks" in kept or "rivals" in command
    return [*kept, f"population.size={9 if many else 6}"]


def test_there_are_commands_to_run() -> None:
    assert len(commands()) > 12
    assert len(built_only()) > 12


@pytest.mark.parametrize("command", run_once())
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
        assert "observer: default, interview, judge, lexicon" in capsys.readouterr().out
    elif "--cfg" not in command:
        runs = list(tmp_path.glob("**/report.html"))
        assert len(runs) == before + expected_runs(command)


@pytest.mark.parametrize("command", built_only())
def test_command_is_built(command: str, model_server: str, tmp_path: Path) -> None:
    arguments = [argument for argument in made_small(command, model_server) if argument != "-m"]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        config = compose("config", [first(argument) for argument in arguments])
    lab = prepare(make_scenario(OmegaConf.to_container(config, resolve=True)), tmp_path / "run")
    assert lab.scenario.steps == 2
    assert list(tmp_path.iterdir()) == []


def expected_runs(command: str) -> int:
    """A sweep has two, once it is made small."""
    if re.search(r"\b(resume|verify|budget.estimate)=", command):
        return 0
    return 2 if "-m" in shlex.split(command, comments=True) else 1


def test_the_example_reads_a_run(application: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import runpy

    assert application("agents=scripted", "observer=lexicon", "steps=2", "hydra.run.dir=run") == 0
    monkeypatch.setattr("sys.argv", ["open_log.py", str(tmp_path / "run")])
    names = runpy.run_path(str(ROOT / "examples" / "open_log.py"))
    assert len(names["messages"]) == 24
    assert {"text", "valence", "spiral"} <= set(names["messages"].columns)
    assert set(names["transitions"]["target"]) == {"I"}
