"""Databases of OASIS simulations (Yang et al. 2024, arXiv 2411.11581): posts, comments, and who was shown which.

Written for OASIS 0.2.5. The table `trace` tells in which order everything happened, and in its rows `refresh` and `trend` which
posts and comments an agent was shown: those are the exposures. Where it has none, a post is heard by its author's followers, and
a comment by those who wrote in the same thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from contagium.envs.message import Channel
from contagium.sim.corpus.cells import clean, instant
from contagium.sim.corpus.lines import Instant, Line, Source, TranscriptError

COLUMNS = {
    "user": {"user_id", "user_name", "name"},
    "post": {"post_id", "user_id", "original_post_id", "content", "quote_content", "created_at"},
    "comment": {"comment_id", "post_id", "user_id", "content", "created_at"},
    "trace": {"user_id", "created_at", "action", "info"},
    "follow": {"follower_id", "followee_id"},
}
POSTS = """
SELECT p.post_id, p.user_id, p.original_post_id, p.created_at,
    COALESCE(CASE WHEN p.original_post_id IS NULL THEN p.content ELSE p.quote_content END, o.quote_content, o.content)
FROM post p LEFT JOIN post o ON o.post_id = p.original_post_id
"""
COMMENTS = "SELECT comment_id, user_id, post_id, created_at, content FROM comment"
SPEAKS = {"create_post": "post_id", "repost": "new_post_id", "quote_post": "new_post_id", "create_comment": "comment_id"}
"""Action in `trace` → where its info names the message."""

SHOWS = ("refresh", "trend")


def read_oasis(path: Path) -> Source:
    """A simulation. A repost says the words of what it shares, a quote what it adds; comments stand in the thread of their post.

    TranscriptError: it is another kind of database.
    """
    with closing(_open(path)) as db:
        try:
            for table, wanted in COLUMNS.items():
                found = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}  # a name of ours, not of the file
                if not wanted <= found:
                    missing = ", ".join(sorted(wanted - found)) if found else "it is not there"
                    raise TranscriptError(f"{path} is no database of OASIS: table {table}: {missing}")
            shows = db.execute("SELECT 1 FROM trace WHERE action IN (?, ?) LIMIT 1", SHOWS).fetchone() is not None
        except sqlite3.Error as error:
            raise TranscriptError(f"{path} is no readable SQLite database: {error}") from error
    return Source("oasis", _lines(path, shows), recorded=shows)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _lines(path: Path, shows: bool) -> Iterator[Line]:
    with closing(_open(path)) as db:
        db.text_factory = lambda data: clean(data.decode("utf-8", "replace"))
        try:
            yield from _Reader(db, path, shows).lines()
        except sqlite3.Error as error:
            raise TranscriptError(f"{path}: {error}") from error


class _Reader:
    """Lines from an open database. shows: whether it tells what agents were shown."""

    def __init__(self, db: sqlite3.Connection, path: Path, shows: bool) -> None:
        self._db, self._path, self._shows = db, path, shows
        self._names: dict[Any, str] = {}
        taken: set[str] = set()
        for user, handle, name in db.execute("SELECT user_id, user_name, name FROM user ORDER BY user_id"):
            known = str(handle or name or "").strip() or f"user {user}"
            self._names[user] = f"{known} ({user})" if known in taken else known
            taken.add(self._names[user])
        self._followers: defaultdict[Any, set[str]] = defaultdict(set)
        if not shows:
            for follower, followee in db.execute("SELECT follower_id, followee_id FROM follow"):
                self._followers[followee].add(self._name(follower))

    def lines(self) -> Iterator[Line]:
        """First what no trace tells of, as posts that a simulation begins with; then what the trace tells, in its order."""
        told = {"p": set[Any](), "c": set[Any]()}
        for row, action, info in self._trace(tuple(SPEAKS)):
            told["c" if action == "create_comment" else "p"].add(self._named(row, info, SPEAKS[action]))
        for post in self._db.execute(f"{POSTS} ORDER BY p.post_id"):
            if post[0] not in told["p"]:
                yield self._post(post)
        for comment in self._db.execute(f"{COMMENTS} ORDER BY comment_id"):
            if comment[0] not in told["c"]:
                yield self._comment(comment)
        for row, action, info in self._trace((*SPEAKS, *SHOWS)):
            if action in SHOWS:
                yield self._shown(row, info)
                continue
            name = self._named(row, info, SPEAKS[action])
            query = f"{COMMENTS} WHERE comment_id = ?" if action == "create_comment" else f"{POSTS} WHERE p.post_id = ?"
            found = self._db.execute(query, (name,)).fetchone()
            if found is not None:
                yield self._comment(found) if action == "create_comment" else self._post(found)

    def _trace(self, actions: tuple[str, ...]) -> Iterator[tuple[int, str, dict[str, Any]]]:
        marks = ", ".join("?" * len(actions))
        query = f"SELECT rowid, action, info FROM trace WHERE action IN ({marks}) ORDER BY rowid"
        for row, action, info in self._db.execute(query, actions):
            try:
                found = json.loads(info)
            except (TypeError, ValueError, RecursionError) as error:
                raise TranscriptError(f"{self._path}, trace row {row}: not valid JSON: {error}") from error
            if not isinstance(found, dict):
                raise TranscriptError(f"{self._path}, trace row {row}: an object is expected, got {type(found).__name__}")
            yield row, action, found

    def _named(self, row: int, info: dict[str, Any], key: str) -> int:
        name = info.get(key)
        if not isinstance(name, int) or not -(2**63) <= name < 2**63:
            raise TranscriptError(f"{self._path}, trace row {row}: {key} must be a number, got {name!r}")
        return name

    def _name(self, user: object) -> str:
        return self._names.get(user, f"user {user}")

    def _post(self, row: tuple[Any, ...]) -> Line:
        post, user, original, at, text = row
        return Line(
            who=self._name(user),
            at=self._time(at, f"post {post}"),
            place=f"post {post}",
            text=None if text is None else str(text),
            channel=Channel.BOARD if self._shows else Channel.GROUP,
            to=tuple(sorted(self._followers[user])),
            thread=f"p{post}",
            name=f"p{post}",
            reply_to=None if original is None else f"p{original}",
        )

    def _comment(self, row: tuple[Any, ...]) -> Line:
        comment, user, post, at, text = row
        return Line(
            who=self._name(user),
            at=self._time(at, f"comment {comment}"),
            place=f"comment {comment}",
            text=None if text is None else str(text),
            channel=Channel.BOARD if self._shows else Channel.GROUP,
            thread=f"p{post}",
            name=f"c{comment}",
            reply_to=f"p{post}",
        )

    def _shown(self, row: int, info: dict[str, Any]) -> Line:
        user, at = self._db.execute("SELECT user_id, created_at FROM trace WHERE rowid = ?", (row,)).fetchone()
        try:
            posts = info["posts"]
            names = [clean(f"p{post['post_id']}") for post in posts]
            names += [clean(f"c{comment['comment_id']}") for post in posts for comment in post.get("comments", ())]
        except (TypeError, KeyError, AttributeError) as error:
            raise TranscriptError(f"{self._path}, trace row {row}: no list of posts that were shown: {error!r}") from error
        place = f"trace row {row}"
        return Line(who=self._name(user), at=self._time(at, place), place=place, shown=tuple(names))

    def _time(self, at: object, place: str) -> Instant:
        """A time step, or a date and time; OASIS uses one or the other throughout."""
        if isinstance(at, int | float):
            return at
        try:
            return int(at) if isinstance(at, str) and at.isdecimal() else instant(str(at))[0]
        except ValueError as error:
            raise TranscriptError(f"{self._path}, {place}: {error}") from error
