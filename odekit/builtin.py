"""Registers the built-in parts through the same hook as any plugin: names, option models, lazy factories."""

from __future__ import annotations

from pathlib import Path

from odekit.degrade.parts import register as corruptions
from odekit.enhancers.langevin import Langevin
from odekit.enhancers.none import NoneOptions
from odekit.hookspecs import hookimpl
from odekit.inverters.ode import Ode
from odekit.priors import options as priors
from odekit.registry import PluginCatalog
from odekit.solvers.ddim import DdimOptions
from odekit.stages import Restore, Save, Upsample
from odekit.upsamplers.resize import Resize

HERE = Path(__file__).parent
FACE64_SHA256 = "31fd03930ca9ade93301d84790c63f8d07db96260402b56adbe294a28db23067"


def chain_folder() -> Path:
    """Where the ready chains lie: inside the installed package, or beside it in a checkout."""
    inside = HERE / "configs"
    return inside if inside.is_dir() else HERE.parent / "configs"


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Everything that odekit itself brings."""
    catalog.stage("restore", "odekit.stages:RestoreStage", Restore, "invert, enhance, return (Algorithm 1)")
    catalog.stage("upsample", "odekit.stages:UpsampleStage", Upsample, "add detail with one upsampler")
    catalog.stage("save", "odekit.stages:SaveStage", Save, "how results are written; comes last")
    make = "odekit.priors.factories:"
    spec = "odekit.priors.options:"
    catalog.prior(
        "face64",
        make + "face64",
        priors.Face64,
        "built-in face prior, 64 px, 11.3 M parameters",
        spec=spec + "face64_spec",
    )
    catalog.prior(
        "diffusers",
        make + "diffusers",
        priors.Diffusers,
        "any UNet2DModel folder by path",
        spec=spec + "diffusers_spec",
        licence="of the weights",
    )
    catalog.prior("gaussian", make + "gaussian", priors.Gaussian, "exact Gaussian, for tests", spec=spec + "exact_spec")
    catalog.prior(
        "mixture", make + "mixture", priors.Mixture, "exact mixture of Gaussians, for tests", spec=spec + "exact_spec"
    )
    catalog.inverter("ode", "odekit.inverters.ode:make", Ode, "probability-flow ODE, up and down one grid")
    catalog.solver("ddim", "odekit.solvers.ddim:Ddim", DdimOptions, "first order, 1 call per step (the paper's)")
    catalog.enhancer(
        "langevin", "odekit.enhancers.langevin:LangevinEnhancer", Langevin, "Langevin updates (Algorithm 1)"
    )
    catalog.enhancer("none", "odekit.enhancers.none:NoEnhancer", NoneOptions, "no enhancement: the round trip alone")
    catalog.upsampler(
        "resize", "odekit.upsamplers.resize:ResizeUpsampler", Resize, "Lanczos, bicubic or box resampling"
    )
    catalog.weights(
        "face64",
        path=HERE / "assets" / "face64",
        sha256=FACE64_SHA256,
        licence="MIT",
        commercial_use=True,
        summary="built-in face prior",
    )
    corruptions(catalog)
    for path in sorted(chain_folder().glob("*.yaml")):
        catalog.chain(path.stem, path)
