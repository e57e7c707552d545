"""SDEdit (Meng et al., arXiv:2108.01073) for odekit. This page is all that a plugin registers."""

from __future__ import annotations

from pathlib import Path

import odekit
from odekit.plugins import PluginCatalog
from odekit_sdedit.options import Sdedit


@odekit.hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """An inverter, named as "module:attribute" so that nothing heavy is imported yet, a ready chain, a stored run."""
    catalog.inverter(
        "sdedit", "odekit_sdedit.inverter:SdeditInverter", Sdedit, "noise to t0, back by ancestral sampling"
    )
    catalog.chain("sdedit", Path(__file__).parent / "sdedit.yaml")
    catalog.golden("sdedit_small", "odekit_sdedit.parity:sdedit", skip=("image", "mask_half"))
