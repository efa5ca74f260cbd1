"""The keys of the packaged configuration, to help with a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

import contagium.conf


def known_keys(arguments: Sequence[str] = ()) -> list[str]:
    """All dotted keys of the packaged configuration, with those of `arguments` that choose one of a group (`model=watts`)."""
    GlobalHydra.instance().clear()
    named = [a for a in arguments if re.fullmatch(r"\w+=\w+", a)]
    chosen = [a for a in named if files(contagium.conf).joinpath(f"{a.replace('=', '/')}.yaml").is_file()]
    with initialize_config_module("contagium.conf", version_base="1.3"):
        return list(_flatten(compose("config", chosen), ""))


def _flatten(node: DictConfig, prefix: str) -> Iterator[str]:
    for name in map(str, node):
        key = f"{prefix}{name}"
        yield key
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none():
            yield from _flatten(child, f"{key}.")
