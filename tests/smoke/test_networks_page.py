"""The example of docs/networks.md runs, and its table names what there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(example, "docs/networks.md", "exec"), {})
    assert "of followings lead out of the community" in capsys.readouterr().out


def test_the_table_names_every_network_and_its_settings() -> None:
    table = PAGE[PAGE.index("| --- |") : PAGE.index("Each is drawn")]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\|(.*)\|$", table, re.MULTILINE))
    there = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "conf" / "network").glob("*.yaml")}
    assert set(rows) == set(there)
    for name, settings in there.items():
        keys = set(re.findall(r"^(?!_target_)(\w+):", settings, re.MULTILINE))
        assert keys <= set(re.findall(r"`(\w+)`", rows[name])), name
