"""The application: `contagium …` or `python -m sim …`. Heavy imports wait until a run is really asked for."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from contagium import __version__
from contagium.sim.credentials import refusal

if TYPE_CHECKING:
    from contagium.sim.scenario import Scenario

FREE_TEXT = re.compile(r"(persona|background|pressure)(\.\w+)*\.text|env\.transcript\.(?!format|encoding|steps|hears|most)\w+")
"""Keys whose value is taken from the command line exactly as typed: no quoting, interpolation or list syntax applies."""


ARCHIVE = "archive.db"
"""The file in the directory of a run that holds an imported transcript."""

INTERRUPTED = 130

_failed_arms: list[int] = []
"""Statuses of the arms of the present sweep that failed; Hydra's launcher keeps what a job returns to itself."""


class UserError(Exception):
    """Something the user can mend: one line, exit status 2."""


def main() -> None:
    """Run the application; exit status 0 done, 1 failed after it started, 2 could not start, 3 budget used up, 130 Ctrl-C."""
    sys.exit(_run(sys.argv))


def _run(arguments: list[str]) -> int:
    # Hydra would otherwise print errors itself, over many lines, and exit with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # The sentence encoder's small matrices run several times faster on one thread than on threads that wait for a busy core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _know_texts()
    _failed_arms.clear()
    if "--version" in arguments[1:]:
        print(f"contagium {__version__}")
        return 0
    try:
        if special := _special(arguments[1:]):
            return special()
        # Before Hydra, which keeps and repeats what it is given.
        for key, _, value in (argument.partition("=") for argument in arguments[1:]):
            if reason := refusal(key, value):
                raise UserError(reason)
        given = _observing(arguments[1:])
        # `-m` first, for what stands on both sides of a flag is more than the argument parser can take.
        given = sorted(given, key=lambda argument: argument not in ("-m", "--multirun"))
        sys.argv = [arguments[0], *map(_protect, given)]
        hydra.main(version_base="1.3", config_path="pkg://contagium.conf", config_name="config")(_job)()
    except HydraException as error:
        return _complain(_hydra_line(error), 2)
    except (UserError, OmegaConfBaseException, ValueError, OSError) as error:
        # Those that are not ours are Hydra's, about arguments it cannot use: a run's own errors end in `_job`.
        return _complain(str(error).splitlines()[0], 2)
    except YAMLError as error:
        return _complain(f"a configuration file is not valid YAML: {' '.join(str(error).split())}", 2)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    # A sweep goes on after an arm that failed, and fails with it in the end.
    return max(_failed_arms, default=0)


def _special(arguments: list[str]) -> Callable[[], int] | None:
    """What to do instead of a new run, where the arguments ask for that."""
    for key, _, value in (argument.partition("=") for argument in arguments):
        if key in ("resume", "verify"):
            others = [argument for argument in arguments if not argument.startswith(f"{key}=")]
            return partial(_resume if key == "resume" else _verify, value, others)
    return None


def _observing(arguments: list[str]) -> list[str]:
    """The arguments, those with `observe=PATH` as what it stands for."""
    if not any(argument.startswith("observe=") for argument in arguments):
        return arguments
    from contagium.sim.corpus.observe import observing

    return observing(arguments)


def _resume(directory: str, others: list[str]) -> int:
    from contagium.sim.build import ScenarioError
    from contagium.sim.resume import resume

    if not directory:
        raise UserError("resume: name the directory of the run, e.g. resume=outputs/2026-11-21/10-00-00")
    for key, _, value in (argument.partition("=") for argument in others):
        if reason := refusal(key, value):
            raise UserError(reason)
    try:
        return resume(Path(directory), others, shlex.join(["contagium", f"resume={directory}", *others]))
    except ScenarioError as error:
        raise UserError(str(error)) from error


def _verify(path: str, others: list[str]) -> int:
    from contagium.agents.backends.journal import verify
    from contagium.sim.analysis.text import visible

    if not path or others:
        raise UserError("verify: name the directory of a run, and nothing else, e.g. verify=outputs/2026-11-21/10-00-00")
    journal = Path(path) / "journal.db" if Path(path).is_dir() else Path(path)
    problems = verify(journal)
    for problem in problems:
        print(f"contagium: {visible(problem)}", file=sys.stderr)
    if not problems:
        print(f"{journal}: sound")
    return 1 if problems else 0


