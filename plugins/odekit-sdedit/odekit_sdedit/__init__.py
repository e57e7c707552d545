"""SDEdit (Meng et al., arXiv:2108.01073) for odekit. This page is all that a plugin registers."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_sdedit.options import Sdedit


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """An inverter, named as "module:attribute" so that nothing heavy is imported yet, and a ready chain."""
    catalog.inverter(
        "sdedit", "odekit_sdedit.inverter:SdeditInverter", Sdedit, "noise to t0, back by ancestral sampling"
    )
    catalog.chain("sdedit", Path(__file__).parent / "sdedit.yaml")
