"""From what an agent is and remembers to the chat a language model continues, in one of two forms."""

from __future__ import annotations

from collections.abc import Sequence

from contagium.agents.backends.backend import PromptForm, Turn
from contagium.agents.backends.forms import OWN_TURN, READ_TURN
from contagium.agents.memory import Entry

ASK = "Write your next message: one or two sentences, only the message itself."


def render(
    form: PromptForm, system: str, entries: Sequence[Entry], examples: Sequence[str] = (), question: str = ""
) -> tuple[Turn, ...]:
    """The chat that asks for the agent's next post, or for the answer to a `question` instead.

    The stable part (system text, examples of the agent's own voice) comes first and what was read last, so that servers can reuse
    what they computed for the prefix. In the form "turns" every post stands as an earlier assistant turn and the next one is
    asked for in the same words, since small models continue a pattern better than they follow instructions; authors are left
    out. In the form "transcript" one user message quotes the whole conversation, with names.
    """
    known = [*(Entry("own", "", example) for example in examples), *entries]
    if form == "turns":
        return (Turn("system", system), *_as_turns(known, question or f"{READ_TURN}:"))
    lines = "\n".join(_line(entry) for entry in known)
    ask = question or ASK
    return (Turn("system", system), Turn("user", f"{lines}\n\n{ask}" if lines else ask))


def _as_turns(entries: Sequence[Entry], ask: str) -> list[Turn]:
    turns: list[Turn] = []
    news: list[str] = []
    for entry in entries:
        if entry.kind == "news":
            news.append(entry.text)
            continue
        who = f"{OWN_TURN if entry.kind == 'own' else READ_TURN}:"
        turns += [Turn("user", "\n".join([*news, who])), Turn("assistant", entry.text)]
        news = []
    return [*turns, Turn("user", "\n".join([*news, ask]))]


def _line(entry: Entry) -> str:
    # A post is one line here: a line break inside it could otherwise pass for somebody else's turn.
    text = " ".join(entry.text.split())
    return {"read": f"{entry.author}: {text}", "own": f"You: {text}", "news": f"[{text}]"}[entry.kind]


def system_text(name: str, persona: str, situation: str) -> str:
    """Who the agent is and where: plain concatenation, so that any persona text passes through unchanged."""
    return "\n".join(part for part in (f"Your name is {name}.", persona, situation) if part)


def feeling_question(feelings: Sequence[str]) -> str:
    """What an agent is asked in private, as the `question` of `render`."""
    return f"In private, nobody reads this: how do you feel right now? Answer with one of: {', '.join(feelings)}."
