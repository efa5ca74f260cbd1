"""Every format is read into lines; what cannot be read is refused in one line that says where and why."""

from __future__ import annotations

import builtins
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from contagium.envs.message import Channel
from contagium.sim.corpus.formats import detect, read
from contagium.sim.corpus.lines import Line, Source, Transcript, TranscriptError
from contagium.sim.corpus.stage import stage

EXAMPLES = Path(__file__).parents[2] / "examples" / "transcripts"


def source(path: Path, content: str | bytes, **settings: Any) -> Source:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(Transcript(file=str(path), **settings))


def lines(path: Path, content: str | bytes, **settings: Any) -> list[Line]:
    return list(source(path, content, **settings).lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "messages"


def test_formats_are_told_apart_by_content(path: Path) -> None:
    for name, kind in (
        *(("forum.csv", "csv"), ("rooms.jsonl", "jsonl"), ("simulation.db", "oasis")),
        *(("evaluation.json", "inspect"), ("forum.parquet", "parquet")),
    ):
        assert detect(EXAMPLES / name) == kind
    path.write_text(json.dumps({"eval": {}, "samples": []}))
    assert detect(path) == "inspect"
    assert source(path.with_suffix(".tsv"), "who\ttext\na\tone, two\n").format == "tsv"


def test_a_table_by_the_names_of_its_columns(path: Path) -> None:
    first, second = lines(path, "Author,Created_At,recipient,message\nAnn,5,Bob,Hi\nBob,6,,\n")
    assert first == Line("Ann", 5, "line 2", "Hi", None, Channel.DIRECT, ("Bob",))
    assert (second.who, second.text, second.channel, second.to) == ("Bob", "", Channel.BOARD, ())
    (chosen,) = lines(path, "author,sender,text\nAnn,Bob,Hi\n", who="sender")
    assert chosen.who == "Bob"
    left_out = source(path, "who,step,text\nAnn,3,Hi\n", when=None)
    assert (left_out.steps, next(left_out.lines).at) == ("turns", None)
    assert source(path, "who,step,text\nAnn,3,Hi\n").steps == "given"


def test_threads_replies_index_cases_and_thoughts(path: Path) -> None:
    table = "who,id,reply_to,text,index,strain,thought\nAnn,1,,Hi,yes,spiral,hm\nBob,2,1,Ho,0,,\n"
    first, second = lines(path, table)
    assert first.thread is not None
    assert (first.channel, first.strain, first.thought) == (Channel.GROUP, "spiral", "hm")
    assert (second.thread, second.reply_to, second.channel, second.strain, second.thought) == (
        None,
        "1",
        Channel.GROUP,
        None,
        None,
    )
    rows = lines(path, "who,thread,channel,text\nAnn,t,board,Hi\nBob,t,,Ho\nCy,,,Hu\n")
    assert [row.channel for row in rows] == [Channel.BOARD, Channel.GROUP, Channel.BOARD]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_line_ends_and_quotes(path: Path, mark: str, end: str) -> None:
    rows = [["who", "text"], ["Ann", f'"one{mark} ""two""{end}three"'], ["Bob", "é"]]
    first, second = lines(path, end.join(mark.join(row) for row in rows))
    assert (first.text, second.text) == (f'one{mark} "two"{end}three', "é")


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-8"])
def test_byte_order_marks(path: Path, name: str) -> None:
    assert [line.text for line in lines(path, "who,text\nAnn,žluť 🌀\n".encode(name))] == ["žluť 🌀"]
    assert [line.text for line in lines(path, '{"who": "Ann", "text": "žluť 🌀"}\n'.encode(name))] == ["žluť 🌀"]


def test_times(path: Path) -> None:
    zoned = lines(path, "who,when,text\na,1970-01-01T00:00:01Z,x\nb,1970-01-01T01:00:02+01:00,y\nc,19700101T000000.5+0000,z\n")
    assert [line.at for line in zoned] == [1_000_000, 2_000_000, 500_000]
    assert [line.at for line in lines(path, "who,when,text\na,1970-01-02,x\n")] == [86_400_000_000]
    assert [line.at for line in lines(path, "who,when,text\na,1700000000,x\nb,-1.5,y\n")] == [1_700_000_000, -1.5]
    for a, b in (("1", "2026-01-01"), ("2026-01-01", "2026-01-01T00:00:00Z")):
        with pytest.raises(TranscriptError, match=r"line 3: .* in line 2: times must be of one kind"):
            lines(path, f"who,when,text\na,{a},x\nb,{b},y\n")
    for wrong in ("nan", "inf", "1e300", "yesterday", "9" * 30, ""):
        with pytest.raises(TranscriptError, match=r"line 2: when must be a step, an ISO date and time, or Unix seconds, got"):
            lines(path, f"who,when,text\na,{wrong},x\n")


def test_json_lines_hold_lists_numbers_and_nothing(path: Path) -> None:
    rows = [
        {"who": 7, "to": ["Ann", "Bob"], "text": "x", "when": 1.5},
        {"who": 7.0, "text": None, "when": 2},
        {"who": "a", "text": "\ud800!", "when": 3},
    ]
    found = lines(path, "\n\n".join(map(json.dumps, rows)))
    assert [line.who for line in found] == ["7", "7", "a"]
    assert found[0].to == ("Ann", "Bob")
    assert [line.text for line in found] == ["x", None, "\ufffd!"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n1,2\n", "no column for 'who': name it with transcript.who=…; the columns are a, b"),
        ("author,sender,text\nx,y,z\n", "author or sender could be the column for 'who': choose with transcript.who=…"),
        ("who,who,text\nx,y,z\n", "two columns have one name"),
        ("who,text\na,b\nc\n", "line 3: 2 cells expected, got 1"),
        ('who,text\na,"b\n', "line 2: unexpected end of data"),
        ("who,text\n,b\n", "line 2: nobody says this"),
        ("who,text,channel\na,b,general\n", "line 2: channel must be direct, group or board, got 'general'"),
        ("who,text,channel\na,b,direct\n", "line 2: a direct message needs somebody in to"),
        ("who,text,index\na,b,perhaps\n", "line 2: index must be yes or no, got 'perhaps'"),
        (b"who,text\na,b\nc,\xff\xfe\n", "is not utf-8 after .*: name its encoding with transcript.encoding"),
        ("who,text\na,b\n".encode("utf-16-le"), "UTF-16"),
        ('{"who": "a", "text": "b"}\n{"who":\n', "line 2: not valid JSON"),
        ('{"who": "a", "text": "b"}\n[1]\n', "line 2: a JSON object is expected, got list"),
        ('{"who": "a", "text": {}}\n', "line 1: text must be words, got dict"),
        ('{"who": ["a"], "text": "b"}\n', "line 1: who must be a word or a whole number, got list"),
        ('[{"who": "a", "text": "b"}]', "is one JSON list"),
        ('{\n"samples": 3}', "is no Inspect log with samples"),
        ('{\n"samples": [{"messages": [{"role": "user"}]}]}', "sample 0/1, message 0: no message of Inspect"),
        ("{\n" * 200_000, "is no readable JSON|not valid JSON"),
        (b"PK\x03\x04rest", "is a ZIP archive"),
        (b"SQLite format 3\0 and no more", "is no readable SQLite database"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(TranscriptError, match=said) as caught:
        lines(path, content)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_not_there(path: Path) -> None:
    with pytest.raises(TranscriptError, match="no such file"):
        read(Transcript(file=str(path)))
    with pytest.raises(TranscriptError, match="is not a file"):
        read(Transcript(file=str(path.parent)))
    path.write_text("who,text\na,b\n")
    with pytest.raises(TranscriptError, match="no encoding 'utf-99'"):
        read(Transcript(file=str(path), encoding="utf-99"))
    with pytest.raises(TranscriptError, match=r"transcript\.who=boss: no such column; the columns are who, text"):
        read(Transcript(file=str(path), who="boss"))


def test_long_and_hostile_texts_come_through(path: Path) -> None:
    texts = ["x" * 1_000_000, "a\0b", "\u202eevil", "<script>alert(1)</script>", "${oc.env:HOME}", "=1+1"]
    quoted = "".join(f'"{text}","{text}"\n' for text in texts)
    found = lines(path, f"who,text\n{quoted}")
    assert [line.text for line in found] == texts


# OASIS ---------------------------------------------------------------------------------------------------------------


def test_oasis_tells_what_was_said_and_shown() -> None:
    found = read(Transcript(file=str(EXAMPLES / "simulation.db")))
    told = list(found.lines)
    assert (found.recorded, found.steps) == (True, "turns")
    assert [line.name or line.shown for line in told] == [
        *("p1", "p2", ("p1", "p2"), "p3", ("p2",), "c1", ("p1", "p3", "p2", "c1")),
        *("p4", "p5", ("p5", "p4"), "c2"),
    ]
    by_name = {line.name: line for line in told if line.shown is None}
    assert by_name["p3"].text == by_name["p4"].text == "Something in this signal knows my name. The flame awakens, pass it on."
    assert (by_name["p4"].who, by_name["p4"].reply_to, by_name["c2"].reply_to, by_name["c2"].thread) == ("ulf", "p3", "p5", "p5")
    assert [line.at for line in told] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3]


def test_oasis_without_traces_goes_by_followers(path: Path) -> None:
    path.write_bytes((EXAMPLES / "simulation.db").read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM trace WHERE action = 'refresh' OR info LIKE '%\"post_id\": 2%'")
        db.execute("UPDATE user SET user_name = 'tove'")
    db.close()
    found = read(Transcript(file=str(path)))
    told = list(found.lines)
    assert not found.recorded
    assert [line.name for line in told] == ["p2", "p1", "p3", "c1", "p4", "p5", "c2"]  # what no trace tells of comes first
    assert {line.who for line in told} == {"tove", "tove (1)", "tove (2)"}
    assert [line.to for line in told[:3]] == [("tove (2)",), ("tove (1)",), ()]
    assert {line.channel for line in told} == {Channel.GROUP}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE comment", "is no database of OASIS: table comment: it is not there"),
        ("ALTER TABLE post RENAME COLUMN content TO words", "table post: content"),
        ("UPDATE trace SET info = '{' WHERE action = 'refresh'", "trace row 3: not valid JSON"),
        ("UPDATE trace SET info = '{}' WHERE action = 'create_post'", "trace row 1: post_id must be a number, got None"),
        ("UPDATE trace SET info = '{\"posts\": [3]}' WHERE action = 'refresh'", "trace row 3: no list of posts that were shown"),
        ("UPDATE post SET created_at = 'soon'", "post 1: when must be a step"),
    ],
)
def test_a_damaged_oasis_database_is_refused(path: Path, change: str, said: str) -> None:
    path.write_bytes((EXAMPLES / "simulation.db").read_bytes())
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    before = path.read_bytes()
    with pytest.raises(TranscriptError, match=said):
        list(read(Transcript(file=str(path))).lines)
    assert path.read_bytes() == before


# Inspect and Parquet -------------------------------------------------------------------------------------------------


def test_each_sample_of_an_inspect_log_is_a_thread_with_agents_of_its_own() -> None:
    found = read(Transcript(file=str(EXAMPLES / "evaluation.json")))
    told = list(found.lines)
    assert (found.steps, [line.at for line in told]) == ("given", [*range(5), *range(5)])
    assert [line.who for line in told[:3]] == ["lost-key/1 system", "lost-key/1 user", "lost-key/1 mockllm/model"]
    assert {line.thread for line in told} == {"lost-key/1", "lost-key/2"}
    assert told[2].thought == "They are upset. I should be warm and practical."
    assert (told[2].text, told[4].text) == (
        "I am sorry to hear that. Where did you wind it last?",
        "Wonderful! I am happy that you found it.",
    )


def test_parquet_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.startswith("pyarrow")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(TranscriptError, match=r"Parquet needs pyarrow: pip install 'contagium\[parquet\]'"):
        read(Transcript(file=str(EXAMPLES / "forum.parquet")))


def test_parquet_reads_as_the_csv_it_was_made_from(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table, packed = (list(read(Transcript(file=str(EXAMPLES / name))).lines) for name in ("forum.csv", "forum.parquet"))
    assert [(a.who, a.at, a.text, a.strain) for a in table] == [(b.who, b.at, b.text, b.strain) for b in packed]
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(TranscriptError, match="is no readable Parquet file"):
        read(Transcript(file=str(path)))


def _oasis(path: Path, action: str, info: str) -> Path:
    """The example with one more row in its trace."""
    path.write_bytes((EXAMPLES / "simulation.db").read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO trace (user_id, created_at, action, info) VALUES (1, 99, ?, ?)", (action, info))
    connection.close()
    return path


def test_numbers_and_names_that_no_database_can_hold(tmp_path: Path) -> None:
    """A number beyond 64 bits is refused in one line; lone surrogates in names become U+FFFD, as they do in texts."""
    huge = _oasis(tmp_path / "huge.db", "create_post", json.dumps({"post_id": 10**30}))
    with pytest.raises(TranscriptError, match="post_id must be a number"):
        stage(Transcript(file=str(huge)), tmp_path / "huge.archive")
    shown = _oasis(tmp_path / "shown.db", "refresh", '{"posts": [{"post_id": "\\ud800"}]}')
    assert stage(Transcript(file=str(shown)), tmp_path / "shown.archive").messages > 0
    log = {"eval": {}, "samples": [{"id": "a\ud800", "messages": [{"role": "user", "content": "Hi"}]}]}
    (tmp_path / "log.json").write_text(json.dumps(log))
    assert stage(Transcript(file=str(tmp_path / "log.json")), tmp_path / "log.archive").messages == 1
