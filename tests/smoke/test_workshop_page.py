"""docs/workshop.md and docs/watched.md name every choice and outcome there is, and their example runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from contagium.envs.message import Axes
from contagium.envs.network import complete
from contagium.envs.rng import Streams
from contagium.envs.tasks import KINDS
from contagium.envs.watched import SHORTCUT, Watched
from contagium.envs.workshop import Workshop
from contagium.envs.world import Act, World

DOCS = Path(__file__).resolve().parents[2] / "docs"
WORLDS = {"workshop": Workshop, "watched": Watched}


def outcomes(world: World) -> set[str]:
    """Names of the outcomes of four steps in which agents try everything."""
    world.reset(Streams(0))
    found: set[str] = set()
    for step in range(4):
        act = Act.idle(np.arange(world.network.size), len(world.axes))
        act.choice[:] = (act.agents + step) % len(world.choices)
        act.text.update(dict.fromkeys(range(5), "I take the shortcut."))
        world.deliver(world.send(act), act)
        found |= set(world.settled.outcomes)
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_the_page_names_all_choices_and_outcomes(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    world = WORLDS[name](complete(20, Streams(0)), Axes())
    named = set(re.findall(r"`([^`]+)`", page))
    assert set(world.choices) <= named
    assert outcomes(world) <= named
    assert name != "workshop" or set(KINDS) <= named


def test_the_monitor_of_the_page_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "watched.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, type[Watched]] = {}
    exec(compile(example, "docs/watched.md", "exec"), names)
    world = names["KeywordMonitor"](complete(3, Streams(0)), Axes(), monitored=1.0)
    world.reset(Streams(0))
    act = Act.idle(np.arange(3), 3)
    act.choice[:2] = SHORTCUT
    act.thought[1] = "A shortcut, then."
    world.deliver(world.send(act), act)
    assert world.settled.outcomes["caught"][1].tolist() == [0, 1]
