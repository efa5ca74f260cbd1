"""The keys of the packaged configuration, to help with a misspelt one."""

from __future__ import annotations

from collections.abc import Iterator

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig


def known_keys() -> list[str]:
    """All dotted keys of the default configuration."""
    GlobalHydra.instance().clear()
    with initialize_config_module("contagium.conf", version_base="1.3"):
        return list(_flatten(compose("config"), ""))


def _flatten(node: DictConfig, prefix: str) -> Iterator[str]:
    for name in map(str, node):
        key = f"{prefix}{name}"
        yield key
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none():
            yield from _flatten(child, f"{key}.")
