"""The examples of docs/environments.md run, its tables and those of docs/configuration.md are complete, and links lead on."""

import re
from pathlib import Path

import pytest

from contagium.envs.parallel import WORLDS, parallel_env

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
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


def test_every_environment_is_named() -> None:
    table = PAGE[: PAGE.index("**Forum.**")]
    assert {path.stem for path in (ROOT / "conf" / "env").glob("*.yaml")} <= set(re.findall(r"`(\w+)`", table))
    registered = PAGE[PAGE.index("with Gymnasium: ") : PAGE.index("Gymnasium looks for")]
    assert set(re.findall(r"\w+", registered)) - {"with", "Gymnasium"} == set(WORLDS)


def test_configuration_names_every_choice() -> None:
    """But for groups of many, whose own pages do."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = {group: row for group, row in re.findall(r"^\| `(\w+)` \|(.*)$", page, re.MULTILINE)}
    for group in ("env", "network", "population", "agents", "backend", "memory", "observer"):
        there = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert there <= set(re.findall(r"`(\w+)`", rows[group])), group
    assert {"persona", "pressure", "intervention", "experiment"} <= set(rows)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page ends with."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        leads = (page.parent / path).resolve() if path else page
        assert leads.exists(), link
        assert not anchor or anchor in anchors(leads), link
