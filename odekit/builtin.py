"""Registers the built-in parts through the same hook as any plugin: names, option models, lazy factories."""

from __future__ import annotations

from pathlib import Path

from odekit.degrade.parts import register as corruptions
from odekit.enhancers.langevin import Langevin
from odekit.enhancers.none import NoneOptions
from odekit.enhancers.preconditioned import Preconditioned
from odekit.enhancers.sk_rock import SkRock
from odekit.faces.parts import register as photographs
from odekit.hookspecs import hookimpl
from odekit.inverters.ode import Ode
from odekit.metrics.parts import register as metrics
from odekit.priors import options as priors
from odekit.registry import PluginCatalog
from odekit.solvers.belm import BelmOptions
from odekit.solvers.ddim import DdimOptions
from odekit.solvers.dpmpp_2m import Dpmpp2mOptions
from odekit.solvers.fixed_point import FixedPointOptions
from odekit.solvers.heun import HeunOptions
from odekit.solvers.reversible_heun import ReversibleHeunOptions
from odekit.solvers.rk45 import Rk45Options
from odekit.stages import Restore, Save, Upsample
from odekit.upsamplers.face_x4 import FaceX4
from odekit.upsamplers.resize import Resize

HERE = Path(__file__).parent
FACE64_SHA256 = "270d76e04c31fd66e10bccc733cccf31163e3b294ced113f9bd680ef8885e3d7"
FACE_X4_SHA256 = "cedbbd84e6ed1c96a0094cc33a665a92f9e58821532c60b9c24c5e56ef1b06a4"


def chain_folder() -> Path:
    """Where the ready chains lie: inside the installed package, or beside it in a checkout."""
    inside = HERE / "configs"
    return inside if inside.is_dir() else HERE.parent / "configs"


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Everything that odekit itself brings."""
    for register in (stages, prior_parts, flow, finishing, metrics, corruptions, photographs, weights, goldens):
        register(catalog)
    for path in sorted(chain_folder().glob("*.yaml")):
        catalog.chain(path.stem, path)


def stages(catalog: PluginCatalog) -> None:
    """What chains are made of."""
    catalog.stage("restore", "odekit.stages:RestoreStage", Restore, "invert, enhance, return (Algorithm 1)")
    catalog.stage("upsample", "odekit.stages:UpsampleStage", Upsample, "add detail with one upsampler")
    catalog.stage("save", "odekit.stages:SaveStage", Save, "how results are written; comes last")


def prior_parts(catalog: PluginCatalog) -> None:
    """Networks, and models whose eps is exact."""
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


def flow(catalog: PluginCatalog) -> None:
    """The inverter and its solvers."""
    catalog.inverter("ode", "odekit.inverters.ode:make", Ode, "probability-flow ODE, up and down one grid")
    catalog.solver("ddim", "odekit.solvers.ddim:Ddim", DdimOptions, "first order, 1 call per step (the paper's)")
    catalog.solver("heun", "odekit.solvers.heun:Heun", HeunOptions, "second order, 2 calls per step")
    catalog.solver("dpmpp-2m", "odekit.solvers.dpmpp_2m:Dpmpp2m", Dpmpp2mOptions, "second order, 1 call per step")
    catalog.solver("rk45", "odekit.solvers.rk45:Rk45", Rk45Options, "fifth order, adaptive: the yardstick")
    catalog.solver(
        "reversible-heun",
        "odekit.solvers.reversible_heun:ReversibleHeun",
        ReversibleHeunOptions,
        "second order, 1 call per step, undone exactly",
    )
    catalog.solver(
        "belm", "odekit.solvers.belm:Belm", BelmOptions, "O-BELM: second order, 1 call per step, undone exactly"
    )
    catalog.solver(
        "fixed-point",
        "odekit.solvers.fixed_point:FixedPoint",
        FixedPointOptions,
        "first order, implicit: undoes DDIM's own way down",
    )


def finishing(catalog: PluginCatalog) -> None:
    """Enhancers and upsamplers."""
    catalog.enhancer("langevin", "odekit.enhancers.auto:make", Langevin, "Langevin updates (Algorithm 1)")
    catalog.enhancer("none", "odekit.enhancers.none:NoEnhancer", NoneOptions, "no enhancement: the round trip alone")
    catalog.enhancer(
        "preconditioned",
        "odekit.enhancers.preconditioned:PreconditionedEnhancer",
        Preconditioned,
        "Langevin updates with a step for each frequency of the DCT",
    )
    catalog.enhancer(
        "sk-rock", "odekit.enhancers.sk_rock:SkRockEnhancer", SkRock, "stabilised Langevin steps of several calls each"
    )
    catalog.upsampler(
        "resize", "odekit.upsamplers.resize:ResizeUpsampler", Resize, "Lanczos, bicubic or box resampling"
    )
    catalog.upsampler(
        "face-x4", "odekit.upsamplers.face_x4:FaceX4Upsampler", FaceX4, "built-in, learned on faces: 64 to 256 px"
    )


def weights(catalog: PluginCatalog) -> None:
    """What ships in the package."""
    catalog.weights(
        "face64",
        path=HERE / "assets" / "face64",
        sha256=FACE64_SHA256,
        licence="MIT",
        commercial_use=True,
        summary="built-in face prior",
    )
    catalog.weights(
        "face-x4",
        path=HERE / "assets" / "face-x4" / "model.safetensors",
        sha256=FACE_X4_SHA256,
        licence="MIT",
        commercial_use=True,
        summary="built-in face upsampler",
    )


def goldens(catalog: PluginCatalog) -> None:
    """Stored outputs of other programs that the core repeats."""
    nets, runs = "odekit.bench.golden_nets:", "odekit.bench.golden_flow:"
    catalog.golden("adm_small", nets + "adm")
    catalog.golden("adm_small_newattn", nets + "adm_newattn")
    catalog.golden("ddim_small", nets + "ddim")
    catalog.golden("ddim_diffusers_small", runs + "library")
    # Spacings that leave the timesteps of the schedule between levels are not odekit's.
    catalog.golden(
        "ddim_diffusers_timesteps", runs + "timesteps", skip=("*.30", "*.trailing.*", "*.linspace.*"), tolerance=0.0
    )
    catalog.golden(
        "code_small",
        runs + "code",
        skip=("*BAD*", "langevin_start_*", "eta"),  # faults of the program; where its runs began
        tolerance={"*_i49": 5e-4, "langevin_*": 1e-5, "*": 1e-4},
    )
