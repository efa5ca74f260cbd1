"""The floors of the house, read from the source: who may import whom, where chance and the event loop may live."""

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("conf", "envs", "agents", "sim")
FORBIDDEN = {"conf": ("envs", "agents", "sim"), "envs": ("agents", "sim"), "agents": ("sim",), "sim": ()}
TYPES_OF_CHANCE = {"BitGenerator", "Generator"}
HEAVY = ("numpy", "matplotlib", "networkx", "gymnasium", "pettingzoo", "pandas", "scipy", "openai", "xllamacpp")


def files(*floors: str) -> list[Path]:
    """Product files of these floors, without the links under contagium/."""
    found = [path for floor in floors for path in sorted((ROOT / floor).rglob("*.py"))]
    assert found
    return found


def module_of(path: Path) -> list[str]:
    """The package a file lies in, as parts: sim/analysis/tree.py -> contagium, sim, analysis."""
    return ["contagium", *path.relative_to(ROOT).parts[:-1]]


def imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Full names of all that is imported, at any depth: statements and calls of `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and name_of(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))


def name_of(node: ast.AST) -> str:
    """A dotted name as written, or empty: np.random.seed."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported(path: Path) -> set[str]:
    return set(imports(ast.parse(path.read_text(encoding="utf-8")), module_of(path)))


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_import_reader_sees_every_form() -> None:
    source = (
        "import a.b\nfrom c import d\nfrom . import e\nfrom ..sim import f\n"
        "def g():\n    import h\n    importlib.import_module('i.j')\n"
    )
    found = set(imports(ast.parse(source), ["contagium", "agents"]))
    assert found == {"a.b", "c.d", "contagium.agents.e", "contagium.sim.f", "h", "i.j"}


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_run_downwards(floor: str) -> None:
    above = [f"contagium.{name}" for name in FORBIDDEN[floor]]
    wrong = [(str(p), n) for p in files(floor) for n in imported(p) if any(inside(n, other) for other in above)]
    assert wrong == []


def test_conf_imports_nothing() -> None:
    assert {name for path in files("conf") for name in imported(path)} == set()


def test_no_floor_is_imported_by_its_bare_name() -> None:
    everywhere = [ROOT / "contagium" / "__init__.py", *files(*FLOORS, "tests")]
    wrong = [(str(p), n) for p in everywhere for n in imported(p) if any(inside(n, floor) for floor in FLOORS)]
    assert wrong == []


def chance(path: Path) -> set[str]:
    """Names below numpy.random that a file uses, and `random` itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    written = {name_of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | imported(path)
    parts = [name.replace("np.", "numpy.", 1) if name.startswith("np.") else name for name in written]
    below = {name.split(".")[2] for name in parts if name.startswith("numpy.random.")}
    return below | {name for name in imported(path) if inside(name, "random")}


def test_chance_comes_from_the_keyed_streams_only() -> None:
    """Elsewhere a generator is a parameter: numpy.random may be named as a type, never called to make or seed one."""
    makers = [path for path in files(*FLOORS) if path != ROOT / "envs" / "rng.py"]
    assert {str(path): extra for path in makers if (extra := chance(path) - TYPES_OF_CHANCE)} == {}
    assert chance(ROOT / "envs" / "rng.py") <= TYPES_OF_CHANCE | {"Philox", "SeedSequence"}


EDGES = {
    "sim/application.py": 2,  # a run, or the estimate of one
    "sim/analysis/fit/command.py": 1,
    "sim/counterfactual/__main__.py": 2,  # replayed turns, or reruns
    "sim/observer/calibration.py": 1,
}
"""Commands, and where each of them may start the event loop."""


def test_the_event_loop_starts_at_the_edge_of_each_command_alone() -> None:
    starts = Counter(
        path.relative_to(ROOT).as_posix()
        for path in files(*FLOORS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and name_of(node.func) in ("asyncio.run", "asyncio.Runner", "run_until_complete")
    )
    assert starts == EDGES


def test_starting_the_command_imports_nothing_heavy() -> None:
    """So that `contagium --help` answers at once."""
    code = "import json, sys, contagium.sim.__main__; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [name for name in HEAVY if name in json.loads(done.stdout)] == []


def test_importing_the_package_imports_no_floor() -> None:
    code = "import json, sys, contagium; print(json.dumps([n for n in sys.modules if n.startswith('contagium')]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["contagium"]
