"""The application: `contagium …` or `python -m sim …`. Heavy imports wait until a run is really asked for."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from contagium import __version__
from contagium.sim.commandline import UserError, complain, hydra_line, know_texts, protect
from contagium.sim.credentials import refusal
from contagium.sim.experiment.asked import asks, for_hydra, launched_by_hydra
from contagium.sim.job import INTERRUPTED, failed, job


def main() -> None:
    """Run the application; exit status 0 done, 1 failed after it started, 2 could not start, 3 budget used up, 130 Ctrl-C."""
    sys.exit(_run(sys.argv))


def _run(arguments: list[str]) -> int:
    # Hydra would otherwise print errors itself, over many lines, and exit with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # The sentence encoder's small matrices run several times faster on one thread than on threads that wait for a busy core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    know_texts()
    failed.clear()
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
        given = for_hydra(_observing(arguments[1:]))
        # `-m` first, for what stands on both sides of a flag is more than the argument parser can take.
        given = sorted(given, key=lambda argument: argument not in ("-m", "--multirun"))
        sys.argv = [arguments[0], *map(protect, given)]
        if asks(sys.argv[1:]):
            _experiment(sys.argv[1:])
        else:
            hydra.main(version_base="1.3", config_path="pkg://contagium.conf", config_name="config")(job)()
    except HydraException as error:
        return complain(hydra_line(error), 2)
    except (UserError, OmegaConfBaseException, ValueError, OSError) as error:
        # Those that are not ours are Hydra's, about arguments it cannot use: a run's own errors end in `job`.
        return complain(str(error).splitlines()[0], 2)
    except YAMLError as error:
        return complain(f"a configuration file is not valid YAML: {' '.join(str(error).split())}", 2)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    # A sweep goes on after an arm that failed, and fails with it in the end.
    return max(failed, default=0)


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


def _experiment(arguments: list[str]) -> None:
    if not launched_by_hydra(arguments):
        from contagium.sim.experiment.pool import warm_up

        warm_up()
    from contagium.sim.experiment.carry_out import carry_out

    carry_out(arguments)


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


if __name__ == "__main__":
    main()
