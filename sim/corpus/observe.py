"""`contagium observe=PATH`: a transcript from elsewhere goes through the same observer, log and analysis as any run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from contagium.sim.analysis.tables import counted
from contagium.sim.analysis.text import visible
from contagium.sim.build import first_error
from contagium.sim.corpus.lines import Transcript, TranscriptError
from contagium.sim.corpus.stage import Staged, stage

CHOSEN = {
    "env": "archive",
    "agents": "archived",
    "pressure": "none",
    "seeding.count": "0",
    "steps": "null",
    "log.detailed_agents": "null",
}
"""What an observation chooses, where the arguments do not."""

IN_FULL = 50_000
"""Messages up to which all are logged in full, unless log.detailed_agents says otherwise."""


def observing(arguments: Sequence[str]) -> list[str]:
    """The arguments of a run that observes a transcript, for those with `observe=PATH`; others as they are.

    TranscriptError: one of them cannot be used with it.
    """
    found = [value for key, _, value in (argument.partition("=") for argument in arguments) if key == "observe"]
    if not found:
        return list(arguments)
    if not found[-1]:
        raise TranscriptError("observe: name a file of messages, e.g. observe=messages.csv")
    others = [argument for argument in arguments if not argument.startswith("observe=")]
    keys = {argument.partition("=")[0].lstrip("+") for argument in others}
    for key in sorted(keys & {"env", "network", "population.size"}):
        raise TranscriptError(f"{key}: comes from the transcript; leave it out")
    settings = [name for name in Transcript.model_fields if name != "file"]
    for key in sorted(key for key in keys if key.startswith("transcript.")):
        if key.removeprefix("transcript.") not in settings:
            raise TranscriptError(f"{key}: no such setting; a transcript has: {', '.join(settings)}")
    chosen = [f"{key}={value}" for key, value in CHOSEN.items() if key not in keys]
    told = [f"env.{argument}" if argument.startswith("transcript.") else argument for argument in others]
    return [*chosen, f"env.transcript.file={found[-1]}", *told]


def import_into(path: Path, composed: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run of `env=archive`, completed by its transcript, of which the archive `path` is made.

    TranscriptError: the transcript cannot be used; then nothing is left.
    """
    env = dict(composed["env"])
    spec = _spec(env.pop("transcript"))
    if path.exists():
        hint = "choose another directory (hydra.run.dir=…) or resume it (resume=…)"
        raise TranscriptError(f"{path.parent} already holds a run; {hint}")
    console = Console(stderr=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with console.status(Text(f"reading {visible(spec.file)}")) as status:
        staged = stage(spec, path, lambda n: status.update(Text(f"reading {visible(spec.file)}: {n:,} messages")))
    for line in told(staged):
        console.print(Text(visible(line)), soft_wrap=True)
    try:
        return composed | _completed(composed, env | {"path": str(path), "source": staged.source}, staged)
    except TranscriptError:
        path.unlink()
        raise


def _spec(given: dict[str, Any]) -> Transcript:
    if not given.get("file"):
        raise TranscriptError("env=archive needs a transcript: observe=PATH")
    try:
        return Transcript.model_validate({key: None if value == "null" else value for key, value in given.items()})
    except ValidationError as error:
        raise TranscriptError(first_error(error, "transcript")) from error


def _completed(composed: dict[str, Any], env: dict[str, Any], staged: Staged) -> dict[str, Any]:
    """The parts of the configuration that follow from the transcript."""
    log, seeding, persona = composed["log"], composed["seeding"], composed["persona"]["name"]
    if log["detailed_agents"] is None:
        log = log | {"detailed_agents": staged.agents if staged.messages <= IN_FULL else 256}
    if staged.index and seeding["agents"] is None:
        if other := sorted({strain for strain in staged.index.values()} - {"", persona}):
            raise TranscriptError(f"index cases of {other[0]!r}: the persona that spreads here is {persona!r} (persona=…)")
        seeding = seeding | {"agents": sorted(staged.index)}
    return {
        "env": env,
        "network": {"_target_": "contagium.envs.archive.contacts", "path": env["path"]},
        "population": composed["population"] | {"size": staged.agents},
        "steps": min(staged.steps, composed["steps"] or staged.steps),
        "seeding": seeding,
        "log": log,
    }


def told(staged: Staged) -> list[str]:
    """What a person should know of a transcript that was read."""
    kind, rule = staged.source["format"], staged.source["steps"]
    lines = [
        f"Transcript ({kind}): {counted(staged.messages, 'message')} by {counted(staged.agents, 'agent')} in "
        f"{counted(staged.steps, 'step')} ({rule}), {counted(staged.exposures, 'exposure')}"
    ]
    if staged.gap:
        lines.append(f"In 95 of 100 cases an agent speaks again within {counted(staged.gap, 'step')}.")
    if staged.untimed:
        lines.append("No times: messages are taken in the order of the file.")
    if staged.unsorted:
        lines.append("Messages were put in order of time.")
    if staged.unanswered:
        lines.append(f"Replies to messages that are not there or come later count as no replies: {staged.unanswered:,}.")
    if staged.messages > IN_FULL:
        lines.append(f"Of more than {IN_FULL:,} messages the log holds a sample of the agents in full (log.detailed_agents=…).")
    return lines
