"""What is made of a model's reply to a question: a label of a closed list, one line of words, how likely each digit was."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from contagium.agents.backends.backend import Completion, Sampling, Token
from contagium.agents.memory import tokens
from contagium.agents.policy import Answer
from contagium.agents.structured import Chosen, Form, writable

REFUSED = ("refusal", "filter")
DIGITS = frozenset("123456789")
LIKELIEST = 20
"""Tokens whose probability is asked for at each place of an answer by digits: the most that servers give."""


def to_pick(labels: tuple[str, ...]) -> Sampling:
    """How a label is drawn: with room for the longest of them in its JSON, and for the white space small models put there."""
    return Sampling(temperature=0.8, max_tokens=max(32, 24 + max(map(tokens, labels))))


def to_fill(most: int, logprobs: int) -> Sampling:
    """How a form is filled in: not by the speaker's habits: a penalty on repeats tells against digits of the question."""
    return Sampling(temperature=0.8, max_tokens=most, logprobs=logprobs)


def picked(reply: Completion | str, form: Form[Chosen]) -> Answer:
    """The label in a reply. A refusal is none, nor is a bare label where the reply was cut off: another word may have begun."""
    if isinstance(reply, str):
        return Answer(None, "missing", reply)
    parsed = form.parse(reply.text)
    cut = reply.stop == "length" and parsed.how == "label"
    if parsed.value is None or cut or reply.stop in REFUSED:
        return Answer(None, "failed", parsed.raw)
    return Answer(parsed.value.label, "ok", parsed.raw)


def digits(reply: Sequence[Token] | None) -> dict[str, float] | None:
    """The probability of each of 1 to 9 at the place of the first of them in a reply; None where there is no such place."""
    for token in reply or ():
        if token.text.strip() in DIGITS:
            named = {**dict(token.top), token.text: token.logprob}
            found = dict.fromkeys(sorted(DIGITS), 0.0)
            for text, logprob in named.items():
                if (digit := text.strip()) in DIGITS:  # with and without a space before it
                    found[digit] += exp(min(logprob, 0.0))
            return found
    return None


def one_line(text: str) -> str:
    return " ".join(writable(text).split())
