"""The words of a command line that ask for an experiment. Light: every start of the application comes by here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contagium.sim.commandline import UserError

SHOWS = ("--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", "--shell-completion", "-sc", "--version")
"""Flags of Hydra that show something and run nothing."""

CHOICE = "+experiment="


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """The arguments, those about an experiment as additions to a configuration that has none.

    UserError: several experiments, or none that could have such a name.
    """
    names = [argument.partition("=")[2] for argument in arguments if re.match(r"\+?experiment=", argument)]
    if not names:
        return list(arguments)
    if len(names) > 1 or not re.fullmatch(r"\w[\w/-]*", names[0]):
        raise UserError(f"experiment: name one, e.g. experiment=calm_down, got {', '.join(names)!r}")
    rest = [argument for argument in arguments if not re.match(r"\+?experiment=", argument)]
    # A file need not state what has a default; what nobody knows is found when it is checked.
    return [CHOICE + names[0], *(f"++{one}" if one.startswith("experiment.") else one for one in rest)]


def asks(arguments: Sequence[str]) -> bool:
    """Whether arguments, as made by `for_hydra`, ask for an experiment to be carried out."""
    chosen = any(argument.startswith(CHOICE) for argument in arguments)
    return chosen and not any(argument.partition("=")[0] in SHOWS for argument in arguments)


def launched_by_hydra(arguments: Sequence[str]) -> bool:
    """Whether a launcher of Hydra's is asked for, instead of ours."""
    return any(argument.startswith("hydra/launcher=") for argument in arguments)
