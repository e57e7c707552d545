"""Inverters: from a picture to a latent and back."""

from __future__ import annotations

from odekit.parts.inverters.ode import Ode
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """All built-in inverters."""
    catalog.inverter("ode", f"{__name__}.ode:make", Ode, "probability-flow ODE, up and down one grid")
