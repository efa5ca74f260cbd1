"""The commands and the example of docs/counterfactual.md run, in the order in which they stand there."""

import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from contagium.sim.counterfactual.__main__ import main
from contagium.sim.counterfactual.variants import VARIANTS
from contagium.sim.observer.instruments import emotion_lexicon

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "counterfactual.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLE = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page(application: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Each command reads these lists anew, which takes longer than all else it does here.
    monkeypatch.setattr(emotion_lexicon.Lists, "from_file", cache(emotion_lexicon.Lists.from_file))
    monkeypatch.setattr("contagium.sim.application.write_outputs", lambda path: {})
    monkeypatch.setattr("contagium.sim.application.show_summary", lambda *given: None)
    first, *others = [shlex.split(line) for block in COMMANDS for line in block.splitlines()]
    assert application(*first[1:]) == 0
    assert len(others) >= 4
    for command in others:
        assert command[:3] == ["python", "-m", "contagium.sim.counterfactual"]
        assert main(command[3:]) == 0, capsys.readouterr().err
    exec(compile(EXAMPLE[0], "docs/counterfactual.md", "exec"), {})
    assert "Estimate(" in capsys.readouterr().out


def test_the_table_names_every_variant() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert tuple(named) == VARIANTS
