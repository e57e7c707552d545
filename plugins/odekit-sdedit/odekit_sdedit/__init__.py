"""SDEdit (Meng et al., arXiv:2108.01073) for odekit: registers its parts."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_sdedit.options import Sdedit


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register an inverter and a chain. Its name "module:attribute" delays the import of torch."""
    catalog.inverter(
        "sdedit",
        "odekit_sdedit.inverter:SdeditInverter",
        Sdedit,
        "noise up to t0, then ancestral sampling",
        results=1,
    )
    catalog.chain("sdedit", Path(__file__).parent / "sdedit.yaml")
