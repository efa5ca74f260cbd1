"""The examples of docs/environments.md run, and its tables name what there is."""

import re
from pathlib import Path

import pytest

from contagium.envs.parallel import parallel_env

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("example", EXAMPLES, ids=["arrays", "views", "trainers"])
def test_examples_run(example: str) -> None:
    exec(compile(example, "docs/environments.md", "exec"), {})


def test_the_table_names_all_of_an_observation() -> None:
    table = PAGE[PAGE.index("| observation |") : PAGE.index("An action holds")]
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == set(parallel_env("forum").observation_space("agent_0"))
