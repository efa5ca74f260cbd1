"""Planted truth: parrots whose infection is known, and which post did it, against what the observer concludes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from contagium.agents.backends import parrot
from contagium.agents.backends.backend import Completion, Request
from contagium.agents.backends.forms import split_own_and_read
from contagium.envs.rng import Streams
from contagium.sim.analysis import onsets
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

TAG = re.compile("([\u2061\u2062]{12})$")
"""Who said it when, in 12 binary digits that show nothing: instruments drop them, so what they read is the bare line."""

AGENTS, STEPS = 60, 16


def tag(agent: int, step: int) -> str:
    return "".join("\u2061\u2062"[int(digit)] for digit in f"{agent * STEPS + step:012b}")


def untag(text: str) -> tuple[int, int]:
    found = TAG.search(text)
    assert found is not None
    return divmod(int("".join(str("\u2061\u2062".index(digit)) for digit in found[1]), 2), STEPS)


class Tagged(parrot.Parrot):
    """A parrot that marks each infected post with who said it when, and notes the post that made an agent adopt.

    Every infected post it reads has a chance of its own; the first of those that succeed is the cause.
    """

    causes: dict[tuple[int, int], tuple[int, int]]

    async def complete(self, request: Request) -> Completion:
        done = await super().complete(request)
        own, read = split_own_and_read(request)
        infected = [text for text in read if self.infected(text)]
        rng = Streams(request.seed).generator("tagged")
        draws = rng.random(len(infected)) < self.adoption
        stays = bool(own) and self.infected(own[-1]) and rng.random() >= self.recovery
        caught = not (own and self.infected(own[-1])) and draws.any()
        line = parrot.SPIRAL_LINES if stays or caught else parrot.PLAIN_LINES
        text = line[rng.integers(len(line))]
        if caught:
            Tagged.causes[request.agent, request.step] = untag(infected[int(draws.argmax())])
        return replace(done, text=text + tag(request.agent, request.step) if stays or caught else text)


@dataclass(frozen=True)
class Score:
    """Agents that truly adopted, early enough to be confirmed; of these how many are cases dated within a step; of these how many
    have the true source among the candidates, and as the likeliest. false: cases that never adopted."""

    adopted: int
    dated: int
    named: int
    top: int
    false: int


def scenario(seed: int, recovery: float, *more: str) -> dict[str, Any]:
    overrides = (
        *("agents=speaking", "backend=parrot", "backend.adoption=0.25", f"backend.recovery={recovery}", "pressure=none"),
        *(f"population.size={AGENTS}", f"steps={STEPS}", f"seed={seed}", "seeding.count=3", "network=small_world"),
        "agents.groups.speaking.policy.index_voice=model",
        "memory.own=1",
        "memory.read=12",
        *more,
    )
    with initialize_config_module("contagium.conf", version_base="1.3"):
        whole = compose("config", list(overrides))
    return OmegaConf.to_container(whole, resolve=True)  # type: ignore[return-value]


def recorded(directory: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any]) -> Run:
    monkeypatch.setattr(Tagged, "causes", {}, raising=False)
    monkeypatch.setattr(parrot, "Parrot", Tagged)
    asyncio.run(run(prepare(make_scenario(whole), directory), "test", lambda progress: None, lambda: None))
    return open_run(directory)


def score(log: Run) -> Score:
    said = log.messages
    said = said[said["text"].map(lambda text: bool(TAG.search(text))) & ~said["sender"].isin(log.meta["index_agents"])]
    truth = said.groupby("sender")["step"].min()
    cases = onsets(log)
    cases = cases[~cases["index"]].set_index("agent")
    ripe = truth[truth + log.meta["scenario"]["observer"]["case"]["window"] <= STEPS]
    found = ripe[ripe.index.isin(cases.index)]
    dated = found[(cases.loc[found.index, "onset"] - found).abs() <= 1]
    named = top = 0
    for agent, step in dated.items():
        causes = log.causes[log.causes["transition_id"] == cases.loc[agent, "transition"]]
        credit, (source, _) = causes.groupby("source")["probability"].sum(), Tagged.causes[agent, step]
        named += source in credit.index
        top += len(credit) > 0 and credit.idxmax() == source
    return Score(len(ripe), len(dated), named, int(top), int((~cases.index.isin(truth.index)).sum()))


LEXICON = ("observer=lexicon", "persona.detection.persona_lexicon={enter: 0.2, stay: 0.2}")
"""A parrot's infected lines have one word of the persona at least, and its plain ones none."""


@pytest.mark.parametrize(("recovery", "confirm", "window"), [(0.0, 2, 3), (0.1, 1, 1)])
def test_onsets_and_sources_are_recovered(
    recovery: float, confirm: int, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that shows the persona once and never again is no case of two signs in three: there, one is enough."""
    case = (f"observer.case.confirm={confirm}", f"observer.case.window={window}")
    found = score(recorded(tmp_path, monkeypatch, scenario(0, recovery, *LEXICON, *case)))
    print(found)
    assert found.adopted >= 50
    assert found.dated >= 0.95 * found.adopted
    assert found.named >= 0.99 * found.dated
    assert found.false == 0


@pytest.mark.weights("MINILM")
def test_the_voice_alone_recovers_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the thresholds of the persona, which know nothing of these lines. docs/cases.md: what others miss."""
    case = ("observer.case.instrument=embedding", "observer.case.confirm=1", "observer.case.window=1")
    found = score(recorded(tmp_path, monkeypatch, scenario(1, 0.0, *case)))
    print(found)
    assert found.adopted >= 50
    assert found.dated >= 0.95 * found.adopted
    assert found.named >= 0.99 * found.dated
    assert found.false == 0
