"""Inverters: from an image to its latent, and back."""

from __future__ import annotations

from odekit.parts.inverters.blind import Blind
from odekit.parts.inverters.ode import Ode
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """Register the built-in inverters."""
    catalog.inverter(
        "ode", f"{__name__}.ode:make_ode_inverter", Ode, "probability-flow ODE: inversion and decoding on one grid"
    )
    catalog.inverter(
        "blind", f"{__name__}.blind:make_blind_inverter", Blind,
        "estimates noise and outliers of each picture, and samples the face that fits the rest",
    )  # fmt: skip
