"""The words of a command line: free text taken as typed, and complaints of one line."""

from __future__ import annotations

import difflib
import re
import sys

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

FREE_TEXT = re.compile(r"(persona|background|pressure)(\.\w+)*\.text|env\.transcript\.(?!format|encoding|steps|hears|most)\w+")
"""Keys whose value is taken from the command line exactly as typed: no quoting, interpolation or list syntax applies."""


class UserError(Exception):
    """Something the user can mend: one line, exit status 2."""


def know_texts() -> None:
    """Tell OmegaConf of the resolver that `protect` uses; a sweep's launcher may run a job in a process of its own."""
    OmegaConf.register_new_resolver("text", _decode, replace=True)


def protect(argument: str) -> str:
    """A free-text override as a resolver call, so that no character of the text has a meaning to Hydra's grammar."""
    key, equals, value = argument.partition("=")
    if not equals or not FREE_TEXT.fullmatch(key.lstrip("+")):
        return argument
    return f"{key}=${{text:x{value.encode('utf-8', 'surrogateescape').hex()}}}"


def _decode(text: str) -> str:
    return bytes.fromhex(text[1:]).decode("utf-8", "replace")


def plain(argument: str) -> str:
    """The argument as it was typed, before `protect`."""
    key, _, value = argument.partition("=")
    protected = re.fullmatch(r"\$\\?\{text\\?:(x[0-9a-f]*)\\?\}", value)  # a sweep puts backslashes before signs
    return f"{key}={_decode(protected[1])}" if protected else argument


LISTED_IN_PART = ("env.", "network.", "agents.", "memory.", "pressure.", "intervention.", "observer.")
"""Keys of parts whose classes have more settings than their files need list."""


def hydra_line(error: HydraException) -> str:
    """Hydra's complaint in one line, with the nearest key where one is misspelt."""
    text = str(error).splitlines()[0].rstrip(".")
    if misspelt := re.search(r"Could not override '([^']+)'", text):
        unlisted = "; a setting that its file does not list is added with +" if misspelt[1].startswith(LISTED_IN_PART) else ""
        return f"{misspelt[1]}: no such key{_nearest(misspelt[1])}{unlisted}"
    if there := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"{there[1]}: the key is there already; leave out the +"
    if isinstance(error, OverrideParseException):
        return f"{plain(error.override)}: not of the form key=value ({text}); a value with special characters needs quotes"
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


def complain(line: str, status: int) -> int:
    print(f"contagium: {line}", file=sys.stderr)
    return status
