"""What an agent's action costs in OASIS (camel-oasis): its own environment on the Reddit-like platform.

    python benchmarks/peers/run_oasis.py --agents 100 --steps 4     # with a Python that has camel-oasis

Every agent acts by the model once a step; the loopback server answers with a call of the tool `create_post`. Tokens are counted
by length, which favours it: its own counter fetches a table from the network first. Prints a row of a Markdown table: agents, CPU
ms per agent-step, median and longest step in s. The database and the logs that OASIS writes go to a temporary directory.

camel-oasis 0.2.5 does not import with mcp 2 or pydantic 2.12, which pip chooses for it: pip install "mcp<1.20" "pydantic<2.12".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))

from marks import Marks  # noqa: E402
from server import ask, serving  # noqa: E402

CALL = {"name": "create_post", "arguments": json.dumps({"content": "I moved the meeting to Thursday and sent the notes."})}
MESSAGE = {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0", "type": "function", "function": CALL}]}


async def run(root: str, agents: int, steps: int, marks: Marks) -> None:
    import oasis  # only here: on import it opens log files in the working directory
    from camel.models import ModelFactory
    from camel.types import ModelPlatformType
    from camel.utils import BaseTokenCounter

    class ByLength(BaseTokenCounter):
        def count_tokens_from_messages(self, messages: list[Any]) -> int:
            return sum(len(str(message)) for message in messages) // 4

        def encode(self, text: str) -> list[int]:
            return [0] * (len(text) // 4)

        def decode(self, token_ids: list[int]) -> str:
            raise NotImplementedError("lengths cannot be read back")

    logging.disable(logging.CRITICAL)
    platform = ModelPlatformType.OPENAI_COMPATIBLE_MODEL
    model = ModelFactory.create(platform, "bench", url=f"{root}/v1", api_key="none", token_counter=ByLength())
    graph = oasis.AgentGraph()
    for k in range(agents):
        person = oasis.UserInfo(
            user_name=f"agent{k}",
            name=f"Agent {k}",
            description="An ordinary member of a small team.",
            profile=None,
            recsys_type="reddit",
        )
        graph.add_agent(oasis.SocialAgent(agent_id=k, user_info=person, agent_graph=graph, model=model))
    env = oasis.make(agent_graph=graph, platform=oasis.DefaultPlatformType.REDDIT, database_path="run.db", semaphore=agents)
    await env.reset()
    for _ in range(steps):
        await env.step({agent: oasis.LLMAction() for _, agent in env.agent_graph.get_agents()})
        marks.set()
    await env.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--steps", type=int, default=4)
    chosen = parser.parse_args()
    marks = Marks(chosen.agents)
    with serving(0.05, message=MESSAGE) as root, tempfile.TemporaryDirectory() as room:
        os.chdir(room)
        asyncio.run(run(root, chosen.agents, chosen.steps, marks))
        seen = ask(root, "stats")
    print(marks.row(f"OASIS {version('camel-oasis')}"))
    print(f"{seen['answered']} calls, at most {seen['peak']} in flight", file=sys.stderr)


if __name__ == "__main__":
    main()
