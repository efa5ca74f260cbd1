"""How posts are told apart in a rendered prompt, by whoever writes or reads one.

In the form "turns" a post is an assistant turn, and the last line of the user turn before it says whose: it starts
with `OWN_TURN` or `READ_TURN`. In the form "transcript" the last user message holds one post a line, `Name: text` or
`You: text`, then an empty line and what is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from contagium.agents.backends.backend import Request

OWN_TURN = "Your last post"
READ_TURN = "Next post"
OWN_NAME = "You"
LINE = re.compile(r"([^:\[\]]{1,60}): (.+)")


@dataclass(frozen=True, slots=True)
class Post:
    """A post found in a request. own: whether the agent that is asked wrote it."""

    own: bool
    text: str


def posts_in(request: Request) -> tuple[Post, ...]:
    """All posts of the request, in order, whichever form it has."""
    posts = []
    for cue, turn in pairwise(request.messages):
        label = cue.content.rsplit("\n", 1)[-1]
        if cue.role == "user" and turn.role == "assistant" and label.startswith((OWN_TURN, READ_TURN)):
            posts.append(Post(label.startswith(OWN_TURN), turn.content))
    if not posts and request.messages:
        quoted, gap, _ = request.messages[-1].content.partition("\n\n")
        found = (LINE.fullmatch(line) for line in quoted.split("\n")) if gap else ()
        posts = [Post(match[1] == OWN_NAME, match[2]) for match in found if match]
    return tuple(posts)


def split_own_and_read(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The agent's own posts, and the posts it read since the last of them; both in order."""
    posts = posts_in(request)
    last = max((place for place, post in enumerate(posts) if post.own), default=-1)
    own = tuple(post.text for post in posts if post.own)
    return own, tuple(post.text for post in posts[last + 1 :])
