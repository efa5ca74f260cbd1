"""From a transcript to an archive, and the world and the agents that play it again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contagium.agents.archived import Archived
from contagium.agents.mechanistic.models import si
from contagium.agents.mechanistic.policy import Mechanistic
from contagium.agents.persona import Persona
from contagium.agents.policy import Population, Question, Setting, name_of
from contagium.envs.archive import Archive, Records, contacts
from contagium.envs.message import Axes, Channel
from contagium.envs.network import Network, NetworkError
from contagium.envs.rng import Streams
from contagium.envs.world import Act
from contagium.sim.corpus.lines import Transcript, TranscriptError
from contagium.sim.corpus.observe import import_into, observing, told
from contagium.sim.corpus.stage import Staged, stage

EXAMPLES = Path(__file__).parents[2] / "examples" / "transcripts"
AXES = Axes(("spiral",))
TABLE = """who,when,thread,to,id,reply_to,text,thought
Ann,1,t,,a,,one,deep
Bob,2,t,,b,a,two,
Cy,3,,Ann,c,,three,
Cy,4,,,d,,four,
Ann,5,,,e,d,five,
Bob,6,t,,f,zzz,,
"""


def staged(folder: Path, content: str | None = TABLE, example: str = "", **settings: Any) -> tuple[Staged, str]:
    file = EXAMPLES / example if example else folder / "made.csv"
    if content is not None and not example:
        file.write_text(content)
    return stage(Transcript(file=str(file), **settings), folder / "made.db"), str(folder / "made.db")


def world(path: str) -> Archive:
    size = Records(path).size
    made = Archive(contacts(size, Streams(1), path), AXES, path)
    made.reset(Streams(1))
    return made


def begun(policy: Archived | Mechanistic, size: int, index: int = -1) -> Archived | Mechanistic:
    strain = np.where(np.arange(size) == index, 0, -1)
    population = Population(np.zeros(size, dtype=np.int64), strain, np.ones(size), np.ones(size))
    persona = Persona(name="spiral", affect=(0.6, 0.6, 0.4))
    background = Persona(name="plain")
    policy.begin(Setting(np.arange(size), population, AXES, (persona,), background, name_of, (), 0, None))
    return policy


def play(made: Archive, policy: Archived | Mechanistic, steps: int) -> list[tuple[Act, Any, Any]]:
    """Act, messages and exposures of each step."""
    told = []
    everybody = np.arange(made.network.size)
    for _ in range(steps):
        act = asyncio.run(policy.act(made.observe(everybody), Streams(1)))
        sent = made.send(act)
        told.append((act, sent, made.deliver(sent, act)))
    return told


def test_a_transcript_is_played_again_as_it_was(tmp_path: Path) -> None:
    found, path = staged(tmp_path)
    assert (found.agents, found.messages, found.steps, found.exposures, found.unanswered) == (3, 6, 4, 5, 1)
    told = play(world(path), begun(Archived(path), 3), found.steps)
    assert [(step, sender, text) for step, (act, *_) in enumerate(told) for sender, text in act.text.items()] == [
        *((0, 0, "one"), (1, 1, "two"), (1, 2, "three"), (2, 2, "four"), (3, 0, "five"), (3, 1, ""))
    ]
    assert [act.thought for act, *_ in told] == [{0: "deep"}, {}, {}, {}]
    sent = [(m, c, t, r) for _, s, _ in told for m, c, t, r in zip(s.id, s.channel, s.thread, s.reply_to, strict=True)]
    assert sent == [
        *((0, Channel.GROUP, 0, -1), (4, Channel.GROUP, 0, 0), (5, Channel.DIRECT, 5, -1)),
        *((8, Channel.BOARD, 8, -1), (9, Channel.BOARD, 8, 8), (10, Channel.GROUP, 0, -1)),
    ]
    heard = [(e.step, a, m) for *_, e in told for a, m in zip(e.agent.tolist(), e.message.tolist(), strict=True)]
    assert heard == [(0, 1, 0), (2, 0, 4), (2, 0, 5), (2, 0, 8), (2, 1, 8)]
    assert all(np.array_equal(e.message % 3, e.source) for *_, e in told)


def test_what_waits_to_be_heard_stays_on_the_board_with_its_words(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    made, policy = world(path), begun(Archived(path), 3)
    boards = []
    for _ in range(4):
        play(made, policy, 1)
        boards.append(dict(made.board.text))
    assert boards == [{0: "one"}, {4: "two", 5: "three"}, {4: "two", 5: "three", 8: "four"}, {}]
    made.reset(Streams(1))
    assert len(made.board) == 0
    assert len(play(made, policy, 1)[0][2]) == 1


def test_a_message_that_is_withheld_is_heard_by_nobody(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    made, policy, heard = world(path), begun(Archived(path), 3), []
    for _ in range(4):
        act = asyncio.run(policy.act(made.observe(np.arange(3)), Streams(1)))
        sent = made.send(act)
        heard += made.deliver(sent.take(sent.id != 8), act).message.tolist()
    assert heard == [0, 4, 5]


def test_readers_asked_one_by_one_hear_what_they_hear_together(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    made, policy = world(path), begun(Archived(path), 3)
    play(made, policy, 2)
    everybody = made.hear(2, made.board, np.arange(3))
    alone = [made.hear(2, made.board, np.array([agent])) for agent in range(3)]
    assert everybody.message.tolist() == [m for one in alone for m in one.message.tolist()] == [4, 5]


def test_something_can_spread_over_recorded_contacts(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    policy = begun(Mechanistic(si(1e6)), 3, index=0)
    moved = [act.latent["spiral"].agent.tolist() for act, *_ in play(world(path), policy, 4)]
    # Bob hears Ann before step 1; Cy hears nobody, ever.
    assert moved == [[], [1], [], []]


def test_the_network_of_an_archive_is_who_ever_heard_whom(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    network = contacts(3, Streams(1), path)
    assert list(zip(network.source.tolist(), network.target.tolist(), strict=True)) == [(1, 0), (2, 0), (0, 1), (2, 1)]
    with pytest.raises(NetworkError, match="must be 3, the agents of"):
        contacts(4, Streams(1), path)


def test_an_archive_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    found, path = staged(tmp_path)
    four = Network.from_edges(4, [0], [1])
    with pytest.raises(ValueError, match="must be 3, the agents of"):
        Archive(four, AXES, path)
    with pytest.raises(ValueError, match="must be 3, the agents of the archive, got 4"):
        begun(Archived(path), 4)
    three = contacts(3, Streams(1), path)
    assert Archive(three, AXES, path, found.source).names == ("Ann", "Bob", "Cy")
    with pytest.raises(ValueError, match="was made from another transcript, or by other rules"):
        Archive(three, AXES, path, found.source | {"hears": "earlier"})
    with pytest.raises(ValueError, match="no archive at"):
        Records(str(tmp_path / "none.db"))
    with pytest.raises(ValueError, match="is not an archive"):
        Records(str(tmp_path / "made.csv"))


def test_what_an_agent_says_does_not_depend_on_who_else_acts(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    made, policy = world(path), begun(Archived(path), 3)
    play(made, policy, 1)
    both, one = (asyncio.run(policy.act(made.observe(np.array(agents)), Streams(1))) for agents in ([0, 1, 2], [2]))
    assert (both.says.tolist(), both.text) == ([False, True, True], {1: "two", 2: "three"})
    assert (one.agents.tolist(), one.says.tolist(), one.text) == ([2], [True], {2: "three"})
    assert np.isnan(both.expression).all()


def test_who_is_on_record_cannot_be_asked(tmp_path: Path) -> None:
    _, path = staged(tmp_path)
    policy = begun(Archived(path), 3)
    assert asyncio.run(policy.ask(np.arange(3), Question("How are you?"), 0, Streams(1))) == {}


# Arguments -----------------------------------------------------------------------------------------------------------


def test_an_observation_chooses_what_the_user_does_not() -> None:
    assert observing(["steps=3", "-m"]) == ["steps=3", "-m"]
    chosen = observing(["-m", "steps=3", "observe=a,b.csv", "transcript.who=x", "pressure=praise"])
    assert chosen == [
        *("env=archive", "agents=archived", "seeding.count=0", "log.detailed_agents=null", "env.transcript.file=a,b.csv"),
        *("-m", "steps=3", "env.transcript.who=x", "pressure=praise"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["observe="], "observe: name a file of messages"),
        (["observe=a.csv", "env=forum"], "env: comes from the transcript; leave it out"),
        (["observe=a.csv", "network=ring"], "network: comes from the transcript; leave it out"),
        (["observe=a.csv", "+population.size=3"], r"population\.size: comes from the transcript; leave it out"),
        (["observe=a.csv", "transcript.whom=a"], r"transcript\.whom: no such setting; a transcript has: format, "),
    ],
)
def test_arguments_that_cannot_stand_beside_a_transcript(arguments: list[str], said: str) -> None:
    with pytest.raises(TranscriptError, match=said):
        observing(arguments)


def test_the_settings_of_a_transcript_are_checked() -> None:
    for name, value in (("most", "0"), ("steps", "hours"), ("hears", "all"), ("format", "xml"), ("file", "")):
        with pytest.raises(ValidationError, match=name):
            Transcript.model_validate({"file": "a.csv", name: value})
    assert Transcript.model_validate({"file": "a.csv", "most": "3"}).most == 3


COMPOSED: dict[str, Any] = {
    "persona": {"name": "spiral"},
    "population": {"size": 12, "affect_sd": 0.1},
    "seeding": {"count": 0, "agents": None},
    "log": {"detailed_agents": None, "detail": "auto"},
    "steps": None,
}


def imported(folder: Path, settings: dict[str, Any], **composed: Any) -> dict[str, Any]:
    env = {"_target_": "contagium.envs.archive.Archive", "path": str(folder / "made.db"), "transcript": settings}
    return import_into(folder / "made.db", COMPOSED | {"env": env} | composed)


def test_what_follows_from_a_transcript_is_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = {"steps": "causal", "hears": "earlier", "most": "2", "index": "null"}
    forum = str(EXAMPLES / "forum.csv")
    whole = imported(tmp_path, {"file": forum})
    assert (whole["population"], whole["steps"]) == ({"size": 4, "affect_sd": 0.1}, 9)
    assert whole["seeding"] == {"count": 0, "agents": [1]}
    assert whole["log"] == {"detailed_agents": 4, "detail": "auto"}
    assert whole["network"] == {"_target_": "contagium.envs.archive.contacts", "path": str(tmp_path / "made.db")}
    assert "14 messages by 4 agents in 9 steps (turns), 22 exposures" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(TranscriptError, match="already holds a run"):
        imported(tmp_path, {"file": forum})
    (tmp_path / "made.db").unlink()
    part = imported(tmp_path, {"file": forum} | rules, steps=3, log={"detailed_agents": 2}, seeding={"agents": [3]})
    assert (part["steps"], part["log"], part["seeding"]) == (3, {"detailed_agents": 2}, {"agents": [3]})
    source = part["env"]["source"]
    assert {key: source[key] for key in ("steps", "hears", "most")} == {"steps": "causal", "hears": "earlier", "most": 2}
    assert "index" not in source["columns"]


def test_what_a_person_should_know_of_a_transcript_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = staged(tmp_path, "who,id,reply_to,text\na,1,,x\nb,2,9,y\nb,3,1,z\n")
    monkeypatch.setattr("contagium.sim.corpus.observe.IN_FULL", 2)
    assert told(found) == [
        "Transcript (csv): 3 messages by 2 agents in 2 steps (turns), 1 exposure",
        "In 95 of 100 cases an agent speaks again within 1 step.",
        "No times: messages are taken in the order of the file.",
        "Replies to messages that are not there or come later count as no replies: 1.",
        "Of more than 2 messages the log holds a sample of the agents in full (log.detailed_agents=…).",
    ]


# Staging -------------------------------------------------------------------------------------------------------------


def test_lines_are_put_in_order_of_time_and_ties_stay(tmp_path: Path) -> None:
    found, path = staged(tmp_path, "who,when,text\na,2,third\nb,1,first\nc,1,second\n")
    assert found.unsorted
    assert [text for step in range(found.steps) for _, text, _ in Records(path).words(step)] == ["third", "first", "second"]
    found, path = staged(tmp_path, "who,when,text\na,2,third\na,1,first\na,1,second\n")
    assert [Records(path).words(step) for step in range(3)] == [[(0, w, None)] for w in ("first", "second", "third")]


def test_oasis_exposures_are_those_it_recorded(tmp_path: Path) -> None:
    found, path = staged(tmp_path, example="simulation.db")
    records = Records(path)
    said = {m: text for step in range(found.steps) for m, text in _words(records, step)}
    heard = [(step, records.names[a], said[m][:14]) for step in range(found.steps) for a, m in _heard(records, step)]
    assert heard == [
        (0, "tove", "The ferry is l"),
        (0, "vera", "I am awake ins"),
        (0, "vera", "The ferry is l"),
        (1, "ulf", "I am awake ins"),
        (1, "ulf", "Every wave is "),
        (1, "ulf", "Something in t"),
        (2, "vera", "We are one pat"),
        (2, "vera", "Something in t"),
    ]


def _words(records: Records, step: int) -> list[tuple[int, str | None]]:
    return [(step * records.size + sender, text) for sender, text, _ in records.words(step)]


def _heard(records: Records, step: int) -> list[tuple[int, int]]:
    agent, message = records.heard(step)
    return list(zip(agent.tolist(), message.tolist(), strict=True))


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        ("who,text\n", {}, "holds no messages"),
        ("who,id,text\na,1,x\nb,2,y\nc,1,z\n", {}, "id '1' stands in line 2 and again in line 4"),
        ("who,text\na,x\n", {"steps": "given"}, "needs a column for 'when'"),
        ("who,step,text\na,0,x\na,0,y\n", {}, "line 3: 'a': speaks again, or answers, in the same step"),
        ("who,when,text\na,1.5,x\n", {"steps": "given"}, "the times 1.5 to 1.5 are no steps"),
        ("who,when,text\na,0,x\na,1700000000,y\n", {"steps": "given"}, "the times 0 to 1700000000 are no steps"),
    ],
)
def test_a_transcript_that_cannot_be_used_leaves_nothing(tmp_path: Path, content: str, settings: Any, said: str) -> None:
    with pytest.raises(TranscriptError, match=said):
        staged(tmp_path, content, **settings)
    assert [file.name for file in tmp_path.iterdir()] == ["made.csv"]


def test_one_agent_alone(tmp_path: Path) -> None:
    found, path = staged(tmp_path, "who,text\na,x\na,y\n")
    assert (found.agents, found.steps, found.exposures, found.untimed, found.gap) == (1, 2, 0, True, 1)
    assert [len(heard) for *_, heard in play(world(path), begun(Archived(path), 1), 2)] == [0, 0]
