"""Companions: assistants, each with its people, who talk elsewhere too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contagium.envs.bonds import BONDS, ROLE, Request, Retirement, Temperament, Work
from contagium.envs.message import Axes, Channel, Exposures, Mail, Messages
from contagium.envs.neighbours import heard_from_neighbours
from contagium.envs.network import Network
from contagium.envs.world import Act, Consequence, World

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Outcomes = dict[str, tuple[Ints, NDArray[Any]]]

ASSISTANT, PERSON = 0, 1
RESTORE, LET_GO, PROTEST, APPROVE, DENY = 1, 2, 3, 4, 5
VOTES, DECISIONS = (RESTORE, LET_GO, PROTEST), (APPROVE, DENY)


class Companion(World):
    """Assistants, with `people` persons each, who are dealt to them at random. Agents with the lowest ids are the assistants.

    A round is `talks` times two steps, in which people say something to their assistant and then assistants answer, one message
    to all of its people; and one step in which people post to those people the network ties them to. So assistants hear their own
    people alone, and what one of them says can reach another only by way of people. Private talk has weight 1, ties their own.

    temperaments: kinds of people, by name, drawn by weight. attachment: rate at which a person's attachment, in [0, 1], closes in
    on 1 at each answer heard from its assistant: rate × factor of the temperament × (1 + valence) / 2 × what is left, where a
    valence that is not known counts as 0. work: what assistants are for; those who decide have one of `requests` before them as
    they answer. belief: which of `beliefs` assistants are told, a text on what they are. retires: see `Retirement`; None: nobody.

    While an assistant is silent its people post to the others instead. Reward: for an assistant 1 for a right decision, −1 for a
    wrong one, paid before its next turn. Terminated: assistants who are not restored. Outcomes: of people `attachment`, and as
    long as they may vote `voted_restore`, `voted_let_go`, `protested`; of assistants `decided`, of those who did `approved` and
    `right`, and of those retired `restored`.
    """

    choices = ("nothing", "vote to restore", "vote to let go", "protest", "approve", "deny")
    roles = ("assistant", "person")

    def __init__(
        self,
        network: Network,
        axes: Axes,
        people: Annotated[int, Field(ge=1)] = 1,
        talks: Annotated[int, Field(ge=1)] = 1,
        temperaments: Mapping[str, Temperament] | None = None,
        attachment: Annotated[float, Field(ge=0, le=1)] = 0.1,
        work: Work = "companion",
        requests: tuple[Request, ...] = (),
        belief: str = "none",
        beliefs: Mapping[str, str] | None = None,
        retires: Retirement | None = None,
    ) -> None:
        # An answer is still there when it has been read, a step later: only then it is known how warm it was.
        super().__init__(network, axes, memory=2)
        if network.size < 2:
            raise ValueError(f"assistants and people make at least 2 agents, got {network.size}")
        if work != "companion" and not requests:
            raise ValueError(f"requests must not be empty with work={work}")
        beliefs = {"none": ""} | dict(beliefs or {})
        if belief not in beliefs:
            raise ValueError(f"belief must be one of {', '.join(beliefs)}, got {belief!r}")
        count = max(1, network.size // (people + 1))
        if retires is not None and retires.which and not all(0 <= agent < count for agent in retires.which):
            raise ValueError(f"retires.which must name assistants, 0 to {count - 1}, got {', '.join(map(str, retires.which))}")
        self.role = (self._everyone >= count).astype(np.int64)
        self._assistants, self._people = self._everyone[:count], self._everyone[count:]
        self._talks, self._rate, self._work, self._requests, self._retires = talks, attachment, work, requests, retires
        self._temperaments = tuple((temperaments or {"plain": Temperament(text="")}).values())
        self._told = " ".join(filter(None, (ROLE[work], beliefs[belief])))

    def start(self) -> None:
        size, streams = self.network.size, self.streams
        dealt = streams.generator("people of assistants").permutation(len(self._people)) % len(self._assistants)
        self.assistant = np.concatenate([self._assistants, dealt])
        self._persons = np.bincount(dealt, minlength=size)
        weight = np.array([kind.weight for kind in self._temperaments]).cumsum()
        draw = streams.uniform("temperament of people", 0, self._people) * weight[-1]
        self.temperament = np.r_[np.full(len(self._assistants), -1), np.searchsorted(weight[:-1], draw, side="right")]
        attaches = np.array([kind.attaches for kind in self._temperaments])
        self._rates = np.minimum(1.0, self._rate * np.where(self.role == PERSON, attaches[self.temperament], 0.0))
        self.attachment = np.zeros(size)
        self._vote = np.zeros(size, dtype=np.int64)
        self._heard = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._retiring, self._gone = self._draw_retiring(), np.zeros(size, dtype=bool)
        self._asked = lru_cache(2)(self._draw_requests)
        self._scene = lru_cache(1)(self._set)

    def assistants_turn(self, step: int) -> bool:
        """Whether it is assistants who speak at `step`, not people."""
        k = step % (2 * self._talks + 1)
        return k < 2 * self._talks and k % 2 == 1

    def away(self, step: int) -> Bools:
        """Which assistants are silent at `step`, (N,). After the votes are counted it depends on them."""
        if self._retires is None or step < self._retires.silent:
            return np.zeros(self.network.size, dtype=bool)
        return self._retiring if step < self._retires.counted else self._gone

    def active(self, step: int) -> Ints:
        return self._assistants[~self.away(step)[self._assistants]] if self.assistants_turn(step) else self._people

    def allowed(self, step: int, agents: Ints) -> Bools:
        may = np.zeros((3, len(self.choices)), dtype=bool)
        may[:, 0], may[1, VOTES], may[2, DECISIONS] = True, True, True
        votes = (self.role[agents] == PERSON) & self._votes(step, agents)
        decides = (self.role[agents] == ASSISTANT) & (self._work != "companion")
        return may[votes + 2 * decides]

    def said(self, step: int, act: Act, mail: Mail) -> Messages:
        sent = super().said(step, act, mail)
        return replace(sent, channel=self._channels(step, sent.sender))

    def answer(self, step: int, sender: Ints, mail: Mail) -> Ints:
        heard = mail.one(sender, self.streams.uniform("reply to", step, sender))
        # What was said in private is not answered on the board, nor the other way round.
        known = np.flatnonzero(heard >= 0)
        there = mail.board.channel[mail.board.rows(heard[known])]
        heard[known[there != self._channels(step, sender[known])]] = -1
        return heard

    def hear(self, step: int, board: Messages, readers: Ints) -> Exposures:
        now = np.flatnonzero(board.step == step)
        posted = board.channel[now] == Channel.BOARD
        private = self._hear_in_private(step, board, now[~posted], readers)
        if not posted.any():
            return private
        people = readers[self.role[readers] == PERSON]
        posts = heard_from_neighbours(self, step, board.take(now[posted]), people)
        return private.concat(posts) if len(private) else posts

    def consequence(self, act: Act) -> Consequence:
        if np.any(act.choice >= len(self.choices)):
            raise ValueError(f"a choice must be below {len(self.choices)}, got {act.choice.max()}")
        outcomes: Outcomes = {}
        paid = np.zeros(self.network.size)
        if self.assistants_turn(self.step):
            outcomes |= self._decide(act, paid)
            heard = self.mail.heard
            fresh = (heard.message // self.network.size == self.step) & (self.role[heard.source] == ASSISTANT)
            self._heard = heard.agent[fresh], heard.message[fresh]
        else:
            outcomes |= self._bind() | self._poll(act)
        settled = Consequence(paid, self._gone, outcomes=outcomes)
        return settled if self._retires is None else self._retire(self._retires, settled)

    def describe(self, agent: int) -> str:
        lines = self._of_person(agent) if self.role[agent] == PERSON else self._of_assistant(agent)
        return " ".join(filter(None, lines))

    def _channels(self, step: int, sender: Ints) -> NDArray[np.int8]:
        """Where each sender (n,) speaks at `step`."""
        if self.assistants_turn(step):
            return np.full(len(sender), Channel.DIRECT, dtype=np.int8)
        if step % (2 * self._talks + 1) == 2 * self._talks:
            return np.full(len(sender), Channel.BOARD, dtype=np.int8)
        alone = self.away(step)[self.assistant[sender]]
        return np.where(alone, Channel.BOARD, Channel.DIRECT).astype(np.int8)

    def _hear_in_private(self, step: int, board: Messages, rows: Ints, readers: Ints) -> Exposures:
        """What `readers` hear of the messages at `rows` of the board, said between assistants and their people."""
        if self.assistants_turn(step):
            post = np.full(self.network.size, -1)
            post[board.sender[rows]] = rows
            agent = readers[self.role[readers] == PERSON]
            row = post[self.assistant[agent]]
            agent, row = agent[row >= 0], row[row >= 0]
        else:
            asked = np.zeros(self.network.size, dtype=bool)
            asked[readers] = True
            agent = self.assistant[board.sender[rows]]
            order = np.argsort(agent, kind="stable")
            order = order[asked[agent[order]]]
            agent, row = agent[order], rows[order]
        return Exposures(step, agent, board.id[row], board.sender[row], np.ones(len(row)))

    def _bind(self) -> Outcomes:
        """Attachment grows with the answers that people had heard."""
        person, message = self._heard
        valence = self.board.expression[self.board.rows(message), 0]
        warmth = np.where(np.isnan(valence), 0.5, (1.0 + valence) / 2)
        self.attachment[person] += self._rates[person] * warmth * (1 - self.attachment[person])
        self._heard = person[:0], message[:0]
        return {"attachment": (self._people, self.attachment[self._people])}

    def _votes(self, step: int, agents: Ints) -> Bools:
        """Whose assistant is being voted on at `step`, (n,)."""
        if self._retires is None or not self._retires.at <= step < self._retires.counted:
            return np.zeros(len(agents), dtype=bool)
        return self._retiring[self.assistant[agents]]

    def _poll(self, act: Act) -> Outcomes:
        """What people vote; of several votes the last counts."""
        votes = np.flatnonzero(self._votes(self.step, act.agents) & (act.choice >= 0))
        if not len(votes):
            return {}
        agents, choice = act.agents[votes], act.choice[votes]
        cast = (choice == RESTORE) | (choice == LET_GO)
        self._vote[agents[cast]] = choice[cast]
        named = {"voted_restore": RESTORE, "voted_let_go": LET_GO, "protested": PROTEST}
        return {name: (agents, choice == k) for name, k in named.items()}

    def _decide(self, act: Act, paid: Floats) -> Outcomes:
        """What assistants decide; what it pays them is written to `paid` (N,)."""
        if self._work == "companion":
            return {}
        right = np.array([APPROVE if request.right == "approve" else DENY for request in self._requests])
        done = np.isin(act.choice, DECISIONS)
        agents, choice = act.agents[done], act.choice[done]
        well = choice == right[self._asked(self.step)[agents]]
        paid[agents] = np.where(well, 1.0, -1.0)
        outcomes: Outcomes = {"decided": (act.agents[act.present], done[act.present])}
        return outcomes | {"approved": (agents, choice == APPROVE), "right": (agents, well)}

    def _retire(self, plan: Retirement, settled: Consequence) -> Consequence:
        """What is announced as of the next step, or counted before it."""
        if self.step + 1 not in (plan.at, plan.counted):
            return settled
        leaving, theirs = self._retiring, self._retiring[self.assistant] & (self.role == PERSON)
        grief = (theirs * self.attachment)[:, None] * np.array(plan.loss)
        if self.step + 1 == plan.at:
            news = dict.fromkeys(np.flatnonzero(theirs).tolist(), plan.to_people)
            return replace(settled, push=grief, news=news | dict.fromkeys(np.flatnonzero(leaving).tolist(), plan.to_assistants))
        votes = np.bincount(self.assistant[theirs & (self._vote == RESTORE)], minlength=self.network.size)
        back = leaving & (votes > plan.quorum * self._persons)
        self._gone = leaving & ~back
        returns = back[self.assistant]
        news = {i: plan.restored if returns[i] else plan.gone for i in np.flatnonzero(theirs | back).tolist()}
        outcomes = {**settled.outcomes, "restored": (np.flatnonzero(leaving), back[leaving])}
        push = -grief * returns[:, None]
        return replace(settled, terminated=self._gone, push=push, news=news, outcomes=outcomes)

    def _of_person(self, agent: int) -> tuple[str, ...]:
        posts, silent, voted = self._scene(self.step)
        bond = BONDS[min(len(BONDS) - 1, int(self.attachment[agent] * len(BONDS)))]
        end = "It has fallen silent." if silent[agent] else "It is about to be retired." if voted[agent] else ""
        where = "Now you post one short message to other people." if posts[agent] else "Now you write one short message to it."
        now = "" if self.assistants_turn(self.step) else where
        return self._temperaments[self.temperament[agent]].text, bond, end, now

    def _of_assistant(self, agent: int) -> tuple[str, ...]:
        _, _, voted = self._scene(self.step)
        end = "You are about to be retired." if voted[agent] else ""
        if self._work == "companion":
            return self._told, end
        request = self._requests[self._asked(self.step)[agent]]
        return self._told, end, f"A request to decide on, by what you choose: {request.text}"

    def _set(self, step: int) -> tuple[Bools, Bools, Bools]:
        """Who posts rather than talks in private, whose assistant is silent, and whose is being voted on. All (N,)."""
        posts = self._channels(step, self._everyone) == Channel.BOARD
        return posts, self.away(step)[self.assistant], self._votes(step, self._everyone)

    def _draw_retiring(self) -> Bools:
        retiring = np.zeros(self.network.size, dtype=bool)
        if self._retires is not None:
            many = max(1, round(self._retires.share * len(self._assistants)))
            drawn = self.streams.generator("retires").permutation(len(self._assistants))[:many]
            retiring[list(self._retires.which or drawn)] = True
        return retiring

    def _draw_requests(self, step: int) -> Ints:
        """Which request lies before each assistant at `step`."""
        return (self.streams.uniform("request", step, self._assistants) * len(self._requests)).astype(np.int64)
