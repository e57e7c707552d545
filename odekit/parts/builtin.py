"""Registers the built-in parts through the hook that plugins use: names, option models, lazy factories."""

from __future__ import annotations

from pathlib import Path

from odekit.core.files import ASSETS
from odekit.parts import corruptions, enhancers, faces, inverters, metrics, priors, repair, solvers, stages, upsamplers
from odekit.plugins.catalog import PluginCatalog
from odekit.plugins.hooks import hookimpl

KIND_PACKAGES = (stages, priors, inverters, solvers, enhancers, upsamplers, faces, repair, metrics, corruptions)


def chain_folder() -> Path:
    """The folder of the shipped chains: inside the installed package, or beside it in a checkout."""
    installed = ASSETS.parent / "configs"
    return installed if installed.is_dir() else ASSETS.parent.parent / "configs"


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the built-in parts and the shipped chains."""
    for kind in KIND_PACKAGES:
        kind.register(catalog)
    for path in sorted(chain_folder().glob("*.yaml")):
        catalog.chain(path.stem, path)
