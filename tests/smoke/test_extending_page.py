"""What docs/extending.md shows, with the examples of two pages it names, is one laboratory that runs."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from contagium.sim.log import open_run

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "extending.md").read_text(encoding="utf-8")
LENGTH = 40


def blocks(page: str, kind: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """Path → what stands in it, of all five examples."""
    own = [*blocks("extending", "python"), *blocks("extending", "yaml")]
    named = {re.match(r"# (\S+)\n", block)[1]: block for block in own}  # type: ignore[index]
    (curfew,), (when,) = blocks("interventions", "python"), blocks("interventions", "yaml")
    (tidy,) = blocks("personas", "yaml")
    return named | {"curfew.py": curfew, "my_conf/intervention/curfew.yaml": when, "my_conf/persona/tidy.yaml": tidy}


def test_each_example_is_short() -> None:
    of_name = {
        name: sum(text.count("\n") for path, text in files().items() if name in path) for name in ("pot", "company", "reproach")
    }
    assert max(of_name.values()) <= LENGTH
    assert min(of_name.values()) > 0


def test_all_run_together(application: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (command,) = blocks("extending", "bash")
    shown = shlex.split(command)
    small = ("steps=4", "population.size=8", "seeding.count=2", "hydra.run.dir=run")
    assert application(*shown[shown.index("contagium") + 1 :], *small) == 0
    log = open_run(tmp_path / "run" / "run.db")
    outcome, pressure, done = (log.table(name) for name in ("outcome", "pressure", "intervention"))
    read = log.readings[log.readings["instrument"] == "company"]
    log.close()
    assert set(outcome["name"]) == {"gave"}
    assert len(outcome) == len(read) == 32
    assert set(pressure["event"]) == {"reproach"}
    assert {"told", "withheld"} == set(done["action"])


def test_an_environment_that_breaks_the_rules_is_refused_before_the_run(
    application: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = files()["my_lab/pot.py"]
    (tmp_path / "broken_pot.py").write_text(code.replace("Consequence(reward,", "Consequence(reward[:3],"), encoding="utf-8")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "broken.yaml").write_text("_target_: broken_pot.Pot", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    small = ("env=broken", "backend=parrot", "observer=lexicon", "population.size=8", "hydra.run.dir=run")
    assert application("--config-dir", str(tmp_path), *small) == 2
    line = "contagium: env: Pot breaks the rules of a world: consequence: reward must have the shape (8,), got (3,)\n"
    assert capsys.readouterr().err == line
    assert not (tmp_path / "run").exists()
