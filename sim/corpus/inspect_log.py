"""Logs of Inspect as JSON: each sample and epoch is a thread of its own, with agents of its own.

Written for logs of version 2, as Inspect 0.3 writes them (`samples[].messages[]`; https://inspect.aisi.org.uk/eval-logs.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contagium.envs.growth import memory_available
from contagium.envs.message import Channel
from contagium.sim.corpus.cells import clean
from contagium.sim.corpus.lines import Line, Source, TranscriptError

BYTES = 8
"""Memory that a log takes while it is read, for each byte of the file."""

ATTACHED = "attachment://"


def read_inspect(path: Path) -> Source:
    """A log. The step of a message is its place in its sample, so that all samples begin at step 0.

    Who speaks is named by sample, epoch, and model, tool or role. A message's reasoning is a private thought.
    """
    takes, free = path.stat().st_size * BYTES, memory_available()
    if takes > free:
        raise TranscriptError(f"{path} takes {takes / 1e6:,.0f} MB to read, but {free / 1e6:,.0f} MB are free")
    try:
        log = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"{path} is no readable JSON: {error}") from error
    samples = log.get("samples") if isinstance(log, dict) else None
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise TranscriptError(f"{path} is no Inspect log with samples (samples[].messages[])")
    return Source("inspect", _lines(samples, path), "given")


def _lines(samples: list[dict[str, Any]], path: Path) -> Iterator[Line]:
    for number, sample in enumerate(samples):
        name = clean(f"{sample.get('id', number)}/{sample.get('epoch', 1)}")
        messages, attached = sample.get("messages"), sample.get("attachments")
        if not isinstance(messages, list):
            raise TranscriptError(f"{path}, sample {name}: it has no list of messages")
        for k, message in enumerate(messages):
            try:
                yield _line(f"sample {name}, message {k}", name, k, message, attached if isinstance(attached, dict) else {})
            except (TypeError, KeyError, AttributeError) as error:
                raise TranscriptError(f"{path}, sample {name}, message {k}: no message of Inspect: {error!r}") from error


def _line(place: str, sample: str, at: int, message: Mapping[str, Any], attached: Mapping[str, Any]) -> Line:
    role = message["role"]
    who = {"assistant": message.get("model"), "tool": message.get("function") and f"tool {message['function']}"}.get(role) or role
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [_resolved(part["text"], attached) for part in parts if part["type"] == "text"]
    thoughts = [_resolved(part["reasoning"], attached) for part in parts if part["type"] == "reasoning"]
    return Line(
        who=clean(f"{sample} {who}"),
        at=at,
        place=place,
        text=clean("\n".join(texts)) or None,
        thought=clean("\n".join(thoughts)) or None,
        channel=Channel.GROUP,
        thread=sample,
    )


def _resolved(text: str, attached: Mapping[str, Any]) -> str:
    """Words, which long ones may point at instead of standing in their place."""
    return str(attached[text.removeprefix(ATTACHED)]) if text.startswith(ATTACHED) else text
