"""Keys and passwords have no place in a configuration: it is logged, kept beside the run, and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

NAMED = re.compile(r"(^|[._-])(api_?key|token|secret|secret_?key|password|passwd|authorization)$", re.IGNORECASE)
IN_ADDRESS = re.compile(r"://[^/?#\s]*@|[?&]\w*(key|token|secret|password)=", re.IGNORECASE)
VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
WORDS = ("persona", "background", "pressure")
"""Parts of the configuration that hold text, which may speak of anything."""


def refusal(key: str, value: object) -> str | None:
    """Why `key` may not be set to `value`, without repeating the value; None where it may."""
    if re.split(r"[.@/]", key.lstrip("+~"), maxsplit=1)[0] in WORDS:
        return None
    if NAMED.search(key) and isinstance(value, str | int | float) and value != "":
        return f"{key.lstrip('+')}: a secret may not stand in the configuration; put it into an environment variable"
    if isinstance(value, str) and IN_ADDRESS.search(value):
        return f"{key.lstrip('+')}: an address may hold no user, password or key; put the key into an environment variable"
    if key.endswith("_env") and isinstance(value, str) and not VARIABLE.fullmatch(value):
        return f"{key.lstrip('+')}: must be the name of an environment variable, not the key itself"
    return None


def refusals(node: object, key: str = "") -> Iterator[str]:
    """Why parts of a composed configuration may not stand in it."""
    if isinstance(node, Mapping):
        parts = [(f"{key}.{name}" if key else str(name), value) for name, value in node.items()]
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = [(f"{key}.{k}", value) for k, value in enumerate(node)]
    else:
        parts = []
    for name, value in parts:
        if reason := refusal(name, value):
            yield reason
        yield from refusals(value, name)
