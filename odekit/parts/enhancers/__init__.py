"""Enhancers: Langevin updates of a latent, and how their strength is chosen."""

from __future__ import annotations

from odekit.parts.enhancers.langevin import Langevin
from odekit.parts.enhancers.none import NoneOptions
from odekit.parts.enhancers.preconditioned import Preconditioned
from odekit.parts.enhancers.sk_rock import SkRock
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """All built-in enhancers."""
    here = f"{__name__}."
    catalog.enhancer("langevin", here + "adaptive:make", Langevin, "Langevin updates (Algorithm 1)")
    catalog.enhancer("none", here + "none:NoEnhancer", NoneOptions, "no enhancement: the round trip alone")
    catalog.enhancer(
        "preconditioned", here + "preconditioned:PreconditionedEnhancer", Preconditioned,
        "Langevin updates with a step for each frequency of the DCT",
    )  # fmt: skip
    catalog.enhancer(
        "sk-rock", here + "sk_rock:SkRockEnhancer", SkRock, "stabilised Langevin steps of several calls each"
    )
