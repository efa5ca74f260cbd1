"""What is shipped: all of `contagium`, nothing beside it, and no harm to another package named `agents`."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("envs", "agents", "sim", "conf")
NEIGHBOUR = "print('another project')\n"


def python(*words: str | Path, cwd: Path = ROOT) -> str:
    """Output of this Python, with the source tree out of its path so that only what is installed is seen."""
    names = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=names, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    python("-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def shipped(wheel: Path) -> dict[str, bytes]:
    """Files of a wheel by name, without its metadata folder."""
    with zipfile.ZipFile(wheel) as archive:
        return {n: archive.read(n) for n in archive.namelist() if not n.split("/")[0].endswith(".dist-info")}


def test_the_wheel_holds_the_four_floors_and_nothing_else(wheel: Path) -> None:
    found = shipped(wheel)
    assert {name.split("/")[0] for name in found} == {"contagium"}
    source = [p for floor in FLOORS for kind in ("*.py", "*.yaml", "*.csv") for p in (ROOT / floor).rglob(kind)]
    assert {path.suffix for path in source} == {".py", ".yaml", ".csv"}
    expected = {f"contagium/{p.relative_to(ROOT)}": p.read_bytes() for p in source}
    assert {name: found.get(name) for name in expected} == expected


def test_a_wheel_made_from_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    packed = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert shipped(build("wheel", source, tmp_path / "again")) == shipped(wheel)


def test_another_package_named_agents_is_left_alone(wheel: Path, tmp_path: Path) -> None:
    python("-m", "venv", "--without-pip", tmp_path / "venv")
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "agents").mkdir()
    (site / "agents" / "__init__.py").write_text(NEIGHBOUR)
    interpreter = tmp_path / "venv" / "bin" / "python"
    pip = ("-m", "pip", "--python", interpreter)
    python(*pip, "install", "--no-deps", "--no-index", wheel)
    assert (tmp_path / "venv" / "bin" / "contagium").is_file()
    assert sorted(p.name for p in site.iterdir() if p.suffix != ".dist-info") == ["agents", "contagium"]
    show = "import agents, contagium, contagium.agents; print(contagium.__version__)"
    said = subprocess.run([interpreter, "-IB", "-c", show], capture_output=True, text=True, check=True).stdout
    assert said == f"another project\n{wheel.name.split('-')[1]}\n"
    python(*pip, "uninstall", "--yes", "contagium")
    assert not (site / "contagium").exists()
    assert (site / "agents" / "__init__.py").read_text() == NEIGHBOUR
