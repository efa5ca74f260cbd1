"""The examples of docs/mechanistic.md run, its tables name what there is, and the script it points to agrees with theory."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "mechanistic.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=["models", "outbreak"])
def test_examples_run(example: str) -> None:
    exec(compile(example, "docs/mechanistic.md", "exec"), {})


@pytest.mark.parametrize("group", ["model", "affect", "coupling", "belief"])
def test_the_table_names_every_choice(group: str) -> None:
    row = re.search(rf"^\| `{group}` \| (.*?) \|", PAGE, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row[1])) == {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}


def test_the_table_of_affect_names_every_parameter_that_full_switches_on() -> None:
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \| .*? \| .*? \|$", PAGE, re.MULTILINE)))
    full = yaml.safe_load((ROOT / "conf" / "affect" / "full.yaml").read_text())
    assert len(full) > 8
    assert set(full) - {"defaults"} <= set(named)


def test_the_outbreak_script_agrees_with_theory(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(ROOT / "examples" / "outbreak.py"))
    for name, value in (("SIZE", 20_000), ("SEEDED", 200)):
        monkeypatch.setitem(script["main"].__globals__, name, value)
    script["main"]()
    shares = {line[:17].strip(): float(line[17:].split()[0]) for line in capsys.readouterr().out.splitlines()[:5]}
    assert shares["theory"] == pytest.approx(0.9133, abs=1e-4)
    assert shares["continuous time"] == pytest.approx(0.9133, abs=4 * 0.28 / 20_000**0.5)
    assert shares["continuous time"] < shares["steps of 0.5"] < shares["steps of 1.0"]
