"""ODE solvers for the probability-flow ODE `dy/drho = eps`, one per file."""

from __future__ import annotations

from odekit.parts.solvers.belm import BelmOptions
from odekit.parts.solvers.ddim import DdimOptions
from odekit.parts.solvers.dpmpp_2m import Dpmpp2mOptions
from odekit.parts.solvers.fixed_point import FixedPointOptions
from odekit.parts.solvers.heun import HeunOptions
from odekit.parts.solvers.reversible_heun import ReversibleHeunOptions
from odekit.parts.solvers.rk45 import Rk45Options
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """Register the built-in solvers."""
    package = f"{__name__}."
    catalog.solver("ddim", package + "ddim:Ddim", DdimOptions, "first order, 1 call per step (the paper's)")
    catalog.solver("heun", package + "heun:Heun", HeunOptions, "second order, 2 calls per step")
    catalog.solver("dpmpp-2m", package + "dpmpp_2m:Dpmpp2m", Dpmpp2mOptions, "second order, 1 call per step")
    catalog.solver("rk45", package + "rk45:Rk45", Rk45Options, "fifth order, adaptive: the reference")
    catalog.solver(
        "reversible-heun", package + "reversible_heun:ReversibleHeun", ReversibleHeunOptions,
        "second order, 1 call per step, exactly reversible",
    )  # fmt: skip
    catalog.solver(
        "belm", package + "belm:Belm", BelmOptions, "O-BELM: second order, 1 call per step, exactly reversible"
    )
    catalog.solver(
        "fixed-point", package + "fixed_point:FixedPoint", FixedPointOptions,
        "first order, implicit inversion: inverts DDIM's decoding",
    )  # fmt: skip
