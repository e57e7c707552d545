"""The file of a chain, by a path or the name of a chain that a distribution ships."""

from __future__ import annotations

from pathlib import Path

from odekit.core.spelling import did_you_mean, nearest
from odekit.errors import ConfigError
from odekit.plugins.catalog import OWN_CHAINS, Catalog


def find_chain_file(name: str, parts: Catalog) -> Path:
    """Path of a chain's YAML file; `name` is a registered name or a path.

    Raises:
        ConfigError: there is no such chain.
    """
    if name in parts.chains:
        return parts.chains[name]
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"'{name}' is a folder; a chain is a YAML file or a name{nearest(name, parts.chains)}")
    if path.suffix in (".yaml", ".yml") or "/" in name:
        raise ConfigError(f"there is no chain file {name}{did_you_mean(path.stem, parts.chains)}")
    if name in OWN_CHAINS:
        raise ConfigError(
            f"the chain '{name}' comes with the plugin {OWN_CHAINS[name]}; pip install {OWN_CHAINS[name]}"
        )
    raise ConfigError(f"unknown chain '{name}'{nearest(name, parts.chains)}")
