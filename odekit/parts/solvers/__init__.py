"""ODE solvers for the probability-flow ODE `dy/drho = eps`, one per file."""

from __future__ import annotations

from odekit.parts.solvers.belm import BelmOptions
from odekit.parts.solvers.ddim import DdimOptions
from odekit.parts.solvers.deis import DeisOptions
from odekit.parts.solvers.dpm_solver import DpmSolverOptions
from odekit.parts.solvers.dpmpp_2m import Dpmpp2mOptions
from odekit.parts.solvers.fixed_point import FixedPointOptions
from odekit.parts.solvers.heun import HeunOptions
from odekit.parts.solvers.reversible_heun import ReversibleHeunOptions
from odekit.parts.solvers.rk45 import Rk45Options
from odekit.parts.solvers.unipc import UnipcOptions
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """Register the built-in solvers."""
    package = f"{__name__}."
    catalog.solver("ddim", package + "ddim:Ddim", DdimOptions, "first order, 1 call per step (the paper's)")
    catalog.solver("heun", package + "heun:Heun", HeunOptions, "second order, 2 calls per step")
    catalog.solver("dpmpp-2m", package + "dpmpp_2m:Dpmpp2m", Dpmpp2mOptions, "second order, 1 call per step")
    catalog.solver("deis", package + "deis:Deis", DeisOptions, "orders 1 to 3, 1 call per step, exponential integrator")
    catalog.solver("unipc", package + "unipc:Unipc", UnipcOptions, "predictor and corrector, 1 call per step")
    catalog.solver(
        "dpm-solver", package + "dpm_solver:DpmSolver", DpmSolverOptions, "order 2 or 3, as many calls per step",
        results=2,
    )  # fmt: skip
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