def _job(config: DictConfig) -> None:
    """What Hydra runs once, or once for each combination of a sweep. SystemExit: the run did not end well.

    No other exception leaves it, for Hydra would print all arguments above each.
    """
    from contagium.sim.application import perform

    directory = Path(HydraConfig.get().runtime.output_dir)
    # As a plain list, for a configuration would resolve what stands in it.
    arguments = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))
    command = shlex.join(["contagium", *map(_plain, arguments)])
    imported = (directory / ARCHIVE).exists()
    try:
        status = perform(_scenario(config, directory), directory, command)
    except UserError as error:
        status = _complain(str(error), 2)
    except OmegaConfBaseException as error:
        status = _complain(str(error).splitlines()[0], 2)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception:
        # An error of the program itself, to be reported with all there is to know.
        traceback.print_exc()
        status = 1
    if not imported and not (directory / "run.db").exists():
        (directory / ARCHIVE).unlink(missing_ok=True)
    _leave_nothing(directory)
    if status:
        if status != INTERRUPTED and _in_a_sweep_here():
            print(f"contagium: this arm of the sweep failed: {' '.join(map(_plain, arguments))}", file=sys.stderr)
            _failed_arms.append(status)
            return
        sys.exit(status)


def _in_a_sweep_here() -> bool:
    """Whether this is one arm of a sweep that runs in this process, so that the next arm can still run."""
    running = HydraConfig.get()
    return running.mode == RunMode.MULTIRUN and running.launcher._target_.endswith("BasicLauncher")


def _scenario(config: DictConfig, directory: Path) -> Scenario:
    from contagium.sim.build import ScenarioError
    from contagium.sim.scenario import make_scenario

    _know_texts()
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{missing[0]}: a value is needed, e.g. {missing[0]}=…")
    try:
        return make_scenario(_composed(config, directory))
    except ScenarioError as error:
        raise UserError(str(error)) from error


def _composed(config: DictConfig, directory: Path) -> dict[str, Any]:
    """The configuration as plain values; a transcript that it names is imported into the directory of the run."""
    imports = "transcript" in config.env
    if imports:
        from contagium.sim.corpus.observe import import_into

        config.env.path = str(directory.absolute() / ARCHIVE)  # what else names it is resolved from here
    composed = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    return import_into(Path(config.env.path), composed) if imports else composed


def _leave_nothing(directory: Path) -> None:
    """Remove what Hydra made, where a run left nothing in it: its directory and, up to here, those above it."""
    here = Path.cwd()
    try:
        for place in (directory, *(above for above in directory.parents if here in above.parents)):
            place.rmdir()
    except OSError:
        return


def _know_texts() -> None:
    """Tell OmegaConf of the resolver that `_protect` uses; a sweep's launcher may run `_job` in a process of its own."""
    OmegaConf.register_new_resolver("text", _decode, replace=True)


def _protect(argument: str) -> str:
    """A free-text override as a resolver call, so that no character of the text has a meaning to Hydra's grammar."""
    key, equals, value = argument.partition("=")
    if not equals or not FREE_TEXT.fullmatch(key.lstrip("+")):
        return argument
    return f"{key}=${{text:x{value.encode('utf-8', 'surrogateescape').hex()}}}"


def _decode(text: str) -> str:
    return bytes.fromhex(text[1:]).decode("utf-8", "replace")


def _plain(argument: str) -> str:
    """The argument as it was typed, before `_protect`."""
    key, _, value = argument.partition("=")
    protected = re.fullmatch(r"\$\\?\{text\\?:(x[0-9a-f]*)\\?\}", value)  # a sweep puts backslashes before signs
    return f"{key}={_decode(protected[1])}" if protected else argument


def _hydra_line(error: HydraException) -> str:
    """Hydra's complaint in one line, with the nearest key where one is misspelt."""
    text = str(error).splitlines()[0].rstrip(".")
    if misspelt := re.search(r"Could not override '([^']+)'", text):
        return f"{misspelt[1]}: no such key{_nearest(misspelt[1])}"
    if there := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"{there[1]}: the key is there already; leave out the +"
    if isinstance(error, OverrideParseException):
        return f"{_plain(error.override)}: not of the form key=value ({text}); a value with special characters needs quotes"
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}: no choice {choice!r}; there are: {', '.join(error.options)}"
    return text


def _nearest(key: str) -> str:
    """A hint at the key most like `key` in the configuration, with the choices that the arguments make."""
    from contagium.sim.keys import known_keys

    if key.startswith("transcript."):
        return " without observe=PATH"
    known = known_keys(sys.argv[1:])
    if key in known:
        return " in every arm of the sweep"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else " (contagium --cfg job shows all keys)"


def _complain(line: str, status: int) -> int:
    print(f"contagium: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
