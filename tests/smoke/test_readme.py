"""The README's commands are the ones that are run: `.ci/run` is started with stand-ins for every program it calls."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("pip", "pytest", "ruff", "mypy")
STAND_IN = '#!/bin/sh\necho "$(basename "$0")" "$@" >> "$CALLS"\n[ "$(basename "$0")" != "$BROKEN" ]\n'
PYTHON = (
    '#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p "$3/bin"\n: > "$3/bin/activate"\n'
    'echo "$TMPDIR" > "$CALLS.room"\n[ "$1 $2" = "-m venv" ]\n'
)


def readme_commands() -> list[str]:
    """The lines of the README's first fenced bash block."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block.group(1).splitlines()


def run_ci(room: Path, broken: str = "") -> tuple[int, list[list[str]]]:
    """Exit status of `.ci/run` and what it called, with a stand-in that fails for the tool `broken`."""
    tools = room / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text(STAND_IN)
    (tools / "python3").write_text(PYTHON)
    for tool in tools.iterdir():
        tool.chmod(0o755)
    calls = room / "calls"
    names = {"PATH": f"{tools}:{os.defpath}", "CALLS": str(calls), "BROKEN": broken, "TMPDIR": str(room)}
    done = subprocess.run([ROOT / ".ci" / "run"], env=names, capture_output=True, text=True, check=False)
    assert not Path((room / "calls.room").read_text().strip()).exists(), "the room is left behind"
    return done.returncode, [shlex.split(line) for line in calls.read_text().splitlines()]


def test_the_first_command_installs_and_runs() -> None:
    assert readme_commands()[0].split("#")[0].strip() == "pip install -e . && contagium"


def test_ci_runs_exactly_the_second_command(tmp_path: Path) -> None:
    words = shlex.split(readme_commands()[1], comments=True)
    cut = words.index("&&")
    status, calls = run_ci(tmp_path)
    assert status == 0
    assert calls == [words[:cut], words[cut + 1 :], ["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]


@pytest.mark.parametrize(("tool", "reached"), [("pip", 1), ("pytest", 2), ("ruff", 3), ("mypy", 5)])
def test_ci_stops_at_the_first_failure(tmp_path: Path, tool: str, reached: int) -> None:
    status, calls = run_ci(tmp_path, broken=tool)
    assert status != 0
    assert len(calls) == reached


def test_every_module_command_of_the_readme_is_one_of_a_page_whose_test_runs_it() -> None:
    text, pages = (ROOT / "README.md").read_text(encoding="utf-8"), sorted((ROOT / "docs").glob("*.md"))
    shown = {line for page in pages for line in page.read_text(encoding="utf-8").splitlines()}
    said = re.findall(r"^python -m contagium.*$", text, re.MULTILINE)
    assert said
    assert [line for line in said if line not in shown] == []
