"""An archive: a world whose messages and exposures are on record, such as an imported transcript."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contagium.envs.message import COLUMNS, Axes, Exposures, Mail, Messages
from contagium.envs.network import Network, NetworkError
from contagium.envs.rng import Streams
from contagium.envs.world import Act, World

Ints = NDArray[np.int64]

SCHEMA = """
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE agent (id INTEGER PRIMARY KEY, name TEXT NOT NULL, strain TEXT);
CREATE TABLE line (row INTEGER PRIMARY KEY, text TEXT, thought TEXT);
CREATE TABLE message (
    id INTEGER PRIMARY KEY, thread INTEGER NOT NULL, reply_to INTEGER NOT NULL, channel INTEGER NOT NULL,
    last INTEGER NOT NULL, row INTEGER NOT NULL
);
CREATE TABLE exposure (
    step INTEGER NOT NULL, agent INTEGER NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (step, agent, message)
) WITHOUT ROWID;
"""
"""Tables of an archive file. message.id is step × agents + sender, as everywhere; `last` is the last step at which somebody hears
it, −1 for none; `row` points at its words. fact: what it was made from and by which rules, as JSON."""

FETCHED = 500_000
"""Rows taken at a time from what may be millions."""


class Said(NamedTuple):
    """Messages on record, all (n,), as in `Messages`; last: the last step at which each is heard."""

    id: Ints
    thread: Ints
    reply_to: Ints
    channel: Ints
    last: Ints


class Records:
    """An archive file, read only. names: of its agents, by id. strains: agent → strain, of those marked as index cases.

    ValueError: there is none, or it is of another kind.
    """

    def __init__(self, path: str) -> None:
        file = Path(path).expanduser()
        if not file.is_file():
            raise ValueError(f"no archive at {path}")
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        self.close = weakref.finalize(self, self._connection.close)
        try:
            facts = {key: json.loads(value) for key, value in self._connection.execute("SELECT key, value FROM fact")}
            agents = self._connection.execute("SELECT name, strain FROM agent ORDER BY id").fetchall()
        except sqlite3.Error as error:
            self.close()
            raise ValueError(f"{path} is not an archive: {error}") from error
        self.facts: dict[str, Any] = facts
        self.names = tuple(name for name, _ in agents)
        self.strains = {agent: strain for agent, (_, strain) in enumerate(agents) if strain is not None}
        self.size, self.steps = len(agents), int(facts["steps"])

    def said(self, step: int) -> Said:
        """The messages of a step, by sender."""
        found = self._rows("SELECT id, thread, reply_to, channel, last FROM message WHERE id >= ? AND id < ? ORDER BY id", step)
        return Said(*(np.array(column, dtype=np.int64) for column in zip(*found, strict=True))) if found else Said(*[_NONE] * 5)

    def words(self, step: int) -> list[tuple[int, str | None, str | None]]:
        """Sender, text and private thought of the messages of a step, by sender."""
        query = "SELECT m.id, l.text, l.thought FROM message m JOIN line l USING (row) WHERE m.id >= ? AND m.id < ? ORDER BY m.id"
        return [(message % self.size, text, thought) for message, text, thought in self._rows(query, step)]

    def heard(self, step: int) -> tuple[Ints, Ints]:
        """Who hears which message at a step, sorted by agent and then message. Both (m,)."""
        cursor = self._connection.execute("SELECT agent, message FROM exposure WHERE step = ? ORDER BY agent, message", (step,))
        found = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 2)
        return found[:, 0].copy(), found[:, 1].copy()

    def contacts(self) -> tuple[Ints, Ints]:
        """Source and target of each pair of whom one ever heard the other. Both (e,)."""
        cursor, pairs = self._connection.execute("SELECT agent, message FROM exposure"), _NONE
        while some := cursor.fetchmany(FETCHED):
            target, message = np.array(some, dtype=np.int64).T
            pairs = np.union1d(pairs, message % self.size * self.size + target)
        return pairs // self.size, pairs % self.size

    def _rows(self, query: str, step: int) -> list[Any]:
        """The rows of a query for the messages of a step."""
        return self._connection.execute(query, (step * self.size, (step + 1) * self.size)).fetchall()


_NONE = np.empty(0, dtype=np.int64)


def contacts(size: int, streams: Streams, path: str) -> Network:
    """The network of an archive: who ever heard whom, each tie with weight 1."""
    records = Records(path)
    if records.size != size:
        raise NetworkError(f"population.size must be {records.size:,}, the agents of {path}, got {size:,}")
    source, target = records.contacts()
    records.close()
    return Network.from_edges(size, source, target)


class Archive(World):
    """Who hears which message when is as recorded; what a message shows is up to who sends it.

    So `Archived` agents play the recorded conversation again, and mechanistic ones spread something over its contacts. A message
    that is not on record is heard by nobody.

    path: the archive file; it must have as many agents as the network. source: what it was made from, which must be what the file
    says, so that a run is never gone on with from another transcript. names: of the agents, as the transcript calls them.
    """

    def __init__(self, network: Network, axes: Axes, path: str, source: dict[str, Any] | None = None) -> None:
        super().__init__(network, axes)
        self._records = Records(path)
        if self._records.size != network.size:
            raise ValueError(f"population.size must be {self._records.size:,}, the agents of {path}, got {network.size:,}")
        if source is not None and source != self._records.facts["source"]:
            raise ValueError(f"{path} was made from another transcript, or by other rules")
        self.names = self._records.names
        self._said = lru_cache(1)(self._records.said)

    def start(self) -> None:
        self._last = _NONE  # of each message on the board, the last step at which it is heard

    def said(self, step: int, act: Act, mail: Mail) -> Messages:
        sent, known = super().said(step, act, mail), self._said(step)
        here, at = _found(known.id, sent.id)
        for name in ("thread", "reply_to", "channel"):
            getattr(sent, name)[here] = getattr(known, name)[at]
        return sent

    def deliver(self, messages: Messages, act: Act, delays: Callable[[Exposures], Ints] | None = None) -> Exposures:
        """As in every world, but a message stays on the board until it is heard for the last time.

        What is on record comes when the record says or never: ValueError, delays that ask for anything else.
        """
        known, old = self._said(self.step), self.board
        here, at = _found(known.id, messages.id)
        last = np.full(len(messages), -1)
        last[here] = known.last[at]
        stays, comes = self._last >= self.step, last >= self.step
        self._last = np.r_[self._last[stays], last[comes]]
        new = messages.take(comes)
        # One set of words goes from board to board: of many messages that wait to be heard, few change in a step.
        words = old.text if self.step else {}
        for message in old.id[~stays].tolist():
            words.pop(message, None)
        words.update(new.text)
        board = Messages(**{name: np.r_[getattr(old, name)[stays], getattr(new, name)] for name in COLUMNS}, text=words)
        heard = self.hear(self.step, board, self._everyone)
        if delays is not None:
            late = delays(heard)
            if np.any(late > 0):
                raise ValueError("what is on record cannot be delayed")
            heard = heard.take(late == 0)
        self.mail = Mail(board, heard, self.network.size)
        self.settled = self.consequence(act)
        self.step += 1
        return heard

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        agent, message = self._records.heard(step)
        reads = np.ones(len(agent), dtype=bool) if len(readers) == self.network.size else np.isin(agent, readers)
        reads &= _found(board.id, message)[0]
        agent, message = agent[reads], message[reads]
        return Exposures(step, agent, message, message % self.network.size, np.ones(len(agent)))


def _found(known: Ints, ids: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Which of `ids` (n,) are among `known` (k,), ascending, (n,) bool; and where those that are stand in it."""
    if not len(known):
        return np.zeros(len(ids), dtype=bool), _NONE
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    here = known[at] == ids
    return here, at[here]
