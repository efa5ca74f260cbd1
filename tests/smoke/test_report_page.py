"""The examples of docs/report.md run, and its table of limits is the program's."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from contagium.sim.analysis.__main__ import main
from contagium.sim.analysis.report.cases import CASES_SHOWN
from contagium.sim.analysis.report.viewer import LIMITS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


@pytest.mark.rendered
def test_the_commands_of_the_page_run(
    application: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert application("agents=mechanistic", "population.size=12", "steps=4", "hydra.run.dir=run") == 0
    (command,) = re.findall(r"^```\npython -m contagium\.sim\.analysis (\S+)\n```", PAGE, re.MULTILINE)
    monkeypatch.setattr("sys.argv", ["contagium", "run"])
    assert main() == 0
    assert "report.html" in capsys.readouterr().out
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example.replace(command, "run"), "docs/report.md", "exec"), {})
    assert (tmp_path / "figures.pdf").read_bytes().startswith(b"%PDF")


def test_the_table_of_limits_is_the_programs() -> None:
    rows = re.search(r"^\| agents drawn.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert rows is not None
    numbers = [int(number.replace(",", "")) for number in re.findall(r"^\| [^|]* \| ([\d,]+)", rows[0], re.MULTILINE)]
    assert numbers == [LIMITS.agents, LIMITS.ties, CASES_SHOWN, LIMITS.messages, LIMITS.letters // 1_000_000]
    assert LIMITS.messages == LIMITS.exposures
    assert f"{LIMITS.text:,} a message" in rows[0]
