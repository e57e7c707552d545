"""Enhancers: Langevin updates of a latent, and the choice of their strength."""

from __future__ import annotations

from odekit.parts.enhancers.langevin import Langevin
from odekit.parts.enhancers.none import NoneOptions
from odekit.parts.enhancers.preconditioned import PreconditionedOptions
from odekit.parts.enhancers.sk_rock import SkRockOptions
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """Register the built-in enhancers."""
    package = f"{__name__}."
    catalog.enhancer("langevin", package + "adaptive:make_langevin", Langevin, "Langevin updates (Algorithm 1)")
    catalog.enhancer("none", package + "none:NoEnhancer", NoneOptions, "no enhancement: inversion and decoding only")
    catalog.enhancer(
        "preconditioned", package + "preconditioned:PreconditionedEnhancer", PreconditionedOptions,
        "Langevin updates with a step size per DCT frequency",
    )  # fmt: skip
    catalog.enhancer(
        "sk-rock",
        package + "sk_rock:SkRockEnhancer",
        SkRockOptions,
        "stabilised Langevin steps of several network calls each",
    )
