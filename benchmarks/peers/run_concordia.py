"""What an agent's action costs in Concordia (gdm-concordia): its simultaneous engine, minimal entities and its forum game master.

    python benchmarks/peers/run_concordia.py --agents 100 --steps 4     # with a Python that has gdm-concordia and openai

One call an action goes to the loopback server, through Concordia's own OpenAI model. Of the game masters it brings, this one asks
the model nothing itself, so it is the cheapest. Texts are embedded as one constant vector, which favours it. Prints a row of a
Markdown table: agents, CPU ms per agent-step, median and longest step in s.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from concordia.contrib.language_models.openai.gpt_model import GptLanguageModel
from concordia.environment.engines.simultaneous import Simultaneous
from concordia.prefabs.entity import minimal
from concordia.prefabs.game_master import async_social_media
from concordia.prefabs.simulation.generic import Simulation
from concordia.typing import prefab

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from marks import Marks
from server import ask, serving

POST = {"action": "post", "author": "Aster", "title": "News", "content": "I moved the meeting to Thursday and sent the notes."}


def simulation(root: str, agents: int) -> Simulation:
    model = GptLanguageModel("bench", api_key="none", api_base=f"{root}/v1")
    people = [
        prefab.InstanceConfig(prefab="person", role=prefab.Role.ENTITY, params={"name": f"Agent {k}"}) for k in range(agents)
    ]
    master = prefab.InstanceConfig(prefab="forum", role=prefab.Role.GAME_MASTER, params={"name": "forum"})
    prefabs = {"person": minimal.Entity(), "forum": async_social_media.GameMaster()}
    config = prefab.Config(default_premise="", prefabs=prefabs, instances=[*people, master])
    return Simulation(config, model, lambda text: np.ones(8), engine=Simultaneous())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--steps", type=int, default=4)
    chosen = parser.parse_args()
    marks = Marks(chosen.agents)
    with serving(0.05, message={"role": "assistant", "content": json.dumps(POST)}) as root:
        lab = simulation(root, chosen.agents)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints all that happens
            lab.play(max_steps=chosen.steps, step_callback=lambda step: marks.set())
        seen = ask(root, "stats")
    print(marks.row(f"Concordia {version('gdm-concordia')}, simultaneous"))
    print(f"{seen['answered']} calls, at most {seen['peak']} in flight", file=sys.stderr)


if __name__ == "__main__":
    main()
