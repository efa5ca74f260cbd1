"""`contagium observe=PATH` on each made example, on what cannot be used, and stopped half-way."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contagium.envs.archive import Archive
from contagium.envs.message import Exposures, Messages
from contagium.envs.world import Act
from contagium.sim.analysis.summary import summarise
from contagium.sim.log import digest, open_run

EXAMPLES = Path(__file__).parents[2] / "examples" / "transcripts"
QUICK = ("observer=lexicon", "hydra.run.dir=run")
Application = Callable[..., int]


def observe(application: Application, path: Path | str, *more: str) -> int:
    return application(f"observe={path}", *QUICK, *more)


@pytest.mark.parametrize(
    ("name", "agents", "messages", "steps", "exposures"),
    [
        ("rooms.jsonl", 3, 7, 5, 6),
        ("simulation.db", 3, 7, 4, 8),
        ("evaluation.json", 6, 10, 5, 10),
    ],
)
def test_an_example_is_observed(
    application: Application, tmp_path: Path, name: str, agents: int, messages: int, steps: int, exposures: int
) -> None:
    assert observe(application, EXAMPLES / name) == 0
    run = open_run(tmp_path / "run")
    assert (run.size, len(run.messages), run.meta["steps"], len(run.exposures)) == (agents, messages, steps, exposures)
    assert run.meta["status"] == "finished"
    assert run.meta["scenario"]["env"]["source"]["file"] == name
    assert run.messages["valence"].notna().all()
    run.close()
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {*("archive.db", "figures", "report.html", "run.db", "scenario.yaml", "summary.json", "transcript.md")}


def test_the_forum_shows_who_caught_it_from_whom(application: Application, tmp_path: Path) -> None:
    assert observe(application, EXAMPLES / "forum.csv") == 0
    run = open_run(tmp_path / "run")
    assert (len(run.messages), run.meta["steps"], len(run.exposures)) == (14, 9, 22)
    names = dict(zip(run.agents["id"], run.agents["name"], strict=True))
    assert sorted(names.values()) == ["Ives", "Nell", "Oona", "Pim"]
    cases = run.transitions[(run.transitions["target"] == "I") & (run.transitions["strain"] == "spiral")]
    assert {names[agent] for agent in cases["agent"]} == {"Ives", "Oona", "Pim"}
    index = cases[cases["step"] == -1]
    assert [names[agent] for agent in index["agent"]] == ["Ives"]
    found = {names[agent]: at for agent, at in zip(cases["agent"], cases["id"], strict=True)}
    causes = run.causes.groupby("transition_id")["source"].agg(set)
    assert {names[source] for source in causes[found["Oona"]]} == {"Ives"}
    assert "Oona" in {names[source] for source in causes[found["Pim"]]}
    run.close()


def test_hostile_names_and_words_are_shown_and_do_nothing(application: Application, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    rows = [
        {"who": evil, "text": evil},
        {"who": "${oc.env:HOME}", "text": "a\u0000b\ud800\u202e"},
        {"who": "x" * 300, "text": "y" * 1_000_000},
    ]
    file = tmp_path / "a, b=c ${x}.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    assert observe(application, file) == 0
    report = (tmp_path / "run" / "report.html").read_text()
    assert evil not in report
    run = open_run(tmp_path / "run")
    assert run.messages["text"].str.len().tolist() == [25, 5, 1_000_000]
    assert set(run.agents["name"]) == {evil, "${oc.env:HOME}", "x" * 300}
    run.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("observe=none.csv",), "no such file: none.csv"),
        (("observe=broken.csv",), "broken.csv, line 3: 2 cells expected, got 1"),
        (("observe=good.csv", "population.size=3"), "population.size: comes from the transcript"),
        (
            ("observe=good.csv", "transcript.steps=hours"),
            "transcript.steps: Input should be 'auto', 'turns', 'causal' or 'given'",
        ),
        (("observe=index.csv",), "index cases of 'flu': the persona that spreads here is 'spiral'"),
        (("observe=good.csv", "observer.case.instrument=lexicon"), "persona.detection"),
        (("env=archive", "agents=archived", "steps=1"), "env=archive needs a transcript: observe=PATH"),
    ],
)
def test_what_cannot_be_observed_is_told_in_one_line_and_leaves_nothing(
    application: Application, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "good.csv").write_text("who,text\na,hello\nb,hello\n")
    (tmp_path / "broken.csv").write_text("who,text\na,b\nc\n")
    (tmp_path / "index.csv").write_text("who,text,index,strain\na,b,1,flu\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert application(*arguments, *QUICK) == 2
    *_, last = capfd.readouterr().err.strip().splitlines()
    assert last.startswith("contagium: ")
    assert said in last
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_stopped_observation_is_resumed_from_its_directory_alone(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers_alone(directory: Path) -> dict[str, Any]:
        with closing(open_run(directory)) as log:
            return summarise(log)

    monkeypatch.setattr("contagium.sim.application.write_outputs", numbers_alone)
    file = tmp_path / "forum.csv"
    file.write_bytes((EXAMPLES / "forum.csv").read_bytes())
    assert application(f"observe={file}", "observer=lexicon", "hydra.run.dir=whole") == 0
    deliver = Archive.deliver

    def stop(self: Archive, messages: Messages, act: Act, stops: None) -> Exposures:
        if self.step == 4:
            raise KeyboardInterrupt
        return deliver(self, messages, act, stops)

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "deliver", stop)
        assert observe(application, file) == 130
    assert observe(application, file) == 2  # the directory holds a run already
    file.unlink()
    assert application("resume=run") == 0
    apart = ("meta",)  # where each run lies
    assert digest(tmp_path / "run", apart) == digest(tmp_path / "whole", apart)
