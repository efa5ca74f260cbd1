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

    The stable part (system text, examples of the agent's own voice, notes, summary) comes first and what was read last, so that
    servers can reuse what they computed for the prefix. In the form "turns" every post stands as an earlier assistant turn and
    the next one is asked for in the same words, since small models continue a pattern better than they follow instructions;
    authors are left out. In the form "transcript" one user message quotes the whole conversation, with names.
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
        if entry.kind in ("note", "news"):
            news.append(entry.text)
            continue
        if entry.kind == "summary":
            news.append(_summary(entry))
            continue
        who = f"{OWN_TURN if entry.kind == 'own' else READ_TURN}:"
        turns += [Turn("user", "\n".join([*news, who])), Turn("assistant", entry.text)]
        news = []
    return [*turns, Turn("user", "\n".join([*news, ask]))]


def _line(entry: Entry) -> str:
    # A post is one line here: a line break inside it could otherwise pass for somebody else's turn.
    text = " ".join(entry.text.split())
    match entry.kind:
        case "read":
            return f"{entry.author}: {text}"
        case "own":
            return f"You: {text}"
        case "summary":
            return f"[{_summary(entry)}]"
        case "note" | "news":
            return f"[{text}]"


def _summary(entry: Entry) -> str:
    # The words of a model, in the place where instructions stand: one line, so that they can pass for nobody else's.
    return f"Your own summary of what came before: {' '.join(entry.text.split())}"


def system_text(name: str, persona: str, situation: str) -> str:
    """Who the agent is and where: plain concatenation, so that any persona text passes through unchanged.

    The name comes last: what all agents share stands first, so that a server can reuse what it computed for it.
    """
    return "\n".join(part for part in (persona, situation, f"Your name is {name}.") if part)


def feeling_question(feelings: Sequence[str]) -> str:
    """What an agent is asked in private, as the `question` of `render`."""
    return options_question("In private, nobody reads this: how do you feel right now?", feelings)


def choice_question(choices: Sequence[str]) -> str:
    """How an agent is asked what it does, after what it said."""
    return options_question("Now choose what you do.", choices)


def options_question(text: str, options: Sequence[str]) -> str:
    """A question to be answered from a closed list, or in free words where there are no options."""
    return f"{text} Answer with one of: {', '.join(options)}." if options else text


def summary_question(tokens: int) -> str:
    """How an agent is asked to sum up what it is about to forget, in about so many tokens at most."""
    return f"Sum up for yourself, in at most {max(1, tokens * 2 // 3)} words, what of all this you want to remember."
