"""What the page carries along: its style, its one script with the hash that lets it run, and data that can only be read."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).with_name("web")
SCRIPTS = ("core", "charts", "network", "tree", "agent", "main")
"""In the order in which they are joined into one."""


@cache
def style() -> str:
    return (ASSETS / "page.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """All of the script, in a scope of its own."""
    parts = "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


@cache
def script_source() -> str:
    """What a content policy has to allow for the script, and nothing else, to run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()}'"


def packed(data: Any) -> str:
    """Data as base64 of compressed JSON: whatever is in it, no character of it is markup. ValueError: it holds a NaN."""
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(plain.encode(), compresslevel=6, mtime=0)).decode()
