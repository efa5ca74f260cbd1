"""Rules for every test: no network beyond this machine, no window system, downloads only where they already are."""

import asyncio
import functools
import gc
import importlib.util
import inspect
import ipaddress
import os
import pickle
import selectors
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

os.environ["MPLBACKEND"] = "Agg"
os.environ["PIP_NO_INDEX"] = "1"  # the audit hook below does not reach into child processes

_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class NetworkBlockedError(RuntimeError):
    """A test reached for the network. Not an OSError, so no retry and no "server is away" branch swallows it."""


def _is_local(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name == "localhost":  # None is a lookup for listening
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _block_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse lookups of and traffic to other machines. An audit hook sees asyncio and every library alike."""
    if event in _LOOKUPS:
        host = arguments[0]
    elif event in _SENDS and isinstance(arguments[1], tuple):  # a Unix socket's address is a string
        host = arguments[1][0]
    else:
        return
    if not _is_local(host):
        raise NetworkBlockedError(f"tests may use loopback and Unix sockets only, got {event} to {host!r}")


sys.addaudithook(_block_network)

# As the application has it; thousands of collected tests are no garbage.
gc.set_threshold(10_000, 20, 50)


def _read_once(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Reads each text of a configuration once: hundreds of tests compose the same files, and parsing is half of composing."""
    kept: dict[str | bytes, bytes] = {}

    def read(file: Any) -> Any:
        if isinstance(file, (str, Path)):
            return load(file)
        text = file.read()
        if text not in kept:
            file.seek(0)  # an error should name the file
            kept[text] = pickle.dumps(load(file))
        return pickle.loads(kept[text])

    return read


OmegaConf.load = _read_once(OmegaConf.load)  # type: ignore[assignment, method-assign]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in up to four processes, a part of it in this one: starting others would only delay it."""
    whole = config.args_source != pytest.Config.ArgsSource.ARGS
    return min(os.cpu_count() or 1, 4) if whole else 0


def _render(really: bool) -> None:
    """Whether figures are rendered, which takes most of the time of a small run; they are composed in either case."""
    from contagium.sim.analysis.figures import picture

    for name, nothing in (("rendered", {"png": b"", "svg": b"<svg/>"}), ("book", b"")):
        real = inspect.unwrap(getattr(picture, name))
        setattr(picture, name, real if really else functools.wraps(real)(lambda figure, nothing=nothing: nothing))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Render figures only for a test marked `rendered`.

    Skip a test marked `weights` (all) or `weights("MINILM")` (these) unless they are in the user's cache.
    """
    _render(item.get_closest_marker("rendered") is not None)
    marker = item.get_closest_marker("weights")
    if marker is None:
        return
    from contagium.agents import weights

    for name in marker.args or ("SMOLLM2", "MINILM"):
        if not weights.cached(getattr(weights, name)):
            pytest.skip(f"the weights {name} are not in the cache")


@pytest.fixture(scope="session")
def faulty() -> ModuleType:
    """The module `faulty.py` beside this file: a server that fails on purpose."""
    spec = importlib.util.spec_from_file_location("faulty", Path(__file__).with_name("faulty.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Instant(selectors.SelectSelector):
    """Waits for nothing: time jumps to what happens next."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0.0 if timeout is not None else None)


class _TimelessLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


@pytest.fixture
def in_no_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a loop whose time starts at 0 and passes only in sleeps and timers, which take no time."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=_TimelessLoop) as runner:
            return runner.run(main)

    return run
